"""The identity of a value, as texts that a record can hold: its types, its fields, and a digest of each array.

Equal values have equal texts, in every session and on every device. Values that differ in a number, a dtype, a shape, a
field or a type have different texts. A value whose content does not show is refused. Code counts by its name only.
"""

import hashlib
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


def identity(value: Any, name: str = "value") -> dict[str, Any] | str:
    """The text of an array, a number or a string; for a value with parts its "class" and the texts of all parts.

    Args:
        value: arrays, keys, numbers, strings, and containers and objects of Python classes that hold these; static
            fields count.
        name: the name of the value in an error message.

    Raises:
        TypeError: a part that does not show what it holds, such as a function.

    >>> identity({"a": np.zeros((2, 3)), "b": 0.5})
    {'class': 'builtins.dict', "'a'": 'float64[2,3] 17b0761f87b081d5', "'b'": 'float 0.5'}
    """
    if isinstance(value, np.ndarray | np.generic | jax.Array) and not getattr(value.dtype, "hasobject", False):
        return _array(value)
    if type(value) in _PLAIN:
        return f"{type(value).__name__} {value!r}"
    parts = {part: identity(content, f"{name}.{part}") for part, content in _parts(value, name).items()}
    return {"class": f"{type(value).__module__}.{type(value).__qualname__}"} | parts


def _parts(value: Any, name: str) -> dict[str, Any]:
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(value, list | tuple):
        return {str(index): part for index, part in enumerate(value)}
    if isinstance(value, dict):
        return {repr(key): part for key, part in value.items()}
    # An object that is not made in Python, such as a function, a file or a generator, may hold more than its fields.
    new = type(value).__new__
    if not hasattr(value, "__dict__") or not (new is object.__new__ or isinstance(new, FunctionType)):
        raise TypeError(
            f"{name} is a {type(value).__name__}, which cannot be told from another of its kind and so not be "
            "recorded: keep arrays, numbers and strings in it"
        )
    return dict(sorted(vars(value).items()))


def _array(array: Any) -> str:
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return f"{array.dtype} {_array(jax.random.key_data(array))}"
    shape, content = ",".join(map(str, array.shape)), np.ascontiguousarray(array).tobytes()
    return f"{array.dtype}[{shape}] {hashlib.sha256(content).hexdigest()[:16]}"
