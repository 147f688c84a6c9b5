"""How long to train, and how: the part of an experiment that its reader changes first."""

from dataclasses import dataclass
from typing import Literal

# What networks learn from, by `Budget.data`. Published numbers are of drawn tokens: who sets ours beside them says so.
TARGETS = {
    "samples": "drawn tokens",
    "quasirandom": "quasirandom tokens",
    "laws": "exact-law targets",
    "words": "all words",
}


@dataclass(frozen=True)
class Budget:
    """How long to train, and how."""

    steps: int = 3000
    """Optimiser steps, a multiple of `chunk`."""
    batch: int = 64
    """Sequences in a step."""
    learning_rate: float = 2e-3
    """Peak learning rate."""
    optimizer: Literal["nadam", "adam", "adamw", "sgd"] = "nadam"
    """nadam warms up over a twentieth of the steps and decays to zero along a cosine; the others keep their rate."""
    data: Literal["samples", "quasirandom", "laws", "words"] = "samples"
    """samples: fresh ones in every step. quasirandom: of the same law, and together spread evenly over the words: less
    noise. laws: fresh samples, whose targets are the exact laws of the next token: on average the same gradient,
    without the noise of the token drawn. words: in every step all words, weighted by their exact probabilities."""
    chunk: int = 100
    """Steps in one compiled call; reports and checkpoints fall between them."""
    snapshots: int = 2
    """About how many log-spaced checkpoints to study, besides the untrained network."""
    seeds: int = 1
    """Networks trained side by side in one program."""
