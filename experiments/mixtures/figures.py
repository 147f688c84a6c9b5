"""Pictures of mixtures, by their number of components, and of spent coins, by their age."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.style import AMBER, BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, SKY, panels, styled
from beliefgeo.reading import Seeds

_PUBLIC = {2: 0.011, 4: 0.065, 8: 0.934}
_COLORS = {"posterior": ORANGE, "state": BLUE, "within": SKY, "joint": GREEN, "beyond": PURPLE}
_LABELS = {
    "posterior": "component",
    "state": "state",
    "within": "beliefs within\ncomponents",
    "joint": "joint belief",
    "beyond": "joint beyond\ncomponent, state",
}


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """Draw overlaps and dimensions, scores, the component along the words, and the coins."""
    mixtures = results["mixtures"]
    return {
        "overlap": overlap(mixtures),
        "scores": scores(mixtures),
        "component": component(mixtures),
        "coins": coins(results["coins"]),
    }


@styled
def overlap(mixtures: Mapping[str, Any]) -> Figure:
    """Overlap of component and state, and dimensions, by the number of components."""
    figure, (left, right) = panels(1, 2, PAGE, 3.3)
    counts, x = [int(one) for one in mixtures], np.arange(len(mixtures))
    trained = [found["trained"] for found in mixtures.values()]
    for field, color, marker, label in (
        ("read_from", BLUE, "o", "directions that probes read"),
        ("written_to", ORANGE, "s", "directions that beliefs move"),
        ("leading", GREEN, "D", "the two that they move most"),
        ("chance", GREY, "^", "planes drawn from the covariance"),
    ):
        _points(left, x, [getattr(one, field) for one in trained], color, marker, label)
    public = [_PUBLIC.get(count, np.nan) for count in counts]
    left.plot(x, public, "x", color="black", markersize=6, label="public finding")
    left.set(xticks=x, xticklabels=counts, xlabel="components K", ylabel="overlap", ylim=(-0.03, 1.03))
    left.set_title("overlap of component and state")
    for field, color, marker, label in (
        ("variance", ORANGE, "s", "activations, 95% of variance"),
        ("rank", BLUE, "o", "probe, cross-validated rank"),
    ):
        _points(right, x, [getattr(one, field) for one in trained], color, marker, label)
    for name, style, label in (("joint", "-", "3K - 1, joint"), ("factored", "--", "K + 1, factored")):
        right.plot(x, [found["dimensions"][name] for found in mixtures.values()], style, color=GREY, label=label)
    exact = [found["variance"]["joint"] for found in mixtures.values()]
    right.plot(x, exact, "D", color=GREEN, mfc="none", label="exact joint belief, 95% of variance")
    right.set(xticks=x, xticklabels=counts, xlabel="components K", ylabel="dimensions", ylim=(0, None))
    right.set_title("dimensions, last layer")
    for panel in (left, right):
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=1)
    return figure


def _points(panel: Axes, x: np.ndarray, each: list[Seeds], color: str, marker: str, label: str) -> None:
    """The mean over networks as a line, every network as a point."""
    panel.plot(x, [one.mean for one in each], f"{marker}-", color=color, markersize=4, label=label)
    for place, one in zip(x, each, strict=True):
        panel.plot(np.full(len(one.values), place), one.values, ".", color=color, markersize=3, alpha=0.6)


@styled
def scores(mixtures: Mapping[str, Any]) -> Figure:
    """Held-out R2 of every target: trained, untrained and from the exact law."""
    figure, axes = panels(1, len(mixtures), PAGE if len(mixtures) > 1 else PAGE / 2, 2.8)
    for panel, (count, found) in zip(axes, mixtures.items(), strict=True):
        for place, (target, color) in enumerate(_COLORS.items()):
            values = found["trained"].r2[target].values
            label = "trained" if place == 0 else None
            panel.bar(place, max(values.mean(), 0), color=color, width=0.7)
            panel.plot(np.full(len(values), place), values, ".", color="black", markersize=3, label=label)
            untrained = found["untrained"].r2[target].mean
            panel.plot(place, untrained, "_", color="black", markersize=12, label=label and "untrained, mean")
            law = found["from_law"][target]
            panel.plot(place, law, "x", color="black", markersize=5, label=label and "from the exact law")
        panel.set(xticks=range(len(_COLORS)), ylim=(-0.1, 1.02), title=f"K = {count}")
        panel.set_xticklabels([*_LABELS.values()], rotation=90)
    axes[0].set_ylabel("held-out R$^2$, last layer")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


@styled
def component(mixtures: Mapping[str, Any]) -> Figure:
    """How often the likeliest component is right: the best observer, and the probe."""
    figure, axes = panels(1, len(mixtures), PAGE if len(mixtures) > 1 else PAGE / 2, 2.3)
    for panel, (count, found) in zip(axes, mixtures.items(), strict=True):
        x = np.arange(1, len(found["accuracy"]) + 1)
        panel.plot(x, found["accuracy"], color="black", label="exact posterior")
        for kind, color in (("trained", ORANGE), ("untrained", GREY)):
            accuracy = found[kind].accuracy
            panel.plot(x, accuracy.mean, color=color, label=f"probe, {kind}")
            panel.fill_between(x, accuracy.values.min(0), accuracy.values.max(0), color=color, alpha=0.3, linewidth=0)
        panel.axhline(1 / int(count), color="0.6", linestyle=":", linewidth=0.8, label="chance")
        panel.set(title=f"K = {count}", xlabel="tokens read", ylim=(0, 1))
    axes[0].set_ylabel("accuracy of the component")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


@styled
def coins(widths: Mapping[str, Any]) -> Figure:
    """A row of panels for each width: accuracy by age, and what it costs to remove a coin."""
    figure, axes = panels(len(widths), 3, PAGE, 2.2 * len(widths) + 0.5)
    for row, (width, found) in enumerate(widths.items()):
        trained, untrained = found["trained"], found["untrained"]
        age = np.arange(trained.coins.values.shape[2])[::-1]
        left, *costs = axes[3 * row : 3 * row + 3]
        for one, color, marker, label in (
            (trained.coins, ORANGE, "o", "coin"),
            (trained.fillers, BLUE, "s", "filler"),
            (untrained.coins, GREY, "^", "coin, untrained"),
            (untrained.fillers, SKY, "v", "filler, untrained"),
        ):
            values = one.values[:, 1]
            left.plot(age, values.mean(0), f"{marker}-", color=color, markersize=3, label=label)
            left.fill_between(age, values.min(0), values.max(0), color=color, alpha=0.25, linewidth=0)
        left.set(xlabel="age in epochs (0: in use)", ylabel="held-out accuracy", ylim=(0.4, 1.03), xticks=age)
        left.set_title(f"width {width}: who is known")
        for layer, panel in enumerate(costs):
            _costs(panel, found["costs"], layer, age[:-1])
            panel.set_title(f"width {width}: removed at layer {layer + 1}")
    for panel in (axes[0], axes[1]):
        panel.legend(fontsize=6)
    return figure


def _costs(panel: Axes, costs: Any, layer: int, age: np.ndarray) -> None:
    """The cost of removing coins and fillers by age, a random direction, and the coin in use at age 0."""
    for one, color, marker, label in (
        (costs.spent, ORANGE, "o", "spent coin"),
        (costs.filler, BLUE, "s", "filler"),
    ):
        values = one.values[:, layer]
        panel.plot(age, values.mean(0), f"{marker}-", color=color, markersize=3, label=label)
        panel.fill_between(age, values.min(0), values.max(0), color=color, alpha=0.25, linewidth=0)
    in_use = costs.in_use.values[:, layer]
    panel.plot(np.zeros(len(in_use)), in_use, "*", color=AMBER, markersize=6, label="coin in use")
    shrunk = costs.shrunk.values[:, layer]
    panel.plot(np.zeros(len(shrunk)), shrunk, "+", color="black", markersize=5, label="the same, logits shrunk to fit")
    panel.axhline(costs.random.mean[layer], color="0.5", linestyle=":", label="random direction")
    panel.axhline(np.log(2), color="0.7", linewidth=0.6, zorder=0)
    panel.annotate("ln 2", (age[0], np.log(2)), fontsize=6, va="bottom", color="0.4")
    panel.set(xlabel="age in epochs (0: in use)", ylabel="cost (nats a token)", xticks=[*age, 0])
    panel.set_yscale("symlog", linthresh=1e-3)
