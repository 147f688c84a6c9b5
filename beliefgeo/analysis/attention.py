"""Attention against theory: how it decays with the lag, and what the tokens it reads say of the beliefs.

A layer that sums what each token tells of the hidden state, carried on by the mean dynamics T, writes
r_d = pi + sum_{s <= d} evidence[z_s] T^(d - s). Along a direction u with T u = zeta u the token read `lag` ago then
weighs zeta^lag. Here that weight is measured. Source: Piotrowski et al. 2502.01954.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from beliefgeo.analysis.evaluation import Prefixes
from beliefgeo.processes.process import ArrayLike, as_floats, contract


class Decay(NamedTuple):
    """The fit scale * zeta^lag, with the standard error of zeta."""

    zeta: float
    error: float
    scale: float


class Modes(NamedTuple):
    """Directions u with T u = zeta u, other than the readout's, largest |zeta| first; a belief's part is belief @ u."""

    zeta: Float[np.ndarray, " mode"]
    directions: Float[np.ndarray, "state mode"]


def attention_rows(activations: dict[str, Array]) -> Float[Array, "time layer head read"]:
    """What each position attends to: a `select` for `evaluate`, whose features are then `[row, layer, head, read]`.

    >>> attention_rows({"attn_pattern": jnp.zeros((4, 2, 10, 10))}).shape
    (10, 4, 2, 10)
    """
    return jnp.moveaxis(activations["attn_pattern"], -2, 0)


def mean_pattern(rows: Float[Array, "row layer head read"], prefixes: Prefixes) -> Float[Array, "layer head time read"]:
    """The attention pattern expected under the process: its rows averaged over prefixes by their probability.

    Args:
        rows: `evaluate(apply, prefixes, attention_rows).features`.
        prefixes: from `prefixes`.
    """
    share = jnp.asarray(prefixes.probabilities, rows.dtype)[:, None, None, None]
    pattern = jax.ops.segment_sum(share * rows, jnp.asarray(prefixes.position), prefixes.tokens.shape[1])
    return jnp.moveaxis(pattern, 0, -2)


def last_row_by_lag(pattern: Float[Array, "*batch time read"]) -> Float[Array, "*batch lag"]:
    """What the last position attends to, itself first: lag 0, 1, 2, ...

    >>> last_row_by_lag(jnp.array([[1.0, 0.0], [0.25, 0.75]])).tolist()
    [0.75, 0.25]
    """
    return pattern[..., -1, ::-1]


def mean_by_lag(pattern: Float[Array, "*batch time read"]) -> Float[Array, "*batch lag"]:
    """The attention at lag 0, 1, 2, ..., averaged over all positions that have a token that long ago.

    >>> mean_by_lag(jnp.array([[1.0, 0.0], [0.25, 0.75]])).tolist()
    [0.875, 0.25]
    """
    diagonal = lambda lag: jnp.diagonal(pattern, -lag, -2, -1).mean(-1)
    return jnp.stack([diagonal(lag) for lag in range(pattern.shape[-1])], -1)


def fit_decay(weights: ArrayLike, lags: ArrayLike) -> Decay:
    """Least squares of weights[lag] = scale * zeta^lag over some lags, -1 <= zeta <= 1; eager, in float64.

    The sign of zeta shows only where the weights of odd and even lags have different signs, as `effective_attention`
    may; attention itself is positive. Lags of one parity, as of a head that reads even lags, give |zeta|.

    Args:
        weights: `[lag]`, such as `last_row_by_lag(pattern)[layer, head]`.
        lags: at least 3 of them. The standard error takes their residuals to be independent and of one size.

    >>> [round(number, 3) for number in fit_decay([0.8, -0.4, 0.2, -0.1], range(4))]
    [-0.5, 0.0, 0.8]
    """
    lags = np.asarray(lags, int)
    values = np.asarray(weights, np.float64)[lags]
    if len(lags) < 3:
        raise ValueError(f"fit_decay needs at least 3 lags, for two parameters and an error; got {lags.tolist()}")
    low, high = (0.0 if len(set(lags % 2)) == 1 else -1.0), 1.0
    for _ in range(5):  # ever finer grids about the best zeta, the scale in closed form
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


def evidence_modes(mean_dynamics: ArrayLike) -> Modes:
    """The modes of T = sum_x T^(x) along which evidence fades; those of a repeated zeta are one choice of many.

    Args:
        mean_dynamics: T `[state, next_state]`, of a process or of one factor.

    Raises:
        ValueError: complex modes, which turn as they fade.

    >>> from beliefgeo.processes.classical import mess3
    >>> evidence_modes(mess3(0.15, 0.6).transitions.sum(0)).zeta.round(3).tolist()
    [0.55, 0.55]
    """
    values, vectors = np.linalg.eig(np.asarray(mean_dynamics, np.float64))
    kept = np.delete(np.arange(len(values)), abs(values - 1).argmin())
    kept = kept[np.argsort(-abs(values[kept]), kind="stable")]
    if abs(np.imag(values)).max() > 1e-6:
        raise ValueError(f"evidence_modes needs real eigenvalues of the mean dynamics; got {values[kept].round(3)}")
    return Modes(np.real(values[kept]), np.real(vectors[:, kept]))


def layer_norm(residual: ArrayLike, scale: ArrayLike, bias: ArrayLike) -> Float[Array, "... width"]:
    """What attention reads of a residual `[..., width]`: each vector at mean 0 and variance 1, then scale and bias.

    Args:
        residual: such as embedding + position.
        scale: `[width]`, `params["params"]["block_0"]["attention_norm"]["scale"]`.
        bias: `[width]`, the same.

    >>> layer_norm([1.0, 3.0], [1.0, 1.0], [0.0, 1.0]).round(3).tolist()
    [-1.0, 2.0]
    """
    residual, scale, bias = as_floats(residual), as_floats(scale), as_floats(bias)
    centred = residual - residual.mean(-1, keepdims=True)
    unit = centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)  # the epsilon of flax
    wide = lambda vector: jnp.expand_dims(vector, range(unit.ndim - 1))
    return unit * wide(scale) + wide(bias)


def head_values(
    read: ArrayLike, value_kernel: ArrayLike, value_bias: ArrayLike, output_kernel: ArrayLike
) -> Float[Array, "token head width"]:
    """What each head adds to the residual for each token it reads in full: (read W_V + b_V) W_O.

    Args:
        read: `[token, width]`, the normed embedding of each token (its mean over positions).
        value_kernel: `[width, head, head_width]`, `params["params"]["block_0"]["attention"]["value"]["kernel"]`.
        value_bias: `[head, head_width]`.
        output_kernel: `[head, head_width, width]`, `...["attention"]["output"]["kernel"]`.
    """
    values = contract("zw,whk->zhk", as_floats(read), as_floats(value_kernel)) + as_floats(value_bias)[None]
    return contract("zhk,hkw->zhw", values, as_floats(output_kernel))


def evidence_cosines(
    values: ArrayLike, kernel: ArrayLike, evidence: ArrayLike, law: ArrayLike
) -> Float[Array, " token"]:
    """For each token the cosine between what a head adds, seen through the probe, and the token's evidence.

    cos(v_z K - sum_z' P(z') v_z' K, e_z - sum_z' P(z') e_z'), K the kernel of the affine probe from resid_mid to the
    constrained beliefs: the probe is the linear map, and what is common to all tokens goes into its offset. Published:
    .95 or more.

    Args:
        values: `[token, width]`: of one head, `head_values(...)[:, head]`, or summed over heads.
        kernel: K `[width, state]`, `fit_probe(...).kernel`.
        evidence: `[token, state]`, of `beliefs.constrained.evidence`.
        law: `[token]`, the law of the first token.

    >>> evidence_cosines([[2.0], [4.0]], [[1.0, -1.0]], [[-1.0, 1.0], [1.0, -1.0]], [0.5, 0.5]).round(3).tolist()
    [1.0, 1.0]
    """
    seen = _centred(contract("zw,wi->zi", as_floats(values), as_floats(kernel)), law)
    true = _centred(as_floats(evidence), law)
    return (seen * true).sum(-1) / (jnp.linalg.norm(seen, axis=-1) * jnp.linalg.norm(true, axis=-1))


def effective_attention(
    by_lag: ArrayLike,
    values: ArrayLike,
    embedding: ArrayLike,
    kernel: ArrayLike,
    evidence: ArrayLike,
    directions: ArrayLike,
    law: ArrayLike,
) -> Float[Array, "mode lag"]:
    """The weight with which a token read `lag` ago moves the probed residual along each mode; in theory zeta^lag.

    sum_h attention_h[lag] gain_h, and at lag 0 the gain of the token's own embedding, which the residual carries past
    the heads. A gain is the slope of what is added along the mode, v_z K u, against the evidence e_z u over tokens.
    Heads of opposite gain make the weight alternate in sign, as a negative zeta asks.

    Args:
        by_lag: `[head, lag]`, such as `last_row_by_lag(pattern)[0]`.
        values: `[token, head, width]`, of `head_values`.
        embedding: `[token, width]`, what the token itself adds to the residual.
        kernel: K `[width, state]`, of the probe from resid_mid to the constrained beliefs.
        evidence: `[token, state]`, of `beliefs.constrained.evidence`.
        directions: u `[state, mode]`, of `evidence_modes`.
        law: `[token]`, the law of the first token.
    """
    by_lag, added = as_floats(by_lag), as_floats(values)
    added = jnp.concatenate([added, as_floats(embedding)[:, None]], 1)
    itself = (jnp.arange(by_lag.shape[1]) == 0).astype(by_lag.dtype)
    heads = jnp.concatenate([by_lag, itself[None]])
    shares, directions = as_floats(law), as_floats(directions)
    seen = contract("zhw,wi,im->zhm", added, as_floats(kernel), directions)
    true = _centred(contract("zi,im->zm", as_floats(evidence), directions), shares)
    gains = contract("z,zhm,zm->hm", shares, seen, true) / contract("z,zm,zm->m", shares, true, true)[None]
    return contract("hl,hm->ml", heads, gains)


def _centred(arrangement: Float[Array, "token axis"], law: ArrayLike) -> Float[Array, "token axis"]:
    return arrangement - contract("z,zi->i", as_floats(law), arrangement)[None]
