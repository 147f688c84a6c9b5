"""Transitions that vary with time, on a schedule that ends in a cycle: the belief is about the phase and the state.

Source: a Markov process becomes homogeneous if its time is part of the state; if the schedule repeats, the words have a
cyclostationary law.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from beliefgeo.processes.alternatives import alternatives, stack
from beliefgeo.processes.process import Observer
from beliefgeo.processes.switching import Switching


def time_varying(processes: Sequence[Observer], *, back_to: int = 0) -> Switching:
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
    phases = stack(alternatives("time_varying", processes, count, "phase", shared=("readout",)))
    following = np.append(np.arange(1, count), back_to % count)
    moves = jnp.eye(count, dtype=phases.initial.dtype)[following]
    return Switching(phases, moves, jnp.zeros_like(phases.initial).at[0].set(phases.initial[0]).ravel())
