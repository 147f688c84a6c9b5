"""What each site of a network holds: scores site by site, distances against distances, a score against chance."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Num
from matplotlib.figure import Figure

from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, AnyArray, panels, styled

_LOOKS = ((BLUE, "o"), (GREY, "s"), (GREEN, "^"), (PURPLE, "v"))

# Panel (its title) -> curve (its label) -> site -> value of each seed.
BySite = Mapping[str, Mapping[str, Mapping[str, Num[AnyArray, " seed"]]]]


@styled
def by_site(
    panels_of: BySite,
    *,
    columns: int,
    labels: Sequence[str],
    published: Mapping[str, Mapping[str, float]] | None = None,
    log: Sequence[int] = (),
) -> Figure:
    """One panel a quantity, one curve a network or control: seeds as points, their mean as a line.

    Args:
        panels_of: title -> curve -> site -> seeds.
        columns: panels side by side.
        labels: y label of each row of panels.
        published: title -> site -> value, drawn as diamonds.
        log: rows of panels with a logarithmic axis.
    """
    rows = -(-len(panels_of) // columns)
    figure, axes = panels(rows, columns, PAGE, 0.3 + 2.2 * rows)
    for index, (axis, (title, curves)) in enumerate(zip(axes, panels_of.items(), strict=False)):
        sites = list(next(iter(curves.values())))
        for (color, marker), (name, values) in zip(_LOOKS, curves.items(), strict=False):
            means = [float(np.mean(values[site])) for site in sites]
            axis.plot(sites, means, color=color, marker=marker, markersize=4, linewidth=1, label=name)
            for place, site in enumerate(sites):
                seeds = np.ravel(values[site])
                axis.plot([place] * len(seeds), seeds, ".", color=color, markersize=2.5)
        if points := (published or {}).get(title):
            axis.plot(
                list(points), list(points.values()), "D", color=ORANGE, markersize=4, mfc="none", label="published"
            )
        axis.set_title(title)
        axis.set_xticks(range(len(sites)), sites, rotation=35, ha="right", rotation_mode="anchor")
        if index // columns in log:
            axis.set_yscale("log")
        if index % columns == 0:
            axis.set_ylabel(labels[index // columns])
        if not index % columns:
            axis.legend(loc="best")
    return figure


@styled
def distance_panels(
    clouds: Mapping[str, tuple[Num[AnyArray, "row axis"], Num[AnyArray, "row axis_of_other"]]],
    labels: Sequence[tuple[str, str]],
) -> Figure:
    """Pairwise distances in one cloud against those of the same pairs in another, as a density: one panel a pair.

    Args:
        clouds: title -> two clouds of the same rows (at most some thousand: every pair is counted).
        labels: x and y label of each panel.
    """
    figure, axes = panels(1, len(clouds), PAGE, 2.3)
    for axis, (title, (left, right)), (x, y) in zip(axes, clouds.items(), labels, strict=True):
        axis.hexbin(_distances(left), _distances(right), gridsize=40, bins="log", cmap="Greys", linewidths=0.1)
        axis.set(title=title, xlabel=x, ylabel=y)
    return figure


@styled
def against_chance(tests: Mapping[str, tuple[float, Num[AnyArray, " shuffle"]]], *, xlabel: str) -> Figure:
    """A score beside the scores of its permutations, one panel each."""
    figure, axes = panels(1, len(tests), PAGE, 2.0)
    for axis, (title, (score, shuffled)) in zip(axes, tests.items(), strict=True):
        axis.hist(np.asarray(shuffled), 40, color=GREY, label=f"{len(shuffled)} shuffles")
        axis.axvline(score, color=BLUE, label="the beliefs")
        axis.set(title=title, xlabel=xlabel)
        axis.legend(loc="upper center")
    axes[0].set_ylabel("shuffles")
    return figure


@styled
def learning_curves(
    curves: Mapping[str, tuple[Num[AnyArray, " snapshot"], Num[AnyArray, "seed snapshot"]]], *, ylabel: str
) -> Figure:
    """A quantity against training tokens, one curve a network, every seed drawn; both axes logarithmic."""
    figure, (axis,) = panels(1, 1, PAGE / 2, 2.4)
    for (color, marker), (name, (tokens, values)) in zip(_LOOKS, curves.items(), strict=False):
        for index, seed in enumerate(np.asarray(values)):
            axis.plot(tokens, seed, color=color, marker=marker, markersize=3, label=None if index else name)
    axis.set(xscale="log", yscale="log", xlabel="training tokens", ylabel=ylabel)
    axis.legend()
    return figure


@styled
def colored_clouds(
    clouds: Mapping[str, Num[AnyArray, "row axis"]], values: Num[AnyArray, " row"], *, label: str
) -> Figure:
    """Points in two dimensions side by side on the same axes, coloured by a number."""
    figure, axes = panels(1, len(clouds), PAGE, 2.6)
    drawn = None
    for axis, (title, points) in zip(axes, clouds.items(), strict=True):
        drawn = axis.scatter(*np.asarray(points)[:, :2].T, c=values, s=5, cmap="viridis", linewidths=0, alpha=0.8)
        axis.set(title=title, aspect="equal", xticks=[], yticks=[])
    every = np.concatenate([np.asarray(points)[:, :2] for points in clouds.values()])
    low, high = every.min(0), every.max(0)
    margin = 0.05 * (high - low)
    for axis in axes:
        axis.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
    if drawn is not None:
        figure.colorbar(drawn, ax=axes, label=label, shrink=0.8)
    return figure


def _distances(cloud: Num[AnyArray, "row axis"]) -> Num[np.ndarray, " pair"]:
    cloud = np.asarray(cloud, np.float64)
    squares = (cloud**2).sum(1)
    apart = np.maximum(squares[:, None] + squares[None] - 2 * cloud @ cloud.T, 0)
    return np.sqrt(apart[np.triu_indices(len(cloud), 1)])
