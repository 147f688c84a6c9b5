"""How many tokens a network needs, and how far the geometries of two networks are one linear map apart."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray
from vocabularies import Split, translate

import beliefgeo as bg
from beliefgeo import probes, reading
from beliefgeo.networks import Network
from beliefgeo.probes.held_out import by_folds
from beliefgeo.reading import Checkpoint, Reading, Rows, Seeds

LEVEL = 1e-3
"""The gap to be reached, in nats."""
SHUFFLED = "shuffled"


def layers(activations: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of all blocks side by side."""
    return {"layers": jnp.concatenate([*activations["resid_post"]], -1)}


def nothing(_: Mapping[str, Array]) -> dict[str, Array]:
    """No activations; a function with a name, so that reading is compiled once."""
    return {}


def gap(network: Reading, rows: Rows) -> float:
    """The loss above the optimum, from exact laws."""
    return float(reading.loss_gap(rows, network.log_laws).mean())


def tokens_to(tokens: Int[np.ndarray, " moment"], gaps: Float[np.ndarray, " moment"], level: float = LEVEL) -> float:
    """The training tokens at which the gap first falls to the level; infinity if it never does.

    Between two moments the logarithm of the gap is linear in the logarithm of the tokens, and in the tokens after the
    moment 0.
    """
    below = np.flatnonzero(gaps <= level)
    if not len(below):
        return np.inf
    if (moment := below[0]) == 0:
        return float(tokens[0])
    (early, late), (high, low) = tokens[moment - 1 : moment + 1], np.log(gaps[moment - 1 : moment + 1])
    share = (high - np.log(level)) / (high - low)
    return float(early ** (1 - share) * late**share if early else share * late)


def all_tokens_to(tokens: Int[np.ndarray, " moment"], curve: Seeds) -> Float[np.ndarray, " seed"]:
    """`tokens_to` of each seed."""
    return np.array([tokens_to(tokens, gaps) for gaps in curve.values])


def told(needed: Float[np.ndarray, " seed"]) -> str:
    """The geometric mean over the seeds that reached the gap, and how many did, as text."""
    reached = needed[np.isfinite(needed)]
    mean = f"{np.exp(np.log(reached).mean()) / 1000:,.0f}k" if len(reached) else "never"
    return f"{mean} ({len(reached)} of {len(needed)})"


class Ratio(NamedTuple):
    """How many times as many tokens, or nats, other networks need as networks with blocks of the same structure."""

    ratio: float
    """The geometric mean over seeds."""
    low: float
    """The lower end of Student's 95% interval, of the logarithms."""
    high: float
    """The upper end; infinity if a network did not reach the gap within the tokens it was given."""
    unreached: int
    """The number of networks that did not: they count as if they had at the end, so that the ratio is at least this."""

    def __str__(self) -> str:  # noqa: D105
        if np.isnan(self.ratio):
            return "not reached"
        if self.unreached:
            return f"at least {self.ratio:.2f} (from {self.low:.2f})"
        return f"{self.ratio:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(others: Float[np.ndarray, " seed"], same: Float[np.ndarray, " seed"], most: float) -> Ratio:
    """The ratio of tokens, seed by seed; NaN if a network with blocks of the same structure does not reach the gap.

    Args:
        others: the tokens of each seed; infinity if the gap was not reached.
        same: the tokens of the same seeds with blocks of the same structure.
        most: the tokens that every network was given.
    """
    unreached = int(np.isinf(others).sum())
    if np.isinf(same).any():
        return Ratio(np.nan, np.nan, np.nan, unreached)
    logs = Seeds(np.log(np.minimum(others, most) / same))
    low, high = (np.nan, np.nan) if logs.interval is None else np.exp(logs.interval)
    return Ratio(float(np.exp(logs.mean)), float(low), np.inf if unreached else float(high), unreached)


def map_r2(features: Float[Array, "row width"], wanted: Float[Array, "row other_width"], rows: Rows) -> float:
    """Held-out R2 of one affine map from what one network holds to what the other holds after corresponding words."""
    return probes.held_out(features, rows, rows.probabilities, targets=wanted).r2


def probe_r2(source: Float[Array, "row width"], target: Float[Array, "row width"], rows: Rows) -> float:
    """R2 of the belief probe of the source, applied as it is to the target, on words that did not fit it."""
    width = source.shape[1]

    def fit(features, beliefs, weights):
        probe = bg.fit_probe(features[:, :width], beliefs, weights, rcond=1e-4)
        return lambda left_out: probe(left_out[:, width:])

    both = jnp.concatenate([source, target], 1)
    return probes.held_out(both, rows, rows.probabilities, score=by_folds(fit)).r2


def merged(params: Any, image: Int[np.ndarray, " token"]) -> float:
    """The distance between embeddings of two tokens of one image, in units of that between tokens of different images.

    It is 1 if the network takes no notice that two tokens mean the same, and 0 if it takes them for one token.
    """
    embedding = np.asarray(params["params"]["embed"]["embedding"], np.float64)
    distances = np.linalg.norm(embedding[:, None] - embedding[None], axis=-1)
    same = image[:, None] == image
    return float(distances[same & ~np.eye(len(image), dtype=bool)].mean() / distances[~same].mean())


def copied(network: Network, params: Any, words: Rows, target: Split) -> float:
    """The gap of a network of the target whose tables are copied from the source: what frozen blocks can reach."""
    return gap(reading.read(network, translate(params, target), words, nothing), words)


def learning(checkpoints: Sequence[Checkpoint], rows: Rows) -> Seeds:
    """The gap of each seed at each moment of its training."""
    return reading.each(checkpoints, rows, lambda network: gap(network, rows), nothing)


def geometry(
    key: PRNGKeyArray, sources: Mapping[str, Checkpoint], targets: Mapping[str, Checkpoint], rows: Rows, words: Rows
) -> dict[str, Any]:
    """For each kind of target, R2 of one map from the source, and of the source's probe of beliefs.

    For targets trained from scratch also of maps from the controls.

    Args:
        key: draws the shuffle.
        sources: networks of the source, "same" first, read on its own words.
        targets: networks of the target.
        rows: the words of the source.
        words: the corresponding words of the target.
    """
    held = {
        name: [one.features["layers"] for one in reading.readings(net, rows, layers)] for name, net in sources.items()
    }
    keys = jax.random.split(key, len(held["same"]))
    held[SHUFFLED] = [
        probes.shuffle_beliefs(one, kept, rows.length) for one, kept in zip(keys, held["same"], strict=True)
    ]
    of_pairs = lambda measure, some, others: Seeds(np.array([measure(*two) for two in zip(some, others, strict=True)]))
    on_rows = lambda measure: lambda one, two: measure(one, two, rows)
    found = {}
    for kind, net in targets.items():
        wanted = [one.features["layers"] for one in reading.readings(net, words, layers)]
        compared = held if kind == "scratch" else {"same": held["same"]}
        found[kind] = {
            "map": {name: of_pairs(on_rows(map_r2), given, wanted) for name, given in compared.items()},
            "probe": of_pairs(on_rows(probe_r2), held["same"], wanted),
            "own probe": Seeds(np.array([probes.held_out(one, rows, rows.probabilities).r2 for one in wanted])),
        }
    return found
