"""Pictures of what networks hold beyond the next-token law: by process, by site, by memory."""

from collections.abc import Mapping
from typing import Any

import measures
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, panels, styled

_KINDS = {"transformer": BLUE, "lstm": GREEN}


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """Scores beside the law, the unseen part by site, and suffixes."""
    return {"scores": scores(results), "sites": sites(results), "suffixes": suffixes(results)}


def _dots(panel: Axes, place: float, values: np.ndarray, color: str, marker: str, label: str | None) -> None:
    panel.plot(np.full(len(values), place), values, marker, color=color, markersize=3.5, alpha=0.8, label=label)


@styled
def scores(results: Mapping[str, Any]) -> Figure:
    """Left: all of the belief, beside the law alone. Right: the part that the law cannot see, beside its shuffles."""
    figure, (left, right) = panels(1, 2, PAGE, 3.0)
    for place, found in enumerate(results.values()):
        first = place == 0
        alone = found["alone"]
        left.plot([place - 0.35, place + 0.35], [alone.law] * 2, color=ORANGE, label="the law alone" if first else None)
        label = "logarithm of the law alone" if first else None
        left.plot([place - 0.35, place + 0.35], [alone.log_law] * 2, ":", color=PURPLE, label=label)
        for shift, (kind, color) in zip((-0.18, 0.18), _KINDS.items(), strict=True):
            if kind not in found:
                continue
            for net, marker, shade in (("trained", "o", color), ("untrained", "x", GREY if kind == "lstm" else "0.6")):
                one = found[kind][net]
                label = f"{kind}, {net}" if first else None
                _dots(left, place + shift, one["all"].r2.values, shade, marker, label)
                if found["alone"].rank.rank < found["alone"].rank.of:
                    _dots(right, place + shift, np.maximum(one["all"].unseen.values, -0.1), shade, marker, None)
    left.set(ylabel="held-out R$^2$ of the belief", ylim=(-0.05, 1.05))
    right.set(ylabel="held-out R$^2$ of what the law cannot see", ylim=(-0.15, 1.05))
    for panel in (left, right):
        panel.set_xticks(range(len(results)), list(results))
        panel.set_xlim(-0.6, len(results) - 0.4)
    if "mess3" in results:
        right.annotate("(the law\nsees all)", (list(results).index("mess3"), 0.4), ha="center", fontsize=6)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


@styled
def sites(results: Mapping[str, Any]) -> Figure:
    """The part of the belief that the law cannot see, site by site: trained networks, and untrained in grey."""
    shown = {name: found for name, found in results.items() if found["alone"].rank.rank < found["alone"].rank.of}
    figure, axes = panels(1, max(1, len(shown)), PAGE, 2.7)
    for panel, (name, found) in zip(axes, shown.items(), strict=False):
        for kind, color in _KINDS.items():
            for net, shade in (("untrained", "0.75"), ("trained", color)):
                if kind not in found:
                    continue
                parts = found[kind][net]["sites"]
                # From the embedding to the unembedding, networks of any number of layers side by side.
                x = np.linspace(0, 1, len(parts))
                values = np.stack([one.unseen.values for one in parts.values()])
                label = kind if net == "trained" else None
                panel.plot(x, values.mean(1), "o-", color=shade, markersize=3, label=label)
                panel.fill_between(x, values.min(1), values.max(1), color=shade, alpha=0.2, linewidth=0)
        panel.set(title=name, ylim=(-0.1, 1.05), xticks=[0, 1], xticklabels=["embed", "final"])
    axes[0].set_ylabel("held-out R$^2$ of what the law cannot see")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


@styled
def suffixes(results: Mapping[str, Any]) -> Figure:
    """R2 of the belief of an observer of the last k tokens, as target: the whole past is the last point."""
    figure, axes = panels(1, len(results), PAGE, 2.4)
    x = np.array([*measures.SUFFIXES])
    for panel, (name, found) in zip(axes, results.items(), strict=True):
        for kind, color in _KINDS.items():
            if kind in found:
                values = found[kind]["trained"]["suffixes"].values
                panel.plot(x, values.mean(0), ".-", color=color, label=kind)
                panel.fill_between(x, values.min(0), values.max(0), color=color, alpha=0.2, linewidth=0)
                panel.plot(len(x) + 1.5, found[kind]["trained"]["all"].r2.values.mean(), "o", color=color, markersize=4)
        panel.set(title=name, xticks=[1, 4, 7, 10, len(x) + 1.5], xticklabels=["1", "4", "7", "10", "all"])
        panel.set_xlabel("tokens k")
        panel.set_ylim(bottom=max(0.0, panel.get_ylim()[0]))
    axes[0].set_ylabel("held-out R$^2$ of the k-token belief")
    axes[0].legend(loc="lower right")
    return figure
