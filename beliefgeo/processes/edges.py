"""A process as the edges of a graph: (state, token, next_state, probability), each state and token by its name."""

import dataclasses
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from beliefgeo.arrays import ArrayLike, Number, is_traced
from beliefgeo.processes.construct import hmm
from beliefgeo.processes.names import Names, is_name, some_of
from beliefgeo.processes.process import Process

Edge = tuple[Hashable, Hashable, Hashable, Any]
"""A checked edge; its probability is a number or traced."""


def from_edges(
    edges: Iterable[Sequence[Any]], initial: ArrayLike | Mapping[Hashable, Number] | Hashable | None = None
) -> Process:
    """A hidden Markov process from its edges: every P(token, next_state | state) that is not 0.

    States are numbered in the order in which they first appear. Tokens are numbered in sorted order, or, if they cannot
    be sorted, in the order in which they first appear. The process keeps the names as `.state_names` and
    `.token_names`, and accepts names wherever tokens go: `log_probability(process, "0110")` if each name is one letter,
    else a list of names.

    Args:
        edges: tuples (state, token, next_state, probability); names are strings, or anything hashable. Tokens that are
            integers are their own numbers, 0..V-1. The probabilities of a state's edges sum to 1 within 1e-5.
        initial: the hidden state before the first token: its name, or its law, `{state: probability}` or `[state]`;
            default: the stationary distribution.

    Returns:
        transitions `[token, state, next_state]`, initial `[state]`.

    Raises:
        ValueError: (concrete values only) an edge given twice, or not of four parts; a probability outside 0..1; a
            state without edges, or whose edges do not sum to 1; an unknown initial state or a wrong initial law; no
            initial law if the stationary law is not unique.

    >>> even = from_edges([("A", "0", "A", 0.5), ("A", "1", "B", 0.5), ("B", "1", "A", 1.0)])
    >>> even.state_names, even.token_names, even.transitions[1].tolist()
    (('A', 'B'), ('0', '1'), [[0.0, 0.5], [1.0, 0.0]])
    """
    rows = [_edge(number, edge) for number, edge in enumerate(edges)]
    if not rows:
        raise ValueError("from_edges needs one edge (state, token, next_state, probability) or more; got none")
    states = tuple(dict.fromkeys(name for source, _, target, _ in rows for name in (source, target)))
    tokens = _in_order(dict.fromkeys(token for _, token, _, _ in rows))
    places = [(tokens.index(token), states.index(source), states.index(target)) for source, token, target, _ in rows]
    _require_distinct(rows, places)
    chances = [chance for *_, chance in rows]
    shape = len(tokens), len(states), len(states)
    if is_traced(chances):
        transitions = jnp.zeros(shape).at[tuple(np.array(places).T)].set(jnp.stack([jnp.asarray(p) for p in chances]))
    else:
        transitions = np.zeros(shape)
        transitions[tuple(np.array(places).T)] = [float(chance) for chance in chances]
        _require_laws(transitions, states)
    process = hmm(transitions, _initial(initial, states))
    return dataclasses.replace(process, state_names=states, token_names=tokens)


def _edge(number: int, edge: Any) -> Edge:
    try:
        source, token, target, chance = edge
        names = [name.item() if isinstance(name, np.generic) else name for name in (source, token, target)]
        hash(tuple(names))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"an edge must be (state, token, next_state, probability), its names hashable; edge {number} is {edge!r}"
        ) from error
    if not is_traced(chance):
        _require_chance(chance, edge)
    return names[0], names[1], names[2], chance


def _require_chance(chance: Any, edge: Any) -> None:
    try:
        inside = 0 <= float(chance) <= 1 + 1e-5
    except (TypeError, ValueError):
        inside = False
    if not inside:
        raise ValueError(f"the probability of an edge must lie in 0..1; got {chance!r} for {edge[:3]!r}")


def _in_order(names: Iterable[Any]) -> Names:
    given = list(names)
    try:
        given = sorted(given)
    except TypeError:
        pass
    if any(isinstance(name, int) and name != number for number, name in enumerate(given)):
        raise ValueError(
            f"tokens that are integers are their own numbers, and must be 0..{len(given) - 1}; got {some_of(given)}: "
            "name them by strings"
        )
    return tuple(given)


def _require_distinct(edges: Sequence[Edge], places: Sequence[tuple[int, int, int]]) -> None:
    seen = set()
    for edge, place in zip(edges, places, strict=True):
        if place in seen:
            raise ValueError(
                f"the edge {edge[:3]!r} was given twice: add its probabilities, or give one of the two another token"
            )
        seen.add(place)


def _require_laws(transitions: np.ndarray, states: Names) -> None:
    sums = transitions.sum((0, 2))
    if not sums.all():
        lacking = states[int((sums == 0).argmax())]
        raise ValueError(f"every state needs an edge that leaves it; state {lacking!r} has none")
    if (off := abs(sums - 1)).max() > 1e-5:
        state = int(off.argmax())
        raise ValueError(
            f"the probabilities of the edges that leave a state must sum to 1; those of {states[state]!r} sum to "
            f"{sums[state]:.6g}"
        )


def _initial(initial: Any, states: Names) -> ArrayLike | None:
    if is_name(initial, states):
        return np.eye(len(states))[states.index(initial)]
    if isinstance(initial, Mapping):
        if unknown := [name for name in initial if name not in states]:
            raise ValueError(f"initial must give laws to the states {some_of(states)}; got {unknown[0]!r}")
        return [initial.get(state, 0.0) for state in states]
    if isinstance(initial, str):
        raise ValueError(f"initial must be a state, {some_of(states)}; got {initial!r}")
    return initial
