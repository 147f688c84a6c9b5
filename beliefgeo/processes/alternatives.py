"""Processes alike in states, tokens and readout; something known at each step chooses among them.

Given the choice, a belief moves linearly, by the chosen matrices. This is why `chain`, `factor_tree`, the conditional
compositions and `time_varying` stay exact.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from beliefgeo.arrays import concrete, take
from beliefgeo.processes.factored import require_process
from beliefgeo.processes.process import Observer, Process

# A shared initial belief or readout may be rounded differently in each process; the first process's counts.
_SAME = {"float32": 1e-5, "float64": 1e-10}

Alternatives = tuple[Process, ...]


def alternatives(
    what: str,
    processes: Observer | Sequence[Observer],
    count: int,
    per: str,
    shared: Sequence[str] = ("initial", "readout"),
) -> Alternatives:
    """The processes, checked to be alike, with the first process's initial belief and readout.

    Args:
        what: what the processes belong to, such as "factor 1 of chain".
        processes: the processes; compositions count as their joint.
        count: the required number of processes.
        per: what each process is for, such as "token of the factor before".
        shared: which of initial and readout the processes must share.

    Raises:
        ValueError: a wrong number of processes, or processes that are not alike.
        TypeError: an object that is neither a process nor made of processes.
    """
    if isinstance(processes, Observer) or len(processes) != count:
        got = "a single process" if isinstance(processes, Observer) else len(processes)
        raise ValueError(f"{what} needs a sequence of {count} processes, one per {per}; got {got}")
    joints = [require_process(what, process) for process in processes]
    for number, process in enumerate(joints):
        _check_alike(what, number, process, joints[0], shared)
    # If one process is generalised, all count as generalised, so that they stack.
    generalised = any(process.generalised for process in joints)
    return tuple(Process(one.transitions, one.initial, joints[0].readout, generalised) for one in joints)


def _check_alike(what: str, number: int, process: Process, first: Process, shared: Sequence[str]) -> None:
    if process.transitions.shape != first.transitions.shape:
        raise ValueError(
            f"the processes of {what} must have the same tokens and states; transitions of process {number} have "
            f"shape {process.transitions.shape}, of process 0 {first.transitions.shape}"
        )
    for name in shared:
        ours, theirs = concrete(getattr(process, name)), concrete(getattr(first, name))
        tolerance = _SAME.get(str(first.initial.dtype), 1e-5)
        if ours is not None and theirs is not None and not abs(ours - theirs).max() <= tolerance:
            raise ValueError(
                f"the processes of {what} must share their {name}; process {number} has {ours.round(6).tolist()}, "
                f"process 0 {theirs.round(6).tolist()}: give them one"
            )


def stack(processes: Alternatives) -> Process:
    """The processes as one process whose arrays have a leading axis, the number of the alternative."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *processes)


def choose(processes: Alternatives, number: Int[Array, ""]) -> Process:
    """The process of that number; NaN throughout if no process has that number."""
    return jax.tree.map(lambda leaf: take(leaf, number), stack(processes))
