"""A process from what a model expects: one matrix for each token, and as few dimensions as its predictions need."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from beliefgeo.arrays import ArrayLike
from beliefgeo.discovery.futures import Futures
from beliefgeo.discovery.subspace import PredictiveSubspace, predictive_subspace
from beliefgeo.processes.process import Process
from beliefgeo.processes.stationary import nearest_unit_vector

# A dimension counts if it brings the divergence down to this share of the smallest so far.
_FIVEFOLD = 0.2
# A process is no account of a model if it leaves more than this share of what the past tells unexplained.
_UNEXPLAINED = 0.01
# Singular values below this share of the largest are rounding.
_RANK = 1e-12
# A divergence below this is rounding.
_ROUNDING = 1e-12
# A word without a positive probability counts as this share of the probability that it should have.
_FLOOR = 1e-9


class Found(NamedTuple):
    """A process read off a model.

    Attributes:
        process: Its states are (1, y): the readout is (1, 0, ..).
        dimension: The number of dimensions of y.
        divergences: KL from the model's words to those of the process of 0, 1, 2, .. dimensions, nats a token.
        unexplained: The share of the divergence from independent tokens that is left by the process of the dimension
            that `choose_dimension` names, or that was asked for. Above 1% no dimension is chosen by itself.
        points: y after each prefix.
        subspace: The directions in which futures differ, from which the process was read.
    """

    process: Process
    dimension: int
    divergences: Float[np.ndarray, " dimension"]
    unexplained: float
    points: Float[np.ndarray, "row dimension"]
    subspace: PredictiveSubspace


def choose_dimension(divergences: ArrayLike) -> int:
    """The last number of dimensions that lowers the smallest divergence so far at least fivefold; 0 if none does.

    A test of significance asks another question, whether a dimension is real, and the errors of a network are: they
    have as many dimensions as there are futures. This rule asks which dimensions matter.

    Args:
        divergences: `[dimension]`, from the model to the process of 0, 1, 2, .. dimensions.

    Raises:
        ValueError: divergences that are NaN or infinite, or none.

    >>> choose_dimension([0.3, 0.4, 1e-4, 5e-5]), choose_dimension([0.03, 0.02, 0.01])
    (2, 0)
    """
    values = np.asarray(divergences, np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"divergences must be finite numbers, for 0, 1, 2, .. dimensions; got {divergences}")
    best, chosen = values[0], 0
    for dimension, value in enumerate(values[1:], 1):
        if value <= _FIVEFOLD * best and best > _ROUNDING:
            chosen = dimension
        best = min(best, value)
    return chosen


def discover_process(
    futures: Futures,
    dimension: int | None = None,
    *,
    most: int = 8,
    memory: float | int = 1e-3,
    resolution: float | int = 1e-4,
    activations: ArrayLike | None = None,
    after: ArrayLike | None = None,
) -> Found:
    """The process whose matrices map what a model expects after a prefix to what it expects after the next token.

    With y(w) the coordinates of the futures in the predictive subspace and z(w) = (1, y(w)), every token x has one
    matrix with

        q(x | w) z(w x) = z(w) T^(x)

    by weighted least squares over the prefixes. As the laws add up to 1, sum_x T^(x) readout = readout, exactly. The
    start is z of the empty word; from activations, which a network without a BOS lacks there, it is the stationary
    vector nearest to their mean. Improbable words may have small negative probabilities: nothing is clipped.

    Args:
        futures: from `future_laws`.
        dimension: of y; default: by `choose_dimension`, or 0 if the process of that dimension leaves more than 1% of
            the divergence from independent tokens: then no process of up to `most` dimensions accounts for the model.
        most: the largest number of dimensions to try.
        memory: the divergence from independent tokens, nats a token, below which a model counts as having no memory:
            no dimension is chosen. Untrained LSTMs have up to .0009.
        resolution: the share of the divergence from independent tokens that counts as the model's errors: no dimension
            is looked for in it. 0 for a model without errors: a dimension may tell less than a ten-thousandth.
        activations: `[row, width]`, to take y from the activations after each prefix, instead of from the outputs.
        after: `[row, token, width]`, the activations after each prefix and each next token; a token that the model
            never emits may have NaN.

    Raises:
        ValueError: more dimensions than the prefixes, the futures or the activations have; activations without `after`,
            or of other rows.

    Source: observable operator models, Jaeger 2000; predictive state representations, Littman, Sutton & Singh 2001.

    >>> from beliefgeo.discovery.futures import future_laws
    >>> from beliefgeo.discovery.models import process_laws
    >>> from beliefgeo.processes.classical import mess3
    >>> found = discover_process(future_laws(process_laws(mess3()), 4, 3))
    >>> found.dimension, np.linalg.eigvals(np.asarray(found.process.transitions).sum(0)).real.round(3).tolist()
    (2, [1.0, 0.85, 0.85])
    """
    _check_after(futures, activations, after, most)
    subspace = predictive_subspace(futures, activations)
    values = subspace.singular_values
    possible = min(int((values > _RANK * values[:1].max(initial=0)).sum()), len(futures.words) - 1)
    if dimension is not None and not 0 <= dimension <= possible:
        raise ValueError(
            f"dimension must lie in 0..{possible}, fewer than there are prefixes ({len(futures.words)}), futures "
            f"({futures.futures.shape[1]}) and directions that differ; got {dimension}: take longer prefixes or futures"
        )
    fits = []
    for size in range((min(most, possible) if dimension is None else dimension) + 1):
        if activations is None or after is None:
            fits.append(_operators(*_from_outputs(futures, subspace, size)))
        else:
            fits.append(_operators(*_from_activations(futures, subspace, size, activations, after)))
    divergences = np.array([_divergence_of_words(futures, *fit) for fit in fits])
    chosen = choose_dimension(_resolved(divergences, resolution)) if dimension is None else dimension
    unexplained = float(divergences[chosen] / divergences[0]) if divergences[0] > _ROUNDING else 0.0
    if dimension is None and (unexplained > _UNEXPLAINED or divergences[0] < memory):
        chosen = 0
    maps, initial = fits[chosen]
    given = futures.futures if activations is None else activations
    readout = np.eye(chosen + 1)[0]
    # Not `ghmm`, which refuses words of negative probability: what is read off a network has them at first.
    process = Process(jnp.asarray(maps, float), jnp.asarray(initial, float), jnp.asarray(readout, float))
    return Found(process, chosen, divergences, unexplained, subspace.points(given, chosen), subspace)


def _resolved(divergences: np.ndarray, resolution: float | int) -> np.ndarray:
    """The divergences up to the first that counts as the model's errors."""
    reached = np.flatnonzero(divergences <= resolution * divergences[0])
    return divergences[: reached[0] + 1] if len(reached) else divergences


