"""When a process learnt from data is the process that made the data."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

import beliefgeo as bg


class Recovery(NamedTuple):
    """The results of a method on samples of one length; distances between laws of words are median total variations."""

    tokens: int
    share: float
    """The share of samples from which the process is recovered."""
    interval: tuple[float, float]
    """Wilson's 95% interval of that share."""
    no_model: int
    """The number of samples that the method refuses."""
    distance: float | None
    """The distance from the learnt law to the true law."""
    distance_of_frequencies: float
    """The distance from the words counted in the sample to the true law."""


def tokens_needed(recoveries: Sequence[Recovery]) -> str:
    """The fewest tokens from which on 95% of samples are recovered."""
    missed = [one.tokens for one in recoveries if one.share < 0.95]
    enough = [one.tokens for one in recoveries if one.tokens > max(missed, default=0)]
    return f"{enough[0]:,}" if enough else f"not with {missed[-1]:,}"


def same_moves(one: bg.Process, other: bg.Process) -> bool:
    """Whether the states can be renumbered so that the same moves are possible."""
    moves, others = np.asarray(one.transitions) > 0, np.asarray(other.transitions) > 0
    orders = itertools.permutations(range(others.shape[1])) if moves.shape == others.shape else ()
    return any((others[:, order][:, :, order] == moves).all() for order in map(list, orders))


def word_law(process: bg.Process, length: int) -> Float[np.ndarray, " word"]:
    """The probabilities of all words of a length, in lexicographic order; a learnt model's may be negative."""
    transitions, readout = np.asarray(process.transitions, float), np.asarray(process.readout, float)
    vectors = np.asarray(process.initial, float)[None]
    for _ in range(length):
        vectors = np.einsum("ni,xij->nxj", vectors, transitions).reshape(-1, len(readout))
    return vectors @ readout
