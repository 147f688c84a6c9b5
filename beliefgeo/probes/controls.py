"""What a probe's score is worth: shuffled beliefs, and how many tokens of context would explain as much."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from beliefgeo.arrays import ArrayLike, Number
from beliefgeo.probes.weighted import check_weights, drop_rounding, explained
from beliefgeo.reading.evaluation import Prefixes

# An unexplained fraction that float32 cannot tell from 0: its R2 is 1 to the last digit or the one before.
_NOTHING = 2 * float(np.finfo(np.float32).eps)
# A fraction of the variance of beliefs that their own rounding leaves.
_ROUNDING = 1e-12


@jax.jit
def shuffle_beliefs(
    key: PRNGKeyArray, beliefs: Float[Array | np.ndarray, "row state"], length: Int[Array | np.ndarray, " row"]
) -> Float[Array, "row state"]:
    """Beliefs permuted among the prefixes of the same length: the same values, none where it belongs.

    >>> shuffle_beliefs(jax.random.key(0), jnp.arange(3.0)[:, None], jnp.array([1, 2, 2]))[0].tolist()
    [0.0]
    """
    length = jnp.asarray(length)
    home = jnp.argsort(length, stable=True)
    drawn = jnp.lexsort((jax.random.uniform(key, length.shape), length))
    beliefs = jnp.asarray(beliefs)
    return jnp.zeros_like(beliefs).at[home].set(beliefs[drawn])


def shuffle_prefixes(key: PRNGKeyArray, prefixes: Prefixes) -> Float[Array, "row state"]:
    """`shuffle_beliefs` of all prefixes."""
    return shuffle_beliefs(key, prefixes.beliefs, prefixes.length)


def shuffle_unseen(key: PRNGKeyArray, prefixes: Prefixes) -> Float[Array, "row state"]:
    """Beliefs whose part that the next-token law sees stays, the other permuted among prefixes of the same length.

    A probe that scores better on the beliefs than on these knows more than the next-token law. The sum of a
    belief's entries is seen, for laws sum to 1; where everything is, as in Mess3, nothing moves.

    Raises:
        ValueError: laws that are not linear in the beliefs, as in a product of factors.

    >>> from beliefgeo.reading.evaluation import prefixes
    >>> from beliefgeo.beliefs.trees import words
    >>> from beliefgeo.processes.classical import rrxor
    >>> rows = prefixes(rrxor(), words(rrxor(), 3))
    >>> moved = shuffle_unseen(jax.random.key(0), rows) - rows.beliefs
    >>> [round(float(abs(change).max()), 2) for change in (moved, moved @ seen_projector(rows.beliefs, rows.laws))]
    [0.5, 0.0]
    """
    seen = prefixes.beliefs @ seen_projector(prefixes.beliefs, prefixes.laws)
    return jnp.asarray(seen) + shuffle_beliefs(key, prefixes.beliefs - seen, prefixes.length)


def seen_projector(
    beliefs: Float[np.ndarray, "row state"], laws: Float[np.ndarray, "row token"]
) -> Float[np.ndarray, "state state"]:
    """The orthogonal projector on what the next-token law sees of a belief; eta - eta @ projector it cannot see.

    Of the linear map M with law = eta M on the span of the beliefs, the part of that span orthogonal to the kernel
    of M: M M^+. In float64, singular values below 1e-5 of the largest taken for 0.

    >>> seen_projector(np.eye(3), np.array([[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]])).round(2).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.5, 0.5]]
    """
    linear = np.linalg.lstsq(beliefs, laws, rcond=1e-5)[0]
    if (error := abs(beliefs @ linear - laws).max()) > 1e-4:
        raise ValueError(
            f"next-token laws must be linear in the beliefs, as for a Process; got an error of {error:.2g}: take the "
            "joint beliefs of a product, or the laws of one factor"
        )
    return linear @ np.linalg.pinv(linear, rcond=1e-5)


def shuffle_words(
    key: PRNGKeyArray, prefixes: Prefixes
) -> tuple[Int[np.ndarray, " word_position"], Float[Array, "word_position state"]]:
    """The shuffle of Shai et al. 2405.15943: every word and position by itself, its belief from another word.

    Returns:
        For each word and position the row of `prefixes` it reads, and a belief permuted within the position.
    """
    rows = np.repeat(np.arange(len(prefixes.counts)), prefixes.counts)
    return rows, shuffle_beliefs(key, jnp.asarray(prefixes.beliefs)[rows], jnp.asarray(prefixes.length)[rows])


def window_groups(prefixes: Prefixes) -> Iterator[Int[np.ndarray, " row"]]:
    """For windows of 0, 1, 2, ... tokens: labels equal where the last tokens and the number read are equal.

    The number read is known to a network with positions, so it is known to the window too.
    """
    _, group = np.unique(prefixes.length, return_inverse=True)
    yield group
    for age in range(int(prefixes.length.max())):
        token = prefixes.tokens[prefixes.word, np.maximum(prefixes.position - age, 0)]
        digit = np.where(age < prefixes.length, token + 1, 0)
        _, group = np.unique(group * (prefixes.tokens.max() + 2) + digit, return_inverse=True)
        yield group


def window_curve(
    prefixes: Prefixes, weights: ArrayLike, rows: Bool[np.ndarray, " row"] | None = None
) -> Float[np.ndarray, " window"]:
    """The unexplained fraction of the beliefs' variance for windows of 0, 1, 2, ... tokens; decreasing to 0.

    A window's best guess is the mean belief of all prefixes that look alike in it, E[belief | last tokens]; no
    function of those tokens does better. Below 1e-12 it is rounding of the beliefs, and 0; so is all of it where
    beliefs do not vary, as those of a coin.

    Args:
        prefixes: from `prefixes`.
        weights: `[row]`, such as `prefixes.counts` or `prefixes.probabilities`.
        rows: the rows to count; give those that a held-out score counts. Default all.

    Raises:
        ValueError: weights of other rows, NaN, negative, or all zero on the rows to count.
    """
    weights = np.asarray(check_weights(weights, len(prefixes.beliefs)))
    shares = shares_of(weights if rows is None else np.where(rows, weights, 0))
    mean, variance = _moments(prefixes.beliefs, shares)
    # Beliefs are known to the rounding of the process, whose parameters may be float32.
    total = drop_rounding(variance, variance, mean, np.float32)[1].sum()
    left = [_within(prefixes.beliefs, shares, group).sum() for group in window_groups(prefixes)]
    curve = np.array(left) / (total or np.inf)
    return np.where(curve > _ROUNDING, curve, 0)


def shares_of(weights: Float[np.ndarray, " row"]) -> Float[np.ndarray, " row"]:
    """Checked weights as shares of those that count; raises where these are all zero."""
    if not weights.any():
        raise ValueError("weights must be positive in a row that counts; got zeros in all of them")
    return weights / weights.sum()


def _moments(values: Float[np.ndarray, "row column"], shares: Float[np.ndarray, " row"]) -> tuple[np.ndarray, ...]:
    values = np.where(shares[:, None] > 0, values, 0)
    mean = shares @ values
    return mean, shares @ (values - mean) ** 2


def _within(
    values: Float[np.ndarray, "row column"], shares: Float[np.ndarray, " row"], group: Int[np.ndarray, " row"]
) -> Float[np.ndarray, " column"]:
    """The mean square about the mean of each row's group."""
    values = np.where(shares[:, None] > 0, values, 0)
    return shares @ (values - _group_means(values, shares, group)) ** 2


