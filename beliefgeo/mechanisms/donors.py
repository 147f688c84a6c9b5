"""Beliefs to be put in the place of other beliefs: reached by another prefix, reached by none, or of equal law."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray
from scipy.linalg import null_space

from beliefgeo.processes.factored import require_process
from beliefgeo.processes.process import Observer
from beliefgeo.reading.rows import Rows

# How many beliefs a mixture has, and how many random moves lead from a belief to a belief of equal law.
_MIXED, _MOVES = 3, 64
# Laws and beliefs nearer to each other than this are equal.
_EQUAL = 1e-6


class Pairs(NamedTuple):
    """Prefixes, and for each the belief that is to replace its own.

    Attributes:
        row: The row of the prefix.
        word: A word that begins with the prefix, drawn from all of them: later positions read it.
        beliefs: The belief to be written.
        source: The row of a prefix that reaches the belief; None if the belief was not taken from a prefix.
    """

    row: Int[np.ndarray, " pair"]
    word: Int[np.ndarray, " pair"]
    beliefs: Float[np.ndarray, "pair state"]
    source: Int[np.ndarray, " pair"] | None = None


def reachable(key: PRNGKeyArray, rows: Rows, length: int, count: int) -> Pairs:
    """For each prefix of this length, the beliefs of other prefixes of the same length.

    Args:
        key: draws the other prefixes.
        rows: from `reading.rows`.
        length: the number of tokens of the process that the prefixes have.
        count: the number of pairs for each prefix.

    Raises:
        ValueError: fewer than two prefixes of this length.

    >>> import beliefgeo as bg
    >>> found = bg.reading.rows(jax.random.key(0), bg.rrxor(), 4)
    >>> pairs = reachable(jax.random.key(1), found, 3, 2)
    >>> len(pairs.row), bool((found.beliefs[pairs.source] == pairs.beliefs).all())
    (16, True)
    """
    prefixes = _prefixes(rows, length)
    drawn, continued = jax.random.split(key)
    row = np.repeat(np.arange(len(prefixes)), count)
    further = np.asarray(jax.random.randint(drawn, row.shape, 1, len(prefixes)))
    source = prefixes[(row + further) % len(prefixes)]
    return _pairs(continued, rows, prefixes[row], rows.beliefs[source])._replace(source=source)


def same_law(key: PRNGKeyArray, rows: Rows, length: int, count: int) -> Pairs:
    """For each prefix, the beliefs of other prefixes of its length with the same next-token law but another belief.

    Prefixes without such a partner are left out. For the arguments see `reachable`.

    Raises:
        ValueError: no two prefixes of this length with equal laws and different beliefs.

    >>> import beliefgeo as bg
    >>> found = bg.reading.rows(jax.random.key(0), bg.rrxor(), 4)
    >>> pairs = same_law(jax.random.key(1), found, 3, 1)
    >>> bool(abs(found.laws[pairs.row] - found.laws[pairs.source]).max() < 1e-6)
    True
    """
    prefixes = _prefixes(rows, length)
    apart = lambda values: abs(values[:, None] - values[None]).max(2) > _EQUAL
    matched = ~apart(rows.laws[prefixes]) & apart(rows.beliefs[prefixes])
    if not matched.any():
        raise ValueError(
            f"same_law needs two prefixes of {length} tokens with one next-token law and two beliefs; got none: use "
            "rrxor, or move along the kernel of the emission map (along_kernel)"
        )
    row = np.repeat(np.flatnonzero(matched.any(1)), count)
    drawn, continued = jax.random.split(key)
    chances = np.asarray(jax.random.uniform(drawn, (len(row), len(prefixes))))
    source = prefixes[np.where(matched[row], chances, -1).argmax(1)]
    return _pairs(continued, rows, prefixes[row], rows.beliefs[source])._replace(source=source)


def mixtures(key: PRNGKeyArray, rows: Rows, length: int, count: int) -> Pairs:
    """For each prefix, mixtures of three beliefs of its length: beliefs that almost surely no prefix reaches.

    The shares of the three are uniform in the triangle. For the arguments see `reachable`.
    """
    prefixes = _prefixes(rows, length)
    row = np.repeat(prefixes, count)
    drawn, shared, continued = jax.random.split(key, 3)
    mixed = rows.beliefs[prefixes[np.asarray(jax.random.randint(drawn, (len(row), _MIXED), 0, len(prefixes)))]]
    shares = np.asarray(jax.random.dirichlet(shared, np.ones(_MIXED), (len(row),)), np.float64)
    shares /= shares.sum(1, keepdims=True)
    return _pairs(continued, rows, row, np.einsum("pm,pms->ps", shares, mixed))


def along_kernel(key: PRNGKeyArray, process: Observer, rows: Rows, length: int, count: int) -> Pairs:
    """For each prefix, other beliefs with the same next-token law, spread over all such beliefs of the simplex.

    The belief moves along the kernel of the emission map, belief -> next-token law. For the other arguments see
    `reachable`.

    Raises:
        ValueError: an empty kernel, as for Mess3, where a belief is as good as its law; or a generalised process, whose
            beliefs have no simplex to stay in.

    >>> import beliefgeo as bg
    >>> found = bg.reading.rows(jax.random.key(0), bg.rrxor(), 4)
    >>> pairs = along_kernel(jax.random.key(1), bg.rrxor(), found, 3, 2)
    >>> laws = lambda beliefs: beliefs @ bg.rrxor().transitions.sum(2).T
    >>> bool(abs(laws(pairs.beliefs) - laws(found.beliefs[pairs.row])).max() < 1e-6)
    True
    """
    process = require_process("along_kernel", process)
    if process.generalised:
        raise ValueError("along_kernel needs the hidden states of an HMM; got a generalised process: take `reachable`")
    directions = null_space(np.asarray(process.transitions, np.float64).sum(2), rcond=1e-6)
    if not directions.size:
        raise ValueError(
            "along_kernel needs beliefs of equal next-token law; got a process whose law tells the whole belief: the "
            "two are equivalent, so use rrxor, strata, wing or arch"
        )
    row = np.repeat(_prefixes(rows, length), count)
    turned, moved, continued = jax.random.split(key, 3)
    turns = np.asarray(jax.random.normal(turned, (_MOVES, len(row), directions.shape[1])), np.float64)
    parts = np.asarray(jax.random.uniform(moved, (_MOVES, len(row), 1)), np.float64)
    beliefs = rows.beliefs[row]
    for turn, part in zip(turns, parts, strict=True):  # each to a random point of a random line in the simplex
        line = turn @ directions.T
        line[abs(line) < 1e-12] = 0
        steps = np.divide(-beliefs, line, out=np.full(line.shape, np.inf), where=line != 0)
        forth = np.where(line < 0, steps, np.inf).min(1, keepdims=True)
        back = np.where(line > 0, steps, -np.inf).max(1, keepdims=True)
        beliefs = np.maximum(beliefs + (back + part * (forth - back)) * line, 0)
    return _pairs(continued, rows, row, beliefs / beliefs.sum(1, keepdims=True))


def relabelled(pairs: Pairs, shift: int = 1) -> Pairs:
    """The same pairs with the states of each belief shifted in a ring: a control that changes as much, wrongly."""
    return pairs._replace(beliefs=np.roll(pairs.beliefs, shift, 1), source=None)


def _prefixes(rows: Rows, length: int) -> Int[np.ndarray, " prefix"]:
    prefixes = np.flatnonzero(rows.length == length)
    if len(prefixes) < 2:
        raise ValueError(
            f"pairs need two prefixes of one length; got {len(prefixes)} of {length} tokens: choose a length from "
            f"{rows.length.min()} to {rows.length.max()}"
        )
    return prefixes


def _pairs(
    key: PRNGKeyArray, rows: Rows, row: Int[np.ndarray, " pair"], beliefs: Float[np.ndarray, "pair state"]
) -> Pairs:
    # Words that share a prefix are neighbours.
    continued = np.floor(np.asarray(jax.random.uniform(key, row.shape)) * rows.counts[row]).astype(int)
    return Pairs(row, rows.word[row] + np.minimum(continued, rows.counts[row] - 1), beliefs)
