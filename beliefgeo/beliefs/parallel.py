"""The filter in parallel over time: products of token matrices by an associative scan.

Row i of the product of a word's matrices is what an observer would believe who knew that the process began in state i,
times the probability of the word from there. A long product underflows, and its rows at different rates, so each row
is kept as numbers near 1 and an exponent of 2.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from beliefgeo.beliefs.filtering import Filtered, check_tokens
from beliefgeo.processes.process import ArrayLike, Observer, Process, contract, take

# The exponent of 0: below that of any word, and sums of three of them fit in an int32.
_ZERO = -(2**28)

# A matrix for each time, row i being rows[i] * 2^exponents[i]; the largest exponent is 0.
Scaled = tuple[Float[Array, "time state state"], Int[Array, "time state"]]


def filter_beliefs_parallel(process: Observer, tokens: ArrayLike) -> Filtered:
    """The result of `filter_beliefs`, by an associative scan: initial T^(x_1) ... T^(x_t) for all t at once.

    TIMING

    Args:
        process: what is observed; a `Process`, since its matrices are multiplied.
        tokens: `[time]` integers.

    Returns:
        beliefs `[time + 1, state]`, the first is `process.initial`; log-probabilities `[time]` in nats. From an
        impossible token on beliefs are NaN and log-probabilities -inf.

    Raises:
        TypeError: an observer without matrices.
        ValueError: a token outside the vocabulary (NaN where traced).

    >>> from beliefgeo.processes.classical import golden_mean
    >>> filter_beliefs_parallel(golden_mean(), [1, 0]).beliefs.round(4).tolist()
    [[0.6667, 0.3333], [0.0, 1.0], [1.0, 0.0]]
    """
    if not isinstance(process, Process):
        raise TypeError(
            f"filter_beliefs_parallel multiplies the matrices of a Process; got {type(process).__name__}: use "
            "filter_beliefs, which needs no matrices"
        )
    tokens = check_tokens(process, tokens)
    if tokens.ndim != 1:
        raise ValueError(f"tokens must be one sequence [time]; got shape {tokens.shape}: use jax.vmap for a batch")
    return _filter_parallel(process, tokens)


@eqx.filter_jit
def _filter_parallel(process: Process, tokens: Int[Array, " time"]) -> Filtered:
    beliefs = _beliefs(process, tokens)
    # Each token's probability from the belief before it: differences of ln P(word) would lose a digit a decade of time.
    before = jnp.concatenate([process.initial[None], beliefs])[:-1]
    probabilities = jax.vmap(take)(jax.vmap(process.predict)(before), tokens)
    impossible = jnp.cumsum(probabilities == 0) > 0  # and whatever follows it
    beliefs = jnp.where(impossible[:, None], jnp.nan, beliefs)
    logarithms = jnp.log(jnp.where(impossible, 1, probabilities))  # the gradient of ln 0 would be NaN
    return Filtered(jnp.concatenate([process.initial[None], beliefs]), jnp.where(impossible, -jnp.inf, logarithms))


def _beliefs(process: Process, tokens: Int[Array, " time"]) -> Float[Array, "time state"]:
    """The belief after each token; finite, and without meaning, after an impossible one."""
    matrices = jax.vmap(take, (None, 0))(process.transitions, tokens)
    scaled = _rescale(matrices, jnp.zeros(matrices.shape[:2], jnp.int32))
    rows, exponents = jax.lax.associative_scan(_multiply, scaled)
    initial = process.initial[None]
    joint = contract("ti,tij->tj", initial * _power(exponents - _size(initial, exponents)[:, None], initial), rows)
    mass = contract("ti,i->t", joint, process.readout)[:, None]
    return joint / jnp.where(mass == 0, 1, mass)


def _multiply(left: Scaled, right: Scaled) -> Scaled:
    """The product of two scaled matrices, (A 2^a)(B 2^b): row i of A weighs rows of B whose exponents differ."""
    (rows, exponents), (following, following_exponents) = left, right
    columns = following_exponents[:, None, :]
    size = _size(rows, columns)
    weights = rows * _power(columns - size[:, :, None], rows)
    return _rescale(contract("tij,tjk->tik", weights, following), exponents + size)


def _rescale(rows: Float[Array, "time state state"], exponents: Int[Array, "time state"]) -> Scaled:
    """The same matrices, each row's largest entry near 1 and the largest exponent 0 (a belief is a ratio)."""
    sizes = _size(rows, exponents[:, :, None])
    # A row of zeros is scaled like the least of the others: it must not hide them, and its derivative is not zero.
    zero = (rows == 0).all(2)
    sizes = jnp.where(zero, jnp.where(zero, -_ZERO, sizes).min(1, keepdims=True), sizes)
    largest = sizes.max(1, keepdims=True)
    return rows * _power(exponents - sizes, rows)[:, :, None], jnp.maximum(sizes - largest, _ZERO)


def _size(values: Float[Array, "*#batch #state"], exponents: Int[Array, "*#batch #state"]) -> Int[Array, "..."]:
    """The exponent of the largest of values * 2^exponents, whatever is in range where all are zero."""
    own = jnp.where(values == 0, _ZERO, jnp.frexp(jax.lax.stop_gradient(values))[1])
    return jnp.where((values == 0).all(-1), exponents.min(-1), (own + exponents).max(-1))


def _power(exponent: Int[Array, "*batch"], like: Float[Array, "..."]) -> Float[Array, "*batch"]:
    """2^exponent, finite: one beyond the range only ever multiplies a zero."""
    return jnp.exp2(jnp.minimum(exponent, jnp.finfo(like.dtype).maxexp - 1).astype(like.dtype))
