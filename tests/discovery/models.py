"""Futures of perfect models, made once for all tests."""

from functools import cache

import jax
import jax.numpy as jnp

import beliefgeo as bg
from beliefgeo import discovery

LENGTHS = {2: (6, 4), 3: (4, 3), 4: (3, 3)}
PROCESSES = {
    "mess3": bg.mess3,
    "golden_mean": bg.golden_mean,
    "even": bg.even,
    "z1r": bg.z1r,
    "rrxor": bg.rrxor,
    "bloch_walk": lambda: bg.bloch_walk(1, 3),
    "frdn": bg.frdn,
    "strata": lambda: bg.strata(0.97),
    "random_hmm": lambda: bg.random_hmm(jax.random.key(0), 4, 3, 0.3),
}


@cache
def process(name):
    return PROCESSES[name]()


@cache
def futures(name):
    one = process(name)
    return discovery.future_laws(discovery.process_laws(one), *LENGTHS[one.vocab_size])


@cache
def found(name):
    return discovery.discover_process(futures(name))


class Summing:
    """A network that adds up a vector for each token read, and predicts from the sum."""

    def init(self, key, vocab_size):
        return jax.random.normal(key, (2, vocab_size, 8))

    def apply(self, params, tokens, edit=None):
        held = jnp.tanh(jnp.cumsum(params[0][tokens], 0))
        return held @ params[1].T, {"resid_post": held[None]}
