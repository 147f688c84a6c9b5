"""What one attention layer holds, as reports: attention by lag, values beside evidence, the weight of evidence by lag.

Everything is seen through the affine probe from the residual after the first attention to the constrained beliefs,
where a token read `lag` ago should have the weight zeta^lag. Source: Piotrowski et al. 2502.01954.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from beliefgeo.beliefs.constrained import evidence
from beliefgeo.mechanisms.attention import attention_rows, fit_decay, last_row_by_lag, mean_pattern
from beliefgeo.mechanisms.evidence import (
    effective_attention,
    evidence_cosines,
    evidence_gains,
    evidence_modes,
    head_values,
    regress_evidence,
)
from beliefgeo.probes.least_squares import Probe, fit_probe, score_probe
from beliefgeo.processes.factored import Product, joint
from beliefgeo.processes.process import Process
from beliefgeo.reading.read import Reading
from beliefgeo.reading.rows import Rows


class Heads(NamedTuple):
    """The heads of the first layer, ordered by their attention to even lags, largest first.

    Attributes:
        by_lag: Mean attention of the last position.
        by_lag_of_4: Mean attention of the last position in words of length 4.
        decay: The fitted fading, over lags 1 to 4, because the embedding brings lag 0 too. For two heads and a negative
            zeta the lags are 2, 4, 6 and 1, 3, 5.
        decay_error: The standard error of the fading.
        values: What each head adds for a token, seen through the probe.
        cosine: The cosine between values and evidence, mean over tokens.
        weight_by_lag: The measured weight of evidence: by regression of the residual on the tokens' evidence.
        weight_by_mean_attention: The weight of evidence computed from values, embedding and mean attention.
    """

    by_lag: Float[Array, "head lag"]
    by_lag_of_4: Float[Array, "head lag"]
    decay: Float[np.ndarray, " head"]
    decay_error: Float[np.ndarray, " head"]
    values: Float[Array, "head token state"]
    cosine: Float[Array, " head"]
    weight_by_lag: Float[Array, " lag"]
    weight_by_mean_attention: Float[Array, " lag"]


class Factors(NamedTuple):
    """How evidence about each factor fades, in words of the full length; heads with the shortest lags come first.

    Attributes:
        by_lag: Mean attention of the last position.
        moves: How much attention moves with the words.
        constrained_r2: R2 of the probe of constrained beliefs, in sample.
        weight: The measured weight of evidence: by regression of the residual on the tokens' evidence.
        weight_by_mean_attention: The weight of evidence computed from values, embedding and mean attention.
        zeta: zeta fitted to `weight` from lag 1 to the last lag but one.
        zeta_by_mean_attention: The same for `weight_by_mean_attention`.
    """

    by_lag: Float[Array, "head lag"]
    moves: Float[Array, " head"]
    constrained_r2: Float[Array, ""]
    weight: Float[np.ndarray, "factor lag"]
    weight_by_mean_attention: Float[np.ndarray, "factor lag"]
    zeta: Float[np.ndarray, " factor"]
    zeta_by_mean_attention: Float[np.ndarray, " factor"]


def layer_sites(activations: dict[str, Array]) -> dict[str, Array]:
    """The activations that `heads_of_layer` and `factors_of_layer` need: a `select` for `read`."""
    return {"mid": activations["resid_mid"][0], "pattern": attention_rows(activations)}


def heads_of_layer(
    reading: Reading, rows: Rows, process: Process, constrained: Float[np.ndarray, "row state"]
) -> Heads:
    """The heads of the first layer by lag, their fading, their values beside the evidence, and the weight of evidence.

    The weight of evidence at each lag is found in two ways: by measurement, as a regression of the residual on the
    tokens' evidence over words of the full length; and by computation from mean attention, values and embedding. The
    probe is fitted on words of the full length and of one token less. Heads are ordered by their attention to even
    lags, largest first. Fading is fitted over lags 1 to 4, because the embedding brings lag 0 too. For two heads and a
    negative zeta the lags are 2, 4, 6 and 1, 3, 5.

    Args:
        reading: the reading of one `Transformer`, at `layer_sites`.
        rows: rows of 7 tokens or more.
        process: a process with real modes.
        constrained: `beliefs_after(partial(constrained_beliefs, process), rows)`.

    Raises:
        ValueError: features of several networks or other rows, a process without a mode, or too short a context.
    """
    features, params = _check_reading(reading, constrained, rows)
    pattern = mean_pattern(features["pattern"], rows)[0]
    by_lag, short = last_row_by_lag(pattern), last_row_by_lag(pattern[:, :4, :4])
    order = jnp.argsort(-by_lag[:, ::2].sum(1))
    told, law = evidence(process), process.predict(process.initial)
    modes = evidence_modes(process.transitions.sum(0))
    if not len(modes.zeta):
        raise ValueError("heads_of_layer needs a process of two states or more: in one state no evidence fades")
    long = rows.length >= rows.length.max() - 1
    probe = fit_probe(features["mid"][long], constrained[long])
    see = _without_offset(probe)
    added = head_values(params).mean(0)  # [head, token, width], mean over positions
    values = see(added - added.mean(1, keepdims=True))  # what all tokens share, such as the position, would cost digits
    gains = lambda seen: evidence_gains(seen, told, modes.directions, law)
    in_theory = effective_attention(by_lag, gains(values), gains(see(params["embed"]["embedding"])))
    last = rows.length == rows.length.max()
    words, share = rows.tokens[rows.word[last]], rows.probabilities[last]
    measured = regress_evidence(see(features["mid"][last]), words, told, modes.directions, share)
    parities = modes.zeta[0] < 0 and len(by_lag) == 2
    lags = ([2, 4, 6], [1, 3, 5]) if parities else [[1, 2, 3, 4]] * len(by_lag)
    fits = [fit_decay(head, fitted) for head, fitted in zip(by_lag[order], lags, strict=True)]
    return Heads(
        by_lag[order],
        short[order],
        np.array([fit.zeta for fit in fits]),
        np.array([fit.error for fit in fits]),
        values[order],
        evidence_cosines(values, told, law).mean(1)[order],
        measured.mean(0),
        in_theory.mean(0),
    )


def factors_of_layer(
    reading: Reading, rows: Rows, process: Product, constrained: Float[np.ndarray, "row state"]
) -> Factors:
    """Attention by lag, and how evidence about each factor fades, in words of the full length.

    The weight of evidence at each lag is found in two ways: by measurement, as a regression of the residual on the
    tokens' evidence; and by computation from mean attention, values and embedding. zeta is fitted to the weights from
    lag 1 to the last lag but one. Heads with the shortest lags come first.

    Args:
        reading: the reading of one `Transformer`, at `layer_sites`.
        rows: rows of 5 tokens or more.
        process: factors with the same number of states and real modes.
        constrained: `beliefs_after(partial(constrained_beliefs, process), rows)`.

    Raises:
        ValueError: features of several networks or other rows, or too short a context.
    """
    features, params = _check_reading(reading, constrained, rows)
    last = rows.length == rows.length.max()
    words, share = rows.tokens[rows.word[last]], rows.probabilities[last]
    by_lag = last_row_by_lag(mean_pattern(features["pattern"], rows)[0])
    order = jnp.argsort(by_lag @ jnp.arange(by_lag.shape[1]))
    moved = abs(features["pattern"][last][:, 0, :, ::-1] - by_lag[None]).sum(-1) / 2
    told, law = evidence(process), process.predict(process.initial)
    parts = [evidence_modes(joint(factor).transitions.sum(0)).directions for factor in process.factors]
    directions = jax.scipy.linalg.block_diag(*parts)
    mid, target = features["mid"][last], constrained[last]
    probe = fit_probe(mid, target, share)
    see = _without_offset(probe)
    gains = lambda added: evidence_gains(see(added), told, directions, law)
    # For the last position: lag 0 is at the last position, so positions run backwards.
    in_theory = effective_attention(by_lag, gains(head_values(params))[::-1], gains(params["embed"]["embedding"]))
    by_factor = lambda weights: np.asarray(weights).reshape(len(parts), -1, len(words[0])).mean(1)
    measured = by_factor(regress_evidence(see(mid), words, told, directions, share))
    expected = by_factor(in_theory)
    faded = lambda weights: np.array([fit_decay(one, range(1, len(one) - 1)).zeta for one in weights])
    return Factors(
        by_lag[order],
        (share @ moved)[order],
        score_probe(probe, mid, target, share).r2,
        measured,
        expected,
        faded(measured),
        faded(expected),
    )


def _check_reading(
    reading: Reading, constrained: Float[np.ndarray, "row state"], rows: Rows
) -> tuple[dict[str, Array], Any]:
    """Features and params; raises unless they come from one `Transformer` on these rows."""
    count, axes = len(rows.length), {"pattern": 4, "mid": 2}
    shapes = {name: np.shape(reading.features[name]) if name in reading.features else () for name in axes}
    if len(constrained) != count or any(
        shapes[name][:1] != (count,) or len(shapes[name]) != axes[name] for name in axes
    ):
        raise ValueError(
            "one network's features must be pattern [row, layer, head, read] and mid [row, width], beside constrained "
            f"beliefs [row, state], for {count} rows; got shapes {shapes} and {np.shape(constrained)}: read it with "
            "select=layer_sites"
        )
    if reading.params is None:
        raise ValueError(
            "what heads write is computed from params; got a reading without them: take it by reading.read"
        )
    return reading.features, reading.params["params"]


def _without_offset(probe: Probe) -> Probe:
    """The probe without its offset, which is the same for every token and only costs digits."""
    return probe._replace(bias=jnp.zeros_like(probe.bias))
