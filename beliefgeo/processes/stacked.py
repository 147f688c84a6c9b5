"""Processes of different sizes as one process with a leading axis, for `jax.vmap`."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp

from beliefgeo.processes import alternatives
from beliefgeo.processes.factored import require_process
from beliefgeo.processes.process import Observer, Process


def stack(processes: Sequence[Observer]) -> Process:
    """The processes as one process whose arrays have a leading axis `process`, to map over with `jax.vmap`.

    `jax.vmap(filter_beliefs, (0, None))(stack(processes), tokens)` gives the beliefs of each process. A process with
    fewer states or tokens than others is padded at the end. The padding is never reached: a padded state has the belief
    0, and a padded token has the probability 0. Names are kept if all processes have the same names.

    Args:
        processes: classical or generalised processes; compositions count as their joint.

    Returns:
        transitions `[process, token, state, next_state]`, initial and readout `[process, state]`.

    Raises:
        ValueError: no processes.
        TypeError: what is neither a process nor made of processes.

    >>> import jax
    >>> from beliefgeo.processes.classical import coin, mess3
    >>> both = stack([coin(0.25), mess3()])
    >>> jax.vmap(Process.predict)(both, both.initial).round(4).tolist()
    [[0.25, 0.75, 0.0], [0.3333, 0.3333, 0.3333]]
    """
    parts = [require_process(f"process {number} of stack", process) for number, process in enumerate(processes)]
    if not parts:
        raise ValueError("stack needs one process or more; got none")
    vocab_size, n_states = max(part.vocab_size for part in parts), max(part.n_states for part in parts)
    names = {
        what: getattr(parts[0], what) if len({getattr(part, what) for part in parts}) == 1 else None
        for what in ("state_names", "token_names")
    }
    generalised = any(part.generalised for part in parts)
    padded = [dataclasses.replace(_pad(part, vocab_size, n_states, generalised), **names) for part in parts]
    return alternatives.stack(tuple(padded))


def _pad(process: Process, vocab_size: int, n_states: int, generalised: bool) -> Process:
    """Pad with states that nothing leads to; each moves to state 0 with token 0, so the stationary law stays unique."""
    added = (0, n_states - process.n_states)
    transitions = jnp.pad(process.transitions, ((0, vocab_size - process.vocab_size), added, added))
    transitions = transitions.at[0, process.n_states :, 0].set(1)
    readout = jnp.append(process.readout, jnp.full(added[1], process.readout[0]))  # T w = w holds for the padding too
    return Process(transitions, jnp.pad(process.initial, added), readout, generalised)
