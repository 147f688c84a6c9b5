"""How far to train, and how far training has come."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from beliefgeo.learning.training import Metrics

# Called as `log(metrics, step=step)` after every chunk: the signature of `log` in wandb and trackio.
Log = Callable[..., Any]


@dataclasses.dataclass(frozen=True)
class Plan:
    """How far to train, and what to keep.

    Raises:
        ValueError: a number that is not positive, or steps that are not a multiple of the chunk.

    Attributes:
        steps: The total number of optimiser steps, a multiple of `chunk`.
        chunk: The number of steps in one `advance`.
        tokens_per_step: The number of predictions that one network makes in one step.
        snapshots: The approximate number of log-spaced snapshots to keep, besides the untrained network.
        seeds: The number of networks trained side by side in one program.
    """

    steps: int
    chunk: int
    tokens_per_step: int
    snapshots: int
    seeds: int = 1

    def __post_init__(self) -> None:  # noqa: D105
        for name, value in dataclasses.asdict(self).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1; got {value}")
        if self.steps % self.chunk:
            near = max(1, round(self.steps / self.chunk)) * self.chunk
            raise ValueError(f"steps must be a multiple of chunk ({self.chunk}); got {self.steps}: try {near}")

    def snapshot_steps(self) -> list[int]:
        """0 and log-spaced multiples of the chunk, up to and including the last step."""
        spaced = np.geomspace(self.steps, self.chunk, self.snapshots)
        return [0, *np.unique((spaced / self.chunk).round().astype(int) * self.chunk).tolist()]


def logged(metrics: Metrics) -> dict[str, float]:
    """The numbers of a chunk for a `Log`: "loss" and "excess", means over its steps and over the networks.

    With several networks also those of each, as "loss/0".

    Args:
        metrics: `[seed, step]` each.

    >>> logged(Metrics(np.array([[1.0, 2.0], [2.0, 3.0]]), np.zeros((2, 2))))["loss/1"]
    2.5
    """
    numbers = {}
    for name, values in metrics._asdict().items():
        by_network = np.asarray(values, np.float64).mean(1)
        numbers[name] = float(by_network.mean())
        if len(by_network) > 1:
            numbers |= {f"{name}/{seed}": float(value) for seed, value in enumerate(by_network)}
    return numbers


class Reporter:
    """Progress: a live bar on a terminal; elsewhere a line after every tenth of the steps."""

    def __init__(self, plan: Plan, start: int):
        """Report a training by `plan`, from step `start`."""
        self.plan, self.start = plan, start
        self.console = Console()
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[now]}"))
        self.progress = Progress(
            *columns, TimeRemainingColumn(), console=self.console, disable=not self.console.is_terminal
        )
        self.task = self.progress.add_task("training", total=plan.steps, completed=start, now="compiling")
        self.began: float | None = None

    def __enter__(self) -> "Reporter":  # noqa: D105
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:  # noqa: D105
        self.progress.stop()

    def __call__(self, step: int, metrics: Metrics) -> None:
        """Report the chunk that ended at `step`."""
        if self.began is None:  # the first chunk is mostly compilation: start the clock after it
            self.began, self.start = time.perf_counter(), step
        seconds = time.perf_counter() - self.began
        rate = (step - self.start) / seconds if step > self.start else 0.0
        tokens = rate * self.plan.tokens_per_step * self.plan.seeds
        speed = f"{tokens:,.0f} tokens/s" if rate else "compiled"
        now = f"{speed}, loss {float(metrics.excess.mean()):.5f} above the exact floor"
        self.progress.update(self.task, completed=step, now=now)
        tenth = max(1, self.plan.steps // 10 // self.plan.chunk) * self.plan.chunk
        if not self.console.is_terminal and (step % tenth == 0 or step == self.plan.steps):
            left = f", {(self.plan.steps - step) / rate:.0f} s left" if rate else ""
            print(f"step {step:,} of {self.plan.steps:,}: {now}{left}", flush=True)
