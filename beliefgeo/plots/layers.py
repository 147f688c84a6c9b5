"""What each site of a network holds: scores site by site, distances against distances, a score against chance."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, AnyArray, panels, styled

_LOOKS = ((BLUE, "o"), (GREY, "s"), (GREEN, "^"), (PURPLE, "v"))

# Column of panels -> network -> site -> name of a score -> its report over seeds.
Scores = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]]


@styled
def by_site(
    scores: Scores,
    rows: Mapping[str, Mapping[str, tuple[str, str]]],
    *,
    titles: Sequence[str] = (),
    published: Mapping[str, Mapping[str, float]] | None = None,
    log: Sequence[int] = (),
) -> Figure:
    """Scores site by site, one curve a network or score: seeds as points, their mean as a line.

    Args:
        scores: column of panels -> network -> site -> name of a score -> its report over seeds.
        rows: y label of a row of panels -> label of a curve -> the network and the name of the score it shows.
        titles: what the title of a panel says of its row, after the name of the column.
        published: title of a panel -> site -> value, drawn as diamonds.
        log: rows of panels with a logarithmic axis.
    """
    figure, axes = panels(len(rows), len(scores), PAGE, 0.3 + 2.2 * len(rows))
    for row, (label, curves) in enumerate(rows.items()):
        for column, (name, networks) in enumerate(scores.items()):
            axis, title = axes[row * len(scores) + column], ", ".join([name, *titles[row : row + 1]])
            _draw_curves(axis, {curve: _seeds(networks[net], score) for curve, (net, score) in curves.items()})
            if points := (published or {}).get(title):
                axis.plot(
                    list(points), list(points.values()), "D", color=ORANGE, markersize=4, mfc="none", label="published"
                )
            axis.set(title=title, yscale="log" if row in log else "linear")
        axes[row * len(scores)].set_ylabel(label)
        axes[row * len(scores)].legend(loc="best")
    return figure


def _seeds(sites: Mapping[str, Mapping[str, Any]], score: str) -> dict[str, Num[np.ndarray, " seed"]]:
    return {site: np.ravel(found[score]["seeds"]) for site, found in sites.items()}


def _draw_curves(axis: Axes, curves: Mapping[str, Mapping[str, Num[np.ndarray, " seed"]]]) -> None:
    for (color, marker), (name, sites) in zip(_LOOKS, curves.items(), strict=False):
        means = [seeds.mean() for seeds in sites.values()]
        axis.plot(list(sites), means, color=color, marker=marker, markersize=4, linewidth=1, label=name)
        for place, seeds in enumerate(sites.values()):
            axis.plot([place] * len(seeds), seeds, ".", color=color, markersize=2.5)
    sites = list(next(iter(curves.values())))
    axis.set_xticks(range(len(sites)), sites, rotation=35, ha="right", rotation_mode="anchor")


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
def learning_curves(curves: Mapping[str, Mapping[int, Mapping[str, Any]]], *, ylabel: str) -> Figure:
    """A quantity against training tokens, one curve a network, every seed drawn; both axes logarithmic.

    Args:
        curves: network -> training tokens -> report over seeds; the untrained network, at 0, has no place on the axis.
        ylabel: the quantity.
    """
    figure, (axis,) = panels(1, 1, PAGE / 2, 2.4)
    for (color, marker), (name, reports) in zip(_LOOKS, curves.items(), strict=False):
        tokens = [count for count in reports if count > 0]
        for index, seed in enumerate(np.array([reports[count]["seeds"] for count in tokens]).T):
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
