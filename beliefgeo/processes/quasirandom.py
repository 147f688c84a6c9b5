"""Sequences spread evenly over the words of a process: quasi-random numbers in place of independent numbers."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from beliefgeo.arrays import as_integers, concrete
from beliefgeo.processes.opaque import as_pytree
from beliefgeo.processes.process import Observer
from beliefgeo.processes.sampling import Sample, invert

# One coordinate decides tokens with at most this many words, a fraction of the 2^24 places of a float32.
_MOST_WORDS = 2**12


def sample_quasirandom(key: PRNGKeyArray, process: Observer, length: int, index: Int[Array, ""] | int) -> Sample:
    """The `index`-th sequence of a series; each is drawn from the process, and together they cover its words evenly.

    A coordinate is a place on a line. All words of a few tokens lie on this line side by side in lexicographic order,
    each as wide as it is probable (arithmetic decoding). The place within a word decides nothing more; the next
    coordinate decides the next tokens. Point n of the series is

        frac(shift + n (1/g, 1/g^2, ..., 1/g^d)),    g^(d+1) = g + 1,

    with a uniform shift, so that every sequence by itself has exactly the law of the process (to 2^-24). Among the
    first N sequences the share of a word differs from its probability by about 1/N, where independent draws differ by
    1/sqrt(N). This holds for words from the first token on, while N is far larger than the number of words of that
    length.

    Args:
        key: gives the shift, which is the same for all indices of one series.
        process: the process to draw from.
        length: the number of tokens.
        index: the number of the sequence, from 0; `jax.vmap` over it for a batch.

    Raises:
        ValueError: a negative length; an index that is negative or too large.

    Source: the points are from M. Roberts, "The unreasonable effectiveness of quasirandom sequences" (2018); for d = 1
    they are the multiples of the golden ratio (Weyl 1916).

    >>> from beliefgeo.processes.classical import coin
    >>> series = jax.vmap(sample_quasirandom, (None, None, None, 0))
    >>> drawn = series(jax.random.key(0), coin(0.5), 3, jnp.arange(800))
    >>> jnp.bincount(drawn.tokens @ jnp.array([4, 2, 1])).tolist()  # of each of the eight words
    [100, 100, 100, 99, 100, 101, 100, 100]
    """
    if length < 0:
        raise ValueError(f"length must be 0 or more; got {length}")
    number = as_integers("index", index)
    if (value := concrete(number)) is not None and not (0 <= value < 2**32):
        raise ValueError(f"index must lie in 0..2^32 - 1, the points of a series; got {int(value)}")
    return _sample_quasirandom(key, as_pytree(process), length, jnp.asarray(number, jnp.uint32))


@eqx.filter_jit
def _sample_quasirandom(key: PRNGKeyArray, process: Observer, length: int, index: UInt32[Array, ""]) -> Sample:
    vocab_size = len(process.predict(process.initial))
    run = max(1, int(math.log(_MOST_WORDS, max(2, vocab_size))))
    coordinates = _point(key, index, -(-length // run))
    fresh = jnp.repeat(coordinates, run)[:length]

    def step(carry, now):
        belief, place = carry
        position, coordinate = now
        place = jnp.where(position % run == 0, coordinate, place)
        law = process.predict(belief)
        cumulative = jnp.cumsum(law)
        token = invert(cumulative, place)
        within = (place * cumulative[-1] - (cumulative[token] - law[token])) / law[token]
        following = process.update(belief, token), jnp.clip(within, 0, 1 - 2**-24)
        return following, (belief, token, law[token])

    start = process.initial, jnp.zeros((), process.initial.dtype)
    (last, _), (beliefs, tokens, probabilities) = jax.lax.scan(
        step, start, (jnp.arange(length), fresh.astype(process.initial.dtype))
    )
    return Sample(tokens, jnp.concatenate([beliefs, last[None]]), jnp.log(probabilities))


def _point(key: PRNGKeyArray, index: UInt32[Array, ""], dimension: int) -> Float[Array, " coordinate"]:
    """Point `index` of the series; whole numbers modulo 2^32 are exact, however large the index is."""
    g = 2.0
    for _ in range(60):  # iterates to the fixed point of a contraction
        g = (1 + g) ** (1 / (dimension + 1))
    steps = jnp.array([round(2**32 / g**power) for power in range(1, dimension + 1)], jnp.uint32)
    shift = jax.random.bits(key, (dimension,), jnp.uint32)
    return ((shift + index[None] * steps) >> 8).astype(jnp.float32) * 2**-24
