"""Processes of one hidden structure in two vocabularies, and the words that correspond."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

import beliefgeo as bg
from beliefgeo.reading import Rows

# Of 4 states and 3 tokens, concentration .1: of keys 0 to 3 those of which an observer who remembers the last three
# tokens alone loses more than 2e-3 nats, so that a gap of 1e-3 takes more than a window.
_random_hmm = lambda key: bg.random_hmm(jax.random.key(key), 4, 3, 0.1)
Name = Literal["rrxor", "z1r", "hmm 0", "hmm 1", "hmm 3", "mess3"]
PROCESSES: dict[Name, bg.Process] = {
    "rrxor": bg.rrxor(),
    "z1r": bg.z1r(),
    "hmm 0": _random_hmm(0),
    "hmm 1": _random_hmm(1),
    "hmm 3": _random_hmm(3),
    "mess3": bg.mess3(),
}
# Of as many tokens, so that its network reads the same words.
ANOTHER: dict[Name, Name] = {
    "rrxor": "z1r",
    "z1r": "rrxor",
    "hmm 0": "hmm 1",
    "hmm 1": "hmm 3",
    "hmm 3": "hmm 0",
    "mess3": "hmm 1",
}

# The probability of the first of the two tokens that a token becomes.
_SHARES = np.array([0.7, 0.4, 0.55])


class Split(NamedTuple):
    """A process in which each token of a source has become two tokens."""

    process: bg.Process
    """The target: its states are those of the source."""
    image: Int[np.ndarray, " token"]
    """The token of the source that each token stands for."""
    shares: Float[np.ndarray, " token"]
    """The probability of each token given its image."""


def split(source: bg.Process) -> Split:
    """Each token becomes two, whatever the state, and all are numbered anew: tokens y and V + y stand for V - 1 - y."""
    count = source.vocab_size
    image = count - 1 - np.arange(2 * count) % count
    first = _SHARES[image]
    shares = np.where(np.arange(2 * count) < count, first, 1 - first)
    machine = shares[:, None] * (image[:, None] == np.arange(count))
    return Split(bg.transduce(source, machine[:, :, None, None], jnp.ones(1)), image, shares)


def translated(key: PRNGKeyArray, rows: Rows, target: Split) -> Rows:
    """The same prefixes in the vocabulary of the target: for each word of the source a word drawn among its own.

    The observer of the target believes after the word what the observer of the source believes after its image.
    """
    log_shares = jnp.log(jnp.where(target.image[:, None] == np.arange(rows.laws.shape[1]), target.shares[:, None], 0))
    words = jax.random.categorical(key, log_shares.T[rows.tokens])
    return rows._replace(tokens=np.asarray(words), laws=rows.laws[:, target.image] * target.shares)


def translate(params: Any, target: Split) -> Any:
    """The params of a network of the source with tables of the target copied from its own: as good a network.

    Tokens of one image have its embedding, and its logit plus the logarithm of their share.
    """
    held = params["params"]
    unembed = {
        "kernel": held["unembed"]["kernel"][:, target.image],
        "bias": held["unembed"]["bias"][target.image] + jnp.log(target.shares),
    }
    embed = {"embedding": held["embed"]["embedding"][target.image]}
    return {"params": {**held, "embed": embed, "unembed": unembed}}
