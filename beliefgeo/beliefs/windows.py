"""Sequences of tokens: they are checked as they are given, and all their windows are counted."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Int

from beliefgeo.arrays import ArrayLike

_LARGEST_TABLE = 2**24  # words counted in one array: 128 MiB
_LEAST_COUNT = 10


class Sequences(NamedTuple):
    """Tokens `[batch, time]`, -1 after the end of a shorter sequence, and the names of 0..V-1 if there are names.

    Attributes:
        tokens: Numbers from 0, and -1 after the end.
        names: The names of the tokens, if there are names.
    """

    tokens: Int[np.ndarray, "batch time"]
    names: tuple[str, ...] | None


def check_sequences(tokens: ArrayLike) -> Sequences:
    """Tokens as the labels 0..V-1 of a vocabulary whose largest label occurs; names are numbered in sorted order.

    A label that never occurs is harmless: the sample lacks this token. But if 0 never occurs, and nine in ten labels up
    to the largest never occur, the labels do not count from 0 (such as the letters' codes 48 and 49).

    A string is a sequence of one-letter names. So is each string of a list, unless the strings are names themselves.
    They are names if all have one letter, or if they are few: each repeated ten times on average, and fewer than the
    letters that spell them. A list of lists leaves no doubt: `[["Mon", "Tue", ...]]` is one sequence of names.

    Args:
        tokens: integers `[time]` or `[batch, time]`, a string, a list of names, or a list of sequences, which may
            differ in length; or what this function returned, such as `read_symbols` of a file.

    Raises:
        TypeError: tokens that are neither integers nor strings.
        ValueError: no tokens, a negative token, labels that are not 0..V-1.

    >>> check_sequences(["ABBA", "BA"])
    Sequences(tokens=array([[ 0,  1,  1,  0],
           [ 1,  0, -1, -1]]), names=('A', 'B'))
    """
    if isinstance(tokens, Sequences):
        return tokens
    if words := _words(tokens):
        names, numbers = np.unique([name for word in words for name in word], return_inverse=True)
        rows = np.split(numbers, np.cumsum([len(word) for word in words])[:-1])
        return Sequences(_padded(rows), tuple(names.tolist()))
    array = _integers(list(tokens) if isinstance(tokens, str) else tokens)
    seen = np.unique(array[array >= 0])
    if seen[-1] >= _LARGEST_TABLE or (seen[0] > 0 and 10 * len(seen) <= seen[-1]):
        raise ValueError(_labels(seen.tolist()))
    return Sequences(np.atleast_2d(array).astype(np.int64, copy=False), None)


def _words(tokens: Any) -> Sequence[Sequence[str]]:
    """The sequences of names; empty if the tokens are not names."""
    if isinstance(tokens, np.ndarray) and tokens.dtype.kind in "UO":
        tokens = tokens.tolist()
    if isinstance(tokens, str):
        return [tokens] if tokens else []
    if not isinstance(tokens, list | tuple):
        return []
    if all(isinstance(row, str) for row in tokens):
        words = [tokens] if _are_names(tokens) else list(tokens)
    elif all(isinstance(row, str) or _holds_strings(row) for row in tokens):
        words = list(tokens)
    else:
        return []
    return words if any(len(word) for word in words) else []


def _holds_strings(row: Any) -> bool:
    return isinstance(row, list | tuple | np.ndarray) and all(isinstance(name, str) for name in row)


def _are_names(strings: Sequence[str]) -> bool:
    """Whether strings are names, and not sequences of one-letter names."""
    if all(len(one) == 1 for one in strings):
        return True
    distinct = set(strings)
    return 10 * len(distinct) <= len(strings) and len(distinct) < len(set("".join(distinct)))


def _padded(rows: Sequence[np.ndarray]) -> Int[np.ndarray, "batch time"]:
    """Sequences of different lengths in one array, with -1 after their ends."""
    padded = np.full((len(rows), max(map(len, rows))), -1)
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    return padded


def _integers(tokens: Any) -> np.ndarray:
    """One sequence [time] or several [batch, time], checked to be integers of 0 or more, and padded."""
    try:
        array = np.asarray(tokens)
    except ValueError:
        array = None  # rows of different lengths
    if array is None or (array.dtype == object and any(np.ndim(row) for row in array.reshape(-1))):
        return _padded([_checked(np.asarray(row), 1, (number,)) for number, row in enumerate(tokens)])
    if not array.size:
        raise ValueError(f"tokens must be one sequence [time] or several [batch, time]; got shape {array.shape}")
    return _checked(array, 2, ())


def _checked(array: np.ndarray, most_axes: int, row: tuple[int, ...]) -> np.ndarray:
    """The array; raises if it does not hold tokens. `row` is its number among several arrays."""
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(
            f"tokens must be integers; got {array.dtype}: np.unique(list(tokens), return_inverse=True)[1] numbers "
            "any values from 0"
        )
    if not 1 <= array.ndim <= most_axes:
        of_row = f" in row {row[0]}" if row else ""
        raise ValueError(
            f"tokens must be one sequence [time] or several [batch, time]; got shape {array.shape}{of_row}"
        )
    if array.size and array.min() < 0:
        where = tuple(np.argwhere(array < 0)[0].tolist())
        place = ", ".join(map(str, (*row, *where)))
        raise ValueError(f"tokens must be 0 or more; got {array[where]} at position {place}")
    return array


def rectangular(tokens: ArrayLike) -> np.ndarray | Array:
    """Tokens as an array of any type, not yet cast.

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

    The number is -1 if the window would reach beyond the end of a shorter sequence.

    Raises:
        ValueError: more words of this length than one table of counts may hold.

    >>> window_codes(np.array([[1, 0, 1, 1]]), 2).tolist()
    [[2, 1, 3]]
    """
    vocab_size, n_windows = int(sequences.max()) + 1, max(sequences.shape[1] - length + 1, 0)
    if vocab_size**length > _LARGEST_TABLE:
        seen = np.unique(sequences[sequences >= 0]).tolist()
        raise ValueError(
            _labels(seen)
            if len(seen) ** length <= _LARGEST_TABLE
            else f"windows of {length} tokens from a vocabulary of {vocab_size} make {vocab_size}^{length} words, more "
            f"than a table of {_LARGEST_TABLE:,} counts holds: shorten history_length or future_length"
        )
    codes = np.zeros((len(sequences), n_windows), np.int64)
    for offset in range(length):
        codes = codes * vocab_size + sequences[:, offset : offset + n_windows]
    last = sequences[:, length - 1 : length - 1 + n_windows]
    return np.where(last < 0, -1, codes)


def count_futures(
    sequences: Int[np.ndarray, "batch time"], history_length: int, future_length: int
) -> list[Int[np.ndarray, "history token rest"]]:
    """`[history, token, rest of the future]` counts for histories of 0..`history_length` tokens, at the same places.

    Raises:
        ValueError: fewer than ten windows for each history seen, or too many words for a table.

    >>> [table.sum((1, 2)).tolist() for table in count_futures(np.array([[0, 1] * 20]), 1, 1)]
    [[39], [20, 19]]
    """
    vocab_size, length = int(sequences.max()) + 1, history_length + future_length
    codes = window_codes(sequences, length)
    counts = np.bincount(codes[codes >= 0], minlength=vocab_size**length)
    counts = counts.reshape(-1, vocab_size, vocab_size ** (future_length - 1))
    n_seen, n_windows, n_tokens = int(counts.any((1, 2)).sum()), int(counts.sum()), int((sequences >= 0).sum())
    if n_windows < _LEAST_COUNT * max(n_seen, 1):
        raise ValueError(
            f"too little data for history_length {history_length}: {n_tokens:,} tokens hold {n_seen:,} different "
            f"histories of that length, {n_windows / max(n_seen, 1):.1f} of each, and {_LEAST_COUNT} are needed: "
            "shorten it or give more tokens"
        )
    return [counts.reshape(-1, vocab_size**n, *counts.shape[1:]).sum(0) for n in range(history_length + 1)]
