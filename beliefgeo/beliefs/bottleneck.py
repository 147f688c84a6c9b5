"""The information bottleneck: the code of the past that tells most of the future for each nat of memory."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import entr, xlogy
from jaxtyping import Array, Float


class Code(NamedTuple):
    """A memory of the past: which code it keeps after each past, and what it then expects.

    Attributes:
        encoder: The probability of each code given the past.
        decoder: The law of the future given the code.
        rate: I[past; code], in nats.
        predictive: I[code; future], in nats.
    """

    encoder: Float[Array, "past code"]
    decoder: Float[Array, "code future"]
    rate: Float[Array, ""]
    predictive: Float[Array, ""]


def best_code(
    weights: Float[Array, " past"],
    laws: Float[Array, "past future"],
    trade_off: float | Float[Array, ""],
    *,
    codes: int = 24,
    iterations: int = 1000,
) -> Code:
    """Minimise I[past; C] - beta I[C; future] over codes C of the past. A kernel; use it in float64.

    The Blahut-Arimoto iteration p(c | past) ~ p(c) exp(-beta KL[P(future | past) || P(future | c)]) starts from codes
    that are the laws of pasts far from one another: each is the past with the largest weight x divergence from the
    codes before it. The start is a function of the laws alone, so equal laws get equal codes. It finds a local minimum;
    `word_rate_distortion` bounds what any code can do. Tishby, Pereira, Bialek physics/0004057.

    Args:
        weights: the probability of each past.
        laws: the law of the future after each past.
        trade_off: beta, what a nat about the future is worth in nats of memory.
        codes: the number of codes; where fewer are best, some become equal.
        iterations: the number of iterations.

    >>> past = jnp.array([2 / 3, 1 / 3]), jnp.array([[0.5, 0.5], [1.0, 0.0]])  # the golden mean's last token
    >>> code = best_code(*past, 100.0, codes=2)
    >>> round(float(code.rate), 3), round(float(code.predictive), 3)
    (0.637, 0.174)
    """
    mixed = 0.999 * laws[_apart(weights, laws, codes)] + 0.001 * (weights @ laws)[None]

    def iterate(_, memory):
        shares, decoder = memory
        encoder = jax.nn.softmax(jnp.log(shares)[None] - trade_off * divergences(laws, decoder), axis=1)
        return decoded(weights, laws, encoder)

    shares, decoder = jax.lax.fori_loop(0, iterations, iterate, (jnp.full(codes, 1 / codes, laws.dtype), mixed))
    encoder = jax.nn.softmax(jnp.log(shares)[None] - trade_off * divergences(laws, decoder), axis=1)
    return Code(encoder, decoded(weights, laws, encoder)[1], *informations(weights, laws, encoder))


def _apart(weights: Float[Array, " past"], laws: Float[Array, "past future"], count: int) -> Array:
    """The first past is the one furthest from the mean law; each further one is furthest from those before it."""
    # Not infinite where a law excludes a future: the order of pasts at infinity would be lost.
    far = lambda law: weights * divergences(laws, 0.999 * law[None] + 0.001 * (weights @ laws)[None])[:, 0]

    def add(nearest, _):
        chosen = jnp.argmax(nearest)
        return jnp.minimum(nearest, far(laws[chosen])), chosen

    first = jnp.argmax(far(weights @ laws))
    _, others = jax.lax.scan(add, far(laws[first]), length=count - 1)
    return jnp.concatenate([first[None], others])


def decoded(
    weights: Float[Array, " past"], laws: Float[Array, "past future"], encoder: Float[Array, "past code"]
) -> tuple[Float[Array, " code"], Float[Array, "code future"]]:
    """The probability of each code, and the mean law of the future given it (zeros for a code that is never used)."""
    shares = weights @ encoder
    joint = (weights[:, None] * encoder).T @ laws
    return shares, joint / jnp.where(shares > 0, shares, 1)[:, None]


def divergences(laws: Float[Array, "past future"], decoder: Float[Array, "code future"]) -> Float[Array, "past code"]:
    """KL[law of the past || law of the code]; infinite where the code excludes a future that the past allows."""
    excluded = laws @ (decoder <= 0).astype(laws.dtype).T > 0
    cross = -laws @ jnp.log(jnp.where(decoder > 0, decoder, 1)).T
    return jnp.where(excluded, jnp.inf, cross - entr(laws).sum(1)[:, None])


def informations(
    weights: Float[Array, " past"], laws: Float[Array, "past future"], encoder: Float[Array, "past code"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """I[past; code] and I[code; future]."""
    joint = weights[:, None] * encoder
    return mutual_information(joint), mutual_information(joint.T @ laws)


def mutual_information(joint: Float[Array, "row column"]) -> Float[Array, ""]:
    """The mutual information of the row and the column, in nats.

    >>> round(float(mutual_information(jnp.eye(2) / 2)), 4)
    0.6931
    """
    product = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    return jnp.sum(xlogy(joint, jnp.where(joint > 0, joint, 1) / jnp.where(joint > 0, product, 1)))
