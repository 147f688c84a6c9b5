"""Attention by lag: mean patterns, how they fade, and the patterns that theory predicts.

A layer sums what each token tells of the hidden state, faded by zeta a step. It attends to the token read `lag` ago in
proportion to zeta^lag. Attention is positive, so a negative zeta needs a head of even lags and a head of odd lags.
Source: Piotrowski et al. 2502.01954.
"""

from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import linear_sum_assignment

from beliefgeo.arrays import ArrayLike
from beliefgeo.probes.weighted import as_reals
from beliefgeo.reading.rows import Rows


class Decay(NamedTuple):
    """The fit scale * zeta^lag, with the standard error of zeta.

    Attributes:
        zeta: The factor a step of lag.
        error: The standard error of zeta.
        scale: The fitted value at lag 0.
    """

    zeta: float
    error: float
    scale: float


def attention_rows(activations: dict[str, Array]) -> Float[Array, "time layer head read"]:
    """What each position attends to: a `select` for `read`, which gives `[row, layer, head, read]`.

    >>> attention_rows({"attn_pattern": jnp.zeros((4, 2, 10, 10))}).shape
    (10, 4, 2, 10)
    """
    return jnp.moveaxis(activations["attn_pattern"], -2, 0)


def mean_pattern(attention: ArrayLike, rows: Rows) -> Float[Array, "layer head time read"]:
    """The attention pattern expected under the process: its average over prefixes by their probability.

    Args:
        attention: `[row, layer, head, read]`, `attention_rows` of a reading.
        rows: from `reading.rows`.

    Raises:
        ValueError: attention that is not from one network on these rows.
    """
    pattern = as_reals("attention", attention)
    if pattern.ndim != 4 or len(pattern) != len(rows.length):
        raise ValueError(
            f"attention must be [row, layer, head, read] of one network, of {len(rows.length)} prefixes; got shape "
            f"{pattern.shape}"
        )
    share = jnp.asarray(rows.probabilities, pattern.dtype)[:, None, None, None]
    mean = jax.ops.segment_sum(share * pattern, jnp.asarray(rows.position), rows.tokens.shape[1])
    return jnp.moveaxis(mean, 0, -2)


def last_row_by_lag(pattern: Float[Array, "*batch time read"]) -> Float[Array, "*batch lag"]:
    """The attention of the last position, with itself first: lag 0, 1, 2, ...

    >>> last_row_by_lag(jnp.array([[1.0, 0.0], [0.25, 0.75]])).tolist()
    [0.75, 0.25]
    """
    return pattern[..., -1, ::-1]


def fit_decay(weights: ArrayLike, lags: ArrayLike) -> Decay:
    """Least squares of weights[lag] = scale * zeta^lag over some lags, -1 <= zeta <= 1; eager, in float64.

    The sign of zeta shows only if the weights of odd and even lags have different signs, which is possible for
    `effective_attention`; attention itself is positive. Lags of one parity, as for a head that attends to even lags,
    give |zeta|.

    Args:
        weights: `[lag]`, such as `last_row_by_lag(pattern)[layer, head]`.
        lags: at least 3 lags. The standard error assumes that their residuals are independent and of one size.

    Returns:
        The fit; zeta and its error are NaN if all weights are 0, because these fade at any rate.

    Raises:
        ValueError: fewer than 3 lags, lags that `weights` does not have, or weights that are not finite.

    >>> [round(number, 3) for number in fit_decay([0.8, -0.4, 0.2, -0.1], range(4))]
    [-0.5, 0.0, 0.8]
    """
    given, lags = np.asarray(weights, np.float64), np.asarray(lags)
    if len(np.unique(lags)) < 3:
        raise ValueError(f"fit_decay needs at least 3 lags, for two parameters and an error; got {lags.tolist()}")
    if given.ndim != 1 or lags.dtype.kind not in "iu" or lags.min() < 0 or lags.max() >= len(given):
        raise ValueError(f"lags must be integers in 0..{len(given) - 1}, of weights [lag]; got {lags.tolist()}")
    if not np.isfinite(values := given[lags]).all():
        raise ValueError(f"weights must be finite at the lags that are fitted; got {values.tolist()}")
    if not values.any():
        return Decay(np.nan, np.nan, 0.0)
    zeta = scale = 0.0
    low, high = (0.0 if len(set(lags % 2)) == 1 else -1.0), 1.0
    for _ in range(5):  # finer and finer grids around the best zeta; the scale is in closed form
        grid = np.linspace(low, high, 2001)
        powers = grid[:, None] ** lags
        size = np.maximum((powers**2).sum(1), 1e-300)
        best = ((powers @ values) ** 2 / size).argmax()
        low, high = grid[max(best - 2, 0)], grid[min(best + 2, len(grid) - 1)]
        zeta, scale = grid[best], (powers @ values / size)[best]
    slopes = np.stack([zeta**lags, scale * lags * zeta ** np.maximum(lags - 1, 0)], 1)
    variance = ((values - scale * zeta**lags) ** 2).sum() / (len(lags) - 2)
    error = np.sqrt(variance * np.linalg.pinv(slopes.T @ slopes)[1, 1])
    return Decay(float(zeta), float(error), float(scale))


