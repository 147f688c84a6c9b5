"""The measures of one network: its share of the gain of an ideal observer, variance by component, probed beliefs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

import beliefgeo as bg
from beliefgeo.mechanisms.attention import attention_rows, ideal_heads
from beliefgeo.networks import TransformerConfig
from beliefgeo.probes import held_out_folds, principal_components
from beliefgeo.probes.in_sample import Seen, read_components
from beliefgeo.reading import Reading, Rows, Seeds, loss_gap, losses, optimal_loss

SITES = ("mid", "output", "final_norm")
OF_THE_PAPER = "words of the last two lengths, equally"
"""The counting of prefixes that is compared with the published variances."""
_KINDS = ("constrained", "true")


class Gain(NamedTuple):
    """The gain of an ideal observer from 1 to context - 1 tokens, over knowing only how frequent tokens are. Nats."""

    optimum: float
    gain: float


class Loss(NamedTuple):
    """The loss of a network after 1 to context - 1 tokens."""

    gap: float
    """The loss above the optimum, in nats."""
    share: float
    """The share of what an ideal observer gains."""
    error: float | None
    """A bound on the standard error of the gap (errors of positions go together); None if all words are listed."""


class Score(NamedTuple):
    """R2 on the rows of the fit, as published, and held out by subtree."""

    r2: float
    held_out: float


def check(network: TransformerConfig) -> None:
    """Refuse a network that the claim is not about."""
    if (
        (network.layers, network.heads, network.layer_norm) != (1, 1, True)
        or not network.mlp_width
        or network.context < 7
    ):
        raise ValueError(
            "the claim is about one layer of one head, with LayerNorm and MLP, and lags up to 6: give layers 1, "
            f"heads 1, layer_norm, mlp_width above 0, context 7 or more; got {network}"
        )


def sites(activations: dict[str, Array]) -> dict[str, Array]:
    """The sites after the first attention and at the end (before and after its norm), and the attention."""
    return {
        "mid": activations["resid_mid"][0],
        "output": activations["resid_post"][-1],
        "final_norm": activations["final_norm"],
        "pattern": attention_rows(activations),
    }


def observer_gain(process: bg.Process, rows: Rows) -> Gain:
    """The gain of the ideal observer."""
    optimum = float(optimal_loss(rows)[:-1].mean())
    first = np.asarray(process.predict(process.initial), float)
    return Gain(optimum, float(-(first * np.log(first)).sum() - optimum))


def network_loss(network: Reading, rows: Rows, gain: float) -> Loss:
    """The loss of one network."""
    found = losses(network, rows)
    gap = float(found.gap_per_length[:-1].mean())
    return Loss(gap, 1 - gap / gain, None if found.error_per_length is None else found.error_per_length[:-1].mean())


def constrained_share(process: bg.Process, rows: Rows, constrained: np.ndarray, gain: float) -> float:
    """The share of the gain of an observer who predicts from exact constrained beliefs."""
    laws = jnp.log(constrained @ np.asarray(process.transitions).sum(2).T)
    return float(1 - loss_gap(rows, laws)[:-1].mean() / gain)


def longest(rows: Rows) -> Bool[np.ndarray, " row"]:
    """Words of the full length and of one token less: the words of the paper."""
    return rows.length >= rows.length.max() - 1


def countings(rows: Rows) -> dict[str, Float[np.ndarray, " row"]]:
    """Several weights of prefixes, because the paper does not say how it counts them."""
    last, near = rows.length == rows.length.max(), longest(rows)
    return {
        OF_THE_PAPER: near * 1.0,
        "words of the last two lengths, by probability": near * rows.probabilities,
        "words of the last length, equally": last * 1.0,
        "every prefix, equally": np.ones(len(near)),
    }


def variances(network: Reading, rows: Rows) -> dict[str, dict[str, Float[Array, " component"]]]:
    """Cumulative explained variance of components 1 to 5 at each site, under each counting."""
    cumulative = lambda site, weights: principal_components(network.features[site], weights).cumulative[:5]
    return {
        counting: {site: cumulative(site, weights) for site in SITES} for counting, weights in countings(rows).items()
    }


def read_beliefs(
    features: Mapping[str, Array], beliefs: Mapping[str, np.ndarray], rows: Rows, components: int
) -> dict[str, Seen]:
    """Both kinds of beliefs from the first principal components of two sites, over the longest words."""
    long = longest(rows)
    folds, targets = held_out_folds(rows)[long], {kind: beliefs[kind][long] for kind in _KINDS}
    return {
        f"{kind} beliefs from {site}": one
        for site in ("mid", "output")
        for kind, one in read_components(features[site][long], targets, folds, components).items()
    }


def scores(read: Mapping[str, Seen]) -> dict[str, Score]:
    """The scores of the probed beliefs."""
    return {name: Score(float(one.r2), float(one.held_out_r2)) for name, one in read.items()}


def distances(ours: Mapping[str, Any], published: Mapping[str, Sequence[float]]) -> dict[str, np.ndarray]:
    """The largest and the mean distance of the explained variance of components 1 to 3 from the published, by site."""
    far = {site: abs(ours[site].mean[:3] - np.array(known[:3])) for site, known in published.items()}
    return {site: np.array([one.max(), one.mean()]) for site, one in far.items()}


def asked_lags(heads: Any, zeta: float, lags: int) -> dict[str, Seeds]:
    """The attention of each head at those of the first lags that theory assigns to it; for 4 lags in words of length 4.

    `heads` is `Heads` with `Seeds` in every field.
    """
    by_lag = (heads.by_lag_of_4 if lags == 4 else heads.by_lag).values
    ideal = ideal_heads(zeta, by_lag.shape[1], 6)[:, :lags]
    return {f"head {index + 1}": Seeds(by_lag[:, index, np.flatnonzero(head)]) for index, head in enumerate(ideal)}