def _check_after(futures: Futures, activations: ArrayLike | None, after: ArrayLike | None, most: int) -> None:
    if most < 0:
        raise ValueError(f"most must be 0 or more dimensions; got {most}")
    if activations is None:
        return
    needed = (len(futures.words), futures.vocab_size, np.shape(activations)[-1])
    if after is None or np.shape(after) != needed:
        raise ValueError(
            f"activations need `after`, the activations {needed} after each prefix and each next token; got "
            f"{'none' if after is None else np.shape(after)}"
        )
    if not np.isfinite(np.asarray(after)[futures.laws > 0]).all():
        raise ValueError("after must be finite; got NaN or infinite entries after a token that the model emits")


def _from_outputs(futures: Futures, subspace: PredictiveSubspace, size: int) -> tuple[np.ndarray, ...]:
    """z(w) `[row, state]`, q(x | w) z(w x) `[row, token, state]`, the weights, and the start."""
    # q(x | w) y(w x) is linear in q(x u | w), so that nothing is divided by an improbable token.
    laws = futures.laws[..., None]
    moved = (futures.after - laws * subspace.mean) @ subspace.directions[:, :size]
    states = _with_one(subspace.points(futures.futures, size))
    return states, np.concatenate([laws, moved], -1), futures.weights, states[0]


