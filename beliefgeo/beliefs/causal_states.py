"""Causal states: the fewest states that predict as well as the whole past. Eager, in float64."""

import dataclasses

import jax
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray
from scipy.sparse import csr_array

from beliefgeo.beliefs.merging import group_close
from beliefgeo.beliefs.mixed_states import closed_classes, presentation_float64
from beliefgeo.processes.factored import require_process
from beliefgeo.processes.float64 import (
    Matrices,
    as_float64,
    at_default_precision,
    epsilon,
    matrices_float64,
    process_of,
)
from beliefgeo.processes.process import Observer, Process
from beliefgeo.processes.stationary import chain_law_float64
from beliefgeo.processes.stationary_law import stationary_distribution


def precision(*processes: Observer) -> float:
    """How near probabilities must be to count as the same: parameters given in float32 are known to 6e-8 only."""
    return 1e-6 if any(epsilon(process) > 1e-9 for process in processes) else 1e-9


def process_float64(who: str, process: Observer) -> Process:
    """The process, or a composition's joint, in float64; a TypeError in the name of `who` if there is no joint."""
    with jax.enable_x64(True):
        return require_process(who, as_float64(process))


def matrices_of(who: str, process: Observer) -> Matrices:
    """`process_float64` in NumPy."""
    return matrices_float64(process if isinstance(process, Process) else process_float64(who, process))


def epsilon_machine(process: Observer, max_states: int = 10_000) -> Process:
    """The minimal unifilar presentation: its states are the causal states, its initial law is stationary.

    Hidden states with equal futures are merged first. If the result is unifilar, it is the epsilon-machine, whether or
    not an observer ever synchronises. Otherwise the predictively distinct beliefs are enumerated. Tokens keep their
    names.

    Args:
        process: a stationary ergodic process; a composition of processes counts as its joint.
        max_states: the largest number of beliefs to enumerate.

    Raises:
        ValueError: a process that is not ergodic; a process whose causal states do not close within max_states.

    Crutchfield & Young 1989; Travers & Crutchfield 1111.4500.

    >>> from beliefgeo.processes.construct import hmm
    >>> two_fair_coins = hmm([[[0.25, 0.25], [0.25, 0.25]]] * 2)
    >>> epsilon_machine(two_fair_coins).n_states
    1
    """
    machine = at_default_precision(process_of(epsilon_machine_float64(process, max_states)))
    return dataclasses.replace(machine, token_names=getattr(process, "token_names", None))


class InfiniteStates(ValueError):
    """The causal states of a process do not close within the number that is allowed."""


def epsilon_machine_float64(process: Observer, max_states: int = 10_000, who: str = "epsilon_machine") -> Matrices:
    """`epsilon_machine` in NumPy, in float64 whatever the session's precision, for exact measures."""
    tolerance, wide = precision(process), ergodic_float64(process, who)
    if not wide.generalised:
        wide = _merge(wide, tolerance)
        if _is_unifilar(wide):
            return wide
    presentation = presentation_float64(matrices_float64(_reduce(wide, tolerance)), max_states=max_states)
    if presentation.truncated:
        raise InfiniteStates(
            f"the causal states of this process do not close within max_states: {len(presentation.beliefs):,} were "
            f"reached after {presentation.depth.max()} tokens; raise max_states, or take it as infinite and use "
            "statistical_complexity_dimension"
        )
    source, token = np.nonzero(presentation.successors >= 0)
    transitions = np.zeros((presentation.successors.shape[1],) + (len(presentation.beliefs),) * 2)
    transitions[token, source, presentation.successors[source, token]] = presentation.probabilities[source, token]
    kept = np.flatnonzero(presentation.recurrent)
    return _merge(_hmm(transitions[:, kept][:, :, kept]), tolerance)


def merge_states(process: Observer) -> Process:
    """An HMM whose states with equal futures are merged: the coarsest partition stable under law and successor class.

    Transient states are dropped. For a unifilar process the result is its minimal form.

    >>> from beliefgeo.processes.construct import hmm
    >>> merge_states(hmm([[[0.25, 0.25], [0.25, 0.25]]] * 2)).n_states
    1
    """
    return at_default_precision(process_of(_merge(ergodic_float64(process, "merge_states"), precision(process))))


