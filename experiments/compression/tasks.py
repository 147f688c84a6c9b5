"""The processes to be compressed, and the parts of a belief that may be kept or dropped."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax
import numpy as np
from jaxtyping import Float

import beliefgeo as bg
from beliefgeo import probes
from beliefgeo.processes.factored import Product
from beliefgeo.processes.process import Process
from beliefgeo.reading import Rows

Name = Literal["unlike pair", "three like", "four like", "five", "random HMM", "second HMM"]


@dataclass(frozen=True)
class Task:
    """A process, the words on which it is judged, and the names of its factors."""

    process: Callable[[], Process | Product]
    context: int
    """The number of tokens that a network reads."""
    most: int
    """How many words are listed, or else drawn."""
    factors: tuple[str, ...] = ()
    """The names of the factors; none for a process of one piece."""
    alike: bool = False
    """Whether the factors are copies. Which copy is kept is chance, so parts are then in order of their R2."""


# The belief about the loud factor varies most, but tells little of the next token. The telling factor is the opposite.
LOUD, TELLING, LIKE = (0.28, 0.95), (0.02, 0.6), (0.05, 0.85)

TASKS: dict[Name, Task] = {
    "unlike pair": Task(lambda: bg.product([bg.mess3(*LOUD), bg.mess3(*TELLING)]), 4, 10_000, ("loud", "telling")),
    "three like": Task(lambda: bg.product([bg.mess3(*LIKE)] * 3), 4, 1000, ("first", "second", "third"), True),
    "four like": Task(lambda: bg.product([bg.mess3(*LIKE)] * 4), 4, 400, ("1st", "2nd", "3rd", "4th"), True),
    "five": Task(
        lambda: bg.product([bg.mess3(x, 0.85) for x in (0.02, 0.05, 0.08, 0.12, 0.16)]),
        *(4, 200, (".02", ".05", ".08", ".12", ".16")),
    ),
    "random HMM": Task(lambda: bg.random_hmm(jax.random.key(20), 20, 10, 0.03), 4, 1000),
    "second HMM": Task(lambda: bg.random_hmm(jax.random.key(21), 20, 10, 0.03), 4, 1000),
}


def components(rows: Rows) -> Float[np.ndarray, "row component"]:
    """The belief in its principal components, widest first, in float64: those that vary."""
    with jax.enable_x64(True):
        found = probes.principal_components(rows.beliefs, rows.probabilities)
        kept = np.asarray(found.variances) > 1e-9 * float(found.variances.sum())
        return np.asarray(found(rows.beliefs))[:, kept]


def parts(task: Task, process: Process | Product, rows: Rows) -> dict[str, Float[np.ndarray, "row target"]]:
    """The beliefs about the factors; or, without factors, the belief along each principal component."""
    if isinstance(process, Product):
        return dict(zip(task.factors, map(np.asarray, process.split_belief(rows.beliefs)), strict=True))
    columns = components(rows).T
    return {f"component {index + 1}": column[:, None] for index, column in enumerate(columns)}
