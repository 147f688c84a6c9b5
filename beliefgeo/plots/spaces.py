"""Where the beliefs lie: mixed states in their simplex, Bloch vectors in the disc, any beliefs in three dimensions."""

from collections.abc import Hashable, Sequence
from itertools import combinations, product

import numpy as np
from jaxtyping import Float, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from beliefgeo.arrays import Number
from beliefgeo.beliefs.mixed_states import MixedStatePresentation
from beliefgeo.plots.arrows import Sheet, draw_graph, fitting_radius, lay, mark_start
from beliefgeo.plots.graphs import moves_of, presentation_graph, process_graph
from beliefgeo.plots.labels import mixed_names, names_of
from beliefgeo.plots.simplex import density
from beliefgeo.plots.style import BLUE, GREY, PAGE, AnyArray, styled
from beliefgeo.probes.geometry import simplex_vertices
from beliefgeo.processes.process import Observer

# More mixed states than this are dots, without their moves.
_DRAWN_WITH_MOVES = 16


@styled
def presentation_figure(
    process: Observer,
    presentation: MixedStatePresentation,
    *,
    state_names: Sequence[Hashable] | None = None,
    token_names: Sequence[Hashable] | None = None,
) -> Figure:
    """A process, its mixed-state presentation, and the mixed states in the simplex, with the same numbers.

    Args:
        process: a process of 2 to 4 states.
        presentation: its `mixed_state_presentation`.
        state_names: `[state]`; default: the names of the process, else numbers.
        token_names: `[token]`; default: the names of the process, else numbers.

    Raises:
        TypeError: as `process_graph`.
        ValueError: as `process_graph`, `presentation_graph` and `mixed_states`.
    """
    figure = Figure(figsize=(PAGE, 2.8), dpi=220)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.0, 1.4, 1.0))
    for axes, title in (
        (left, "process"),
        (middle, "mixed-state presentation"),
        (right, "mixed states in the simplex"),
    ):
        axes.set_title(title)
        axes.set_axis_off()
    process_graph(left, process, state_names=state_names, token_names=token_names)
    presentation_graph(middle, presentation, token_names=token_names)
    mixed_states(right, presentation, state_names=state_names)
    return figure


@styled
def mixed_states(
    axes: Axes, presentation: MixedStatePresentation, *, state_names: Sequence[Hashable] | None = None
) -> None:
    """Draw mixed states and their moves in the simplex: a segment, a triangle, or a tetrahedron seen from the side.

    Numbers and marks are as in `presentation_graph`. More than 16 mixed states are dots, without their moves.

    Args:
        axes: the axes, which loses its own coordinates.
        presentation: from `mixed_state_presentation`, of a process of 2 to 4 states.
        state_names: `[state]`, at the corners; default: the names of the process, else `state 0`, `state 1`, ...

    Raises:
        ValueError: fewer than 2 or more than 4 states; names that are not one per state.

    >>> from beliefgeo.beliefs.mixed_states import mixed_state_presentation
    >>> from beliefgeo.plots.style import panels
    >>> from beliefgeo.processes.classical import golden_mean
    >>> figure, (axes,) = panels(1, 1, 3.4, 2.0)
    >>> mixed_states(axes, mixed_state_presentation(golden_mean()))
    >>> sorted(text.get_text() for text in axes.texts)
    ['0', '1', '2', 'state 0', 'state 1']
    """
    n_states = presentation.beliefs.shape[1]
    if n_states not in (2, 3, 4):
        raise ValueError(
            f"mixed_states draws the simplex of 2, 3 or 4 states; got beliefs of {n_states}: presentation_graph draws "
            "any number"
        )
    numbered = [f"state {state}" for state in range(n_states)]
    names = names_of("state_names", state_names or presentation.state_names or numbered, n_states)
    vertices = np.asarray(simplex_vertices(n_states), float)
    sheet = lay(axes)
    corners, positions = _fit(sheet, vertices, presentation.beliefs @ vertices)
    _outline(axes, corners, names)
    if len(positions) > _DRAWN_WITH_MOVES:
        size = np.clip(2e3 / len(positions), 0.2, 6)
        axes.scatter(*positions.T, s=size, color=BLUE, linewidths=0, rasterized=True, zorder=3)
    else:
        _with_moves(sheet, positions, presentation)


