"""What one site of a network holds: probes of the beliefs in sample and held out, and which pasts it tells apart."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray
from scipy.spatial.distance import cdist

import beliefgeo as bg
from beliefgeo import probes, reading
from beliefgeo.probes.controls import Parts, PermutationTest, Rank
from beliefgeo.reading import Losses, Rows

# In-sample fits with as many activations as prefixes: directions below this are the rounding of float32.
RCOND = 1e-5
ALL, TWELVE = "concatenated", "all twelve"


class LawAlone(NamedTuple):
    """The exact next-token law, every word and position equally: what a network that knew no more would hold."""

    rank: Rank
    beliefs: int
    """How many there are after these prefixes."""
    laws: int
    r2: float
    """Of the affine probe of the beliefs."""
    distances: float
    """r2 with those of beliefs."""


class Apart(NamedTuple):
    """Mean distances of activations after two pasts, as fractions of that after pasts of different laws.

    NaN where there is no such pair, as of the first in Mess3, or where pasts of different laws are no distance apart.
    """

    equal_law: float
    """And different belief: near 0 where the two are merged."""
    equal_belief: float
    """Near 0 if the activations hold nothing else."""


class Site(NamedTuple):
    """Affine probes of the beliefs, every word and position equally where nothing else is said."""

    mse: float
    """In sample, as published, like the next three."""
    r2: float
    distances: float
    """r2 between distances of probed and of true beliefs."""
    law_distances: float
    """r2 between distances of probed beliefs and of next-token laws."""
    held_out: Parts
    """R2 of the beliefs, and of what the next-token law sees and cannot see of them."""
    likely: Parts
    """The same, prefixes by their probability."""
    window: float
    """The tokens of context that explain as much of the beliefs, held out."""
    likely_window: float
    apart: Apart


class Found(NamedTuple):
    """Of one network: the loss, what each site holds, and whether all of them know more than the next-token law."""

    losses: Losses
    sites: dict[str, Site]
    unseen: PermutationTest


def every_site(activations: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The six sites of the error bars and all of them, and the twelve of the distance panel."""
    six = reading.by_layer(activations)
    twelve = reading.by_layer(activations, ("resid_pre", "resid_mid", "resid_post"))
    return six | {ALL: reading.concatenated(six), TWELVE: reading.concatenated(twelve)}


def law_alone(pairs_key: PRNGKeyArray, rows: Rows) -> LawAlone:
    """How far the law goes; the key draws the pairs of prefixes whose distances are compared."""
    laws, beliefs, counts = rows.laws, rows.beliefs, rows.counts
    distances = probes.compare_distances(pairs_key, laws, beliefs, weights=counts)
    score = bg.score_probe(bg.fit_probe(laws, beliefs, counts), laws, beliefs, counts)
    distinct = [len(np.unique(values.round(9), axis=0)) for values in (beliefs, laws)]
    return LawAlone(probes.law_rank(rows), distinct[0], distinct[1], float(score.r2), float(distances))


def fit(features: Float[Array, "row feature"], rows: Rows) -> bg.Probe:
    """The probe of the beliefs, on all rows."""
    return bg.fit_probe(features, rows.beliefs, rows.counts, rcond=RCOND)


def probed(features: Float[Array, "row feature"], rows: Rows) -> Float[np.ndarray, "row state"]:
    """The beliefs that it sees."""
    return np.asarray(fit(features, rows)(features))


def score_site(pairs_key: PRNGKeyArray, features: Float[Array, "row feature"], rows: Rows) -> Site:
    """All scores of one site; the key draws the pairs of prefixes whose distances are compared."""
    probe = fit(features, rows)
    score = bg.score_probe(probe, features, rows.beliefs, rows.counts)
    distances = lambda truth: probes.compare_distances(pairs_key, probe(features), truth, weights=rows.counts)
    held_out, likely = (probes.score_parts(features, rows, weights) for weights in (rows.counts, rows.probabilities))
    curves = probes.window_curves(rows).values()
    windows = [
        probes.equivalent_window(1 - parts.r2, curve) for parts, curve in zip((held_out, likely), curves, strict=True)
    ]
    return Site(
        float(score.mse),
        float(score.r2),
        float(distances(rows.beliefs)),
        float(distances(rows.laws)),
        held_out,
        likely,
        windows[0],
        windows[1],
        apart(features, rows),
    )


def apart(features: Float[Array, "row feature"], rows: Rows) -> Apart:
    """Distances over pairs of prefixes of equal length, each pair once."""
    cloud = np.asarray(features, np.float64)
    same_law, same_belief = _alike(rows.laws), _alike(rows.beliefs)
    pairs = np.triu(_alike(rows.length[:, None]), 1)
    distance = cdist(cloud, cloud)
    mean = lambda chosen: distance[pairs & chosen].mean() if (pairs & chosen).any() else np.nan
    unit = mean(~same_law) or np.nan
    return Apart(mean(same_law & ~same_belief) / unit, mean(same_belief) / unit)


def _alike(values: Num[np.ndarray, "row column"]) -> Bool[np.ndarray, "row other"]:
    return np.all(abs(values[:, None] - values[None]) < 1e-6, axis=-1)
