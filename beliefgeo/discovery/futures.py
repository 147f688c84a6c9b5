"""What a model expects of the future after each prefix: the laws of words, chained from its laws of the next token."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from beliefgeo.arrays import ArrayLike
from beliefgeo.discovery.models import BATCH, Laws

# A law in half precision adds up to 1 within this.
_ROUNDING = 1e-2


class Futures(NamedTuple):
    """What a model expects after each prefix. Rows are distinct prefixes, shortest first; the first is the empty word.

    `continuations` holds q(x u | w) for all words x u of length + 1 tokens, in lexicographic order: it tells both the
    future of w, and, for each token x, the future of w x.
    """

    words: Int[np.ndarray, "row time"]
    """The prefix w, and -1 after its end."""
    length: Int[np.ndarray, " row"]
    """The number of tokens of w."""
    probabilities: Float[np.ndarray, " row"]
    """q(w)."""
    weights: Float[np.ndarray, " row"]
    """What a row counts, in all 1: each length the same, by q(w) or by how many of the given words begin with w."""
    continuations: Float[np.ndarray, "row continuation"]
    """q(x u | w)."""
    vocab_size: int

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
    def future_length(self) -> int:
        """The number of tokens of a future."""
        return round(np.log(self.continuations.shape[1]) / np.log(self.vocab_size)) - 1 if self.vocab_size > 1 else 1


def future_laws(
    laws: Laws, prefixes: int | ArrayLike, length: int, *, first: ArrayLike | None = None, least: float = 1e-4
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
        least: prefixes of smaller q(w) are dropped, if all words are taken: no model knows what follows a word that
            it never saw.

    Raises:
        ValueError: laws that do not add up to 1, laws of other words, or a token that is never emitted.

    >>> from beliefgeo.discovery.models import process_laws
    >>> from beliefgeo.processes.classical import golden_mean
    >>> found = future_laws(process_laws(golden_mean(0.5)), 3, 2)
    >>> found.words[:3].tolist(), found.futures[1].round(3).tolist()
    ([[-1, -1, -1], [0, -1, -1], [1, -1, -1]], [0.25, 0.25, 0.5, 0.0])
    """
    if isinstance(prefixes, int):
        given, longest = None, prefixes
    else:
        given = np.asarray(prefixes)
        longest = given.shape[1] if given.ndim == 2 and len(given) else 0
    if length < 1 or longest < 1:
        raise ValueError(
            "future_laws needs a future of 1 token or more, and prefixes: a length of 1 or more, or words "
            f"[word, time]; got length={length} and prefixes {prefixes if given is None else given.shape}"
        )
    ask = partial(_asked, laws, longest + length)
    vocab = ask(np.zeros((1, 1), int)).shape[-1]
    start = _first(ask(np.arange(vocab)[:, None]), first)
    endings = np.array(list(itertools.product(range(vocab), repeat=length)), int)
    rows = [_Rows(np.zeros((1, 0), int), np.ones(1), np.ones(1), np.zeros((1, 0)))]
    for size in range(1, longest + 1):
        if given is None:
            words, chances = _children(rows[-1], start)
            words = words[chances >= least]
            shares = chances[chances >= least]
        else:
            words, shares = np.unique(given[:, :size], axis=0, return_counts=True)
        continuations, chances = _continued(ask, words, endings, start)
        rows.append(_Rows(words, chances, shares / shares.sum(), continuations))
    return _gathered(rows, start, vocab)


class _Rows(NamedTuple):
    """The prefixes of one length, as in `Futures`; the shares add up to 1."""

    words: np.ndarray
    probabilities: np.ndarray
    shares: np.ndarray
    continuations: np.ndarray


