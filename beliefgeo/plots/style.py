"""One look for every figure: legible at the width of a paper's column, safe for colour-blind readers."""

import io
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from jaxtyping import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Plots take arrays from JAX and NumPy.
AnyArray = Array | np.ndarray

# Okabe & Ito's palette, distinct in all common kinds of colour vision.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666"
SKY, AMBER = "#56B4E9", "#E69F00"

# Inches: one column of a two-column paper, and both.
COLUMN, PAGE = 3.4, 7.0

_RC: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.3,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.07,
}


P = ParamSpec("P")
R = TypeVar("R")


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw in this style, leaving the user's own settings alone."""

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(_RC):
            return draw(*args, **kwargs)

    return wrapper


class ShownFigure(Figure):
    """A figure that a notebook shows by itself, without a magic line."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()


def panels(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels, rows first."""
    figure = ShownFigure(figsize=(width, height), dpi=220)
    return figure, [figure.add_subplot(rows, columns, index + 1) for index in range(rows * columns)]
