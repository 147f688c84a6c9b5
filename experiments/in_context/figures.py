"""Pictures of the in-context claim: excess over the entropy rate, gap to the optimum, loss on a name."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, panels, styled

PUBLISHED_SIGHTINGS = (51.2e6, (1.05, 0.0079, 0.0023, 0.0018))
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
    """h_L - h, exact and of each network, a panel for each source; both axes are logarithmic, of L + 1 for L = 0.

    Args:
        sources: title -> "excess" `[position]` and "networks": name -> "predictions", whose last checkpoint is drawn.
    """
    figure, axes = panels(1, len(sources), PAGE, 2.3)
    for axis, (title, found) in zip(axes, sources.items(), strict=True):
        excess = np.asarray(found["excess"])
        read = np.arange(len(excess)) + 1
        axis.plot(read, excess, color=GREY, linewidth=2.5, alpha=0.6, label="exact")
        for name, network in found["networks"].items():
            color, marker = _LOOKS[name]
            mean = gaps_of(network).mean(0) + excess
            axis.plot(read, mean, color=color, marker=marker, markersize=2, linewidth=0.7, label=name)
        axis.set(xscale="log", yscale="log", xlabel="tokens read + 1", title=title)
        axis.set_ylim(1e-4, 3 * excess.max())
    axes[0].set_ylabel("loss - entropy rate (nats)")
    axes[0].legend(loc="lower left")
    return figure


@styled
def gap_panels(sources: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Nats above the optimum after each number of tokens read, a panel for each source, a line for each seed.

    Args:
        sources: title -> "networks": name -> "predictions", whose last checkpoint is drawn.
    """
    figure, axes = panels(1, len(sources), PAGE, 2.2)
    for axis, (title, found) in zip(axes, sources.items(), strict=True):
        for name, network in found["networks"].items():
            for index, gap in enumerate(gaps_of(network)):
                axis.plot(gap, color=_LOOKS[name][0], linewidth=0.8, label=None if index else name)
        axis.set(yscale="log", xlabel="tokens read", title=title)
    axes[0].set_ylabel("loss above the optimum (nats)")
    axes[0].legend()
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
    figure, axes = panels(1, len(names["networks"]), PAGE, 2.4)
    for axis, (title, network) in zip(axes, names["networks"].items(), strict=True):
        tokens, losses = network["tokens"], network["predictions"].sightings.mean
        for k, color in enumerate((BLUE, ORANGE, GREEN, PURPLE)):
            axis.plot(tokens[1:], losses[1:, k], ".-", color=color, label=f"sighting {k + 1}")
            axis.plot(published[0], published[1][k], "D", mfc="none", color=color, markersize=4)
        axis.axhline(names["sightings"][0], color=GREY, linestyle=":", linewidth=1, label="exact, sighting 1")
        axis.set(xscale="log", yscale="log", xlabel=f"training tokens ({targets})", title=title)
    axes[0].plot([], [], "D", mfc="none", color=GREY, label="published, drawn tokens")
    axes[0].set_ylabel("loss on the name (nats)")
    axes[-1].legend(*axes[0].get_legend_handles_labels(), loc="center", bbox_to_anchor=(0.6, 0.62))
    return figure