def _merge(stationary: Matrices, tolerance: float) -> Matrices:
    """Of an HMM with its stationary law, which is 0 exactly at transient states."""
    recurrent = np.flatnonzero(stationary.initial)
    transitions = stationary.transitions[:, recurrent][:, :, recurrent]
    label = equal_futures(transitions, tolerance)
    kept = np.flatnonzero(np.r_[True, label[1:] > np.maximum.accumulate(label)[:-1]])
    member = (label[:, None] == np.arange(label.max() + 1)).astype(float)
    return _hmm((transitions @ member)[:, kept], stationary.initial[recurrent] @ member)


def _hmm(transitions: np.ndarray, law: np.ndarray | None = None) -> Matrices:
    law = chain_law_float64(transitions.sum(0))[0] if law is None else law
    return Matrices(transitions / transitions.sum((0, 2))[:, None], law / law.sum(), np.ones(len(law)), False)


def equal_futures(
    transitions: Float[np.ndarray, "token state next_state"], tolerance: float
) -> Int[np.ndarray, " state"]:
    """The class of each state in the coarsest stable partition; classes are numbered by their first members."""
    label = np.zeros(transitions.shape[1], int)
    while True:
        member = (label[:, None] == np.arange(label.max() + 1)).astype(float)
        signature = (transitions @ member).transpose(1, 0, 2).reshape(len(label), -1)
        # The label as a column keeps classes apart that were apart before.
        first = group_close(np.concatenate([signature, label[:, None]], 1), tolerance)
        refined = np.unique(first, return_inverse=True)[1]
        if refined.max() == label.max():
            return refined
        label = refined


def is_unifilar(process: Observer) -> bool:
    """Whether the state and the token determine the next state.

    >>> from beliefgeo.processes.classical import even, sns
    >>> is_unifilar(even()), is_unifilar(sns())
    (True, False)
    """
    return _is_unifilar(require_process("is_unifilar", process))


def _is_unifilar(process: Process | Matrices) -> bool:
    return bool(((np.asarray(process.transitions) > 0).sum(2) <= 1).all() and not process.generalised)


def is_minimal(process: Observer) -> bool:
    """Whether every state is recurrent and no two predict the same future (for an HMM; linear dimension otherwise).

    A unifilar minimal process is its own epsilon-machine.

    >>> from beliefgeo.processes.classical import even
    >>> from beliefgeo.processes.construct import hmm
    >>> is_minimal(even()), is_minimal(hmm([[[0.25, 0.25], [0.25, 0.25]]] * 2))
    (True, False)
    """
    wide = matrices_of("is_minimal", process)
    transitions = wide.transitions
    if wide.generalised:
        return linear_dimension(process) == transitions.shape[1]
    if (closed_classes(csr_array(transitions.sum(0))) != 0).any():
        return False
    # A state's future is its row of (T^(u) w)_u over words u, that is over a basis of their span.
    tolerance = precision(process)
    futures = _span(wide.readout, transitions.transpose(0, 2, 1), tolerance).T
    return bool((group_close(futures, tolerance) == np.arange(len(futures))).all())


def linear_dimension(process: Observer) -> int:
    """The fewest states of any generalised hidden Markov model of the process: the rank of its Hankel matrix.

    >>> from beliefgeo.processes.classical import rrxor
    >>> from beliefgeo.processes.construct import hmm
    >>> linear_dimension(rrxor()), linear_dimension(hmm([[[0.25, 0.25], [0.25, 0.25]]] * 2))
    (5, 1)
    """
    return reduce_process(process).n_states


def reduce_process(process: Observer) -> Process:
    """The same process in its minimal linear dimension, as a generalised process.

    The states are projected on the span of initial T^(u) over words u (what can be reached), and then the part that no
    future can see is removed. Beliefs that predict the same become equal. Balle, Carreras, Luque & Quattoni 2014,
    section 2.

    >>> from beliefgeo.processes.construct import hmm
    >>> reduce_process(hmm([[[0.25, 0.25], [0.25, 0.25]]] * 2)).transitions.round(4).tolist()
    [[[0.5]], [[0.5]]]
    """
    wide = matrices_of("reduce_process", process)
    return at_default_precision(process_of(_reduce(wide, precision(process))))


def _reduce(wide: Matrices, tolerance: float) -> Matrices:
    transitions, initial, readout, _ = wide
    reached = _span(initial, transitions, tolerance)
    transitions, initial, readout = reached @ transitions @ reached.T, initial @ reached.T, reached @ readout
    seen = _span(readout, transitions.transpose(0, 2, 1), tolerance)
    initial, readout = initial @ seen.T, seen @ readout
    largest = readout[abs(readout).argmax()]
    return Matrices(seen @ transitions @ seen.T, initial * largest, readout / largest, True)


