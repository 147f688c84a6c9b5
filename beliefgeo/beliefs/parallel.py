"""The filter in parallel over time, by products of token matrices, which may be grouped in any order.

Row i of the product of a word's matrices is the belief of an observer who knows that the process began in state i,
times the probability of the word from there. A long product underflows, and its rows do so at different rates. So each
row is kept as numbers near 1 and an exponent of 2.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import ArrayLike, contract, take
from beliefgeo.beliefs.scaled import Filtered, filter_tangents, may_have_lost, rescued
from beliefgeo.processes.given import check_tokens
from beliefgeo.processes.process import Observer, Process
from beliefgeo.processes.scalars import size_order

# The number of tokens in a block: a block multiplies them one after the other, and all blocks advance together.
_BLOCK = 64

# The exponent of 0: it is below that of any word, and the sum of three such exponents fits in an int32.
_ZERO = -(2**28)

# Matrices whose row i is rows[i] * 2^exponents[i]; the largest exponent is 0, because a belief is a ratio.
Scaled = tuple[Float[Array, "*batch state state"], Int[Array, "*batch state"]]


def filter_beliefs_parallel(process: Observer, tokens: ArrayLike) -> Filtered:
    """The result of `filter_beliefs`; all blocks of 64 tokens advance together, in 64 + log2(time / 64) steps.

    This filter is for long sequences on accelerators, where each step costs a launch. It multiplies matrices,
    O(time S^3), where the serial filter moves one belief, O(time S^2). Measured on 2 CPU cores in float32, 100 to 1e6
    tokens (`experiments/benchmarks/theory.py`): the serial filter is 4 to 7 times faster for batches of 64 and, from
    1000 tokens of `mess3` on, 2 to 10 times faster for one sequence. The parallel filter is 3 to 5 times faster for one
    sequence of at least 1000 tokens of `bloch_walk`, whose serial step does not compile to one kernel unless the
    process is a constant; if it is, the serial filter is 6 to 8 times faster. Derivatives come from the serial filter,
    token by token; so does the result if a posterior comes near the end of the range of its precision.

    Args:
        process: the process that is observed; it must be a `Process`, because its matrices are multiplied.
        tokens: `[time]` integers.

    Returns:
        beliefs `[time + 1, state]`, of which the first is `process.initial`; log-probabilities `[time]` in nats. From
        an impossible token on, beliefs are NaN and log-probabilities -inf.

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
    return _filter(process, tokens)


@jax.custom_jvp
def _filter(process: Process, tokens: Int[Array, " time"]) -> Filtered:
    plain = _filter_plainly(process, tokens)
    return rescued(process, tokens, plain, may_have_lost(process, size_order(plain.beliefs).min()))


@_filter.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Filtered, Filtered]:
    return _filter(*primals), filter_tangents(primals, tangents)


def _filter_plainly(process: Process, tokens: Int[Array, " time"]) -> Filtered:
    beliefs = _beliefs(process, tokens)
    # Each token's probability is from the belief before it: differences of ln P(word) lose a digit a decade of time.
    before = jnp.concatenate([process.initial[None], beliefs])[:-1]
    probabilities = jax.vmap(take)(jax.vmap(process.predict)(before), tokens)
    impossible = jnp.cumsum(probabilities == 0) > 0  # and all tokens after it
    beliefs = jnp.where(impossible[:, None], jnp.nan, beliefs)
    logarithms = jnp.log(jnp.where(impossible, 1, probabilities))  # the gradient of ln 0 would be NaN
    return Filtered(jnp.concatenate([process.initial[None], beliefs]), jnp.where(impossible, -jnp.inf, logarithms))


def _beliefs(process: Process, tokens: Int[Array, " time"]) -> Float[Array, "time state"]:
    """The belief after each token; after an impossible token it is finite, but has no meaning.

    The scan goes token by token within blocks, then over blocks by doubling. `jax.lax.associative_scan` over all tokens
    forms twice as many products and, unrolled into a level per doubling, takes six to nine times as long to compile.
    """
    n_blocks = max(1, -(-len(tokens) // _BLOCK))
    matrices = jax.vmap(take, (None, 0))(process.transitions, tokens)
    identity = jnp.eye(process.n_states, dtype=matrices.dtype)
    padding = jnp.broadcast_to(identity, (n_blocks * _BLOCK - len(tokens), *identity.shape))
    blocks = jnp.concatenate([matrices, padding]).reshape(n_blocks, _BLOCK, *identity.shape).swapaxes(0, 1)
    none = _unscaled(jnp.broadcast_to(identity, blocks.shape[1:]))

    def read(product: Scaled, token_matrices: Float[Array, "block state state"]):
        product = _multiply(product, _unscaled(token_matrices))
        return product, product

    whole, within = jax.lax.scan(read, none, blocks)
    starts = _advance(process, process.initial[None], _before(whole, none))
    return _advance(process, starts[None], within).swapaxes(0, 1).reshape(-1, process.n_states)[: len(tokens)]


def _before(blocks: Scaled, none: Scaled) -> Scaled:
    """The product of all blocks before each block, by doubling: products of 1, 2, 4, ... blocks."""
    n_blocks = len(blocks[0])
    place = jnp.arange(n_blocks)

    def delayed(products: Scaled, lag: Int[Array, ""]) -> Scaled:
        from_lag = lambda values, first: jnp.where((place < lag).reshape(-1, *[1] * (first.ndim - 1)), first, values)
        return jax.tree.map(lambda values, first: from_lag(jnp.roll(values, lag, 0), first), products, none)

    double = lambda products, lag: (_multiply(delayed(products, lag), products), None)
    lags = 2 ** jnp.arange((n_blocks - 1).bit_length())
    return delayed(jax.lax.scan(double, blocks, lags)[0], jnp.int32(1))


def _advance(process: Process, beliefs: Float[Array, "*#batch state"], words: Scaled) -> Float[Array, "*batch state"]:
    """The belief after each word, belief @ matrix / (belief @ matrix @ readout)."""
    rows, exponents = words
    weights = beliefs * _power(exponents - _size(beliefs, exponents)[..., None], rows)
    joint = contract("...i,...ij->...j", weights, rows)
    mass = contract("...i,i->...", joint, process.readout)[..., None]
    return joint / jnp.where(mass == 0, 1, mass)


def _unscaled(matrices: Float[Array, "*batch state state"]) -> Scaled:
    return matrices, jnp.zeros(matrices.shape[:-1], jnp.int32)


def _multiply(left: Scaled, right: Scaled) -> Scaled:
    """The product of matrices A 2^a and B 2^b: row i of A weighs rows of B whose exponents differ."""
    (rows, exponents), (following, following_exponents) = left, right
    columns = following_exponents[..., None, :]
    size = _size(rows, columns)
    weights = rows * _power(columns - size[..., None], rows)
    return _rescale(contract("...ij,...jk->...ik", weights, following), exponents + size)


def _rescale(rows: Float[Array, "*batch state state"], exponents: Int[Array, "*batch state"]) -> Scaled:
    """The same matrices, with the largest entry of each row near 1."""
    sizes = _size(rows, exponents[..., None])
    # A row of zeros is scaled like the least of the other rows: it must not hide them, and its derivative is not zero.
    zero = (rows == 0).all(-1)
    sizes = jnp.where(zero, jnp.where(zero, -_ZERO, sizes).min(-1, keepdims=True), sizes)
    largest = sizes.max(-1, keepdims=True)
    return rows * _power(exponents - sizes, rows)[..., None], jnp.maximum(sizes - largest, _ZERO)


def _size(values: Float[Array, "*#batch #state"], exponents: Int[Array, "*#batch #state"]) -> Int[Array, "..."]:
    """The exponent of the largest of values * 2^exponents; any exponent in range if all are zero."""
    own = jnp.where(values == 0, _ZERO, jnp.frexp(jax.lax.stop_gradient(values))[1])
    return jnp.where((values == 0).all(-1), exponents.min(-1), (own + exponents).max(-1))


def _power(exponent: Int[Array, "*batch"], like: Float[Array, "..."]) -> Float[Array, "*batch"]:
    """2^exponent, kept finite: an exponent beyond the range only ever multiplies a zero."""
    return jnp.exp2(jnp.minimum(exponent, jnp.finfo(like.dtype).maxexp - 1).astype(like.dtype))
