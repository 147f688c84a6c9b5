"""What an experiment needs from its surroundings: keys by name, networks that are trained once, and a clock."""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
from jaxtyping import PRNGKeyArray

from beliefgeo.learning.budget import Budget
from beliefgeo.processes.process import Observer
from beliefgeo.runs.learn import AnyNetwork, Learned, NamedOptimizer, learn_several
from beliefgeo.runs.progress import Log
from beliefgeo.runs.timing import stage

# A training of fewer steps is a smoke run, whose network is not worth a page.
_WORTH_A_PAGE = 700


def named_key(seed: int, name: str) -> PRNGKeyArray:
    """The key for one use: the same in every call, and never a key of training."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


@dataclass
class Run:
    """One call of an experiment.

    >>> run = Run(Path("runs"), seed=0)
    >>> bool((jax.random.key_data(run.key("words")) == jax.random.key_data(run.key("shuffles"))).all())
    False

    Attributes:
        root: The folder for everything that is written; networks have a folder of their own in it.
        seed: From which every key follows.
        seconds: The seconds of each stage, without compilation.
        networks: For each folder of networks that the run asked for, whether they had been trained before.
        shown: Process, networks, context and BOS of the first training that is worth a page.
    """

    root: Path
    seed: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    networks: dict[str, bool] = field(default_factory=dict)
    shown: "tuple[Observer, Learned, int, bool] | None" = None

    def key(self, name: str) -> PRNGKeyArray:
        """`named_key` of the seed of the run."""
        return named_key(self.seed, name)

    def learn(
        self,
        process: Observer,
        network: AnyNetwork,
        budget: Budget,
        *,
        context: int,
        bos: bool = False,
        optimizer: NamedOptimizer | None = None,
        start: Any = None,
        log: Log | None = None,
    ) -> Learned:
        """`runs.learn` in this run's folder of networks: it only loads what was trained before, for any claim."""
        options = {"context": context, "bos": bos, "optimizer": optimizer, "log": log}
        starts = None if start is None else [start]
        return self.learn_several([process], network, budget, starts=starts, **options)[0]

    def learn_several(
        self,
        processes: Sequence[Observer],
        network: AnyNetwork,
        budget: Budget,
        *,
        context: int,
        bos: bool = False,
        optimizer: NamedOptimizer | None = None,
        starts: Sequence[Any] | None = None,
        log: Log | None = None,
    ) -> list[Learned]:
        """`runs.learn_several` in this run's folder of networks."""
        key, root = jax.random.key(self.seed), self.root / "networks"
        with self.stage("train"):
            options = {"context": context, "bos": bos, "optimizer": optimizer, "starts": starts, "log": log}
            every = learn_several(key, processes, network, budget, **options, root=root)
        folder, reused = str(every[0].folder), every[0].reused
        print(f"{folder}: {'trained before' if reused else 'trained now'}", flush=True)
        self.networks[folder] = reused
        if self.shown is None and budget.steps >= _WORTH_A_PAGE:
            self.shown = (processes[0], every[0], context, bos)
        return every

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the seconds of the block, except compilation, as `name`."""
        with stage(self.seconds, name):
            yield
