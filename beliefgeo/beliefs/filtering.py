"""What an ideal observer believes after each token of a sequence."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt

from beliefgeo.arrays import ArrayLike, is_traced, take
from beliefgeo.beliefs.composed import filter_fully_conditional, filter_with_bos, filter_with_end, together
from beliefgeo.beliefs.observations import PADDED, check_observations, with_silence, without_silence
from beliefgeo.beliefs.scaled import (
    Filtered,
    Linear,
    end_of_range,
    filter_in_range,
    filter_tangents,
    least_entries,
    may_have_lost,
    rescued,
    undefined_if_lost,
)
from beliefgeo.processes.bos import WithBos
from beliefgeo.processes.conditional import ConditionalTransitions, FullyConditional
from beliefgeo.processes.end import WithEnd
from beliefgeo.processes.factor_tree import FactorTree
from beliefgeo.processes.factored import Product
from beliefgeo.processes.given import check_belief, check_token, check_tokens
from beliefgeo.processes.opaque import as_pytree
from beliefgeo.processes.process import Observer, Process, vocabulary
from beliefgeo.processes.scalars import ScalarProcess, size_order


def predict_next_token(process: Observer, belief: ArrayLike) -> Float[Array, " token"]:
    """The law of the next token, P(x | belief) = belief T^(x) w.

    Raises ValueError for a vector that is not a belief of the process: it is not normalised, or gives a token a
    probability below 0. If it is traced, the result is NaN.

    >>> from beliefgeo.processes.classical import z1r
    >>> predict_next_token(z1r(), [0.3, 0.1, 0.6]).round(4).tolist()
    [0.6, 0.4]
    """
    process = as_pytree(process)
    return process.predict(check_belief(process, belief))


def update_belief(process: Observer, belief: ArrayLike, token: ArrayLike) -> Float[Array, " state"]:
    """The belief after one more token, belief T^(x) / P(x | belief).

    It is NaN if the token is impossible. Raises ValueError for a token outside the vocabulary, or for a vector that is
    not a belief of the process (NaN if they are traced).

    >>> from beliefgeo.processes.classical import z1r
    >>> update_belief(z1r(), [0.3, 0.1, 0.6], 0).round(4).tolist()
    [0.5, 0.5, 0.0]
    """
    process = as_pytree(process)
    return process.update(check_belief(process, belief), check_token(process, token))


def filter_beliefs(
    process: Observer,
    tokens: ArrayLike,
    *,
    observed: ArrayLike | None = None,
    missing: int | str | None = None,
    lengths: ArrayLike | None = None,
) -> Filtered:
    """The beliefs and the token log-probabilities along one sequence (the forward algorithm, normalised).

    A posterior may fall below the range of its precision and rise again. If an entry comes near the end of the range,
    the whole sequence is filtered with an exponent for each entry (`scaled`), several times slower. Entries are right
    to a few roundings a token; for a process that is not generalised, each entry in proportion to its size. This holds
    for processes and for every composition of processes. An observer of another class updates its own belief, in the
    range of its precision, and what that loses is not known: after an entry below 1e-31 (1e-292 in float64) that is not
    0, beliefs raise, or are NaN if they are traced.

    Args:
        process: the process that is observed.
        tokens: `[time]` integers or names, or a string of one-letter names; `[batch, time]` with lengths `[batch]`.
        observed: an array of the shape of tokens, False where a token was not observed: the belief moves by
            T = sum_x T^(x), and the log-probability there is 0.
        missing: the number, or name, that stands for a token not observed, such as -1.
        lengths: how many tokens of the sequence count, or of each sequence of a batch. After the end the belief stays
            and log-probabilities are 0, whatever tokens stand there.

    Returns:
        beliefs `[time + 1, state]`, of which the first is `process.initial`; log-probabilities `[time]` in nats. From
        an impossible token on, beliefs are NaN and log-probabilities -inf; derivatives before that token are finite.

    Raises:
        ValueError: a token outside the vocabulary (NaN if it is traced), shapes that do not match; a belief of an
            observer of another class near the end of its range, with tokens after it (NaN if it is traced).
        TypeError: unobserved tokens for an observer without T, which is neither a `Process` nor a product of processes.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> filter_beliefs(golden_mean(), [1, 0]).beliefs.round(4).tolist()
    [[0.6667, 0.3333], [0.0, 1.0], [1.0, 0.0]]
    >>> filter_beliefs(golden_mean(), [0, -1], missing=-1).beliefs[1:].round(4).tolist()
    [[1.0, 0.0], [0.5, 0.5]]
    """
    process = as_pytree(process)
    if observed is None and missing is None and lengths is None:
        tokens = check_tokens(process, tokens, ragged=PADDED)
        if tokens.ndim != 1:
            raise ValueError(f"tokens must be one sequence [time]; got shape {tokens.shape}: use jax.vmap for a batch")
        if isinstance(process, Linear):
            return _filter_now(process, tokens)
        return _kept(process, _filter(process, tokens))
    if observed is not None or missing is not None:
        _require_matrices(process)
    codes = check_observations(process, tokens, observed, missing, lengths)
    return _kept(process, _filter_observed(process, codes) if codes.ndim == 1 else _filter_batch(process, codes))


def _require_matrices(process: Observer) -> None:
    if isinstance(process, Product):
        for factor in process.factors:
            _require_matrices(factor)
    elif not isinstance(process, Process):
        raise TypeError(
            "a token that was not observed moves the belief by the sum of the matrices of all tokens; a "
            f"{type(process).__name__} has none: give its joint, beliefgeo.joint(process), where it has one"
        )


def _kept(process: Observer, filtered: Filtered) -> Filtered:
    """The result, if nothing of it may have been lost; else it raises, unless the result is traced, and so NaN."""
    if is_traced(filtered) or not _moves_by_itself(process) or not jnp.isnan(filtered.log_probabilities).any():
        return filtered
    beliefs = filtered.beliefs.reshape(-1, filtered.beliefs.shape[-1])
    least, dtype = least_entries(Filtered(beliefs, filtered.log_probabilities)).min(), beliefs.dtype
    if least < size_order(end_of_range(dtype)):
        raise ValueError(
            f"a belief near the end of the range of {dtype} may lose what must come back, unless its matrices are "
            f"known; got an entry below {end_of_range(dtype):.0e} that is not 0: use float64 (jax.enable_x64), or give "
            "the observer as a process or as a composition of processes, such as its joint"
        )
    return filtered


def _moves_by_itself(process: Observer) -> bool:
    """Whether some part moves its belief by itself, and not by matrices that are known."""
    if isinstance(process, WithBos | WithEnd):
        return _moves_by_itself(process.inner)
    if isinstance(process, Product | FactorTree):  # a factor with a parent is a tuple of processes
        return any(_moves_by_itself(factor) for factor in process.factors if isinstance(factor, Observer))
    return not isinstance(process, Linear | ConditionalTransitions | FullyConditional)


def _filter_now(process: Linear, tokens: Int[Array, " time"]) -> Filtered:
    """`_filter`; for concrete values the scaled filter is not even compiled unless it is needed."""
    if is_traced((process, tokens)):
        return _filter(process, tokens)
    plain, lost = _plainly(process, tokens)
    return _in_range(process, tokens) if lost else plain


@eqx.filter_jit
def _filter(process: Observer, tokens: Int[Array, " time"]) -> Filtered:
    if isinstance(process, Product | FactorTree | ConditionalTransitions):
        return together([_filter(*part) for part in process.apart(tokens)])
    if isinstance(process, FullyConditional):
        return filter_fully_conditional(process, tokens, _filter)
    if isinstance(process, WithBos):
        return filter_with_bos(process, tokens, _filter)
    if isinstance(process, WithEnd):
        return filter_with_end(process, tokens, _filter)
    if isinstance(process, Linear):
        return _filter_linear(process, tokens)
    return undefined_if_lost(_filter_vectors(process, tokens))


@eqx.filter_jit
def _filter_batch(process: Observer, codes: Int[Array, "batch time"]) -> Filtered:
    return jax.vmap(_filter_observed, (None, 0))(process, codes)


@eqx.filter_jit
def _filter_observed(process: Observer, codes: Int[Array, " time"]) -> Filtered:
    """`_filter` of the codes that `check_observations` gives."""
    vocab_size = vocabulary(process)
    if isinstance(process, Product):
        silence = [codes - vocab_size + size for size in process.vocab_sizes]
        parts = zip(process.apart(codes), silence, strict=True)
        return together(
            [_filter_observed(factor, jnp.where(codes < vocab_size, seen, unseen)) for (factor, seen), unseen in parts]
        )
    if isinstance(process, Process):
        beliefs, log_probabilities = _filter_linear(with_silence(process), codes)
        return Filtered(beliefs, without_silence(log_probabilities, codes, vocab_size))
    ended = codes == vocab_size + 1
    beliefs, log_probabilities = _filter(process, jnp.where(ended, 0, codes))
    last = jnp.minimum(jnp.arange(len(codes) + 1), (~ended).sum())
    return Filtered(beliefs[last], jnp.where(ended, 0, log_probabilities))


@jax.custom_jvp
def _filter_linear(process: Linear, tokens: Int[Array, " time"]) -> Filtered:
    return rescued(process, tokens, *filter_plainly(process, tokens))


@_filter_linear.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Filtered, Filtered]:
    # The value comes from the function itself: jax batches the two separately, and they must agree on the batch axis.
    return _filter_linear(*primals), filter_tangents(primals, tangents)


def filter_plainly(process: Linear, tokens: Int[Array, " time"]) -> tuple[Filtered, Bool[Array, ""]]:
    """The filter in the range of its precision, and whether that range may have lost something."""
    scalars = ScalarProcess.of(process) if len(tokens) else None
    if scalars is None:
        filtered = _filter_vectors(process, tokens)
        return filtered, may_have_lost(process, size_order(filtered.beliefs).min())
    filtered, least = _filter_scalars(scalars, tokens)
    return filtered, may_have_lost(process, least)


_plainly, _in_range = eqx.filter_jit(filter_plainly), eqx.filter_jit(filter_in_range)


def log_probability(
    process: Observer,
    tokens: ArrayLike,
    *,
    observed: ArrayLike | None = None,
    missing: int | str | None = None,
    lengths: ArrayLike | None = None,
) -> Float[Array, "*batch"]:
    """ln P(tokens), the sum of the tokens' log-probabilities: finite at any length, -inf for an impossible word.

    It has the arguments of `filter_beliefs`, and is `[batch]` with lengths `[batch]`. If some tokens were not observed,
    it is ln P of the observed tokens.

    Raises ValueError for a token outside the vocabulary (NaN if it is traced).

    >>> from beliefgeo.processes.classical import z1r
    >>> round(float(jnp.exp(-log_probability(z1r(), [1, 0, 0, 1, 1, 0]))), 3)
    12.0
    >>> log_probability(z1r(), [[1, 0, 0], [0, 1, 0]], lengths=[1, 3]).round(4).tolist()
    [-0.6931, -1.7918]
    """
    filtered = filter_beliefs(process, tokens, observed=observed, missing=missing, lengths=lengths)
    logarithms = filtered.log_probabilities
    return sum_pairwise(logarithms) if logarithms.ndim == 1 else jax.vmap(sum_pairwise)(logarithms)


def _filter_vectors(process: Observer, tokens: Int[Array, " time"]) -> Filtered:
    def step(carry: tuple[Array, Array, Array], token: Int[Array, ""]):
        belief, possible, defined = carry
        probability = take(process.predict(belief), token)
        possible, defined = possible & (probability != 0), defined & ~jnp.isnan(probability)
        # After an impossible token the belief before it stays: NaN would spoil the derivatives of earlier beliefs.
        moved = process.update(belief, jnp.where(defined, token, 0))
        moved = jnp.where(possible & defined, moved, belief)
        logarithm = jnp.where(possible, jnp.log(jnp.where(possible & defined, probability, 1)), -jnp.inf)
        outcome = jnp.where(possible & defined, moved, jnp.nan), jnp.where(defined, logarithm, jnp.nan)
        return (moved, possible, defined), outcome

    always = jnp.ones((), bool)
    _, (beliefs, log_probabilities) = jax.lax.scan(step, (process.initial, always, always), tokens)
    return Filtered(jnp.concatenate([process.initial[None], beliefs]), log_probabilities)


def _filter_scalars(process: ScalarProcess, tokens: Int[Array, " time"]) -> tuple[Filtered, UInt[Array, ""]]:
    """The beliefs, and `size_order` of the least entry of all beliefs."""

    def step(carry, token):
        joint, least = carry
        joint = process.advance(joint, token)
        return (joint, jnp.minimum(least, process.least(joint))), process.belief_and_log_probability(joint)

    start = process.initial, process.least(process.initial)
    (_, least), (beliefs, log_probabilities) = jax.lax.scan(step, start, process.narrow(tokens))
    return Filtered(jnp.concatenate([jnp.stack(process.initial)[None], beliefs]), log_probabilities), least


@jax.jit
def sum_pairwise(values: Float[Array, " time"]) -> Float[Array, ""]:
    """The sum by halves: a running float32 sum of 1e6 equal logs loses two digits, this sum loses none."""
    while len(values) > 1:
        values = jnp.pad(values, (0, len(values) % 2))
        values = values[::2] + values[1::2]
    return values.sum()
