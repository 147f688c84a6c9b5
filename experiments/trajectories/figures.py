"""Paths of belief in the simplex, the fractal as it forms, and what probes of false targets see."""

from typing import Any

import clouds
import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.figure import Figure

from beliefgeo.plots.simplex import belief_colors, simplex_density, simplex_movie, square_around
from beliefgeo.plots.style import ORANGE, PAGE, panels, styled
from beliefgeo.probes import simplex_coordinates


def draw(results: dict[str, Any]) -> dict[str, Figure | FuncAnimation]:
    """Draw paths, the movie over training and the false targets."""
    colors, counts = belief_colors(results["beliefs"]), results["counts"]
    truth = results["clouds"][f"{clouds.TRUE}, exact"]
    frames = {
        f"probe after {tokens:,} tokens" if tokens else "probe, untrained": points
        for tokens, points in zip(results["tokens"], results["frames"], strict=True)
    }
    return {
        "paths": paths(results),
        "false_targets": false_targets(results),
        "emergence": simplex_movie(frames, colors, counts, truth=truth),
    }


@styled
def paths(results: dict[str, Any]) -> Figure:
    """A panel a word: the true path, and the probed path beside it, over the cloud of all beliefs."""
    words = results["paths"]["words"]
    figure, axes = panels(1, len(words), PAGE, PAGE / len(words) + 0.2)
    cloud, colors = results["clouds"][f"{clouds.TRUE}, exact"], belief_colors(results["beliefs"])
    for index, (panel, word) in enumerate(zip(axes, words, strict=True)):
        simplex_density(panel, cloud, 0.55 + 0.45 * colors, results["counts"])
        for side, color, marker in (("exact", "0.15", "o"), ("probed", ORANGE, "x")):
            along = np.asarray(simplex_coordinates(results["paths"][side][index]))
            panel.plot(*along.T, color=color, marker=marker, linewidth=0.9, markersize=3.5, label=side)
            if side == "exact":
                _number(panel, along)
        panel.set_title("word " + " ".join(map(str, word)))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _number(panel: Any, along: np.ndarray) -> None:
    """The number of tokens read, at the first and the last place and where there is room."""
    shown: list[np.ndarray] = []
    for read, place in enumerate(along, 1):
        if all(np.linalg.norm(place - other) > 0.09 for other in shown):
            panel.annotate(str(read), place, textcoords="offset points", xytext=(3, 3), fontsize=6)
            shown.append(place)


@styled
def false_targets(results: dict[str, Any]) -> Figure:
    """Above the targets, below what the probe of each sees, coloured by the true belief; R2 is held out."""
    figure, axes = panels(2, len(clouds.TARGETS), PAGE, PAGE / 2 + 0.5)
    colors = belief_colors(results["beliefs"])
    limits = square_around(simplex_coordinates(np.eye(3)), results["clouds"].values())
    for column, name in enumerate(clouds.TARGETS):
        score = results["trained"]["r2"][name].mean
        untrained = results["untrained"]["r2"][name].mean
        for row, (side, title) in enumerate(
            (("exact", f"target: {name}"), ("probed", f"probed: R$^2$ {score:.3f}\n(untrained {untrained:.3f})"))
        ):
            panel = axes[row * len(clouds.TARGETS) + column]
            shown = results["clouds"][f"{name}, {side}"]
            simplex_density(panel, shown, colors, results["counts"], limits=limits)
            panel.set_title(title)
    return figure
