"""Graphs of states and moves: a process, and its mixed-state presentation. Titles come first, as `arrows` says."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from beliefgeo.arrays import ArrayLike
from beliefgeo.plots.arrows import (
    INK,
    ROUNDING,
    Move,
    Sheet,
    arrow_label,
    draw_graph,
    fitting_radius,
    lay,
    mark_start,
    reach_beyond,
    widest,
)
from beliefgeo.plots.style import BLUE, GREEN, ORANGE, PURPLE, styled

_TOKEN_STYLES: tuple[tuple[str, Any], ...] = (
    (BLUE, "-"),
    (ORANGE, (0, (4, 1.5))),
    (GREEN, (0, (1, 1))),
    (PURPLE, "-."),
)
# Beyond this many mixed states arrows tell tokens apart by colour and dash instead of by labels.
_LABELLED = 12
# No more mixed states than these are drawn.
_DRAWN = 40


@styled
def process_graph(
    axes: Axes,
    transitions: ArrayLike,
    *,
    state_names: Sequence[str] | None = None,
    token_names: Sequence[str] | None = None,
) -> None:
    """States as circles, arrows labelled `token: probability` (the token alone where it is certain).

    Arrows are as dark as they are likely. In a dense graph the likeliest arrows get their labels first; a note says
    how many found no room.

    Args:
        axes: loses its own coordinates.
        transitions: `[token, state, next_state]`, up to about 12 states; entries may be negative.
        state_names: `[state]`, short enough to stand in a circle; default: numbers.
        token_names: `[token]`; default: numbers.

    Raises:
        ValueError: where the shape is another, or names are not one per state and token.

    >>> from beliefgeo.plots.style import panels
    >>> figure, (axes,) = panels(1, 1, 3.4, 2.0)
    >>> process_graph(axes, [[[0.5, 0.0], [1.0, 0.0]], [[0.0, 0.5], [0.0, 0.0]]])
    >>> sorted(text.get_text() for text in axes.texts)
    ['0', '0', '0: 1/2', '1', '1: 1/2']
    """
    matrices = np.asarray(transitions, float)
    if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2]:
        raise ValueError(f"transitions must have shape [token, state, next_state]; got {matrices.shape}")
    tokens = names_of("token_names", token_names, len(matrices))
    states = names_of("state_names", state_names, matrices.shape[1])
    pairs = np.argwhere((abs(matrices) > ROUNDING).any(0)).tolist()
    moves = [Move(i, j, arrow_label(matrices[:, i, j], tokens), abs(matrices[:, i, j]).sum()) for i, j in pairs]
    sheet = lay(axes)
    radius = max(8.0, widest(axes, states)[0] / 2 + 2)
    margin = radius + 2 + reach_beyond(axes, moves, radius)
    positions = _fill(_spring(len(states), moves, sheet.high), margin, sheet.low, sheet.high)
    draw_graph(sheet, positions, moves, radius, states, np.ones(len(states), bool))


@styled
def msp_graph(
    axes: Axes,
    successors: ArrayLike,
    probabilities: ArrayLike,
    recurrent: ArrayLike,
    depth: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    token_names: Sequence[str] | None = None,
) -> None:
    """A mixed-state presentation: transient states (hollow) by depth from the left, then the recurrent ones (filled).

    The start has a second ring. Up to 12 states arrows are labelled as in `process_graph`; beyond, they are coloured
    and dashed by token. A dotted stub leaves a state whose successors were cut off; of a presentation of more than 40
    states only the first depths are drawn.

    Args:
        axes: loses its own coordinates.
        successors: `[mixed, token]`, -1 where impossible, -2 beyond the cut.
        probabilities: `[mixed, token]`.
        recurrent: `[mixed]`, whether in a closed class.
        depth: `[mixed]`, tokens needed to reach it; the start has 0.
        names: `[mixed]`; default: numbers.
        token_names: `[token]`; default: numbers.

    Raises:
        ValueError: where shapes do not fit one another, a successor is no state, or names are not one each.

    >>> from beliefgeo.plots.style import panels
    >>> figure, (axes,) = panels(1, 1, 3.4, 2.0)
    >>> golden_mean = [[1, 2], [1, 2], [1, -1]], [[2 / 3, 1 / 3], [0.5, 0.5], [1.0, 0.0]]
    >>> msp_graph(axes, *golden_mean, recurrent=[False, True, True], depth=[0, 1, 1])
    >>> sorted(text.get_text() for text in axes.texts)
    ['0', '0', '0: 1/2', '0: 2/3', '1', '1: 1/2', '1: 1/3', '2']
    """
    whole = presentation(successors, probabilities, recurrent, depth)
    labels = names_of("names", names, len(whole.depth))
    tokens = names_of("token_names", token_names, whole.successors.shape[1])
    graph, kept = _first_depths(whole)
    moves = moves_of(graph, tokens)
    sheet = lay(axes)
    sheet = sheet._replace(low=np.array([0.0, _legend(sheet, graph, moves, tokens)]))
    positions = _layers(graph, moves, sheet)
    radius = fitting_radius(positions, 8.0)
    draw_graph(sheet, positions, moves, radius, [labels[node] for node in kept], graph.recurrent)
    mark_start(axes, positions[graph.depth.argmin()], radius)
    for x, y in positions[(graph.successors == -2).any(1)]:
        axes.plot([x + radius + 1, x + radius + 7], [y, y], color=INK, linewidth=0.9, linestyle=":", zorder=1)


class Presentation(NamedTuple):
    """The arrays of a mixed-state presentation, checked."""

    successors: Int[np.ndarray, "mixed token"]
    probabilities: Float[np.ndarray, "mixed token"]
    recurrent: Bool[np.ndarray, " mixed"]
    depth: Int[np.ndarray, " mixed"]


def presentation(
    successors: ArrayLike, probabilities: ArrayLike, recurrent: ArrayLike, depth: ArrayLike
) -> Presentation:
    """The arrays of a mixed-state presentation, or an error where they do not fit."""
    graph = Presentation(
        np.asarray(successors, int),
        np.asarray(probabilities, float),
        np.asarray(recurrent, bool),
        np.asarray(depth, int),
    )
    shapes = [array.shape for array in graph]
    if len(shapes[0]) != 2 or shapes[1] != shapes[0] or any(shape != shapes[0][:1] for shape in shapes[2:]):
        raise ValueError(
            "a presentation needs successors and probabilities [mixed, token], recurrent and depth [mixed]; got shapes "
            f"{', '.join(map(str, shapes))}"
        )
    beyond = (graph.successors < -2) | (graph.successors >= len(graph.depth))
    if beyond.any():
        state, token = np.argwhere(beyond)[0]
        raise ValueError(
            f"successors must be states 0..{len(graph.depth) - 1}, -1 (impossible) or -2 (cut); state {state}, token "
            f"{token} has {graph.successors[state, token]}"
        )
    return graph


def _first_depths(graph: Presentation) -> tuple[Presentation, list[int]]:
    """The whole presentation, or as many depths of it as hold 40 states; and which states those are."""
    held = np.cumsum(np.bincount(graph.depth))
    kept = graph.depth < max(1, (held <= _DRAWN).sum())
    number = np.r_[np.where(kept, np.cumsum(kept) - 1, -2), -2, -1]  # successors -2 and -1 index its end
    shown = Presentation(number[graph.successors[kept]], *(array[kept] for array in graph[1:]))
    return shown, np.flatnonzero(kept).tolist()


def names_of(what: str, names: Sequence[str] | None, count: int) -> list[str]:
    """The names, or numbers; an error where they are not one each."""
    if names is None:
        return [str(index) for index in range(count)]
    if len(names) != count:
        raise ValueError(f"{what} must have {count} entries; got {len(names)}")
    return [str(name) for name in names]


def moves_of(graph: Presentation, tokens: list[str]) -> list[Move]:
    """One arrow from a mixed state to each successor: labelled where there is room for it, else coloured by token."""
    moves = []
    for source, (successors, probabilities) in enumerate(zip(graph.successors, graph.probabilities, strict=True)):
        for target in dict.fromkeys(successors[successors >= 0].tolist()):
            by_token = np.where(successors == target, probabilities, 0)
            move = Move(source, target, arrow_label(by_token, tokens), by_token.sum())
            moves.append(move if len(graph.depth) <= _LABELLED else _colored(move, successors == target))
    return moves


def _colored(move: Move, tokens: Bool[np.ndarray, " token"]) -> Move:
    if len(tokens) > len(_TOKEN_STYLES) or tokens.sum() > 1:
        return move._replace(label="")
    color, dash = _TOKEN_STYLES[int(tokens.argmax())]
    return move._replace(label="", color=color, dash=dash)


def _layers(graph: Presentation, moves: Sequence[Move], sheet: Sheet) -> Float[np.ndarray, "node 2"]:
    """Transient states in columns by depth, recurrent classes to their right, one above the other."""
    columns = [np.flatnonzero(~graph.recurrent & (graph.depth == depth)) for depth in np.unique(graph.depth)]
    columns = [column for column in columns if len(column)]
    classes = _closed_classes(graph, moves)
    width, height = sheet.high - sheet.low
    step = width / (len(columns) + (min(1 + max(map(len, classes)) / 2, 2.6) if classes else 0))
    positions = np.zeros((len(graph.depth), 2))
    for index, column in enumerate(columns):
        column = _ordered(column, moves, positions)
        positions[column, 0] = step * (index + 0.5)
        positions[column, 1] = sheet.low[1] + height * _heights(len(column), index)
    for index, members in enumerate(classes):
        low = np.array([step * len(columns), sheet.low[1] + height * index / len(classes)])
        high = np.array([width, low[1] + height / len(classes)])
        positions[members] = _class(members, moves, low, high)
    return positions


def _heights(count: int, index: int) -> Float[np.ndarray, " node"]:
    """Evenly from the top; lone states step up and down, lest arrows along the row hide one another."""
    heights = 1 - (np.arange(count) + 0.5) / count
    return heights + 0.12 * (-1) ** index if count == 1 else heights


def _ordered(column: np.ndarray, moves: Sequence[Move], positions: np.ndarray) -> np.ndarray:
    """From the top, by the mean height of the states that lead here: few arrows cross."""
    sources = [[m.source for m in moves if m.target == node and m.source not in column] for node in column]
    return column[np.argsort([-positions[found or [0], 1].mean() for found in sources], kind="stable")]


def _class(members: list[int], moves: Sequence[Move], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    place = {node: index for index, node in enumerate(members)}
    inner = [m._replace(source=place[m.source], target=place[m.target]) for m in moves if m.source in place]
    upright = np.array([0.0, 1.0]) if len(members) == 2 else high - low
    return _fill(_spring(len(members), inner, upright), 0.2 * (high - low), low, high)


def _closed_classes(graph: Presentation, moves: Sequence[Move]) -> list[list[int]]:
    inside = nx.Graph([(move.source, move.target) for move in moves if graph.recurrent[move.source]])
    inside.add_nodes_from(np.flatnonzero(graph.recurrent).tolist())
    return [sorted(members) for members in nx.connected_components(inside)]


def _spring(count: int, moves: Sequence[Move], size: np.ndarray) -> Float[np.ndarray, "node 2"]:
    """Kamada & Kawai's springs, from a plane drawing where there is one; a ring where most states are linked."""
    graph = nx.empty_graph(count)
    graph.add_edges_from((move.source, move.target) for move in moves if move.source != move.target)
    if count > 3 and graph.number_of_edges() > 0.85 * count * (count - 1) / 2:
        angles = np.pi / 2 - 2 * np.pi * np.arange(count) / count
        return np.stack([np.cos(angles), np.sin(angles)], 1)
    # Parts that no arrow joins stand as far apart as the longest path could be.
    lengths = dict(nx.all_pairs_shortest_path_length(graph))
    distances = {i: {j: lengths[i].get(j, count) for j in range(count)} for i in range(count)}
    planar = nx.check_planarity(graph)[0] and count > 4
    start = nx.planar_layout(graph) if planar else nx.circular_layout(graph)
    layout = nx.kamada_kawai_layout(graph, dist=distances, pos=start)
    return _turned(np.array([layout[node] for node in range(count)]), size)


