"""Pictures of the in-context claim: excess over the entropy rate, gap to the optimum, loss on a name."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, panels, styled

PUBLISHED_SIGHTINGS = (51.2e6, (1.05, 0.0079, 0.0023, 0.0018))
# The smallest excess on the axis, and the smallest to which the networks' excess is compared. Nats.
_FLOOR, _LEAST = 1e-5, 1e-3
_LOOKS = {"transformer": (BLUE, "o"), "gru": (ORANGE, "s")}


def draw(results: Mapping[str, Any]) -> dict[str, Figure]:
    """All pictures by name."""
    sources = results["sources"]
    drawn = {"loss": excess_panels(sources), "gap": gap_panels(sources)}
    if "names" in sources:
        drawn["sightings"] = sightings_panels(sources["names"], PUBLISHED_SIGHTINGS, targets=results["targets"])
    return drawn


def gaps_of(network: Mapping[str, Any]) -> np.ndarray:
    """Nats above the optimum after each number of tokens read, `[seed, position]`, of the trained networks."""
    return network["predictions"].losses.gap_per_length.values[:, -1]


@styled
def excess_panels(sources: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Above h_L - h, exact and of each network; below the networks' over the exact one; a column for each source.

    The mean of the seeds, with their range below. The columns end where the exact excess leaves the axis; ratios are
    drawn while it is `_LEAST` or more: then the networks' own errors show.

    Args:
        sources: title -> "excess" `[position]` and "networks": name -> "predictions", whose last checkpoint is drawn.
    """
    figure, axes = panels(2, len(sources), PAGE, 3.8)
    drawn = {}
    for above, below, (title, found) in zip(axes, axes[len(sources) :], sources.items(), strict=False):
        excess = np.asarray(found["excess"])
        read, held = np.arange(len(excess)), np.flatnonzero(excess > _LEAST)
        (drawn["exact"],) = above.plot(read, excess, color=GREY, linewidth=4, alpha=0.35, solid_capstyle="round")
        below.axhline(1, color=GREY, linewidth=4, alpha=0.35)
        last = np.flatnonzero(excess > _FLOOR)[-1]
        for index, (name, network) in enumerate(found["networks"].items()):
            color, marker = _LOOKS[name]
            gaps = gaps_of(network)
            # Marks of one network fall between those of the other.
            every = max(1, last // 12)
            look = {"color": color, "marker": marker, "markersize": 3, "mfc": "none", "linewidth": 0.8}
            look["markevery"] = (index * every // 2, every)
            (drawn[name],) = above.plot(read, np.maximum(gaps.mean(0) + excess, 1e-12), **look)
            ratios = 1 + gaps[:, held] / excess[held]
            below.plot(held, ratios.mean(0), **look)
            below.fill_between(held, ratios.min(0), ratios.max(0), color=color, alpha=0.2, linewidth=0)
        low = max(_FLOOR, excess.min() / 3)
        above.set(yscale="log", ylim=(low, 3 * excess.max()), title=title)
        above.yaxis.set_minor_formatter(NullFormatter())
        below.set(xlabel="tokens read")
        _at_least(below, 0.01)
        for axis in (above, below):
            axis.set_xlim(-0.5, max(6, 1.05 * last))
            axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes[0].set_ylabel("loss above the\nentropy rate (nats)")
    axes[len(sources)].set_ylabel("the same,\nnetwork / exact")
    figure.legend(drawn.values(), map(_named, drawn), loc="outside lower center", ncols=len(drawn))
    return figure


def _named(network: str) -> str:
    return network.upper() if network == "gru" else network


def _at_least(axis: Axes, reach: float) -> None:
    """Widen the vertical limits to 1 +- reach if they are narrower: agreement is to look like agreement."""
    low, high = axis.get_ylim()
    axis.set_ylim(min(low, 1 - reach), max(high, 1 + reach))


@styled
def gap_panels(sources: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Nats above the optimum after each number of tokens read, a panel for each source, a line for each seed.

    Args:
        sources: title -> "networks": name -> "predictions", whose last checkpoint is drawn.
    """
    figure, axes = panels(1, len(sources), PAGE, 2.4)
    drawn, low, high = {}, np.inf, 0.0
    for axis, (title, found) in zip(axes, sources.items(), strict=True):
        for name, network in found["networks"].items():
            gaps = gaps_of(network)
            low, high = min(low, gaps[gaps > 0].min(initial=np.inf)), max(high, gaps.max())
            for gap in gaps:
                (drawn[name],) = axis.plot(gap, color=_LOOKS[name][0], linewidth=0.8)
        axis.set(yscale="log", xlabel="tokens read", title=title)
    for axis in axes:  # one scale for all sources
        axis.set_ylim(low / 1.5, high * 1.5)
        axis.yaxis.set_minor_formatter(NullFormatter())
        if axis is not axes[0]:
            axis.set_yticklabels([])
    axes[0].set_ylabel("loss above the optimum (nats)")
    figure.legend(
        drawn.values(), [f"{_named(name)}, a line a network" for name in drawn], loc="outside lower center", ncols=2
    )
    return figure


@styled
def sightings_panels(
    names: Mapping[str, Any], published: tuple[float, Sequence[float]], *, targets: str = "drawn tokens"
) -> Figure:
    """Loss on the name at its first four sightings against training tokens, a panel for each network.

    Args:
        names: "sightings" `[sighting]`, exact, and "networks": name -> "tokens" `[checkpoint]` and "predictions".
        published: the number of training tokens, all drawn, and the loss at each sighting after them.
        targets: the kind of targets from which the networks learnt.
    """
    figure, axes = panels(1, len(names["networks"]), PAGE, 2.7)
    for axis, (title, network) in zip(axes, names["networks"].items(), strict=True):
        tokens, losses = network["tokens"], network["predictions"].sightings.mean
        for k, color in enumerate((BLUE, ORANGE, GREEN, PURPLE)):
            axis.plot(tokens[1:], losses[1:, k], ".-", color=color, label=f"sighting {k + 1}")
            axis.plot(published[0], published[1][k], "D", mfc="none", color=color, markersize=4)
        axis.axhline(names["sightings"][0], color=GREY, linestyle=":", linewidth=1, label="exact, sighting 1")
        axis.set(xscale="log", yscale="log", xlabel=f"training tokens ({targets})", title=_named(title))
        axis.set_ylim(min(losses[1:].min(), *published[1]) / 2, 4)
    axes[0].plot([], [], "D", mfc="none", color=GREY, markersize=4, label="published, drawn tokens")
    axes[0].set_ylabel("loss on the name (nats)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, columnspacing=1.2)
    return figure
