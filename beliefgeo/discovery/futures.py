"""What a model expects of the future after each prefix: the laws of words, chained from its laws of the next token."""

import itertools
import operator
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from beliefgeo.arrays import ArrayLike
from beliefgeo.discovery.asking import asked, first_law, require_memory
from beliefgeo.discovery.models import BATCH, Laws


class Futures(NamedTuple):
    """What a model expects after each prefix. Rows are distinct prefixes, shortest first; the first is the empty word.

    `continuations` holds q(x u | w) for all words x u of length + 1 tokens, in lexicographic order: it tells both the
    future of w, and, for each token x, the future of w x.

    Attributes:
        words: The prefix w, and -1 after its end.
        length: The number of tokens of w.
        probabilities: q(w).
        weights: What a row counts, in all 1: each length the same, by q(w) or by how many of the given words begin with
            w.
        continuations: q(x u | w).
        vocab_size: The number of tokens.
        future_length: The number of tokens of a future.
    """

    words: Int[np.ndarray, "row time"]
    length: Int[np.ndarray, " row"]
    probabilities: Float[np.ndarray, " row"]
    weights: Float[np.ndarray, " row"]
    continuations: Float[np.ndarray, "row continuation"]
    vocab_size: int
    future_length: int

    @property
    def laws(self) -> Float[np.ndarray, "row token"]:
        """q(x | w), the law of the next token."""
        return self.after.sum(-1)

    @property
    def after(self) -> Float[np.ndarray, "row token future"]:
        """q(x u | w) by token x and future u."""
        return self.continuations.reshape(len(self.words), self.vocab_size, -1)

    @property
    def futures(self) -> Float[np.ndarray, "row future"]:
        """q(u | w) for all words u of `future_length` tokens."""
        return self.continuations.reshape(len(self.words), -1, self.vocab_size).sum(-1)

    @property
    def last(self) -> Bool[np.ndarray, " row"]:
        """Which prefixes are the longest."""
        return self.length == self.length.max()


def future_laws(
    laws: Laws | Any, prefixes: int | ArrayLike, length: int, *, first: ArrayLike | None = None, least: float = 1e-4
) -> Futures:
    """The laws of all futures of a number of tokens after every prefix, chained from a model's laws of the next token.

        q(x_1 .. x_k | w) = q(x_1 | w) q(x_2 | w x_1) .. q(x_k | w x_1 .. x_{k-1})

    Args:
        laws: the model, of any framework: tokens `[word, time]` to probabilities `[word, time, token]`; see `Laws`,
            `network_laws` for a network and `tabulated` for arrays. Words of up to prefix + `length` tokens are read.
        prefixes: the length up to which all words are prefixes; or words `[word, time]`, such as a sample, whose
            prefixes are taken. Take a sample where the words are too many: V^(prefix + length) words are read, 2,048 at
            a time.
        length: k, the number of tokens of a future.
        first: `[token]`, the law of the first token. Default: the model's own, if it tells that; else the law p of a
            stationary process with the model's laws after one token, p(y) = sum_x p(x) q(y | x).
        least: what the model as good as never emits is dropped, because no model knows what follows a word that it
            never saw: of all words those with q(w) below it, of given words those with any token of less probability.

    Raises:
        TypeError: a model that is no function.
        ValueError: laws that do not add up to 1, laws of other words, a token that is never emitted, prefixes that are
            not words of this vocabulary, or are all dropped, or whose futures do not fit into memory.

    >>> from beliefgeo.discovery.models import process_laws
    >>> from beliefgeo.processes.classical import golden_mean
    >>> found = future_laws(process_laws(golden_mean(0.5)), 3, 2)
    >>> found.words[:3].tolist(), found.futures[1].round(3).tolist()
    ([[-1, -1, -1], [0, -1, -1], [1, -1, -1]], [0.25, 0.25, 0.5, 0.0])
    """
    given = None if np.ndim(prefixes) == 0 else np.asarray(prefixes)
    longest = operator.index(prefixes) if given is None else _time(given)  # pyright: ignore[reportArgumentType]
    if length < 1 or longest < 1:
        raise ValueError(
            "future_laws needs a future of 1 token or more, and prefixes: a length of 1 or more, or words "
            f"[word, time]; got length={length} and prefixes {longest if given is None else given.shape}"
        )
    if not callable(laws):
        raise TypeError(
            f"laws must be a function of tokens; got {type(laws).__name__}: see process_laws, network_laws, tabulated"
        )
    ask = partial(asked, laws, longest + length)
    vocab = ask(np.zeros((1, 1), int)).shape[-1]
    _check_words(given, vocab)
    rows_each = len(given) if given is not None else min(vocab**longest, 1 / max(least, 1e-9))
    require_memory(f"the futures of {length} tokens", vocab ** (length + 1) * rows_each)
    start = first_law(ask(np.arange(vocab)[:, None]), first, least)
    endings = np.array(list(itertools.product(range(vocab), repeat=length)), int)
    rows = [_empty(_continued(ask, np.arange(vocab)[:, None], endings, start)[0], start)]
    for size in range(1, longest + 1):
        if given is None:
            words, shares = _children(rows[-1], vocab)
            words, shares = words[shares >= least], shares[shares >= least]
        else:
            words, shares = np.unique(given[:, :size], axis=0, return_counts=True)
        if not len(words):
            raise ValueError(_none_left(size, least))
        continuations, chances, improbable = _continued(ask, words, endings, start)
        kept = improbable >= least if given is not None else np.ones(len(words), bool)
        if not kept.any():
            raise ValueError(_none_left(size, least))
        shares = shares[kept] / shares[kept].sum()
        rows.append(_Rows(words[kept], chances[kept], shares, continuations[kept]))
    return _gathered(rows, vocab, length)


