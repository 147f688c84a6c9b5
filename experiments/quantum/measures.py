"""The published scoring of probed beliefs, and how soon its error falls."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from beliefgeo import reading
from beliefgeo.probes.in_sample import InSample, fit_probe_by_folds, in_sample_scores
from beliefgeo.reading import Checkpoint, Rows, Seeds

# The site: all layers side by side.
SITE = "all layers"
# The number of folds of the published cross-validation.
FOLDS = 10


def layers(activations: dict[str, Array]) -> dict[str, Array]:
    """The site that is probed."""
    return {SITE: reading.concatenated(reading.by_layer(activations, ("resid_post",)))}


def probed(
    features: Float[Array, "row feature"], beliefs: Float[Array | np.ndarray, "row state"], rows: Rows
) -> Float[Array, "row state"]:
    """What the paper's probe sees; it is fitted by probability to the very rows it is scored on."""
    folds = np.array_split(np.random.default_rng(0).permutation(len(beliefs)), FOLDS)
    return fit_probe_by_folds(features, beliefs, folds, rows.probabilities)(features)


def scores(
    pairs_key: PRNGKeyArray,
    features: Float[Array, "row feature"],
    beliefs: Float[Array | np.ndarray, "row state"],
    rows: Rows,
) -> InSample:
    """RMSE, R2 and cosine R2 of probed beliefs, by probability; the beliefs of bloch_walk are (1, b_x, b_z)."""
    return in_sample_scores(pairs_key, probed(features, beliefs, rows), beliefs, rows.probabilities)


def seen(checkpoint: Checkpoint, rows: Rows) -> Float[np.ndarray, "row state"]:
    """The beliefs that the probe of the first seed sees."""
    first = next(reading.readings(checkpoint, rows, layers))
    return np.asarray(probed(first.features[SITE], rows.beliefs, rows))


class Fall(NamedTuple):
    """How far the error of the probe has fallen by the last checkpoint within the first fifth of training."""

    tokens: int
    """The number of tokens of that checkpoint."""
    share: Seeds
    """The share of the fall from the untrained network to the end; more than 1 if the error rises again."""
    early: Seeds
    """The fall as a fraction of the untrained network's error."""
    whole: Seeds
    """The same fraction by the end."""


def fall(tokens: Int[np.ndarray, " checkpoint"], error: Float[np.ndarray, "seed checkpoint"]) -> Fall:
    """The fall from the untrained network, at 0 tokens, to the end."""
    fifth = np.flatnonzero(tokens <= tokens[-1] / 5)[-1]
    start, then, end = error[:, 0], error[:, fifth], error[:, -1]
    return Fall(
        int(tokens[fifth]), Seeds((start - then) / (start - end)), Seeds(1 - then / start), Seeds(1 - end / start)
    )
