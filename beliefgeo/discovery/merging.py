"""Causal states of a model: prefixes after which it expects the same, at a tolerance; whether their number settles."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from beliefgeo.arrays import ArrayLike
from beliefgeo.beliefs.mixed_states import closed_classes
from beliefgeo.discovery.futures import Futures
from beliefgeo.processes.construct import hmm
from beliefgeo.processes.process import Process

# What follows a state is known if its tokens of known successors have more than this probability: rare tokens lead to
# prefixes that are dropped.
_FOLLOWED = 0.9


class States(NamedTuple):
    """States of equal futures; the heaviest prefix of a state stands for it, and state 0 is the heaviest.

    Attributes:
        state: The state of each prefix.
        laws: The weighted mean law of the next token.
        successors: The state after each token, by the weight of the prefixes; -1 if the model never, or hardly ever,
            emits it.
        recurrent: The states that lead to one another and nowhere else, of several such sets the heaviest: the causal
            states.
        process: The unifilar machine of the recurrent states; None if there is no closed set of states.
        dropped: The largest probability, from a recurrent state, of tokens whose successors are not known; the machine
            lacks these tokens, which are those that lead to prefixes that were dropped.
    """

    state: Int[np.ndarray, " row"]
    laws: Float[np.ndarray, "state token"]
    successors: Int[np.ndarray, "state token"]
    recurrent: Int[np.ndarray, " recurrent"]
    process: Process | None
    dropped: float

    @property
    def counts(self) -> tuple[int, int]:
        """The number of states, as mixed states from the empty word on, and of recurrent states."""
        return len(self.laws), len(self.recurrent)


def merge_states(futures: Futures, tolerance: float) -> States:
    """The states of a model: prefixes within a tolerance, in the total variation of the laws of their futures.

    The heaviest prefix left founds a state, and takes all prefixes within the tolerance of it.

    Args:
        futures: from `future_laws`; the prefixes must be long enough to meet every state.
        tolerance: total variation, above the errors of the model and below the differences of states: see
            `state_plateau`.

    Raises:
        ValueError: a tolerance that is not positive.

    Source: causal states, Crutchfield & Young 1989.

    >>> from beliefgeo.discovery.futures import future_laws
    >>> from beliefgeo.discovery.models import process_laws
    >>> from beliefgeo.processes.classical import golden_mean
    >>> merge_states(future_laws(process_laws(golden_mean(0.5)), 4, 2), 0.01).counts
    (3, 2)
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance must be a total variation above 0; got {tolerance}")
    state, laws, successors, recurrent = _grouped(futures, _pool(futures), tolerance)
    dropped = np.where(successors < 0, laws, 0).sum(1)[recurrent].max(initial=0)
    return States(state, laws, successors, recurrent, _machine(laws, successors, recurrent), float(dropped))


def _grouped(futures: Futures, pool: tuple[np.ndarray, ...], tolerance: float) -> tuple[np.ndarray, ...]:
    """The fields of `States`, but for the machine."""
    pooled, weights, child = pool
    state = _led(pooled, weights, tolerance)
    rows = len(futures.words)
    n_states, vocab = state.max() + 1, futures.vocab_size
    laws = np.zeros((n_states, vocab))
    np.add.at(laws, state[:rows], futures.weights[:, None] * futures.laws)
    # A state that is met at the end of the prefixes alone has no law: what follows is not known.
    total = np.bincount(state[:rows], futures.weights, n_states)
    laws = np.divide(laws, total[:, None], out=laws, where=total[:, None] > 0)
    row, token = np.nonzero(child >= 0)
    moves = (futures.weights[:, None] * futures.laws)[row, token]
    votes = csr_array(
        (moves, (state[row] * vocab + token, state[child[row, token]])), shape=(n_states * vocab, n_states)
    )
    successors = np.where(votes.sum(1) > 0, votes.argmax(1), -1).reshape(n_states, vocab)
    recurrent = _closed(successors, laws, total)
    return state[:rows], laws, successors, recurrent


def _pool(futures: Futures) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Laws of futures after prefixes and after the children of the longest; weights; the pool's row of each child."""
    laws, after = futures.laws, futures.after
    chances = futures.probabilities[:, None] * laws
    longest = futures.last
    rows, vocab = laws.shape
    child = np.full((rows, vocab), -1)
    words = [tuple(word[word >= 0].tolist()) for word in futures.words]
    at = {word: row for row, word in enumerate(words)}
    for row in np.flatnonzero(~longest):
        child[row] = [at.get((*words[row], token), -1) for token in range(vocab)]
    least = futures.probabilities[longest].min()
    ended, token = np.nonzero((chances >= least) & (laws > 0) & longest[:, None])
    child[ended, token] = rows + np.arange(len(ended))
    beyond = after[ended, token] / laws[ended, token, None]
    weights = np.concatenate([futures.weights, futures.weights[ended] * laws[ended, token]])
    return np.concatenate([futures.futures, beyond]), weights, child


