"""What a value is, as texts that a record can hold: its structure, and a digest of each array.

Equal values have equal texts, in every session and on every device; what differs in a number, a dtype, a shape, a field
or a type has others, and what cannot be told from another is refused. Code counts by its name.
"""

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


def identity(value: Any, name: str = "value") -> dict[str, str]:
    """The texts of a value's parts: "structure" with its types and fields, and each array by its place.

    Args:
        value: a pytree of arrays, keys, numbers and texts, and of objects of plain classes that hold such.
        name: what a complaint calls it.

    Raises:
        TypeError: a part that does not show what it holds, such as a function.

    >>> identity({"a": np.zeros((2, 3)), "b": 0.5})["['a']"]
    'float64[2,3] 17b0761f87b081d5'
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(value)
    texts = {"structure": str(structure)}
    for path, leaf in leaves:
        place = jax.tree_util.keystr(path).lstrip(".")
        parts = _leaf(leaf, f"{name} {place}".rstrip())
        texts |= {f"{place} {part}".strip() or "value": text for part, text in parts.items()}
    return texts


def _leaf(leaf: Any, name: str) -> dict[str, str]:
    if isinstance(leaf, np.ndarray | np.generic | jax.Array) and not getattr(leaf.dtype, "hasobject", False):
        return {"": _array(leaf)}
    if isinstance(leaf, _PLAIN):
        return {"": f"{type(leaf).__name__} {leaf!r}"}
    if callable(leaf) or not hasattr(leaf, "__dict__") or type(leaf).__new__ is not object.__new__:
        raise TypeError(
            f"{name} is a {type(leaf).__name__}, which cannot be told from another of its kind and so not be recorded: "
            "keep arrays, numbers and texts in it"
        )
    fields = identity(vars(leaf), name)
    return {"class": f"{type(leaf).__module__}.{type(leaf).__qualname__}"} | fields


def _array(array: Any) -> str:
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return f"{array.dtype} {_array(jax.random.key_data(array))}"
    shape, content = ",".join(map(str, array.shape)), np.ascontiguousarray(array).tobytes()
    return f"{array.dtype}[{shape}] {hashlib.sha256(content).hexdigest()[:16]}"
