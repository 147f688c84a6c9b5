"""Pictures of the dynamics of belief: steps, the spectrum of the process read off, impossible words."""

from collections.abc import Mapping
from typing import Any

import measures
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.style import BLUE, GREY, ORANGE, PAGE, panels, styled

_NETS = {"trained": BLUE, "untrained": GREY}
# Dots below are counted at the lower edge.
_FLOOR = -0.1


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """Draw the steps and the processes read off; for RRXOR, impossible words."""
    drawn = {"steps": steps(results), "processes": processes(results)}
    if "rrxor" in results:
        drawn["impossible"] = impossible(results["rrxor"])
    return drawn


def _dots(panel: Axes, place: float, values: np.ndarray, color: str, label: str | None, marker: str = "o") -> None:
    panel.plot(np.full(len(values), place), values, marker, color=color, markersize=4, alpha=0.8, label=label)


@styled
def steps(results: Mapping[str, Any]) -> Figure:
    """How much of the next probed belief each map tells, network by network; a triangle counts those below `_FLOOR`."""
    figure, axes = panels(1, len(results), PAGE, 2.8)
    names = {"exact": "exact map", "projective": "best projective", "affine": "best affine", "token": "token alone"}
    for panel, (name, found) in zip(axes, results.items(), strict=True):
        for shift, (net, color) in zip((-0.12, 0.12), _NETS.items(), strict=True):
            for place, field in enumerate(names):
                values = getattr(found[net]["steps"], field).values
                _dots(panel, place + shift, values[values >= _FLOOR], color, net if place == 0 else None)
                if count := (values < _FLOOR).sum():
                    panel.plot(place + shift, _FLOOR, "v", color=color, markersize=4)
                    panel.annotate(str(count), (place + shift, _FLOOR), (4, -1), textcoords="offset points", fontsize=6)
        panel.set(title=name, xticks=range(4), ylim=(_FLOOR - 0.05, 1.05))
        panel.set_xticklabels([label.replace(" ", "\n") for label in names.values()])
    axes[0].set_ylabel("R$^2$ of the next probed belief")
    axes[-1].plot([], [], "v", color=GREY, markersize=4, label=f"below {_FLOOR}, with their number")
    handles, labels = axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


@styled
def processes(results: Mapping[str, Any]) -> Figure:
    """The divergence of the process read off each network from the true process, by what it was read from."""
    figure, axes = panels(1, len(results), PAGE, 2.9)
    sources = {"from laws": "its laws", "from beliefs": "probed beliefs"}
    for panel, (name, found) in zip(axes, results.items(), strict=True):
        for shift, (net, color) in zip((-0.12, 0.12), _NETS.items(), strict=True):
            for place, source in enumerate(sources):
                values = found[net][source].divergence.values
                _dots(panel, place + shift, values, color, f"process read off {net} networks" if place == 0 else None)
            _dots(panel, 2 + shift, found[net]["gap"].values, color, f"{net} networks themselves", "D")
        panel.set(title=name, yscale="log", xticks=range(3))
        panel.set_xticklabels([*(f"read from\n{label}" for label in sources.values()), "the network\nitself"])
    axes[0].set_ylabel("nats a token from the true process")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@styled
def impossible(found: Mapping[str, Any]) -> Figure:
    """RRXOR after words that it never emits: how far every hypothesis is from the network's laws and probed beliefs."""
    figure, (left, right) = panels(1, 2, PAGE, 2.7)
    for shift, (net, color) in zip((-0.12, 0.12), _NETS.items(), strict=True):
        for place, guess in enumerate(measures.GUESSES):
            one = found[net]["impossible"][guess]
            _dots(left, place + shift, one.variation.values, color, net if place == 0 else None)
            _dots(right, place + shift, np.maximum(one.r2.values, -1), color, None)
    left.set(ylabel="total variation of next-token laws", ylim=(0, None))
    right.set(ylabel="R$^2$ of the probed belief\n(−1 or less at −1)")
    right.axhline(0, color=ORANGE, linewidth=0.6)
    for panel in (left, right):
        panel.set_xticks(range(len(measures.GUESSES)), [guess.replace(" ", "\n") for guess in measures.GUESSES])
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure
