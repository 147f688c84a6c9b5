"""Graphs of states and moves: a process, and its mixed-state presentation. Set titles first, as `arrows` says."""

from collections.abc import Hashable, Sequence
from typing import Any

import networkx as nx
import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from beliefgeo.beliefs.mixed_states import MixedStatePresentation
from beliefgeo.plots.arrows import (
    INK,
    ROUNDING,
    Move,
    Sheet,
    draw_graph,
    fitting_radius,
    lay,
    mark_start,
    reach_beyond,
)
from beliefgeo.plots.labels import arrow_label, cut_names, mixed_names, names_of, roomy_radius
from beliefgeo.plots.style import BLUE, GREEN, ORANGE, PURPLE, styled
from beliefgeo.processes.factored import require_process
from beliefgeo.processes.process import Observer

_TOKEN_STYLES: tuple[tuple[str, Any], ...] = (
    (BLUE, "-"),
    (ORANGE, (0, (4, 1.5))),
    (GREEN, (0, (1, 1))),
    (PURPLE, "-."),
)
# With more mixed states than this, arrows show tokens by colour and dash instead of labels.
_LABELLED = 12
# The largest number of mixed states that is drawn.
_DRAWN = 40


@styled
def process_graph(
    axes: Axes,
    process: Observer,
    *,
    state_names: Sequence[Hashable] | None = None,
    token_names: Sequence[Hashable] | None = None,
) -> None:
    """Draw states as circles, with arrows labelled `token: probability` (the token alone if it is certain).

    Likelier arrows are darker. In a dense graph the likeliest arrows get their labels first; a note says how many
    labels found no room.

    Args:
        axes: the axes, which loses its own coordinates.
        process: a process of up to about 12 states; a composition counts as its joint. Entries may be negative.
        state_names: `[state]`, cut if they do not fit into a circle; default: the names of the process, else numbers.
        token_names: `[token]`; default: the names of the process, else numbers.

    Raises:
        TypeError: an object that is neither a process nor made of processes.
        ValueError: names that are not one per state and token.

    >>> from beliefgeo.plots.style import panels
    >>> from beliefgeo.processes.edges import from_edges
    >>> figure, (axes,) = panels(1, 1, 3.4, 2.0)
    >>> process_graph(axes, from_edges([("A", "0", "A", 0.5), ("A", "1", "B", 0.5), ("B", "0", "A", 1.0)]))
    >>> sorted(text.get_text() for text in axes.texts)
    ['0', '0: 1/2', '1: 1/2', 'A', 'B']
    """
    process = require_process("process_graph", process)
    matrices = np.asarray(process.transitions, float)
    tokens = names_of("token_names", token_names or process.token_names, len(matrices))
    states = names_of("state_names", state_names or process.state_names, matrices.shape[1])
    pairs = np.argwhere((abs(matrices) > ROUNDING).any(0)).tolist()
    moves = [Move(i, j, arrow_label(matrices[:, i, j], tokens), abs(matrices[:, i, j]).sum()) for i, j in pairs]
    sheet = lay(axes)
    layout = _spring(len(states), moves, sheet.high)
    for share in (1, 0.75, 0.5, 0):  # names are cut if circles that hold them would overlap
        radius = max(8.0, share * roomy_radius(axes, states))
        margin = radius + 2 + reach_beyond(axes, moves, radius)
        positions = _fill(layout, margin, sheet.low, sheet.high)
        if fitting_radius(positions, radius) == radius:
            break
    draw_graph(sheet, positions, moves, radius, cut_names(axes, states, radius), np.ones(len(states), bool))


