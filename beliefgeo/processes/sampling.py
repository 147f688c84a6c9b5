"""Sequences, the beliefs of their ideal observer, and their log-probabilities, in one pass."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from beliefgeo.arrays import ArrayLike
from beliefgeo.processes.factored import Product
from beliefgeo.processes.given import check_belief
from beliefgeo.processes.opaque import as_pytree
from beliefgeo.processes.process import Observer
from beliefgeo.processes.scalars import ScalarProcess, Scalars


class Sample(NamedTuple):
    """A sampled sequence; `beliefs[t]` is the belief after t tokens, so there is one more belief than tokens.

    Attributes:
        tokens: The tokens drawn.
        beliefs: The belief before the first token and after each.
        log_probabilities: ln P of each token given those before.
    """

    tokens: Int[Array, " time"]
    beliefs: Float[Array, "time_plus_1 state"]
    log_probabilities: Float[Array, " time"]


def sample(key: PRNGKeyArray, process: Observer, length: int, *, start: ArrayLike | None = None) -> Sample:
    """Draw `length` tokens from the process, from its initial belief or from a given belief.

    Tokens are drawn from the observer's own prediction, P(x_t | x_1..x_{t-1}) = belief T^(x) w. It defines the process
    and needs no hidden state, so generalised processes are sampled in the same way. Each token takes one uniform
    number, inverted through the cumulative law. `beliefgeo.sample_path(key, process, tokens)` draws the hidden states
    behind the tokens.

    Args:
        key: draws the tokens.
        process: the process to draw from.
        length: the number of tokens.
        start: `[state]`, the belief to start from, such as the last belief of another sample or of a filtered sequence
            (its posterior); default: `process.initial`.

    Returns:
        tokens `[length]`, beliefs `[length + 1, state]`, and log-probabilities `[length]` in nats, of each token given
        its past.

    Raises:
        ValueError: a negative length; a start that is not a belief of the process (NaN if it is traced).

    >>> from beliefgeo.processes.classical import golden_mean
    >>> drawn = sample(jax.random.key(0), golden_mean(), 6)
    >>> drawn.tokens.shape, drawn.beliefs.shape
    ((6,), (7, 2))
    >>> int(sample(jax.random.key(0), golden_mean(), 1, start=[0.0, 1.0]).tokens[0])  # after a one
    0
    """
    if length < 0:
        raise ValueError(f"length must be 0 or more; got {length}")
    process = as_pytree(process)
    return _sample(key, process, length, process.initial if start is None else check_belief(process, start))


@eqx.filter_jit
def _sample(key: PRNGKeyArray, process: Observer, length: int, start: Float[Array, " state"]) -> Sample:
    if isinstance(process, Product):
        return _sample_factors(key, process, length, start)
    noise = _uniforms(key, length, process.initial.dtype)
    scalars = ScalarProcess.of(process)
    if scalars is None or length == 0:
        return _sample_vectors(process, noise, start)
    return _sample_scalars(scalars, noise, start)


def _uniforms(key: PRNGKeyArray, length: int, dtype: jnp.dtype) -> Float[Array, " time"]:
    """Uniform numbers in [0, 1). In float32 both words of a threefry block are used; `jax.random.uniform` uses one."""
    if dtype != jnp.float32 or jax.random.key_impl(key) != "threefry2x32":
        return jax.random.uniform(key, (length,), dtype)
    counts = jnp.pad(jnp.arange(length, dtype=jnp.uint32), (0, length % 2)).reshape(2, -1)
    bits = jnp.concatenate(_threefry(jax.random.key_data(key), counts))[:length]
    return (bits >> 8).astype(dtype) * 2**-24


def _threefry(key: UInt32[Array, "2"], counts: UInt32[Array, "2 block"]) -> list[UInt32[Array, " block"]]:
    """The two words of each Threefry-2x32 block, 20 rounds (Salmon et al. 2011), written out, bit for bit as in jax.

    On CPUs jax makes the rounds a loop, which is slower, by a tenth of the time of `sample`.
    """
    keys = [key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(0x1BD11BDA)]
    left, right = counts[0] + keys[0], counts[1] + keys[1]
    for group in range(5):
        for bits in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            left = left + right
            right = ((right << bits) | (right >> (32 - bits))) ^ left
        left, right = left + keys[(group + 1) % 3], right + keys[(group + 2) % 3] + jnp.uint32(group + 1)
    return [left, right]


def _sample_factors(key: PRNGKeyArray, process: Product, length: int, start: Float[Array, " state"]) -> Sample:
    """Draw independent factors separately, so that their laws are never multiplied out."""
    keys = jax.random.split(key, len(process.factors))
    parts = zip(keys, process.factors, process.split_belief(start), strict=True)
    drawn = [_sample(one, factor, length, begun) for one, factor, begun in parts]
    tokens = process.join_tokens([part.tokens for part in drawn])
    log_probabilities = jnp.stack([part.log_probabilities for part in drawn]).sum(0)
    return Sample(tokens, jnp.concatenate([part.beliefs for part in drawn], 1), log_probabilities)


def _sample_vectors(process: Observer, noise: Float[Array, " time"], start: Float[Array, " state"]) -> Sample:
    def step(belief, uniform):
        law = process.predict(belief)
        token = invert(jnp.cumsum(law), uniform)
        return process.update(belief, token), (belief, token, law[token])

    last, (beliefs, tokens, probabilities) = jax.lax.scan(step, start, noise)
    return Sample(tokens, jnp.concatenate([beliefs, last[None]]), jnp.log(probabilities))


def _sample_scalars(process: ScalarProcess, noise: Float[Array, " time"], start: Float[Array, " state"]) -> Sample:
    def draw(joint: Scalars, uniform):
        law = process.predict(joint)
        return invert([sum(law[1 : x + 1], law[0]) for x in range(len(law))], uniform).astype(jnp.int8)

    # Advance with the token drawn before, then draw. The loop carries the token, so it is computed once; in the other
    # order XLA recomputes it for every state. The last step draws a token too many.
    def step(carry, uniform):
        joint, token = carry
        following = process.advance(joint, token)
        return (following, draw(following, uniform)), (token, *process.belief_and_log_probability(following))

    joint = tuple(start)
    first = joint, draw(joint, noise[0])
    _, (tokens, beliefs, log_probabilities) = jax.lax.scan(step, first, jnp.append(noise[1:], 0))
    beliefs = jnp.concatenate([start[None], beliefs])
    return Sample(tokens.astype(jnp.int32), beliefs, log_probabilities)


def invert(cumulative: Array | list, uniform: Float[Array, ""]) -> Int[Array, ""]:
    """The token whose interval of the cumulative law holds `uniform`; never a token of probability zero.

    `uniform` is scaled by the total, because a law that sums to 1 - 1e-7 would leave a gap at the top.
    """
    level = uniform * cumulative[-1]
    if isinstance(cumulative, list):
        return sum(((step <= level).astype(jnp.int32) for step in cumulative[:-1]), jnp.zeros((), jnp.int32))
    return jnp.sum(cumulative[:-1] <= level, dtype=jnp.int32)
