"""Predictive rate-distortion: how much of the future the best memory of a given size can tell."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from beliefgeo.arrays import ArrayLike
from beliefgeo.beliefs.bottleneck import decoded, divergences, informations
from beliefgeo.beliefs.causal_states import epsilon_machine_float64
from beliefgeo.beliefs.trees import levels
from beliefgeo.processes.float64 import process_of
from beliefgeo.processes.process import Process

_ITERATIONS = 2000
_BLURS = (0.01, 0.1, 0.5, 0.9)


class RateDistortion(NamedTuple):
    """For each trade-off: the memory of the past and what it tells of the future, in nats, and the codebook.

    Attributes:
        trade_offs: beta, what a nat about the future is worth in nats of memory.
        rates: The memory kept of the past, in nats.
        predictive: What it tells of the future, in nats.
        encoders: The probability of each code given the state.
    """

    trade_offs: Float[np.ndarray, " trade"]
    rates: Float[np.ndarray, " trade"]
    predictive: Float[np.ndarray, " trade"]
    encoders: Float[np.ndarray, "trade state code"]


def predictive_rate_distortion(process: Process, trade_offs: ArrayLike, *, future_length: int = 5) -> RateDistortion:
    """The causal information bottleneck: minimise I[R; S] - beta I[R; future] over memories R of the causal state S.

    At beta -> infinity R is the causal state, with rate C_mu and I[S; X_1..X_L] (the excess entropy as L grows); every
    network with less memory than C_mu lies below the curve. The Blahut-Arimoto iteration, p(r | s) ~ p(r) exp(-beta
    KL[P(future | s) || P(future | r)]), starts from one code per state, with more or less blur; the best result is
    kept. Marzen & Crutchfield 1412.2859; Still, Crutchfield & Ellison 0708.1580.

    Args:
        process: a process of finitely many causal states.
        trade_offs: beta, `[trade]`, positive.
        future_length: the number of tokens of the future, L.

    Raises:
        ValueError: a trade-off that is not positive and finite; no token of the future; infinitely many causal states.

    >>> from beliefgeo.processes.classical import even
    >>> curve = predictive_rate_distortion(even(), [0.5, 100.0])
    >>> curve.rates.round(3).tolist()
    [0.0, 0.637]
    """
    betas = np.asarray(trade_offs, np.float64)
    if betas.ndim != 1 or not ((betas > 0) & (betas < np.inf)).all():
        raise ValueError(f"trade_offs must be positive numbers [trade]; got {trade_offs}")
    if future_length < 1:
        raise ValueError(f"future_length must be at least 1 token; got {future_length}")
    try:
        machine = process_of(epsilon_machine_float64(process))
    except ValueError as error:
        raise ValueError(
            "predictive_rate_distortion needs finitely many causal states; for other processes use "
            f"word_rate_distortion, whose past is a word of a few tokens ({error})"
        ) from error
    with jax.enable_x64(True):
        futures = jnp.stack([_future_law(machine, state, future_length) for state in np.eye(machine.n_states)])
        encoders, rates, predictive = _best_codes(machine.initial, futures, jnp.asarray(betas))
    return RateDistortion(betas, np.asarray(rates), np.asarray(predictive), np.asarray(encoders))


def _future_law(machine: Process, state: np.ndarray, length: int) -> Float[Array, " word"]:
    return levels(Process(machine.transitions, jnp.asarray(state), machine.readout, False), length)[-1][1]


@jax.jit
def _best_codes(
    weights: Float[Array, " state"], futures: Float[Array, "state word"], betas: Float[Array, " trade"]
) -> tuple[Array, Array, Array]:
    """The encoder of the lowest Lagrangian for each trade-off, its rate, and its predictive information."""
    n_states = len(weights)

    def iterate(encoder, beta):
        code, decoder = decoded(weights, futures, encoder)
        return jax.nn.softmax(jnp.log(code)[None, :] - beta * divergences(futures, decoder), axis=1)

    def settle(blur, beta):
        # A zero of an encoder stays zero, so no start has zeros.
        start = (1 - blur) * jnp.eye(n_states) + blur / n_states
        encoder = jax.lax.fori_loop(0, _ITERATIONS, lambda _, e: iterate(e, beta), start)
        return (encoder, *informations(weights, futures, encoder))

    def best(beta):
        encoders, rates, predictive = jax.vmap(settle, (0, None))(jnp.array(_BLURS), beta)
        kept = jnp.argmin(rates - beta * predictive)
        return encoders[kept], rates[kept], predictive[kept]

    return jax.vmap(best)(betas)
