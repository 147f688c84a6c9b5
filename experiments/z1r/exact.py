"""What can be known about Z1R without a network, with its values computed by hand."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

import beliefgeo as bg
from beliefgeo.beliefs.entropies import entropy
from beliefgeo.beliefs.mixed_states import MixedStatePresentation

# Name -> measure, and its value by hand in bits.
MEASURES = {
    "entropy rate h": (bg.entropy_rate, 1 / 3),
    "statistical complexity C_mu": (bg.statistical_complexity, np.log2(3)),
    "excess entropy E": (bg.excess_entropy, np.log2(3)),
    "transient information T": (bg.transient_information, 2 * np.log2(3) - 1 / 3),
    "synchronisation information S": (bg.synchronization_information, 2 * np.log2(3) - 1 / 3),
    "crypticity": (bg.crypticity, 0.0),
}


class Exact(NamedTuple):
    """Exact values of a process with finitely many mixed states."""

    process: bg.Process
    presentation: MixedStatePresentation
    mixed_states: int
    recurrent: int
    """The number of recurrent mixed states."""
    bits: dict[str, float]
    """The measures of information, by name."""
    block_entropies: np.ndarray
    """The entropies of words of 0 to 8 tokens. Nats."""
    belief_entropies: np.ndarray
    """The mean entropies of the belief after 0 to 7 tokens. Nats."""


def exact(process: bg.Process) -> Exact:
    """All exact values."""
    presentation, words = bg.mixed_state_presentation(process), bg.words(process, 7)
    return Exact(
        process,
        presentation,
        len(presentation.beliefs),
        int(presentation.recurrent.sum()),
        {name: float(measure(process) / np.log(2)) for name, (measure, _) in MEASURES.items()},
        np.asarray(bg.block_entropies(process, 8)),
        words.probabilities @ np.asarray(entropy(jnp.asarray(words.beliefs))),
    )
