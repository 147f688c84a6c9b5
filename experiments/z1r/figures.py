"""Pictures of the Z1R claim, drawn from its results alone."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from beliefgeo.plots import curves, information, simplex, spaces
from beliefgeo.plots.style import styled
from beliefgeo.probes import simplex_coordinates

LAST, BOTH = "last block", "all blocks"


class Clouds(NamedTuple):
    """Beliefs after every prefix, exact and as probes of the first network's last block see them."""

    beliefs: Float[np.ndarray, "row state"]
    counts: Int[np.ndarray, " row"]
    trained: Float[np.ndarray, "row state"]
    untrained: Float[np.ndarray, "row state"]
    shuffled: Float[np.ndarray, "row state"]


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """Draw the process, its measures, the probed beliefs and the loss."""
    exact = results["exact"]
    rate, excess = (exact.bits[name] * np.log(2) for name in ("entropy rate h", "excess entropy E"))
    return {
        "presentation": spaces.presentation_figure(exact.process, exact.presentation),
        "block_entropies": information.block_entropy_figure(
            exact.block_entropies, rate, excess, exact.belief_entropies
        ),
        "beliefs": beliefs(results),
        "loss": loss(results),
    }


def beliefs(results: dict[str, Any]) -> Figure:
    """Exact beliefs, numbered as in the presentation, beside what probes see in the first network and in controls."""
    clouds, trained, presentation = results["clouds"], results["trained"], results["exact"].presentation
    title = lambda name, r2: f"{name}\nR$^2$ = {abs(r2.values[0]):.4f}"
    panels = {
        "exact: seven beliefs\n": clouds.beliefs,
        title("probe, first trained network", trained["r2"][LAST]): clouds.trained,
        title("the same network untrained", results["untrained"]["r2"][LAST]): clouds.untrained,
        title("shuffled beliefs", trained["shuffled"]): clouds.shuffled,
    }
    points = {name: np.asarray(simplex_coordinates(cloud)) for name, cloud in panels.items()}
    corners = [f"state {state}" for state in range(clouds.beliefs.shape[1])]
    figure = simplex.simplex_panels(points, simplex.belief_colors(clouds.beliefs), clouds.counts, corners=corners)
    for number, place in enumerate(np.asarray(simplex_coordinates(presentation.beliefs))):
        figure.axes[0].annotate(str(number), place, (4, 0.5), textcoords="offset points", va="bottom", size=7)
    return figure


@styled
def loss(results: dict[str, Any]) -> Figure:
    """Loss, and loss above the optimum, after each number of tokens."""
    optimum = results["optimum"]
    gaps = {net: results[net]["losses"].gap_per_length.values for net in ("trained", "untrained")}
    losses = {"exact optimum": optimum[None]} | {name: gap + optimum for name, gap in gaps.items()}
    panels = {"loss (nats)": losses, "loss above the optimum (nats)": gaps}
    figure = curves.per_position(np.arange(len(optimum)), panels)
    figure.axes[0].set(yscale="linear", ylim=(0, None))
    optimal = figure.axes[0].lines[0]
    optimal.set(linewidth=5, alpha=0.35, marker="")  # so that the trained networks on it are seen
    figure.axes[0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure
