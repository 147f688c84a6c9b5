"""The processes, and how long networks learn them."""

from typing import Literal, NamedTuple

from tally import tally

import beliefgeo as bg

Name = Literal["tally", "tipped tally", "rrxor", "mess3"]


class Task(NamedTuple):
    """A process, the tokens that networks read of it, their number of layers, and how long they learn."""

    process: bg.Process
    context: int
    layers: int
    steps: int
    batch: int
    rate: float
    weight_decay: float | None = None


def task_of(name: Name, pairs: int, tip: float) -> Task:
    """What networks learn, and how; the number of pairs and the tip are those of tallies."""
    if name == "rrxor":
        return Task(bg.rrxor(), 10, 3, 1500, 32, 5e-3, 1.0)
    if name == "mess3":
        return Task(bg.mess3(), 7, 3, 800, 16, 5e-3)
    process = tally(pairs, tip if name == "tipped tally" else 0.0)
    return Task(process, 2 * pairs + 1, 2, 1600, 64, 3e-3)