def _fit(sheet: Sheet, corners: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners and points on the sheet, at one scale in all directions, with room for the corners' names."""
    flat = [_flat(cloud) for cloud in (corners, points)]
    low, high = flat[0].min(0), flat[0].max(0)
    room = sheet.high - sheet.low - 2 * np.array([36 if points.shape[1] == 3 else 24, 22])
    scale = np.min(room / np.maximum(high - low, 1e-9))
    middle = (sheet.low + sheet.high) / 2
    return tuple(middle + scale * (cloud - (low + high) / 2) for cloud in flat)


def _flat(points: np.ndarray) -> Float[np.ndarray, "row 2"]:
    """The points in the plane: one axis gives a line, two axes stay as they are, three are seen from the side."""
    if points.shape[1] == 3:
        return points @ _view(azimuth=-115, elevation=30)[:2].T
    return np.pad(points, [(0, 0), (0, 2 - points.shape[1])])


def _outline(axes: Axes, corners: Float[np.ndarray, "state 2"], names: Sequence[str]) -> None:
    for one, other in combinations(corners, 2):
        axes.plot(*np.stack([one, other], 1), color="0.75", linewidth=0.6, zorder=0)
    for corner, name in zip(corners, names, strict=True):
        away = corner - corners.mean(0)
        if abs(away[0]) > 2 * abs(away[1]) > 0:
            place, side = corner + [np.copysign(11, away[0]), 0], "left" if away[0] > 0 else "right"
        else:
            place, side = corner + [0, 16 if away[1] > 0 else -16], "center"
        axes.text(place[0], place[1], name, ha=side, va="center", size=7, color=GREY)


def _with_moves(sheet: Sheet, positions: Float[np.ndarray, "mixed 2"], graph: MixedStatePresentation) -> None:
    moves = moves_of(graph, [""] * graph.successors.shape[1])
    moves = [move._replace(label="") for move in moves if move.source != move.target]  # a loop is not drawn
    radius = fitting_radius(positions, 7.0)
    # A mixed state with the name of a state lies on its corner, where the name already stands.
    names = [name if name == str(number) else "" for number, name in enumerate(mixed_names(graph))]
    draw_graph(sheet, positions, moves, radius, names, graph.recurrent)
    mark_start(sheet.axes, positions[graph.depth.argmin()], radius)


@styled
def bloch_disc(
    axes: Axes,
    points: Num[AnyArray, "row 2"],
    colors: Num[AnyArray, "row 3"],
    weights: Num[AnyArray, " row"] | None = None,
) -> None:
    """Draw beliefs (1, b_x, b_z) of a qubit process as the `density` of points (b_x, b_z) in the unit disc.

    Args:
        axes: an empty axes.
        points: b_x, b_z.
        colors: red, green, blue.
        weights: `[row]`, how much each row counts; default equally.
    """
    axes.add_patch(Circle((0, 0), 1, facecolor="none", edgecolor="0.5", linewidth=0.8, zorder=0))
    axes.plot([-1, 1, np.nan, 0, 0], [0, 0, np.nan, -1, 1], color="0.85", linewidth=0.6, zorder=0)
    axes.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")
    axes.set_axis_off()
    axes.text(1.05, 0, "$b_x$", va="center")
    axes.text(0, 1.05, "$b_z$", ha="center", va="bottom")
    density(axes, points, colors, weights)


@styled
def space_3d(
    axes: Axes,
    points: Num[AnyArray, "row 3"],
    colors: Num[AnyArray, "row 3"],
    *,
    labels: Sequence[str] = ("x", "y", "z"),
    azimuth: Number = 30,
    elevation: Number = 20,
) -> None:
    """Draw points of three dimensions in their box, in parallel projection at equal scale, with shadows on the floor.

    Args:
        axes: an ordinary, empty axes: this function makes the projection.
        points: three coordinates for each point.
        colors: red, green, blue.
        labels: the names of the three coordinates.
        azimuth: the angle of the viewer about the third axis, in degrees from the first.
        elevation: the angle of the viewer above the floor, in degrees, 0 to 90.

    Raises:
        ValueError: no points, or a point that is not finite.
    """
    cloud = np.asarray(points, float)
    if not len(cloud) or not np.isfinite(cloud).all():
        raise ValueError(
            f"space_3d needs one or more finite points; got {len(cloud)} rows, with NaN or infinite entries"
        )
    low, high = cloud.min(0), cloud.max(0)
    pad = 0.04 * (high - low).max() + 1e-9
    low, high = low - pad, high + pad
    view = _view(azimuth, elevation)
    _box(axes, low, high, view, labels)
    floor = np.where([True, True, False], cloud, low)
    _dots(axes, floor @ view[:2].T, np.full((len(cloud), 3), 0.85))
    order = np.argsort(cloud @ view[2])  # nearer points over farther ones
    _dots(axes, cloud[order] @ view[:2].T, np.asarray(colors, float)[order])
    axes.set(aspect="equal")
    axes.set_axis_off()


def _view(azimuth: Number, elevation: Number) -> Float[np.ndarray, "3 3"]:
    """The directions that point right, up and to the viewer."""
    (ca, sa), (ce, se) = [(np.cos(angle), np.sin(angle)) for angle in np.deg2rad(np.array([azimuth, elevation], float))]
    return np.array([[-sa, ca, 0], [-se * ca, -se * sa, ce], [ce * ca, ce * sa, se]])


def _box(axes: Axes, low: np.ndarray, high: np.ndarray, view: Float[np.ndarray, "3 3"], labels: Sequence[str]) -> None:
    """Draw the edges of the box, except those before the points; name each axis and its range along an outer edge."""
    corners = np.array(list(product(*zip(low, high, strict=True))))
    nearest = (corners @ view[2]).argmax()
    for one, other in combinations(range(8), 2):
        if bin(one ^ other).count("1") == 1 and nearest not in (one, other):
            axes.plot(*(corners[[one, other]] @ view[:2].T).T, color="0.8", linewidth=0.6, zorder=0)
    near, far = np.where(view[2] > 0, high, low), np.where(view[2] > 0, low, high)
    sides = [np.array([near[0], far[1]]), np.array([far[0], near[1]])]
    left = min(sides, key=lambda side: side @ view[0, :2])
    edges = [((low[0], near[1], low[2]), 0), ((near[0], low[1], low[2]), 1), ((left[0], left[1], low[2]), 2)]
    centre = (low + high) / 2 @ view[:2].T
    for start, axis in edges:
        ends = np.array([start, start])
        ends[1, axis] = high[axis]
        flat = ends @ view[:2].T
        axes.plot(*flat.T, color="0.4", linewidth=0.7, zorder=0)
        away = flat.mean(0) - centre
        away = away / np.linalg.norm(away)
        for place, text, distance in (
            (flat.mean(0), labels[axis], 13),
            (flat[0] * 0.92 + flat[1] * 0.08, f"{low[axis]:.2g}", 9),
            (flat[1] * 0.92 + flat[0] * 0.08, f"{high[axis]:.2g}", 9),
        ):
            axes.annotate(text, place, away * distance, textcoords="offset points", ha="center", va="center", size=7)


def _dots(axes: Axes, points: np.ndarray, colors: np.ndarray) -> None:
    size = np.clip(1e4 / max(len(points), 1), 0.5, 10)
    axes.scatter(*points.T, s=size, c=np.clip(colors, 0, 1), linewidths=0, rasterized=True)