def is_same_process(one: Observer, other: Observer) -> bool:
    """Whether two processes give every word the same probability, to 1e-6 of the root mean square.

    The sum over words u of length L of (P(u) - Q(u))^2 is w M_L w on the direct sum of both, with M_0 = v v^T,
    v = (initial, -initial), and M_{L+1} = sum_x T^(x)T M_L T^(x). Words as long as the number of states of both decide.

    >>> from beliefgeo.processes.classical import checksum, rrxor, z1r
    >>> is_same_process(checksum([[0.5, 0.5], [0.5, 0.5]]), rrxor()), is_same_process(rrxor(), z1r())
    (True, False)
    """
    a, b = (matrices_of("is_same_process", process) for process in (one, other))
    if len(a.transitions) != len(b.transitions):
        return False
    zeros = np.zeros((len(a.transitions), len(a.initial), len(b.initial)))
    transitions = np.block([[a.transitions, zeros], [zeros.transpose(0, 2, 1), b.transitions]])
    readout = np.concatenate([a.readout, b.readout])
    starts = np.array([np.concatenate([a.initial, sign * b.initial]) for sign in (1, -1)])
    moments = starts[:, :, None] * starts[:, None, :]
    for _ in range(len(readout)):
        moments = np.einsum("xij,bik,xkl->bjl", transitions, moments, transitions, optimize=True)
        size, difference = moments @ readout @ readout
        if difference > 1e-12 * size:
            return False
        moments = moments / size
    return True


def topological_machine(key: PRNGKeyArray, n_states: int, vocab_size: int) -> Process:
    """A random topological epsilon-machine: unifilar, strongly connected, minimal, a state's tokens equally likely.

    It is drawn uniformly, by rejection, among labelled graphs in which each state may or may not offer each token.
    Johnson, Crutchfield, Ellison & McTague 1011.0036.

    Raises ValueError if no such machine exists: it needs a state, and two tokens for two states or more.

    >>> is_minimal(topological_machine(jax.random.key(0), 4, 2))
    True
    """
    if n_states < 1 or vocab_size < 1 or (n_states > 1 and vocab_size < 2):
        raise ValueError(
            "topological_machine needs n_states >= 1 and vocab_size >= 1, at least 2 tokens for 2 states or more; got "
            f"n_states={n_states}, vocab_size={vocab_size}"
        )
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel().tolist())
    while True:
        successor = rng.integers(-1, n_states, (vocab_size, n_states))  # -1: the state does not offer the token
        edges = successor[:, :, None] == np.arange(n_states)
        offered = (successor >= 0).sum(0)
        if (offered == 0).any() or (closed_classes(csr_array(edges.any(0).astype(float))) != 0).any():
            continue
        transitions = edges / offered[:, None]
        if equal_futures(transitions, 1e-9).max() + 1 == n_states:
            return at_default_precision(process_of(_hmm(transitions)))


def require_ergodic(process: Observer, who: str) -> Process:
    """The process in float64 with its stationary law as initial; raises if the stationary law is not unique."""
    return process_of(ergodic_float64(process, who))


def ergodic_float64(process: Observer, who: str) -> Matrices:
    """`require_ergodic` in NumPy."""
    wide = matrices_of(who, process)
    total = wide.transitions.sum(0)
    if wide.generalised:
        law = wide.initial
        unit = int((np.linalg.svd(np.eye(len(total)) - total)[1] < precision(process)).sum())
    else:
        law, unit = chain_law_float64(total)
    if unit > 1:
        raise ValueError(
            f"{who} needs an ergodic process, with one stationary law; this one has {unit} closed classes: take each "
            "component by itself"
        )
    if wide.generalised:
        with jax.enable_x64(True):
            law = np.asarray(stationary_distribution(process_of(wide)))
    return wide._replace(initial=law)


def _span(vector: np.ndarray, matrices: np.ndarray, tolerance: float) -> np.ndarray:
    """Orthonormal rows that span vector M_u over all products M_u of the matrices."""
    basis = frontier = vector[None] / np.linalg.norm(vector)
    while len(frontier):
        moved = (frontier @ matrices).reshape(-1, len(vector))
        size = np.linalg.norm(moved, axis=1, keepdims=True)
        moved = np.divide(moved, size, where=size > 0, out=np.zeros_like(moved))
        for _ in range(2):  # twice: a single pass leaves rounding that looks like a new direction
            moved = moved - moved @ basis.T @ basis
        _, singular, directions = np.linalg.svd(moved, full_matrices=False)
        frontier = directions[singular > tolerance]
        basis = np.concatenate([basis, frontier])
    return basis
