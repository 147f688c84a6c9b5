"""A process in a file: its arrays by their names, in NumPy's npz format without pickle, or in JSON."""

import dataclasses
import json
from collections.abc import Hashable
from os import PathLike, fspath
from typing import Any
from zipfile import BadZipFile

import jax.numpy as jnp
import numpy as np

from beliefgeo.arrays import is_traced
from beliefgeo.processes.names import some_of
from beliefgeo.processes.process import Process

_ARRAYS = ("transitions", "initial", "readout", "generalised")
_NAMES = ("state_names", "token_names")


def save_process(process: Process, path: str | PathLike) -> None:
    """Write the process to exactly this path; what was there is replaced.

    `transitions`, `initial`, `readout` and `generalised`, and the names where there are any: as JSON where the path
    ends in `.json`, with the shortest decimals that give every bit back, else as npz, the names as JSON within.

    Raises:
        TypeError: a traced process; names that are not strings, numbers or tuples of such.
    """
    if is_traced(process):
        raise TypeError("a traced process has no values to save: call save outside jit, vmap and grad")
    names = {what: _spelled(getattr(process, what)) for what in _NAMES if getattr(process, what) is not None}
    if _is_text(path):
        with open(path, "w", encoding="utf-8") as file:
            file.write(_text(process, names))
        return
    with open(path, "wb") as file:
        np.savez(file, allow_pickle=False, **{name: np.asarray(getattr(process, name)) for name in _ARRAYS}, **names)


def load_process(path: str | PathLike) -> Process:
    """The process that `process.save(path)` wrote: bit for bit where the session has the precision of its arrays.

    Raises:
        ValueError: a file that holds no process.
        OSError: no such file.

    >>> import tempfile
    >>> from beliefgeo.processes.classical import golden_mean
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     golden_mean().save(f"{folder}/golden.json")
    ...     load_process(f"{folder}/golden.json").initial.round(4).tolist()
    [0.6667, 0.3333]
    """
    with open(path, "rb") as file:
        try:
            held = _read_text(file.read()) if _is_text(path) else _read_arrays(file)
            arrays = {name: np.asarray(held[name]) for name in _ARRAYS}
            names = {what: _names(held[what]) for what in _NAMES if held.get(what) is not None}
        except (ValueError, KeyError, EOFError, BadZipFile, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path} holds no process: a file of Process.save has {', '.join(_ARRAYS)} ({error})"
            ) from error
    matrices, initial, readout = (arrays[name] for name in _ARRAYS[:3])
    if matrices.ndim != 3 or {initial.shape, readout.shape, matrices.shape[1:2], matrices.shape[2:]} != {initial.shape}:
        raise ValueError(
            f"{path} holds no process: transitions [token, state, next_state], initial [state] and readout [state] "
            f"have shapes {matrices.shape}, {initial.shape} and {readout.shape}"
        )
    for what, count in zip(_NAMES, (matrices.shape[1], matrices.shape[0]), strict=True):
        if what in names and len(set(names[what])) != count:
            raise ValueError(f"{path} holds no process: it needs {count} different {what}; got {list(names[what])}")
    process = Process(jnp.asarray(matrices), jnp.asarray(initial), jnp.asarray(readout), bool(arrays["generalised"]))
    return dataclasses.replace(process, **names)


def _is_text(path: str | PathLike) -> bool:
    return str(fspath(path)).endswith(".json")


def _text(process: Process, names: dict[str, str]) -> str:
    """A line for each array, and for each token's matrix."""
    matrices = ",\n    ".join(_decimals(matrix) for matrix in np.asarray(process.transitions))
    lines = names | {
        "generalised": json.dumps(process.generalised),
        "precision": json.dumps(str(process.transitions.dtype)),
        "initial": _decimals(np.asarray(process.initial)),
        "readout": _decimals(np.asarray(process.readout)),
        "transitions": f"[\n    {matrices}\n  ]",
    }
    return "{\n" + ",\n".join(f'  "{name}": {line}' for name, line in lines.items()) + "\n}\n"


def _decimals(array: np.ndarray) -> str:
    """Nested lists of the shortest decimals that are read back as the same numbers of their own precision."""
    shortest = np.array([float(str(number)) for number in array.reshape(-1)])
    return json.dumps(shortest.reshape(array.shape).tolist())


def _read_text(content: bytes) -> dict[str, Any]:
    held = json.loads(content)
    dtype = np.dtype(held["precision"])
    return held | {name: np.asarray(held[name], dtype) for name in _ARRAYS[:3]}


def _read_arrays(file: Any) -> dict[str, Any]:
    with np.load(file, allow_pickle=False) as held:
        arrays = {name: held[name] for name in _ARRAYS}
        return arrays | {name: json.loads(str(held[name])) for name in _NAMES if name in held}


def _spelled(names: tuple[Hashable, ...]) -> str:
    try:
        text = json.dumps(names, ensure_ascii=False)
        kept = _names(json.loads(text)) == names
    except TypeError:
        text, kept = "", False
    if not kept:
        raise TypeError(f"names must be strings, numbers or tuples of such to be saved; got {some_of(names)}")
    return text


def _names(listed: list) -> tuple[Hashable, ...]:
    """The lists of JSON as the tuples that they were."""
    return tuple(_names(name) if isinstance(name, list) else name for name in listed)
