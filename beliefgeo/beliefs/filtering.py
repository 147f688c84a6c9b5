"""What an ideal observer believes after each token of a sequence."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt

from beliefgeo.beliefs.scaled import filter_scaled
from beliefgeo.processes.factored import Product
from beliefgeo.processes.given import check_belief, check_tokens
from beliefgeo.processes.process import ArrayLike, Observer, Process, take
from beliefgeo.processes.scalars import ScalarProcess, size_order


class Filtered(NamedTuple):
    """`beliefs[t]` is the belief after t tokens; `log_probabilities[t]` that of token t given those before it."""

    beliefs: Float[Array, "time_plus_1 state"]
    log_probabilities: Float[Array, " time"]


def predict_next_token(process: Observer, belief: ArrayLike) -> Float[Array, " token"]:
    """The law of the next token, P(x | belief) = belief T^(x) w.

    Raises ValueError for what is no belief of the process, one not normalised or that gives a token a probability
    below 0 (NaN where traced).

    >>> from beliefgeo.processes.classical import z1r
    >>> predict_next_token(z1r(), [0.3, 0.1, 0.6]).round(4).tolist()
    [0.6, 0.4]
    """
    return process.predict(check_belief(process, belief))


def update_belief(process: Observer, belief: ArrayLike, token: ArrayLike) -> Float[Array, " state"]:
    """The belief after one more token, belief T^(x) / P(x | belief).

    NaN where the token is impossible. Raises ValueError for a token outside the vocabulary, or what is no belief of
    the process (NaN where traced).

    >>> from beliefgeo.processes.classical import z1r
    >>> update_belief(z1r(), [0.3, 0.1, 0.6], 0).round(4).tolist()
    [0.5, 0.5, 0.0]
    """
    return process.update(check_belief(process, belief), check_tokens(process, token))


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
    return _filter_process(process, tokens) if isinstance(process, Process) else _filter_vectors(process, tokens)


@jax.custom_jvp
def _filter_process(process: Process, tokens: Int[Array, " time"]) -> Filtered:
    """The plain filter, and the scaled one in its place where an entry of a belief came near the end of its range."""
    scalars = ScalarProcess.of(process) if len(tokens) else None
    if scalars is None:
        plain = _filter_vectors(process, tokens)
        least = size_order(plain.beliefs).min()
    else:
        plain, least = _filter_scalars(scalars, tokens)
    lost = least < size_order(_safe(process))

    # A loop of one pass or none: under vmap a `cond` computes both of its branches, this one only what some row needs.
    def rescue(state: tuple[Bool[Array, ""], Filtered]) -> tuple[Bool[Array, ""], Filtered]:
        needed, _ = state
        # True here, which XLA does not know: what does not depend on the loop it computes before it, needed or not.
        return jnp.zeros((), bool), _filter_in_range(process, jnp.where(needed, tokens, 0))

    return jax.lax.while_loop(lambda state: state[0], rescue, (lost, plain))[1]


@_filter_process.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Filtered, Filtered]:
    # The value is that of the function itself: jax batches the two apart, and they must agree on the axis of the batch.
    return _filter_process(*primals), jax.jvp(_filter_in_range, primals, tangents)[1]


def _filter_in_range(process: Process, tokens: Int[Array, " time"]) -> Filtered:
    beliefs, log_probabilities = filter_scaled(process, tokens)
    defined = jnp.append(True, jnp.isfinite(log_probabilities))
    return Filtered(jnp.where(defined[:, None], beliefs.at(jnp.int32(0)), jnp.nan), log_probabilities)


def _safe(process: Process) -> Float[Array, ""]:
    """The size above which an entry of a belief loses nothing, times any entry of T: twice the least number over T's.

    The first product b_i T_ij to be lost, smaller than the least normal number and so 0, has a nonzero b_i below this.
    """
    entries = abs(process.transitions)
    return 2 * jnp.finfo(entries.dtype).tiny / jnp.where(entries > 0, entries, 1).min()


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


def _filter_vectors(process: Observer, tokens: Int[Array, " time"]) -> Filtered:
    def step(belief, token):
        return process.update(belief, token), (belief, take(process.predict(belief), token))

    last, (beliefs, probabilities) = jax.lax.scan(step, process.initial, tokens)
    impossible = jnp.cumsum(probabilities == 0) > 0  # and whatever follows it
    log_probabilities = jnp.log(jnp.where(impossible, 0, probabilities))
    return Filtered(jnp.concatenate([beliefs, last[None]]), log_probabilities)


def _filter_scalars(process: ScalarProcess, tokens: Int[Array, " time"]) -> tuple[Filtered, UInt[Array, ""]]:
    """The beliefs, and `size_order` of the least entry in any of them."""

    def step(carry, token):
        joint, least = carry
        joint = process.advance(joint, token)
        return (joint, jnp.minimum(least, process.least(joint))), process.belief_and_log_probability(joint)

    start = process.initial, process.least(process.initial)
    (_, least), (beliefs, log_probabilities) = jax.lax.scan(step, start, process.narrow(tokens))
    return Filtered(jnp.concatenate([jnp.stack(process.initial)[None], beliefs]), log_probabilities), least


@jax.jit
def _sum_pairwise(values: Float[Array, " time"]) -> Float[Array, ""]:
    """Sum by halves: a running float32 sum of 1e6 equal logs loses two digits, this one none."""
    while len(values) > 1:
        values = jnp.pad(values, (0, len(values) % 2))
        values = values[::2] + values[1::2]
    return values.sum()
