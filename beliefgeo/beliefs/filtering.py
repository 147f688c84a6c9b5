"""What an ideal observer believes after each token of a sequence."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from beliefgeo.processes.factored import Product
from beliefgeo.processes.process import ArrayLike, Observer, take, vocabulary
from beliefgeo.processes.scalars import ScalarProcess


class Filtered(NamedTuple):
    """`beliefs[t]` is the belief after t tokens; `log_probabilities[t]` that of token t given those before it."""

    beliefs: Float[Array, "time_plus_1 state"]
    log_probabilities: Float[Array, " time"]


def predict_next_token(process: Observer, belief: ArrayLike) -> Float[Array, " token"]:
    """The law of the next token, P(x | belief) = belief T^(x) w.

    >>> from beliefgeo.processes.classical import z1r
    >>> predict_next_token(z1r(), [0.3, 0.1, 0.6]).round(4).tolist()
    [0.6, 0.4]
    """
    return process.predict(jnp.asarray(belief, process.initial.dtype))


def update_belief(process: Observer, belief: ArrayLike, token: ArrayLike) -> Float[Array, " state"]:
    """The belief after one more token, belief T^(x) / P(x | belief).

    NaN where the token is impossible. Raises ValueError for a token outside the vocabulary (NaN where traced).

    >>> from beliefgeo.processes.classical import z1r
    >>> update_belief(z1r(), [0.3, 0.1, 0.6], 0).round(4).tolist()
    [0.5, 0.5, 0.0]
    """
    return process.update(jnp.asarray(belief, process.initial.dtype), check_tokens(process, token))


def filter_beliefs(process: Observer, tokens: ArrayLike) -> Filtered:
    """The beliefs and the token log-probabilities along one sequence (the forward algorithm, normalised).

    Args:
        process: what is observed.
        tokens: `[time]` integers.

    Returns:
        beliefs `[time + 1, state]`, the first is `process.initial`; log-probabilities `[time]` in nats. From an
        impossible token on beliefs are NaN and log-probabilities -inf.

    Raises:
        ValueError: a token outside the vocabulary (NaN where traced).

    >>> from beliefgeo.processes.classical import golden_mean
    >>> filter_beliefs(golden_mean(), [1, 0]).beliefs.round(4).tolist()
    [[0.6667, 0.3333], [0.0, 1.0], [1.0, 0.0]]
    """
    tokens = check_tokens(process, tokens)
    if tokens.ndim != 1:
        raise ValueError(f"tokens must be one sequence [time]; got shape {tokens.shape}: use jax.vmap for a batch")
    return _filter(process, tokens)


@eqx.filter_jit
def _filter(process: Observer, tokens: Int[Array, " time"]) -> Filtered:
    if isinstance(process, Product):
        return _filter_factors(process, tokens)
    scalars = ScalarProcess.of(process) if len(tokens) else None
    return _filter_vectors(process, tokens) if scalars is None else _filter_scalars(scalars, tokens)


def _filter_factors(process: Product, tokens: Int[Array, " time"]) -> Filtered:
    """Independent factors are filtered apart; the composite belief is undefined where one of theirs is."""
    parts = [
        _filter(factor, digits) for factor, digits in zip(process.factors, process.split_token(tokens), strict=True)
    ]
    beliefs = jnp.concatenate([part.beliefs for part in parts], 1)
    undefined = jnp.isnan(beliefs).any(1, keepdims=True)
    log_probabilities = jnp.stack([part.log_probabilities for part in parts]).sum(0)
    return Filtered(jnp.where(undefined, jnp.nan, beliefs), log_probabilities)


def log_probability(process: Observer, tokens: ArrayLike) -> Float[Array, ""]:
    """ln P(tokens), the sum of the tokens' log-probabilities: finite at any length, -inf for an impossible word.

    Raises ValueError for a token outside the vocabulary (NaN where traced).

    >>> from beliefgeo.processes.classical import z1r
    >>> round(float(jnp.exp(-log_probability(z1r(), [1, 0, 0, 1, 1, 0]))), 3)
    12.0
    """
    return _sum_pairwise(filter_beliefs(process, tokens).log_probabilities)


def check_tokens(process: Observer, tokens: ArrayLike) -> Int[Array, "..."]:
    """Tokens as int32; raises where a concrete one is outside the vocabulary or is not an integer."""
    array = jnp.asarray(tokens)
    if not jnp.issubdtype(array.dtype, jnp.integer) and array.size:
        raise TypeError(f"tokens must be integers; got {array.dtype}")
    vocab_size = vocabulary(process)
    if not isinstance(array, Tracer):
        outside = np.argwhere((np.asarray(array) < 0) | (np.asarray(array) >= vocab_size))
        if len(outside):
            where = tuple(outside[0].tolist())
            place = f" at position {', '.join(map(str, where))}" if where else ""
            raise ValueError(f"tokens must lie in 0..{vocab_size - 1}; got {int(array[where])}{place}")
    return array.astype(jnp.int32)


def _filter_vectors(process: Observer, tokens: Int[Array, " time"]) -> Filtered:
    def step(belief, token):
        return process.update(belief, token), (belief, take(process.predict(belief), token))

    last, (beliefs, probabilities) = jax.lax.scan(step, process.initial, tokens)
    impossible = jnp.cumsum(probabilities == 0) > 0  # and whatever follows it
    log_probabilities = jnp.log(jnp.where(impossible, 0, probabilities))
    return Filtered(jnp.concatenate([beliefs, last[None]]), log_probabilities)


def _filter_scalars(process: ScalarProcess, tokens: Int[Array, " time"]) -> Filtered:
    def step(joint, token):
        joint = process.advance(joint, token)
        return joint, process.belief_and_log_probability(joint)

    _, (beliefs, log_probabilities) = jax.lax.scan(step, process.initial, process.narrow(tokens))
    return Filtered(jnp.concatenate([jnp.stack(process.initial)[None], beliefs]), log_probabilities)


@jax.jit
def _sum_pairwise(values: Float[Array, " time"]) -> Float[Array, ""]:
    """Sum by halves: a running float32 sum of 1e6 equal logs loses two digits, this one none."""
    while len(values) > 1:
        values = jnp.pad(values, (0, len(values) % 2))
        values = values[::2] + values[1::2]
    return values.sum()
