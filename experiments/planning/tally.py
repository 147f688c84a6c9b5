"""Pairs of symbols, a mark, then the number of equal pairs: a process in which it can pay to prepare."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

import beliefgeo as bg
from beliefgeo.arrays import require_between
from beliefgeo.reading import Rows


class State(NamedTuple):
    """What the future depends on.

    Attributes:
        read: The number of symbols read, then of the mark.
        equal: The number of pairs so far whose symbols were equal.
        first: The first symbol of an open pair, else None.
        tipped: Whether the next token is tipped off that the last pair was equal.
    """

    read: int
    equal: int = 0
    first: int | None = None
    tipped: bool = False


def tally(pairs: int = 3, symbols: int = 4, tip: float = 0.0) -> bg.Process:
    """Symbols in pairs, a mark "!" or "?", then the number of equal pairs as a letter, "a" for none; and so on.

    All symbols and both marks are equally likely, except that the token after an equal pair is low (one of the first
    half of the symbols, or the mark "!") with probability 1/2 + tip, after an unequal pair 1/2 - tip / (symbols - 1);
    overall 1/2. Without a tip nothing but the last token depends on which pairs are equal.

    Args:
        pairs: the number of pairs, 1 to 26.
        symbols: the number of symbols, an even number from 2 to 10.
        tip: what the token after a pair tells about the pair, 0 to 1/2.

    Raises:
        ValueError: parameters out of range.

    >>> tally(1, 2).token_names
    ('!', '0', '1', '?', 'a', 'b')
    """
    require_between("tally", "pairs", pairs, 1, 26)
    require_between("tally", "symbols", symbols, 2, 10)
    require_between("tally", "tip", tip, 0, 1 / 2)
    if symbols % 2:
        raise ValueError(f"tally needs an even number of symbols, half of them low; got symbols={symbols}: add one")
    start, edges = State(0), []
    states = [start]
    for _ in range(2 * pairs + 1):
        ahead = [edge for state in states for edge in _edges(state, pairs, symbols, tip)]
        edges += ahead
        states = _distinct(target for _, _, target, _ in ahead)
    edges += [(state, chr(ord("a") + state.equal), start, 1.0) for state in states]
    return bg.from_edges(edges, start)


def _edges(state: State, pairs: int, symbols: int, tip: float) -> Iterator[tuple[State, str, State, float]]:
    """(state, token, next state, probability) of the symbols, and of the marks after the last pair."""
    read, equal, first, tipped = state
    low = 0.5 + (tip if tipped else -tip / (symbols - 1)) * (read > 0)
    if read == 2 * pairs:
        yield from ((state, mark, State(read + 1, equal), chance) for mark, chance in (("!", low), ("?", 1 - low)))
        return
    for symbol in range(symbols):
        if first is None:
            chance = 2 / symbols * (low if symbol < symbols // 2 else 1 - low)
            yield state, str(symbol), State(read + 1, equal, symbol), chance
        else:
            same = symbol == first
            yield state, str(symbol), State(read + 1, equal + same, None, same and tip > 0), 1 / symbols


def _distinct(states: Iterable[State]) -> list[State]:
    return list(dict.fromkeys(states))


def equal_pairs(rows: Rows, pairs: int) -> tuple[Float[np.ndarray, "row one"], Float[np.ndarray, " row"]]:
    """Whether the symbols of the pair just read are equal, and the weights: probabilities, 0 where no pair ends."""
    ends = (rows.length % 2 == 0) & (rows.length <= 2 * pairs)
    words, last = rows.words[rows.word], np.maximum(rows.length - 1, 1)
    row = np.arange(len(words))
    same = words[row, last] == words[row, last - 1]
    return same[:, None].astype(np.float64), np.where(ends, rows.probabilities, 0)