def _led(laws: np.ndarray, weights: np.ndarray, tolerance: float) -> Int[np.ndarray, " row"]:
    """Groups around leaders, the heaviest row left first; a later, nearer leader takes no row from an earlier one."""
    state, left, count = np.full(len(laws), -1), np.argsort(-weights, kind="stable"), 0
    while len(left):
        near = cdist(laws[left[:1]], laws[left], "cityblock")[0] <= 2 * tolerance
        state[left[near]] = count
        left, count = left[~near], count + 1
    return state


def _closed(successors: np.ndarray, laws: np.ndarray, weights: np.ndarray) -> Int[np.ndarray, " recurrent"]:
    """The heaviest closed set of states whose successors are known, but for improbable tokens."""
    source, token = np.nonzero(successors >= 0)
    edges = csr_array((np.ones(len(source)), (source, successors[source, token])), shape=(len(laws),) * 2)
    label = closed_classes(edges)
    followed = np.where(successors >= 0, laws, 0).sum(1) > _FOLLOWED
    for number in range(label.max() + 1):
        if not followed[label == number].all():
            label[label == number] = -1
    if (label < 0).all():
        return np.zeros(0, int)
    weight = np.bincount(label[label >= 0], weights[label >= 0])
    return np.flatnonzero(label == weight.argmax())


def _machine(laws: np.ndarray, successors: np.ndarray, recurrent: np.ndarray) -> Process | None:
    if not len(recurrent):
        return None
    renamed = np.full(len(laws) + 1, -1)
    renamed[recurrent] = np.arange(len(recurrent))
    targets = renamed[successors[recurrent]]
    chances = np.where(targets >= 0, laws[recurrent], 0)
    chances = chances / chances.sum(1, keepdims=True)
    moves = (targets[..., None] == np.arange(len(recurrent))) * chances[..., None]
    with jax.enable_x64(True):
        found = hmm(moves.transpose(1, 0, 2))
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, float), found)


class Plateau(NamedTuple):
    """The numbers of states at tolerances, and where they settle.

    Attributes:
        tolerances: The tolerances that were tried, in total variation.
        counts: The number of states and of recurrent states at each tolerance.
        settled: The numbers that hold over the widest range of tolerances, if that is a decade or more; else None.
        between: The smallest and largest of these tolerances.
    """

    tolerances: Float[np.ndarray, " tolerance"]
    counts: Int[np.ndarray, "tolerance kind"]
    settled: tuple[int, int] | None
    between: tuple[float, float] | None


def state_plateau(futures: Futures, tolerances: ArrayLike | None = None) -> Plateau:
    """Whether the number of causal states settles: the same over a decade of tolerances or more.

    No plateau is an answer, not a failure: a process such as Mess3 has infinitely many states, and ever more of them
    are told apart. One state alone is no plateau, nor are states of which no set is closed.

    Args:
        futures: from `future_laws`.
        tolerances: increasing total variations; default 25, from .001 to .2.

    Raises:
        ValueError: tolerances that do not increase or are not positive.

    >>> from beliefgeo.discovery.futures import future_laws
    >>> from beliefgeo.discovery.models import process_laws
    >>> from beliefgeo.processes.classical import z1r
    >>> state_plateau(future_laws(process_laws(z1r()), 6, 3)).settled
    (7, 3)
    """
    given = np.geomspace(1e-3, 0.2, 25) if tolerances is None else np.asarray(tolerances, np.float64)
    if (
        given.ndim != 1
        or not len(given)
        or not np.isfinite(given).all()
        or given[0] <= 0
        or (np.diff(given) <= 0).any()
    ):
        raise ValueError(f"tolerances must be positive and increase; got {tolerances}")
    pool = _pool(futures)
    groups = [_grouped(futures, pool, tolerance) for tolerance in given]
    counts = np.array([(len(laws), len(recurrent)) for _, laws, _, recurrent in groups])
    best, settled, between = 10.0, None, None
    starts = np.flatnonzero(np.r_[True, (np.diff(counts, axis=0) != 0).any(1)])
    for start, end in zip(starts, np.r_[starts[1:], len(given)] - 1, strict=True):
        if counts[start, 0] > 1 and counts[start, 1] > 0 and given[end] / given[start] >= best:
            best, settled = given[end] / given[start], (int(counts[start, 0]), int(counts[start, 1]))
            between = float(given[start]), float(given[end])
    return Plateau(given, counts, settled, between)
