"""The filter in unbounded range: each entry of the belief is a number near 1 with an exponent of 2 of its own.

A posterior may fall to 1e-400 and rise again; float32 ends at 1e-38, and a dropped entry does not come back. With the
belief v 2^e and T^(token) = m 2^x, entry j of the next belief is sum_i v_i m_ij 2^(e_i + x_ij). The largest exponent is
taken out of this sum, so that nothing that counts is lost. This filter is several times slower than the plain filter.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt

from beliefgeo.arrays import contract
from beliefgeo.processes.noisy_product import NoisyProduct
from beliefgeo.processes.process import Process, zero_below_rounding
from beliefgeo.processes.scalars import size_order
from beliefgeo.processes.switching import Switching

# Observers that move a belief by matrices, which are known: nothing of a posterior need be lost.
Linear = Process | Switching | NoisyProduct

# The exponent of zero: it is below that of any entry, and the sum of three such exponents fits in an int32.
_LEAST = -(2**29)


class Scaled(NamedTuple):
    """The numbers values * 2^exponents; a zero also keeps an exponent, at which its derivative is taken.

    Attributes:
        values: The numbers, without their scale.
        exponents: Powers of two to multiply them by.
    """

    values: Float[Array, "*batch"]
    exponents: Int[Array, "*batch"]

    @property
    def sizes(self) -> Int[Array, "*batch"]:
        """The exponents; the least possible exponent if the number is zero."""
        return jnp.where(self.values == 0, _LEAST, self.exponents)

    def at(self, exponent: Int[Array, "..."]) -> Float[Array, "*batch"]:
        """The numbers divided by 2^exponent, which is about the largest number.

        Only the exponent of a zero can be far above it. A derivative by a zero beyond half the range counts as 0: an
        infinite derivative would turn zeros into NaN for a parameter on which the entry does not depend.
        """
        above = self.exponents - exponent
        dtype = self.values.dtype
        return self.values * jnp.where(above > jnp.finfo(dtype).maxexp // 2 - 4, 0, power_of_two(above, dtype))


class Filtered(NamedTuple):
    """`beliefs[t]` is the belief after t tokens; `log_probabilities[t]` is ln P(token t | those before).

    Attributes:
        beliefs: The belief after t tokens; the first is the initial belief.
        log_probabilities: ln P of each token given those before.
    """

    beliefs: Float[Array, "time_plus_1 state"]
    log_probabilities: Float[Array, " time"]


class ScaledBeliefs(NamedTuple):
    """`Filtered` with scaled beliefs; from an impossible token on the beliefs have no meaning.

    Attributes:
        beliefs: The beliefs, each entry with an exponent of its own.
        log_probabilities: ln P of each token given those before.
    """

    beliefs: Scaled
    log_probabilities: Float[Array, " time"]


def scaled(numbers: Float[Array, "*batch"], exponents: Int[Array, "*#batch"] | int = 0) -> Scaled:
    """numbers * 2^exponents, with values near 1."""
    largest = int(jnp.finfo(numbers.dtype).maxexp) - 2
    own = jnp.clip(jnp.frexp(jax.lax.stop_gradient(numbers))[1], -largest, largest)
    return Scaled(numbers * power_of_two(-own, numbers.dtype), jnp.maximum(own + exponents, _LEAST))


def power_of_two(exponent: Int[Array, "*batch"], dtype: jnp.dtype) -> Float[Array, "*batch"]:
    """2^exponent to the bit; 0 below the range, the largest power above. `exp2` rounds, and roundings add up."""
    info = jnp.finfo(dtype)
    width = jnp.dtype(f"int{info.bits}")
    biased = jnp.clip(exponent, info.minexp - 1, info.maxexp - 1).astype(width) + (info.maxexp - 1)
    return jax.lax.bitcast_convert_type(biased << info.nmant, jnp.dtype(dtype))


def moved(belief: Scaled, matrix: Scaled) -> Scaled:
    """belief @ matrix, `[state]` and `[state, next_state]`."""
    exponents = belief.exponents[:, None] + matrix.exponents
    return _summed(Scaled(belief.values[:, None] * matrix.values, exponents))


def _summed(terms: Scaled) -> Scaled:
    """The sum over the first axis."""
    counting = terms.sizes.max(0)
    largest = jnp.where(counting == _LEAST, terms.exponents.max(0), counting)
    return scaled(terms.at(largest[None]).sum(0), largest)


def _mover(process: Linear) -> Callable[[Scaled, Int[Array, ""]], Scaled]:
    """belief, token -> belief T^(token), in scaled numbers."""
    if isinstance(process, Switching):
        return _switching_mover(process)
    if isinstance(process, NoisyProduct):
        return _noisy_mover(process)
    matrices = scaled(process.transitions)
    return lambda belief, token: moved(belief, jax.tree.map(lambda leaf: leaf[token], matrices))


def _switching_mover(process: Switching) -> Callable[[Scaled, Int[Array, ""]], Scaled]:
    """Each mode moves by its own matrix, then the mass of each state moves between modes."""
    by_token, shape = process.processes.transitions.swapaxes(0, 1), process.processes.initial.shape
    matrices, moves = scaled(by_token), None if process.moves is None else scaled(process.moves)

    def move(belief: Scaled, token: Int[Array, ""]) -> Scaled:
        by_mode = jax.tree.map(lambda leaf: leaf.reshape(shape), belief)
        after = jax.vmap(moved)(by_mode, jax.tree.map(lambda leaf: leaf[token], matrices))
        if moves is not None:
            after = jax.vmap(moved, (1, None), 1)(after, moves)
        return jax.tree.map(jnp.ravel, after)

    return move


def _noisy_mover(process: NoisyProduct) -> Callable[[Scaled, Int[Array, ""]], Scaled]:
    """(1 - eps) kron_n T_n^(x_n) + eps / V kron_n T_n, each Kronecker product factor by factor."""
    each = [scaled(factor.transitions) for factor in process.factors]
    sums = [scaled(factor.transitions.sum(0)) for factor in process.factors]
    shares = scaled(jnp.stack([1 - process.eps, process.eps / process.vocab_size]))
    shape = [factor.n_states for factor in process.factors]

    def move(belief: Scaled, token: Int[Array, ""]) -> Scaled:
        digits = process.split_token(token)
        own = [jax.tree.map(lambda leaf, x=x: leaf[x], one) for one, x in zip(each, digits, strict=True)]
        ways = [_moved_along(belief, shape, matrices) for matrices in (own, sums)]
        both = jax.tree.map(lambda *leaves: jnp.stack(leaves), *ways)
        return _summed(Scaled(both.values * shares.values[:, None], both.exponents + shares.exponents[:, None]))

    return move


def _moved_along(belief: Scaled, shape: Sequence[int], matrices: Sequence[Scaled]) -> Scaled:
    """The belief as a tensor with an axis for each factor, moved by each factor's matrix along its axis."""
    for axis, matrix in enumerate(matrices):
        # Axes before, this axis, axes after: the others are batches.
        parts = (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
        tensor = jax.tree.map(lambda leaf, parts=parts: leaf.reshape(parts), belief)
        along = jax.vmap(jax.vmap(moved, (1, None), 1), (0, None))(tensor, matrix)
        belief = jax.tree.map(jnp.ravel, along)
    return belief


def _evidence(process: Linear) -> Float[Array, "token state"] | None:
    """|T^(token)| |w|, the size of the sum that a probability is; None where nothing in the sum can cancel."""
    if isinstance(process, NoisyProduct):  # noise makes every token possible
        return None
    whole = process if isinstance(process, Process) else process.processes
    if not whole.generalised:
        return None
    if isinstance(process, Process):
        return contract("xij,j->xi", abs(whole.transitions), abs(whole.readout))
    by_mode = contract("mxij,mj->xmi", abs(whole.transitions), abs(whole.readout))
    return by_mode.reshape(process.vocab_size, -1)


def filter_scaled(process: Linear, tokens: Int[Array, " time"]) -> ScaledBeliefs:
    """`filter_beliefs` of one sequence in any range; derivatives are finite wherever the result is finite.

    Log-probabilities are -inf from an impossible token on, and NaN from a token outside the vocabulary on.
    """
    move, evidence = _mover(process), _evidence(process)
    inside = (tokens >= 0) & (tokens < process.vocab_size)

    def step(carry: tuple[Scaled, Bool[Array, ""], Bool[Array, ""]], now: tuple[Array, Array]):
        belief, possible, defined = carry
        token, inside = now
        joint = move(belief, token)
        top = joint.sizes.max()
        mass = joint.at(top) @ process.readout
        probability = mass * power_of_two(top, mass.dtype)
        if evidence is not None:
            size = abs(belief.at(jnp.int32(0))) @ evidence[token]
            seen = zero_below_rounding(probability, size, len(process.readout)) != 0
        else:
            seen = mass > 0
        possible, defined = possible & seen, defined & inside
        # After an impossible token the belief before it stays, for a finite derivative, and the token is marked.
        mass = jnp.where(possible & defined, mass, 1)
        following = Scaled(joint.values / mass, jnp.maximum(joint.exponents - top, _LEAST))
        belief = jax.tree.map(lambda new, old: jnp.where(possible & defined, new, old), following, belief)
        logarithm = jnp.where(possible & defined, _logarithm(mass, top), -jnp.inf)
        return (belief, possible, defined), (belief, jnp.where(defined, logarithm, jnp.nan))

    start = scaled(process.initial)
    always = jnp.ones((), bool)
    in_range = jnp.clip(tokens, 0, process.vocab_size - 1)
    _, (beliefs, logarithms) = jax.lax.scan(step, (start, always, always), (in_range, inside))
    beliefs = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), start, beliefs)
    return ScaledBeliefs(beliefs, logarithms)


