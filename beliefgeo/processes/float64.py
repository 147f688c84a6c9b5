"""Processes in float64, whatever the global setting, for enumerations: merging and counting in float32 is unsound."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from beliefgeo.arrays import is_traced
from beliefgeo.processes.opaque import as_pytree, map_arrays
from beliefgeo.processes.process import Observer, Process
from beliefgeo.processes.stationary import chain_law_float64, nearest_unit_vector
from beliefgeo.processes.switching import Switching


def as_float64(process: Observer) -> Observer:
    """The process in float64, with the rounding of float32 corrected.

    The rows of an HMM sum to 1, and T of a generalised process has spectral radius 1. An initial belief that was
    stationary up to the rounding of its precision becomes stationary up to the rounding of float64. In any other
    observer the floating arrays, complex arrays too, are widened; integers, booleans, keys and objects that are not
    arrays stay as they are.

    Raises:
        TypeError: a traced process.
    """
    _require_values(process)
    with jax.enable_x64(True):
        return map_arrays(_widen, process, is_leaf=lambda node: isinstance(node, Process | Switching))


def _widen(part: Process | Switching | Array | np.ndarray | np.generic) -> Process | Switching | Array:
    """One factor of a composition, or an array of its own."""
    if isinstance(part, Switching):
        return _widen_switching(part)
    if isinstance(part, Process):
        return _widen_process(part)
    for kind, wide in ((jnp.floating, jnp.float64), (jnp.complexfloating, jnp.complex128)):
        if jnp.issubdtype(part.dtype, kind):
            return jnp.asarray(part, wide)
    return jnp.asarray(part)


def _widen_switching(part: Switching) -> Switching:
    processes = _widen_stack(part.processes)
    moves = None if part.moves is None else np.asarray(part.moves, np.float64)
    moves = None if moves is None else jnp.asarray(moves / moves.sum(1, keepdims=True))
    initial = np.asarray(part.initial, np.float64)
    return Switching(processes, moves, jnp.asarray(initial / (initial @ np.asarray(processes.readout).ravel())))


def _widen_stack(part: Process) -> Process:
    """Processes as one with a leading axis, each by itself."""
    each = [
        _widen_process(jax.tree.map(lambda leaf, number=number: leaf[number], part))
        for number in range(len(part.initial))
    ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)


def _widen_process(part: Process) -> Process:
    return process_of(matrices_float64(part))


class Matrices(NamedTuple):
    """A process in NumPy, in float64: what enumerations work on.

    Attributes:
        transitions: As in `Process`.
        initial: As in `Process`.
        readout: As in `Process`.
        generalised: As in `Process`.
    """

    transitions: Float[np.ndarray, "token state next_state"]
    initial: Float[np.ndarray, " state"]
    readout: Float[np.ndarray, " state"]
    generalised: bool


def matrices_float64(process: Process | Matrices) -> Matrices:
    """`as_float64` of one process, in NumPy. Raises TypeError for a traced process."""
    _require_values(process)
    transitions, initial, readout = (
        np.asarray(leaf, np.float64) for leaf in (process.transitions, process.initial, process.readout)
    )
    if process.generalised:
        transitions = transitions / _radius(transitions.sum(0))
        readout = nearest_unit_vector(transitions.sum(0), readout)
        readout = readout / readout[abs(readout).argmax()]
    else:
        transitions = transitions / transitions.sum((0, 2))[:, None]
    initial = _stationary_again(process, transitions.sum(0), initial)
    return Matrices(transitions, initial / (initial @ readout), readout, process.generalised)


def process_of(matrices: Matrices) -> Process:
    """The process, in float64 arrays of JAX."""
    with jax.enable_x64(True):
        transitions, initial, readout = (jnp.asarray(leaf) for leaf in matrices[:3])
        return Process(transitions, initial, readout, matrices.generalised)


def _require_values(process: Observer | Matrices) -> None:
    if is_traced(process):
        raise TypeError("a traced process cannot be enumerated in float64: call this outside jit, vmap and grad")


def _stationary_again(part: Process | Matrices, total: np.ndarray, initial: np.ndarray) -> np.ndarray:
    """The stationary law if `initial` was stationary up to the rounding of its own precision; else `initial`."""
    given = 8 * float(jnp.finfo(part.initial.dtype).eps)
    if abs(initial @ total - initial).max() > 2 * given:
        return initial
    law, classes = (initial, 0) if part.generalised else chain_law_float64(total)
    stationary = law if classes == 1 else nearest_unit_vector(total.T, initial)
    if not part.generalised:  # a state that cannot come first must stay impossible
        stationary = np.where(initial > 0, stationary.clip(0), 0)
    return stationary if abs(stationary - initial).max() < given else initial


def at_default_precision(process: Process) -> Process:
    """The process in the precision of the session, for the user and for kernels."""
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), process)


def initial_float64(process: Observer | Matrices) -> Float[np.ndarray, " state"]:
    """The initial belief of a process from `as_float64`: a composition joins its factors' beliefs, under float64."""
    with jax.enable_x64(True):
        return np.asarray(process.initial, np.float64)


def epsilon(process: Observer) -> float:
    """The relative error that the numbers of a process may have, in the precision in which they were given."""
    return float(jnp.finfo(as_pytree(process).initial.dtype).eps)


def expand_float64(
    process: Observer | Matrices, beliefs: np.ndarray, given: float = 2**-52
) -> tuple[np.ndarray, np.ndarray]:
    """`expand_beliefs` in NumPy: successors `[mixed, token, state]` and probabilities `[mixed, token]`.

    The successor after an impossible token is undefined. `process` is from `as_float64`, and `given` is the `epsilon`
    of the process it was made from.
    """
    if not isinstance(process, Process | Matrices):
        return _expand_observer(process, beliefs)
    transitions, readout = np.asarray(process.transitions), np.asarray(process.readout)
    vocab_size, n_states = transitions.shape[:2]
    joint = (beliefs @ transitions.transpose(1, 0, 2).reshape(n_states, -1)).reshape(-1, vocab_size, n_states)
    probabilities = joint @ readout
    if process.generalised:  # cancellation leaves a residue for an impossible token; see `zero_below_rounding`
        sizes = abs(beliefs) @ (abs(transitions) @ abs(readout)).T
        probabilities[probabilities <= 2 * n_states * given * sizes] = 0
    return joint / np.where(probabilities > 0, probabilities, 1)[:, :, None], probabilities


def _expand_observer(process: Observer, beliefs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`expand_float64` through `predict` and `update`, padded to a power of two so that few shapes are compiled."""
    padding = (1 << (len(beliefs) - 1).bit_length()) - len(beliefs)
    with jax.enable_x64(True):
        padded = np.concatenate([beliefs, np.repeat(beliefs[:1], padding, 0)])
        successors, probabilities = _expand_compiled(as_pytree(process), jnp.asarray(padded))
    return np.asarray(successors)[: len(beliefs)], np.asarray(probabilities)[: len(beliefs)]


@eqx.filter_jit
def _expand_compiled(process: Observer, beliefs: Float[Array, "mixed state"]) -> tuple[Array, Array]:
    probabilities = jax.vmap(process.predict)(beliefs)
    tokens = jnp.arange(probabilities.shape[1])
    return jax.vmap(jax.vmap(process.update, (None, 0)), (0, None))(beliefs, tokens), probabilities


def _radius(total: np.ndarray) -> float:
    return abs(np.linalg.eigvals(total)).max()
