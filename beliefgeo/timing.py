"""Times of several calls, measured side by side."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float


def interleaved_seconds(calls: dict[str, Callable[[], Any]], repetitions: int) -> dict[str, Float[np.ndarray, " call"]]:
    """Seconds of each call, after one to compile; in turns, so that a slow moment of the machine hits all alike.

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
