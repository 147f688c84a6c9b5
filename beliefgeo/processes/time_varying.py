"""Transitions that vary with time, on a schedule that ends in a cycle: the belief is about the phase and the state.

Source: a Markov process becomes homogeneous if its time is part of the state; if the schedule repeats, the words have a
cyclostationary law.
"""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import contract, take
from beliefgeo.processes.alternatives import Alternatives, alternatives, stack
from beliefgeo.processes.factored import require_memory
from beliefgeo.processes.process import Observer, Process, normalise, zero_below_rounding


class TimeVarying(eqx.Module):
    """A process for each phase, one after the other; construct with `time_varying`.

    Attributes:
        processes: A process for each phase; they are alike in states, tokens and readout.
        back_to: The phase after the last one.
    """

    processes: Alternatives
    back_to: int = eqx.field(static=True)

    @property
    def initial(self) -> Float[Array, " state"]:
        """The initial belief of the first process, in phase 0."""
        first = self.processes[0].initial
        return jnp.concatenate([first, *[jnp.zeros_like(first)] * (len(self.processes) - 1)])

    @property
    def readout(self) -> Float[Array, " state"]:
        """w, with belief @ w == 1."""
        return jnp.concatenate([process.readout for process in self.processes])

    @property
    def vocab_size(self) -> int:
        """The number of tokens."""
        return self.processes[0].vocab_size

    @property
    def following(self) -> np.ndarray:
        """The phase after each phase."""
        return np.append(np.arange(1, len(self.processes)), self.back_to)

    def predict(self, belief: Float[Array, " state"]) -> Float[Array, " token"]:
        """P(x | belief) = sum_t belief_t T_t^(x) w."""
        phases, whole = stack(self.processes), self.by_phase(belief)
        law = contract("ti,txij,tj->x", whole, phases.transitions, phases.readout)
        if not phases.generalised:
            return law
        size = contract("ti,txij,tj->x", abs(whole), abs(phases.transitions), abs(phases.readout))
        return zero_below_rounding(law, size, belief.size)

    def update(self, belief: Float[Array, " state"], token: Int[Array, ""]) -> Float[Array, " state"]:
        """belief_t T_t^(token) / P(token | belief), in the phase after t; NaN where the token is impossible."""
        matrices = jnp.stack([take(process.transitions, token) for process in self.processes])
        moved = contract("ti,tij->tj", self.by_phase(belief), matrices)
        arrived = jnp.zeros_like(moved).at[self.following].add(moved)
        return normalise(arrived.ravel(), take(self.predict(belief), token))

    def by_phase(self, belief: Float[Array, "*batch state"]) -> Float[Array, "*batch phase _"]:
        """A belief with an axis for the phase; the mass of a row is the probability of that phase."""
        return belief.reshape(*belief.shape[:-1], len(self.processes), -1)

    def joint(self) -> Process:
        """One process on pairs (phase, state): T^(x)[(t, i), (t', j)] = T_t^(x)[i, j] where t' follows t."""
        phases, size = stack(self.processes), len(self.initial)
        require_memory(self.vocab_size, size, phases.transitions.dtype)
        count, n_states = phases.transitions.shape[0], phases.transitions.shape[-1]
        blocks = jnp.zeros((self.vocab_size, count, n_states, count, n_states), phases.transitions.dtype)
        each = np.arange(count)
        blocks = blocks.at[:, each, :, self.following].set(phases.transitions)  # NumPy puts the indexed axes first
        return Process(blocks.reshape(-1, size, size), self.initial, self.readout, phases.generalised)


def time_varying(processes: Sequence[Observer], *, back_to: int = 0) -> TimeVarying:
    """Token t comes from the transitions of process t, on the hidden state that the process before left.

    After the last process comes process number `back_to`: 0 repeats the schedule; len(processes) - 1 (or -1) stays with
    the last process. The belief is about (phase, state), phase most significant, so it includes the time: in a sequence
    observed from its start one phase has all the mass. It starts in phase 0 at the first process's initial belief,
    whatever the others' initial beliefs are (give `initial` to the first process). `bg.joint` gives the same as one
    `Process`, whose stationary law is for an observer who does not know the phase.

    Args:
        processes: processes alike in states, tokens and readout; a composition counts as its joint.
        back_to: the number of the process after the last process; negative numbers count from the end.

    Raises:
        ValueError: no processes, or processes that are not alike; a `back_to` that is not the number of a process.
        TypeError: what is neither a process nor made of processes.

    >>> from beliefgeo.processes.classical import coin
    >>> day_and_night = time_varying([coin(0.9), coin(0.2)])
    >>> belief = day_and_night.update(day_and_night.initial, jnp.int32(1))
    >>> belief.tolist(), day_and_night.predict(belief).round(4).tolist()
    ([0.0, 1.0], [0.2, 0.8])
    """
    if not len(processes):
        raise ValueError("time_varying needs one process or more; got none")
    count = len(processes)
    if not -count <= back_to < count:
        raise ValueError(f"time_varying needs back_to to be the number of one of its {count} processes; got {back_to}")
    checked = alternatives("time_varying", processes, count, "phase", shared=("readout",))
    return TimeVarying(checked, back_to % count)
