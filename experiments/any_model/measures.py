"""A model known by its arrays alone: the process read off it, beside the process that its tokens came from."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import numpy as np

import beliefgeo as bg
from beliefgeo import discovery, reading
from beliefgeo.mechanisms.dynamics import own_words
from beliefgeo.probes.least_squares import score_predictions

# The dimensions of the beliefs of a process of three states. Every model is read in as many besides, whether they were
# chosen or not, so that an untrained network has points and states to show.
DIMENSIONS = 2


class Moore(NamedTuple):
    """The hidden Markov model behind the process read off: a state stays, and emits its own token. NaN without one."""

    hidden: bool
    """Whether its numbers are probabilities."""
    commutator: float
    stay: np.ndarray
    """`[state]`"""
    alpha: np.ndarray
    """`[state]`, of the likeliest token of the state."""


class Cloud(NamedTuple):
    """Points read off one model, after the best affine map to the exact beliefs."""

    beliefs: np.ndarray
    seen: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Study:
    """The process and the words, the same for every model."""

    process: bg.Process
    rows: reading.Rows
    prefixes: int
    future: int

    def measure(self, laws: Callable[[np.ndarray], np.ndarray]) -> tuple[dict, Cloud]:
        """What is read off one model, and the points."""
        futures = discovery.future_laws(laws, self.prefixes, self.future)
        found, two = discovery.discover_process(futures), discovery.discover_process(futures, DIMENSIONS)
        compared = discovery.compare_processes(self.process, found.process, self.length)
        points = two.points
        beliefs, weights = self.beliefs(futures.words, futures.length), futures.weights
        seen = np.asarray(bg.fit_probe(points, beliefs, weights, rcond=1e-6)(points), np.float64)
        network = self.network(laws)
        words = own_words(network.log_laws, self.rows)
        numbers = {
            "gap": reading.losses(network, self.rows).gap,
            "words": {"divergence": words.divergence, "total_variation": words.total_variation},
            "dimension": found.dimension,
            "divergences": found.divergences,
            "found": {
                "divergence": compared.divergence,
                "total_variation": compared.total_variation,
                "operators": np.nan if compared.operators is None else compared.operators,
                "moduli": np.resize(np.append(abs(compared.eigenvalues), [0, 0, 0]), 3),
            },
            "two": {
                "divergence": discovery.compare_processes(self.process, two.process, self.length).divergence,
                "unexplained": two.divergences[DIMENSIONS] / two.divergences[0],
                "moore": moore(two.process),
            },
            "r2": float(score_predictions(seen, beliefs, weights).r2),
            "last_token": told_by_last_token(futures),
        }
        return numbers, Cloud(beliefs, seen, weights)

    @property
    def length(self) -> int:
        """The number of tokens of the words."""
        return self.rows.tokens.shape[1]

    def network(self, laws: Callable[[np.ndarray], np.ndarray]) -> reading.Reading:
        """What the model itself predicts after every prefix."""
        return reading.of_arrays(self.rows, np.log(laws(self.rows.tokens)), {})

    def beliefs(self, words: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The exact beliefs after prefixes, `[row, state]`."""
        every = self._filtered(np.maximum(words, 0))
        return np.asarray(every, np.float64)[np.arange(len(words)), lengths]

    @cached_property
    def _filtered(self) -> Callable:
        return jax.jit(jax.vmap(lambda word: bg.filter_beliefs(self.process, word).beliefs))


def moore(process: bg.Process) -> Moore:
    """The stay and emission probabilities of three states; NaN where there are not three, or no such form."""
    form = discovery.moore_form(process)
    if form.transition_matrix is None or form.emission_probs is None or len(form.transition_matrix) != 3:
        return Moore(False, form.commutator, np.full(3, np.nan), np.full(3, np.nan))
    return Moore(
        form.process is not None, form.commutator, np.diagonal(form.transition_matrix), form.emission_probs.max(1)
    )


def told_by_last_token(futures: discovery.Futures) -> float:
    """The share of the variance of a model's next-token laws that the last token alone tells."""
    read = futures.length > 0
    laws, weights = futures.laws[read], futures.weights[read]
    last = futures.words[read, futures.length[read] - 1]
    mean = np.stack([np.average(laws[last == token], 0, weights[last == token]) for token in np.unique(last)])
    return float(score_predictions(mean[last], laws, weights).r2)