def _from_activations(
    futures: Futures, subspace: PredictiveSubspace, size: int, activations: ArrayLike, after: ArrayLike
) -> tuple[np.ndarray, ...]:
    laws = futures.laws[..., None]
    states = _with_one(subspace.points(activations, size))
    moved = laws * np.where(laws > 0, _with_one(subspace.points(after, size)), 0)
    known = np.atleast_1d(np.isfinite(states).all(1))
    weights = futures.weights[known] / futures.weights[known].sum()
    start = states[0] if known[0] else np.full(size + 1, np.nan)
    return states[known], moved[known], weights, start


def _with_one(points: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((*points.shape[:-1], 1)), points], -1)


def _operators(
    points: np.ndarray, moved: np.ndarray, weights: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The matrices `[token, state, state]`, and the initial vector."""
    root, states = np.sqrt(weights)[:, None], points.shape[1]
    # The same rows and weights for all tokens, so that the matrices of all tokens add up.
    maps = np.linalg.lstsq(root * points, root * moved.reshape(len(moved), -1), rcond=1e-9)[0]
    maps = maps.reshape(states, -1, states).transpose(1, 0, 2)
    if np.isfinite(start).all():
        return maps, start
    start = nearest_unit_vector(maps.sum(0).T, weights @ points)
    return maps, start / start[0]


def _divergence_of_words(futures: Futures, maps: np.ndarray, initial: np.ndarray) -> float:
    """KL from the model, nats a token, over the longest prefixes and their continuations.

    A prefix counts by its share, and not by q(w) itself, so that what is left out, or not drawn, leaves no gap.
    """
    ratio = (futures.weights / futures.probabilities)[futures.last, None]
    ratio = ratio / (futures.weights[futures.last].sum())
    steps = futures.words.shape[1] + futures.future_length + 1
    return divergence(ratio * words_of(futures), ratio * word_probabilities(futures, maps, initial)) / steps


def word_probabilities(
    futures: Futures, maps: ArrayLike, initial: ArrayLike, readout: ArrayLike | None = None
) -> Float[np.ndarray, "row continuation"]:
    """What a process gives to the longest prefixes and their continuations, as `words_of` a model does.

    Args:
        futures: from `future_laws`; they name the words.
        maps: `[token, state, next_state]`.
        initial: `[state]`.
        readout: `[state]`; default (1, 0, ..).
    """
    maps, start = np.asarray(maps, np.float64), np.asarray(initial, np.float64)
    vectors = np.tile(start, (futures.last.sum(), 1))
    for tokens in futures.words[futures.last].T:
        vectors = np.einsum("ri,rij->rj", vectors, maps[tokens])
    vectors = vectors[:, None]
    for _ in range(futures.future_length + 1):
        vectors = np.einsum("rci,xij->rcxj", vectors, maps).reshape(len(vectors), -1, maps.shape[1])
    return vectors[..., 0] if readout is None else vectors @ np.asarray(readout, np.float64)


def words_of(futures: Futures) -> Float[np.ndarray, "row continuation"]:
    """What the model gives to its longest prefixes and their continuations: q(w) q(x u | w)."""
    return futures.probabilities[futures.last, None] * futures.continuations[futures.last]


def divergence(truth: np.ndarray, guess: np.ndarray) -> float:
    """KL in nats, sum q ln(q / p) - q + p, which no entry makes negative, even if the entries are not all words."""
    guess = np.maximum(guess, _FLOOR * truth)
    ratio = np.log(np.where(truth > 0, truth, 1) / np.where(truth > 0, guess, 1))
    return max(0.0, float((truth * ratio - truth + guess).sum()))
