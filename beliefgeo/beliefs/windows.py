"""Sequences of tokens as they are given, checked, and every window of them counted."""

import jax
import numpy as np
from jaxtyping import Array, Int

from beliefgeo.arrays import ArrayLike

_LARGEST_TABLE = 2**24  # words counted in one array: 128 MiB
_LEAST_COUNT = 10


def check_sequences(tokens: ArrayLike) -> Int[np.ndarray, "batch time"]:
    """Tokens as `[batch, time]`, the labels 0..V-1 of a vocabulary whose largest is seen.

    A label that never occurs is harmless, a token that this sample lacks. But where 0 is one, and nine in ten of those
    up to the largest, the labels are no numbering from 0 (such as the letters' codes 48 and 49).

    Raises:
        TypeError: tokens that are not integers.
        ValueError: sequences of several lengths, no tokens, a negative one, labels that are not 0..V-1.
    """
    array = np.asarray(rectangular(tokens))
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(
            f"tokens must be integers; got {array.dtype}: np.unique(list(tokens), return_inverse=True)[1] numbers "
            "any values from 0"
        )
    if array.ndim not in (1, 2) or not array.size:
        raise ValueError(f"tokens must be one sequence [time] or several [batch, time]; got shape {array.shape}")
    if array.min() < 0:
        where = tuple(np.argwhere(array < 0)[0].tolist())
        raise ValueError(f"tokens must be 0 or more; got {array[where]} at position {', '.join(map(str, where))}")
    if array.max() >= _LARGEST_TABLE or (array.min() > 0 and 10 * len(np.unique(array)) <= array.max()):
        raise ValueError(_labels(np.unique(array).tolist()))
    return np.atleast_2d(array).astype(np.int64, copy=False)


def rectangular(tokens: ArrayLike) -> np.ndarray | Array:
    """Tokens as an array of whatever type, not yet cast.

    Raises:
        ValueError: lists of several lengths.
    """
    complaint = (
        "tokens must be one sequence [time] or several of one length [batch, time]; got sequences of several lengths: "
        "cut them to one length, or give one at a time"
    )
    if isinstance(tokens, jax.Array):
        return tokens
    try:
        array = np.asarray(tokens)
    except ValueError as error:
        raise ValueError(complaint) from error
    if array.dtype == object and any(np.ndim(row) for row in array.reshape(-1)):
        raise ValueError(complaint)
    return array


def _labels(seen: list[int]) -> str:
    some = ", ".join(map(str, seen)) if len(seen) < 4 else f"{seen[0]}, {seen[1]}, ..., {seen[-1]}"
    return (
        f"tokens must be the labels 0..V-1 of V tokens; got other labels, {len(seen)} in all ({some}): "
        "np.unique(tokens, return_inverse=True)[1] numbers them from 0"
    )


def window_codes(sequences: Int[np.ndarray, "batch time"], length: int) -> Int[np.ndarray, "batch window"]:
    """Every window of `length` tokens as the number it spells in base V = the largest token + 1.

    Raises:
        ValueError: more such words than one table of counts may hold.

    >>> window_codes(np.array([[1, 0, 1, 1]]), 2).tolist()
    [[2, 1, 3]]
    """
    vocab_size, n_windows = int(sequences.max()) + 1, max(sequences.shape[1] - length + 1, 0)
    if vocab_size**length > _LARGEST_TABLE:
        seen = np.unique(sequences).tolist()
        raise ValueError(
            _labels(seen)
            if len(seen) ** length <= _LARGEST_TABLE
            else f"windows of {length} tokens from a vocabulary of {vocab_size} make {vocab_size}^{length} words, more "
            f"than a table of {_LARGEST_TABLE:,} counts holds: shorten history_length or future_length"
        )
    codes = np.zeros((len(sequences), n_windows), np.int64)
    for offset in range(length):
        codes = codes * vocab_size + sequences[:, offset : offset + n_windows]
    return codes


def count_futures(
    sequences: Int[np.ndarray, "batch time"], history_length: int, future_length: int
) -> list[Int[np.ndarray, "history token rest"]]:
    """`[history, token, rest of the future]` counts for histories of 0..`history_length` tokens, one set of places.

    Raises:
        ValueError: fewer than ten windows for each history seen, or too many words for a table.

    >>> [table.sum((1, 2)).tolist() for table in count_futures(np.array([[0, 1] * 20]), 1, 1)]
    [[39], [20, 19]]
    """
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
