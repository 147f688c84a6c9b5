"""The filters of compositions, made of the filters of their parts, so that what holds for the parts holds for them."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from beliefgeo.arrays import logarithm
from beliefgeo.beliefs.scaled import Filtered
from beliefgeo.processes.bos import WithBos
from beliefgeo.processes.conditional import FullyConditional
from beliefgeo.processes.end import WithEnd
from beliefgeo.processes.process import Observer

# The filter of a part.
Filter = Callable[[Observer, Int[Array, " time"]], Filtered]


def together(parts: Sequence[Filtered]) -> Filtered:
    """The joint result of factors that were filtered separately; it is undefined where a factor's belief is."""
    beliefs = jnp.concatenate([part.beliefs for part in parts], 1)
    undefined = jnp.isnan(beliefs).any(1, keepdims=True)
    log_probabilities = jnp.stack([part.log_probabilities for part in parts]).sum(0)
    return Filtered(jnp.where(undefined, jnp.nan, beliefs), log_probabilities)


def filter_fully_conditional(process: FullyConditional, tokens: Int[Array, " time"], run: Filter) -> Filtered:
    """ln P(x | beliefs) = sum_n ln P_n(x_n | belief_n, x_-n) - ln Z; undefined from where Z is 0."""
    beliefs, weights = together([run(*part) for part in process.apart(tokens)])
    defined = jnp.isfinite(beliefs).all(1, keepdims=True)
    # A loop, not a vmap: all weights of all times would not fit. NaN would spoil the derivatives of earlier beliefs.
    totals = jax.lax.map(process.total, jnp.where(defined, beliefs, process.initial[None])[:-1])
    normalised = jnp.where(jnp.isfinite(weights), weights - logarithm(totals), weights)
    return _marked(Filtered(beliefs, normalised), jnp.zeros(len(tokens), bool), (totals == 0) & defined[:-1, 0])


def filter_with_bos(process: WithBos, tokens: Int[Array, " time"], run: Filter) -> Filtered:
    """Nothing, then the inner filter: the first token is impossible anywhere else, and any other in its place."""
    first = process.vocab_size - 1
    if not len(tokens):
        return Filtered(process.initial[None], jnp.zeros(0, process.initial.dtype))
    is_first = tokens == first
    beliefs, log_probabilities = run(process.inner, jnp.where(is_first, 0, tokens)[1:])
    inner = jnp.pad(beliefs, ((0, 0), (0, 1)), constant_values=0)
    found = Filtered(jnp.concatenate([process.initial[None], inner]), jnp.pad(log_probabilities, (1, 0)))
    return _marked(found, is_first != (jnp.arange(len(tokens)) == 0), _outside(process, tokens))


def filter_with_end(process: WithEnd, tokens: Int[Array, " time"], run: Filter) -> Filtered:
    """The inner filter, times the probability of going on, until the last token; from then on only the last token."""
    over, started = tokens == process.vocab_size - 1, jnp.arange(len(tokens)) > 0
    ended = jnp.cumsum(over) - over > 0  # before each token
    inner = run(process.inner, jnp.where(over | ended, 0, tokens))
    share = jnp.where(started, process.p, 0)  # P(it has ended) before each token, where it is not certain
    going = logarithm(1 - share) + inner.log_probabilities
    logarithms = jnp.where(over, jnp.where(ended, 0, logarithm(share)), jnp.where(ended, -jnp.inf, going))
    after = jnp.pad((1 - process.p) * inner.beliefs[1:], ((0, 0), (0, 1))).at[:, -1].set(process.p)
    last = jnp.zeros_like(process.initial).at[-1].set(1)
    beliefs = jnp.concatenate([process.initial[None], jnp.where((ended | over)[:, None], last[None], after)])
    undefined = _outside(process, tokens) | jnp.isnan(logarithms)
    return _marked(Filtered(beliefs, logarithms), jnp.isneginf(logarithms), undefined)


def _marked(filtered: Filtered, impossible: Bool[Array, " time"], undefined: Bool[Array, " time"]) -> Filtered:
    """From an impossible token on -inf and NaN, from an undefined one on NaN, and NaN in all of a belief or none."""
    never, nowhere = jnp.cumsum(impossible) > 0, jnp.cumsum(undefined) > 0
    beliefs, logarithms = filtered
    lost = jnp.isnan(beliefs).any(1) | jnp.append(False, never | nowhere)
    logarithms = jnp.where(never & ~jnp.isnan(logarithms), -jnp.inf, logarithms)
    return Filtered(jnp.where(lost[:, None], jnp.nan, beliefs), jnp.where(nowhere, jnp.nan, logarithms))


def _outside(process: WithBos | WithEnd, tokens: Int[Array, " time"]) -> Bool[Array, " time"]:
    return (tokens < 0) | (tokens >= process.vocab_size)
