"""What one network holds of the belief, of its parts, and of the beliefs of observers with a short memory."""

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Array, Float
from scipy.spatial.distance import cdist

import beliefgeo as bg
from beliefgeo import probes, reading
from beliefgeo.probes.controls import PermutationTest, Rank
from beliefgeo.probes.held_out import held_out_folds
from beliefgeo.probes.nested import cross_validated_r2
from beliefgeo.reading import Reading, Rows

Name = Literal["mess3", "rrxor", "strata", "wing", "arch"]
# Words of these lengths are read, fewer tokens than the networks' context where there are three tokens.
READ: dict[Name, int] = {"mess3": 7, "rrxor": 12, "strata": 12, "wing": 12, "arch": 8}
SUFFIXES = range(1, 11)
# Beliefs and laws nearer than this are equal.
EQUAL = 1e-6


class Alone(NamedTuple):
    """Held-out R2 of the beliefs from the exact next-token law, or from its logarithm, alone."""

    rank: Rank
    law: float
    log_law: float


@dataclass(frozen=True)
class Study:
    """The prefixes and the shuffles, the same for every network of a process."""

    process: bg.Process
    rows: Rows
    control: probes.Control

    def alone(self) -> Alone:
        """What a network would reach that knew its prediction alone."""
        laws, counts = self.rows.laws, self.rows.counts
        scores = [probes.held_out(one, self.rows, counts).r2 for one in (laws, np.log(np.maximum(laws, EQUAL)))]
        return Alone(probes.law_rank(self.rows), *scores)

    def measure(self, network: Reading) -> dict:
        """Held-out scores of every site and of all layers together, with the controls."""
        print(".", end="", flush=True)
        layers = {site: one for site, one in network.features.items() if site.startswith("layer")}
        together = reading.concatenated(layers)
        # Of dictionaries JAX sorts the names; of these it keeps the order.
        sites = OrderedDict((site, probes.score_parts(one, self.rows)) for site, one in network.features.items())
        test = self.tested(together)
        return {
            "gap": reading.losses(network, self.rows).gap,
            "all": probes.score_parts(together, self.rows),
            "likely": probes.score_parts(together, self.rows, self.rows.probabilities),
            "sites": sites,
            "best site": max(one.r2 for one in sites.values()),
            "test": test,
            "largest shuffle": float(test.shuffled.max()),
            "suffixes": self.suffix_scores(together),
            "merged": OrderedDict((site, self.merged(one)) for site, one in network.features.items()),
        }

    def tested(self, features: Float[Array, "row feature"]) -> PermutationTest:
        """Whether the beliefs beat beliefs whose unseen part is shuffled; where the law sees all, nothing moves."""
        return self.control.against(features, self.rows, self.rows.counts)

    def suffix_scores(self, features: Float[Array, "row feature"]) -> Float[np.ndarray, " suffix"]:
        """Held-out R2 of the beliefs of observers that begin with the last 1, 2, ... tokens."""
        targets = np.stack(self.suffixes)
        return np.asarray(cross_validated_r2(features, targets, held_out_folds(self.rows), self.rows.counts))

    @cached_property
    def suffixes(self) -> list[np.ndarray]:
        """Their beliefs."""
        return [reading.suffix_beliefs(self.process, self.rows, length) for length in SUFFIXES]

    def merged(self, features: Float[Array, "row feature"]) -> float:
        """The mean distance of activations after pasts of one length, one law and two beliefs, relative to two laws.

        Near 0 where beliefs of one law are merged; NaN where no two of the first thousand prefixes share a law.
        """
        chosen = np.flatnonzero(self.rows.length >= self.rows.length.max() - 3)[:1000]
        of = lambda values: cdist(np.asarray(values, np.float64)[chosen], np.asarray(values, np.float64)[chosen])
        alike = np.triu(of(self.rows.length[:, None]) == 0, 1)
        one_law, one_belief = of(self.rows.laws) < EQUAL, of(self.rows.beliefs) < EQUAL
        distance = of(features)
        mean = lambda which: distance[alike & which].mean() if (alike & which).any() else np.nan
        return float(mean(one_law & ~one_belief) / mean(~one_law))
