"""What networks hold of the belief against their loss; a function of the results alone."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from beliefgeo.plots.style import BLUE, GREY, ORANGE, PAGE, panels, styled

_COLORS = {"laws": (BLUE, "exact laws", "o"), "samples": (ORANGE, "drawn tokens", "s")}
_LABELS = {
    "rrxor": "RRXOR\nthe belief, last block",
    "frdn": "frdn\nthe belief, last block",
    "constrained beliefs": "Mess3, one layer\nthe constrained belief",
}


def draw(results: Mapping[str, Any]) -> dict[str, Figure]:
    """The picture."""
    return {"curves": curves(results)}


@styled
def curves(results: Mapping[str, Any]) -> Figure:
    """A line a network, from early to late; a mark where its training ends."""
    figure, axes = panels(1, len(results), PAGE, 3.2)
    for panel, (name, found) in zip(axes, results.items(), strict=True):
        for data, (color, _, mark) in _COLORS.items():
            path = found["paths"][data]
            panel.plot(path.gap.values.T, path.r2.values.T, color=color, linewidth=0.7, alpha=0.5)
            panel.plot(path.gap.values[:, -1], path.r2.values[:, -1], mark, color=color, markersize=4)
        panel.axvline(found["equal"]["gap"], color=GREY, linestyle=":", linewidth=0.8)
        panel.set(xscale="log", title=_LABELS[name], xlabel="loss above the optimum (nats)")
        panel.set_ylim(min(-0.05, panel.get_ylim()[0]), 1.02)
        panel.invert_xaxis()
    axes[0].set_ylabel("held-out R$^2$")
    shown = [
        axes[0].plot([], [], mark + "-", color=color, markersize=4, label=label)[0]
        for color, label, mark in _COLORS.values()
    ]
    shown.append(axes[0].plot([], [], ":", color=GREY, label="the loss that all reach")[0])
    figure.legend(handles=shown, loc="outside lower center", ncols=3)
    return figure