@styled
def presentation_graph(
    axes: Axes,
    presentation: MixedStatePresentation,
    *,
    names: Sequence[Hashable] | None = None,
    token_names: Sequence[Hashable] | None = None,
) -> None:
    """Draw a mixed-state presentation: transient states (hollow) by depth from the left, then recurrent (filled).

    The start has a second ring. With up to 12 states arrows are labelled as in `process_graph`; with more states they
    are coloured and dashed by token. A dotted stub leaves a state whose successors were cut off. Of a presentation of
    more than 40 states only the first depths are drawn.

    Args:
        axes: the axes, which loses its own coordinates.
        presentation: from `mixed_state_presentation`.
        names: `[mixed]`; default: numbers, or the name of a state that the observer knows for certain.
        token_names: `[token]`; default: the names of the process, else numbers.

    Raises:
        ValueError: names that are not one per mixed state or token.

    >>> from beliefgeo.beliefs.mixed_states import mixed_state_presentation
    >>> from beliefgeo.plots.style import panels
    >>> from beliefgeo.processes.classical import golden_mean
    >>> figure, (axes,) = panels(1, 1, 3.4, 2.0)
    >>> presentation_graph(axes, mixed_state_presentation(golden_mean()))
    >>> sorted(text.get_text() for text in axes.texts)
    ['0', '0', '0: 1/2', '0: 2/3', '1', '1: 1/2', '1: 1/3', '2']
    """
    labels = mixed_names(presentation) if names is None else names_of("names", names, len(presentation.depth))
    given = token_names or presentation.token_names
    tokens = names_of("token_names", given, presentation.successors.shape[1])
    graph, kept = _first_depths(presentation)
    moves = moves_of(graph, tokens)
    sheet = lay(axes)
    sheet = sheet._replace(low=np.array([0.0, _legend(sheet, graph, moves, tokens)]))
    positions = _layers(graph, moves, sheet)
    shown = [labels[node] for node in kept]
    radius = fitting_radius(positions, roomy_radius(axes, shown))
    draw_graph(sheet, positions, moves, radius, cut_names(axes, shown, radius), graph.recurrent)
    mark_start(axes, positions[graph.depth.argmin()], radius)
    for x, y in positions[(graph.successors == -2).any(1)]:
        axes.plot([x + radius + 1, x + radius + 7], [y, y], color=INK, linewidth=0.9, linestyle=":", zorder=1)


def _first_depths(graph: MixedStatePresentation) -> tuple[MixedStatePresentation, list[int]]:
    """The whole presentation, or its first depths with up to 40 states; and the numbers of the states kept."""
    held = np.cumsum(np.bincount(graph.depth))
    kept = graph.depth < max(1, (held <= _DRAWN).sum())
    number = np.r_[np.where(kept, np.cumsum(kept) - 1, -2), -2, -1]  # successors -2 and -1 index its end
    shown = graph._replace(
        beliefs=graph.beliefs[kept],
        depth=graph.depth[kept],
        successors=number[graph.successors[kept]],
        probabilities=graph.probabilities[kept],
        recurrent=graph.recurrent[kept],
    )
    return shown, np.flatnonzero(kept).tolist()


def moves_of(graph: MixedStatePresentation, tokens: list[str]) -> list[Move]:
    """An arrow from a mixed state to each successor: labelled if there is room, else coloured by token."""
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


def _layers(graph: MixedStatePresentation, moves: Sequence[Move], sheet: Sheet) -> Float[np.ndarray, "node 2"]:
    """Positions: transient states in columns by depth, recurrent classes to their right, one above the other."""
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
    """Heights, evenly from the top; lone states step up and down, so that arrows along the row stay visible."""
    heights = 1 - (np.arange(count) + 0.5) / count
    return heights + 0.12 * (-1) ** index if count == 1 else heights


def _ordered(column: np.ndarray, moves: Sequence[Move], positions: np.ndarray) -> np.ndarray:
    """A column from the top, ordered by the mean height of the states that lead there, so that few arrows cross."""
    sources = [[m.source for m in moves if m.target == node and m.source not in column] for node in column]
    return column[np.argsort([-positions[found or [0], 1].mean() for found in sources], kind="stable")]


