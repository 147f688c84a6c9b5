"""The curve with networks, their training and controls; and their share of what it allows."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from measures import NEAR

from beliefgeo.plots.style import AMBER, BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, SKY, panels, styled

COLORS = (PURPLE, ORANGE, AMBER, GREEN, BLUE, SKY)

# The lowest share that a panel shows, of what the past tells.
LOWEST = -0.3


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """All pictures of the results."""
    return {"curve": curve(results), "shares": shares(results), "training": training(results)}


@styled
def curve(results: dict[str, Any]) -> Figure:
    """A panel a process: what no memory passes, where networks of each width end, and how they came there."""
    figure, axes = panels(1, len(results), PAGE, 3.0)
    for panel, (name, found) in zip(axes, results.items(), strict=True):
        total, exact, every = found["total"], found["curve"], found["widths"]
        reach = 1.05 * max(exact.rates.max(), *(one["path"]["rate"].mean.max() for one in every.values()))
        rates = np.linspace(0, reach, 300)
        panel.fill_between(rates, exact.allowed(rates) / total, 2, color="0.92", linewidth=0)
        panel.plot(rates, exact.reached(rates) / total, color="0.2", label="the curve")
        for index, (width, one) in enumerate(every.items()):
            path, color = one["path"], COLORS[index % len(COLORS)]
            panel.plot(path["rate"].mean, path["told"].mean / total, ".-", color=color, linewidth=0.7, markersize=2.5)
            _cross(panel, one["trained"], total, color, 7 - index, f"width {width}")
        for control, marker in (("untrained", "s"), ("wrong pasts", "x")):
            points = [one[control] for one in every.values()]
            heights = [max(point["told"].mean / total, LOWEST + 0.02) for point in points]  # else below the panel
            panel.plot(
                [point["rate"].mean for point in points], heights, marker, color=GREY, markersize=3, label=control
            )
        panel.set(title=name, xlabel="memory of the past (nats)", xlim=(-0.02 * reach, reach), ylim=(LOWEST, 1.08))
    axes[0].set_ylabel("share of what the past tells")
    _legend_below(figure, axes[0])
    return figure


def _cross(panel: Axes, point: dict[str, Any], total: float, color: str, size: float, label: str) -> None:
    """The mean of the seeds, with its intervals in both directions; open and of different size, as points coincide."""
    rate, told = point["rate"], point["told"]
    half = lambda seeds, unit: 0 if seeds.interval is None else (seeds.interval[1] - seeds.mean) / unit
    spread = {"yerr": half(told, total), "xerr": half(rate, 1), "elinewidth": 0.8}
    look = {"color": color, "markersize": size, "markerfacecolor": "none", "markeredgewidth": 1.1}
    panel.errorbar(rate.mean, told.mean / total, fmt="o", label=label, **spread, **look)


def _legend_below(figure: Figure, panel: Axes) -> None:
    handles, labels = panel.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda index: (labels[index] in ("untrained", "wrong pasts"), index))
    # Lines come before error bars in a panel's list; a reader looks for the widths first.
    figure.legend(
        [handles[index] for index in order],
        [labels[index] for index in order],
        loc="outside lower center",
        ncols=len(labels),
        columnspacing=1.2,
        handletextpad=0.4,
    )


@styled
def shares(results: dict[str, Any]) -> Figure:
    """The share of what the curve allows, by width: at two resolutions, and of the next token alone."""
    figure, axes = panels(1, len(results), PAGE, 2.6)
    kinds = {"trained": ("fine", BLUE), "coarse": ("coarse", ORANGE), "next token": ("next token alone", GREEN)}
    for panel, (name, found) in zip(axes, results.items(), strict=True):
        for index, (kind, (label, color)) in enumerate(kinds.items()):
            every = [one[kind]["share"] for one in found["widths"].values()]
            half = [0 if one.interval is None else one.interval[1] - one.mean for one in every]
            places = [place + 0.15 * (index - 1) for place in range(len(every))]
            means = [one.mean for one in every]
            panel.errorbar(places, means, half, fmt="o", color=color, markersize=3, label=label)
        panel.axhline(NEAR, color=GREY, linewidth=0.8, linestyle=":")
        panel.set(title=name, xlabel="width", xticks=range(len(found["widths"])), ylim=(0, 1.04))
        panel.set_xticklabels([str(width) for width in found["widths"]])
    axes[0].set_ylabel("share of what the curve allows")
    _legend_below(figure, axes[0])
    return figure


@styled
def training(results: dict[str, Any]) -> Figure:
    """The share of what the curve allows at the memory of the moment, while networks train."""
    figure, axes = panels(1, len(results), PAGE, 2.6)
    for panel, (name, found) in zip(axes, results.items(), strict=True):
        for color, (width, one) in zip(COLORS, found["widths"].items(), strict=False):
            panel.plot(
                found["tokens"][1:],
                one["path"]["share"].mean[1:],
                ".-",
                color=color,
                markersize=3,
                label=f"width {width}",
            )
        panel.axhline(NEAR, color=GREY, linewidth=0.8, linestyle=":")
        panel.set(title=name, xlabel="training tokens", xscale="log", xlim=(1e4, 1e6), ylim=(LOWEST, 1.04))
        panel.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel("share of what the curve allows")
    _legend_below(figure, axes[0])
    return figure