def _logarithm(value: Float[Array, ""], exponent: Int[Array, ""]) -> Float[Array, ""]:
    """ln(value 2^exponent), as the logarithm of one number if that is in range: a sum of two would round twice."""
    within = jnp.clip(exponent, -100, 100)
    return jnp.log(value * power_of_two(within, value.dtype)) + (exponent - within) * jnp.log(
        jnp.asarray(2, value.dtype)
    )


def filter_in_range(process: Linear, tokens: Int[Array, " time"]) -> Filtered:
    """`filter_scaled` in plain numbers, NaN where a belief is undefined."""
    beliefs, log_probabilities = filter_scaled(process, tokens)
    defined = jnp.append(True, jnp.isfinite(log_probabilities))
    return Filtered(jnp.where(defined[:, None], beliefs.at(jnp.int32(0)), jnp.nan), log_probabilities)


def filter_tangents(primals: tuple, tangents: tuple) -> Filtered:
    """The derivatives of any filter, from the scaled filter, whose derivatives are finite beside impossible tokens."""
    return jax.jvp(filter_in_range, primals, tangents)[1]


def rescued(process: Linear, tokens: Int[Array, " time"], plain: Filtered, lost: Bool[Array, ""]) -> Filtered:
    """The result of a plain filter, or of the scaled filter if an entry came near the end of the plain range.

    It is a loop of one pass or none: under vmap a `cond` computes both branches, a loop only what some row needs.
    """

    def rescue(state: tuple[Bool[Array, ""], Filtered]) -> tuple[Bool[Array, ""], Filtered]:
        needed, _ = state
        # `needed` is True here, but XLA does not know it: it moves code that does not depend on the loop before it.
        return jnp.zeros((), bool), filter_in_range(process, jnp.where(needed, tokens, 0))

    return jax.lax.while_loop(lambda state: state[0], rescue, (lost, plain))[1]


