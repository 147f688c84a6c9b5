"""Stationary laws: eigenvectors of the eigenvalue 1, with exact zeros at transient states and accurate small entries.

A linear solve is accurate to eps times the largest entry over the spectral gap: no digit is right for a chain of two
states that changes once in 10^6 tokens. Elimination without subtraction gives every entry to a few roundings.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.sparse.csgraph import connected_components


@jax.jit
def chain_law(moves: Float[Array, "state state"]) -> tuple[Float[Array, " state"], Int[Array, ""]]:
    """The stationary law of a chain, and its number of closed classes; if that number is not 1, the law is NaN.

    States are eliminated, the last first; each passes its moves on to the states before it (Grassmann, Taksar & Heyman
    1985). No number is ever subtracted. A state is the first of a closed class if it leads neither to a state before it
    nor to a closed class after it. A state that leads to it from outside is transient, with probability exactly 0.

    Args:
        moves: P(next_state | state); only the ratios of a row's entries off the diagonal count.

    >>> chain_law(jnp.array([[0.0, 1.0, 0.0], [0.0, 0.9, 0.1], [0.0, 0.3, 0.7]]))[0].round(4).tolist()
    [0.0, 0.75, 0.25]
    """
    number = jnp.arange(len(moves))

    def eliminate(carry, last):
        moves, lost = carry  # lost: the rate at which a state falls into a closed class that is eliminated
        before = jnp.where(number < last, moves[last], 0)
        out = before.sum() + lost[last]
        closed = out == 0
        into = jnp.where(number < last, moves[:, last], 0) / jnp.where(closed, 1, out)
        lost = lost + into * jnp.where(closed, 1, lost[last])
        return (moves + into[:, None] * before[None], lost), (into, closed)

    _, (into, closed) = jax.lax.scan(eliminate, (moves, jnp.zeros_like(moves[0])), number[::-1])

    def restore(law, one):
        state, into, closed = one
        law = law.at[state].set(closed + into @ law)
        total = law.sum()
        return law / jnp.where(total > 0, total, 1), None

    law, _ = jax.lax.scan(restore, jnp.zeros_like(moves[0]), (number, into[::-1], closed[::-1]))
    count = closed.sum()
    return jnp.where(count == 1, law, jnp.nan), count


def chain_law_float64(moves: Float[np.ndarray, "state state"]) -> tuple[Float[np.ndarray, " state"], int]:
    """`chain_law` of known numbers: the same elimination in NumPy, which need not be compiled for each size.

    >>> chain_law_float64(np.array([[0.0, 1.0, 0.0], [0.0, 0.9, 0.1], [0.0, 0.3, 0.7]]))[0].round(4).tolist()
    [0.0, 0.75, 0.25]
    """
    moves = np.array(moves, np.float64)
    closed, lost, law = np.zeros(len(moves), bool), np.zeros(len(moves)), np.zeros(len(moves))
    for last in range(len(moves) - 1, -1, -1):
        before, into = moves[last, :last], moves[:last, last]
        out = before.sum() + lost[last]
        closed[last] = out == 0
        into /= 1 if closed[last] else out
        lost[:last] += into * (1 if closed[last] else lost[last])
        moves[:last, :last] += into[:, None] * before
    if (count := int(closed.sum())) != 1:
        return np.full(len(moves), np.nan), count
    for state in range(closed.argmax(), len(moves)):  # states before the closed class are transient
        law[state] = closed[state] + moves[:state, state] @ law[:state]
        law /= law.sum()
    return law, count


def left_unit_vector(
    total: Float[np.ndarray, "state state"], rounding: float
) -> tuple[Float[np.ndarray, " state"], int]:
    """A vector v with v T = v and largest entry 1, of any signs; and the number of independent vectors of this kind.

    Singular values of T - I below the rounding of its entries, given in units of 1, count as 0. The support of v is the
    set of states reached from the strongly connected parts of T that have the eigenvalue 1; elsewhere v is exactly 0.
    """
    support = np.flatnonzero(_downstream(total != 0, _unit_parts(total)))
    part = total[np.ix_(support, support)]
    _, sizes, right = np.linalg.svd((part - np.eye(len(part))).T)
    vector = np.zeros(len(total))
    vector[support] = right[-1] / right[-1][abs(right[-1]).argmax()]
    return vector, max(1, int((sizes < 8 * len(total) * rounding).sum()))


def nearest_unit_vector(
    total: Float[np.ndarray, "state state"], near: Float[np.ndarray, " state"]
) -> Float[np.ndarray, " state"]:
    """The solution v of T v = v nearest to `near`, a solution within 1e-5: its projection on the solution space."""
    _, sizes, right = np.linalg.svd(total - np.eye(len(total)))
    null = right[sizes < max(1e-6, 2 * sizes[-1])]
    return null.T @ (null @ near)


def _unit_parts(total: np.ndarray) -> np.ndarray:
    """Which states lie in a strongly connected part whose block of T has the eigenvalue 1."""
    _, label = connected_components(total != 0, connection="strong")
    blocks = [np.flatnonzero(label == one) for one in range(label.max() + 1)]
    distance = np.array([abs(np.linalg.eigvals(total[np.ix_(block, block)]) - 1).min() for block in blocks])
    return (distance <= max(1e-5, distance.min()))[label]


def _downstream(edges: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The states that can be reached from the states of `start`, which are included."""
    reached = start
    while (more := reached | edges[reached].any(0)).sum() > reached.sum():
        reached = more
    return reached
