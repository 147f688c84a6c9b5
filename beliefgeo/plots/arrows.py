"""Labelled arrows between circles: every graph is drawn here. Lengths are in points of the page.

An axes gets one data unit per point: circles, arrows and labels are laid out on one scale, and labels touch nothing.
Give the axes its title before the graph: a title moves the frame.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple, cast

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch
from matplotlib.path import Path
from matplotlib.text import Text

from beliefgeo.plots.style import BLUE, GREY

INK = "0.25"
ROUNDING = 1e-7  # entries this small are zeros rounded in float32
_LABEL_SIZE = 7
_CROWD = 24  # with more arrows than this, only those at least a quarter as likely as the likeliest are labelled


class Sheet(NamedTuple):
    """An axes with one data unit per point, and the corners of the rectangle to draw in.

    Attributes:
        axes: Where to draw.
        low: The lower left corner.
        high: The upper right corner.
    """

    axes: Axes
    low: Float[np.ndarray, "2"]
    high: Float[np.ndarray, "2"]


class Move(NamedTuple):
    """One arrow, which may stand for several tokens.

    Attributes:
        source: The state that it leaves.
        target: The state that it enters.
        label: What is written beside it.
        weight: Its probability: heavier arrows are drawn stronger.
        color: Its colour.
        dash: Its dashes, as matplotlib takes them.
    """

    source: int
    target: int
    label: str = ""
    weight: float = 1.0
    color: str = INK
    dash: Any = "-"  # as matplotlib understands it


def lay(axes: Axes) -> Sheet:
    """Give the axes one data unit per point, with the origin at the lower left."""
    figure = _figure(axes)
    axes.set_axis_off()
    figure.draw_without_rendering()  # a constrained layout decides the size of its axes only when drawn
    box = axes.get_window_extent()
    size = np.array([box.width, box.height]) * 72 / figure.dpi
    axes.set(xlim=(0, size[0]), ylim=(0, size[1]), aspect="equal")
    return Sheet(axes, np.zeros(2), size)


def fitting_radius(positions: Float[np.ndarray, "node 2"], largest: float) -> float:
    """The radius at which circles stay apart."""
    distances = np.linalg.norm(positions[:, None] - positions, axis=-1)[np.triu_indices(len(positions), 1)]
    return float(np.clip(0.36 * distances.min(initial=np.inf), 1.2, largest))


def draw_graph(
    sheet: Sheet,
    positions: Float[np.ndarray, "node 2"],
    moves: Sequence[Move],
    radius: float,
    names: Sequence[str],
    filled: Bool[np.ndarray, " node"],
) -> None:
    """Draw circles, named if they are large enough, arrows that keep clear of them, and labels that touch nothing."""
    for position, name, full in zip(positions, names, filled, strict=True):
        _circle(sheet.axes, position, radius, name, bool(full))
    linked = {(move.source, move.target) for move in moves}
    curves = [_curve(sheet, positions, move, linked, radius) for move in moves]
    drawn = [(move, curve) for move, curve in zip(moves, curves, strict=True) if len(curve) > 1]
    for move, curve in drawn:
        sheet.axes.add_patch(_arrow(move, curve, min(1.0, radius / 6)))
    _place_labels(sheet, drawn, positions, radius)


def mark_start(axes: Axes, position: Float[np.ndarray, "2"], radius: float) -> None:
    """Draw a second ring around the start."""
    axes.add_patch(Circle(tuple(position), radius + 2, facecolor="none", edgecolor=BLUE, linewidth=0.8, zorder=3))


def reach_beyond(axes: Axes, moves: Sequence[Move], radius: float) -> Float[np.ndarray, "2"]:
    """How far arrows, loops and their labels reach beyond the outermost circles."""
    loops = [move.label for move in moves if move.source == move.target]
    linked = {(move.source, move.target) for move in moves}
    both = any(i != j and (j, i) in linked for i, j in linked)  # such arrows bulge
    arrows = widest(axes, [move.label for move in moves]) * [0.7, 1.0] + [0, 14 if both else 4]
    return np.maximum(arrows, _loop_height(radius) + 2 + widest(axes, loops) if loops else 0)


def widest(axes: Axes, labels: Sequence[str]) -> Float[np.ndarray, "2"]:
    """The largest width and the largest height of the labels."""
    texts = [_text(axes, label) for label in labels]
    extents = np.array([[0.0, 0.0], *map(_extent, texts)])
    for text in texts:
        text.remove()
    return extents.max(0)


def _circle(axes: Axes, centre: Float[np.ndarray, "2"], radius: float, name: str, filled: bool) -> None:
    face, ink = (BLUE, "white") if filled else ("white", "black")
    axes.add_patch(Circle((centre[0], centre[1]), radius, facecolor=face, edgecolor=BLUE, linewidth=0.8, zorder=3))
    if radius >= 5:
        size = min(_LABEL_SIZE, 1.2 * radius)
        axes.text(centre[0], centre[1], name, size=size, color=ink, ha="center", va="center_baseline", zorder=4)


def _arrow(move: Move, curve: Float[np.ndarray, "sample 2"], scale: float) -> FancyArrowPatch:
    strength = min(1.0, 0.4 + 0.6 * move.weight)
    return FancyArrowPatch(
        path=Path(np.vstack([curve[:-1:8], curve[-1:]])),
        arrowstyle="-|>,head_length=0.5,head_width=0.22",
        mutation_scale=3 + 5 * scale,
        linewidth=(0.3 + 0.7 * scale) * strength,
        color=1 - strength * (1 - np.array(to_rgb(move.color))),
        linestyle=move.dash,
        zorder=1 + 0.5 * strength,
    )


def _curve(
    sheet: Sheet, positions: Float[np.ndarray, "node 2"], move: Move, linked: Collection[tuple[int, int]], radius: float
) -> Float[np.ndarray, "sample 2"]:
    """A curve from circle to circle, bent just enough to keep clear of other circles and inside the sheet."""
    start, end = positions[move.source], positions[move.target]
    if move.source == move.target:
        return _trim(_loop(sheet, positions, linked, move.source, radius), positions[[move.source]], radius)
    # The arrow bends to its own left if there is a way back, so that the two never share a line.
    both = (move.target, move.source) in linked
    bends = (0.2, 0.35, 0.1, 0.5, 0.7) if both else (0.0, 0.15, -0.15, 0.3, -0.3, 0.45, -0.45, 0.6, -0.6)
    curves = [_trim(_bow(start, end, bend), np.stack([start, end]), radius) for bend in bends]
    others = np.delete(positions, [move.source, move.target], 0)
    blocked = [_blocked(sheet, curve, others, radius) for curve in curves]
    return curves[int(np.argmin(blocked))]


def _blocked(sheet: Sheet, curve: np.ndarray, others: np.ndarray, radius: float) -> int:
    hits = (np.linalg.norm(curve[:, None] - others, axis=-1) < radius + 2).sum()
    return int(hits + ((curve < sheet.low) | (curve > sheet.high)).sum())


def _bow(start: np.ndarray, end: np.ndarray, bend: float) -> Float[np.ndarray, "sample 2"]:
    t = np.linspace(0, 1, 400)[:, None]
    control = (start + end) / 2 + bend * np.array([start[1] - end[1], end[0] - start[0]])
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end


def _loop(
    sheet: Sheet, positions: Float[np.ndarray, "node 2"], linked: Collection[tuple[int, int]], node: int, radius: float
) -> Float[np.ndarray, "sample 2"]:
    """A drop with its tip away from the circle."""
    angle = _freest_angle(sheet, positions, linked, node, radius)
    # The cubic's tip is at 3/4 of the height of its two controls.
    height = (radius + _loop_height(radius)) / (0.75 * np.cos(0.5))
    turns = angle + np.array([-0.5, 0.5])
    left, right = height * np.stack([np.cos(turns), np.sin(turns)], 1)
    t = np.linspace(0, 1, 400)[:, None]
    return positions[node] + 3 * t * (1 - t) ** 2 * left + 3 * t**2 * (1 - t) * right


def _freest_angle(
    sheet: Sheet, positions: Float[np.ndarray, "node 2"], linked: Collection[tuple[int, int]], node: int, radius: float
) -> float:
    """The angle where the node has most room: far from its other arrows, away from the middle, inside the sheet."""
    here = positions[node]
    away = here - positions.mean(0)
    away = away / max(np.linalg.norm(away), 1e-9)
    others = np.array([positions[i if j == node else j] - here for i, j in linked if (i == node) != (j == node)])
    angles = np.pi / 2 + np.arange(24) * np.pi / 12
    directions = np.stack([np.cos(angles), np.sin(angles)], 1)
    nearest = (directions @ (others.T / np.linalg.norm(others, axis=1))).max(1) if len(others) else -1.0
    tips = here + directions * (_loop_height(radius) + radius + 9)
    outside = ((tips < sheet.low) | (tips > sheet.high)).any(1)
    return float(angles[np.argmax(0.5 * directions @ away - np.maximum(nearest, 0.3) - 3 * outside)])


def _loop_height(radius: float) -> float:
    return max(1.1 * radius, 7.0)


def _trim(curve: np.ndarray, ends: Float[np.ndarray, "end 2"], radius: float) -> Float[np.ndarray, "sample 2"]:
    return curve[(np.linalg.norm(curve[:, None] - ends, axis=-1) > radius + 1).all(1)]


class _Box(NamedTuple):
    """A label on the sheet: its middle, and half its width and height."""

    middle: Float[np.ndarray, "2"]
    half: Float[np.ndarray, "2"]


def _place_labels(
    sheet: Sheet, drawn: Sequence[tuple[Move, np.ndarray]], positions: Float[np.ndarray, "node 2"], radius: float
) -> None:
    """Place labels, the likeliest first, where a box is free and covers least of any arrow; a note counts the rest."""
    along = np.concatenate([np.empty((0, 2)), *(curve[::8] for _, curve in drawn)])
    ink = np.concatenate([[], *(np.full(len(curve[::8]), move.weight**2) for move, curve in drawn)])
    ink = ink / ink.max(initial=1e-9)
    labelled = sorted((pair for pair in drawn if pair[0].label), key=lambda pair: -pair[0].weight)
    # In a crowd, the labels of faint arrows would cover the other labels.
    least = labelled[0][0].weight / 4 if len(labelled) > _CROWD else 0
    taken: list[_Box] = []
    for move, curve in labelled:
        text = _text(sheet.axes, move.label)
        half = _extent(text) / 2 + 0.8
        places = _beside(curve, half, positions.mean(0)) if move.weight >= least else []
        boxes = [box for place in places if _free(sheet, box := _Box(place, half), taken, positions, radius)]
        if not boxes:
            text.remove()
            continue
        cover = [(abs(along - box.middle) < half + 1).all(1) @ ink + rank / 4 for rank, box in enumerate(boxes)]
        taken.append(boxes[int(np.argmin(cover))])
        text.set_position(tuple(taken[-1].middle))
    if missing := len(labelled) - len(taken):
        _note(sheet, f"{missing} of {len(labelled)} labels left out", taken, positions, radius)


def _note(
    sheet: Sheet, words: str, taken: Sequence[_Box], positions: Float[np.ndarray, "node 2"], radius: float
) -> None:
    """Write a note in a free corner, or else in the lower left corner."""
    text = _text(sheet.axes, words)
    text.set(size=6, color=GREY)
    half = _extent(text) / 2 + 0.5
    corners = np.array(list(product(*zip(sheet.low + half + 0.1, sheet.high - half - 0.1, strict=True))))
    free = (corner for corner in corners if _free(sheet, _Box(corner, half), taken, positions, radius))
    text.set_position(tuple(next(free, corners[0])))


def _free(
    sheet: Sheet, box: _Box, taken: Sequence[_Box], positions: Float[np.ndarray, "node 2"], radius: float
) -> bool:
    """Whether the box is inside the sheet and touches neither another box nor a circle."""
    inside = (box.middle - box.half > sheet.low).all() and (box.middle + box.half < sheet.high).all()
    clear = all((abs(box.middle - other.middle) > box.half + other.half).any() for other in taken)
    gaps = np.maximum(abs(positions - box.middle) - box.half, 0)
    return bool(inside and clear and (np.linalg.norm(gaps, axis=1) > radius + 1).all())


def _text(axes: Axes, label: str) -> Text:
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.3, "alpha": 0.75}
    return axes.text(0, 0, label, size=_LABEL_SIZE, ha="center", va="center", bbox=paper, zorder=2)


def _beside(curve: Float[np.ndarray, "sample 2"], half: np.ndarray, centre: np.ndarray) -> Iterator[np.ndarray]:
    """Places for a box that touches the curve on either side: the middle first, and the outer side first."""
    middle = curve[len(curve) // 2]
    bulge = middle - (curve[0] + curve[-1]) / 2
    outward = bulge if np.linalg.norm(bulge) > 1 else middle - centre
    for fraction in (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82):
        at = int(fraction * (len(curve) - 1))
        along = curve[min(at + 2, len(curve) - 1)] - curve[max(at - 2, 0)]
        normal = np.array([-along[1], along[0]]) / max(np.linalg.norm(along), 1e-9)
        normal = normal if normal @ outward >= 0 else -normal
        for side in (1, -1):
            yield curve[at] + side * normal * (abs(normal) @ half + 1.2)


def _extent(text: Text) -> Float[np.ndarray, "2"]:
    """Width and height in points, measured on a page of one pixel: the figure would make a new page each time."""
    box = text.get_window_extent(RendererAgg(1, 1, dpi := _figure(text).dpi))
    return np.array([box.width, box.height]) * 72 / dpi


def _figure(artist: Artist) -> Figure:
    return cast(Figure, artist.get_figure(root=True))
