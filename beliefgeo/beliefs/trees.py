"""All words of a given length with their probabilities and beliefs, grown level by level."""

import math
import os
from collections.abc import Iterator
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import ArrayLike, contract
from beliefgeo.processes.factored import Product, require_process
from beliefgeo.processes.float64 import as_float64, epsilon, expand_float64, initial_float64
from beliefgeo.processes.given import check_belief
from beliefgeo.processes.opaque import as_pytree
from beliefgeo.processes.process import Observer, Process, vocabulary, zero_below_rounding


class Expanded(NamedTuple):
    """The successor of each belief after each token, NaN if the token is impossible, and the token's probability.

    Attributes:
        beliefs: The belief after each token; NaN if it is impossible.
        probabilities: The probability of each token.
    """

    beliefs: Float[Array, "word token state"]
    probabilities: Float[Array, "word token"]


class WordTree(NamedTuple):
    """All V^L words in lexicographic order; impossible words have probability 0 and NaN beliefs.

    So do words whose probability is below the range of the precision, 1e-38 in float32; `words` includes these.

    Attributes:
        tokens: Every word.
        probabilities: The probability of each word.
        beliefs: The belief after each of its prefixes, the empty one first.
    """

    tokens: Int[Array, "word time"]
    probabilities: Float[Array, " word"]
    beliefs: Float[Array, "word time_plus_1 state"]


class Words(NamedTuple):
    """The allowed words in lexicographic order, in float64; `beliefs[:, t]` are the beliefs after t tokens.

    Attributes:
        tokens: The allowed words.
        probabilities: The probability of each.
        beliefs: The belief after each of its prefixes, the empty one first.
    """

    tokens: Int[np.ndarray, "word time"]
    probabilities: Float[np.ndarray, " word"]
    beliefs: Float[np.ndarray, "word time_plus_1 state"]


def expand_beliefs(process: Observer, beliefs: ArrayLike) -> Expanded:
    """One level of the tree: every belief followed by every token.

    Args:
        process: the process that is observed.
        beliefs: `[word, state]`.

    Raises:
        ValueError: a vector that is not a belief of the process (NaN if it is traced).

    >>> from beliefgeo.processes.classical import golden_mean
    >>> expand_beliefs(golden_mean(), [[0.0, 1.0]]).probabilities.tolist()
    [[1.0, 0.0]]
    """
    process = as_pytree(process)
    return _expand(process, check_belief(process, beliefs))


@eqx.filter_jit
def _expand(process: Observer, beliefs: Float[Array, "word state"]) -> Expanded:
    probabilities = jax.vmap(process.predict)(beliefs)
    tokens = jnp.arange(probabilities.shape[1])
    successors = jax.vmap(jax.vmap(process.update, (None, 0)), (0, None))(beliefs, tokens)
    return Expanded(successors, probabilities)


def levels(process: Observer, length: int) -> list[tuple[Float[Array, "word state"], Float[Array, " word"]]]:
    """(beliefs, probabilities) of all V^t words of t tokens, t = 0..length; a kernel of fixed shapes."""
    grown = _joint_levels(process, length) if isinstance(process, Process) else _belief_levels(process, length)
    return [(jnp.where((p > 0)[:, None], beliefs, jnp.nan), p) for beliefs, p in grown]


def _joint_levels(process: Process, length: int) -> Iterator[tuple[Array, Array]]:
    """The levels by belief x probability of the word: only matrix products, which XLA compiles at any length."""
    joint, masses = process.initial[None], jnp.ones(1, process.initial.dtype)
    yield joint, masses
    for _ in range(length):
        sizes = contract("ni,xij,j->nx", abs(joint), abs(process.transitions), abs(process.readout)).reshape(-1)
        joint = contract("ni,xij->nxj", joint, process.transitions).reshape(-1, process.n_states)
        masses = contract("nj,j->n", joint, process.readout)
        if process.generalised:
            masses = zero_below_rounding(masses, sizes, process.n_states)
            joint = jnp.where((masses == 0)[:, None], 0, joint)
        yield joint / jnp.where(masses > 0, masses, 1)[:, None], masses


def _belief_levels(process: Observer, length: int) -> Iterator[tuple[Array, Array]]:
    beliefs, probabilities = process.initial[None], jnp.ones(1, process.initial.dtype)
    yield beliefs, probabilities
    for _ in range(length):
        # An impossible word has a NaN belief; a finite belief replaces it, or its gradient would be NaN too.
        expanded = expand_beliefs(process, jnp.where((probabilities > 0)[:, None], beliefs, process.initial[None]))
        probabilities = (probabilities[:, None] * expanded.probabilities).reshape(-1)
        beliefs = expanded.beliefs.reshape(len(probabilities), -1)
        yield beliefs, probabilities


def word_tree(process: Observer, length: int) -> WordTree:
    """All V^L words in lexicographic order, allowed or not: a kernel, to jit and differentiate.

    Raises:
        ValueError: a negative length, or more words than fit in memory.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> word_tree(golden_mean(), 2).probabilities.round(4).tolist()
    [0.3333, 0.3333, 0.3333, 0.0]
    """
    process = as_pytree(process)
    check_tree(process, length, "word_tree")
    return _word_tree(process, length)


