"""Loss and R2 by width beside the best of each width, and what is kept of each part of the belief."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, panels, styled
from beliefgeo.reading import Seeds

# A loss of 0, or below this share of knowing nothing, is drawn here, at the lower edge.
_LEAST = 1e-4

_CODES = {
    "loss": ("best for the loss", GREEN, "-"),
    "variance": ("best for R$^2$", ORANGE, "--"),
    "random order": ("random order", GREY, ":"),
}


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """All pictures of the results."""
    return {"widths": by_width(results), "parts": by_part(results)}


@styled
def by_width(results: dict[str, Any]) -> Figure:
    """A column a process: above, the loss relative to knowing nothing; below, held-out R2 of the belief."""
    figure, axes = panels(2, len(results), PAGE, 4.2)
    for column, (name, found) in enumerate(results.items()):
        above, below = axes[column], axes[column + len(results)]
        for panel, what, unit in ((above, "gap", found["nothing"]), (below, "r2", 1)):
            every, places = list(found["widths"].values()), np.arange(len(found["widths"]))
            least = _LEAST if what == "gap" else -1
            for code, (label, color, style) in _CODES.items():
                values = np.array([getattr(one[code], what) for one in every]) / unit
                panel.plot(places, np.maximum(values, least), style, color=color, label=label)
            _networks(panel, places, [getattr(one["trained"], what) for one in every], unit, least)
            values = [getattr(one["untrained"], what).mean / unit for one in every]
            panel.plot(places, values, "s", color="0.6", markersize=3, label="untrained")
            panel.set_xticks(places, [str(width) for width in found["widths"]])
        above.set(title=name, yscale="log", ylim=(0.7 * _LEAST, 100))
        below.set(xlabel="width", ylim=(-0.05, 1.05))
    axes[0].set_ylabel("loss above the optimum,\nshare of knowing nothing")
    axes[len(results)].set_ylabel("held-out R$^2$ of the belief")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _networks(panel: Axes, places: np.ndarray, every: list[Any], unit: float, least: float = -1) -> None:
    """The mean of trained networks, or this least value if it is below, with its interval."""
    means = np.array([one.mean for one in every]) / unit
    half = np.array([0 if one.interval is None else (one.interval[1] - one.mean) / unit for one in every])
    panel.errorbar(places, np.maximum(means, least), half, fmt="o", color=BLUE, markersize=3.5, label="trained")


@styled
def by_part(results: dict[str, Any]) -> Figure:
    """A row a process, a panel a width: R2 of each part in networks, and in the two best codes."""
    shown = list(next(iter(results.values()))["widths"])[:4]
    figure, axes = panels(len(results), len(shown), PAGE, 1.6 * len(results) + 0.6)
    for row, (name, found) in enumerate(results.items()):
        for column, width in enumerate(shown):
            panel, one = axes[row * len(shown) + column], found["widths"][width]
            places = np.arange(len(found["parts"]))
            for code in ("variance", "loss"):
                label, color, _ = _CODES[code]
                panel.hlines(one[code].by_part, places - 0.35, places + 0.35, color=color, linewidth=1.6, label=label)
            _networks(panel, places, [Seeds(one["trained"].by_part.values[:, part]) for part in places], 1)
            panel.set(ylim=(-0.15, 1.08), title=f"width {width}")
            few = len(places) <= 5
            panel.set_xticks(
                places if few else places[::6], found["parts"] if few else [str(1 + place) for place in places[::6]]
            )
            panel.set_xlim(-0.5, len(places) - 0.5)
        axes[row * len(shown)].set_ylabel(f"{name}\nheld-out R$^2$")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure
