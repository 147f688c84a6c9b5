"""The rows of every analysis: the prefixes of a set of words, each beside what an ideal observer knows after it.

This module alone aligns networks with beliefs. At position t (from 0), a causal network without BOS has read t + 1
tokens, and is compared with `beliefs[t + 1]`. With a BOS token prepended it has read t tokens of the process, and is
compared with `beliefs[t]`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from beliefgeo.beliefs.filtering import filter_beliefs
from beliefgeo.beliefs.trees import Words, count_words, words
from beliefgeo.processes.float64 import as_float64, epsilon, expand_float64, initial_float64
from beliefgeo.processes.process import Observer, Process, vocabulary
from beliefgeo.reading.sampled import sampled_words


class Rows(NamedTuple):
    """The distinct prefixes of some words, shortest first; words that share a prefix share its activations.

    Attributes:
        tokens: What the network reads, a BOS included where there is a BOS.
        word: The first word that begins with this prefix.
        position: The position of `tokens` at which the network has read exactly this prefix.
        length: The number of tokens of the process in the prefix: position + 1, or position if a BOS comes first.
        counts: The number of words that share the prefix: the weight under which every word and position counts
            equally.
        probabilities: The probability of the prefix. These sum to 1 over the prefixes of each length.
        beliefs: The belief after the prefix.
        laws: The exact law of the next token after the prefix.
        sampled: Whether the words were drawn, so that they stand for all words up to a standard error.
    """

    tokens: Int[np.ndarray, "word time"]
    word: Int[np.ndarray, " row"]
    position: Int[np.ndarray, " row"]
    length: Int[np.ndarray, " row"]
    counts: Int[np.ndarray, " row"]
    probabilities: Float[np.ndarray, " row"]
    beliefs: Float[np.ndarray, "row state"]
    laws: Float[np.ndarray, "row token"]
    sampled: bool = False

    def subtrees(self, depth: int) -> Int[np.ndarray, " row"]:
        """Fold labels: the rank of the first `depth` tokens, -1 for shorter prefixes."""
        labels = np.zeros(len(self.word), int)
        for tokens in self.words[self.word, :depth].T:  # token by token: numbers sort twenty times as fast as words
            _, labels = np.unique(labels * (tokens.max(initial=0) + 1) + tokens, return_inverse=True)
        return np.where(self.length >= depth, labels, -1)

    @property
    def parent(self) -> Int[np.ndarray, " row"]:
        """The row of the prefix without its last token; -1 for the shortest prefixes, whose parent is no row."""
        parents = np.full(len(self.word), -1)
        for length in range(self.length.min() + 1, self.length.max(initial=0) + 1):
            of, among = np.flatnonzero(self.length == length), np.flatnonzero(self.length == length - 1)
            # Prefixes of one length are in the order of their first words.
            parents[of] = among[np.searchsorted(self.word[among], self.word[of], "right") - 1]
        return parents

    @property
    def last_token(self) -> Int[np.ndarray, " row"]:
        """The last token of the prefix; -1 for the empty prefix."""
        return np.where(self.length > 0, self.words[self.word, np.maximum(self.length - 1, 0)], -1)

    @property
    def words(self) -> Int[np.ndarray, "word time"]:
        """The tokens of the process alone, without BOS."""
        return self.tokens[:, self.tokens.shape[1] - self.length.max(initial=0) :]


def rows(
    key: PRNGKeyArray, process: Observer, context: int, *, most: int | None = None, bos: int | None = None
) -> Rows:
    """The rows of all words that a network of this context reads, or of sampled words if there are too many.

    For an HMM the number of words is exact; otherwise the number of all token sequences stands for it.

    Args:
        key: draws the words, if there are more than `most`.
        process: the process that is observed.
        context: the number of positions that the network reads, a BOS included.
        most: the largest number of words to list; if there are more, `most` words are drawn. Default: all words are
            listed.
        bos: the token that the network reads first, if it was trained with a BOS; it adds the empty prefix.

    Raises:
        ValueError: a context below 1, words that do not fit in memory, or fewer than 2 words to draw.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> found = rows(jax.random.key(0), golden_mean(), 2)
    >>> found.length.tolist(), found.counts.tolist(), found.sampled
    ([1, 1, 2, 2, 2], [2, 1, 1, 1, 1], False)
    """
    length = context - (bos is not None)
    if context < 1:
        raise ValueError(f"rows needs a context of 1 or more; got {context}")
    if most is None or count(process, length) <= most:
        return rows_of(process, words(process, length), bos=bos)
    return rows_of(process, sampled_words(key, process, most, length), bos=bos)._replace(sampled=True)


def count(process: Observer, length: int) -> int:
    """The number of words of this length, or at least no less: a generalised process may forbid some of them.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> count(golden_mean(), 3)
    5
    """
    if isinstance(process, Process) and not process.generalised:
        return count_words(process, length)
    return vocabulary(process) ** length


def rows_of(process: Observer, words: Words, *, bos: int | None = None) -> Rows:
    """The distinct prefixes of words, with beliefs and weights aligned to what a network reads.

    Args:
        process: the process that is observed.
        words: all words of one length, as `bg.words` gives them, or sampled words, as `sampled_words` gives them: in
            lexicographic order, repeated words side by side.
        bos: the token that the network reads first, if it was trained with a BOS; it adds the empty prefix.

    Raises:
        ValueError: no words, words without tokens where there is no BOS, or words out of order.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> found = rows_of(golden_mean(), words(golden_mean(), 2))
    >>> found.length.tolist(), found.counts.tolist()
    ([1, 1, 2, 2, 2], [2, 1, 1, 1, 1])
    """
    if not len(words.tokens) or (bos is None and not words.tokens.shape[1]):
        raise ValueError(
            f"rows_of needs a word or more, of a token or more unless there is a BOS; got shape {words.tokens.shape}"
        )
    _check_order(words.tokens)
    columns = []
    for length in range(0 if bos is not None else 1, words.tokens.shape[1] + 1):
        # Words come in lexicographic order, so words that share a prefix are neighbours.
        new = np.ones(len(words.tokens), bool)
        new[1:] = (words.tokens[1:, :length] != words.tokens[:-1, :length]).any(1)
        first = np.flatnonzero(new)
        counts = np.diff(np.append(first, len(new)))
        probabilities = np.add.reduceat(words.probabilities, first)
        columns.append((first, np.full(len(first), length), counts, probabilities, words.beliefs[first, length]))
    word, length, counts, probabilities, beliefs = (np.concatenate(column) for column in zip(*columns, strict=True))
    if bos is None:
        tokens, position = words.tokens, length - 1
    else:
        tokens, position = np.pad(words.tokens, ((0, 0), (1, 0)), constant_values=bos), length
    return Rows(tokens, word, position, length, counts, probabilities, beliefs, _laws(process, beliefs))


def _laws(process: Observer, beliefs: Float[np.ndarray, "row state"]) -> Float[np.ndarray, "row token"]:
    wide = as_float64(process)
    if isinstance(process, Process):
        return expand_float64(wide, beliefs, epsilon(process))[1]
    with jax.enable_x64(True):
        return np.asarray(jax.jit(jax.vmap(wide.predict))(beliefs))


def _check_order(tokens: Int[np.ndarray, "word time"]) -> None:
    steps = np.diff(np.pad(tokens, ((0, 0), (0, 1))), axis=0)  # the padding gives even empty words a column
    first = np.take_along_axis(steps, (steps != 0).argmax(1)[:, None], 1)
    if len(wrong := np.flatnonzero(first < 0)):
        raise ValueError(
            f"words must be in lexicographic order; got {tokens[wrong[0] + 1].tolist()} after "
            f"{tokens[wrong[0]].tolist()}: take them from bg.words or reading.sampled_words"
        )


def suffix_beliefs(process: Observer, rows: Rows, length: int) -> Float[np.ndarray, "row state"]:
    """What an observer would believe who began with the last `length` tokens of each prefix: shorter prefixes as usual.

    NaN where these tokens are impossible at the beginning, as they may be if the process does not start stationary.

    Raises:
        ValueError: a length below 0.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> found = rows_of(golden_mean(), words(golden_mean(), 3))
    >>> bool((suffix_beliefs(golden_mean(), found, 1) == found.beliefs).all())  # its state is the last token
    True
    """
    if length < 0:
        raise ValueError(f"suffix_beliefs needs a length of 0 or more tokens; got {length}")
    wide = as_float64(process)
    beliefs = np.tile(initial_float64(wide), (len(rows.word), 1))
    for age in range(length, 0, -1):
        read = rows.length >= age
        token = rows.words[rows.word[read], rows.length[read] - age]
        (after, chance), moved = expand_float64(wide, beliefs[read], epsilon(process)), (np.arange(read.sum()), token)
        beliefs[read] = np.where(chance[moved][:, None] > 0, after[moved], np.nan)
    return beliefs


def beliefs_after(
    observer: Observer | Callable[[Int[Array, " time"]], Float[Array, "time_plus_1 state"]], rows: Rows
) -> Float[np.ndarray, "row state"]:
    """What another observer believes after the same prefixes: other targets for a probe, in the order of the rows.

    Args:
        observer: an observer of the same vocabulary, such as `bg.markov_approximation(process, 3)`, evaluated in
            float64; or a function from the tokens of one word to its beliefs, one belief more than tokens, such as
            `partial(bg.constrained_beliefs, process)`.
        rows: the rows of the prefixes.

    Raises:
        ValueError: a prefix that is impossible to the observer, so that it has no belief after it; or a function that
            does not give a belief before each token and a belief after the last.

    >>> from beliefgeo.processes.classical import coin, golden_mean
    >>> found = rows_of(golden_mean(), words(golden_mean(), 2))
    >>> beliefs_after(coin(0.5), found).tolist()
    [[1.0], [1.0], [1.0], [1.0], [1.0]]
    """
    tokens = jnp.asarray(rows.words)
    if isinstance(observer, Observer):
        with jax.enable_x64(True):
            wide = as_float64(observer)
            everything = jax.jit(jax.vmap(lambda word: filter_beliefs(wide, word).beliefs))(tokens)
    else:
        everything = jax.jit(jax.vmap(observer))(tokens)
    if everything.ndim != 3 or everything.shape[1] != tokens.shape[1] + 1:
        raise ValueError(
            f"a word of {tokens.shape[1]} tokens has beliefs [time + 1, state], one more than tokens; got shape "
            f"{everything.shape[1:]}"
        )
    beliefs = np.asarray(everything, np.float64)[rows.word, rows.length]
    if len(undefined := np.flatnonzero(np.isnan(beliefs).any(1))):
        prefix = rows.words[rows.word[undefined[0]], : rows.length[undefined[0]]].tolist()
        raise ValueError(
            f"{len(undefined)} of {len(beliefs)} prefixes are impossible to this observer, the first {prefix}: its "
            "beliefs are targets only if it allows every word of the process, in the same vocabulary"
        )
    return beliefs
