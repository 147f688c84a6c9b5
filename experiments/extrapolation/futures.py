"""What a network expects of the next three tokens after each possible prefix, and how likely it emits that prefix."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tasks
from jaxtyping import Float, PRNGKeyArray
from pairs import Distances, beyond_belief, distances, pairs_of
from tasks import BOS, Task

from beliefgeo import discovery, probes, reading
from beliefgeo.reading import Checkpoint

FUTURE = 3
"""The number of tokens of a future: enough to tell all beliefs of both processes apart."""


class Future(NamedTuple):
    """Laws of futures after the possible prefixes that leave room for them in the context."""

    laws: Float[np.ndarray, "row future"]
    own: Float[np.ndarray, " row"]
    """The probability that the network emits the prefix."""
    impossible: float
    """The probability that it emits an impossible word of the longest length."""


class Found(NamedTuple):
    """One network under one weighting of the words."""

    distances: Distances
    beyond: float
    """The share of what its laws tell of the word that the belief does not tell."""


class Study:
    """The pairs of a task, and what is measured on them."""

    def __init__(self, key: PRNGKeyArray, task: Task):
        """List the pairs of the prefixes that a future fits behind, and draw other classes of the same sizes."""
        self.task, self.longest = task, task.rows.tokens.shape[1] - FUTURE
        self.kept = np.flatnonzero(task.rows.length <= self.longest)
        part = lambda values: values[self.kept]
        rows = task.rows
        self.rows = rows._replace(
            **{name: part(getattr(rows, name)) for name in rows._fields if name not in ("tokens", "sampled")}
        )
        self.rows = self.rows._replace(tokens=rows.tokens[:, : self.longest + 1])
        self.classes = part(task.classes)
        shuffled = probes.shuffle_beliefs(key, self.classes[:, None].astype(np.float32), self.rows.length)
        self.shuffled = np.asarray(shuffled)[:, 0].astype(int)
        self.pairs, self.random = (pairs_of(self.rows, each, self.longest) for each in (self.classes, self.shuffled))
        digits = 2 ** np.arange(self.longest)[::-1]
        codes = (self.rows.words[self.rows.word] * digits).sum(1) >> (self.longest - self.rows.length)
        self.place = 2**self.rows.length - 1 + codes  # all 0, 1 words, shortest first, in lexicographic order

    def future(self, laws: Any) -> Future:
        """Futures from any model of the laws; see `discovery.network_laws`."""
        found = discovery.future_laws(laws, self.longest, FUTURE - 1, least=0.0)
        own = found.probabilities[self.place]
        return Future(found.continuations[self.place], own, 1 - float(own[self.rows.length == self.longest].sum()))

    def found(self, future: Future) -> dict[str, Found | float]:
        """The process's words, the network's own words, and the process's words in shuffled classes."""
        of = lambda pairs, classes, weights: Found(
            distances(pairs, future.laws, weights), beyond_belief(self.rows, classes, future.laws, weights)
        )
        return {
            "process": of(self.pairs, self.classes, self.rows.probabilities),
            "own": of(self.pairs, self.classes, future.own),
            "shuffled": of(self.random, self.shuffled, self.rows.probabilities),
            "impossible": future.impossible,
        }

    def network(self, shot: Checkpoint, params: Any) -> dict[str, Found | float]:
        """`found` of one network."""
        return self.found(self.future(discovery.network_laws(shot.network, params, bos=BOS)))


def compare(key: PRNGKeyArray, task: Task, checkpoints: list[Checkpoint]) -> Mapping[str, Any]:
    """The exact laws, the trained networks, the untrained ones, and each moment between."""
    study = Study(key, task)
    shots = [reading.over_seeds([study.network(shot, one) for one in shot.seeds]) for shot in checkpoints]
    gap = lambda one: float(reading.loss_gap(task.rows, one.log_laws).mean())
    gaps = [reading.each(shot, task.rows, gap, tasks.nothing) for shot in checkpoints]
    return {
        "gap": gaps[-1],
        "exact": study.found(study.future(discovery.process_laws(task.process))),
        "trained": shots[-1],
        "untrained": shots[0],
        "moments": [one["process"].distances.ratio for one in shots],
        "own moments": [one["own"].distances.ratio for one in shots],
        "gaps": gaps,
    }
