"""Words that a process cannot emit: what could an observer believe after them, and what does a network?

Bayes has no answer. Four hypotheses have one: the observer goes back to the longest suffix that is possible; it starts
again with the impossible token; it ignores that token; or it takes the tokens for a noisy copy of the process's tokens.
A fifth is their control: whatever was read, the observer knows nothing.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from beliefgeo.processes.classical import coin
from beliefgeo.processes.compose import noisy
from beliefgeo.processes.construct import hmm
from beliefgeo.processes.factored import require_process
from beliefgeo.processes.float64 import as_float64, epsilon, expand_float64, initial_float64
from beliefgeo.processes.process import Observer, Process
from beliefgeo.reading.rows import Rows, rows


class Impossible(NamedTuple):
    """All prefixes of a length or less, which of them are impossible, and what hypotheses believe after each.

    Attributes:
        rows: Every sequence of tokens counts equally; the beliefs and laws in it mean nothing.
        impossible: Whether the process never emits the prefix.
        beliefs: By hypothesis.
        laws: The next-token laws of these beliefs.
    """

    rows: Rows
    impossible: Bool[np.ndarray, " row"]
    beliefs: dict[str, Float[np.ndarray, "row state"]]
    laws: dict[str, Float[np.ndarray, "row token"]]


def impossible_words(process: Observer, length: int, *, noise: float = 0.01) -> Impossible:
    """All sequences of tokens of a length, with what each hypothesis believes after them.

    After possible words the first three are Bayes.

    Args:
        process: an HMM that starts stationary and cannot emit every word.
        length: the number of tokens.
        noise: the probability, to the observer of a noisy copy, that a token was replaced by a uniform token.

    Raises:
        ValueError: a process that emits every word of this length.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> found = impossible_words(golden_mean(), 3)
    >>> int(found.impossible.sum()), found.beliefs["ignored token"][-1].round(3).tolist()  # after 1, 1, 1
    (4, [0.0, 1.0])
    """
    process = require_process("impossible_words", process)
    vocab = process.vocab_size
    every = coin() if vocab == 2 else hmm(np.full((vocab, 1, 1), 1 / vocab))
    found = rows(jax.random.key(0), every, length)  # the key draws nothing: all words are listed
    words = found.words
    filtered = _filtered(process, words)
    possible = filtered[1][found.word, found.length]
    if possible.all():
        raise ValueError(
            f"impossible_words needs a process that cannot emit every word; got one that emits all of {length} tokens"
        )
    read = lambda beliefs: beliefs[found.word, found.length]
    beliefs = {
        "longest possible suffix": read(_suffix(process, words)),
        "start again": read(_carried_on(process, words, again=True)),
        "ignored token": read(_carried_on(process, words, again=False)),
        "noisy copy": read(_filtered(noisy(process, noise), words)[0]),
        "nothing known": np.tile(initial_float64(as_float64(process)), (len(possible), 1)),
    }
    wide = as_float64(process)
    laws = {name: expand_float64(wide, one, epsilon(process))[1] for name, one in beliefs.items()}
    return Impossible(found, ~possible, beliefs, laws)


def _step(
    process: Process, beliefs: np.ndarray, token: Int[np.ndarray, " word"]
) -> tuple[Float[np.ndarray, "word state"], Bool[np.ndarray, " word"]]:
    """The beliefs after a token, and whether it was possible."""
    after, chance = expand_float64(as_float64(process), beliefs, epsilon(process))
    at = np.arange(len(token)), token
    return after[at], chance[at] > 0


def _filtered(process: Process, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Beliefs `[word, time + 1, state]` and whether the tokens so far are possible."""
    beliefs, possible = [np.tile(initial_float64(as_float64(process)), (len(words), 1))], [np.ones(len(words), bool)]
    for token in words.T:
        after, allowed = _step(process, beliefs[-1], token)
        possible.append(possible[-1] & allowed)
        beliefs.append(np.where(possible[-1][:, None], after, beliefs[-1]))
    return np.stack(beliefs, 1), np.stack(possible, 1)


def _carried_on(process: Process, words: np.ndarray, *, again: bool) -> np.ndarray:
    initial = np.tile(initial_float64(as_float64(process)), (len(words), 1))
    beliefs = [initial]
    for token in words.T:
        after, allowed = _step(process, beliefs[-1], token)
        fresh, emitted = _step(process, initial, token)
        otherwise = np.where(emitted[:, None], fresh, initial) if again else beliefs[-1]
        beliefs.append(np.where(allowed[:, None], after, otherwise))
    return np.stack(beliefs, 1)


def _suffix(process: Process, words: np.ndarray) -> np.ndarray:
    """The belief after the longest suffix that is possible from the start."""
    count, length = words.shape
    initial = initial_float64(as_float64(process))
    longest = np.tile(initial, (count, length + 1, 1))
    settled = np.zeros((count, length + 1), bool)
    for start in range(length):
        beliefs, possible = _filtered(process, words[:, start:])
        new = possible[:, 1:] & ~settled[:, start + 1 :]
        longest[:, start + 1 :] = np.where(new[:, :, None], beliefs[:, 1:], longest[:, start + 1 :])
        settled[:, start + 1 :] |= possible[:, 1:]
    return longest