def _asked(laws: Laws, longest: int, words: np.ndarray) -> Float[np.ndarray, "word time token"]:
    """Laws after 0, 1, .. tokens of the words, NaN after none if the model does not tell.

    The model reads batches of one shape, filled up with token 0, so that it compiles once.
    """
    padded = np.zeros((-(-len(words) // BATCH), BATCH, longest), int)
    padded.reshape(-1, longest)[: len(words), : words.shape[1]] = words
    found = np.concatenate([np.asarray(laws(batch), np.float64) for batch in padded])
    if found.ndim != 3 or len(found) != padded.shape[0] * BATCH or found.shape[1] not in (longest, longest + 1):
        raise ValueError(
            f"laws must give [word, time, token] for tokens [word, time] of shape ({BATCH}, {longest}); got shape "
            f"{found.shape} for {len(padded)} such calls"
        )
    found = found[: len(words)]
    total = found.sum(-1)
    if not (np.isfinite(found).all() and (found >= 0).all() and (abs(total - 1) < _ROUNDING).all()):
        raise ValueError(
            f"laws must be probabilities that add up to 1 over the tokens; got {found.min():.3g} to {found.max():.3g} "
            f"with sums {total.min():.3g} to {total.max():.3g}: take the softmax of logits"
        )
    found = found / total[..., None]
    if found.shape[1] == longest:
        found = np.concatenate([np.full_like(found[:, :1], np.nan), found], 1)
    return found[:, : words.shape[1] + 1]


def _first(ones: np.ndarray, first: ArrayLike | None) -> Float[np.ndarray, " token"]:
    """The law of the first token; raises if a token is as good as never emitted after any token."""
    told, moves = ones[0, 0], ones[:, 1]
    if first is not None:
        start = np.asarray(first, np.float64)
        if start.shape != told.shape or (start < 0).any() or abs(start.sum() - 1) > _ROUNDING:
            raise ValueError(f"first must be a law of {len(told)} tokens that adds up to 1; got {first}")
    elif np.isfinite(told).all():
        start = told
    else:
        values, vectors = np.linalg.eig(moves.T)
        start = np.abs(np.real(vectors[:, abs(values - 1).argmin()]))
    start = start / start.sum()
    if len(never := np.flatnonzero((start < 1e-4) & (start @ moves < 1e-4))):
        raise ValueError(
            f"every token must be emitted; token {never[0]} of {len(start)} never is (probability "
            f"{max(start[never[0]], start @ moves[:, never[0]]):.1g}): if it is a BOS give bos={never[0]} to "
            "network_laws, else give the tokens that are emitted"
        )
    return start


def _children(rows: _Rows, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each prefix and each next token, with their probabilities."""
    vocab = len(start)
    first = not rows.words.shape[1]
    laws = start[None] if first else rows.continuations.reshape(len(rows.words), vocab, -1).sum(-1)
    last = np.tile(np.arange(vocab), len(rows.words))[:, None]
    return np.concatenate([np.repeat(rows.words, vocab, 0), last], 1), (rows.probabilities[:, None] * laws).ravel()


def _continued(
    ask: Callable, words: np.ndarray, endings: np.ndarray, start: np.ndarray
) -> tuple[Float[np.ndarray, "row continuation"], Float[np.ndarray, " row"]]:
    """q(x u | w), and q(w)."""
    size, found, chances = words.shape[1], [], []
    for at in range(0, len(words), most := max(1, 16 * BATCH // len(endings))):
        some = words[at : at + most]
        read = np.concatenate([np.repeat(some, len(endings), 0), np.tile(endings, (len(some), 1))], 1)
        laws = ask(read)
        step = np.take_along_axis(laws[:, :-1], read[..., None], 2)[..., 0]
        step[:, 0] = start[read[:, 0]]
        found.append((step[:, size:].prod(1)[:, None] * laws[:, -1]).reshape(len(some), -1))
        chances.append(step[:, :size].prod(1)[:: len(endings)])
    return np.concatenate(found), np.concatenate(chances)


def _gathered(rows: list[_Rows], start: np.ndarray, vocab: int) -> Futures:
    """Rows of all lengths, the empty word first: q(x u) = p(x) q(u | x)."""
    ones, longest = rows[1], len(rows) - 1
    tokens = ones.words[:, 0]
    empty = np.zeros((vocab, ones.continuations.shape[1] // vocab))
    empty[tokens] = start[tokens, None] * ones.continuations.reshape(len(tokens), -1, vocab).sum(-1)
    rows = [rows[0]._replace(continuations=empty.reshape(1, -1) / empty.sum()), *rows[1:]]
    pad = lambda words: np.pad(words, [(0, 0), (0, longest - words.shape[1])], constant_values=-1)
    return Futures(
        np.concatenate([pad(one.words) for one in rows]),
        np.repeat(np.arange(longest + 1), [len(one.words) for one in rows]),
        np.concatenate([one.probabilities for one in rows]),
        np.concatenate([one.shares for one in rows]) / (longest + 1),
        np.concatenate([one.continuations for one in rows]),
        vocab,
    )
