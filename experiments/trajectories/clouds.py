"""The clouds that a probe sees, of true and of false targets, and paths through them."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

import beliefgeo as bg
from beliefgeo import probes, reading
from beliefgeo.reading import Reading, Rows

TRUE = "beliefs"
TARGETS = (TRUE, "another process", "random order", "smooth density")
SHOWN = [f"{name}, {side}" for name in TARGETS for side in ("exact", "probed")]


class Path(NamedTuple):
    """How well the probed path follows the true one, over all words by probability."""

    distance: float
    """The mean distance of the probed belief from the true belief, in units of the mean true step."""
    steps: float
    """The correlation of probed and true changes of belief, from one token to the next."""


def last(activations: Mapping[str, Array]) -> dict[str, Array]:
    """The output of the last layer."""
    return {"last": activations["resid_post"][-1]}


def targets(key: PRNGKeyArray, process: bg.Process, rows: Rows) -> dict[str, Float[np.ndarray, "row state"]]:
    """The beliefs, and three targets that only look like beliefs."""
    maps, order, points = jax.random.split(key, 3)
    another = bg.random_hmm(maps, process.n_states, process.vocab_size)
    smooth = jax.random.dirichlet(points, np.ones(process.n_states), (len(rows.word),))
    return {
        TRUE: rows.beliefs,
        "another process": reading.beliefs_after(another, rows),
        "random order": shuffled_order(order, process, rows),
        "smooth density": np.asarray(smooth, np.float64),
    }


def shuffled_order(key: PRNGKeyArray, process: bg.Process, rows: Rows) -> Float[np.ndarray, "row state"]:
    """The belief after the same tokens in random order, drawn for each prefix."""
    places = np.arange(rows.words.shape[1])
    draws = np.asarray(jax.random.uniform(key, (len(rows.word), len(places))))
    order = np.argsort(np.where(places < rows.length[:, None], draws, places + 1), axis=1)  # what follows stays behind
    words = np.take_along_axis(rows.words[rows.word], order, 1)
    beliefs = jax.jit(jax.vmap(lambda word: bg.filter_beliefs(process, word).beliefs))(words)
    return np.asarray(beliefs, np.float64)[np.arange(len(words)), rows.length]


def measure(network: Reading, rows: Rows, targets: Mapping[str, Float[np.ndarray, "row state"]]) -> dict:
    """The loss, the path, and the held-out R2 of the probe of every target."""
    features = network.features["last"]
    return {
        "gap": reading.losses(network, rows).gap,
        "path": path(probed(network, rows), rows),
        "r2": {name: probes.held_out(features, rows, rows.counts, targets=one).r2 for name, one in targets.items()},
    }


def probed(
    network: Reading, rows: Rows, target: Float[np.ndarray, "row state"] | None = None
) -> Float[np.ndarray, "row state"]:
    """What the probe of a target sees, in sample, every word and position counting equally; default: of the beliefs."""
    features, wanted = network.features["last"], rows.beliefs if target is None else target
    return np.asarray(bg.fit_probe(features, wanted, rows.counts, rcond=1e-5)(features))


def path(seen: Float[np.ndarray, "row state"], rows: Rows) -> Path:
    """Probed beliefs and their steps beside true ones."""
    parent = rows.parent
    child = np.flatnonzero(parent >= 0)
    steps = lambda beliefs: beliefs[child] - beliefs[parent[child]]
    size = lambda vectors: np.linalg.norm(vectors, axis=1)
    shares = rows.probabilities / rows.probabilities.sum()
    moved = shares[child] / shares[child].sum()
    true, probed = steps(rows.beliefs), steps(seen)
    along = lambda one, other: moved @ (one * other).sum(1)
    return Path(
        float(shares @ size(seen - rows.beliefs) / (moved @ size(true))),
        float(along(true, probed) / np.sqrt(along(true, true) * along(probed, probed))),
    )


def paths(
    key: PRNGKeyArray, rows: Rows, seen: Float[np.ndarray, "row state"], count: int
) -> dict[str, Float[np.ndarray, "word time state"] | Int[np.ndarray, "word time"]]:
    """True and probed beliefs along some words, drawn by probability."""
    whole = np.flatnonzero(rows.length == rows.length.max())
    chosen = np.asarray(jax.random.choice(key, whole, (count,), replace=False, p=rows.probabilities[whole]))
    row, along, parent = chosen, [], rows.parent
    while (row >= 0).all():
        along.append(row)
        row = parent[row]
    at = np.stack(along[::-1], 1)
    return {"words": rows.words[rows.word[chosen]], "exact": rows.beliefs[at], "probed": seen[at]}