def may_have_lost(process: Linear, least: UInt[Array, ""]) -> Bool[Array, ""]:
    """Whether a product b_i T_ij may have been below the least normal number, and so 0, in a filtered sequence.

    The first lost product has a nonzero b_i below that number divided by the least entry of T. Twice that bound is
    safe.

    Args:
        process: gives T.
        least: `size_order` of the least entry of all beliefs.
    """
    safe = 2 * jnp.finfo(process.initial.dtype).tiny / _least_entry(process)
    return least < size_order(safe)


def _least_entry(process: Linear) -> Float[Array, ""]:
    """The least entry of T that is not 0, or a bound below it: a product of least entries."""
    least = lambda entries: jnp.where(entries != 0, abs(entries), 1).min()
    if isinstance(process, Process):
        return least(process.transitions)
    if isinstance(process, Switching):
        moves = 1 if process.moves is None else least(process.moves)
        return least(process.processes.transitions) * moves
    shares = jnp.stack([1 - process.eps, process.eps / process.vocab_size])
    return math.prod([least(factor.transitions) for factor in process.factors], start=least(shares))


def undefined_if_lost(filtered: Filtered) -> Filtered:
    """NaN from where a posterior may have been lost by an observer whose matrices are not known.

    The belief with an entry near the end of the range is still right, and so is the law after it.
    """
    low = least_entries(filtered) < size_order(end_of_range(filtered.beliefs.dtype))
    lost = jnp.cumsum(low) - low > 0
    beliefs = jnp.where(lost[:, None], jnp.nan, filtered.beliefs)
    return Filtered(beliefs, jnp.where(lost[:-1], jnp.nan, filtered.log_probabilities))


def least_entries(filtered: Filtered) -> UInt[Array, " time_plus_1"]:
    """`size_order` of the least entry of each belief."""
    return size_order(filtered.beliefs).min(1)


def end_of_range(dtype: jnp.dtype) -> Float[Array, ""]:
    """An entry below this number may become 0 at a token whose probability is above the rounding error."""
    return jnp.asarray(jnp.finfo(dtype).tiny / jnp.finfo(dtype).eps, dtype)
