"""How long to train, and how: the part of an experiment that its reader changes first."""

from dataclasses import dataclass
from typing import Literal

# What networks learn from, by `Budget.data`. Published numbers are of drawn tokens: a comparison must name ours.
TARGETS = {
    "samples": "drawn tokens",
    "quasirandom": "quasirandom tokens",
    "laws": "exact-law targets",
    "words": "all words",
}


@dataclass(frozen=True)
class Budget:
    """How long to train, and how.

    Attributes:
        steps: The number of optimiser steps, a multiple of `chunk`.
        batch: The number of sequences in a step.
        learning_rate: The peak learning rate.
        optimizer: nadam and muon warm up over a twentieth of the steps and decay to zero along a cosine; the others
            keep a fixed rate. muon turns the matrices between embedding and unembedding; the other parameters follow
            nadam.
        weight_decay: The decoupled weight decay, times the rate, of adamw and of muon's matrices; default 1e-4 for
            adamw, else 0.
        data: samples: every step draws fresh sequences. quasirandom: sequences of the same law that together are spread
            evenly over the words, with less noise. laws: fresh sequences whose targets are the exact laws of the next
            token, with the same gradient on average but without the noise of the drawn token. words: every step uses
            all words, weighted by their exact probabilities.
        chunk: The number of steps in one compiled call; reports and checkpoints come between calls.
        snapshots: The approximate number of log-spaced checkpoints to study, besides the untrained network.
        seeds: The number of networks trained side by side in one program.
    """

    steps: int = 3000
    batch: int = 64
    learning_rate: float = 2e-3
    optimizer: Literal["nadam", "muon", "adam", "adamw", "sgd"] = "nadam"
    weight_decay: float | None = None
    data: Literal["samples", "quasirandom", "laws", "words"] = "samples"
    chunk: int = 100
    snapshots: int = 2
    seeds: int = 1
