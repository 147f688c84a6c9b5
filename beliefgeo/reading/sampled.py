"""Words drawn instead of enumerated, for contexts too long to list, and the standard errors that this brings."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from beliefgeo.arrays import ArrayLike
from beliefgeo.beliefs.filtering import filter_beliefs
from beliefgeo.beliefs.trees import Words, count_words, words
from beliefgeo.processes.float64 import as_float64
from beliefgeo.processes.process import Observer, Process, vocabulary
from beliefgeo.processes.sampling import sample
from beliefgeo.reading.evaluation import Prefixes, divergences

# Beliefs and activations after every prefix are held together: at 64 numbers each, half a gigabyte.
_MOST_PREFIXES = 1_000_000


class SampledGap(NamedTuple):
    """Mean loss above the optimum after each number of tokens read, and over all of them, with standard errors. Nats.

    The positions of one word are not independent, so the error of their mean is that between words.
    """

    gap: Float[np.ndarray, " length"]
    error: Float[np.ndarray, " length"]
    mean: float
    mean_error: float


def sampled_words(key: PRNGKeyArray, process: Observer, count: int, length: int) -> Words:
    """Words drawn from the process, in lexicographic order, each of probability 1 / count; beliefs in float64.

    A word drawn twice is there twice: `prefixes` counts it twice.

    Raises:
        ValueError: fewer than 2 words, or more prefixes than are read at once.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> drawn = sampled_words(jax.random.key(0), golden_mean(), 4, 3)
    >>> drawn.tokens.shape, drawn.beliefs.shape, drawn.probabilities.tolist()
    ((4, 3), (4, 4, 2), [0.25, 0.25, 0.25, 0.25])
    """
    if count < 2:
        raise ValueError(f"sampled_words needs a count of 2 or more, else there is no standard error; got {count}")
    if count * length > _MOST_PREFIXES:
        raise ValueError(
            f"at most {_MOST_PREFIXES:,} prefixes of sampled words are read; {count:,} words of length {length:,} have "
            f"{count * length:,}: lower the context or the number of words"
        )
    drawn = jax.jit(jax.vmap(lambda one: sample(one, process, length).tokens))(jax.random.split(key, count))
    tokens = np.asarray(drawn)
    tokens = tokens[np.lexsort(tokens.T[::-1])] if length else tokens
    with jax.enable_x64(True):
        wide = as_float64(process)
        beliefs = jax.jit(jax.vmap(lambda word: filter_beliefs(wide, word).beliefs))(jnp.asarray(tokens))
    return Words(tokens, np.full(count, 1 / count), np.asarray(beliefs))


def words_or_sample(key: PRNGKeyArray, process: Observer, length: int, limit: int) -> tuple[Words, bool]:
    """All words if there are at most `limit`, else `limit` sampled ones; says so on the terminal, and as True.

    The number of words is exact for an HMM; else that of all sequences of tokens stands for it.

    >>> from beliefgeo.processes.classical import coin
    >>> drawn, sampled = words_or_sample(jax.random.key(0), coin(0.5), 30, 100)
    1,073,741,824 words of length 30 are more than 100: 100 sampled ones stand for them, with standard errors
    >>> drawn.tokens.shape, sampled
    ((100, 30), True)
    """
    if isinstance(process, Process) and not process.generalised:
        n_words = count_words(process, length)
    else:
        n_words = vocabulary(process) ** length
    if n_words <= limit:
        return words(process, length), False
    print(
        f"{_rounded(n_words)} words of length {length:,} are more than {limit:,}: {limit:,} sampled ones stand for "
        "them, with standard errors"
    )
    return sampled_words(key, process, limit, length), True


def _rounded(count: int) -> str:
    return f"{count:,}" if count < 10**12 else f"10^{math.log10(count):.0f}"


def sampled_loss_gap(prefixes: Prefixes, log_laws: ArrayLike) -> SampledGap:
    """`loss_gap` over sampled words, with standard errors.

    Each word adds KL(P(.|w) || Q(.|w)) after each of its prefixes w: exact laws, so only the words are random.

    Raises:
        ValueError: words of unequal probability, which were listed and not drawn: their gap is `loss_gap`, exactly.
    """
    if not np.allclose(prefixes.probabilities * len(prefixes.tokens), prefixes.counts):
        raise ValueError(
            "sampled_loss_gap needs sampled words, each of probability 1 / count: use loss_gap for listed ones"
        )
    # The rows of a length, each as often as words share it, are the words in order.
    per_word = np.repeat(divergences(prefixes, log_laws), prefixes.counts).reshape(-1, len(prefixes.tokens))
    error = lambda values: values.std(-1, ddof=1) / np.sqrt(len(prefixes.tokens))
    means = per_word.mean(0)
    return SampledGap(per_word.mean(1), error(per_word), float(means.mean()), float(error(means)))
