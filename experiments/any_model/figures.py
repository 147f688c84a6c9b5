"""Pictures of a model read by its arrays alone: the points beside exact beliefs, the dimensions, the states."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.simplex import belief_colors, simplex_scatter
from beliefgeo.plots.style import BLUE, GREY, ORANGE, PAGE, panels, styled
from beliefgeo.probes.geometry import simplex_coordinates

_NETS = {"trained": BLUE, "untrained": GREY}


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """The points of the first network of each kind, and the numbers of every network."""
    return {"beliefs": beliefs(results), "discovered": discovered(results)}


@styled
def beliefs(results: Mapping[str, Any]) -> Figure:
    """Exact beliefs after the prefixes, and the points read off a trained and an untrained network after them."""
    trained, untrained = results["trained"]["cloud"], results["untrained"]["cloud"]
    figure, axes = panels(1, 3, PAGE, PAGE / 3 + 0.1)
    shown = {
        "exact beliefs": (trained.beliefs, trained.beliefs),
        "read off the first GPT-2": (trained.seen, trained.beliefs),
        "read off it before training": (untrained.seen, untrained.beliefs),
    }
    for panel, (title, (points, exact)) in zip(axes, shown.items(), strict=True):
        simplex_scatter(panel, np.asarray(simplex_coordinates(points)), belief_colors(exact), size=3.0)
        panel.set_title(title)
    return figure


@styled
def discovered(results: Mapping[str, Any]) -> Figure:
    """The divergence by dimension, with a ring around the dimension that was chosen; and the states found."""
    figure, (left, right) = panels(1, 2, PAGE, 2.7)
    for net, color in _NETS.items():
        found = results[net]
        for index, (values, chosen) in enumerate(
            zip(found["divergences"].values, found["dimension"].values, strict=True)
        ):
            left.plot(values, "o-", color=color, markersize=3, linewidth=0.8, label=net if index == 0 else None)
            left.plot(chosen, values[chosen], "o", color=color, markersize=9, fillstyle="none")
    left.set(yscale="log", xlabel="dimensions of the process", ylabel="KL from the network (nats a token)")
    left.legend()
    _states(right, results)
    return figure


def _states(panel: Axes, results: Mapping[str, Any]) -> None:
    """Every state of every network's Moore form, beside the true numbers."""
    for place, (field, truth) in enumerate((("stay", 0.9), ("alpha", 0.85))):
        panel.plot(
            [place - 0.3, place + 0.3],
            [truth] * 2,
            color=ORANGE,
            linewidth=0.8,
            zorder=0,
            label=None if place else "Mess3",
        )
        for shift, (net, color) in zip((-0.15, 0.15), _NETS.items(), strict=True):
            values = getattr(results[net]["two"]["moore"], field).values
            x = place + shift + np.linspace(-0.06, 0.06, len(values))[:, None]
            panel.plot(np.broadcast_to(x, values.shape), values, "o", color=color, markersize=3.0)
    panel.set(ylabel="probability, in the Moore form", xlim=(-0.5, 1.5))
    panel.legend(loc="lower right")
    panel.set_xticks(range(2), ["a state stays", "a state emits\nits token"])
