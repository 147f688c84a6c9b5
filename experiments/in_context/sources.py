"""Processes about which an observer learns in the context, the loss that remains, and networks to predict them."""

from typing import Literal

import numpy as np

import beliefgeo as bg
from beliefgeo.networks import RecurrentConfig, TransformerConfig

SourceName = Literal["golden_mean", "even", "coins", "names"]
NetworkName = Literal["transformer", "gru"]
NAME = (3, 4)  # the tokens by which the two texts of the mixture differ


def source(name: SourceName, biases: tuple[float, ...]) -> tuple[bg.Process, float]:
    """The process of a name, and the loss that remains when everything about it has been learnt in the context.

    For an ergodic process this is its entropy rate; for a mixture it is the mean of its components' entropy rates.
    """
    if name in ("golden_mean", "even"):
        process = {"golden_mean": bg.golden_mean, "even": bg.even}[name]()
        return process, float(bg.entropy_rate(process))
    if name == "coins":
        parts, vocabularies = [bg.coin(bias) for bias in biases], None
    else:
        parts, vocabularies = [bg.mr_name()] * 2, [[0, 1, 2, token] for token in NAME]
    rate = np.mean([float(bg.entropy_rate(part)) for part in parts])
    return bg.mixture(parts, np.full(len(parts), 1 / len(parts)), vocabularies), float(rate)


def network(kind: NetworkName, process: bg.Process, context: int) -> TransformerConfig | RecurrentConfig:
    """A small transformer or GRU that reads a BOS and the tokens of a process."""
    vocab_size = process.vocab_size + 1
    if kind == "gru":
        return RecurrentConfig(vocab_size, cell="gru", layers=2, width=16)
    return TransformerConfig(vocab_size, context, layers=2, width=16, heads=4, head_width=4, mlp_width=64)
