"""What a probe's score is worth: shuffled beliefs, and how many tokens of context would explain as much."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray

from beliefgeo.analysis.evaluation import Prefixes


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

    >>> from beliefgeo.analysis.evaluation import prefixes
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
    prefixes: Prefixes, weights: Num[np.ndarray, " row"], rows: Bool[np.ndarray, " row"] | None = None
) -> Float[np.ndarray, " window"]:
    """The unexplained fraction of the beliefs' variance for windows of 0, 1, 2, ... tokens; decreasing to 0.

    A window's best guess is the mean belief of all prefixes that look alike in it, E[belief | last tokens]; no
    function of those tokens does better.

    Args:
        prefixes: from `prefixes`.
        weights: `[row]`, such as `prefixes.counts` or `prefixes.probabilities`.
        rows: the rows to count; give those that a held-out score counts. Default all.
    """
    shares = np.where(True if rows is None else rows, weights, 0).astype(float)
    shares /= shares.sum()
    scatter = lambda predicted: float(shares @ ((prefixes.beliefs - predicted) ** 2).sum(1))
    unexplained = [scatter(_group_means(prefixes.beliefs, shares, group)) for group in window_groups(prefixes)]
    return np.array(unexplained) / scatter(shares @ prefixes.beliefs)


def _group_means(
    beliefs: Float[np.ndarray, "row state"], shares: Float[np.ndarray, " row"], group: Int[np.ndarray, " row"]
) -> Float[np.ndarray, "row state"]:
    total = np.bincount(group, shares)
    sums = np.stack([np.bincount(group, shares * column) for column in beliefs.T], 1)
    return (sums / np.where(total > 0, total, 1)[:, None])[group]


def explained_by(
    group: Int[np.ndarray, " row"], values: Float[np.ndarray, " row"], weights: Num[np.ndarray, " row"]
) -> float:
    """The share of the variance of some values that the group of their row explains: Pearson's correlation ratio.

    1 where rows of a group agree: the values are a function of the group, as an ideal observer's predictions are of
    a sufficient statistic. 1 - E[Var(value | group)] / Var(value).

    Args:
        group: `[row]`, labels.
        values: `[row]`.
        weights: `[row]`, at any scale.

    >>> round(explained_by(np.array([0, 0, 1, 1]), np.array([1.0, 1.0, 3.0, 5.0]), np.ones(4)), 4)
    0.8182
    """
    shares, column = weights / weights.sum(), np.asarray(values, np.float64)[:, None]
    scatter = lambda predicted: float(shares @ ((column - predicted) ** 2).sum(1))
    return 1 - scatter(_group_means(column, shares, group)) / scatter(shares @ column)


def equivalent_window(unexplained: float, curve: Float[np.ndarray, " window"]) -> float:
    """The number of tokens of context that leave the same fraction unexplained, interpolated on a log scale.

    At most the longest window with a positive fraction; 0 for a probe no better than the mean.

    >>> round(equivalent_window(0.02, np.array([1.0, 0.1, 0.01, 0.0])), 3)
    1.699
    """
    positive = curve[curve > 1e-12]
    if not np.isfinite(unexplained):
        return float("nan")
    # np.interp needs rising abscissae, and holds its end values outside them.
    return float(np.interp(-np.log(max(unexplained, 1e-300)), -np.log(positive), np.arange(len(positive))))
