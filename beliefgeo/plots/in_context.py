"""Loss along the context: its excess over the entropy rate, its gap to the optimum, and what is lost on a name."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, panels, styled

_LOOKS = {"transformer": (BLUE, "o"), "gru": (ORANGE, "s")}


@styled
def excess_panels(sources: Mapping[str, Mapping[str, Any]]) -> Figure:
    """h_L - h, exact and of each network, one panel a source; both axes logarithmic, L + 1 so that L = 0 is shown.

    Args:
        sources: title -> "exact" h_L `[position]`, "entropy rate" h, and "networks": name -> "gap_per_position" ->
            "trained" -> "mean" `[position]`.
    """
    figure, axes = panels(1, len(sources), PAGE, 2.3)
    for axis, (title, found) in zip(axes, sources.items(), strict=True):
        excess = np.asarray(found["exact"]) - found["entropy rate"]
        read = np.arange(len(excess)) + 1
        axis.plot(read, excess, color=GREY, linewidth=2.5, alpha=0.6, label="exact")
        for name, network in found["networks"].items():
            color, marker = _LOOKS[name]
            mean = np.asarray(network["gap_per_position"]["trained"]["mean"]) + excess
            axis.plot(read, mean, color=color, marker=marker, markersize=2, linewidth=0.7, label=name)
        axis.set(xscale="log", yscale="log", xlabel="tokens read + 1", title=title)
        axis.set_ylim(1e-4, 3 * excess.max())
    axes[0].set_ylabel("loss - entropy rate (nats)")
    axes[0].legend(loc="lower left")
    return figure


@styled
def gap_panels(sources: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Nats above the optimum after each number of tokens read, one panel a source, every seed a line.

    Args:
        sources: title -> "networks": name -> "gap_per_position" -> "trained" -> "seeds" `[seed, position]`.
    """
    figure, axes = panels(1, len(sources), PAGE, 2.2)
    for axis, (title, found) in zip(axes, sources.items(), strict=True):
        for name, network in found["networks"].items():
            for index, gap in enumerate(np.asarray(network["gap_per_position"]["trained"]["seeds"])):
                axis.plot(gap, color=_LOOKS[name][0], linewidth=0.8, label=None if index else name)
        axis.set(yscale="log", xlabel="tokens read", title=title)
    axes[0].set_ylabel("loss above the optimum (nats)")
    axes[0].legend()
    return figure


@styled
def sightings_panels(
    networks: Mapping[str, Mapping], published: tuple[float, Sequence[float]], *, xlabel: str = "training tokens"
) -> Figure:
    """Loss on the name at its first four sightings against training tokens, one panel a network.

    Args:
        networks: name -> "sightings": "exact" `[sighting]` and "network": tokens -> {"mean" `[sighting]`}.
        published: training tokens, all of them drawn, and the loss at each sighting after them.
        xlabel: says what the networks' tokens are, where they are not all drawn.
    """
    figure, axes = panels(1, len(networks), PAGE, 2.4)
    for axis, (title, network) in zip(axes, networks.items(), strict=True):
        found = network["sightings"]
        tokens = [max(int(step), 1) for step in found["network"]]
        losses = np.array([shot["mean"] for shot in found["network"].values()])
        for k, color in enumerate((BLUE, ORANGE, GREEN, PURPLE)):
            axis.plot(tokens[1:], losses[1:, k], ".-", color=color, label=f"sighting {k + 1}")
            axis.plot(published[0], published[1][k], "D", mfc="none", color=color, markersize=4)
        axis.axhline(found["exact"][0], color=GREY, linestyle=":", linewidth=1, label="exact, sighting 1")
        axis.set(xscale="log", yscale="log", xlabel=xlabel, title=title)
    axes[0].plot([], [], "D", mfc="none", color=GREY, label="published, drawn tokens")
    axes[0].set_ylabel("loss on the name (nats)")
    axes[-1].legend(*axes[0].get_legend_handles_labels(), loc="center", bbox_to_anchor=(0.6, 0.62))
    return figure
