"""What is lost without preparation, and what each layer holds."""

from collections.abc import Mapping
from typing import Any

import measures
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, panels, styled

_NETS = {"ordinary": (BLUE, "o"), "myopic": (ORANGE, "s"), "strict": (GREEN, "^"), "untrained": (GREY, "x")}


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """The loss of every network, and probes by layer."""
    return {"losses": losses(results), "layers": layers(results)}


def _of(found: Mapping[str, Any]) -> dict[str, Any]:
    return {net: found[net] for net in _NETS if net in found}


@styled
def losses(results: Mapping[str, Any]) -> Figure:
    """A dot a network: its loss above the optimum, as a share of what the context teaches."""
    figure, (panel,) = panels(1, 1, PAGE, 2.9)
    for place, found in enumerate(results.values()):
        for shift, (net, one) in zip((-0.27, -0.09, 0.09, 0.27), _of(found).items(), strict=False):
            color, marker = _NETS[net]
            values = one["gap"].values / found["taught"]
            x = place + shift + np.linspace(-0.05, 0.05, len(values))
            panel.plot(x, values, marker, color=color, markersize=4, alpha=0.8, label=net if place == 0 else None)
    for level, text in ((1, "knows the position alone"), (measures.BREADCRUMBS, "counts as learnt")):
        panel.axhline(level, color="0.5", linewidth=0.7, linestyle=":")
        panel.annotate(text, (len(results) - 1.3, level), (0, 2), textcoords="offset points", ha="center", fontsize=6)
    panel.set(yscale="log", xlim=(-0.5, len(results) - 0.45))
    panel.set_ylabel("loss above the optimum, as a share\nof what the context teaches")
    panel.set_xticks(range(len(results)), [_title(name, found) for name, found in results.items()])
    figure.legend(*panel.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _title(name: str, found: Mapping[str, Any]) -> str:
    return f"{name}\n{found.get('verdict', '')}"


@styled
def layers(results: Mapping[str, Any]) -> Figure:
    """Above the beliefs, below what only later tokens need; the mean of the networks, and their range."""
    figure, axes = panels(2, len(results), PAGE, 3.8)
    for column, (name, found) in enumerate(results.items()):
        above, below = axes[column], axes[len(results) + column]
        part = "equal" if "tally" in name else "unseen"
        _by_layer(above, found, "beliefs")
        above.set(title=name, ylim=(-0.1, 1.05))
        if name == "mess3":
            below.set_axis_off()
            below.annotate("(the law sees all)", (0.5, 0.5), xycoords="axes fraction", ha="center", fontsize=7)
            continue
        _by_layer(below, found, part)
        below.set(ylim=(-0.1, 1.05), xlabel="layer", title="pair equal?" if part == "equal" else "unseen by the law")
    axes[0].set_ylabel("held-out R$^2$, beliefs")
    axes[len(results)].set_ylabel("held-out R$^2$")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _by_layer(panel: Axes, found: Mapping[str, Any], part: str) -> None:
    for net, one in _of(found).items():
        color, marker = _NETS[net]
        values = np.stack([getattr(held, part).values for held in one["layers"].values()], 1)
        layer = np.arange(1, values.shape[1] + 1)
        panel.plot(layer, values.mean(0), f"{marker}-", color=color, markersize=3.5, label=net)
        panel.fill_between(layer, values.min(0), values.max(0), color=color, alpha=0.15, linewidth=0)
        panel.set_xticks(layer)
