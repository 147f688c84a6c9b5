"""What a run leaves on disk: results as JSON and arrays, figures, movies, and the versions and device behind them."""

import dataclasses
import importlib.metadata
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from beliefgeo.reading.seeds import Seeds
from beliefgeo.runs import hosts

if TYPE_CHECKING:  # matplotlib takes a while to import: only callers that draw wait for it
    from matplotlib.animation import FuncAnimation
    from matplotlib.figure import Figure

# Arrays of more numbers than this go to arrays.npz: JSON is for people.
_MOST_NUMBERS = 2000


def plain(value: Any) -> Any:
    """Records, `Seeds`, NumPy and JAX arrays in the terms of JSON: dictionaries, lists, numbers, strings.

    A complex number becomes the list of its real and imaginary parts.

    Raises:
        TypeError: anything else, such as a function.

    >>> plain({"gap": Seeds(np.array([1.0, 3.0])), 4: (True, None)})["gap"]["mean"]
    2.0
    """
    if isinstance(value, Seeds):
        return {"mean": plain(value.mean), "interval": plain(value.interval), "values": plain(value.values)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())  # pyright: ignore[reportAttributeAccessIssue]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        array = np.asarray(value)
        return (np.stack([np.real(array), np.imag(array)], -1) if np.iscomplexobj(array) else array).tolist()
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    raise TypeError(f"{type(value).__name__} cannot be written as JSON: keep records, numbers, strings and arrays")


def write_json(path: Path, content: Any) -> None:
    """Write the whole file or nothing, so that an interrupt leaves the old file.

    Only the first process writes; the same holds for `write_results`, `save_figure` and `save_movie`.
    """
    if not hosts.first():
        return
    incomplete = path.with_suffix(".partial")
    incomplete.write_text(json.dumps(plain(content), indent=2) + "\n")
    incomplete.replace(path)


def write_results(folder: Path, results: Any) -> None:
    """Write results.json, and each array of more than 2,000 numbers to arrays.npz under its path in the results."""
    arrays: dict[str, np.ndarray] = {}
    write_json(folder / "results.json", _without_arrays(results, "", arrays))
    if hosts.first() and arrays:
        np.savez_compressed(folder / "arrays.npz", allow_pickle=False, **arrays)


def _without_arrays(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    """The results with a name in place of each large array; the array goes into `arrays`."""
    if isinstance(value, (np.ndarray, jax.Array)) and value.size > _MOST_NUMBERS:
        arrays[path] = np.asarray(value)
        return f"arrays.npz: {path}"
    if isinstance(value, Seeds):
        large = np.size(value.values) > _MOST_NUMBERS
        return _without_arrays(value.values, path, arrays) if large else value
    parts = value._asdict() if isinstance(value, tuple) and hasattr(value, "_asdict") else value  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(parts, Mapping):
        return {str(name): _without_arrays(one, f"{path}/{name}".strip("/"), arrays) for name, one in parts.items()}
    if isinstance(parts, (list, tuple)):
        return [_without_arrays(one, f"{path}/{index}".strip("/"), arrays) for index, one in enumerate(parts)]
    return parts


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    names = ("beliefgeo", "jax", "jaxlib", "flax", "optax", "equinox", "numpy", "orbax-checkpoint")
    return {name: importlib.metadata.version(name) for name in names}


def device() -> str:
    """The device that computed the numbers."""
    first = jax.devices()[0]
    count = f"{os.cpu_count()} cores" if first.platform == "cpu" else f"{jax.device_count()} devices"
    return f"{first.device_kind}, {count}"


def commit(folder: Path) -> str | None:
    """The commit of the checkout that holds the folder, with a plus if its code differs; None if there is none.

    Pages and pictures are not code: a run that is published changes them, and another may follow before a commit.
    """

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    head = git("rev-parse", "--short=10", "HEAD")
    return head and head + ("+" if git("status", "--porcelain", "--untracked-files=no", ":/*.py", ":/*.toml") else "")


def save_figure(path: Path, figure: "Figure") -> None:
    """Write a figure; the suffix of the path chooses the format."""
    if hosts.first():
        figure.savefig(path)


def save_movie(path: Path, movie: "FuncAnimation", *, frames_per_second: int = 2) -> Path:
    """Write an animation as MP4 if ffmpeg exists, else as GIF; return the path, whose suffix says which."""
    from matplotlib.animation import writers

    mp4 = writers.is_available("ffmpeg")
    path = path.with_suffix(".mp4" if mp4 else ".gif")
    if hosts.first():
        movie.save(path, writer="ffmpeg" if mp4 else "pillow", fps=frames_per_second, dpi=110)
    return path
