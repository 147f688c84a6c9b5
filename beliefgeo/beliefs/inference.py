"""Causal states from data: test which histories predict alike, and keep the states that an observer returns to."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import chdtrc

from beliefgeo.processes.process import ArrayLike, Process, hmm

_IMPOSSIBLE, _UNEXPLORED = -1, -2
_LARGEST_TABLE = 2**24  # words counted in one array: 128 MiB
_LEAST_COUNT = 10


class CausalStates(NamedTuple):
    """A unifilar machine inferred from data.

    `process` holds the recurrent causal states (of several closed sets the most visited) and starts from their
    stationary law; `standard_errors` belong to its `transitions`. `counts` are the tokens seen from each state.
    `state_of_history` is the state after each history of `history_length` tokens, in lexicographic order, -1 where
    the observer has not synchronised or the history is impossible; `synchronised` is the share of positions whose
    token the states explain, `log_likelihood` that of the tokens there (nats), and `n_transient` the number of states
    that an observer may pass before.
    """

    process: Process
    standard_errors: Float[np.ndarray, "token state next_state"]
    counts: Int[np.ndarray, "state token"]
    state_of_history: Int[np.ndarray, " word"]
    synchronised: float
    log_likelihood: float
    n_transient: int


def infer_causal_states(
    tokens: ArrayLike, history_length: int, *, future_length: int = 3, significance: float = 1e-3
) -> CausalStates:
    """The epsilon-machine of a stationary process from a sample of it, nothing else known.

    Learns the mixed-state presentation and keeps its recurrent part. The empty history is the first state. Each known
    state is followed by each token, and the longer history is the known state it predicts most like, or a state of
    its own where it predicts unlike every one. So a history that never synchronises (1111... of the even process)
    returns to a state already known instead of becoming a new one.

    Two histories predict alike unless, after some continuation of fewer than `future_length` tokens, a likelihood
    ratio (G) test tells their next tokens apart. The i-th history examined is tested at the level
    significance / (i (i + 1)), divided among the continuations (Bonferroni), which sums to `significance` however
    many there are. Given its causal state a token depends on nothing else, so between synchronised histories the
    tests are exact for many tokens, however occurrences overlap; for transient ones they are approximate.

    `rrxor` needs histories of 6 tokens and futures of 3: single tokens look fair after most short histories. A
    process of infinitely many causal states (`mess3`) gets as many as the data can tell apart.

    Args:
        tokens: integers from 0, one sequence `[time]` or several of one length `[batch, time]`.
        history_length: the longest history examined; must reach beyond the transient states.
        future_length: how many tokens histories that differ may take to show it.
        significance: the chance of one state too many.

    Raises:
        TypeError: tokens that are not integers.
        ValueError: negative tokens, too little data for the history length, no closed set of states within it.

    Source: histories clustered by what they predict, Shalizi & Klinkner 2004 (CSSR, cs/0406011); states merged in the
    order of discovery, Carrasco & Oncina 1994 (ALERGIA).

    >>> import jax
    >>> from beliefgeo.processes.classical import even
    >>> from beliefgeo.processes.sampling import sample
    >>> drawn = sample(jax.random.key(0), even(0.5), 100_000)
    >>> infer_causal_states(drawn.tokens, 6).process.transitions.round(1).tolist()
    [[[0.5, 0.0], [0.0, 0.0]], [[0.0, 0.5], [1.0, 0.0]]]
    """
    sequences = check_sequences(tokens)
    if not 0 < significance < 1 or history_length < 1 or future_length < 1:
        raise ValueError(
            "infer_causal_states needs history_length >= 1, future_length >= 1 and 0 < significance < 1; got "
            f"{history_length}, {future_length} and {significance}"
        )
    futures = _count_futures(sequences, history_length, future_length)
    successors = _grow(futures, significance)
    states, next_tokens = _walk(successors, history_length), futures[-1].sum(-1)
    counts = np.zeros_like(successors)
    np.add.at(counts, states[states >= 0], next_tokens[states >= 0])
    # A token never seen after a state's shortest history leads nowhere known; nor does a move that no history makes.
    successors = np.where((successors >= 0) & (counts == 0), _IMPOSSIBLE, successors)
    recurrent = _closed_class(successors, counts, history_length)
    relabelled = np.full(len(successors) + 2, -1)  # the last two entries are those of -1 and -2
    relabelled[recurrent] = np.arange(len(recurrent))
    successors = relabelled[successors[recurrent]]
    counts = np.where(successors >= 0, counts[recurrent], 0)
    process, standard_errors = _machine(successors, counts)
    laws = counts / counts.sum(1, keepdims=True)
    return CausalStates(
        process,
        standard_errors,
        counts,
        relabelled[states],
        synchronised=float(counts.sum() / next_tokens.sum()),
        log_likelihood=float((counts * np.log(np.where(counts > 0, laws, 1))).sum()),
        n_transient=len(relabelled) - 2 - len(recurrent),
    )


def check_sequences(tokens: ArrayLike) -> Int[np.ndarray, "batch time"]:
    """Tokens as `[batch, time]`; raises where they are not integers from 0."""
    array = np.asarray(tokens)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"tokens must be integers; got {array.dtype}")
    if array.ndim not in (1, 2) or not array.size:
        raise ValueError(f"tokens must be one sequence [time] or several [batch, time]; got shape {array.shape}")
    if array.min() < 0:
        where = tuple(np.argwhere(array < 0)[0].tolist())
        raise ValueError(f"tokens must be 0 or more; got {array[where]} at position {', '.join(map(str, where))}")
    return np.atleast_2d(array).astype(np.int64, copy=False)


def window_codes(sequences: Int[np.ndarray, "batch time"], length: int) -> Int[np.ndarray, "batch window"]:
    """Every window of `length` tokens as the number it spells in base V = the largest token + 1.

    Raises:
        ValueError: more such words than one table of counts may hold.

    >>> window_codes(np.array([[1, 0, 1, 1]]), 2).tolist()
    [[2, 1, 3]]
    """
    vocab_size, n_windows = int(sequences.max()) + 1, max(sequences.shape[1] - length + 1, 0)
    if vocab_size**length > _LARGEST_TABLE:
        raise ValueError(
            f"windows of {length} tokens from a vocabulary of {vocab_size} make {vocab_size}^{length} words, more than "
            f"a table of {_LARGEST_TABLE:,} counts holds: shorten history_length or future_length"
        )
    codes = np.zeros((len(sequences), n_windows), np.int64)
    for offset in range(length):
        codes = codes * vocab_size + sequences[:, offset : offset + n_windows]
    return codes


def _count_futures(sequences: np.ndarray, history_length: int, future_length: int) -> list[np.ndarray]:
    """`[history, token, rest of the future]` counts for histories of 0..`history_length` tokens, one set of places."""
    vocab_size, length = int(sequences.max()) + 1, history_length + future_length
    counts = np.bincount(window_codes(sequences, length).reshape(-1), minlength=vocab_size**length)
    counts = counts.reshape(-1, vocab_size, vocab_size ** (future_length - 1))
    n_seen, n_windows = int(counts.any((1, 2)).sum()), int(counts.sum())
    if n_windows < _LEAST_COUNT * max(n_seen, 1):
        raise ValueError(
            f"too little data for history_length {history_length}: {sequences.size:,} tokens hold {n_seen:,} different "
            f"histories of that length, {n_windows / max(n_seen, 1):.1f} of each, and {_LEAST_COUNT} are needed: "
            "shorten it or give more tokens"
        )
    return [counts.reshape(-1, vocab_size**n, *counts.shape[1:]).sum(0) for n in range(history_length + 1)]


def _continuations(future: Int[np.ndarray, "token rest"]) -> Int[np.ndarray, "word token"]:
    """Counts of the next token after each continuation shorter than the future: none, one token, two, ..."""
    tables, rest = [future.sum(1)[None]], future
    while rest.shape[1] > 1:
        rest = rest.reshape(-1, len(future), rest.shape[1] // len(future))
        tables.append(rest.sum(2))
        rest = rest.reshape(-1, rest.shape[2])
    return np.concatenate(tables)


def _grow(futures: list[np.ndarray], significance: float) -> Int[np.ndarray, "state token"]:
    """The states in order of discovery, each the shortest history that leads there, and their successors."""
    vocab_size = futures[0].shape[1]
    known, tables = [(0, 0)], [_continuations(futures[0][0])]
    successors, examined = [], 0
    for length, code in known:  # grows while it is read
        row = [_UNEXPLORED] * vocab_size
        for token in range(vocab_size) if length + 1 < len(futures) else ():
            longer = length + 1, code * vocab_size + token
            table = _continuations(futures[longer[0]][longer[1]])
            if not table[0].sum():
                row[token] = _IMPOSSIBLE
                continue
            examined += 1
            # Where the longer history ends in a known one its occurrences are also that one's: compare with the rest.
            ends_in = np.array([longer[1] % vocab_size**n == shorter for n, shorter in known])
            agreement = _agreement(table, np.stack(tables) - ends_in[:, None, None] * table)
            row[token] = int(agreement.argmax())
            if agreement.max() < significance / (examined * (examined + 1)):
                row[token] = len(known)
                known.append(longer)
                tables.append(table)
        successors.append(row)
    return np.array(successors)


def _agreement(one: Int[np.ndarray, "word token"], others: Int[np.ndarray, "state word token"]) -> np.ndarray:
    """For each state the smallest p value of any continuation, times their number.

    G = 2 sum n ln(n / expected), chi-squared for many tokens; unlike Pearson's statistic its tail stays right where
    little is expected.
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


