"""Observers of plain classes, which jax cannot take apart, as arguments of compiled functions.

A compiled function takes the arrays of a pytree (an `eqx.Module`, a NamedTuple, a registered dataclass) anew at each
call. An object of a class that jax does not know is instead a constant of the program. If jax kept the program for the
object, the program would go on with the old numbers after the object changes; here it is kept for the object's content.
"""

import hashlib
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import ArrayLike, as_floats
from beliefgeo.processes.process import Observer


class Opaque:
    """An observer of a plain class: a leaf of a pytree, equal to another of the same class and content."""

    def __init__(self, observer: Observer, fields: dict[str, Any] | None, initial: Array):
        """`fields` are the attributes of `observer`; None if they cannot be known (slots, extensions)."""
        self.observer, self.fields, self.initial = observer, fields, initial
        self._content = _content(type(observer), fields, initial)

    @classmethod
    def of(cls, observer: Observer) -> "Opaque":
        """The observer as it is."""
        kind = type(observer)
        slots = any(vars(base).get("__slots__") for base in kind.__mro__)
        plain = kind.__new__ is object.__new__ and hasattr(observer, "__dict__") and not slots
        return cls(observer, dict(vars(observer)) if plain else None, as_floats(observer.initial))

    def predict(self, belief: Float[Array, " state"]) -> Float[Array, " token"]:
        """The observer's own law, in the precision of the belief."""
        return self._ask("predict", belief, belief)

    def update(self, belief: Float[Array, " state"], token: Int[Array, ""]) -> Float[Array, " state"]:
        """The observer's own belief after the token, in the precision of the belief before."""
        return self._ask("update", belief, belief, token)

    def _ask(self, method: str, like: Array, *arguments: Array) -> Array:
        try:
            answer: ArrayLike = getattr(self.instance(), method)(*arguments)
        except jax.errors.JAXTypeError as error:
            raise TypeError(
                f"{type(self.observer).__name__}.{method} cannot be compiled: an observer is written with jax.numpy, "
                "its tables JAX arrays, and takes no Python decision (if, int(), float(), a dict) by a belief or token"
            ) from error
        return jnp.asarray(answer, like.dtype)

    def instance(self) -> Observer:
        """The observer, made afresh each time: what it caches must not leave the program in which it was computed."""
        if self.fields is None:
            return self.observer
        instance = object.__new__(type(self.observer))
        instance.__dict__.update(self.fields)
        return instance

    def __eq__(self, other: object) -> bool:
        """Whether the other has the same class and content."""
        return isinstance(other, Opaque) and self._content == other._content

    def __hash__(self) -> int:
        """A hash that agrees with `__eq__`."""
        return hash(self._content)


def as_pytree(process: Observer) -> Observer:
    """The observer as compiled functions take it: observers of plain classes as `Opaque`, NumPy arrays as JAX arrays.

    This holds for factors of an observer too. An observer that needs no change stays as it is.
    """
    return map_arrays(lambda array: array if isinstance(array, jax.Array) else jnp.asarray(array), process)


def map_arrays(
    change: Callable[[Any], Any], process: Observer, is_leaf: Callable[[Any], bool] | None = None
) -> Observer:
    """`jax.tree.map` over only the arrays of an observer, and over the arrays that objects of plain classes hold.

    Args:
        change: applied to every array, and to every node for which `is_leaf` holds; everything else stays.
        process: any observer.
        is_leaf: what counts as one array.
    """
    is_array = lambda leaf: _holds_numbers(leaf) or (is_leaf and is_leaf(leaf))
    change_array = lambda leaf: change(leaf) if is_array(leaf) else leaf

    def change_leaf(leaf: Any) -> Any:
        if is_array(leaf) or not isinstance(leaf, Observer):
            return change_array(leaf)
        opaque = leaf if isinstance(leaf, Opaque) else Opaque.of(leaf)
        fields = jax.tree.map(change_array, opaque.fields, is_leaf=is_leaf)
        return Opaque(opaque.observer, fields, change(opaque.initial))

    return jax.tree.map(change_leaf, process, is_leaf=is_leaf)


def _holds_numbers(leaf: Any) -> bool:
    if isinstance(leaf, np.ndarray | np.generic):  # names and dates stay NumPy's
        return jnp.issubdtype(leaf.dtype, jnp.number) or leaf.dtype == bool
    return isinstance(leaf, jax.Array)


def _content(kind: type, fields: dict[str, Any] | None, initial: Array) -> Hashable:
    """What distinguishes two observers of plain classes; if that cannot be seen, an object that equals nothing else."""
    leaves, structure = jax.tree.flatten((fields, initial))
    return object() if fields is None else (kind, structure, *[_leaf_content(leaf) for leaf in leaves])


def _leaf_content(leaf: Any) -> Hashable:
    if isinstance(leaf, int | float | complex | str | bytes):
        return type(leaf), repr(leaf)
    if isinstance(leaf, Tracer) or not isinstance(leaf, jax.Array) or jnp.issubdtype(leaf.dtype, jax.dtypes.extended):
        return object()  # a function, an object: it may have changed since
    return leaf.shape, str(leaf.dtype), leaf.weak_type, hashlib.sha256(np.asarray(leaf).tobytes()).digest()
