"""Words of a process and their probabilities by products of matrices, eager, in float64: what constructors need."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from beliefgeo.processes.process import Process

_MOST_WORDS = 2**18


class AllowedWords(NamedTuple):
    """The words of one length that a process allows, in lexicographic order.

    Attributes:
        tokens: The words.
        probabilities: The probability of each.
    """

    tokens: Int[np.ndarray, "word time"]
    probabilities: Float[np.ndarray, " word"]


def allowed_words(process: Process) -> Iterator[AllowedWords]:
    """The allowed words of length 0, 1, 2, ..., without end.

    P(x_1..x_L) = initial T^(x_1)..T^(x_L) w; a word is impossible if this is 0 to within the rounding of the matrices'
    own dtype, which products of the magnitudes track.

    Raises:
        ValueError: a word of negative probability; the message names it.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> of_length = allowed_words(golden_mean())
    >>> next(of_length).probabilities.tolist(), next(of_length).tokens.tolist()
    ([1.0], [[0], [1]])
    """
    matrices, initial, readout = (
        np.asarray(leaf, np.float64) for leaf in (process.transitions, process.initial, process.readout)
    )
    rounding = 4 * len(readout) * float(np.finfo(process.transitions.dtype).eps)
    tokens, vectors, sizes = np.zeros((1, 0), np.int32), initial[None], abs(initial)[None]
    for length in range(1, 2**31):
        yield AllowedWords(tokens, vectors @ readout)
        vectors = np.einsum("ni,xij->nxj", vectors, matrices, optimize=True)
        sizes = np.einsum("ni,xij->nxj", sizes, abs(matrices), optimize=True)
        probabilities, tolerance = vectors @ readout, (length + 1) * rounding * (sizes @ abs(readout))
        if (probabilities < -tolerance).any():
            word, token = np.argwhere(probabilities < -tolerance)[0]
            raise ValueError(
                f"word {[*tokens[word].tolist(), int(token)]} has probability {probabilities[word, token]:.3g}; "
                "every word of a process needs 0 or more: check transitions, initial and readout"
            )
        word, token = np.nonzero(probabilities > tolerance)
        tokens = np.concatenate([tokens[word], token[:, None].astype(np.int32)], 1)
        vectors, sizes = vectors[word, token], sizes[word, token]


def check_word_probabilities(process: Process, length: int = 8) -> None:
    """Raise if a word of up to `length` tokens has a negative probability, and name the first such word.

    `ghmm` makes this check. No finite test can exclude a negative probability of a longer word. For large vocabularies
    the check ends earlier: it goes on only while a length has at most 2^18 words.

    >>> from beliefgeo.processes.construct import ghmm
    >>> ghmm([[[0.6, 0.5], [0.2, 0.1]], [[0.2, -0.3], [0.2, 0.5]]], readout=[1, 1])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: word [1, 1] has probability -0.0433; every word of a process needs 0 or more: ...
    """
    for reached, words in enumerate(allowed_words(process)):
        if reached >= length or len(words.tokens) * process.vocab_size > _MOST_WORDS:
            return