def _group_means(
    beliefs: Float[np.ndarray, "row state"], shares: Float[np.ndarray, " row"], group: Int[np.ndarray, " row"]
) -> Float[np.ndarray, "row state"]:
    total = np.bincount(group, shares)
    sums = np.stack([np.bincount(group, shares * column) for column in beliefs.T], 1)
    return (sums / np.where(total > 0, total, 1)[:, None])[group]


def explained_by(group: ArrayLike, values: ArrayLike, weights: ArrayLike) -> float:
    """The share of the variance of some values that the group of their row explains: Pearson's correlation ratio.

    1 where rows of a group agree: the values are a function of the group, as an ideal observer's predictions are of
    a sufficient statistic. 1 - E[Var(value | group)] / Var(value); 1 of values that do not vary.

    Args:
        group: `[row]`, labels.
        values: `[row]`.
        weights: `[row]`, at any scale.

    Raises:
        ValueError: mismatched rows, NaN in a row of positive weight, or weights that are negative or all zero.

    >>> round(explained_by(np.array([0, 0, 1, 1]), np.array([1.0, 1.0, 3.0, 5.0]), np.ones(4)), 4)
    0.8182
    """
    known, group = np.asarray(values), np.asarray(group)
    if known.ndim != 1 or known.shape != group.shape:
        raise ValueError(f"group and values must be [row], of the same rows; got shapes {group.shape}, {known.shape}")
    shares = shares_of(np.asarray(check_weights(weights, len(known))))
    column, group = np.asarray(known, np.float64)[:, None], np.unique(group, return_inverse=True)[1]
    if not np.isfinite(column[shares > 0]).all():
        raise ValueError("values must be finite where a row has weight; got NaN or infinite ones")
    mean, variance = _moments(column, shares)
    precision = known.dtype if jnp.issubdtype(known.dtype, jnp.floating) else np.float64
    return float(explained(*drop_rounding(_within(column, shares, group), variance, mean, precision))[0])


def equivalent_window(unexplained: Number, curve: ArrayLike) -> float:
    """The fewest tokens of context that leave the same fraction unexplained, interpolated on a log scale.

    0 for a probe no better than the mean. Where the curve reaches 0, the shortest window that does explains
    everything, and nothing is worth more. A probe counts as if it left nothing, below 2 eps of float32, 2.4e-7; there,
    too, the scale ends on which a probe better than the last positive fraction lies between that window and the next.
    Of a curve that ends above 0, one that leaves less than its end has at least the last window, which is returned.
    NaN for a fraction that is not finite.

    Args:
        unexplained: 1 - R2 of a probe.
        curve: `[window]`, `window_curve` or other fractions left by windows of 0, 1, 2, ... tokens, that do not grow.

    Raises:
        ValueError: an empty curve, or NaN in it.

    >>> [round(equivalent_window(left, np.array([1.0, 0.1, 0.01, 0.0])), 3) for left in (1.2, 0.02, 0.0)]
    [0.0, 1.699, 3.0]
    """
    unexplained, curve = np.asarray(unexplained, np.float64).item(), np.asarray(curve, np.float64)
    if curve.ndim != 1 or not len(curve) or np.isnan(curve).any():
        raise ValueError(f"equivalent_window needs a curve [window], without NaN; got {curve.tolist()}")
    if not np.isfinite(unexplained):
        return float("nan")
    positive = curve > _ROUNDING
    floor = min(_NOTHING, np.nextafter(curve[positive].min(initial=np.inf), 0))
    fractions, left = np.where(positive, curve, floor), max(unexplained, floor)
    if not (enough := fractions <= left).any():
        return float(len(curve) - 1)
    longer = int(enough.argmax())
    if longer == 0 or fractions[longer] == left:
        return float(longer)
    shorter = fractions[longer - 1]
    return longer - 1 + float(np.log(shorter / left) / np.log(shorter / fractions[longer]))
