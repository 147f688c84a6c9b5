"""Pictures of generators: their hidden states beside the fractal of beliefs, and what those states know."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from claims import HAND, KINDS, LEAST, MOST, SECOND
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.simplex import belief_colors, simplex_scatter, square_around
from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, SKY, panels, styled
from beliefgeo.probes import simplex_coordinates
from beliefgeo.probes.geometry import simplex_vertices

_COLORS = dict(zip((*HAND, *KINDS, SECOND), (GREY, "0.0", BLUE, ORANGE, PURPLE, GREEN), strict=True))
_SHOWN = (HAND[1], HAND[0], *KINDS, SECOND)


def draw(results: Mapping[str, Any]) -> dict[str, Figure]:
    """The states, and what they know."""
    return {"states": states(results), "knowledge": knowledge(results)}


@styled
def states(results: Mapping[str, Any]) -> Figure:
    """Above the law of the next token as a mixture of the three states' laws, over the fractal; below hidden states."""
    figure, axes = panels(2, len(_SHOWN), PAGE, 3.3)
    fractal = np.asarray(simplex_coordinates(results["fractal"]))
    drawn = {name: results["clouds"][name] for name in _SHOWN}
    inside = {name: np.asarray(simplex_coordinates(one["mixtures"])) for name, one in drawn.items()}
    limits = square_around(np.asarray(simplex_vertices(3)), inside.values(), most=1.3)
    for column, (name, one) in enumerate(drawn.items()):
        upper, lower = axes[column], axes[column + len(_SHOWN)]
        upper.scatter(*fractal.T, s=0.3, c="0.8", linewidths=0, rasterized=True)
        simplex_scatter(upper, inside[name], belief_colors(one["mixtures"]), size=_size(inside[name]))
        upper.set(xlim=limits[0], ylim=limits[1])
        title = name.replace("feedback, after", "feedback, after\n") if name == SECOND else name
        upper.set_title(f"{title}\n{_told(results, name)}", fontsize=7.5)
        plane = one["plane"]
        lower.scatter(*plane.T, s=_size(plane), c=belief_colors(one["mixtures"]), linewidths=0, rasterized=True)
        across, along = square_around(None, [plane])
        lower.set(xlim=across, ylim=along, aspect="equal", xticks=[], yticks=[])
    axes[0].text(-0.08, 0.5, "law of the next token", transform=axes[0].transAxes, rotation=90, va="center", ha="right")
    axes[len(_SHOWN)].set_ylabel("hidden states,\nprincipal plane")
    return figure


def _size(points: np.ndarray) -> float:
    """Large dots where there are few places."""
    return 7.0 if len(np.unique(points.round(3), axis=0)) < 200 else 1.0


def _told(results: Mapping[str, Any], name: str) -> str:
    value = results[name]["value"].excess if name in HAND else results[name]["trained"]["value"].excess.values[0]
    return f"excess {abs(value) if abs(value) < 5e-4 else value:.3f} nats"


@styled
def knowledge(results: Mapping[str, Any]) -> Figure:
    """Excess knowledge of every generator, position by position, and by the noise paths of a training step."""
    figure, (left, middle, right) = panels(1, 3, PAGE, 2.7)
    _every(left, results)
    told = []
    for name in (*HAND, *KINDS, SECOND):
        told = results[name]["value"].positions if name in HAND else results[name]["trained"]["value"].positions.mean
        style = "--" if name in HAND else "-"
        middle.plot(range(1, len(told) + 1), told, style, color=_COLORS[name], marker="o", markersize=2.5, label=name)
    middle.set_xticks(range(1, len(told) + 1))
    middle.set(xlabel="position in the word", ylabel="excess knowledge (nats)", title="by position", ylim=(-0.05, None))
    floor = results["exact"]["floor without feedback"]
    for kind, each in results["paths"].items():
        numbers = [int(count) for count in each]
        values = np.stack([one.excess.values for one in each.values()], 1)
        right.plot(numbers, values.mean(0), color=_COLORS[kind], marker="o", markersize=3, label=kind)
        right.fill_between(numbers, values.min(0), values.max(0), color=_COLORS[kind], alpha=0.2, linewidth=0)
    right.axhline(floor, color="0.6", linewidth=0.8, linestyle=":", label="floor without feedback")
    right.set_xscale("log", base=2)
    right.set(
        xlabel="noise paths of a training step", ylabel="nats a token", title="by noise paths", ylim=(-0.02, None)
    )
    shown = sorted({int(count) for each in results["paths"].values() for count in each})
    right.set_xticks(shown, [str(one) for one in shown])
    handles, labels = middle.get_legend_handles_labels()
    floor_handle, floor_label = (both[-1:] for both in right.get_legend_handles_labels())
    figure.legend(handles + floor_handle, labels + floor_label, loc="outside lower center", ncols=4)
    return figure


def _every(panel: Axes, results: Mapping[str, Any]) -> None:
    """A row a generator: its mean and interval, each seed, and the untrained generator as a cross."""
    names = (*HAND, *KINDS, SECOND)
    for row, name in enumerate(names):
        if name in HAND:
            panel.plot(results[name]["value"].excess, row, "D", color=_COLORS[name], markersize=4)
            continue
        seeds = results[name]["trained"]["value"].excess
        panel.plot(seeds.values, np.full(len(seeds.values), row), "o", color=_COLORS[name], markersize=3, alpha=0.5)
        if seeds.interval is not None:
            panel.plot(seeds.interval, [row, row], color=_COLORS[name], linewidth=2.5)
        if "untrained" in results[name]:
            panel.plot(results[name]["untrained"]["value"].excess.mean, row, "x", color="0.3", markersize=4)
    panel.axvline(0, color="0.6", linewidth=0.6)
    for threshold in (MOST, LEAST):
        panel.axvline(threshold, color=SKY, linewidth=0.8, linestyle="--")
    panel.axvline(results["exact"]["floor without feedback"], color="0.6", linewidth=0.8, linestyle=":")
    panel.set_yticks(range(len(names)), [name.replace(", ", ",\n") for name in names])
    panel.invert_yaxis()
    panel.set(xlabel="nats a token", title="excess knowledge\n(x untrained, dashed: thresholds)")
