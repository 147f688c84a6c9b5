"""Where the time goes, and the times of several calls measured side by side."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

_COMPILED = {"seconds": 0.0}  # spent on compiling in this process, or on loading earlier compilations


def _add_compilation(event: str, duration_secs: float, **kwargs: str | int) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        _COMPILED["seconds"] += duration_secs


jax.monitoring.register_event_duration_secs_listener(_add_compilation)


def compiled_seconds() -> float:
    """Seconds that this process has spent on compiling, or on loading earlier compilations."""
    return _COMPILED["seconds"]


@contextmanager
def stage(spent: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds of the block, except compilation, to `spent[name]`.

    >>> spent = {}
    >>> with stage(spent, "draw"):
    ...     _ = jax.jit(lambda x: x + 1)(1)
    >>> [*spent]
    ['draw']
    """
    began, compiled = time.perf_counter(), compiled_seconds()
    try:
        yield
    finally:
        seconds = time.perf_counter() - began - (compiled_seconds() - compiled)
        spent[name] = spent.get(name, 0.0) + seconds


def interleaved_seconds(calls: dict[str, Callable[[], Any]], repetitions: int) -> dict[str, Float[np.ndarray, " call"]]:
    """Seconds of each call after a first call that compiles; in turns, so a slow moment of the machine hits all alike.

    >>> {name: len(seconds) for name, seconds in interleaved_seconds({"sum": lambda: sum(range(9))}, 3).items()}
    {'sum': 3}
    """
    seconds = {name: [] for name in calls}
    for call in calls.values():
        jax.block_until_ready(call())
    for _ in range(repetitions):
        for name, call in calls.items():
            began = time.perf_counter()
            jax.block_until_ready(call())
            seconds[name].append(time.perf_counter() - began)
    return {name: np.array(values) for name, values in seconds.items()}


def medians(calls: dict[str, Callable[[], Any]], repetitions: int) -> dict[str, float]:
    """Median seconds of each call, measured as in `interleaved_seconds`."""
    return {name: float(np.median(values)) for name, values in interleaved_seconds(calls, repetitions).items()}
