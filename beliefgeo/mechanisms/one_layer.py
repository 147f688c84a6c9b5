"""What one attention layer holds, as reports: attention by lag, values beside evidence, what evidence weighs.

All is seen through the affine probe from the residual after the first attention to the constrained beliefs, where a
token read `lag` ago should weigh zeta^lag. Source: Piotrowski et al. 2502.01954.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from beliefgeo.beliefs.constrained import evidence
from beliefgeo.mechanisms.attention import fit_decay, last_row_by_lag, mean_pattern
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
from beliefgeo.reading.evaluation import Prefixes

# Of one network: `attention_rows` as "pattern" `[row, layer, head, read]`, `resid_mid[0]` as "mid" `[row, width]`.
Features = Mapping[str, Array]


def heads_report(
    process: Process,
    features: Features,
    params: Mapping[str, Any],
    constrained: Float[np.ndarray, "row state"],
    prefixes: Prefixes,
) -> dict[str, Any]:
    """Each head of the first layer by lag, its fading, its values beside the evidence, and what evidence weighs in all.

    What evidence weighs at each lag is found twice, as in `factors_report`: as measured, by regression of the residual
    on the tokens' evidence, over words of the full length; and by mean attention, from values and embedding. The probe
    is fitted on words of the full length and one less. Heads are ordered by their attention to even lags, the most
    first. Fading is fitted from lag 1, as the embedding brings lag 0 too, to 4; of two heads for a negative zeta at
    lags 2, 4, 6 and 1, 3, 5.

    Args:
        process: with real modes.
        features: of one network, "pattern" (`attention_rows`) and "mid" (`resid_mid[0]`).
        params: `params["params"]` of the same.
        constrained: `beliefs_after(partial(constrained_beliefs, process), prefixes)`.
        prefixes: from `evaluation.prefixes`, of 7 tokens or more.

    Raises:
        ValueError: features of several networks or other prefixes, a process without a mode, or too short a context.
    """
    _check_features(features, constrained, prefixes)
    pattern = mean_pattern(features["pattern"], prefixes)[0]
    by_lag, short = last_row_by_lag(pattern), last_row_by_lag(pattern[:, :4, :4])
    order = jnp.argsort(-by_lag[:, ::2].sum(1))
    told, law = evidence(process), process.predict(process.initial)
    modes = evidence_modes(process.transitions.sum(0))
    if not len(modes.zeta):
        raise ValueError("heads_report needs a process of two states or more: in one state no evidence fades")
    long = prefixes.length >= prefixes.length.max() - 1
    probe = fit_probe(features["mid"][long], constrained[long])
    see = _without_offset(probe)
    added = head_values(params).mean(0)  # [head, token, width], over positions
    values = see(added - added.mean(1, keepdims=True))  # what all tokens share, as the position, would cost digits
    gains = lambda seen: evidence_gains(seen, told, modes.directions, law)
    in_theory = effective_attention(by_lag, gains(values), gains(see(params["embed"]["embedding"])))
    last = prefixes.length == prefixes.length.max()
    words, share = prefixes.tokens[prefixes.word[last]], prefixes.probabilities[last]
    measured = regress_evidence(see(features["mid"][last]), words, told, modes.directions, share)
    parities = modes.zeta[0] < 0 and len(by_lag) == 2
    lags = ([2, 4, 6], [1, 3, 5]) if parities else [[1, 2, 3, 4]] * len(by_lag)
    fits = [fit_decay(head, fitted) for head, fitted in zip(by_lag[order], lags, strict=True)]
    return {
        "by lag": by_lag[order],
        "by lag, words of length 4": short[order],
        "decay": [fit.zeta for fit in fits],
        "decay, error of the fit": [fit.error for fit in fits],
        "values": values[order],
        "cosine of values and evidence": evidence_cosines(values, told, law).mean(1)[order],
        "weight of evidence by lag": measured.mean(0),
        "weight of evidence by lag, by mean attention": in_theory.mean(0),
    }


def factors_report(
    process: Product,
    features: Features,
    params: Mapping[str, Any],
    constrained: Float[np.ndarray, "row state"],
    prefixes: Prefixes,
) -> dict[str, Any]:
    """Attention by lag, and how evidence about each factor fades, in words of the full length.

    What evidence weighs at each lag is found twice: as measured, by regression of the residual on the tokens' evidence;
    and by mean attention, from values and embedding. zeta is fitted to it from lag 1 to the last but one. Heads with
    the shortest lags come first.

    Args:
        process: factors of one number of states, with real modes.
        features: of one network, "pattern" (`attention_rows`) and "mid" (`resid_mid[0]`).
        params: `params["params"]` of the same.
        constrained: `beliefs_after(partial(constrained_beliefs, process), prefixes)`.
        prefixes: from `evaluation.prefixes`, of 5 tokens or more.

    Raises:
        ValueError: features of several networks or other prefixes, or too short a context.
    """
    _check_features(features, constrained, prefixes)
    last = prefixes.length == prefixes.length.max()
    words, share = prefixes.tokens[prefixes.word[last]], prefixes.probabilities[last]
    by_lag = last_row_by_lag(mean_pattern(features["pattern"], prefixes)[0])
    order = jnp.argsort(by_lag @ jnp.arange(by_lag.shape[1]))
    moved = abs(features["pattern"][last][:, 0, :, ::-1] - by_lag[None]).sum(-1) / 2
    told, law = evidence(process), process.predict(process.initial)
    parts = [evidence_modes(joint(factor).transitions.sum(0)).directions for factor in process.factors]
    directions = jax.scipy.linalg.block_diag(*parts)
    mid, target = features["mid"][last], constrained[last]
    probe = fit_probe(mid, target, share)
    see = _without_offset(probe)
    gains = lambda added: evidence_gains(see(added), told, directions, law)
    # Of the last position: lag 0 is read at the last one, so positions run backwards.
    in_theory = effective_attention(by_lag, gains(head_values(params))[::-1], gains(params["embed"]["embedding"]))
    by_factor = lambda weights: np.asarray(weights).reshape(len(parts), -1, len(words[0])).mean(1)
    measured = by_factor(regress_evidence(see(mid), words, told, directions, share))
    expected = by_factor(in_theory)
    faded = lambda weights: [fit_decay(one, range(1, len(one) - 1)).zeta for one in weights]
    return {
        "attention by lag": by_lag[order],
        "attention that moves with the words": (share @ moved)[order],
        "r2 of constrained beliefs": score_probe(probe, mid, target, share).r2,
        "weight of evidence": measured,
        "weight of evidence, by mean attention": expected,
        "zeta": faded(measured),
        "zeta, by mean attention": faded(expected),
    }


def _check_features(features: Features, constrained: Float[np.ndarray, "row state"], prefixes: Prefixes) -> None:
    rows, axes = len(prefixes.length), {"pattern": 4, "mid": 2}
    shapes = {name: np.shape(features[name]) for name in axes}
    if len(constrained) != rows or any(shapes[name][:1] != (rows,) or len(shapes[name]) != axes[name] for name in axes):
        raise ValueError(
            "one network's features must be pattern [row, layer, head, read] and mid [row, width], beside constrained "
            f"beliefs [row, state], for {rows} prefixes; got shapes {shapes} and {np.shape(constrained)}"
        )


def _without_offset(probe: Probe) -> Probe:
    """What is the same for every token says nothing, and only costs digits."""
    return probe._replace(bias=jnp.zeros_like(probe.bias))
