"""How well probes see each factor's belief, and how many dimensions the activations fill."""

from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

import beliefgeo as bg
from beliefgeo import probes, reading
from beliefgeo.probes.subspaces import Subspaces, factor_subspaces
from beliefgeo.reading import Seeds


class Truth(NamedTuple):
    """What a probe should see after each prefix: the factors' beliefs side by side, and the factor of each entry."""

    rows: reading.Rows
    beliefs: Float[np.ndarray, "row entry"]
    factor: Int[np.ndarray, " entry"]


class Snapshot(NamedTuple):
    """One network at one moment of its training."""

    losses: reading.Losses
    dimensions: int
    """The number of principal components for 95% of the variance."""
    rmse: Float[np.ndarray, " factor"]
    """The RMSE of one affine probe of all factors' beliefs, on the rows of its fit."""
    varied: Subspaces
    """Subspaces of what one factor alone moves: `subspaces.factor_subspaces`."""


class Judged(NamedTuple):
    """Scores of one network by probes that never saw the first three tokens of a word, and by a probe of all rows."""

    held_out: Float[np.ndarray, " factor"]
    """The RMSE after three tokens or more."""
    shuffled: Float[np.ndarray, " factor"]
    """The RMSE of shuffled beliefs after three tokens or more."""
    seen: Float[np.ndarray, "row entry"]
    """The beliefs as the probe fitted to all rows sees them."""


class Components(NamedTuple):
    """The number of principal components for 95% of the variance of exact beliefs and logits."""

    joint: int
    """Beliefs about all factors at once."""
    factored: int
    """The factors' own beliefs side by side."""
    log_laws: int
    """The logits of an exact predictor."""


class Errors(NamedTuple):
    """Root mean squared errors, as means over the factors of one name."""

    trained: Seeds
    untrained: Seeds
    held_out: Seeds
    held_out_untrained: Seeds
    shuffled: Seeds
    """The held-out error of shuffled beliefs."""
    mean_belief: Any
    """The error of a constant guess, the mean belief."""


def side_by_side(rows: reading.Rows, beliefs: Sequence[Any]) -> Truth:
    """The beliefs of all factors as targets of one probe."""
    entries = np.repeat(np.arange(len(beliefs)), [one.shape[1] for one in beliefs])
    return Truth(rows, np.concatenate(beliefs, 1), entries)


def study(network: reading.Reading, features: Array, varied: Array, truth: Truth) -> Snapshot:
    """All numbers of one network; `varied` are its activations on the words of `vary_one`."""
    return Snapshot(
        reading.losses(network, truth.rows),
        probes.effective_dimension(features, truth.rows.counts),
        rmse(probed(features, truth), truth.beliefs, truth.factor, truth.rows.counts),
        factor_subspaces(varied),
    )


def judge(features: Array, truth: Truth, shuffled: Truth) -> Judged:
    """The controls of one network."""
    return Judged(rmse_held_out(features, truth), rmse_held_out(features, shuffled), probed(features, truth))


def errors(names: Sequence[str], shots: Any, trained: Any, untrained: Any, truth: Truth) -> dict[str, Errors]:
    """All errors, by the name of the factors; `shots` are the snapshots of all seeds, the others judged networks."""
    mean_belief = np.average(truth.beliefs, 0, truth.rows.counts)[None]
    each = Errors(
        Seeds(shots.rmse.values[:, -1]),
        Seeds(shots.rmse.values[:, 0]),
        trained.held_out,
        untrained.held_out,
        trained.shuffled,
        rmse(mean_belief, truth.beliefs, truth.factor, truth.rows.counts),
    )
    mean = lambda name: jax.tree.map(lambda values: values[..., np.array(names) == name].mean(-1), each)
    return {name: mean(name) for name in dict.fromkeys(names)}


def components(truth: Truth, beliefs: Sequence[Any] | None) -> Components:
    """The components of the exact beliefs and laws; under noise the joint belief is the belief of the rows."""
    joint = truth.rows.beliefs if beliefs is None else jax.vmap(lambda *parts: reduce(jnp.kron, parts))(*beliefs)
    logits = np.log(truth.rows.laws)
    logits = logits - logits.mean(1, keepdims=True)  # a shift of all changes no prediction
    return Components(*(probes.effective_dimension(one, truth.rows.counts) for one in (joint, truth.beliefs, logits)))


def probed(features: Array, truth: Truth) -> Float[np.ndarray, "row entry"]:
    """The factors' beliefs as one affine probe sees them, fitted to all these prefixes."""
    return np.asarray(bg.fit_probe(features, truth.beliefs, truth.rows.counts)(features))


def rmse(
    seen: Float[np.ndarray, "_ entry"],
    beliefs: Float[np.ndarray, "row entry"],
    factor: Int[np.ndarray, " entry"],
    weights: np.ndarray,
) -> Float[np.ndarray, " factor"]:
    """The root mean squared error of the entries of each factor's belief; without the trace of Bloch vectors."""
    squared = np.average((seen.astype(float) - beliefs) ** 2, 0, weights)
    moves = beliefs.std(0) > 1e-6
    return np.sqrt(np.bincount(factor[moves], squared[moves]) / np.bincount(factor[moves]))


def rmse_held_out(features: Array, truth: Truth) -> Float[np.ndarray, " factor"]:
    """The RMSE after three tokens or more, by probes that never saw a word with these first three tokens."""
    folds = probes.held_out_folds(truth.rows)
    seen = np.asarray(probes.nested()(features, truth.beliefs, folds, truth.rows.counts))
    judged = folds >= 0
    return rmse(seen[judged], truth.beliefs[judged], truth.factor, truth.rows.counts[judged])


def optimum(factors: Any, rows: reading.Rows) -> dict[str, Any]:
    """The least possible loss over these words, and exactly for independent factors, whose entropies add up. Nats."""
    over_words = {"over the words": float(reading.optimal_loss(rows).mean())}
    if factors is None:
        return over_words
    longest = int(rows.length.max()) + 1
    exact = np.sum([np.asarray(bg.myopic_entropies(part, longest)) for part in factors], 0)
    return over_words | {"but the last": exact[:-1].mean(), "exact": exact.mean(), "per position": exact}
