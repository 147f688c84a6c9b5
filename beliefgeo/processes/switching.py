"""A hidden mode says which of several processes emits: a slow clock over a fast one, or a process drawn per sequence.

Source: Markov-switching models (Hamilton 1989). Where the mode moves rarely there are two clocks; where it never
moves, each sequence is of one process drawn anew, as a prompt is, and the belief about the mode is what an observer has
learnt in the context.
"""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import ArrayLike, as_floats, concrete, contract, take
from beliefgeo.processes.alternatives import alternatives, stack
from beliefgeo.processes.construct import chain_law_of
from beliefgeo.processes.factored import require_memory
from beliefgeo.processes.process import Observer, Process, normalise, zero_below_rounding


class Switching(eqx.Module):
    """A process for each mode, and how the mode moves; construct with `switching` or `time_varying`.

    Attributes:
        processes: The processes, their arrays with a leading axis, the mode.
        moves: P(next mode given mode) after each token; None if the mode never moves.
        initial: The belief before the first token, about (mode, state).
    """

    processes: Process
    moves: Float[Array, "mode next_mode"] | None
    initial: Float[Array, " state"]

    @property
    def readout(self) -> Float[Array, " state"]:
        """w, with belief @ w == 1."""
        return self.processes.readout.ravel()

    @property
    def vocab_size(self) -> int:
        """The number of tokens."""
        return self.processes.vocab_size

    def predict(self, belief: Float[Array, " state"]) -> Float[Array, " token"]:
        """P(x | belief) = sum_m belief_m T_m^(x) w."""
        modes, whole = self.processes, self.by_mode(belief)
        law = contract("mi,mxij,mj->x", whole, modes.transitions, modes.readout)
        if not modes.generalised:
            return law
        size = contract("mi,mxij,mj->x", abs(whole), abs(modes.transitions), abs(modes.readout))
        return zero_below_rounding(law, size, belief.size)

    def update(self, belief: Float[Array, " state"], token: Int[Array, ""]) -> Float[Array, " state"]:
        """belief_m T_m^(token) / P(token | belief), then the mode moves; NaN where the token is impossible."""
        matrices = take(self.processes.transitions.swapaxes(0, 1), token)
        moved = contract("mi,mij->mj", self.by_mode(belief), matrices)
        if self.moves is not None:
            moved = contract("mj,mn->nj", moved, self.moves)
        return normalise(moved.ravel(), take(self.predict(belief), token))

    def by_mode(self, belief: Float[Array, "*batch state"]) -> Float[Array, "*batch mode _"]:
        """A belief with an axis for the mode; the mass of a row is the probability of that mode."""
        return belief.reshape(*belief.shape[:-1], len(self.processes.initial), -1)

    def joint(self) -> Process:
        """One process on pairs (mode, state): T^(x)[(m, i), (n, j)] = T_m^(x)[i, j] P(n given m)."""
        modes, size = self.processes, self.readout.size
        require_memory(self.vocab_size, size, modes.transitions.dtype)
        moves = jnp.eye(len(modes.initial)) if self.moves is None else self.moves
        blocks = contract("mxij,mn->xminj", modes.transitions, moves)
        return Process(blocks.reshape(-1, size, size), self.initial, self.readout, modes.generalised)


def switching(
    processes: Process | Sequence[Observer], moves: ArrayLike | None = None, *, start: ArrayLike | None = None
) -> Switching:
    """Each token comes from the process of the mode, on the hidden state that the token before left; then it moves.

    The belief is about (mode, state), mode most significant; it starts with each process's own initial belief. Without
    moves the law is that of `mixture` of the processes, and a step costs as much as one of each process by itself,
    so there may be thousands of them.

    Args:
        processes: processes alike in states, tokens and readout, or their stack: a process whose arrays have a leading
            axis, as `jax.vmap` of a constructor makes it. A composition counts as its joint.
        moves: `[mode, next_mode]`, P(next mode given mode), applied after each token. Default: the mode never moves.
        start: `[mode]`, the law of the first mode. Default: the stationary law of the moves; without moves all modes
            are equally likely.

    Raises:
        ValueError: no processes, or processes that are not alike; moves or a start that are no laws, or of another
            number of modes.
        TypeError: what is neither a process nor made of processes.

    >>> from beliefgeo.processes.classical import coin
    >>> clock = switching([coin(0.9), coin(0.1)], [[0.75, 0.25], [0.25, 0.75]])
    >>> clock.update(clock.initial, jnp.int32(0)).round(2).tolist()  # .9 and .1, a quarter of which moved
    [0.7, 0.3]
    """
    modes = processes if isinstance(processes, Process) else _stacked(processes)
    if modes.transitions.ndim != 4:
        raise ValueError(
            "switching needs several processes, in a sequence or as one with a leading axis; got a single process"
        )
    readouts = concrete(modes.readout)
    if readouts is not None and np.abs(readouts - readouts[0]).max() > 1e-5:
        raise ValueError(f"the processes of switching must share their readout; got {readouts.round(6).tolist()}")
    count, dtype = len(modes.initial), modes.initial.dtype
    if moves is not None:
        moves = _laws("moves", moves, (count, count)).astype(dtype)
    if start is not None:
        law = _laws("start", start, (count,)).astype(dtype)
    else:
        law = jnp.full(count, 1 / count, dtype) if moves is None else chain_law_of(moves[None])
    return Switching(modes, moves, (law[:, None] * modes.initial).ravel())


def _stacked(processes: Sequence[Observer]) -> Process:
    if not len(processes):
        raise ValueError("switching needs one process or more; got none")
    return stack(alternatives("switching", processes, len(processes), "mode", shared=("readout",)))


def _laws(what: str, given: ArrayLike, shape: tuple[int, ...]) -> Float[Array, "*batch mode"]:
    laws = as_floats(given)
    if laws.shape != shape:
        raise ValueError(f"switching needs {what} of shape {shape}, one entry a mode; got shape {laws.shape}")
    values = concrete(laws)
    if values is not None and not ((values >= 0).all() and np.abs(values.sum(-1) - 1).max() <= 1e-5):
        raise ValueError(
            f"switching needs {what} that are probabilities with sums of 1; got {values.round(6).tolist()}"
        )
    return laws / laws.sum(-1, keepdims=True)
