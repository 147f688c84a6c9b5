"""Loss and R2 by width beside the best of each width, and what is kept of each part of the belief."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, panels, styled
from beliefgeo.reading import Seeds

# At most this many processes stand beside one another.
_ACROSS = 3

# A loss of 0, or below this share of knowing nothing, is drawn here, at the lower edge.
_LEAST = 1e-4

_KINDS = {"trained": (BLUE, "o", "trained on exact laws"), "drawn": (PURPLE, "x", "on drawn tokens")}

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
    """For each process: above, the loss relative to knowing nothing; below, held-out R2 of the belief."""
    across = min(len(results), _ACROSS)
    lines = -(-len(results) // across)
    figure, axes = panels(2 * lines, across, PAGE, 3.9 * lines + 0.3)
    for unused in range(len(results), lines * across):
        for panel in (axes[place_of(unused, across)], axes[place_of(unused, across) + across]):
            panel.set_axis_off()
    for index, (name, found) in enumerate(results.items()):
        place = place_of(index, across)
        above, below = axes[place], axes[place + across]
        for panel, what, unit in ((above, "gap", found["nothing"]), (below, "r2", 1)):
            every, places = list(found["widths"].values()), np.arange(len(found["widths"]))
            least = _LEAST if what == "gap" else -1
            for code, (label, color, style) in _CODES.items():
                values = np.array([getattr(one[code], what) for one in every]) / unit
                panel.plot(places, np.maximum(values, least), style, color=color, label=label)
            for kind in ("trained", "drawn"):
                _networks(panel, places, [getattr(one[kind], what) for one in every], unit, least, kind)
            values = [getattr(one["untrained"], what).mean / unit for one in every]
            panel.plot(places, values, "s", color="0.6", markersize=3, label="untrained")
            panel.set_xticks(places, [str(width) for width in found["widths"]])
        above.set(title=name, yscale="log", ylim=(0.7 * _LEAST, 100))
        below.set(xlabel="width", ylim=(-0.05, 1.05))
        if index % across == 0:
            above.set_ylabel("loss above the optimum,\nshare of knowing nothing")
            below.set_ylabel("held-out R$^2$ of the belief")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def place_of(index: int, across: int) -> int:
    """The upper of the two panels of a process, where each line of processes takes two rows."""
    return index // across * 2 * across + index % across


def _networks(
    panel: Axes, places: np.ndarray, every: list[Any], unit: float, least: float = -1, kind: str = "trained"
) -> None:
    """The mean of networks, or this least value if it is below, with its interval."""
    means = np.array([one.mean for one in every]) / unit
    half = np.array([0 if one.interval is None else (one.interval[1] - one.mean) / unit for one in every])
    color, mark, label = _KINDS[kind]
    panel.errorbar(places, np.maximum(means, least), half, fmt=mark, color=color, markersize=3.5, label=label)


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
            names = found["parts"] if len(places) <= 5 else [str(1 + place) for place in places]
            every = 1 if len(places) <= 5 else 6
            panel.set_xticks(places[::every], names[::every], fontsize="small" if len(names) == 5 else None)
            panel.set_xlim(-0.5, len(places) - 0.5)
        axes[row * len(shown)].set_ylabel(f"{name}\nheld-out R$^2$")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure
