"""The mixed-state presentation: every belief an ideal observer can reach, and the moves between them."""

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Int, PRNGKeyArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, shortest_path

from beliefgeo.beliefs.merging import BEYOND, KnownBeliefs
from beliefgeo.processes.float64 import (
    Matrices,
    as_float64,
    epsilon,
    expand_float64,
    initial_float64,
    matrices_float64,
)
from beliefgeo.processes.process import Observer, Process
from beliefgeo.processes.sampling import sample

_IMPOSSIBLE = -1


class MixedStatePresentation(NamedTuple):
    """Beliefs in the order in which they are first reached, the initial belief first; all in NumPy, float64.

    Attributes:
        beliefs: The belief of each mixed state.
        depth: The number of tokens after which each is first reached.
        successors: The mixed state that each token leads to; -1 for an impossible token, -2 for a belief beyond the
            cut.
        probabilities: The probability of each token.
        recurrent: Whether it lies in a closed strongly connected class; if beliefs are missing these are not known, and
            it is all False.
        truncated: Whether beliefs are missing.
        state_names: The names of hidden states, if they have any.
        token_names: The names of tokens, if they have any.
    """

    beliefs: Float[np.ndarray, "mixed state"]
    depth: Int[np.ndarray, " mixed"]
    successors: Int[np.ndarray, "mixed token"]
    probabilities: Float[np.ndarray, "mixed token"]
    recurrent: Bool[np.ndarray, " mixed"]
    truncated: bool
    state_names: tuple[Hashable, ...] | None = None
    token_names: tuple[Hashable, ...] | None = None


def mixed_state_presentation(
    process: Observer, max_depth: int | None = None, max_states: int = 1_000_000, tolerance: float = 1e-9
) -> MixedStatePresentation:
    """All beliefs reachable from the initial belief, level by level; equal beliefs are merged.

    Args:
        process: the process that is observed.
        max_depth: the largest number of tokens to read; default: until nothing new appears.
        max_states: the largest number of beliefs to keep.
        tolerance: beliefs whose differences, summed over states, are at most this are merged. Maps that contract
            strongly may bring distinct beliefs nearer than this, and an infinite presentation then closes: compare two
            tolerances.

    Raises:
        ValueError: a negative depth, fewer than one state or a tolerance that is not positive.

    Riechers & Crutchfield 1705.08042.

    >>> from beliefgeo.processes.classical import rrxor
    >>> presentation = mixed_state_presentation(rrxor())
    >>> len(presentation.beliefs), int(presentation.recurrent.sum())
    (36, 5)
    """
    if (max_depth is not None and max_depth < 0) or max_states < 1 or not tolerance > 0:
        raise ValueError(
            "mixed_state_presentation needs max_depth >= 0, max_states >= 1 and tolerance > 0; got "
            f"max_depth={max_depth}, max_states={max_states}, tolerance={tolerance}"
        )
    wide = matrices_float64(process) if isinstance(process, Process) else as_float64(process)
    presentation = presentation_float64(wide, max_depth, max_states, tolerance, epsilon(process))
    names = getattr(process, "state_names", None), getattr(process, "token_names", None)
    return presentation._replace(state_names=names[0], token_names=names[1])


def presentation_float64(
    process: Observer | Matrices,
    max_depth: int | None = None,
    max_states: int = 1_000_000,
    tolerance: float = 1e-9,
    given: float = 2**-52,
) -> MixedStatePresentation:
    """`mixed_state_presentation` of a process in float64, without names; for `given` see `expand_float64`."""
    known = KnownBeliefs(initial_float64(process)[None], tolerance)
    frontier, depth, truncated = known.beliefs, 0, False
    depths, laws, moves = [np.zeros(1, int)], [], []
    while len(frontier):
        successors, probabilities = expand_float64(process, frontier, given)
        possible = probabilities > 0
        room = 0 if depth == max_depth else max_states - known.count
        labels, frontier = known.merge(successors[possible], room)
        move = np.full(possible.shape, _IMPOSSIBLE)
        move[possible] = labels
        truncated |= bool((labels == BEYOND).any())
        depth += 1
        laws.append(probabilities)
        moves.append(move)
        depths.append(np.full(len(frontier), depth))
    moves, laws = np.concatenate(moves), np.concatenate(laws)
    recurrent = np.zeros(len(moves), bool) if truncated else closed_classes(_graph(moves, laws)) >= 0
    return MixedStatePresentation(known.beliefs.copy(), np.concatenate(depths), moves, laws, recurrent, truncated)


def transition_matrix(presentation: MixedStatePresentation) -> csr_array:
    """W[n, m], the probability of moving from mixed state n to m, as a sparse array; `.toarray()` makes it dense.

    If the presentation is truncated, moves out of it are missing, and rows sum to less than 1.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> transition_matrix(mixed_state_presentation(golden_mean())).toarray().round(4).tolist()
    [[0.0, 0.6667, 0.3333], [0.0, 0.5, 0.5], [0.0, 1.0, 0.0]]
    """
    return _graph(presentation.successors, presentation.probabilities)


def _graph(successors: np.ndarray, probabilities: np.ndarray) -> csr_array:
    source, token = np.nonzero(successors >= 0)
    entries = probabilities[source, token], (source, successors[source, token])
    return csr_array(entries, shape=(len(successors),) * 2)


def closed_classes(graph: csr_array) -> Int[np.ndarray, " mixed"]:
    """The closed strongly connected class of each node, numbered from 0; -1 for a transient node."""
    count, component = connected_components(graph, connection="strong")
    source, target = graph.nonzero()
    is_open = np.zeros(count, bool)
    is_open[component[source[component[source] != component[target]]]] = True
    numbers = np.where(is_open, -1, np.cumsum(~is_open) - 1)
    return numbers[component]


def period(graph: csr_array) -> int:
    """The largest number that divides the length of every cycle inside the closed classes.

    All cycles of a class close around the steps d from one of its nodes: moves i -> j have d_i + 1 - d_j divisible by
    the period, and by no larger number.

    >>> period(csr_array([[0, 1.0, 0], [0, 0, 1.0], [1.0, 0, 0]])), period(csr_array([[1e-9, 1.0], [1.0, 0]]))
    (3, 1)
    """
    label = closed_classes(graph)
    number, first = np.unique(label, return_index=True)
    steps = shortest_path(graph, indices=first[number >= 0], unweighted=True).min(0)
    source, target = (end[label[graph.nonzero()[0]] >= 0] for end in graph.nonzero())
    return int(np.gcd.reduce((steps[source] + 1 - steps[target]).astype(int)))


def spectrum(presentation: MixedStatePresentation) -> Complex[np.ndarray, " mixed"]:
    """The eigenvalues of W, largest magnitude first, computed from its strongly connected blocks, class by class.

    From the blocks, a nilpotent part (finite Markov order) gives exact zeros. From the whole matrix, rounding would
    spread a Jordan block of size k over a circle of radius eps^(1/k).

    >>> from beliefgeo.processes.classical import golden_mean
    >>> spectrum(mixed_state_presentation(golden_mean())).real.round(4).tolist()
    [1.0, -0.5, 0.0]
    """
    return _sorted(_block_eigenvalues(presentation, np.ones(len(presentation.beliefs), bool)))


def transient_spectrum(presentation: MixedStatePresentation) -> Complex[np.ndarray, " mixed"]:
    """The eigenvalues that belong to transient mixed states: each mode of synchronisation decays as |lambda|^L.

    Raises ValueError for a truncated presentation, whose transient states are not known.
    """
    require_complete(presentation, "transient_spectrum")
    return _sorted(_block_eigenvalues(presentation, ~presentation.recurrent))


def synchronization_length(presentation: MixedStatePresentation) -> float:
    """-1 / ln |lambda_1|, the tokens after which the slowest mode of uncertainty is e times smaller; 0 if all vanish.

    Raises ValueError for a truncated presentation.

    >>> from beliefgeo.processes.classical import even
    >>> round(synchronization_length(mixed_state_presentation(even())), 4)
    2.8854
    """
    eigenvalues = transient_spectrum(presentation)
    largest = abs(eigenvalues[0]) if len(eigenvalues) else 0.0
    return float(-1 / np.log(largest)) if largest > 0 else 0.0


def myopic_entropies_of(presentation: MixedStatePresentation, length: int) -> Float[np.ndarray, " time"]:
    """h_L = mu_0 W^L H_x for L = 0..length-1: `myopic_entropies` in time linear, not exponential, in the length.

    It is exact while every word stays inside the presentation: at any length, or up to the depth of a truncated one.

    Raises:
        ValueError: a length beyond the depth of a truncated presentation.

    >>> from beliefgeo.processes.classical import even
    >>> myopic_entropies_of(mixed_state_presentation(even()), 3).round(4).tolist()
    [0.6365, 0.6059, 0.5493]
    """
    reached = (
        presentation.depth[(presentation.successors == BEYOND).any(1)].min() + 1 if presentation.truncated else length
    )
    if length > reached:
        raise ValueError(
            f"myopic_entropies_of length {length} needs every belief up to depth {length - 1}; this presentation is "
            f"complete to depth {reached - 1}: raise max_depth or max_states"
        )
    matrix, uncertainty = transition_matrix(presentation).T.tocsr(), next_token_entropies(presentation)
    weights = np.zeros(len(uncertainty))
    weights[0] = 1
    entropies = np.empty(length)
    for time in range(length):
        entropies[time] = weights @ uncertainty
        weights = matrix @ weights
    return entropies


def next_token_entropies(presentation: MixedStatePresentation) -> Float[np.ndarray, " mixed"]:
    """H_x, the entropy of the next-token law of each mixed state, in nats."""
    laws = presentation.probabilities
    return -np.sum(laws * np.log(np.where(laws > 0, laws, 1)), 1)


def blackwell_samples(
    key: PRNGKeyArray, process: Observer, count: int, *, burn_in: int = 1000
) -> Float[Array, "time state"]:
    """Beliefs along one long trajectory: samples of the Blackwell measure, for infinite presentations.

    >>> import jax
    >>> from beliefgeo.processes.classical import mess3
    >>> blackwell_samples(jax.random.key(0), mess3(), 5).sum(1).round(4).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    return sample(key, process, burn_in + count - 1).beliefs[burn_in:]


def require_complete(presentation: MixedStatePresentation, who: str) -> None:
    """Raise if the presentation is truncated."""
    if presentation.truncated:
        raise ValueError(
            f"{who} needs a finite mixed-state presentation; this one was cut at {len(presentation.beliefs):,} beliefs "
            f"(depth {presentation.depth.max()}): raise max_depth or max_states, or, where it is infinite, use "
            "entropy_rate_bounds, estimate_entropy_rate or statistical_complexity_dimension"
        )


def _block_eigenvalues(presentation: MixedStatePresentation, kept: np.ndarray) -> list[np.ndarray]:
    matrix = transition_matrix(presentation)
    component = connected_components(matrix, connection="strong")[1]
    order = np.argsort(component, kind="stable")
    blocks = np.split(order, np.flatnonzero(np.diff(component[order])) + 1)
    return [np.linalg.eigvals(matrix[block][:, block].toarray()) for block in blocks if kept[block[0]]]


def _sorted(blocks: list[np.ndarray]) -> np.ndarray:
    values = np.concatenate([np.zeros(0), *blocks]).astype(complex)
    return values[np.lexsort((-np.real(values).round(9), -abs(values).round(9)))]
