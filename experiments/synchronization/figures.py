"""Pictures of the synchronisation claim, drawn from its results alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from beliefgeo.plots import curves, information
from beliefgeo.plots.style import GREEN, PAGE, panels, styled


def draw(results: Mapping[str, Any]) -> dict[str, Figure]:
    """Draw the spectra with the losses, and each network's gap along the context; a single process gives the name."""
    of = "" if len(results) > 1 else f"_{next(iter(results))}"
    return {f"synchronization{of}": spectra(results), f"per_position{of}": gaps(results)}


@styled
def spectra(results: Mapping[str, Any]) -> Figure:
    """A column for each process: the eigenvalues, and below h_L - h, exact and of the networks.

    The dashed line falls as the slowest mode, through the second half of the exact points.
    """
    figure, axes = panels(2, len(results), PAGE, 4.2) if len(results) > 1 else panels(1, 2, PAGE, 2.9)
    drawn = {}
    for (name, found), above, below in zip(results.items(), axes, axes[len(results) :], strict=False):
        modulus, rate, networks = found["slowest modulus"], found["entropy rate"], found["trained"].excess.values
        information.spectrum_panel(above, found["eigenvalues"] @ [1, 1j])
        moduli = [modulus] if modulus > 0 else []
        information.decay_panel(below, found["exact"]["excess"] + rate, rate, moduli, bits=False)
        if legend := below.get_legend():  # one for all panels is below them
            legend.remove()
        *slope, exact = below.lines
        several = f"loss of {'the network' if len(networks) == 1 else f'{len(networks)} networks'} \u2212 h"
        network, *_ = below.plot(networks.T, "x-", color=GREEN, markersize=4, linewidth=0.6, label=several)
        drawn |= dict.fromkeys(["slowest mode, |λ|$^L$"], *slope) if slope else {}
        drawn |= {"exact, $h_L - h$": exact, several: network}
        below.set_ylim(min(networks.min(), np.min(exact.get_ydata())) / 3, 3 * networks.max())
        below.yaxis.set_minor_formatter(NullFormatter())
        below.set(title=f"slowest mode |λ| = {modulus:.4f}" if moduli else "all modes 0", ylabel="")
        above.set(title=name, ylabel="")
    axes[0].set_ylabel("Im λ")
    axes[len(results)].set_ylabel("above the entropy\nrate h (nats)")
    figure.legend(drawn.values(), drawn, loc="outside lower center", ncols=3)
    return figure


def gaps(results: Mapping[str, Any]) -> Figure:
    """The loss of networks above the optimum after each number of tokens."""
    of_each = lambda net: {name: found[net].gap_per_length.values for name, found in results.items()}
    length = np.arange(len(next(iter(results.values()))["exact"]["excess"]))
    figure = curves.per_position(
        length, {f"{net}: nats above the optimum": of_each(net) for net in ("trained", "untrained")}
    )
    figure.axes[1].set(yscale="linear", ylim=(0, None))
    return figure
