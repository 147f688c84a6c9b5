"""Three small sticky processes whose beliefs tell more than the next-token law, and are infinitely many.

In Mess3 the belief is an affine image of the next-token law: a probe that finds the belief may have found the
prediction. RRXOR has beliefs beyond the law, but only 36. In these three the map from belief to law has a kernel of one
dimension, and the beliefs form a fractal. A state stays with probability `alpha`, and moves to each other state with
probability (1 - alpha) / (states - 1); the stationary law is uniform.

Source: Balcells, Lee, Rastogi, Riechers, Shai, Poncini 2026 (2609.17376), the families Arch, Wing and Strata.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from beliefgeo.arrays import Number, as_floats, require_between
from beliefgeo.processes.construct import hmm
from beliefgeo.processes.process import Process


def arch(alpha: Number) -> Process:
    """Four states, three tokens; the paper has alpha from .90 to .99.

    >>> arch(0.97).transitions.sum(0).round(2).tolist()[0]
    [0.97, 0.01, 0.01, 0.01]
    """
    alpha = require_between("arch", "alpha", alpha, 0, 1)
    return hmm(_arch(alpha), jnp.full(4, 1 / 4))


@jax.jit
def _arch(alpha: Number) -> Array:
    stay, leave = _moves(alpha, 4)
    on = stay * jnp.diag(jnp.array([0.8, 0.2, 0.4, 0.6]))
    off = jnp.zeros((4, 4)).at[1, 1].set(0.4 * stay).at[1, 3].set(0.4 * leave)
    off = off.at[2, 2].set(0.3 * stay).at[3, 3].set(0.16 * stay)
    return jnp.stack([on, off, _chain(stay, leave, 4) - on - off])


def wing(alpha: Number, x: Number = 0.4) -> Process:
    """Three states, two tokens; x is the share of the first token while state 1 stays.

    >>> wing(0.98).transitions[0].round(3).tolist()
    [[0.0, 0.01, 0.0], [0.0, 0.392, 0.005], [0.01, 0.0, 0.0]]
    """
    alpha = require_between("wing", "alpha", alpha, 0, 1)
    x = require_between("wing", "x", x, 0, 1)
    return hmm(_wing(alpha, x), jnp.full(3, 1 / 3))


@jax.jit
def _wing(alpha: Number, x: Number) -> Array:
    stay, leave = _moves(alpha, 3)
    first = jnp.zeros((3, 3)).at[0, 1].set(leave).at[1, 1].set(x * stay).at[1, 2].set(leave / 2).at[2, 0].set(leave)
    return jnp.stack([first, _chain(stay, leave, 3) - first])


def strata(alpha: Number, t0: Number = 0.38, t1: Number = 0.54) -> Process:
    """Three states, two tokens; t0 and t1 are the shares of the first token while states 0 and 1 stay.

    >>> strata(0.98).transitions.sum((0, 2)).round(4).tolist()
    [1.0, 1.0, 1.0]
    """
    for name, value in (("alpha", alpha), ("t0", t0), ("t1", t1)):
        require_between("strata", name, value, 0, 1)
    return hmm(_strata(alpha, t0, t1), jnp.full(3, 1 / 3))


@jax.jit
def _strata(alpha: Number, t0: Number, t1: Number) -> Array:
    stay, leave = _moves(alpha, 3)
    first = jnp.diag(jnp.stack([t0 * stay, t1 * stay, jnp.zeros_like(stay)]))
    return jnp.stack([first, _chain(stay, leave, 3) - first])


def _moves(alpha: Number, n_states: int) -> tuple[Array, Array]:
    stay = as_floats(alpha)
    return stay, (1 - stay) / (n_states - 1)


@partial(jax.jit, static_argnums=2)
def _chain(stay: Array, leave: Array, n_states: int) -> Array:
    return jnp.where(jnp.eye(n_states, dtype=bool), stay, leave)
