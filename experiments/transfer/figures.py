"""How fast targets learn from four starts, how near the optimum they come, and whose geometry they have."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from measures import LEVEL, SHUFFLED
from verdicts import FACTOR

from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, panels, styled
from beliefgeo.reading import Seeds

_KINDS = {
    "same": ("frozen blocks of the same structure", BLUE, "o"),
    "another": ("frozen blocks of another process", ORANGE, "s"),
    "random": ("frozen random blocks", GREY, "D"),
    "scratch": ("everything trained, from scratch", GREEN, "^"),
}
_SOURCES = {
    "same": ("from the source", BLUE, "o"),
    "another": ("from a network of another process", ORANGE, "s"),
    "random": ("from the untrained source", GREY, "D"),
    SHUFFLED: ("from the source, shuffled", "0.7", "x"),
}
_SHIFTS = (-0.24, -0.08, 0.08, 0.24)  # marks of one process, one below the other


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """Draw learning curves, ratios of final gaps, and R2 of maps and probes."""
    return {"learning": learning(results), "ratios": ratios(results), "geometry": geometry(results)}


@styled
def learning(results: Mapping[str, Any]) -> Figure:
    """The gap against training tokens, a panel a process: all seeds; and the gap with tables that are copied."""
    columns = min(3, len(results))
    rows = -(-len(results) // columns)
    figure, axes = panels(rows, columns, PAGE, 0.5 + 1.9 * rows)
    for spare in axes[len(results) :]:
        spare.remove()
    for panel, (name, found) in zip(axes, results.items(), strict=False):
        later = np.asarray(found["tokens"])[1:]
        for kind, (label, color, _) in _KINDS.items():
            for seed, gaps in enumerate(found["curves"][kind].values[:, 1:]):
                panel.plot(later, gaps, color=color, linewidth=0.8, label=None if seed else label)
        panel.axhline(
            found["copied"].mean, color=BLUE, linewidth=0.9, linestyle="--", label="tables copied from the source"
        )
        panel.axhline(LEVEL, color="0.6", linewidth=0.7, linestyle=":", zorder=0)
        panel.set(title=name, xscale="log", yscale="log")
        panel.xaxis.set_minor_formatter(NullFormatter())
    for panel in axes[: len(results)][::columns]:
        panel.set_ylabel("loss above the optimum (nats)")
    for panel in axes[max(0, len(results) - columns) : len(results)]:
        panel.set_xlabel("training tokens")
    _legend(figure, axes[0], 2)
    return figure


@styled
def ratios(results: Mapping[str, Any]) -> Figure:
    """The gap at the end of training, in units of that with blocks of the same structure."""
    figure, (panel,) = panels(1, 1, PAGE, 0.9 + 0.4 * len(results))
    kinds = [kind for kind in _KINDS if kind != "same"]
    for index, found in enumerate(results.values()):
        for shift, kind in zip((-0.22, 0, 0.22), kinds, strict=True):
            (label, color, marker), one = _KINDS[kind], found["final ratios"][kind]
            y, name = index + shift, label if index == 0 else None
            panel.plot([one.low, one.high], [y, y], color=color, linewidth=1)
            panel.plot(one.ratio, y, marker=marker, color=color, markersize=4, linestyle="", label=name)
    panel.axvline(1, color="0.85", linewidth=0.6, zorder=0)
    panel.axvline(FACTOR, color="0.6", linewidth=0.7, linestyle=":", zorder=0)
    panel.set(xscale="log", yticks=range(len(results)), yticklabels=list(results), ylim=(len(results) - 0.5, -0.5))
    panel.set_xlabel("gap at the end, over that with frozen blocks of the same structure")
    _legend(figure, panel, 3)
    return figure


@styled
def geometry(results: Mapping[str, Any]) -> Figure:
    """R2 of one map into targets trained from scratch; and of the source's probe, as it is, in each kind of target."""
    figure, (left, right) = panels(1, 2, PAGE, 1.1 + 0.4 * len(results))
    for index, found in enumerate(results.values()):
        for shift, (kind, look) in zip(_SHIFTS, _SOURCES.items(), strict=True):
            _dot(left, found["geometry"]["scratch"]["map"][kind], index + shift, look, index == 0)
        for shift, (kind, look) in zip(_SHIFTS, _KINDS.items(), strict=True):
            _dot(right, found["geometry"][kind]["probe"], index + shift, look, index == 0)
    left.set_xlabel("R$^2$ of one map into a target from scratch")
    right.set_xlabel("R$^2$ of the source's probe in the target, from -1")
    for panel in (left, right):
        panel.axvline(1, color="0.85", linewidth=0.6, zorder=0)
        panel.set(yticks=range(len(results)), yticklabels=list(results), ylim=(len(results) - 0.5, -0.5))
        panel.legend(loc="lower center", bbox_to_anchor=(0.45, 1), ncols=1)
    right.set_xlim(-1.1, 1.05)
    left.set_xlim(-0.3, 1.05)
    return figure


def _dot(panel: Axes, score: Seeds, row: float, look: tuple[str, str, str], first: bool) -> None:
    """A mean and its interval; what is below the axis stays at its edge."""
    label, color, marker = look
    low, high = (score.mean, score.mean) if score.interval is None else score.interval
    panel.plot([max(low, -1), max(high, -1)], [row, row], color=color, linewidth=1)
    panel.plot(
        max(score.mean, -1), row, marker=marker, color=color, markersize=4, linestyle="", label=label if first else None
    )


def _legend(figure: Figure, panel: Axes, columns: int) -> None:
    figure.legend(*panel.get_legend_handles_labels(), loc="outside upper center", ncols=columns)
