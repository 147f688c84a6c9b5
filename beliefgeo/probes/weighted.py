"""Weighted rows: every analysis takes them through this module, which also says when their scatter is only rounding.

Callers may pass integers, half precision, and weights at any scale. Inside, rows are float32 at least, and the largest
weight is about 1. Numbers are known up to rounding: a column that scatters by no more than rounding is constant, and
nothing is ever divided by its scatter.
"""

from collections.abc import Mapping
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Num

from beliefgeo.arrays import ArrayLike, as_floats, concrete, contract, is_traced

# Root-mean-square rounding of a column, in units of eps times its size. A number that is typed is off by eps / 2 at
# most, a computed number by a few times that.
_ROUNDING = 2

Numbers = TypeVar("Numbers", Array, np.ndarray)


def as_reals(name: str, values: ArrayLike) -> Array:
    """A real array of at least float32, so that sums of squares and sums of a thousand shares keep their digits.

    Raises:
        ValueError: complex numbers.
    """
    if isinstance(values, np.ndarray | np.generic) and values.dtype.kind in "iu":
        values = np.asarray(values, np.float64)  # as int32 2^32 + 1 would be 1
    array = as_floats(values)
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise ValueError(f"{name} must be real; got {array.dtype}: give real and imaginary parts as columns")
    return array


def as_ranks(labels: ArrayLike) -> Array:
    """Labels of groups, known ones numbered in their order: a cast of wide labels would make two groups into one.

    >>> as_ranks(np.array([2**32, 0, 2**32])).tolist()
    [1, 0, 1]
    """
    if is_traced(labels):
        return jnp.asarray(labels)
    labels = np.asarray(labels)
    return jnp.asarray(np.unique(labels, return_inverse=True)[1].reshape(labels.shape), jnp.int32)


def weighted_rows(columns: Mapping[str, ArrayLike], weights: ArrayLike | None) -> tuple[Array, ...]:
    """Arrays `[row, column]` of the same rows, in one dtype of at least float32, and, last, the weights of the rows.

    Rows of no weight count for nothing, whatever they hold: they become zeros.

    Args:
        columns: arrays by name and axes, such as "features [row, feature]".
        weights: `[row]`; default equal.

    Raises:
        ValueError: other than two axes, no rows, arrays of different rows, NaN in a row of positive weight; see
            `check_weights`.

    >>> [array.tolist() for array in weighted_rows({"features [row, feature]": [[1], [float("nan")]]}, [4, 0])]
    [[[1.0], [0.0]], [0.5, 0.0]]
    """
    arrays = {name: as_reals(name.split()[0], values) for name, values in columns.items()}
    _check_shapes(arrays, weights)
    n_rows, dtype = len(next(iter(arrays.values()))), jnp.result_type(*arrays.values())
    shares = jnp.asarray(check_weights(weights, n_rows), dtype)
    counted = None if weights is None else shares > 0
    return *(_finite(name.split()[0], array.astype(dtype), counted) for name, array in arrays.items()), shares


def check_weights(weights: ArrayLike | None, n_rows: int) -> Float[Array | np.ndarray, " row"]:
    """Weights `[row]` at a scale where the largest is about 1, in float64 unless traced; default 1 each.

    A traced weight below 0 becomes NaN.

    All weights are checked here. They are scaled before any cast: probabilities of long words vanish in float32.

    Raises:
        ValueError: another number of weights than rows, NaN, a negative weight, or no positive weight.

    >>> (check_weights([2e-60, 1e-60], 2) / check_weights([2e-60, 1e-60], 2).sum()).round(4).tolist()
    [0.6667, 0.3333]
    """
    if weights is None:
        return np.ones(n_rows)
    if (shape := _shape(weights)) != (n_rows,):
        raise ValueError(f"weights must be [row], one for each of {n_rows} rows; got shape {shape}")
    if (values := concrete(weights)) is None:
        shares = as_reals("weights", weights)
        return jnp.where(shares >= 0, shares / power_of_two(shares.max()), jnp.nan)
    if not np.isfinite(values).all():
        raise ValueError(f"weights must be finite; got {(~np.isfinite(values)).sum()} NaN or infinite entries")
    if not (values >= 0).all() or not (values > 0).any():
        raise ValueError(
            f"weights must be nonnegative and not all zero; got a least weight of {values.min(initial=np.inf):g}"
        )
    return np.ldexp(values, -np.frexp(values.max())[1])  # by a power of two, which rounds nothing


def _check_shapes(arrays: Mapping[str, Array], weights: ArrayLike | None) -> None:
    for name, array in arrays.items():
        if array.ndim != 2:
            fix = f": pass {name.split()[0]}[:, None] for one column" if array.ndim == 1 else ""
            raise ValueError(f"{name} must have 2 axes; got {array.ndim}, shape {array.shape}{fix}")
    counts = [len(array) for array in arrays.values()]
    shares = (counts[0],) if weights is None else _shape(weights)
    if {*counts} != {*shares} or not counts[0]:
        names, shapes = [*arrays, "weights [row]"], [*(array.shape for array in arrays.values()), shares]
        raise ValueError(
            f"{', '.join(names[:-1])} and {names[-1]} must have the same rows{', one or more' * (0 in counts)}; got "
            f"shapes {', '.join(map(str, shapes[:-1]))} and {shapes[-1]}"
        )


