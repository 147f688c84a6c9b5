"""Pairs of bits, a mark, then the number of equal pairs: a process in which it can pay to prepare."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

import beliefgeo as bg
from beliefgeo.arrays import require_between
from beliefgeo.reading import Rows


class State(NamedTuple):
    """What the future depends on.

    Attributes:
        read: The number of tokens read.
        equal: The number of pairs so far whose bits are equal.
        first: The first bit of an open pair, else None.
        tip: The excess over 1/2 of the probability that the next token is "0", or "!" after the last pair.
    """

    read: int
    equal: int = 0
    first: int | None = None
    tip: float = 0.0


def tally(pairs: int = 6, tip: float = 0.0) -> bg.Process:
    """Bits in pairs, a mark "!" or "?", the number of equal pairs as a letter ("a" for none); then all over again.

    All bits and both marks are equally likely, but the token after an equal pair is "0" (after the last pair "!") with
    probability 1/2 + tip, after an unequal pair with probability 1/2 - tip. Without a tip no token but the letter
    depends on which pairs are equal.

    Args:
        pairs: the number of pairs, 1 to 26.
        tip: what the token after a pair tells about the pair, 0 to 1/2.

    Raises:
        ValueError: parameters out of range.

    >>> tally(1).token_names
    ('!', '0', '1', '?', 'a', 'b')
    """
    require_between("tally", "pairs", pairs, 1, 26)
    require_between("tally", "tip", tip, 0, 1 / 2)
    start, edges = State(0), []
    states = [start]
    for _ in range(2 * pairs + 1):
        ahead = [edge for state in states for edge in _edges(state, pairs, tip)]
        edges += ahead
        states = list(dict.fromkeys(target for _, _, target, _ in ahead))
    return bg.from_edges(edges + [(state, chr(ord("a") + state.equal), start, 1.0) for state in states], start)


def _edges(state: State, pairs: int, tip: float) -> Iterator[tuple[State, str, State, float]]:
    """(state, token, next state, probability) of a bit, or of the mark after the last pair."""
    read, equal, first, tipped = state
    last = read == 2 * pairs
    for value, chance in ((0, 0.5 + tipped), (1, 0.5 - tipped)):
        if last:
            yield state, "!?"[value], State(read + 1, equal), chance
        elif first is None:
            yield state, str(value), State(read + 1, equal, value), chance
        else:
            same = value == first
            yield state, str(value), State(read + 1, equal + same, None, tip if same else -tip), chance


def equal_pairs(rows: Rows, pairs: int) -> tuple[Float[np.ndarray, "row one"], Float[np.ndarray, " row"]]:
    """Whether the bits of the pair just read are equal, and the weights: probabilities, 0 where no pair ends."""
    ends = (rows.length % 2 == 0) & (rows.length <= 2 * pairs)
    words, last = rows.words[rows.word], np.maximum(rows.length - 1, 1)
    row = np.arange(len(words))
    same = words[row, last] == words[row, last - 1]
    return same[:, None].astype(np.float64), np.where(ends, rows.probabilities, 0)
