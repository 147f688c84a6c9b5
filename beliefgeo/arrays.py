"""The base of all rooms: array-likes, concrete or traced, products at full precision, a logarithm with derivatives."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

# What a public function accepts as an array: JAX, NumPy, Python scalars, tracers and nested lists.
ArrayLike = jax.typing.ArrayLike | Sequence[Any]

# A parameter: a Python or NumPy number, an array without axes, or a tracer to differentiate by.
Number = jax.typing.ArrayLike


def as_floats(values: ArrayLike) -> Array:
    """Any array-like as a floating array of its own precision, float32 at least; integers in the default precision.

    In half precision a step of a belief would lose 3 digits, and a sum over a thousand tokens all of them.
    """
    array = jnp.asarray(values)
    return array.astype(jnp.promote_types(jnp.result_type(array.dtype, float), jnp.float32))


def as_integers(name: str, values: ArrayLike, ragged: str = "give one at a time") -> Array | np.ndarray:
    """An array of integers as it is given, not yet cast: a cast to int32 would make 2^32 + 1 into 1.

    Args:
        name: the name of the integers in error messages.
        values: integers.
        ragged: what to do with rows of different lengths.

    Raises:
        ValueError: ragged lists.
        TypeError: anything but integers; an empty list passes.
    """
    if isinstance(values, jax.Array):
        array = values
    else:
        try:
            array = np.asarray(values)
        except ValueError as error:
            raise ValueError(f"{name} must be an array; got rows of different lengths: {ragged}") from error
    if not jnp.issubdtype(array.dtype, jnp.integer) and array.size:
        raise TypeError(f"{name} must be integers; got {array.dtype}")
    return array


def as_int32(integers: Array | np.ndarray) -> Int[Array, "..."]:
    """Integers in int32; those beyond its ends become its ends, so that 2^32 + 1 becomes no token (a cast makes it 1).

    >>> as_int32(np.array([1, 2**32 + 1, -(2**32)])).tolist()
    [1, 2147483647, -2147483648]
    """
    if not integers.size:  # an empty list counts as floats
        return jnp.zeros(integers.shape, jnp.int32)
    given, kept = jnp.iinfo(integers.dtype), jnp.iinfo(jnp.int32)
    if kept.min <= given.min and given.max <= kept.max:
        return jnp.asarray(integers, jnp.int32)
    clip = np.clip if isinstance(integers, np.ndarray) else jnp.clip
    return jnp.asarray(clip(integers, max(given.min, kept.min), min(given.max, kept.max)), jnp.int32)


def concrete(values: ArrayLike) -> np.ndarray | None:
    """The values in float64 if they are known now; None if they are traced (and so cannot be checked)."""
    return None if is_traced(values) else np.asarray(values, np.float64)


def is_traced(values: Any) -> bool:
    """Whether any number of an array-like or process is traced, and so cannot be checked."""
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(values))


def require_between(who: str, name: str, value: Any, low: float | int, high: float | int) -> Any:
    """Raise `who needs low <= name <= high; got name=value` unless it holds or the value is traced.

    Returns the value: in float32 if it has half precision, in which 1 - p would be off by 1e-4, else as it is.
    """
    values = concrete(value)
    if values is not None and not np.all((low <= values) & (values <= high)):
        bounds = [Fraction(bound).limit_denominator(1000) if np.isfinite(bound) else bound for bound in (low, high)]
        raise ValueError(f"{who} needs {bounds[0]} <= {name} <= {bounds[1]}; got {name}={value}")
    return as_floats(value) if _is_half(value) else value


def _is_half(value: Any) -> bool:
    dtype = getattr(value, "dtype", np.dtype(float))
    return jnp.issubdtype(dtype, jnp.floating) and jnp.finfo(dtype).bits < 32


def contract(subscripts: str, *operands: Array) -> Array:
    """`einsum` at full precision: the default of an accelerator keeps 3 digits of a float32 product."""
    return jnp.einsum(subscripts, *operands, precision="highest")


def take(array: Array, token: Int[Array, ""]) -> Array:
    """`array[token]`, NaN outside the vocabulary (a plain gather would clamp, or wrap a negative token)."""
    return array.at[as_int32(jnp.asarray(token))].get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)


def logarithm(values: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """ln values, -inf for 0: there the derivative is 0, where that of a plain logarithm spoils all others with NaN.

    >>> jax.grad(lambda p: jnp.exp(logarithm(jnp.stack([p, 0 * p]))).sum())(0.5).item()
    1.0
    """
    positive = values > 0
    return jnp.where(positive, jnp.log(jnp.where(positive, values, 1)), -jnp.inf)
