"""Evidence in the residual stream: what heads add for each token, and how much each lag weighs.

A layer that sums what each token tells of the hidden state, carried on by the mean dynamics T, writes
r_d = pi + sum_{s <= d} evidence[z_s] T^(d - s). Along a direction u with T u = zeta u the token read `lag` ago has the
weight zeta^lag. This module measures that weight. Source: Piotrowski et al. 2502.01954.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from beliefgeo.arrays import ArrayLike, as_integers, concrete, contract
from beliefgeo.probes.least_squares import fit_probe
from beliefgeo.probes.weighted import as_reals, check_weights, lengths, only_rounding


class Modes(NamedTuple):
    """Directions u with T u = zeta u except the readout, largest |zeta| first; a belief's part is belief @ u.

    Attributes:
        zeta: The eigenvalues of the mean dynamics, without the 1.
        directions: Their right eigenvectors.
    """

    zeta: Float[np.ndarray, " mode"]
    directions: Float[np.ndarray, "state mode"]


def evidence_modes(mean_dynamics: ArrayLike) -> Modes:
    """The modes of T = sum_x T^(x) along which evidence fades; the modes of a repeated zeta are one choice of many.

    Args:
        mean_dynamics: T `[state, next_state]`, of a process or of one factor.

    Raises:
        ValueError: complex modes, which turn as they fade; or a T that is not a square matrix with eigenvalue 1.

    >>> from beliefgeo.processes.classical import mess3
    >>> evidence_modes(mess3(0.15, 0.6).transitions.sum(0)).zeta.round(3).tolist()
    [0.55, 0.55]
    """
    matrix = np.asarray(mean_dynamics, np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"mean_dynamics must be [state, next_state]; got shape {matrix.shape}")
    values, vectors = np.linalg.eig(matrix)
    if abs(values - 1).min() > 1e-4:
        raise ValueError(
            f"mean_dynamics must have the eigenvalue 1; got {values.round(4)}: sum transitions over tokens"
        )
    kept = np.delete(np.arange(len(values)), abs(values - 1).argmin())
    kept = kept[np.argsort(-abs(values[kept]), kind="stable")]
    if abs(np.imag(values)).max() > 1e-6:
        raise ValueError(f"evidence_modes needs real eigenvalues of the mean dynamics; got {values[kept].round(3)}")
    return Modes(np.real(values[kept]), np.real(vectors[:, kept]))


def head_values(params: Mapping[str, Any]) -> Float[Array, "position head token width"]:
    """What each head of the first block adds to the residual at full attention to a token: (norm(e + p) W_V + b_V) W_O.

    e is the embedding of the token, and p the embedding of its position. The output bias, which is the same for every
    token, is left out.

    Args:
        params: `params["params"]` of one `Transformer`, with or without norms.
    """
    block, embedding, positions = params["block_0"], params["embed"]["embedding"], params["positions"]["embedding"]
    read = embedding[None] + positions[:, None]
    if "attention_norm" in block:
        read = jnp.asarray(nn.LayerNorm().apply({"params": block["attention_norm"]}, read))
    value, output = block["attention"]["value"], block["attention"]["output"]
    values = contract("pzw,whk->phzk", read, value["kernel"]) + value["bias"][None, :, None]
    return contract("phzk,hkw->phzw", values, output["kernel"])


def evidence_cosines(seen: ArrayLike, evidence: ArrayLike, law: ArrayLike) -> Float[Array, "*batch token"]:
    """The cosine, for each token, between what a head adds, seen through a probe, and the token's evidence.

    cos(s_z - sum_z' P(z') s_z', e_z - sum_z' P(z') e_z'), s_z = v_z K + b of the affine probe from resid_mid to the
    constrained beliefs. The probe is the linear map; what is common to all tokens, with the probe's offset, is taken
    off. The cosine is 0 if either vector is only rounding after that. It is NaN for a token that cannot come first, and
    so has no evidence. Published: .95 or more.

    Args:
        seen: s `[..., token, state]`, `probe(head_values(params))`, of each head or summed over heads.
        evidence: e `[token, state]`, from `beliefs.constrained.evidence`.
        law: `[token]`, the law of the first token.

    Raises:
        ValueError: a law that does not sum to 1, or a law of other tokens than `seen` and `evidence`.

    >>> evidence_cosines([[2.0, -2.0], [4.0, -4.0]], [[-1.0, 1.0], [1.0, -1.0]], [0.5, 0.5]).round(3).tolist()
    [1.0, 1.0]
    """
    seen, true = (_unit(*_centred(name, one, law)) for name, one in (("seen", seen), ("evidence", evidence)))
    return contract("...zi,zi->...z", seen, true)


def evidence_gains(
    seen: ArrayLike, evidence: ArrayLike, directions: ArrayLike, law: ArrayLike
) -> Float[Array, "*batch mode"]:
    """How strongly evidence is written along each mode: the slope over tokens of s_z u against e_z u, weighted by P(z).

    The gain is 0 along a mode about which, to rounding, all tokens tell the same.

    Args:
        seen: s `[..., token, state]`, what is added for each token, seen through a probe, as in `evidence_cosines`.
        evidence: e `[token, state]`, from `beliefs.constrained.evidence`.
        directions: u `[state, mode]`, from `evidence_modes`.
        law: P `[token]`, the law of the first token.

    Raises:
        ValueError: as `evidence_cosines`.

    >>> evidence_gains([[2.0, -2.0], [4.0, -4.0]], [[-1.0, 1.0], [1.0, -1.0]], [[1.0], [0.0]], [0.5, 0.5]).tolist()
    [1.0]
    """
    directions, shares = as_reals("directions", directions), as_reals("law", law)
    centred, size = _centred("evidence", evidence, law)
    moved = contract("...zi,im->...zm", _counted(_centred("seen", seen, law)[0], shares), directions)
    true = contract("zi,im->zm", _counted(centred, shares), directions)
    size = contract("zi,im->zm", _counted(size, shares), abs(directions)).max(0)
    square = contract("z,zm->m", shares, true**2)
    told = ~only_rounding(jnp.sqrt(square), size)
    along = jnp.where(told[None], shares[:, None] * true / jnp.where(told, square, 1)[None], 0)
    return contract("...zm,zm->...m", moved, along)


def effective_attention(by_lag: ArrayLike, gains: ArrayLike, own: ArrayLike) -> Float[Array, "mode lag"]:
    """The weight with which a token read `lag` ago moves the probed residual along each mode; in theory zeta^lag.

    The weight is sum_h attention_h[lag] gain_h, plus, at lag 0, the gain of the token's own embedding, which the
    residual carries past the heads. Heads of opposite gain make the weight alternate in sign, as a negative zeta needs.

    Args:
        by_lag: `[head, lag]`, such as `last_row_by_lag(pattern)[0]`.
        gains: `[head, mode]`, `evidence_gains` of the heads' values; or `[lag, head, mode]`, with each token at its own
            position: for the last position `evidence_gains(probe(head_values(params)), ...)[::-1]`.
        own: `[mode]`, `evidence_gains` of the embedding.

    Raises:
        ValueError: gains or own of other heads, lags or modes.

    >>> effective_attention([[0.5, 0.25]], [[2.0]], [0.1]).round(3).tolist()
    [[1.1, 0.5]]
    """
    by_lag, gains, own = as_reals("by_lag", by_lag), as_reals("gains", gains), as_reals("own", own)
    if (
        by_lag.ndim != 2
        or own.ndim != 1
        or gains.shape not in (shape := (*by_lag.shape[:1], *own.shape), (by_lag.shape[1], *shape))
    ):
        raise ValueError(
            "effective_attention needs by_lag [head, lag], gains [head, mode] or [lag, head, mode] and own [mode]; got "
            f"shapes {by_lag.shape}, {gains.shape} and {own.shape}"
        )
    gains = jnp.broadcast_to(gains, (by_lag.shape[1], *gains.shape[-2:]))
    return contract("hl,lhm->ml", by_lag, gains).at[:, 0].add(own)


def regress_evidence(
    seen: ArrayLike, tokens: ArrayLike, evidence: ArrayLike, directions: ArrayLike, weights: ArrayLike | None = None
) -> Float[Array, "mode lag"]:
    """The measured counterpart of `effective_attention`: it holds even if attention changes from word to word.

    It is the slopes, by least squares over words, of seen u = constant + sum_lag weight[u, lag] evidence[z_lag] u.

    Args:
        seen: `[word, state]`, the last residual after attention, seen through the probe.
        tokens: `[word, time]`, all tokens that were read; the last column is lag 0.
        evidence: `[token, state]`, from `beliefs.constrained.evidence`.
        directions: u `[state, mode]`, from `evidence_modes`.
        weights: `[word]`; default equal.

    Raises:
        ValueError: mismatched rows, tokens without evidence, such as a BOS, or fewer words than lags; see `fit_probe`.

    >>> tokens = [[0, 0], [0, 1], [1, 0], [1, 1]]
    >>> regress_evidence([[1.0], [3.0], [5.0], [7.0]], tokens, [[-1.0], [1.0]], [[1.0]]).round(3).tolist()
    [[1.0, 2.0]]
    """
    seen, evidence, directions = (
        as_reals("seen", seen),
        as_reals("evidence", evidence),
        as_reals("directions", directions),
    )
    read = as_integers("tokens", tokens)
    if read.ndim != 2 or seen.ndim != 2:
        raise ValueError(f"tokens must be [word, time], seen [word, state]; got shapes {read.shape} and {seen.shape}")
    if (known := concrete(read)) is not None and not ((0 <= known) & (known < len(evidence))).all():
        raise ValueError(
            f"tokens must lie in 0..{len(evidence) - 1}, of which there is evidence; got {known.min():g} to "
            f"{known.max():g}: leave a BOS out"
        )
    told = contract("zi,im->mz", evidence, directions)[:, jnp.asarray(read)[:, ::-1]]
    sums = contract("ni,im->mn", seen, directions)
    return jnp.stack([fit_probe(one, sums[mode, :, None], weights).kernel[:, 0] for mode, one in enumerate(told)])


def _centred(name: str, vectors: ArrayLike, law: ArrayLike) -> tuple[Array, Array]:
    """Vectors `[..., token, axis]` about their mean under the law, and their magnitudes before, which set rounding."""
    vectors, shares = as_reals(name, vectors), as_reals("law", law)
    if shares.ndim != 1 or vectors.ndim < 2 or vectors.shape[-2] != len(shares):
        raise ValueError(f"{name} must be [..., token, state], law [token]; got {vectors.shape} and {shares.shape}")
    check_weights(law, len(shares))
    if (total := concrete(shares.sum())) is not None and abs(total - 1) > 1e-5:
        raise ValueError(f"law must sum to 1 over tokens; got {total:.6g}")
    mean = lambda values: contract("z,...zi->...i", shares, _counted(values, shares))[..., None, :]
    centred = vectors - mean(vectors)
    return centred - mean(centred), abs(vectors) + abs(mean(vectors))  # in two steps: a large offset costs digits


def _counted(vectors: Float[Array, "*batch token axis"], law: Float[Array, " token"]) -> Array:
    """The vectors with zeros for a token that cannot come first, whose evidence is NaN: it has no part in any mean."""
    return jnp.where(jnp.expand_dims(law > 0, (*range(vectors.ndim - 2), vectors.ndim - 1)), vectors, 0)


def _unit(centred: Float[Array, "... axis"], size: Float[Array, "... axis"]) -> Float[Array, "... axis"]:
    """The vectors at length 1; zeros where only rounding is left."""
    long = lengths(centred, -1)[..., None]
    long = jnp.where(only_rounding(long, lengths(size, -1)[..., None]), 0, long)
    return jnp.where(long == 0, 0, centred / jnp.where(long == 0, 1, long))