def _shape(values: ArrayLike) -> tuple[int, ...]:
    return jnp.asarray(values).shape if is_traced(values) else np.shape(values)  # pyright: ignore[reportArgumentType]


def _finite(name: str, array: Float[Array, "row column"], counted: Bool[Array, " row"] | None) -> Array:
    """The array with zeros in the rows that do not count; raises for NaN in a row that counts."""
    if is_traced(array) or is_traced(counted):
        return array if counted is None else jnp.where(counted[:, None], array, 0)
    finite = np.isfinite(np.asarray(array))
    if finite.all():
        return array
    wrong = ~finite if counted is None else ~finite & np.asarray(counted)[:, None]
    if wrong.any():
        raise ValueError(f"{name} must be finite; got {wrong.sum()} NaN or infinite entries")
    return jnp.where(counted[:, None], array, 0)  # pyright: ignore[reportOptionalSubscript]


def only_rounding(spread: Num[Numbers, "..."], size: Num[Numbers, "..."], precision: object = None) -> Numbers:
    """Whether a root-mean-square deviation is no more than the rounding of numbers of that size, 2 eps |size|.

    Args:
        spread: the root of a mean square.
        size: the size of the numbers themselves, such as |mean|.
        precision: the dtype in which the numbers were known; default the dtype of the spread.

    >>> only_rounding(np.array([1e-7, 1e-3]), np.array([1.0, 1.0]), np.float32).tolist()
    [True, False]
    """
    return spread <= _ROUNDING * float(jnp.finfo(spread.dtype if precision is None else precision).eps) * abs(size)


def standardised(
    values: Float[np.ndarray, "row column"], shares: Float[np.ndarray, " row"], precision: object
) -> Float[np.ndarray, "row column"]:
    """Columns about their weighted mean, in units of their standard deviation; a column that is constant becomes 0.

    A cut-off relative to the largest direction would otherwise drop a column because of the unit it is measured in.

    Args:
        values: in float64.
        shares: weights with a sum of 1.
        precision: the dtype in which the values were known.

    >>> standardised(np.array([[0.0, 0.1], [1e-9, 0.1]]), np.full(2, 0.5), np.float32).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    near = shares @ values
    mean = near + shares @ (values - near)  # the mean of equal values is exactly that value
    spread = np.sqrt(shares @ (values - mean) ** 2)
    constant = only_rounding(spread, mean, precision)
    return np.where(constant, 0, values - mean) / np.where(constant, 1, spread)


def drop_rounding(
    residual: Numbers, variance: Numbers, mean: Numbers, precision: object = None
) -> tuple[Numbers, Numbers]:
    """Set to 0 a variance of targets that is only rounding of their mean, and then a residual that is only rounding."""
    numpy = residual.__array_namespace__()
    constant = only_rounding(numpy.sqrt(variance), mean, precision)
    nothing = constant & only_rounding(numpy.sqrt(residual), mean, precision)
    return numpy.where(nothing, 0, residual), numpy.where(constant, 0, variance)


def explained(residual: Numbers, variance: Numbers) -> Numbers:
    """R2 = 1 - residual / variance. Without variance it is 1 where the residual is 0 too, else 0.

    scikit-learn follows the same rule, and so does every R2 here. `drop_rounding` first sets rounding to 0.

    >>> explained(np.array([1.0, 0.0, 1.0]), np.array([4.0, 0.0, 0.0])).tolist()
    [0.75, 1.0, 0.0]
    """
    where, constant = residual.__array_namespace__().where, variance == 0
    # Even a branch that is not taken must avoid 0 / 0: it would make gradients NaN.
    return where(constant, where(residual == 0, 1, 0 * residual), 1 - residual / where(constant, 1, variance))


def weighted_mean(shares: Float[Array, " row"], values: Float[Array, "row column"]) -> Float[Array, " column"]:
    """sum_r shares_r values_r in two passes; a column of one value gives exactly this value for any number of rows."""
    near = contract("r,rc->c", shares, values)
    return near + contract("r,rc->c", shares, values - near[None])


def lengths(vectors: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """Euclidean norms along an axis, even if squares leave the range of the dtype; the gradient is 0 at the vector 0.

    >>> (lengths(jnp.array([[3e-30, 4e-30], [3e30, 4e30], [0.0, 0.0]]), 1) / jnp.array([1e-30, 1e30, 1.0])).tolist()
    [5.0, 5.0, 0.0]
    """
    unit = power_of_two(abs(vectors).max(axis, keepdims=True, initial=0))
    squares = ((vectors / unit) ** 2).sum(axis)
    nothing = squares == 0  # and not NaN
    return jnp.where(nothing, 0, jnp.squeeze(unit, axis) * jnp.sqrt(jnp.where(nothing, 1, squares)))


def power_of_two(size: Float[Array, "..."]) -> Float[Array, "..."]:
    """The power of two just below a size: division by it rounds nothing. It is constant under differentiation.

    >>> power_of_two(jnp.array([3.0, 0.25, 0.0])).tolist()
    [2.0, 0.25, 1.0]
    """
    size = jax.lax.stop_gradient(size)
    unit = jnp.ldexp(jnp.ones_like(size), jnp.frexp(size)[1] - 1)
    return jnp.where(size > 0, jnp.maximum(unit, jnp.finfo(size.dtype).tiny), 1)