class _Rows(NamedTuple):
    """The prefixes of one length, as in `Futures`; the shares add up to 1."""

    words: np.ndarray
    probabilities: np.ndarray
    shares: np.ndarray
    continuations: np.ndarray


def _time(given: np.ndarray) -> int:
    return given.shape[1] if given.ndim == 2 and len(given) else 0


def _check_words(given: np.ndarray | None, vocab: int) -> None:
    if given is not None and (given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= vocab):
        raise ValueError(
            f"prefixes must be words of one length, of integers in 0..{vocab - 1}; got {given.dtype} from "
            f"{given.min()} to {given.max()}: of words that end with -1, give those of one length"
        )


def _none_left(size: int, least: float) -> str:
    return (
        f"every prefix of {size} tokens is dropped, as less probable than least={least:g} allows: take shorter "
        "prefixes, a smaller least, or a sample of words"
    )


def _children(rows: _Rows, vocab: int) -> tuple[np.ndarray, np.ndarray]:
    """Each prefix and each next token, with their probabilities."""
    laws = rows.continuations.reshape(len(rows.words), vocab, -1).sum(-1)
    last = np.tile(np.arange(vocab), len(rows.words))[:, None]
    return np.concatenate([np.repeat(rows.words, vocab, 0), last], 1), (rows.probabilities[:, None] * laws).ravel()


def _continued(
    ask: Callable, words: np.ndarray, endings: np.ndarray, start: np.ndarray
) -> tuple[Float[np.ndarray, "row continuation"], Float[np.ndarray, " row"], Float[np.ndarray, " row"]]:
    """q(x u | w), q(w), and the least probability of a token of w."""
    size, found, steps = words.shape[1], [], []
    for at in range(0, len(words), most := max(1, 16 * BATCH // len(endings))):
        some = words[at : at + most]
        read = np.concatenate([np.repeat(some, len(endings), 0), np.tile(endings, (len(some), 1))], 1)
        laws = ask(read)
        step = np.take_along_axis(laws[:, :-1], read[..., None], 2)[..., 0]
        step[:, 0] = start[read[:, 0]]
        found.append((step[:, size:].prod(1)[:, None] * laws[:, -1]).reshape(len(some), -1))
        steps.append(step[:: len(endings), :size])
    taken = np.concatenate(steps)
    return np.concatenate(found), taken.prod(1), taken.min(1)


def _empty(ones: np.ndarray, start: np.ndarray) -> _Rows:
    """The row of the empty word: q(x u) = p(x) q(u | x)."""
    vocab = len(start)
    joint = start[:, None] * ones.reshape(vocab, -1, vocab).sum(-1)
    return _Rows(np.zeros((1, 0), int), np.ones(1), np.ones(1), joint.reshape(1, -1))


def _gathered(rows: list[_Rows], vocab: int, length: int) -> Futures:
    longest = len(rows) - 1
    pad = lambda words: np.pad(words, [(0, 0), (0, longest - words.shape[1])], constant_values=-1)
    return Futures(
        np.concatenate([pad(one.words) for one in rows]),
        np.repeat(np.arange(longest + 1), [len(one.words) for one in rows]),
        np.concatenate([one.probabilities for one in rows]),
        np.concatenate([one.shares for one in rows]) / (longest + 1),
        np.concatenate([one.continuations for one in rows]),
        vocab,
        length,
    )
