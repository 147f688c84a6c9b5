"""Tokens by their names: names that a person writes become the numbers that all other code uses."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from beliefgeo.arrays import ArrayLike, as_integers
from beliefgeo.processes.process import Observer, vocabulary
from beliefgeo.processes.saved import some_of

Names = tuple[Hashable, ...]

# The number for a token that was not observed, if a name stood for it.
MISSING = -1


def numbered(
    process: Observer, tokens: ArrayLike, ragged: str = "give one at a time", missing: Hashable = None
) -> Array | np.ndarray:
    """Tokens as integers, not yet cast and not yet compared with the vocabulary; names are looked up.

    A string is a sequence of one-letter names, and a list is a sequence of names. Strings in a list that are not names
    themselves are sequences. A process without names has the digits as names, if it has at most ten tokens. Integers
    are numbers.

    Args:
        process: gives the names.
        tokens: integers, or names.
        ragged: what to do with rows of different lengths.
        missing: an additional name, which becomes `MISSING`; an integer stays.

    Raises:
        ValueError: a name that no token has; rows of different lengths.
        TypeError: names for a process without names; tokens that are neither integers nor names.

    >>> from beliefgeo.processes.classical import coin
    >>> numbered(coin(), "0110").tolist(), numbered(coin(), ["01", "11"]).tolist()
    ([0, 1, 1, 0], [[0, 1], [1, 1]])
    """
    given = getattr(process, "token_names", None)
    if not _are_names(tokens, given or ()):
        return as_integers("tokens", tokens, ragged)
    names = given or _digits(process)
    number = {name: index for index, name in enumerate(names)}
    if missing is not None:
        number[missing] = missing if isinstance(missing, int) else MISSING
    return as_integers("tokens", _look_up(tokens, number, names, ()), ragged)


def is_name(token: Any, names: Sequence[Hashable] | Mapping[Hashable, int]) -> bool:
    """Whether a token, of whatever type, is one of the names."""
    try:
        return token in (names if isinstance(names, Mapping) else set(names))
    except (TypeError, ValueError):  # lists and arrays are not names
        return False


def _are_names(tokens: Any, names: Names) -> bool:
    """Whether the first token is a name."""
    if isinstance(tokens, jax.Array):
        return False
    if isinstance(tokens, np.ndarray):
        return tokens.dtype.kind == "U" or (tokens.dtype == object and tokens.size > 0 and _are_names(tokens[0], names))
    if isinstance(tokens, str) or is_name(tokens, names):
        return True
    return isinstance(tokens, list | tuple) and len(tokens) > 0 and _are_names(tokens[0], names)


def _digits(process: Observer) -> Names:
    if (vocab_size := vocabulary(process)) > 10:
        raise TypeError(
            f"tokens must be integers, as the {vocab_size} tokens of this process have no names; got names: give "
            "numbers (digits name up to 10 tokens)"
        )
    return tuple("0123456789"[:vocab_size])


def _look_up(tokens: Any, number: Mapping[Hashable, int], names: Names, place: tuple[int, ...]) -> Any:
    if isinstance(tokens, np.ndarray):
        tokens = tokens.tolist()
    if place and is_name(tokens, number):
        return number[tokens]
    if isinstance(tokens, str) and (not place or (len(tokens) > 1 and _are_letters(names))):
        tokens = list(tokens)
    if not isinstance(tokens, list | tuple):
        where = f" at position {', '.join(map(str, place))}" if place else ""
        raise ValueError(f"tokens must be among the names {some_of(names)}; got {tokens!r}{where}")
    try:
        return [number[one] for one in tokens]
    except (KeyError, TypeError):  # sequences in a sequence, or an unknown name
        return [_look_up(one, number, names, (*place, index)) for index, one in enumerate(tokens)]


def _are_letters(names: Names) -> bool:
    return all(isinstance(name, str) and len(name) == 1 for name in names)
