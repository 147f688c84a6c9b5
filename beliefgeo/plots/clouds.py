"""Clouds of beliefs with any number of states: a segment, triangle, or tetrahedron, else the plane of most variance."""

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.simplex import cloud, square_around
from beliefgeo.plots.style import PAGE, AnyArray, panels, styled
from beliefgeo.probes.geometry import principal_components, simplex_vertices

# The colours of the corners, distinct in all common kinds of colour vision.
_CORNERS = np.array([[0.84, 0.37, 0.0], [0.0, 0.62, 0.45], [0.0, 0.45, 0.7], [0.8, 0.47, 0.65], [0.9, 0.62, 0.0]])
# The view of a tetrahedron in which no edge hides another.
_TURN = np.array([[0.99, 0.139, 0.0], [-0.052, 0.371, 0.927]])


class Plane(NamedTuple):
    """How beliefs are laid in a plane, and what is drawn around them.

    Attributes:
        origin: The belief at (0, 0).
        axes: The two directions, as columns.
        edges: Lines around the beliefs, each by its ends in the plane.
        label: What the plane is.
    """

    origin: Float[np.ndarray, " state"]
    axes: Float[np.ndarray, "state 2"]
    edges: list[Float[np.ndarray, "end 2"]]
    label: str

    def __call__(self, beliefs: Num[AnyArray, "row state"]) -> Float[np.ndarray, "row 2"]:
        """Points in the plane."""
        return (np.asarray(beliefs, float) - self.origin) @ self.axes


def plane_of(beliefs: Num[AnyArray, "row state"], weights: Num[AnyArray, " row"] | None = None) -> Plane:
    """The simplex itself for up to four states with nonnegative beliefs, else the two principal components.

    The label of the plane says how much of the variance it holds.
    """
    beliefs = np.asarray(beliefs, float)
    states = beliefs.shape[1]
    if 2 <= states <= 4 and beliefs.min() > -1e-6:
        corners = np.asarray(simplex_vertices(states), float)
        flat = corners @ _TURN.T if states == 4 else np.pad(corners, ((0, 0), (0, 3 - states)))
        edges = [flat[list(pair)] for pair in combinations(range(states), 2)]
        return Plane(np.zeros(states), flat, edges, {2: "segment", 3: "triangle", 4: "tetrahedron"}[states])
    components = principal_components(beliefs, weights)
    axes = np.asarray(components.directions, float)[:2].T
    axes = np.pad(axes, ((0, 0), (0, 2 - axes.shape[1])))
    share = float(components.cumulative[: axes.shape[1]][-1])
    return Plane(np.asarray(components.mean, float), axes, [], f"two principal components, {share:.0%} of the variance")


def mixed_colors(beliefs: Num[AnyArray, "row state"]) -> Float[np.ndarray, "row 3"]:
    """Corner colours mixed by the belief; of more than five states, the five likeliest on average count."""
    beliefs = np.clip(np.asarray(beliefs, float), 0, 1)
    likeliest = np.sort(np.argsort(-beliefs.mean(0))[: len(_CORNERS)])
    return np.clip(beliefs[:, likeliest] @ _CORNERS[: len(likeliest)], 0, 1)


@styled
def belief_panels(
    clouds: Mapping[str, Num[AnyArray, "row state"]], weights: Num[AnyArray, " row"] | None = None
) -> Figure:
    """Clouds of the same rows side by side in the plane of the first cloud; a row has one colour everywhere.

    Args:
        clouds: title -> beliefs, the exact beliefs first, then beliefs that probes see.
        weights: how much each row counts.
    """
    first = next(iter(clouds.values()))
    plane, colors = plane_of(first, weights), mixed_colors(first)
    points = {title: plane(one) for title, one in clouds.items()}
    outline = np.concatenate([next(iter(points.values())), *plane.edges])
    limits = square_around(outline, points.values())
    figure, axes = panels(1, len(clouds), PAGE * min(1, len(clouds) / 3), PAGE / 3 + 0.5)
    for panel, (title, one) in zip(axes, points.items(), strict=True):
        panel.set(xlim=limits[0], ylim=limits[1], aspect="equal", title=title)
        cloud(panel, one, colors, weights)
        _outline(panel, plane)
    figure.supxlabel(plane.label, fontsize=7)
    return figure


def _outline(panel: Axes, plane: Plane) -> None:
    for edge in plane.edges:
        panel.plot(edge[:, 0], edge[:, 1], color="0.75", linewidth=0.6, zorder=0)
    panel.set_axis_off()