def _turned(points: Float[np.ndarray, "node 2"], size: np.ndarray) -> Float[np.ndarray, "node 2"]:
    """The long direction along the frame's, the first node left of the middle."""
    points = points - points.mean(0)
    _, extents, axes = np.linalg.svd(np.vstack([points, np.zeros((2, 2))]), full_matrices=False)
    points = points @ axes.T if extents[1] < 0.8 * extents[0] else points  # long axis first
    points = points if size[0] >= size[1] else points[:, ::-1]
    return points * np.where(points[0] > 0, [-1, 1], [1, 1])


def _fill(
    points: Float[np.ndarray, "node 2"], margin: np.ndarray | float, low: np.ndarray, high: np.ndarray
) -> Float[np.ndarray, "node 2"]:
    """Stretched to the rectangle less its margins; a direction without extent stays in the middle."""
    points = points - (points.max(0) + points.min(0)) / 2
    extent = points.max(0) - points.min(0)
    flat = extent <= 0.05 * extent.max()
    inner = np.maximum(high - low - 2 * margin, 0.2 * (high - low))
    return (low + high) / 2 + points * np.where(flat, 0, inner / np.where(flat, 1, extent))


def _legend(sheet: Sheet, graph: Presentation, moves: Sequence[Move], tokens: Sequence[str]) -> float:
    """Below the graph, in as many rows as it needs; its height."""
    entries = _entries(graph, moves, tokens)
    rows = int(np.ceil(len(entries) * 52 / sheet.high[0]))
    handles, labels = zip(*entries, strict=True)
    legend = sheet.axes.legend(
        handles, labels, loc="lower center", ncols=-(-len(entries) // rows), borderaxespad=0, borderpad=0,
        columnspacing=1.0, handletextpad=0.3, handlelength=1.6,
    )  # fmt: skip
    legend.set_in_layout(False)  # a layout that made room for it would resize the sheet
    return 3.0 + 11.0 * rows


def _entries(graph: Presentation, moves: Sequence[Move], tokens: Sequence[str]) -> list[tuple[Any, str]]:
    dot = lambda face, size=5.0: Line2D(
        [], [], marker="o", markersize=size, linestyle="", color=BLUE, markerfacecolor=face, markeredgewidth=0.8
    )
    line = lambda color, dash: Line2D([], [], color=color, linestyle=dash, linewidth=1)
    cut = bool((graph.successors == -2).any())
    entries: list[tuple[Any, str]] = [((dot("none", 7.5), dot("white", 4.5)), "start")]
    entries += [(line(INK, ":"), "continues")] * cut
    # Where successors were cut off a state that is not known to recur may do so.
    entries += [(dot("white"), "transient")] * (not cut and not graph.recurrent.all())
    entries += [(dot(BLUE), "recurrent")] * bool(graph.recurrent.any())
    if len(graph.depth) > _LABELLED and len(tokens) <= len(_TOKEN_STYLES):
        entries += [(line(*style), f"token {token}") for style, token in zip(_TOKEN_STYLES, tokens, strict=False)]
        entries += [(line(INK, "-"), "several tokens")] * any(move.color == INK for move in moves)
    return entries
