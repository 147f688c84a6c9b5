"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2409.11321, algorithm 3), as an optax part."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

_MOMENTUM, _SCALE, _BASIS, _EPS = 0.95, 0.95, 0.95, 1e-8


class SoapState(NamedTuple):
    """Moments of one matrix, and the bases in which they are taken."""

    first: Float[Array, "row column"]
    second: Float[Array, "row column"]
    rows: Float[Array, "row row"]
    columns: Float[Array, "column column"]
    row_basis: Float[Array, "row row"]
    column_basis: Float[Array, "column column"]
    steps: Int[Array, ""]


def scale_by_soap() -> optax.GradientTransformation:
    """Directions of SOAP for arrays that are matrices (see `as_matrix`); it is refreshed in every step.

    G is the gradient, and Q_L, Q_R are the eigenbases of the means of G G^T and G^T G: the direction is Q_L A Q_R^T,
    where A is Adam's direction for Q_L^T G Q_R. The bases follow by one step of orthogonal iteration.
    """
    return optax.GradientTransformation(lambda params: jax.tree.map(_start, params), _update)


def _update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
    leaves, structure = jax.tree.flatten(updates)
    found = [_one(*pair) for pair in zip(leaves, structure.flatten_up_to(state), strict=True)]
    return structure.unflatten([one for one, _ in found]), structure.unflatten([one for _, one in found])


def _start(param: Array) -> SoapState:
    matrix = jnp.zeros_like(as_matrix(param))
    rows, columns = (jnp.zeros((size, size), param.dtype) for size in matrix.shape)
    return SoapState(matrix, matrix, rows, columns, jnp.eye(len(rows)), jnp.eye(len(columns)), jnp.int32(0))


def _one(gradient: Array, state: SoapState) -> tuple[Array, SoapState]:
    matrix, steps = as_matrix(gradient), state.steps + 1
    mean = lambda old, new, rate: rate * old + (1 - rate) * new
    turn = lambda matrix: state.row_basis.T @ matrix @ state.column_basis
    first = mean(state.first, matrix, _MOMENTUM)
    second = mean(state.second, turn(matrix) ** 2, _SCALE)
    scale = jnp.sqrt(second / (1 - _SCALE**steps)) + _EPS
    direction = state.row_basis @ (turn(first) / (1 - _MOMENTUM**steps) / scale) @ state.column_basis.T
    rows, columns = mean(state.rows, matrix @ matrix.T, _BASIS), mean(state.columns, matrix.T @ matrix, _BASIS)
    row_basis, column_basis = jnp.linalg.qr(rows @ state.row_basis)[0], jnp.linalg.qr(columns @ state.column_basis)[0]
    state = SoapState(first, second, rows, columns, row_basis, column_basis, steps)
    return direction.reshape(gradient.shape), state


def as_matrix(param: Array) -> Float[Array, "row column"]:
    """A matrix as it is; maps into heads `[width, head, head width]` and out of heads `[head, head width, width]`."""
    return param.reshape(len(param), -1) if len(param) > param.shape[-1] else param.reshape(-1, param.shape[-1])
