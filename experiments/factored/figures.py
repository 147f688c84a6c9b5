"""Pictures of the factored claim: the number of dimensions, their factors, what probes see of each factor."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from beliefgeo.plots.simplex import cloud, plane_colors, square_around
from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, AnyArray, panels, styled
from beliefgeo.probes import simplex_coordinates

_COLORS = (BLUE, GREEN, "#56B4E9", ORANGE, PURPLE)
_MARKERS = "o^vsD"
_PUBLISHED_TOKENS = 1.1e9
_NO_NUMBERS: dict[str, str] = {}


def draw(results: Mapping[str, Any]) -> dict[str, Figure]:
    """All pictures by name."""
    (found,) = results.values()
    names, published = found["factors"], found["published"]
    titles = [f"{name} {1 + names[:n].count(name)}" for n, name in enumerate(names)]
    return {
        "training": training_panels(found["tokens"], found["shots"], titles, found["components"], published),
        "subspaces": subspace_panels(found["tokens"], found["shots"].varied, titles, published),
        "beliefs": belief_columns(*clouds_and_outlines(found, titles)),
    }


def clouds_and_outlines(found: Mapping[str, Any], titles: Sequence[str]) -> tuple[dict, np.ndarray, dict]:
    """Beliefs about each factor in their plane, their weights, and the edges of what is possible."""
    angle = np.linspace(0, 2 * np.pi, 200)
    pure = {"mess3": np.eye(3)[[0, 1, 2, 0]], "bloch_walk": np.stack([angle * 0, np.cos(angle), np.sin(angle)], 1)}
    flat = lambda name, beliefs: simplex_coordinates(beliefs) if name == "mess3" else beliefs[:, 1:]
    clouds, outlines = {}, {}
    for n, (name, title) in enumerate(zip(found["factors"], titles, strict=True)):
        mine = found["entries"] == n
        clouds[title] = {kind: flat(name, beliefs[:, mine]) for kind, beliefs in found["clouds"].items()}
        outlines[title] = flat(name, pure[name])
    return clouds, found["counts"], outlines


@styled
def training_panels(
    tokens: Num[AnyArray, " snapshot"],
    shots: Any,
    factors: Sequence[str],
    exact: Any,
    published: Mapping[str, str] = _NO_NUMBERS,
) -> Figure:
    """Dimensions of the activations, loss gap, and error of each factor's probe against training tokens.

    Args:
        tokens: 0 first: the untrained network, drawn at the left edge.
        shots: with "dimensions", "losses" and "rmse", `Seeds` of snapshots.
        factors: their names.
        exact: components of the "joint" and of the "factored" beliefs.
        published: label of a claim -> numbers, drawn as diamonds.
    """
    dimensions, errors = shots.dimensions.mean, shots.rmse.mean
    figure, (left, middle, right) = panels(1, 3, PAGE, 2.8)
    left.plot(_places(tokens), dimensions, ".-", color=BLUE, label="network")
    _ends(left, tokens, published, "components for 95%, network", BLUE)
    for kind, count, style in (("joint", exact.joint, "--"), ("factored", exact.factored, ":")):
        left.axhline(count, color=GREY, linestyle=style, linewidth=1, label=f"{kind} beliefs: {count}")
    _counts_axis(left, "components for 95%", 1.6 * max(exact.joint, dimensions.max()))
    middle.plot(_places(tokens), shots.losses.gap.mean, ".-", color=BLUE, label="network")
    middle.set(yscale="log", ylabel="loss above the optimum (nats)")
    _factor_lines(right, tokens, errors, factors)
    for name in dict.fromkeys(factor.rsplit(" ", 1)[0] for factor in factors):
        first = [factor.rsplit(" ", 1)[0] for factor in factors].index(name)
        _ends(right, tokens, published, f"RMSE of {name}", _COLORS[first])
    right.set(ylim=(0, None), ylabel="RMSE of the probed belief")
    for axis in (left, middle, right):
        _training_axis(axis)
        _legend_above(axis)
    middle.set_xlim(left.get_xlim())
    return figure


@styled
def subspace_panels(
    tokens: Num[AnyArray, " snapshot"], found: Any, factors: Sequence[str], published: Mapping[str, str] = _NO_NUMBERS
) -> Figure:
    """What varies with each factor alone: dimensions and overlaps over training, and the final overlap of each pair.

    Args:
        tokens: 0 first: the untrained network.
        found: `subspaces.factor_subspaces`, `Seeds` of snapshots in every entry.
        factors: their names.
        published: label of a claim -> numbers, drawn as diamonds.
    """
    figure, (left, middle, right) = panels(1, 3, PAGE, 2.9)
    _factor_lines(left, tokens, found.dimensions.mean, factors)
    union = found.union.mean
    left.plot(_places(tokens), union, "--", color=GREY, label="union")
    _ends(left, tokens, published, "dimensions, one factor varied: union", GREY)
    each = _numbers(published, "dimensions, one factor varied: each, trained")
    for count, color in zip(each, _COLORS, strict=False):
        left.plot(_PUBLISHED_TOKENS, count, "D", color=color, markersize=4, markerfacecolor="none")
    _counts_axis(left, "dimensions, one factor varied", 1.6 * union.max())
    leading, whole = found.leading, found.whole
    middle.plot(_places(tokens), leading.mean.mean, ".-", color=BLUE, label="leading directions")
    _ends(middle, tokens, published, "overlap of leading directions", BLUE)
    middle.plot(_places(tokens), whole.mean.mean, "s--", color=ORANGE, markersize=3, label="whole subspaces")
    middle.set(yscale="log", ylabel="overlap, mean over pairs", ylim=(None, 1.5))
    for axis in (left, middle):
        _legend_above(axis)
    for axis in (left, middle):
        _training_axis(axis)
    matrix = whole.matrix.mean[-1]
    right.imshow(matrix, cmap="Greys", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(matrix):
        ink = "white" if value > 0.5 else "black"
        right.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color=ink)
    names = [name.replace("bloch_walk", "bloch") for name in factors]
    right.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
    right.set_yticks(range(len(names)), names)
    right.set_title("overlap at the end")
    return figure


@styled
def belief_columns(
    clouds: Mapping[str, Mapping[str, Num[AnyArray, "row 2"]]],
    weights: Num[AnyArray, " row"],
    outlines: Mapping[str, Num[AnyArray, "corner 2"]],
) -> Figure:
    """A column of panels for each factor, a row for each kind (exact, probed, ...); a prefix has one colour.

    Args:
        clouds: factor -> kind -> points, the exact points first.
        weights: `[row]`, how much each row counts.
        outlines: factor -> a closed line around all possible beliefs. Points twice as far are left out.
    """
    kinds = list(next(iter(clouds.values())))
    figure, axes = panels(len(kinds), len(clouds), PAGE, 0.25 + len(kinds) * (PAGE / max(len(clouds), 4) + 0.05))
    for column, (factor, views) in enumerate(clouds.items()):
        edge, colors = np.asarray(outlines[factor]), plane_colors(next(iter(views.values())), weights)
        across, along = square_around(edge, views.values())
        for row, (kind, points) in enumerate(views.items()):
            panel = axes[row * len(clouds) + column]
            panel.set(xlim=across, ylim=along, aspect="equal", xticks=[], yticks=[])
            panel.spines[:].set(visible=False)
            panel.plot(*edge.T, color="0.75", linewidth=0.6, zorder=0)
            cloud(panel, points, colors, weights)
            if not row:
                panel.set_title(factor)
            if not column:
                panel.set_ylabel(kind)
    return figure


def _numbers(published: Mapping[str, str], label: str) -> list[float]:
    return [float(number) for number in published.get(label, "").replace(",", " ").split()]


def _ends(axis: Axes, tokens: Num[AnyArray, " snapshot"], published: Mapping[str, str], label: str, color: str) -> None:
    """The published numbers of the untrained and of the trained network, after as many tokens as were published."""
    for end, place in (("untrained", _places(tokens)[0]), ("trained", _PUBLISHED_TOKENS)):
        for number in _numbers(published, f"{label}, {end}"):
            axis.plot(place, number, "D", color=color, markersize=4, markerfacecolor="none")


def _legend_above(axis: Axes) -> None:
    """A legend above the panel; hollow diamonds in it are published."""
    if any(line.get_marker() == "D" and line.get_markerfacecolor() == "none" for line in axis.lines):
        axis.plot([], [], "D", color=GREY, markersize=4, markerfacecolor="none", label="published")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, columnspacing=1.0, handlelength=1.8)


def _places(tokens: Num[AnyArray, " snapshot"]) -> np.ndarray:
    """Training tokens, with the untrained network at half the first snapshot: 0 has no place on a logarithmic axis."""
    tokens = np.asarray(tokens, float)
    return np.where(tokens > 0, tokens, tokens[tokens > 0].min() / 2)


def _factor_lines(
    axis: Axes, tokens: Num[AnyArray, " snapshot"], curves: Num[AnyArray, "snapshot factor"], factors: Sequence[str]
) -> None:
    for name, curve, color, marker in zip(factors, np.asarray(curves).T, _COLORS, _MARKERS, strict=False):
        axis.plot(_places(tokens), curve, color=color, marker=marker, markersize=3, linewidth=1, label=name)


def _training_axis(axis: Axes) -> None:
    axis.set(xscale="log", xlabel="training tokens (first: untrained)")
    axis.xaxis.set_minor_formatter(NullFormatter())


def _counts_axis(axis: Axes, label: str, top: float) -> None:
    ticks = [1, 3, 10, 30, 100, 300]
    axis.set(yscale="log", ylabel=label)
    axis.set_yticks(ticks, [str(tick) for tick in ticks])
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_ylim(1, top)
