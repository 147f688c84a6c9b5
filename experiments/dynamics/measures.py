"""One network beside the dynamics of its process: steps, the process read off it, its words, impossible words."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.beliefs.trees import count_words
from beliefgeo.mechanisms import dynamics
from beliefgeo.mechanisms.impossible import Impossible, impossible_words
from beliefgeo.networks import Network
from beliefgeo.probes.least_squares import score_predictions
from beliefgeo.reading import Reading, Rows

# The hypotheses of `impossible_words`, and the length of the words.
GUESSES = ("longest possible suffix", "start again", "ignored token", "noisy copy", "nothing known")
LENGTH = 10
ROLLOUTS = 5


class Read(NamedTuple):
    """A process read off a network."""

    divergence: float
    moduli: np.ndarray
    """Of the eigenvalues of the mean dynamics, largest first."""
    matrices: float | None
    """|T_read - T| / |T|, in the coordinates of the beliefs; None where the points have other dimensions."""


class Guess(NamedTuple):
    """How near a hypothesis comes to a network after impossible words; every word counts equally."""

    variation: float
    r2: float


@dataclass(frozen=True)
class Study:
    """The prefixes, the same for every network of a process."""

    process: bg.Process
    network: Network
    rows: Rows

    def measure(self, network: Reading) -> dict:
        """Everything about one network."""
        last = [*network.features][-2]  # the last layer, before the final norm
        probe = bg.fit_probe(network.features[last], self.rows.beliefs, self.rows.probabilities, rcond=1e-5)
        seen = np.asarray(probe(network.features[last]), np.float64)
        laws = np.exp(np.asarray(network.log_laws, np.float64))
        points = dynamics.law_points(laws)
        found = {
            "gap": reading.losses(network, self.rows).gap,
            "steps": dynamics.one_step(self.process, seen, laws, self.rows),
            "rollouts": np.array(
                [dynamics.rolled_out(self.process, seen, self.rows, steps + 1) for steps in range(ROLLOUTS)]
            ),
            "from laws": self.read_off(points, laws, np.eye(points.shape[1])[0]),
            "from beliefs": self.read_off(seen, laws, np.ones(seen.shape[1])),
            "words": dynamics.own_words(network.log_laws, self.rows),
        }
        if self.impossible is not None:
            found["impossible"] = self.after_impossible(network, probe, self.impossible)
        return found

    def read_off(self, points: np.ndarray, laws: np.ndarray, readout: np.ndarray) -> Read:
        """The process that points and laws obey, beside the true process."""
        process = dynamics.fit_projective(points, laws, self.rows, readout=readout)
        found = dynamics.compare_dynamics(self.process, process, points, self.rows)
        return Read(found.divergence, abs(found.eigenvalues), found.matrices)

    @cached_property
    def impossible(self) -> Impossible | None:
        """Impossible words and hypotheses; None if the process emits every word."""
        emits_all = count_words(self.process, LENGTH) == self.process.vocab_size**LENGTH
        return None if emits_all else impossible_words(self.process, LENGTH)

    def after_impossible(self, network: Reading, probe: bg.Probe, words: Impossible) -> dict[str, Guess]:
        """What the network predicts and holds after impossible words, beside every hypothesis."""
        found = reading.read(self.network, network.params, words.rows)
        wrong = words.impossible
        laws = np.exp(np.asarray(found.log_laws, np.float64))[wrong]
        seen = np.asarray(probe([*found.features.values()][-2]))[wrong]
        return {
            guess: Guess(
                float(abs(laws - words.laws[guess][wrong]).sum(1).mean() / 2),
                float(score_predictions(seen, words.beliefs[guess][wrong]).r2),
            )
            for guess in GUESSES
        }


def nearest(impossible: Mapping[str, Any]) -> dict[str, int]:
    """For each hypothesis, the number of networks whose laws after impossible words it tells best."""
    variations = np.stack([impossible[guess].variation.values for guess in GUESSES])
    best = variations.argmin(0)
    return {guess: int((best == index).sum()) for index, guess in enumerate(GUESSES)}
