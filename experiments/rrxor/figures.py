"""Pictures of what each site of a network holds: scores by site, distances compared, a score against chance."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, AnyArray, panels, styled
from beliefgeo.probes import principal_components
from beliefgeo.reading import Seeds

# Name of a panel -> label of a curve -> site -> the score of each seed.
Scores = Mapping[str, Mapping[str, Mapping[str, Num[np.ndarray, " seed"]]]]

# Grey is for controls.
_LOOKS = {
    "untrained": (GREY, "s"),
    "unseen": (GREEN, "^"),
    "equal belief": (GREEN, "^"),
    "128-wide": (GREEN, "^"),
}
_OTHER = (BLUE, "o")

# From the published figure, for the trained network of this size: the error of the probe of each site, and of all.
PUBLISHED = ("128-wide", "trained")
PUBLISHED_ERROR = {
    "embed": 0.0705,
    "layer 1": 0.0415,
    "layer 2": 0.032,
    "layer 3": 0.026,
    "layer 4": 0.0245,
    "final norm": 0.0295,
    "concatenated": 0.0035,
}
TWELVE = "all twelve"
SITES = (*PUBLISHED_ERROR, TWELVE)  # in the order of the pictures
NETS = ("trained", "untrained")


class Clouds(NamedTuple):
    """Beliefs and laws after every prefix, and the beliefs that probes of the first network of the last size see."""

    beliefs: Float[np.ndarray, "row state"]
    laws: Float[np.ndarray, "row token"]
    counts: Int[np.ndarray, " row"]
    trained: Float[np.ndarray, "row state"]
    untrained: Float[np.ndarray, "row state"]


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """Draw scores site by site, distances, the beliefs that probes see, the test and the training."""
    networks, clouds = results["networks"], results["clouds"]
    size = list(networks)[-1]
    seen = {net: getattr(clouds, net) for net in NETS}
    twelve = {net: networks[size][net].sites[TWELVE] for net in NETS}
    r2 = {net: {"true beliefs": one.distances, "next-token laws": one.law_distances} for net, one in twelve.items()}
    truths = {"true beliefs": clouds.beliefs, "next-token laws": clouds.laws}
    pairs = {
        f"{net}\n{truth}\nr$^2$ = {r2[net][truth].values[0]:.3f}": (cloud, seen[net])
        for net in NETS
        for truth, cloud in truths.items()
    }
    flat = principal_components(clouds.beliefs, clouds.counts)
    beliefs = {"exact beliefs": clouds.beliefs} | {f"probe, first network, {net}": seen[net] for net in NETS}
    tests = {size: found["trained"].unseen for size, found in networks.items()}
    gaps = {size: (np.array(found["tokens"]), found["gap while training"].values) for size, found in networks.items()}
    return {
        "layers": by_site(
            {
                "mean squared error": _panels(networks, {net: (net, lambda site: site.mse) for net in NETS}),
                "R$^2$ of the beliefs": _panels(networks, {net: (net, lambda site: site.held_out.r2) for net in NETS}),
            },
            titles=("in sample", "held out"),
            published={f"{PUBLISHED[0]}, in sample": PUBLISHED_ERROR},
            log=(0,),
        ),
        "distinctions": by_site(
            {
                "held-out R$^2$ of the part": _panels(
                    networks,
                    {
                        "seen by the next-token law": ("trained", lambda site: site.held_out.seen),
                        "unseen": ("trained", lambda site: site.held_out.unseen),
                    },
                ),
                "distance / that of\ndifferent laws": _panels(
                    networks,
                    {
                        "equal law and different belief": ("trained", lambda site: site.apart.equal_law),
                        "equal belief": ("trained", lambda site: site.apart.equal_belief),
                    },
                ),
            }
        ),
        "distances": distance_panels(
            pairs, [("distance of beliefs", "distance of probed beliefs"), ("distance of laws", "")] * 2
        ),
        "beliefs": colored_clouds(
            {title: np.asarray(flat(cloud)) for title, cloud in beliefs.items()},
            clouds.laws[:, 1],
            label="probability of a 1 next",
        ),
        "unseen": against_chance(
            {size: (test.r2.values[0], test.shuffled.values[0]) for size, test in tests.items()},
            xlabel="held-out R$^2$ of the beliefs",
        ),
        "training": learning_curves(gaps, ylabel="loss above the optimum (nats)"),
    }


def _panels(networks: Mapping[str, Any], curves: Mapping[str, tuple[str, Callable[[Any], Seeds]]]) -> Scores:
    """A panel for each size, a curve for each network or score."""
    of = lambda found, score: {site: score(found.sites[site]).values for site in SITES}
    return {
        size: {curve: of(nets[net], score) for curve, (net, score) in curves.items()} for size, nets in networks.items()
    }


@styled
def by_site(
    rows: Mapping[str, Scores],
    *,
    titles: Sequence[str] = (),
    published: Mapping[str, Mapping[str, float]] | None = None,
    log: Sequence[int] = (),
) -> Figure:
    """Scores site by site, a curve for each network or score: seeds as points, their mean as a line.

    Args:
        rows: y label of a row of panels -> name of a panel -> label of a curve -> site -> the score of each seed.
        titles: what the title of a panel says of its row, after the name of the column.
        published: title of a panel -> site -> value, drawn as diamonds.
        log: rows of panels with a logarithmic axis.
    """
    columns = len(next(iter(rows.values())))
    figure, axes = panels(len(rows), columns, PAGE, 0.3 + 2.2 * len(rows))
    for row, (label, scores) in enumerate(rows.items()):
        for column, (name, curves) in enumerate(scores.items()):
            axis, title = axes[row * columns + column], ", ".join([name, *titles[row : row + 1]])
            _draw_curves(axis, curves)
            if points := (published or {}).get(title):
                axis.plot(
                    list(points), list(points.values()), "D", color=ORANGE, markersize=4, mfc="none", label="published"
                )
            axis.set(title=title, yscale="log" if row in log else "linear")
        own = axes[row * columns : (row + 1) * columns]
        low, high = min(axis.get_ylim()[0] for axis in own), max(axis.get_ylim()[1] for axis in own)
        for axis in own:  # one scale for a row
            axis.set_ylim(low, high)
            if row in log:
                axis.yaxis.set(
                    major_locator=LogLocator(subs=(1, 3)), major_formatter="{x:g}", minor_formatter=NullFormatter()
                )
        own[0].set_ylabel(label)
        # The panel with the most to explain has the legend.
        max(own, key=lambda axis: len(axis.get_legend_handles_labels()[0])).legend(loc="best")
    return figure


def _draw_curves(axis: Axes, curves: Mapping[str, Mapping[str, Num[np.ndarray, " seed"]]]) -> None:
    for name, sites in curves.items():
        color, marker = _LOOKS.get(name, _OTHER)
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
    """Pairwise distances in one cloud against distances of the same pairs in another, as a density in each panel.

    Args:
        clouds: title -> two clouds of the same rows (at most some thousand: every pair is counted).
        labels: x and y label of each panel.
    """
    figure, axes = panels(1, len(clouds), PAGE, 2.3)
    for axis, (title, (left, right)), (x, y) in zip(axes, clouds.items(), labels, strict=True):
        axis.hexbin(_distances(left), _distances(right), gridsize=40, bins="log", cmap="Greys", linewidths=0.1)
        axis.set(title=title, xlabel=x, ylabel=y)
    top = max(axis.get_ylim()[1] for axis in axes)
    for axis in axes:  # one scale for distances of probed beliefs
        axis.set_ylim(-0.05 * top, top)
    return figure


@styled
def against_chance(tests: Mapping[str, tuple[float, Num[AnyArray, " shuffle"]]], *, xlabel: str) -> Figure:
    """A score beside the scores of its permutations, a panel for each score."""
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
    curves: Mapping[str, tuple[Int[np.ndarray, " checkpoint"], Float[np.ndarray, "seed checkpoint"]]], *, ylabel: str
) -> Figure:
    """A quantity against training tokens, a curve for each network, with every seed drawn; both axes are logarithmic.

    Args:
        curves: name -> training tokens, and values; the untrained network, at 0, has no place on the axis.
        ylabel: the quantity.
    """
    figure, (axis,) = panels(1, 1, PAGE / 2, 2.4)
    for name, (tokens, values) in curves.items():
        color, marker = _LOOKS.get(name, _OTHER)
        for index, seed in enumerate(values[:, tokens > 0]):
            axis.plot(tokens[tokens > 0], seed, color=color, marker=marker, markersize=3, label=None if index else name)
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
        flat = np.asarray(points)[:, :2]
        # Fewer places have larger dots.
        size = np.clip(3000 / len(np.unique(flat.round(6), axis=0)), 5, 25)
        drawn = axis.scatter(*flat.T, c=values, s=size, cmap="viridis", linewidths=0, alpha=0.8)
        axis.set(title=title, aspect="equal", xticks=[], yticks=[])
        axis.spines[:].set(visible=True, color="0.85", linewidth=0.5)
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
