"""Arrays in a file of the safetensors format, which PyTorch, JAX and Hugging Face's libraries read."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

# NumPy's names of the types that the format knows.
_TYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "bool": "BOOL"}


def write_safetensors(path: str | Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, str]) -> None:
    """Write arrays by name: the length of a header in 8 bytes, the header in JSON, then the numbers.

    Args:
        path: the file.
        arrays: of float64, float32, float16, int64, int32 or bool.
        about: texts that the header holds as `__metadata__`.

    Raises:
        TypeError: an array of another type.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_safetensors(f"{folder}/one.safetensors", {"ones": np.ones(3, np.float32)}, {"format": "np"})
    ...     Path(f"{folder}/one.safetensors").read_bytes()[8:43]
    b'{"__metadata__": {"format": "np"}, '

    Source: the format's definition, https://huggingface.co/docs/safetensors.
    """
    header: dict[str, object] = {"__metadata__": dict(about)}
    at = 0
    for name, array in arrays.items():
        if array.dtype.name not in _TYPES:
            raise TypeError(f"safetensors holds {', '.join(_TYPES)}; got {array.dtype} for {name!r}")
        span = [at, at := at + array.nbytes]
        header[name] = {"dtype": _TYPES[array.dtype.name], "shape": array.shape, "data_offsets": span}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers begin at a multiple of their size
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
