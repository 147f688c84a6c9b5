"""How fast targets learn from four starts, how many times as many tokens they need, and whose geometry they have."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
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


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """Draw learning curves, ratios of tokens, and R2 of maps and probes."""
    return {"learning": learning(results), "ratios": ratios(results), "geometry": geometry(results)}


@styled
def learning(results: Mapping[str, Any]) -> Figure:
    """The gap against training tokens, a panel a process: the geometric mean of the seeds, and their range."""
    columns = min(3, len(results))
    rows = -(-len(results) // columns)
    figure, axes = panels(rows, columns, PAGE, 0.5 + 1.9 * rows)
    for spare in axes[len(results) :]:
        spare.remove()
    for panel, (name, found) in zip(axes, results.items(), strict=False):
        later = np.asarray(found["tokens"])[1:]
        for kind, (label, color, _) in _KINDS.items():
            gaps = found["curves"][kind].values[:, 1:]
            panel.plot(later, np.exp(np.log(gaps).mean(0)), color=color, label=label)
            panel.fill_between(later, gaps.min(0), gaps.max(0), color=color, alpha=0.2, linewidth=0)
        panel.axhline(LEVEL, color="0.6", linewidth=0.7, linestyle=":", zorder=0)
        panel.set(title=name, xscale="log", yscale="log")
    for panel in axes[: len(results)][::columns]:
        panel.set_ylabel("loss above the optimum (nats)")
    for panel in axes[max(0, len(results) - columns) : len(results)]:
        panel.set_xlabel("training tokens")
    _legend(figure, axes[0], 2)
    return figure


@styled
def ratios(results: Mapping[str, Any]) -> Figure:
    """Tokens to the gap, in units of those with blocks of the same structure; an arrow where it is not reached."""
    figure, (panel,) = panels(1, 1, PAGE, 0.9 + 0.4 * len(results))
    kinds = [kind for kind in _KINDS if kind != "same"]
    for index, found in enumerate(results.values()):
        for shift, kind in zip((-0.22, 0, 0.22), kinds, strict=True):
            (label, color, marker), one = _KINDS[kind], found["ratios"][kind]
            if np.isnan(one.ratio):
                continue
            y, name = index + shift, label if index == 0 else None
            panel.plot([one.low, one.ratio if one.unreached else one.high], [y, y], color=color, linewidth=1)
            panel.plot(one.ratio, y, marker=marker, color=color, markersize=4, linestyle="", label=name)
            if one.unreached:
                panel.annotate(
                    "", (one.ratio * 1.5, y), (one.ratio, y), arrowprops={"arrowstyle": "->", "color": color}
                )
    panel.axvline(1, color="0.85", linewidth=0.6, zorder=0)
    panel.axvline(FACTOR, color="0.6", linewidth=0.7, linestyle=":", zorder=0)
    panel.set(xscale="log", yticks=range(len(results)), yticklabels=list(results))
    panel.set_xlabel("tokens to 1e-3 nats, over those with frozen blocks of the same structure")
    panel.invert_yaxis()
    _legend(figure, panel, 3)
    return figure


@styled
def geometry(results: Mapping[str, Any]) -> Figure:
    """R2 of one map into targets trained from scratch; and of the source's probe, as it is, in each kind of target."""
    figure, (left, right) = panels(1, 2, PAGE, 0.9 + 0.36 * len(results))
    for index, found in enumerate(results.values()):
        for kind, look in _SOURCES.items():
            _dot(left, found["geometry"]["scratch"]["map"][kind], index, look, index == 0)
        for kind, look in _KINDS.items():
            _dot(right, found["geometry"][kind]["probe"], index, look, index == 0)
    left.set_xlabel("R$^2$ of one map into a target from scratch")
    right.set_xlabel("R$^2$ of the source's probe of beliefs in the target")
    for panel in (left, right):
        panel.axvline(1, color="0.85", linewidth=0.6, zorder=0)
        panel.set(yticks=range(len(results)), yticklabels=list(results))
        panel.invert_yaxis()
        panel.legend(loc="lower center", bbox_to_anchor=(0.45, 1), ncols=1)
    right.set_xlim(-1.05, 1.05)
    left.set_xlim(-0.1, 1.05)
    return figure


def _dot(panel: Axes, score: Seeds, row: int, look: tuple[str, str, str], first: bool) -> None:
    """A mean and its interval; what is below the axis stays at its edge."""
    label, color, marker = look
    low, high = (score.mean, score.mean) if score.interval is None else score.interval
    panel.plot([max(low, -1), max(high, -1)], [row, row], color=color, linewidth=1)
    panel.plot(
        max(score.mean, -1), row, marker=marker, color=color, markersize=4, linestyle="", label=label if first else None
    )


def _legend(figure: Figure, panel: Axes, columns: int) -> None:
    figure.legend(*panel.get_legend_handles_labels(), loc="outside upper center", ncols=columns)
