"""Causal states from data: test which histories predict alike, and keep the states that an observer returns to."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import chdtrc

from beliefgeo.arrays import ArrayLike
from beliefgeo.beliefs.histories import IMPOSSIBLE, UNEXPLORED, Growth, extend, grow
from beliefgeo.beliefs.replay import called, require_explained
from beliefgeo.beliefs.windows import check_sequences, count_futures
from beliefgeo.processes.construct import hmm
from beliefgeo.processes.process import Process


class CausalStates(NamedTuple):
    """A unifilar machine inferred from data.

    Attributes:
        process: The recurrent causal states, from their stationary law.
        standard_errors: Those of the transitions of `process`.
        counts: The tokens seen from each state.
        state_of_history: The state after each history of `history_length` tokens, in lexicographic order; -1 if the
            observer has not synchronised or the history is impossible.
        synchronised: The share of positions whose token the states explain.
        log_likelihood: The log-likelihood of the tokens at these positions, in nats.
        n_transient: The number of states that an observer may pass before.
        agreement: The p value of the hypothesis that all histories of a state predict the same next token: the smallest
            of all states, times the number of states. Far below `significance` the states are too few, because futures
            or histories are too short to tell them apart.
    """

    process: Process
    standard_errors: Float[np.ndarray, "token state next_state"]
    counts: Int[np.ndarray, "state token"]
    state_of_history: Int[np.ndarray, " word"]
    synchronised: float
    log_likelihood: float
    n_transient: int
    agreement: float


def infer_causal_states(
    tokens: ArrayLike, history_length: int, *, future_length: int = 3, significance: float = 1e-3
) -> CausalStates:
    """The epsilon-machine of a stationary process from a sample of it; nothing else is known.

    The algorithm learns the mixed-state presentation and keeps its recurrent part. The empty history is the first
    state. Each known state is extended by each token. The longer history joins the known state that predicts most like
    it; if no known state predicts like it, it becomes a new state. So a history that never synchronises (1111... of the
    even process) returns to a known state instead of becoming a new state.

    Two histories predict alike unless, after some continuation of fewer than `future_length` tokens, a likelihood
    ratio (G) test tells their next tokens apart. The i-th examined history is tested at the level
    significance / (i (i + 1)), divided among the continuations (Bonferroni). These levels sum to `significance`,
    however many histories there are. Given its causal state a token depends on nothing else. So between synchronised
    histories the tests are exact for many tokens, however occurrences overlap; for transient histories they are
    approximate.

    `rrxor` needs histories of 6 tokens and futures of 3: single tokens look fair after most short histories. A
    process of infinitely many causal states (`mess3`) gets as many states as the data can tell apart.

    Every given sequence has a finite ln P under the machine, started from its stationary law. Data with a token that
    the states do not allow are refused, even if it is an opening that never returns.

    Args:
        tokens: integers from 0, one sequence `[time]` or several `[batch, time]`; or a string of one-letter names, a
            list of names, or a list of several sequences, which may differ in length (see `windows.check_sequences`).
            The process keeps the names, sorted, as `token_names`.
        history_length: the longest history to examine; it must reach beyond the transient states.
        future_length: the number of tokens within which histories that differ must show it.
        significance: the chance of a state too many.

    Raises:
        TypeError: tokens that are neither integers nor names.
        ValueError: tokens that are not labels 0..V-1, too little data for the history length, no closed set of states
            within it, states that do not allow the data, or states that allow a choice where the data repeat.

    Source: histories clustered by what they predict, Shalizi & Klinkner 2004 (CSSR, cs/0406011); states merged in the
    order of discovery, Carrasco & Oncina 1994 (ALERGIA).

    >>> import jax
    >>> from beliefgeo.processes.classical import even
    >>> from beliefgeo.processes.sampling import sample
    >>> drawn = sample(jax.random.key(0), even(0.5), 100_000)
    >>> infer_causal_states(drawn.tokens, 6).process.transitions.round(1).tolist()
    [[[0.5, 0.0], [0.0, 0.0]], [[0.0, 0.5], [1.0, 0.0]]]
    >>> infer_causal_states("ABB" * 100, 3).process.token_names
    ('A', 'B')
    """
    sequences, names = check_sequences(tokens)
    if not 0 < significance < 1 or history_length < 1 or future_length < 1:
        raise ValueError(
            "infer_causal_states needs history_length >= 1, future_length >= 1 and 0 < significance < 1; got "
            f"{history_length}, {future_length} and {significance}"
        )
    futures = count_futures(sequences, history_length, future_length)
    growth = grow(futures, significance)
    successors, next_tokens = np.array(growth.successors), futures[-1].sum(-1)
    states = _walk(successors, history_length)
    counts = np.zeros_like(successors)
    np.add.at(counts, states[states >= 0], next_tokens[states >= 0])
    # A move seen after a state's shortest history may not occur after any history of full length.
    successors = np.where((successors >= 0) & (counts == 0), IMPOSSIBLE, successors)
    recurrent = _closed_class(successors, counts, history_length)
    unfollowed = _unfollowed(growth, successors, counts, recurrent, names)
    relabelled = np.full(len(successors) + 2, -1)  # the last two entries are for -1 and -2
    relabelled[recurrent] = np.arange(len(recurrent))
    successors, states = relabelled[successors[recurrent]], relabelled[states]
    counts = np.where(successors >= 0, counts[recurrent], 0)
    require_explained(successors, sequences, history_length, future_length, unfollowed, names)
    process, standard_errors = _machine(successors, counts)
    laws = counts / counts.sum(1, keepdims=True)
    return CausalStates(
        dataclasses.replace(process, token_names=names),
        standard_errors,
        counts,
        states,
        synchronised=float(counts.sum() / next_tokens.sum()),
        log_likelihood=float((counts * np.log(np.where(counts > 0, laws, 1))).sum()),
        n_transient=len(growth.known) - len(recurrent),
        agreement=_agreement_within(states, next_tokens, successors >= 0),
    )


def _walk(successors: Int[np.ndarray, "state token"], length: int) -> Int[np.ndarray, " word"]:
    """The state after every word of a length, from the empty history; -1 or -2 if the word leads nowhere."""
    states = np.zeros(1, np.int64)
    for _ in range(length):
        states = extend(successors, states)
    return states


def _closed_class(successors: np.ndarray, counts: np.ndarray, history_length: int) -> Int[np.ndarray, " state"]:
    """The states that lead to one another and nowhere else; of several such sets the most visited set."""
    sources, tokens = np.nonzero(successors >= 0)
    targets = successors[sources, tokens]
    edges = csr_array((np.ones(len(sources)), (sources, targets)), shape=(len(successors),) * 2)
    n_classes, label = connected_components(edges, connection="strong")
    unexplored = (successors == UNEXPLORED).any(1)
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


def _unfollowed(
    growth: Growth,
    successors: Int[np.ndarray, "state token"],
    counts: Int[np.ndarray, "state token"],
    recurrent: Int[np.ndarray, " recurrent"],
    names: tuple[str, ...] | None,
) -> str:
    """The message about a token that follows a recurrent state only after histories unlike its shortest history."""
    lacking = np.argwhere((counts[recurrent] > 0) & (successors[recurrent] < 0))
    if not len(lacking):
        return ""
    state, token = recurrent[lacking[0][0]], lacking[0][1]
    length, code = growth.known[state]
    history = [code // len(counts[0]) ** place % len(counts[0]) for place in range(length)][::-1]
    return (
        f"token {called(token, names)} never follows the history [{', '.join(called(one, names) for one in history)}], "
        f"but {counts[state, token]:,} times others that were taken "
        "to predict like it"
    )


def _agreement_within(
    states: Int[np.ndarray, " word"], counts: Int[np.ndarray, "word token"], possible: Bool[np.ndarray, "state token"]
) -> float:
    """The smallest p value of any state for one next-token law of all its histories, times the number of states."""
    p_values = []
    for state, tokens in enumerate(possible):
        table = counts[states == state][:, tokens].astype(float)
        table = table[table.any(1)]
        expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
        statistic = 2 * (table * np.log(np.where(table > 0, table, 1) / np.where(table > 0, expected, 1))).sum()
        freedom = (len(table) - 1) * (tokens.sum() - 1)
        p_values.append(chdtrc(freedom, statistic) if freedom else 1.0)
    return min(1.0, len(p_values) * float(min(p_values)))


def _machine(
    successors: Int[np.ndarray, "state token"], counts: Int[np.ndarray, "state token"]
) -> tuple[Process, Float[np.ndarray, "token state next_state"]]:
    """The unifilar process with the observed frequencies p, and their standard errors (p (1 - p) / n)^1/2."""
    total = counts.sum(1, keepdims=True)
    laws = counts / total
    errors = np.sqrt(laws * (1 - laws) / total)
    moves = (successors[..., None] == np.arange(len(counts))).transpose(1, 0, 2)
    return hmm(moves * laws.T[..., None]), moves * errors.T[..., None]
