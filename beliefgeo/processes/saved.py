"""A process in a file: its arrays by their names, in NumPy's npz format without pickle, or in JSON."""

import json
from collections.abc import Hashable, Sequence
from os import PathLike, fspath
from typing import Any
from zipfile import BadZipFile

import numpy as np

from beliefgeo.arrays import is_traced

_ARRAYS = ("transitions", "initial", "readout", "generalised")
_NAMES = ("state_names", "token_names")


def save_process(process: Any, path: str | PathLike) -> None:
    """Write the process to exactly this path, and replace a file that is there.

    The file holds `transitions`, `initial`, `readout` and `generalised`, and the names if there are any. If the path
    ends in `.json` it is JSON, with the shortest decimals that give every bit back; else it is npz, with the names as
    JSON inside.

    Raises:
        TypeError: a traced process; names that are not strings, numbers or tuples of these.
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


def read_process(path: str | PathLike) -> tuple[dict[str, np.ndarray], dict[str, tuple[Hashable, ...]]]:
    """The arrays and the names that a file holds; see `load_process`."""
    with open(path, "rb") as file:
        try:
            held = _read_text(file.read()) if _is_text(path) else _read_arrays(file)
            arrays = {name: np.asarray(held[name]) for name in _ARRAYS}
            names = {what: _names(held[what]) for what in _NAMES if held.get(what) is not None}
        except (ValueError, KeyError, EOFError, BadZipFile, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path} holds no process: a file of Process.save has {', '.join(_ARRAYS)} ({error})"
            ) from error
    return arrays, names


def _is_text(path: str | PathLike) -> bool:
    return str(fspath(path)).endswith(".json")


def _text(process: Any, names: dict[str, str]) -> str:
    """The text of a file, with a line for each array and for each token's matrix."""
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
    """Nested lists of the shortest decimals that give back the same numbers in their own precision."""
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
    """The names as tuples again: JSON holds them as lists."""
    return tuple(_names(name) if isinstance(name, list) else name for name in listed)


def some_of(names: Sequence[Hashable]) -> str:
    """The names for a message; only the first ten if there are many."""
    return ", ".join(map(repr, names[:10])) + ", ..." * (len(names) > 10)
