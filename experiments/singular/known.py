"""Losses whose learning coefficient is known, and its exact value at a finite temperature."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import langevin
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from beliefgeo.reading import Seeds

GAMMA = 1.0
# The sampler is trusted if the mean of its chains is within this share of the exact value. In a pilot the standard
# errors of the means were below a hundredth.
TOLERANCE = 0.05


class Known(NamedTuple):
    """A loss with its learning coefficient.

    Attributes:
        loss: Its minimum is 0, at 0.
        around: Where chains are held, and the curvatures that they are told.
        nbeta: The inverse temperature.
        step: The size of their steps.
        limit: The learning coefficient: the value as n beta grows.
        exact: The value at this temperature.
    """

    loss: langevin.Loss
    around: langevin.Around
    nbeta: float
    step: float
    limit: float
    exact: float


def quadratic() -> Known:
    """Six directions of ten are curved, by .01 to 100: 6/2. Chains are told the curvatures."""
    curvatures, nbeta = np.geomspace(0.01, 100, 6), 1e4
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(10, 10)))[0][:6]
    directions, curved = jnp.asarray(turned, jnp.float32), jnp.asarray(curvatures, jnp.float32)
    loss = lambda w: curved @ (directions @ w) ** 2 / 2
    held = nbeta * curvatures
    exact = float((held / (held + GAMMA)).sum() / 2)
    return Known(loss, langevin.Around(jnp.zeros(10), directions, curved), nbeta, 0.1, 3.0, exact)


def fourth_power() -> Known:
    """w^4: 1/4."""
    grid, nbeta = np.linspace(-3, 3, 20_001), 1e4
    return Known(lambda w: w[0] ** 4, flat(1), nbeta, 0.0003, 0.25, at_temperature(grid**4, grid**2, nbeta))


def product() -> Known:
    """u^2 v^2: 1/2 with multiplicity 2, which is reached as slowly as 1 / log(n beta)."""
    line, nbeta = np.linspace(-6, 6, 2401), 100.0
    u, v = line[:, None], line[None]
    exact = at_temperature((u * v) ** 2, u**2 + v**2, nbeta)
    return Known(lambda w: (w[0] * w[1]) ** 2, flat(2), nbeta, 0.003, 0.5, exact)


CASES = {"six of ten directions": quadratic, "w^4": fourth_power, "u^2 v^2": product}


def flat(size: int) -> langevin.Around:
    """At 0, without curvatures: chains take plain steps."""
    return langevin.Around(jnp.zeros(size), jnp.zeros((1, size)), jnp.zeros(1))


def at_temperature(loss: np.ndarray, square: np.ndarray, nbeta: float) -> float:
    """n beta times the mean loss under exp(-n beta loss - gamma square / 2), by a sum over a grid."""
    density = np.exp(-nbeta * loss - GAMMA / 2 * square)
    return float(nbeta * (density * loss).sum() / density.sum())


def check(key: PRNGKeyArray, case: Known, *, chains: int = 64, draws: int = 10_000) -> dict:
    """What chains find, one by one, beside the exact value."""
    keys = jax.random.split(key, chains)
    options = {"step": case.step, "burn": draws // 10, "draws": draws}
    found = _chains(keys, case.loss, case.around, case.nbeta, **options)
    sampled = Seeds(np.asarray(found, np.float64))
    error = abs(float(sampled.mean) / case.exact - 1)
    return {"limit": case.limit, "exact": case.exact, "sampled": sampled, "error": error, "right": error < TOLERANCE}


@partial(jax.jit, static_argnames=("loss", "burn", "draws"))
def _chains(
    keys: Array, loss: langevin.Loss, around: langevin.Around, nbeta: float, *, step: float, burn: int, draws: int
) -> Float[Array, " chain"]:
    options = {"step": step, "burn": burn, "draws": draws}
    return jax.vmap(lambda key: langevin.sample(key, loss, around, nbeta, GAMMA, **options).coefficient)(keys)
