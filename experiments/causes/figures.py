"""Pictures of what follows an edit: does the law follow the belief that was written, where, and how far."""

from collections.abc import Mapping, Sequence
from typing import Any

import edits
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, SKY, panels, styled
from beliefgeo.reading import Seeds

# Label, key of the edit, colour, marker.
FOLLOWS = (
    ("belief written (covariance-least)", "covariance-least", BLUE, "o"),
    ("mixtures that no prefix reaches", "mixtures", SKY, "^"),
    ("a real prefix patched in", "patch", GREEN, "v"),
    ("least norm", "least norm", PURPLE, "s"),
    ("relabelled states", "relabelled", ORANGE, "D"),
)
_LAYERS = (SKY, BLUE, PURPLE, ORANGE)
_SHARE = "a: share of the law\nthat follows b'"


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """Follow the written belief by layer, by directions changed, by position; and move where the law stays."""
    drawn = {"edits": by_layer(results), "components": by_components(results), "later": later(results)}
    if "rrxor" in results:
        drawn["kernel"] = kernel(results["rrxor"]["trained"]["layers"])
    return drawn


def _spread(axes: Axes, x: Sequence[float], values: Sequence[np.ndarray], color: str, label: str, marker: str) -> None:
    """Means of seeds with their range."""
    each = np.stack(values)
    axes.plot(x, each.mean(1), color=color, marker=marker, markersize=4, label=label)
    axes.fill_between(x, each.min(1), each.max(1), color=color, alpha=0.2, linewidth=0)


def _at(score: Any, field: str, step: int = 0) -> np.ndarray:
    values: Seeds = getattr(score, field)
    return values.values[:, step]


@styled
def by_layer(results: Mapping[str, Any]) -> Figure:
    """How much of the law follows the written belief, layer by layer, beside the controls."""
    figure, axes = panels(1, len(results), PAGE, 2.9)
    for panel, (name, found) in zip(axes, results.items(), strict=True):
        layers = found["trained"]["layers"]
        x = range(1, len(layers) + 1)
        for label, key, color, marker in FOLLOWS:
            _spread(panel, x, [_at(layers[layer][key], "a") for layer in layers], color, label, marker)
        untrained = found["untrained"]["layers"]
        still = [_at(untrained[layer]["covariance-least"], "a") for layer in untrained]
        _spread(panel, x, still, GREY, "untrained network", "x")
        largest = [layers[layer]["random"].largest_a.values.max() for layer in layers]
        panel.plot(x, largest, color="0.75", linestyle=":", label="largest of random directions")
        panel.axhline(1, color="0.85", linewidth=0.6, zorder=0)
        panel.axhline(0, color="0.85", linewidth=0.6, zorder=0)
        panel.set(title=name, xticks=list(x), xticklabels=list(layers), ylabel=_SHARE)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


@styled
def by_components(results: Mapping[str, Any]) -> Figure:
    """The least-norm edit within the first principal components: the more it may use, the less it steers."""
    figure, axes = panels(1, len(results), PAGE, 2.4)
    for panel, (name, found) in zip(axes, results.items(), strict=True):
        layers = found["trained"]["layers"]
        for (layer, one), color, marker in zip(layers.items(), _LAYERS, "osD^", strict=False):
            scores = one["by components"]
            _spread(panel, edits.COMPONENTS, [_at(score, "a") for score in scores], color, layer, marker)
        panel.set(title=name, xscale="log", xlabel="principal components that the edit may change")
        panel.set(xticks=edits.COMPONENTS, xticklabels=map(str, edits.COMPONENTS), ylabel=_SHARE, ylim=(None, 1.08))
        panel.minorticks_off()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


@styled
def later(results: Mapping[str, Any]) -> Figure:
    """What later positions make of an edit, a column a process: of the last position alone, and of the whole past."""
    figure, axes = panels(2, len(results), PAGE, 4.2)
    x = range(edits.AHEAD + 1)
    for column, (name, found) in enumerate(results.items()):
        for row, (key, what) in enumerate(
            (("covariance-least", "belief written"), ("whole past", "whole past patched"))
        ):
            panel = axes[row * len(results) + column]
            for (layer, one), color, marker in zip(found["trained"]["layers"].items(), _LAYERS, "osD^", strict=False):
                _spread(panel, x, one[key].a.values.T, color, layer, marker)
            panel.set(title=f"{name}: {what}", xticks=list(x), ylim=(-0.15, 1.08))
            panel.set_ylabel("" if column else _SHARE)
            panel.set_xlabel("tokens after the edited position" if row else "")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


@styled
def kernel(layers: Mapping[str, Any]) -> Figure:
    """RRXOR, beliefs of one law: the next law must stay, and the law two tokens on should follow."""
    figure, (left, right) = panels(1, 2, PAGE, 2.4)
    x = range(1, len(layers) + 1)
    for label, key, color, marker in (
        ("belief written along the kernel", "along the kernel", BLUE, "o"),
        ("whole past patched, of one law", "whole past of one law", GREEN, "v"),
    ):
        moved = [_at(layers[layer][key], "moved") for layer in layers]
        follows = [_at(layers[layer][key], "a", 1) for layer in layers]
        _spread(left, x, moved, color, label, marker)
        _spread(right, x, follows, color, label, marker)
    left.set(ylabel="total variation", title="the next law moves", ylim=(0, None))
    right.set(ylabel=_SHARE, title="the law two tokens on follows b'", ylim=(-0.35, 1.1))
    for panel in (left, right):
        panel.set(xticks=list(x), xticklabels=list(layers))
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure
