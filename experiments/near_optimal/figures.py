"""The curve with networks, their training and controls; and their share of what it allows."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from measures import NEAR

from beliefgeo.plots.style import AMBER, BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, SKY, panels, styled

COLORS = (PURPLE, ORANGE, AMBER, GREEN, BLUE, SKY)


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """All pictures of the results."""
    return {"curve": curve(results), "shares": shares(results), "training": training(results)}


@styled
def curve(results: dict[str, Any]) -> Figure:
    """A panel a process: what no memory passes, where networks of each width end, and how they came there."""
    figure, axes = panels(1, len(results), PAGE, 3.0)
    for panel, (name, found) in zip(axes, results.items(), strict=True):
        total, exact = found["total"], found["curve"]
        reach = 1.35 * exact.rates.max()
        rates = [reach * index / 300 for index in range(301)]
        panel.fill_between(rates, exact.allowed(rates) / total, 2, color="0.92", linewidth=0)
        panel.plot(rates, exact.reached(rates) / total, color="0.2", label="the curve")
        for color, (width, one) in zip(COLORS, found["widths"].items(), strict=False):
            path = one["path"]
            panel.plot(path["rate"].mean, path["told"].mean / total, ".-", color=color, linewidth=0.7, markersize=2.5)
            _cross(panel, one["trained"], total, color, f"width {width}")
        _controls(panel, found, total)
        panel.set(title=name, xlabel="memory of the past (nats)", xlim=(0, reach), ylim=(-0.3, 1.08))
    axes[0].set_ylabel("share of what the past tells")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _cross(panel: Axes, point: dict[str, Any], total: float, color: str, label: str) -> None:
    """The mean of the seeds, with its intervals in both directions."""
    rate, told = point["rate"], point["told"]
    half = lambda seeds, unit: None if seeds.interval is None else (seeds.interval[1] - seeds.mean) / unit
    panel.errorbar(
        rate.mean, told.mean / total, half(told, total), half(rate, 1), "o", color=color, markersize=4, label=label
    )


def _controls(panel: Axes, found: dict[str, Any], total: float) -> None:
    """Untrained networks, and laws of the wrong pasts; at the lower edge where they lie below it."""
    for control, marker in (("untrained", "s"), ("wrong pasts", "x")):
        every = [one[control] for one in found["widths"].values()]
        heights = [max(one["told"].mean / total, -0.28) for one in every]
        panel.plot([one["rate"].mean for one in every], heights, marker, color=GREY, markersize=3.5, label=control)


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
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


@styled
def training(results: dict[str, Any]) -> Figure:
    """The share of what the curve allows at the memory of the moment, while networks train."""
    figure, axes = panels(1, len(results), PAGE, 2.6)
    for panel, (name, found) in zip(axes, results.items(), strict=True):
        for color, (width, one) in zip(COLORS, found["widths"].items(), strict=False):
            panel.plot(
                found["tokens"], one["path"]["share"].mean, ".-", color=color, markersize=3, label=f"width {width}"
            )
        panel.axhline(NEAR, color=GREY, linewidth=0.8, linestyle=":")
        first = min(token for token in found["tokens"] if token)
        panel.set_xscale("symlog", linthresh=first)
        panel.set(title=name, xlabel="training tokens", ylim=(-0.3, 1.04))
    axes[0].set_ylabel("share of what the curve allows")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure
