"""Several processes as one program: how they join, which process writes, and how they agree.

Every process runs the same program on its own devices. All processes compute; only the first writes and prints.
"""

import os
from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils

# A process that is silent for this long counts as dead; the others end with an error within twice this time.
_SECONDS = 20

_VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def join() -> None:
    """Join the other processes, as the environment says; call it before any computation.

    JAX_COORDINATOR_ADDRESS is the host:port on which the first process listens, JAX_NUM_PROCESSES is the number of
    processes, and JAX_PROCESS_ID is the number of this process, from 0. If none of the three is set, this process is
    alone.

    Raises:
        ValueError: some of the three are missing, or are not such numbers.
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
    # Otherwise JAX would handle SIGTERM, by which training and other code must be able to end.
    jax.config.update("jax_enable_preemption_service", False)
    jax.distributed.initialize(
        address,
        int(count),
        int(number),
        cluster_detection_method="deactivate",
        coordinator_bind_address=address,  # by default JAX listens on every interface
        heartbeat_timeout_seconds=_SECONDS,
        shutdown_timeout_seconds=_SECONDS,
    )
    any_of(False)  # connects all processes now: on CPUs the first exchange fails unless all join it within 30 s


def first() -> bool:
    """Whether this is the process that writes and prints; a process that is alone does."""
    return jax.process_index() == 0


def any_of(flag: bool) -> bool:
    """Whether the flag is set in any process; all processes ask together, and wait for each other.

    Raises:
        jax.errors.JaxRuntimeError: another process has ended.
    """
    if jax.process_count() == 1:
        return flag
    try:
        return bool(multihost_utils.process_allgather(np.array(flag)).any())
    except ValueError as error:  # JAX raises this for a closed connection here, and only here
        raise jax.errors.JaxRuntimeError(str(error)) from error


def by_first(act: Callable[[], None]) -> None:
    """Let the first process act while the others wait; if it fails, all fail.

    Raises:
        ValueError: in all other processes, if the first process raised a ValueError or OSError.
    """
    failure = None
    if first():
        try:
            act()
        except (ValueError, OSError) as error:
            failure = error
    if any_of(failure is not None):
        raise failure or ValueError("the first of the processes has stopped; its message says why")
