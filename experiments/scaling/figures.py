"""Loss and probe error over every axis with their power laws; one beside the other; and the two clocks."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.style import AMBER, BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, SKY, panels, styled

_LEAST = 1e-9

_DRAWN = (
    ("gap", "loss above the optimum (nats)", BLUE, "o"),
    ("belief", "probe error, 1 - R$^2$", ORANGE, "s"),
    ("untrained belief", "probe error, untrained", GREY, "^"),
)

_X = {
    "tokens": "training tokens",
    "drawn tokens": "training tokens, drawn",
    "along one training": "tokens of one training",
    "width": "width",
    "depth": "blocks",
    "states": "states",
    "vocabulary": "tokens known",
    "entropy": "entropy rate (nats)",
    "memory": "correlation length",
    "clocks": "slow over fast clock",
}


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """All pictures of the results."""
    return {"axes": by_axis(results["axes"]), "together": together(results["axes"])}


@styled
def by_axis(axes: dict[str, Any]) -> Figure:
    """A panel an axis; a line is solid where it is a power law, dotted where it is not."""
    # A row for each process of the axes of the network, and one for the axes of the process.
    names = sorted(axes, key=lambda name: name.partition(", ")[2] or "~")
    columns = min(5, len(axes))
    rows = -(-len(names) // columns)
    figure, places = panels(rows, columns, PAGE, 1.55 * rows + 0.5)
    for place in places[len(names) :]:
        place.remove()
    for index, (name, panel) in enumerate(zip(names, places, strict=False)):
        for measure, label, color, marker in _DRAWN:
            curve(panel, axes[name], measure, color, marker, label)
        kind, _, process = name.partition(", ")
        panel.set(xscale="log", yscale="log", xlabel=_X[kind], title=process, ylim=(1e-7, 3))
        ticks(panel, axes[name].x)
        if index % columns:
            panel.tick_params(labelleft=False)
    figure.legend(*places[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def curve(panel: Axes, study: Any, measure: str, color: str, marker: str, label: str) -> None:
    """Geometric means over seeds, all seeds as faint points, and the fitted line."""
    for one in np.maximum(study.measures[measure].values, _LEAST):
        panel.plot(study.x, one, marker, color=color, markersize=1.5, alpha=0.35)
    panel.plot(study.x, mean(study, measure), marker, color=color, markersize=3.5, label=label)
    law = study.fits[measure]
    line = law.prefactor * study.x**law.slope.mean
    panel.plot(study.x, line, ":" if law.exponent is None else "-", color=color, linewidth=1)


def mean(study: Any, measure: str) -> np.ndarray:
    """The geometric mean over seeds."""
    return np.exp(np.log(np.maximum(study.measures[measure].values, _LEAST)).mean(0))


def ticks(panel: Axes, x: np.ndarray) -> None:
    """The values themselves where they are few and short, else powers of ten."""
    panel.minorticks_off()
    if max(x) < 1000:
        shown = x if max(x) >= 3 * min(x) else x[:: len(x) - 1]
        panel.set_xticks(shown, [f"{one:.2g}" for one in shown])


@styled
def together(axes: dict[str, Any]) -> Figure:
    """Probe error beside loss, and beside the share of the loss, a line an axis; slow and fast clock."""
    figure, places = panels(1, 3, PAGE, 2.7)
    colors = dict(zip(_X, (BLUE, SKY, "0.6", ORANGE, AMBER, GREEN, PURPLE, "0.1", GREY, "#A0522D"), strict=True))
    for panel, measure, label in (
        (places[0], "gap", "loss above the optimum (nats)"),
        (places[1], "share", "the same over knowing nothing"),
    ):
        for name, study in axes.items():
            kind, _, process = name.partition(", ")
            both = (
                np.exp(np.log(np.maximum(study.measures[one].values, _LEAST)).mean(0)) for one in (measure, "belief")
            )
            style = "s--" if process == "two clocks" else "o-"
            panel.plot(*both, style, color=colors[kind], markersize=2.5, linewidth=0.8, label=_X[kind])
        panel.set(xscale="log", yscale="log", xlabel=label)
    places[0].set_ylabel("probe error, 1 - R$^2$")
    if "clocks" in axes:
        for measure, color, marker in (("slow clock", GREEN, "o"), ("fast clock", PURPLE, "s")):
            curve(places[2], axes["clocks"], measure, color, marker, measure)
        places[2].set(xscale="log", yscale="log", xlabel=_X["clocks"])
        ticks(places[2], axes["clocks"].x)
        places[2].legend()
    handles = dict(zip(*reversed(places[0].get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5)
    return figure
