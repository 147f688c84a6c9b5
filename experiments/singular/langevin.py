"""Langevin sampling of exp(-n beta L(w) - gamma |w - w*|^2 / 2), and the learning coefficient that it estimates.

This is SGLD (Welling & Teh 2011) whose gradient has no noise, as the loss is exact; so its steps can be accepted or
rejected as Metropolis does, and no bias of the step size is left.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

Loss = Callable[[Float[Array, " parameter"]], Float[Array, ""]]


class Around(NamedTuple):
    """Where the chain is held, and the curvature of the loss there, which sets the size of its steps.

    Attributes:
        centre: w*.
        directions: Orthonormal directions; rows may be 0.
        curvatures: The second derivative of the loss along each. Elsewhere it is taken as 0.
    """

    centre: Float[Array, " parameter"]
    directions: Float[Array, "direction parameter"]
    curvatures: Float[Array, " direction"]


class Chain(NamedTuple):
    """What a chain found.

    Attributes:
        coefficient: n beta (mean loss - loss at w*), the local learning coefficient at this temperature.
        halves: The same from the first and from the second half of the draws.
        acceptance: The mean probability that Metropolis accepts a step.
        distance: The mean distance from w*.
    """

    coefficient: Float[Array, ""]
    halves: Float[Array, "2"]
    acceptance: Float[Array, ""]
    distance: Float[Array, ""]


def sample(
    key: PRNGKeyArray,
    loss: Loss,
    around: Around,
    nbeta: Float[Array, ""] | float,
    gamma: Float[Array, ""] | float,
    *,
    step: Float[Array, ""] | float,
    burn: int,
    draws: int,
    corrected: Bool[Array, ""] | bool = True,
) -> Chain:
    """A chain from w*, by z' = z - step/2 grad U(z) + sqrt(step) noise, where w = w* + C z.

    U = n beta (L(w) - L(w*)) + gamma |w - w*|^2 / 2.
    C = (n beta F + gamma)^(-1/2) for the given curvatures F: where the loss is quadratic and F its curvature, all
    directions mix within some 1 / step steps. Without curvatures this is plain SGLD, of step size step / gamma.
    A chain that meets losses which are far from quadratic may diverge: it is NaN.

    Args:
        key: draws the noise.
        loss: the loss of flat parameters.
        around: where, and which curvatures.
        nbeta: the inverse temperature.
        gamma: how strongly the chain is held at w*.
        step: the size of a step in z; 2 is the largest at which a quadratic loss is stable without correction.
        burn: the number of steps before the first draw; they are never rejected: at w* itself most would be.
        draws: the number of steps that count.
        corrected: whether steps are rejected as Metropolis does; else they are only judged.
    """
    scales = (nbeta * around.curvatures + gamma) ** -0.5 - gamma**-0.5
    colour = lambda z: z * gamma**-0.5 + (scales * (around.directions @ z)) @ around.directions
    lowest = loss(around.centre)

    def potential(z: Array) -> tuple[Array, Array]:
        shift = colour(z)
        excess = nbeta * (loss(around.centre + shift) - lowest)
        return excess + gamma / 2 * shift @ shift, excess

    evaluate = jax.value_and_grad(potential, has_aux=True)

    def advance(state: tuple, numbered: tuple) -> tuple[tuple, tuple]:
        (z, (value, excess), slope), (key, judged) = state, numbered
        noise = jax.random.normal(key, z.shape)
        moved = z - step / 2 * slope + step**0.5 * noise
        (new_value, new_excess), new_slope = evaluate(moved)
        back = step**0.5 / 2 * (slope + new_slope) - noise
        chance = jnp.exp(jnp.minimum(0, value - new_value + (noise @ noise - back @ back) / 2))
        taken = ~judged | (jax.random.uniform(jax.random.fold_in(key, 0)) < chance)
        new = (moved, (new_value, new_excess), new_slope)
        kept = jax.tree.map(lambda new, old: jnp.where(taken, new, old), new, (z, (value, excess), slope))
        return kept, (kept[1][1], chance, jnp.linalg.norm(colour(kept[0])))

    start = jnp.zeros_like(around.centre)
    first = (start, *evaluate(start))
    judged = (jnp.arange(burn + draws) >= burn) & corrected
    _, (excess, chance, distance) = jax.lax.scan(advance, first, (jax.random.split(key, burn + draws), judged))
    drawn = excess[burn:]
    halves = jnp.stack([drawn[: draws // 2].mean(), drawn[draws // 2 :].mean()])
    return Chain(drawn.mean(), halves, chance[burn:].mean(), distance[burn:].mean())
