"""The hidden states behind a sequence, given the whole sequence: smoothed beliefs, the likeliest path, a drawn path.

These are for classical processes: a generalised process has no hidden states. State t is the state after t tokens, so L
tokens have L + 1 states. All numbers have unbounded range (`scaled`).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from beliefgeo.arrays import ArrayLike, logarithm
from beliefgeo.beliefs.filtering import sum_pairwise
from beliefgeo.beliefs.observations import check_observations, with_silence, without_silence
from beliefgeo.beliefs.scaled import Scaled, filter_scaled, moved, scaled
from beliefgeo.processes.process import Observer, Process


class Smoothed(NamedTuple):
    """`beliefs[t]` is the law of the hidden state after t tokens given all tokens; and ln P of the tokens.

    Attributes:
        beliefs: The law of the hidden state after t tokens given all tokens.
        log_probability: ln P of the tokens.
    """

    beliefs: Float[Array, "*batch time_plus_1 state"]
    log_probability: Float[Array, "*batch"]


class LikeliestPath(NamedTuple):
    """The hidden states and ln P(states, tokens); -1 each and -inf if the tokens are impossible.

    Attributes:
        states: The hidden states, the one before the first token first.
        log_probability: ln P(states, tokens).
    """

    states: Int[Array, "*batch time_plus_1"]
    log_probability: Float[Array, "*batch"]


def smooth_beliefs(
    process: Observer,
    tokens: ArrayLike,
    *,
    observed: ArrayLike | None = None,
    missing: int | str | None = None,
    lengths: ArrayLike | None = None,
) -> Smoothed:
    """P(state after t tokens | all tokens), the forward-backward algorithm: belief_t * (T^(x_t) .. T^(x_L) 1).

    The last belief is the last belief of `filter_beliefs`. All are NaN if the tokens are impossible.

    Args:
        process: classical.
        tokens: `[time]` integers or names, or a string of one-letter names; `[batch, time]` with lengths `[batch]`.
        observed: as in `filter_beliefs`.
        missing: as in `filter_beliefs`.
        lengths: as in `filter_beliefs`; after the end the last belief stays.

    Raises:
        TypeError: an observer that is no `Process`.
        ValueError: a generalised process; tokens as for `filter_beliefs`.

    Baum, Petrie, Soules & Weiss 1970; Rabiner 1989, section III.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> smooth_beliefs(golden_mean(), [0, 1]).beliefs.round(4).tolist()
    [[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]
    """
    hidden = _with_hidden_states(process, "smooth_beliefs")
    codes = check_observations(hidden, tokens, observed, missing, lengths)
    return _smooth(hidden, codes) if codes.ndim == 1 else jax.vmap(_smooth, (None, 0))(hidden, codes)


@eqx.filter_jit
def _smooth(process: Process, codes: Int[Array, " time"]) -> Smoothed:
    every = with_silence(process)
    beliefs, log_probabilities = filter_scaled(every, codes)
    matrices = scaled(every.transitions.mT)

    def step(future: Scaled, code: Int[Array, ""]) -> tuple[Scaled, Scaled]:
        before = moved(future, jax.tree.map(lambda leaf: leaf[code], matrices))
        before = Scaled(before.values, before.exponents - before.sizes.max())
        return before, before

    last = scaled(process.readout)
    _, futures = jax.lax.scan(step, last, jnp.clip(codes, 0, process.vocab_size + 1), reverse=True)
    futures = jax.tree.map(lambda rest, end: jnp.concatenate([rest, end[None]]), futures, last)
    both = Scaled(beliefs.values * futures.values, beliefs.exponents + futures.exponents)
    weights = both.at(both.sizes.max(-1, keepdims=True))
    total = weights.sum(-1, keepdims=True)
    possible = jnp.isfinite(log_probabilities).all()
    smoothed = jnp.where(possible, weights / jnp.where(possible & (total > 0), total, 1), jnp.nan)
    return Smoothed(smoothed, sum_pairwise(without_silence(log_probabilities, codes, process.vocab_size)))


def likeliest_path(
    process: Observer,
    tokens: ArrayLike,
    *,
    observed: ArrayLike | None = None,
    missing: int | str | None = None,
    lengths: ArrayLike | None = None,
) -> LikeliestPath:
    """The hidden states of greatest P(states | tokens), by the Viterbi algorithm; of equal paths the first in order.

    Derivatives of the log-probability are those of that path.

    Args:
        process: classical.
        tokens: `[time]` integers or names, or a string of one-letter names; `[batch, time]` with lengths `[batch]`.
        observed: as in `filter_beliefs`.
        missing: as in `filter_beliefs`.
        lengths: as in `filter_beliefs`; after the end the last state stays.

    Raises:
        TypeError: an observer that is no `Process`.
        ValueError: a generalised process; tokens as for `filter_beliefs`.

    Viterbi 1967; Rabiner 1989, section III.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> path = likeliest_path(golden_mean(), [0, 1, 0])
    >>> path.states.tolist(), round(float(path.log_probability), 4)
    ([0, 0, 1, 0], -1.7918)
    """
    hidden = _with_hidden_states(process, "likeliest_path")
    codes = check_observations(hidden, tokens, observed, missing, lengths)
    return _likeliest(hidden, codes) if codes.ndim == 1 else jax.vmap(_likeliest, (None, 0))(hidden, codes)


@eqx.filter_jit
def _likeliest(process: Process, codes: Int[Array, " time"]) -> LikeliestPath:
    logarithms, start = logarithm(with_silence(process).transitions), logarithm(process.initial)
    inside = jnp.clip(codes, 0, process.vocab_size + 1)

    # From the last token to the first, so that of equal paths the first state decides, then the second, and so on.
    def step(score: Float[Array, " state"], code: Int[Array, ""]) -> tuple[Array, Array]:
        candidates = logarithms[code] + score[None]
        best = candidates.max(1)
        # Scores are measured from the best score, so that they keep their digits in a long sequence.
        return best - jnp.where(jnp.isfinite(best.max()), best.max(), 0), candidates.argmax(1)

    score, goes_to = jax.lax.scan(step, jnp.zeros_like(start), inside, reverse=True)
    follow = lambda state, following: (following[state], following[state])
    first = (start + score).argmax()
    _, states = jax.lax.scan(follow, first, goes_to)
    states = jnp.append(first, states)
    moves = logarithms[inside, states[:-1], states[1:]]
    total = sum_pairwise(jnp.concatenate([start[states[:1]], moves]))
    total = jnp.where((codes == inside).all(), total, jnp.nan)
    return LikeliestPath(jnp.where(jnp.isfinite(total), states, -1), total)


def sample_path(key: PRNGKeyArray, process: Observer, tokens: ArrayLike) -> Int[Array, " time_plus_1"]:
    """Hidden states drawn from P(states | tokens): filtered forward, drawn backward.

    With tokens from `sample`, states and tokens have their joint law, as in a simulation with hidden states.

    Args:
        key: draws the path.
        process: classical.
        tokens: `[time]` integers.

    Returns:
        `[time + 1]` integers, -1 each where the tokens are impossible.

    Raises:
        TypeError: an observer that is no `Process`.
        ValueError: a generalised process; tokens as for `filter_beliefs`.

    Scott 2002 (forward filtering, backward sampling).

    >>> from beliefgeo.processes.classical import golden_mean
    >>> sample_path(jax.random.key(0), golden_mean(), [0, 1, 0])[1:].tolist()
    [0, 1, 0]
    """
    hidden = _with_hidden_states(process, "sample_path")
    return _sample_path(key, hidden, check_observations(hidden, tokens, None, None, None))


@eqx.filter_jit
def _sample_path(key: PRNGKeyArray, process: Process, tokens: Int[Array, " time"]) -> Int[Array, " time_plus_1"]:
    beliefs, log_probabilities = filter_scaled(process, tokens)
    weights, logarithms = _logarithms(beliefs), jnp.log(process.transitions)
    keys = jax.random.split(key, len(weights))

    def step(following: Int[Array, ""], now: tuple[Array, ...]) -> tuple[Array, Array]:
        key, weight, token = now
        state = jax.random.categorical(key, weight + logarithms[token, :, following])
        return state, state

    last = jax.random.categorical(keys[-1], weights[-1])
    inside = jnp.clip(tokens, 0, process.vocab_size - 1)
    _, states = jax.lax.scan(step, last, (keys[:-1], weights[:-1], inside), reverse=True)
    return jnp.where(jnp.isfinite(log_probabilities).all(), jnp.append(states, last), -1)


def _logarithms(beliefs: Scaled) -> Float[Array, "time state"]:
    return jnp.log(beliefs.values) + beliefs.exponents * jnp.log(jnp.asarray(2, beliefs.values.dtype))


def _with_hidden_states(process: Observer, who: str) -> Process:
    if not isinstance(process, Process):
        raise TypeError(f"{who} needs the hidden states of a Process; got {type(process).__name__}: give its joint")
    if process.generalised:
        raise ValueError(
            f"{who} needs hidden states, and a generalised process has none: the entries of its beliefs are no "
            "probabilities of anything. Use filter_beliefs, whose laws of the next token have a meaning"
        )
    return process
