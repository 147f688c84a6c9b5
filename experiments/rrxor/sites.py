"""What one site of a network holds: probes of the beliefs in sample and held out, and the pasts that it tells apart."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray
from scipy.spatial.distance import cdist

import beliefgeo as bg
from beliefgeo import probes, reading
from beliefgeo.probes.controls import Parts, PermutationTest, Rank
from beliefgeo.reading import Losses, Rows

# In-sample fits may have as many activations as prefixes; directions below this are rounding of float32.
RCOND = 1e-5
ALL, TWELVE = "concatenated", "all twelve"


class LawAlone(NamedTuple):
    """Scores of the exact next-token law, where every word and position counts equally: what the law alone reaches."""

    rank: Rank
    beliefs: int
    """The number of different beliefs after these prefixes."""
    laws: int
    r2: float
    """R2 of the affine probe of the beliefs."""
    distances: float
    """r2 between distances of laws and of beliefs."""


class Apart(NamedTuple):
    """Mean distances of activations after two pasts, as fractions of the mean distance after pasts of different laws.

    A fraction is NaN if there is no such pair, as for `equal_law` in Mess3, or if that mean distance is 0.
    """

    equal_law: float
    """For pasts of equal law and different belief; near 0 if the two are merged."""
    equal_belief: float
    """For pasts of equal belief; near 0 if the activations hold nothing else."""


class Site(NamedTuple):
    """Affine probes of the beliefs; every word and position counts equally unless the field says otherwise."""

    mse: float
    """The in-sample MSE, as published; the next three are in sample too."""
    r2: float
    distances: float
    """r2 between distances of probed and of true beliefs."""
    law_distances: float
    """r2 between distances of probed beliefs and of next-token laws."""
    held_out: Parts
    """Held-out R2 of the beliefs, of the part that the next-token law sees, and of the part that it cannot see."""
    likely: Parts
    """The same R2, with prefixes counted by their probability."""
    window: float
    """The number of tokens of context that explain as much of the beliefs, held out."""
    likely_window: float
    apart: Apart


class Found(NamedTuple):
    """The findings on one network: the loss, what each site holds, and whether all sites know more than the law."""

    losses: Losses
    sites: dict[str, Site]
    unseen: PermutationTest


def every_site(activations: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The six sites of the error bars, all six together, and the twelve sites of the distance panel together."""
    six = reading.by_layer(activations)
    twelve = reading.by_layer(activations, ("resid_pre", "resid_mid", "resid_post"))
    return six | {ALL: reading.concatenated(six), TWELVE: reading.concatenated(twelve)}


def law_alone(pairs_key: PRNGKeyArray, rows: Rows) -> LawAlone:
    """The scores of the law alone; the key draws the pairs of prefixes whose distances are compared."""
    laws, beliefs, counts = rows.laws, rows.beliefs, rows.counts
    distances = probes.compare_distances(pairs_key, laws, beliefs, weights=counts)
    score = bg.score_probe(bg.fit_probe(laws, beliefs, counts), laws, beliefs, counts)
    distinct = [len(np.unique(values.round(9), axis=0)) for values in (beliefs, laws)]
    return LawAlone(probes.law_rank(rows), distinct[0], distinct[1], float(score.r2), float(distances))


def fit(features: Float[Array, "row feature"], rows: Rows) -> bg.Probe:
    """The probe of the beliefs, on all rows."""
    return bg.fit_probe(features, rows.beliefs, rows.counts, rcond=RCOND)


def probed(features: Float[Array, "row feature"], rows: Rows) -> Float[np.ndarray, "row state"]:
    """The beliefs that the probe sees."""
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
