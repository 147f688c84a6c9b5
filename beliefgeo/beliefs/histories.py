"""Which histories predict alike: the states of a machine in order of discovery, each a set of similar histories."""

from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Float, Int
from scipy.special import chdtrc

IMPOSSIBLE, UNEXPLORED = -1, -2


def _continuations(future: Int[np.ndarray, "token rest"]) -> Int[np.ndarray, "word token"]:
    """Counts of the next token after each continuation shorter than the future: none, one token, two, ..."""
    tables, rest = [future.sum(1)[None]], future
    while rest.shape[1] > 1:
        rest = rest.reshape(-1, len(future), rest.shape[1] // len(future))
        tables.append(rest.sum(2))
        rest = rest.reshape(-1, rest.shape[2])
    return np.concatenate(tables)


@dataclass
class Growth:
    """The states in order of discovery, each the shortest history (length, code) that leads there.

    Attributes:
        known: The shortest history of each state, (length, code).
        tables: What followed each shortest history: `_continuations` of it.
        successors: The state that each token leads to, a list a state.
        examined: The number of histories compared with the states.
    """

    known: list[tuple[int, int]]
    tables: list[np.ndarray]
    successors: list[list[int]]
    examined: int = 0


def grow(futures: list[np.ndarray], significance: float) -> Growth:
    """The states and their moves; a move that the shortest history lacks comes from another history of its state."""
    growth = Growth([(0, 0)], [_continuations(futures[0][0])], [])
    _explore(growth, futures, significance)
    while missed := _missed_moves(growth, futures, significance):
        for (state, token), longer in missed.items():
            growth.successors[state][token] = _state_after(growth, futures, longer, significance)
        _explore(growth, futures, significance)
    return growth


def _explore(growth: Growth, futures: list[np.ndarray], significance: float) -> None:
    """Find the moves after the shortest history of each state, new states included."""
    vocab_size = futures[0].shape[1]
    for length, code in islice(growth.known, len(growth.successors), None):  # the list grows in the loop
        row = [UNEXPLORED] * vocab_size
        for token in range(vocab_size) if length + 1 < len(futures) else ():
            longer = length + 1, code * vocab_size + token
            seen = futures[longer[0]][longer[1]].any()
            row[token] = _state_after(growth, futures, longer, significance) if seen else IMPOSSIBLE
        growth.successors.append(row)


def _state_after(growth: Growth, futures: list[np.ndarray], longer: tuple[int, int], significance: float) -> int:
    """The known state that predicts most like a history, or a new state if no known state predicts like it."""
    vocab_size = futures[0].shape[1]
    table = _continuations(futures[longer[0]][longer[1]])
    growth.examined += 1
    # If the longer history ends in a known history, the two share occurrences: compare with the rest.
    ends_in = np.array([longer[1] % vocab_size**n == shorter for n, shorter in growth.known])
    p_values = agreement(table, np.stack(growth.tables) - ends_in[:, None, None] * table)
    if p_values.max() >= significance / (growth.examined * (growth.examined + 1)):
        return int(p_values.argmax())
    growth.known.append(longer)
    growth.tables.append(table)
    return len(growth.known) - 1


def _missed_moves(
    growth: Growth, futures: list[np.ndarray], significance: float
) -> dict[tuple[int, int], tuple[int, int]]:
    """(state, token) -> the history after it, for tokens that never followed the state's shortest history.

    The token followed another history of that state, which predicts alike; of these, the shortest is taken.
    """
    successors, states, found = np.array(growth.successors), np.zeros(1, np.int64), {}
    for length, longer in enumerate(futures[1:]):
        seen = longer.any((1, 2)).reshape(-1, longer.shape[1])
        lacking = seen & (states >= 0)[:, None] & (successors[states] == IMPOSSIBLE)
        for word, token in np.argwhere(lacking).tolist():
            found.setdefault((int(states[word]), token), (length, word))
        states = extend(successors, states)
    # The level itself, above the level of `_state_after`: a false move spoils the state, and a missed move shows.
    alike = lambda state, history: (
        agreement(_continuations(futures[history[0]][history[1]]), growth.tables[state][None])[0] >= significance
    )
    return {
        (state, token): (history[0] + 1, history[1] * futures[0].shape[1] + token)
        for (state, token), history in found.items()
        if alike(state, history)
    }


def agreement(
    one: Int[np.ndarray, "word token"], others: Int[np.ndarray, "state word token"]
) -> Float[np.ndarray, " state"]:
    """The smallest p value of any continuation, times the number of continuations, for each state.

    G = 2 sum n ln(n / expected), chi-squared for many tokens; unlike the tail of Pearson's statistic, its tail stays
    right if expected counts are small.
    """
    pair = np.stack(np.broadcast_arrays(one, others), 2).astype(float)
    rows, columns, total = pair.sum(-1, keepdims=True), pair.sum(-2, keepdims=True), pair.sum((-2, -1))
    expected = rows * columns / np.maximum(total, 1)[..., None, None]
    ratio = np.where(pair > 0, pair, 1) / np.where(pair > 0, expected, 1)
    statistic = 2 * (pair * np.log(ratio)).sum((-2, -1))
    freedom = (columns > 0).sum((-2, -1)) - 1
    tested = (freedom > 0) & (rows > 0).all((-2, -1))
    p_values = np.where(tested, chdtrc(np.maximum(freedom, 1), statistic), 1)
    return p_values.min(1) * np.maximum(tested.sum(1), 1)


def extend(successors: Int[np.ndarray, "state token"], states: Int[np.ndarray, " word"]) -> Int[np.ndarray, " longer"]:
    """The state after each word and one more token."""
    return np.where(states[:, None] >= 0, successors[states], states[:, None]).reshape(-1)