def _class(members: list[int], moves: Sequence[Move], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    place = {node: index for index, node in enumerate(members)}
    inner = [m._replace(source=place[m.source], target=place[m.target]) for m in moves if m.source in place]
    upright = np.array([0.0, 1.0]) if len(members) == 2 else high - low
    return _fill(_spring(len(members), inner, upright), 0.2 * (high - low), low, high)


def _closed_classes(graph: MixedStatePresentation, moves: Sequence[Move]) -> list[list[int]]:
    inside = nx.Graph([(move.source, move.target) for move in moves if graph.recurrent[move.source]])
    inside.add_nodes_from(np.flatnonzero(graph.recurrent).tolist())
    return [sorted(members) for members in nx.connected_components(inside)]


def _spring(count: int, moves: Sequence[Move], size: np.ndarray) -> Float[np.ndarray, "node 2"]:
    """Positions by Kamada & Kawai's springs, from a planar drawing if possible; a ring if most states are linked."""
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
    """The points turned so that their long direction is the frame's, with the first node left of the middle."""
    points = points - points.mean(0)
    _, extents, axes = np.linalg.svd(np.vstack([points, np.zeros((2, 2))]), full_matrices=False)
    points = points @ axes.T if extents[1] < 0.8 * extents[0] else points  # long axis first
    points = points if size[0] >= size[1] else points[:, ::-1]
    return points * np.where(points[0] > 0, [-1, 1], [1, 1])


def _fill(
    points: Float[np.ndarray, "node 2"], margin: np.ndarray | float, low: np.ndarray, high: np.ndarray
) -> Float[np.ndarray, "node 2"]:
    """The points stretched to the rectangle without its margins; a direction without extent stays in the middle."""
    points = points - (points.max(0) + points.min(0)) / 2
    extent = points.max(0) - points.min(0)
    flat = extent <= 0.05 * extent.max()
    inner = np.maximum(high - low - 2 * margin, 0.2 * (high - low))
    return (low + high) / 2 + points * np.where(flat, 0, inner / np.where(flat, 1, extent))


def _legend(sheet: Sheet, graph: MixedStatePresentation, moves: Sequence[Move], tokens: Sequence[str]) -> float:
    """Draw the legend below the graph, in as many rows as it needs, and return its height."""
    entries = _entries(graph, moves, tokens)
    rows = int(np.ceil(len(entries) * 52 / sheet.high[0]))
    handles, labels = zip(*entries, strict=True)
    legend = sheet.axes.legend(
        handles, labels, loc="lower center", ncols=-(-len(entries) // rows), borderaxespad=0, borderpad=0,
        columnspacing=1.0, handletextpad=0.3, handlelength=1.6,
    )  # fmt: skip
    legend.set_in_layout(False)  # a layout with room for it would resize the sheet
    return 3.0 + 11.0 * rows


def _entries(graph: MixedStatePresentation, moves: Sequence[Move], tokens: Sequence[str]) -> list[tuple[Any, str]]:
    dot = lambda face, size=5.0: Line2D(
        [], [], marker="o", markersize=size, linestyle="", color=BLUE, markerfacecolor=face, markeredgewidth=0.8
    )
    line = lambda color, dash: Line2D([], [], color=color, linestyle=dash, linewidth=1)
    cut = bool((graph.successors == -2).any())
    entries: list[tuple[Any, str]] = [((dot("none", 7.5), dot("white", 4.5)), "start")]
    entries += [(line(INK, ":"), "continues")] * cut
    # If successors were cut off, a state that is not known to recur may recur.
    entries += [(dot("white"), "transient")] * (not cut and not graph.recurrent.all())
    entries += [(dot(BLUE), "recurrent")] * bool(graph.recurrent.any())
    if len(graph.depth) > _LABELLED and len(tokens) <= len(_TOKEN_STYLES):
        entries += [(line(*style), f"token {token}") for style, token in zip(_TOKEN_STYLES, tokens, strict=False)]
        entries += [(line(INK, "-"), "several tokens")] * any(move.color == INK for move in moves)
    return entries
