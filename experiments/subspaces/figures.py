"""Pictures of what is left of a network where only a subspace of a layer is kept, or removed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import planes
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.style import BLUE, GREEN, ORANGE, PAGE, PURPLE, panels, styled

_COLORS = dict(zip(planes.NAMES, (PURPLE, BLUE, GREEN, ORANGE), strict=True))
_SIDES = ("kept alone", "removed")


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """Losses of the last layer beside random planes, and of every layer."""
    return {"projections": projections(results), "layers": by_layer(results)}


@styled
def projections(results: Mapping[str, Any]) -> Figure:
    """Every projection at the last layer: each seed, the random planes as a cloud, and what short windows lose."""
    figure, axes = panels(1, len(results), PAGE if len(results) > 1 else PAGE / 2, 3.0)
    for panel, (name, found) in zip(axes, results.items(), strict=True):
        trained = found["trained"]
        cloud = trained["random"]["each"].values.reshape(-1, 2)
        panel.scatter(*cloud.T, s=3, color="0.8", linewidths=0, label="random planes")
        for (plane, label), marker in zip(planes.NAMES.items(), "sovD", strict=True):
            kept, removed = trained["last"][plane].values.T
            panel.plot(kept, removed, marker, color=_COLORS[plane], markersize=4.5, mfc="none", label=label)
        nothing = found["windows"][0]
        panel.axhline(nothing, color="0.6", linewidth=0.6, linestyle=":")
        panel.axvline(nothing, color="0.6", linewidth=0.6, linestyle=":", label="knows nothing")
        panel.set(xscale="log", yscale="log", title=f"{name}, last layer, {found['dimensions']} dimensions")
        panel.set(xlabel="loss above the optimum, kept alone (nats)", ylabel="the same, removed (nats)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3 if len(results) > 1 else 1)
    return figure


@styled
def by_layer(results: Mapping[str, Any]) -> Figure:
    """Every layer: a row of panels for each process, kept alone and removed."""
    figure, axes = panels(len(results), 2, PAGE, 2.3 * len(results) + 0.5)
    for index, (name, found) in enumerate(results.items()):
        for side, title in enumerate(_SIDES):
            _curves(axes[2 * index + side], found, side, f"{name}: {title}")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _curves(panel: Axes, found: Mapping[str, Any], side: int, title: str) -> None:
    layers = found["trained"]["layers"]
    x = np.arange(1, len(layers) + 1)
    for (plane, label), marker in zip(planes.NAMES.items(), "sovD", strict=True):
        values = np.stack([layers[layer][plane].values[:, side] for layer in layers], 1)
        panel.plot(x, values.mean(0), f"{marker}-", color=_COLORS[plane], markersize=3, label=label)
        panel.fill_between(x, values.min(0), values.max(0), color=_COLORS[plane], alpha=0.2, linewidth=0)
    for lost, label in _apart(found["windows"]):
        panel.axhline(lost, color="0.6", linewidth=0.6, linestyle=":", zorder=0)
        panel.annotate(label, (x[-1] + 0.1, lost), fontsize=6, va="bottom")
    panel.set(yscale="log", xticks=x, xticklabels=list(layers), xlim=(0.8, x[-1] + 1.1), title=title)
    panel.set_ylabel("loss above the optimum (nats)")


def _apart(windows: np.ndarray) -> list[tuple[float, str]]:
    """The losses of the last 0, 1, ... tokens with their labels; losses too near for two labels share one."""
    lines: list[tuple[float, str]] = []
    for tokens, lost in enumerate(windows):
        label = f"last {tokens}" if tokens else "nothing"
        if lines and lost > lines[-1][0] / 1.5:
            label = f"{lines[-1][1]}, {label}"
            lines.pop()
        lines.append((float(lost), label))
    return lines