@eqx.filter_jit
def _word_tree(process: Observer, length: int) -> WordTree:
    vocab_size = vocabulary(process)
    grown = levels(process, length)
    repeated = [jnp.repeat(beliefs, vocab_size ** (length - t), axis=0) for t, (beliefs, _) in enumerate(grown)]
    place = vocab_size ** jnp.arange(length - 1, -1, -1)
    tokens = (jnp.arange(vocab_size**length)[:, None] // place[None]) % vocab_size
    return WordTree(tokens, grown[-1][1], jnp.stack(repeated, 1))


def words(process: Observer, length: int) -> Words:
    """The allowed words of one length with their probabilities and beliefs: eager, in float64, no impossible word.

    Returns NumPy arrays: tokens `[word, time]`, probabilities `[word]`, beliefs `[word, time + 1, state]`.

    Raises:
        ValueError: a negative length, or more words than fit in memory (checked before they are made).

    >>> from beliefgeo.processes.classical import rrxor
    >>> words(rrxor(), 10).tokens.shape
    (436, 10)
    """
    if length < 0:
        raise ValueError(f"length must be 0 or more; got {length}")
    wide = as_float64(process)
    if isinstance(process, Process) and not process.generalised:
        _require_memory("words", count_words(process, length), length, process.n_states)
    return _grow(wide, epsilon(process), length, initial_float64(wide), 1.0)


def word_chunks(process: Observer, length: int, depth: int) -> Iterator[Words]:
    """`words` in pieces: a piece holds all words that begin with one allowed word of `depth` tokens.

    Raises:
        ValueError: unless 0 <= depth <= length; or if a piece does not fit in memory.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> [chunk.tokens.tolist() for chunk in word_chunks(golden_mean(), 2, 1)]
    [[[0, 0], [0, 1]], [[1, 0]]]
    """
    if not 0 <= depth <= length:
        raise ValueError(f"depth must be from 0 to the length of the words, {length}; got {depth}")
    wide = as_float64(process)
    for tokens, probability, beliefs in zip(*words(process, depth), strict=True):
        rest = _grow(wide, epsilon(process), length - depth, beliefs[-1], probability)
        n_words = len(rest.tokens)
        yield Words(
            np.concatenate([np.tile(tokens, (n_words, 1)), rest.tokens], 1),
            rest.probabilities,
            np.concatenate([np.tile(beliefs[:-1], (n_words, 1, 1)), rest.beliefs], 1),
        )


def _grow(
    process: Observer, given: float, length: int, belief: Float[np.ndarray, " state"], probability: float
) -> Words:
    """All allowed words that follow a belief; `process` and `given` as in `expand_float64`."""
    beliefs, probabilities = belief[None], np.array([probability])
    grown: list[tuple[np.ndarray, ...]] = [(beliefs, np.zeros(1, np.int32), np.zeros(1, np.int32))]
    for _ in range(length):
        _require_memory("words", len(beliefs), length, beliefs.shape[1], at_least=True)
        successors, laws = expand_float64(process, beliefs, given)
        parents, tokens = np.nonzero(laws > 0)
        probabilities = probabilities[parents] * laws[parents, tokens]
        beliefs = successors[parents, tokens]
        grown.append((beliefs, parents, tokens.astype(np.int32)))
    return _backtrack(grown, probabilities)


def _backtrack(grown: list, probabilities: np.ndarray) -> Words:
    """The words from their last tokens back through their ancestors, with one gather for each level."""
    length, n_words = len(grown) - 1, len(probabilities)
    tokens = np.empty((n_words, length), np.int32)
    beliefs = np.empty((n_words, length + 1, grown[0][0].shape[1]))
    ancestor = np.arange(n_words)
    for t in range(length, -1, -1):
        level_beliefs, parents, level_tokens = grown[t]
        beliefs[:, t] = level_beliefs[ancestor]
        if t:
            tokens[:, t - 1] = level_tokens[ancestor]
            ancestor = parents[ancestor]
    return Words(tokens, probabilities, beliefs)


def count_words(process: Observer, length: int) -> int:
    """The number of allowed words of an HMM, without making them: paths through the sets of states a word can reach.

    For a `product` it is the product over the factors; for another composition it is the number for its joint.

    Raises:
        TypeError: an observer that is not made of processes.
        ValueError: a generalised process, whose words may be impossible by cancellation.

    >>> from beliefgeo.processes.classical import mess3, rrxor
    >>> count_words(rrxor(), 10), count_words(mess3(), 30)
    (436, 205891132094649)
    """
    if isinstance(process, Product):
        return math.prod(count_words(factor, length) for factor in process.factors)
    process = require_process("count_words", process)
    if process.generalised:
        raise ValueError("count_words needs an HMM; got a generalised process: take len(words(process, length).tokens)")
    edges = np.asarray(process.transitions) > 0
    counts = {tuple((np.asarray(process.initial) > 0).tolist()): 1}
    for _ in range(length):
        grown: dict[tuple, int] = {}
        for support, count in counts.items():
            for reached in np.any(edges[:, list(support)], axis=1):
                if reached.any():
                    after = tuple(reached.tolist())
                    grown[after] = grown.get(after, 0) + count
        counts = grown
    return sum(counts.values())


def check_tree(process: Observer, length: int, who: str, starts: int = 1) -> None:
    """Raise if V^length words with their beliefs, from each of `starts` initial beliefs, do not fit in memory."""
    if length < 0:
        raise ValueError(f"length must be 0 or more; got {length}")
    _require_memory(who, starts * vocabulary(process) ** length, length, len(process.initial))


def _require_memory(who: str, n_words: int, length: int, n_states: int, *, at_least: bool = False) -> None:
    needed = n_words * (8 * (length + 1) * n_states + 4 * length + 8)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if 2 * needed > memory:
        raise ValueError(
            f"{who} of length {length} would hold {'at least ' if at_least else ''}{n_words:,} words, "
            f"{needed / 2**30:,.1f} GiB, more than half of this machine's memory ({memory / 2**30:.1f} GiB): use a "
            "shorter length, or sample"
        )