def ideal_heads(zeta: float, heads: int, lags: int) -> Float[np.ndarray, "head lag"]:
    """|zeta|^lag for each head, summing to 1; for a negative zeta, one of two heads has even lags, the other odd.

    Raises:
        ValueError: no heads, or too few lags for each head to have a lag.

    >>> ideal_heads(-0.5, 2, 4).tolist()
    [[0.8, 0.0, 0.2, 0.0], [0.0, 0.8, 0.0, 0.2]]
    """
    if heads < 1 or lags < (2 if zeta < 0 and heads == 2 else 1):
        raise ValueError(f"ideal_heads needs a head or more, and a lag for each parity; got {heads} heads, {lags} lags")
    lag = np.arange(lags)
    weights = abs(zeta) ** lag * np.ones((heads, 1))
    if zeta < 0 and heads == 2:
        weights *= lag % 2 == np.arange(2)[:, None]
    return weights / weights.sum(1, keepdims=True)


def predicted_patterns(zetas: Iterable[float], lags: int) -> dict[str, Float[np.ndarray, " lag"]]:
    """The positive patterns |zeta|^lag, by name, from which a layer can add up zeta^lag for each of several zetas.

    Each zeta gives a pattern. A negative zeta gives two, of even and of odd lags, whose sum also serves the positive
    zeta of the same size.

    Source: a prediction registered by A. Shai.

    >>> {name: pattern.tolist() for name, pattern in predicted_patterns((0.5, -0.5), 3).items()}
    {'.5^lag, even': [1.0, 0.0, 0.25], '.5^lag, odd': [0.0, 0.5, 0.0]}
    """
    zetas, lag, patterns = dict.fromkeys(zetas), np.arange(lags), {}
    for zeta in zetas:
        size = f"{abs(zeta):g}".lstrip("0")
        if zeta < 0:
            for parity, which in enumerate(("even", "odd")):
                patterns[f"{size}^lag, {which}"] = abs(zeta) ** lag * (lag % 2 == parity)
        elif -zeta not in zetas:
            patterns[f"{size}^lag"] = zeta**lag
    return patterns


def match_patterns(attention: ArrayLike, patterns: ArrayLike) -> Float[np.ndarray, " pattern"]:
    """The cosine of each pattern with the head assigned to it, from lag 1 on: the residual carries lag 0 too.

    Heads are assigned to patterns so that the cosines have the largest sum. A head that attends to nothing from lag 1
    on has the cosine 0 with every pattern.

    Args:
        attention: `[head, lag]`, with at least as many heads as patterns, in any order.
        patterns: `[pattern, lag]`.

    Raises:
        ValueError: fewer heads than patterns, or heads and patterns of different lags.

    >>> match_patterns([[0.2, 0.0, 0.8], [0.1, 0.9, 0.0]], [[1.0, 0.5, 0.0], [1.0, 0.0, 0.25]]).tolist()
    [1.0, 1.0]
    """
    attention, patterns = np.asarray(attention, np.float64), np.asarray(patterns, np.float64)
    if attention.ndim != 2 or patterns.ndim != 2 or attention.shape[1] != patterns.shape[1]:
        raise ValueError(
            "match_patterns needs attention [head, lag] and patterns [pattern, lag] of the same lags; got shapes "
            f"{attention.shape} and {patterns.shape}"
        )
    if len(attention) < len(patterns):
        raise ValueError(f"each pattern needs a head; got {len(patterns)} patterns and {len(attention)} heads")
    size = lambda rows: np.linalg.norm(rows[:, 1:], axis=1, keepdims=True)
    unit = lambda rows: rows[:, 1:] / np.where(size(rows) > 0, size(rows), 1)
    cosines = unit(patterns) @ unit(attention).T
    return cosines[linear_sum_assignment(-cosines)]
