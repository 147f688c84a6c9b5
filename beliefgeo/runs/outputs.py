"""What an experiment leaves: numbers as JSON, figures, movies, a table on the terminal."""

import importlib.metadata
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.animation import FuncAnimation, writers
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from beliefgeo.runs import hosts


def write_json(path: Path, content: Any) -> None:
    """Write whole or not at all, so that an interrupt leaves the old file; NumPy and JAX arrays become lists.

    This, `save_figure` and `save_movie` do nothing in any process but the first.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, (np.ndarray, np.generic, jax.Array)):
            return np.asarray(value).tolist()
        raise TypeError(f"{type(value).__name__} cannot be written as JSON")

    if not hosts.first():
        return
    incomplete = path.with_suffix(".partial")
    text = json.dumps(content, indent=2, default=plain)
    incomplete.write_text(text + "\n")
    incomplete.replace(path)


def versions() -> dict[str, str]:
    """The versions a result depends on."""
    names = ("beliefgeo", "jax", "jaxlib", "flax", "optax", "equinox", "numpy", "orbax-checkpoint")
    return {name: importlib.metadata.version(name) for name in names}


def device() -> str:
    """What the numbers were computed on."""
    first = jax.devices()[0]
    count = f"{os.cpu_count()} cores" if first.platform == "cpu" else f"{jax.device_count()} devices"
    return f"{first.device_kind}, {count}"


def save_figure(path: Path, figure: Figure) -> None:
    """Write a figure; the suffix says in which format."""
    if hosts.first():
        figure.savefig(path)


def save_movie(path: Path, movie: FuncAnimation, *, frames_per_second: int = 2) -> Path:
    """Write an animation as MP4 where ffmpeg exists, else as GIF; the suffix says which."""
    mp4 = writers.is_available("ffmpeg")
    path = path.with_suffix(".mp4" if mp4 else ".gif")
    if hosts.first():
        movie.save(path, writer="ffmpeg" if mp4 else "pillow", fps=frames_per_second, dpi=110)
    return path


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on the terminal."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
