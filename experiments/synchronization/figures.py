"""Pictures of the synchronisation claim, drawn from its results alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from beliefgeo.plots import curves, information
from beliefgeo.plots.style import GREEN, PAGE, panels, styled


def draw(results: Mapping[str, Any]) -> dict[str, Figure]:
    """Draw the spectra with the losses, and each network's gap along the context; a single process gives the name."""
    of = "" if len(results) > 1 else f"_{next(iter(results))}"
    return {f"synchronization{of}": spectra(results), f"per_position{of}": gaps(results)}


@styled
def spectra(results: Mapping[str, Any]) -> Figure:
    """A row for each process: the eigenvalues, and h_L - h, exact and of the network."""
    figure, axes = panels(len(results), 2, PAGE, 2.6 * len(results))
    for (name, found), left, right in zip(results.items(), axes[::2], axes[1::2], strict=True):
        modulus, rate, excess = found["slowest modulus"], found["entropy rate"], found["trained"].excess.mean
        information.spectrum_panel(left, found["eigenvalues"] @ [1, 1j])
        moduli = [modulus] if modulus > 0 else []
        information.decay_panel(right, found["exact"]["excess"] + rate, rate, moduli, bits=False)
        right.plot(excess, "x-", color=GREEN, markersize=4, linewidth=0.6, label="loss of the network - h")
        right.set(ylim=(excess.min() / 3, 3 * excess.max()), title=f"{name}: loss above the entropy rate")
        right.legend(loc="upper right")
        left.set_title(f"{name}: eigenvalues")
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
