"""Several processes as one program: how they join, which of them writes, and how they agree.

Every process runs the same program on its own devices. All of them compute; the first alone writes and prints.
"""

import os
from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils

# A process that says nothing for so long is dead; the others end, with an error, within twice that.
_SECONDS = 20

_VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def join() -> None:
    """Join the other processes, as the environment says; call it before any computation.

    JAX_COORDINATOR_ADDRESS is the host:port on which the first process listens, JAX_NUM_PROCESSES how many there are,
    and JAX_PROCESS_ID which this one is, from 0. Where none of the three is set, this process is alone.

    Raises:
        ValueError: some of the three are missing, or no such numbers.
    """
    given = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    if not given:
        return
    address, count, number = (given.get(name, "") for name in _VARIABLES)
    if ":" not in address or not count.isdigit() or not number.isdigit() or not int(number) < int(count):
        raise ValueError(
            "several processes need JAX_COORDINATOR_ADDRESS=host:port, JAX_NUM_PROCESSES=n and JAX_PROCESS_ID=0..n-1; "
            f"got {', '.join(f'{name}={given.get(name)}' for name in _VARIABLES)}: set all three, or none to run alone"
        )
    # JAX would otherwise take SIGTERM for itself, and training is not alone in wanting to end by it.
    jax.config.update("jax_enable_preemption_service", False)
    jax.distributed.initialize(
        address,
        int(count),
        int(number),
        cluster_detection_method="deactivate",
        coordinator_bind_address=address,  # by default it listens on every interface
        heartbeat_timeout_seconds=_SECONDS,
        shutdown_timeout_seconds=_SECONDS,
    )
    any_of(False)  # connects them while all are here: on CPUs the first exchange fails unless all come within 30 s


def first() -> bool:
    """Whether this is the process that writes and prints: a process alone is."""
    return jax.process_index() == 0


def any_of(flag: bool) -> bool:
    """Whether the flag is set in any process: all of them ask, and wait for each other.

    Raises:
        jax.errors.JaxRuntimeError: another process is gone.
    """
    if jax.process_count() == 1:
        return flag
    try:
        return bool(multihost_utils.process_allgather(np.array(flag)).any())
    except ValueError as error:  # what JAX makes of a closed connection here, and nowhere else
        raise jax.errors.JaxRuntimeError(str(error)) from error


def by_first(act: Callable[[], None]) -> None:
    """The first process acts while the others wait; where it fails, all do.

    Raises:
        ValueError: in all others, where the first raised a ValueError or OSError.
    """
    failure = None
    if first():
        try:
            act()
        except (ValueError, OSError) as error:
            failure = error
    if any_of(failure is not None):
        raise failure or ValueError("the first of the processes has stopped; its message says why")
