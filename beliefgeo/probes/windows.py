"""How many tokens of context explain as much as a probe: the best that any function of the last tokens could do."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import rel_entr

from beliefgeo.arrays import ArrayLike, Number
from beliefgeo.probes.weighted import check_weights, drop_rounding, explained
from beliefgeo.reading.rows import Rows

# An unexplained fraction that float32 cannot tell from 0: its R2 is 1 to the last digit or the digit before.
_NOTHING = 2 * float(np.finfo(np.float32).eps)
# A fraction of the variance of beliefs that their own rounding leaves.
_ROUNDING = 1e-12


def window_groups(rows: Rows) -> Iterator[Int[np.ndarray, " row"]]:
    """Labels for windows of 0, 1, 2, ... tokens: equal where the last tokens and the number of tokens read are equal.

    A network with positions knows the number of tokens read, so the window knows it too.
    """
    _, group = np.unique(rows.length, return_inverse=True)
    yield group
    for age in range(int(rows.length.max())):
        token = rows.tokens[rows.word, np.maximum(rows.position - age, 0)]
        digit = np.where(age < rows.length, token + 1, 0)
        _, group = np.unique(group * (rows.tokens.max() + 2) + digit, return_inverse=True)
        yield group


def window_curve(
    rows: Rows, weights: ArrayLike, counted: Bool[np.ndarray, " row"] | None = None
) -> Float[np.ndarray, " window"]:
    """The unexplained fraction of the beliefs' variance for windows of 0, 1, 2, ... tokens; decreasing to 0.

    A window's best guess is the mean belief of all prefixes that look alike in it, E[belief | last tokens]; no
    function of those tokens does better. A fraction below 1e-12 is rounding of the beliefs and becomes 0. The whole
    curve is 0 where the beliefs do not vary, as for a coin.

    Args:
        rows: from `reading.rows`.
        weights: `[row]`, such as `rows.counts` or `rows.probabilities`.
        counted: the rows to count, such as the rows that a held-out score counts; default all.

    Raises:
        ValueError: weights of other rows, or weights that are NaN, negative, or all zero on the rows to count.
    """
    weights = np.asarray(check_weights(weights, len(rows.beliefs)))
    shares = shares_of(weights if counted is None else np.where(counted, weights, 0))
    mean, variance = _moments(rows.beliefs, shares)
    # Beliefs are known to the rounding of the process, whose parameters may be float32.
    total = drop_rounding(variance, variance, mean, np.float32)[1].sum()
    left = [_within(rows.beliefs, shares, group).sum() for group in window_groups(rows)]
    curve = np.array(left) / (total or np.inf)
    return np.where(curve > _ROUNDING, curve, 0)


def window_gaps(rows: Rows) -> Float[np.ndarray, " window"]:
    """The loss above the optimum of the best predictor that sees the last 0, 1, 2, ... tokens alone, in nats.

    Like a network with positions, it knows the number of tokens read. A predictor of 0 tokens knows nothing else.

    >>> import beliefgeo as bg, jax
    >>> window_gaps(bg.reading.rows(jax.random.key(0), bg.golden_mean(), 3)).round(4).tolist()
    [0.1744, 0.0, 0.0, 0.0]
    """
    shares = rows.probabilities / len(np.unique(rows.length))
    guesses = (group_means(rows.laws, shares, group) for group in window_groups(rows))
    return np.array([shares @ rel_entr(rows.laws, guess).sum(1) for guess in guesses])


def shares_of(weights: Float[np.ndarray, " row"]) -> Float[np.ndarray, " row"]:
    """Checked weights divided by their sum; raises where all are zero."""
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
    return shares @ (values - group_means(values, shares, group)) ** 2


def group_means(
    beliefs: Float[np.ndarray, "row state"], shares: Float[np.ndarray, " row"], group: Int[np.ndarray, " row"]
) -> Float[np.ndarray, "row state"]:
    """The weighted mean over the rows of the same group, for every row."""
    total = np.bincount(group, shares)
    sums = np.stack([np.bincount(group, shares * column) for column in beliefs.T], 1)
    return (sums / np.where(total > 0, total, 1)[:, None])[group]


def explained_by(group: ArrayLike, values: ArrayLike, weights: ArrayLike) -> float:
    """The share of the variance of some values that the group of their row explains: Pearson's correlation ratio.

    It is 1 - E[Var(value | group)] / Var(value), and 1 if the values do not vary. It is 1 where all rows of a group
    agree: the values are a function of the group, as an ideal observer's predictions are a function of a sufficient
    statistic.

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

    A probe that is no better than the mean gets 0. Where the curve reaches 0, the shortest window that reaches 0
    explains everything, and no probe gets more. A probe that leaves less than 2 eps of float32, 2.4e-7, counts as if it
    left nothing. The same number stands for 0 on the log scale, where a probe lies between the last window of a
    positive fraction and the next window. Where the curve ends above 0, a probe that leaves less than the end of the
    curve has at least the last window, and the last window is returned. A fraction that is not finite gives NaN.

    Args:
        unexplained: 1 - R2 of a probe.
        curve: `[window]`, `window_curve` or other fractions that windows of 0, 1, 2, ... tokens leave, not increasing.

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
