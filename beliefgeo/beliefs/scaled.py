"""The filter in unbounded range: each entry of the belief is a number near 1 with an exponent of 2 of its own.

A posterior may fall to 1e-400 and rise again; float32 ends at 1e-38, and a dropped entry does not come back. With the
belief v 2^e and T^(token) = m 2^x, entry j of the next belief is sum_i v_i m_ij 2^(e_i + x_ij). The largest exponent is
taken out of this sum, so that nothing that counts is lost. This filter is several times slower than the plain filter.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt

from beliefgeo.arrays import contract
from beliefgeo.processes.process import Process, zero_below_rounding
from beliefgeo.processes.scalars import size_order

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
    terms = Scaled(belief.values[:, None] * matrix.values, exponents)
    counting = terms.sizes.max(0)
    largest = jnp.where(counting == _LEAST, exponents.max(0), counting)
    return scaled(terms.at(largest[None]).sum(0), largest)


def filter_scaled(process: Process, tokens: Int[Array, " time"]) -> ScaledBeliefs:
    """`filter_beliefs` of one sequence in any range; derivatives are finite wherever the result is finite.

    Log-probabilities are -inf from an impossible token on, and NaN from a token outside the vocabulary on.
    """
    matrices = scaled(process.transitions)
    evidence = contract("xij,j->xi", abs(process.transitions), abs(process.readout))
    inside = (tokens >= 0) & (tokens < process.vocab_size)

    def step(carry: tuple[Scaled, Bool[Array, ""], Bool[Array, ""]], now: tuple[Array, Array]):
        belief, possible, defined = carry
        token, inside = now
        joint = moved(belief, jax.tree.map(lambda leaf: leaf[token], matrices))
        top = joint.sizes.max()
        mass = joint.at(top) @ process.readout
        probability = mass * power_of_two(top, mass.dtype)
        if process.generalised:
            size = abs(belief.at(jnp.int32(0))) @ evidence[token]
            seen = zero_below_rounding(probability, size, process.n_states) != 0
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


def filter_in_range(process: Process, tokens: Int[Array, " time"]) -> Filtered:
    """`filter_scaled` in plain numbers, NaN where a belief is undefined."""
    beliefs, log_probabilities = filter_scaled(process, tokens)
    defined = jnp.append(True, jnp.isfinite(log_probabilities))
    return Filtered(jnp.where(defined[:, None], beliefs.at(jnp.int32(0)), jnp.nan), log_probabilities)


def filter_tangents(primals: tuple, tangents: tuple) -> Filtered:
    """The derivatives of any filter, from the scaled filter, whose derivatives are finite beside impossible tokens."""
    return jax.jvp(filter_in_range, primals, tangents)[1]


def rescued(process: Process, tokens: Int[Array, " time"], plain: Filtered, lost: Bool[Array, ""]) -> Filtered:
    """The result of a plain filter, or of the scaled filter if an entry came near the end of the plain range.

    It is a loop of one pass or none: under vmap a `cond` computes both branches, a loop only what some row needs.
    """

    def rescue(state: tuple[Bool[Array, ""], Filtered]) -> tuple[Bool[Array, ""], Filtered]:
        needed, _ = state
        # `needed` is True here, but XLA does not know it: it moves code that does not depend on the loop before it.
        return jnp.zeros((), bool), filter_in_range(process, jnp.where(needed, tokens, 0))

    return jax.lax.while_loop(lambda state: state[0], rescue, (lost, plain))[1]


def may_have_lost(process: Process, least: UInt[Array, ""]) -> Bool[Array, ""]:
    """Whether a product b_i T_ij may have been below the least normal number, and so 0, in a filtered sequence.

    The first lost product has a nonzero b_i below that number divided by the least entry of T. Twice that bound is
    safe.

    Args:
        process: gives T.
        least: `size_order` of the least entry of all beliefs.
    """
    entries = abs(process.transitions)
    safe = 2 * jnp.finfo(entries.dtype).tiny / jnp.where(entries > 0, entries, 1).min()
    return least < size_order(safe)
