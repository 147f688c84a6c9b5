"""Pictures of what is read off networks: dimensions, clouds, states, and the way there."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from beliefgeo.plots.clouds import mixed_colors, plane_of
from beliefgeo.plots.simplex import density
from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, panels, styled

COLORS = {"transformer": BLUE, "lstm": ORANGE, "transformer on exact laws": GREEN}

ENDS = np.array([-1, 1])


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """Draw the divergence by dimension, clouds, the number of states by tolerance, and singular values in training."""
    found = {name: one for name, one in results.items() if name != "right"}
    return {
        "dimensions": dimensions(found),
        "clouds": clouds(found),
        "states": states(found),
        "training": training(found),
    }


def _grid(found: Mapping[str, Any], height: float, most: int = 5) -> tuple[Figure, list[Axes]]:
    columns = min(len(found), most)
    rows = -(-len(found) // columns)
    figure, axes = panels(rows, columns, max(PAGE * columns / most, PAGE / 2), height * rows + 0.4)
    for empty in axes[len(found) :]:
        empty.set_axis_off()
    return figure, axes


def _legend(figure: Figure, axes: list[Axes], below: str) -> None:
    """What the horizontal axes show, and one legend for all panels."""
    for panel in axes:
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.yaxis.set_minor_formatter(NullFormatter())
    entries = {}
    for panel in axes:
        entries |= dict(zip(*panel.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=5, title=below)


@styled
def dimensions(found: Mapping[str, Any]) -> Figure:
    """The divergence from a network to the process of 0, 1, 2, .. dimensions read off it, network by network."""
    figure, axes = _grid(found, 1.55)
    for panel, (name, one) in zip(axes, found.items(), strict=False):
        for kind, color in COLORS.items():
            for net, tint, width in (("untrained", GREY, 0.6), ("trained", color, 1.0)):
                curves = one.get(kind, {}).get(net, {}).get("divergences")
                if curves is not None and not (kind == "transformer on exact laws" and net == "untrained"):
                    label = kind if net == "trained" else "untrained networks"
                    for curve in np.maximum(curves.values, 1e-13):
                        panel.plot(curve, color=tint, linewidth=width, alpha=0.8, label=label)
        panel.axvline(one["exact"]["dimension"], color="0.8", linewidth=4, zorder=0, label="true dimension")
        panel.set(title=name, yscale="log", xticks=range(0, 9, 2))
    for panel in axes[:: min(len(found), 5)]:
        panel.set_ylabel("nats a token")
    _legend(figure, axes, "along: dimensions of the process read off")
    return figure


@styled
def clouds(found: Mapping[str, Any]) -> Figure:
    """Exact beliefs above, and below them those of the process read off one network, after the best affine map."""
    figure, axes = panels(2, len(found), PAGE, 2.1)
    for column, (name, one) in enumerate(found.items()):
        cloud = one["cloud"]
        plane, colors = plane_of(cloud["exact"], cloud["weights"]), mixed_colors(cloud["exact"])
        shown = np.concatenate([plane(cloud["exact"]), *plane.edges])
        middle, half = (shown.min(0) + shown.max(0)) / 2, 0.58 * np.ptp(shown, axis=0).max()
        for row, source in enumerate(("exact", "found")):
            panel = axes[row * len(found) + column]
            panel.set(
                aspect="equal", xlim=middle[0] + np.array([-half, half]), ylim=middle[1] + np.array([-half, half])
            )
            _points(panel, plane(cloud[source]), colors, cloud["weights"])
            for edge in plane.edges:
                panel.plot(*edge.T, color="0.75", linewidth=0.6, zorder=0)
            panel.set(xticks=[], yticks=[], title=name.replace("_", "\n") if row == 0 else "")
            for spine in panel.spines.values():
                spine.set_visible(False)
            if column == 0:
                panel.set_ylabel("exact" if row == 0 else "read off")
    return figure


def _points(panel: Axes, points: np.ndarray, colors: np.ndarray, weights: np.ndarray) -> None:
    """Few points as discs, many as a density."""
    few = len(np.unique(points.round(2), axis=0)) < 60
    if few:
        panel.scatter(*points.T, c=colors, s=5, linewidths=0)
    else:
        density(panel, points, colors, weights)


@styled
def states(found: Mapping[str, Any]) -> Figure:
    """The number of states at each tolerance: exact laws, and networks."""
    figure, axes = _grid(found, 1.55)
    for panel, (name, one) in zip(axes, found.items(), strict=False):
        tolerances = one["exact"]["tolerances"]
        panel.plot(
            tolerances, one["exact"]["counts"][:, 0], color="0.8", linewidth=4, label="exact laws of the process"
        )
        for kind, color in COLORS.items():
            if kind in one:
                for counts in one[kind]["trained"]["states"]["counts"].values[..., 0]:
                    panel.plot(tolerances, counts, color=color, linewidth=0.9, alpha=0.8, label=kind)
        panel.set(title=name, xscale="log", yscale="log")
    for panel in axes[:: min(len(found), 5)]:
        panel.set_ylabel("states")
    _legend(figure, axes, "along: tolerance, total variation of the laws of futures")
    return figure


@styled
def training(found: Mapping[str, Any]) -> Figure:
    """Singular values while networks train, and the dimension that the rule finds."""
    figure, axes = _grid(found, 1.55)
    for panel, (name, one) in zip(axes, found.items(), strict=False):
        tokens, moments = np.array(one["training"]["tokens"]), one["training"]["moments"]
        values = np.stack([moment["singular values"].values for moment in moments], 1)
        chosen = np.stack([moment["dimension"].values for moment in moments], 1)
        size = values.shape[-1] - 1
        place = np.maximum(tokens, tokens[1] / 3)
        for network in range(len(values)):
            for direction in range(size):
                label = "singular values of the true dimensions"
                panel.plot(place, values[network, :, direction], color=BLUE, linewidth=0.8, alpha=0.8, label=label)
            panel.plot(place, values[network, :, size], color=GREY, linewidth=0.8, label="the next singular value")
        told = ["/".join(f"{one:.0f}" for one in np.unique(dimension)) for dimension in chosen.T]
        changes = [number for number, text in enumerate(told) if number == 0 or text != told[number - 1]]
        for row, number in enumerate(changes):  # in turn on two lines, so that they do not overlap
            panel.axvline(place[number], color="0.85", linewidth=0.6, zorder=0)
            panel.text(place[number], (1.4, 4.0)[row % 2], told[number], fontsize=6, ha="left")
        panel.set(title=name, xscale="log", yscale="log", ylim=(1e-4, 10))
    for panel in axes[:: min(len(found), 5)]:
        panel.set_ylabel("singular value")
    _legend(figure, axes, "along: training tokens, on the left none; above: the dimension that the rule finds")
    return figure
