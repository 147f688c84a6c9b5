"""Words drawn instead of enumerated, for contexts too long to list."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from beliefgeo.beliefs.filtering import filter_beliefs
from beliefgeo.beliefs.trees import Words
from beliefgeo.processes.float64 import as_float64
from beliefgeo.processes.process import Observer
from beliefgeo.processes.sampling import sample

# The beliefs and activations of all prefixes are in memory at once: at 64 numbers a prefix, half a gigabyte.
_MOST_PREFIXES = 1_000_000


def sampled_words(key: PRNGKeyArray, process: Observer, count: int, length: int) -> Words:
    """Words drawn from the process, in lexicographic order, each of probability 1 / count; beliefs in float64.

    A word that is drawn twice appears twice, and `rows_of` counts it twice.

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
