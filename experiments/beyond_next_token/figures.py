"""Pictures of what networks hold beyond the next-token law: by process, by site, by memory."""

from collections.abc import Mapping
from typing import Any

import measures
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, panels, styled

_KINDS = {"transformer": BLUE, "lstm": GREEN}
_NAMES = {"transformer": "transformer", "lstm": "LSTM"}
# What lies below is drawn at the lower edge.
_FLOOR = -0.1


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
                label = f"{_NAMES[kind]}, {net}" if first else None
                _dots(left, place + shift, one["all"].r2.values, shade, marker, label)
                if found["alone"].rank.rank < found["alone"].rank.of:
                    unseen = one["all"].unseen.values
                    _dots(right, place + shift, unseen[unseen >= _FLOOR], shade, marker, None)
                    _below(right, place + shift, unseen, shade)
    left.set(ylabel="held-out R$^2$ of the belief", ylim=(-0.05, 1.05))
    right.set(ylabel="held-out R$^2$ of what the law cannot see", ylim=(-0.15, 1.05))
    for panel in (left, right):
        panel.set_xticks(range(len(results)), list(results))
        panel.set_xlim(-0.6, len(results) - 0.4)
    if "mess3" in results:
        right.annotate("(the law\nsees all)", (list(results).index("mess3"), 0.4), ha="center", fontsize=6)
    right.plot([], [], "v", color=GREY, markersize=4, label=f"below {_FLOOR}")
    handles, labels = (
        one + other for one, other in zip(*map(Axes.get_legend_handles_labels, (left, right)), strict=True)
    )
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _below(panel: Axes, place: float, values: np.ndarray, color: str) -> None:
    """A mark at the lower edge, and how many networks lie below it."""
    if count := (values < _FLOOR).sum():
        panel.plot(place, _FLOOR, "v", color=color, markersize=4)
        panel.annotate(str(count), (place, _FLOOR), (4, -1), textcoords="offset points", fontsize=6, color=color)


@styled
def sites(results: Mapping[str, Any]) -> Figure:
    """The part of the belief that the law cannot see, site by site: trained networks, and untrained dashed.

    What lies below `_FLOOR` is drawn at the lower edge.
    """
    shown = {name: found for name, found in results.items() if found["alone"].rank.rank < found["alone"].rank.of}
    figure, axes = panels(1, max(1, len(shown)), PAGE, 2.7)
    for panel, (name, found) in zip(axes, shown.items(), strict=False):
        for kind, color in _KINDS.items():
            for net, style in (("untrained", "o:"), ("trained", "o-")):
                if kind not in found:
                    continue
                parts = found[kind][net]["sites"]
                # From the embedding to the unembedding, networks of any number of layers side by side.
                x = np.linspace(0, 1, len(parts))
                values = np.stack([one.unseen.values for one in parts.values()])
                middle, low, high = (np.maximum(of(1), _FLOOR) for of in (values.mean, values.min, values.max))
                fill = color if net == "trained" else "white"
                panel.plot(x, middle, style, color=color, markersize=3, label=f"{_NAMES[kind]}, {net}", mfc=fill)
                if net == "trained":
                    panel.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
        panel.set(title=name, ylim=(_FLOOR - 0.02, 1.05), xticks=[0, 1], xticklabels=["embed", "final"])
    axes[0].set_ylabel(f"held-out R$^2$ of what the law\ncannot see ({_FLOOR} or less at the edge)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


@styled
def suffixes(results: Mapping[str, Any]) -> Figure:
    """R2 of the belief of an observer of the last k tokens, as target: the whole past is the last point.

    The line is the mean of the networks, the band their range; what lies below 0 is drawn at the lower edge.
    """
    figure, axes = panels(1, len(results), PAGE, 2.6)
    x = np.array([*measures.SUFFIXES])
    for panel, (name, found) in zip(axes, results.items(), strict=True):
        for kind, color in _KINDS.items():
            if kind in found:
                values = found[kind]["trained"]["suffixes"].values
                mean, low, high = (np.maximum(of(0), 0) for of in (values.mean, values.min, values.max))
                panel.plot(x, mean, ".-", color=color, label=_NAMES[kind])
                panel.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
                every = found[kind]["trained"]["all"].r2.values.mean()
                panel.plot(len(x) + 2.5, every, "o", color=color, markersize=4)
        panel.set(title=name, xticks=[1, 4, 7, len(x) + 2.5], xticklabels=["1", "4", "7", "all"])
        panel.set_xlabel("tokens k")
        low, high = panel.get_ylim()
        panel.set_ylim(-0.03 if low < 0 else low, min(high, 1.03))
    axes[0].set_ylabel("held-out R$^2$ of the k-token\nbelief (0 or less at the edge)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
