"""Loss along the context: its excess over the entropy rate, its gap to the optimum, and what is lost on a name."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Num
from matplotlib.figure import Figure

from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, AnyArray, panels, styled

_LOOKS = {"transformer": (BLUE, "o"), "gru": (ORANGE, "s")}


@styled
def excess_panels(
    sources: Mapping[str, tuple[Num[AnyArray, " position"], float, Mapping[str, Num[AnyArray, "seed position"]]]],
) -> Figure:
    """h_L - h, exact and of each network, one panel a source; both axes logarithmic, L + 1 so that L = 0 is shown.

    Args:
        sources: title -> exact h_L, h, and network -> gap to the optimum at each position.
    """
    figure, axes = panels(1, len(sources), PAGE, 2.3)
    for axis, (title, (exact, rate, gaps)) in zip(axes, sources.items(), strict=True):
        read, excess = np.arange(len(exact)) + 1, np.asarray(exact) - rate
        axis.plot(read, excess, color=GREY, linewidth=2.5, alpha=0.6, label="exact")
        for name, gap in gaps.items():
            color, marker = _LOOKS[name]
            mean = np.asarray(gap).mean(0) + excess
            axis.plot(read, mean, color=color, marker=marker, markersize=2, linewidth=0.7, label=name)
        axis.set(xscale="log", yscale="log", xlabel="tokens read + 1", title=title)
        axis.set_ylim(1e-4, 3 * excess.max())
    axes[0].set_ylabel("loss - entropy rate (nats)")
    axes[0].legend(loc="lower left")
    return figure


@styled
def gap_panels(
    sources: Mapping[str, Mapping[str, Num[AnyArray, "seed position"]]], *, threshold: float = 0.005
) -> Figure:
    """Nats above the optimum after each number of tokens read, one panel a source, every seed a line."""
    figure, axes = panels(1, len(sources), PAGE, 2.2)
    for axis, (title, gaps) in zip(axes, sources.items(), strict=True):
        for name, seeds in gaps.items():
            for index, gap in enumerate(np.asarray(seeds)):
                axis.plot(gap, color=_LOOKS[name][0], linewidth=0.8, label=None if index else name)
        axis.axhline(threshold, color=GREY, linestyle=":", linewidth=1, label=f"{threshold} nats")
        axis.set(yscale="log", xlabel="tokens read", title=title)
    axes[0].set_ylabel("loss above the optimum (nats)")
    axes[0].legend()
    return figure


@styled
def sightings_panels(networks: Mapping[str, Mapping], published: tuple[float, Sequence[float]]) -> Figure:
    """Loss on the name at its first four sightings against training tokens, one panel a network.

    Args:
        networks: name -> "exact" `[sighting]` and "network": tokens -> {"mean" `[sighting]`}.
        published: training tokens, and the loss at each sighting after them.
    """
    figure, axes = panels(1, len(networks), PAGE, 2.4)
    for axis, (title, found) in zip(axes, networks.items(), strict=True):
        tokens = [max(int(step), 1) for step in found["network"]]
        losses = np.array([shot["mean"] for shot in found["network"].values()])
        for k, color in enumerate((BLUE, ORANGE, GREEN, PURPLE)):
            axis.plot(tokens[1:], losses[1:, k], ".-", color=color, label=f"sighting {k + 1}")
            axis.plot(published[0], published[1][k], "D", mfc="none", color=color, markersize=4)
        axis.axhline(found["exact"][0], color=GREY, linestyle=":", linewidth=1, label="exact, sighting 1")
        axis.set(xscale="log", yscale="log", xlabel="training tokens", title=title)
    axes[0].plot([], [], "D", mfc="none", color=GREY, label="published")
    axes[0].set_ylabel("loss on the name (nats)")
    axes[0].legend()
    return figure