def _walk(successors: Int[np.ndarray, "state token"], length: int) -> Int[np.ndarray, " word"]:
    """The state after every word of a length, from the empty history; -1 or -2 where it leads nowhere."""
    states = np.zeros(1, np.int64)
    for _ in range(length):
        states = np.where(states[:, None] >= 0, successors[states], states[:, None]).reshape(-1)
    return states


def _closed_class(successors: np.ndarray, counts: np.ndarray, history_length: int) -> Int[np.ndarray, " state"]:
    """The states that lead to one another and nowhere else; of several such sets the one most visited."""
    sources, tokens = np.nonzero(successors >= 0)
    targets = successors[sources, tokens]
    edges = csr_array((np.ones(len(sources)), (sources, targets)), shape=(len(successors),) * 2)
    n_classes, label = connected_components(edges, connection="strong")
    unexplored = (successors == _UNEXPLORED).any(1)
    visits = np.bincount(label, counts.sum(1), n_classes)
    visits[label[unexplored]] = 0
    visits[label[sources[label[sources] != label[targets]]]] = 0
    if not visits.any():
        raise ValueError(
            f"no closed set of states within history_length {history_length}: {len(successors)} states were found, "
            f"{int(unexplored.sum())} of them in histories of that length only: raise it or future_length, or give "
            "more tokens"
        )
    return np.flatnonzero(label == visits.argmax())


def _machine(
    successors: Int[np.ndarray, "state token"], counts: Int[np.ndarray, "state token"]
) -> tuple[Process, Float[np.ndarray, "token state next_state"]]:
    """The unifilar process with the observed frequencies p, and their standard errors (p (1 - p) / n)^1/2."""
    total = counts.sum(1, keepdims=True)
    laws = counts / total
    errors = np.sqrt(laws * (1 - laws) / total)
    moves = (successors[..., None] == np.arange(len(counts))).transpose(1, 0, 2)
    return hmm(moves * laws.T[..., None]), moves * errors.T[..., None]
