"""What networks learn."""

from typing import Literal, NamedTuple

import beliefgeo as bg

Name = Literal["mess3", "rrxor", "strata"]


class Task(NamedTuple):
    """A process, how many tokens networks read, and how many steps they take."""

    process: bg.Process
    context: int
    steps: int


def task(name: Name) -> Task:
    """The process of this name."""
    return {
        "mess3": lambda: Task(bg.mess3(), 7, 1500),
        "rrxor": lambda: Task(bg.rrxor(), 8, 3000),
        "strata": lambda: Task(bg.strata(0.97), 9, 1500),
    }[name]()
