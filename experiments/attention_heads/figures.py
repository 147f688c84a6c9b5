"""How many attention heads a layer needs: excess loss by heads, attention of heads, weights of factors' evidence."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from beliefgeo.plots.style import AMBER, BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, SKY, AnyArray, panels, styled
from beliefgeo.reading import Seeds

_COLORS = (BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER)
_LINES = ("-", "--", "-.", ":", (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))
_MARKS = "osD^"


class Excess(NamedTuple):
    """The excess loss of networks of each number of heads. Nats."""

    networks: Mapping[int, Seeds]
    """The excess loss by number of heads."""
    ideal: Mapping[int, float]
    """heads -> the excess loss of an ideal layer."""
    predicted: int
    """The number of heads that was predicted to suffice."""


class Weights(NamedTuple):
    """The weight of evidence about each factor in the residual after attention, by lag."""

    measured: Float[AnyArray, "seed factor lag"]
    """The weight by regression on the tokens read."""
    by_attention: Float[AnyArray, "seed factor lag"]
    """The weight computed from the mean attention, the values and the embedding."""
    zetas: tuple[float, ...]
    """The theoretical weight is zeta^lag."""


def draw(results: Mapping[str, Any]) -> dict[str, Figure]:
    """Draw excess loss and learning; attention and weights too if the predicted number of heads was trained."""
    excess, attention, weights, learning = {}, {}, {}, {}
    for name, case in results["cases"].items():
        title, verdict = "$\\zeta$ = " + name.replace("-", "\u2212"), case["verdict"]
        trained = {heads: networks["trained"] for heads, networks in case["heads"].items()}
        gaps = {heads: one["losses"].gap for heads, one in trained.items()}
        excess[title] = Excess(gaps, dict(zip(gaps, case["ideal layer"], strict=True)), verdict.predicted)
        learning[title] = case["learning"]
        if verdict.predicted in trained:
            factors = trained[verdict.predicted]["factors"]
            measured, expected = factors.weight.values, factors.weight_by_mean_attention.values
            attention[title] = factors.by_lag.values, verdict.patterns
            weights[title] = Weights(measured, expected, case["zetas"])
    drawn = {"excess": excess_by_heads(excess), "learning": learning_curves(learning)}
    if attention:
        drawn |= {"attention": attention_patterns(attention), "weights": factor_weights(weights)}
    return drawn


@styled
def excess_by_heads(cases: Mapping[str, Excess], *, columns: int = 3) -> Figure:
    """A panel for each case: each seed, the mean with its interval, the ideal layer, the predicted number in grey."""
    figure, shown = _grid(cases, columns, "heads", "excess loss ($10^{-4}$ nats)")
    for panel, case in shown:
        panel.axvspan(case.predicted - 0.3, case.predicted + 0.3, color="0.88", linewidth=0, label="predicted")
        heads = np.array(list(case.networks))
        for count, one in case.networks.items():
            seeds = 1e4 * one.values
            panel.plot(np.full(len(seeds), count - 0.12), seeds, "o", color=BLUE, markersize=2, alpha=0.6)
        means = 1e4 * np.array([one.mean for one in case.networks.values()])
        low, high = 1e4 * np.array([one.interval for one in case.networks.values()]).T
        errors = [means - low, high - means]
        panel.errorbar(heads, means, errors, fmt="o-", color=BLUE, markersize=3.5, capsize=2, label="networks")
        ideal = 1e4 * np.array(list(case.ideal.values()))
        panel.plot(list(case.ideal), ideal, "s--", color=ORANGE, markersize=3, linewidth=0.8, label="ideal layer")
        panel.set(xticks=heads, yscale="log", xlim=(heads[0] - 0.5, heads[-1] + 0.5))
    drawn = [
        [*case.ideal.values(), *np.ravel([one.values for one in case.networks.values()])] for case in cases.values()
    ]
    limits = 1e4 * np.min([min(one) for one in drawn]) / 1.5, 1e4 * np.max([max(one) for one in drawn]) * 1.5
    for panel in figure.axes:  # all panels have one scale
        panel.set_ylim(*limits)
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter(NullFormatter())
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@styled
def attention_patterns(
    cases: Mapping[str, tuple[Float[AnyArray, "seed head lag"], Mapping[str, Float[AnyArray, " lag"]]]],
    *,
    columns: int = 3,
) -> Figure:
    """A panel for each case: attention of each head by lag, a line for each seed; the predicted patterns in grey."""
    figure, shown = _grid(cases, columns, "lag (tokens)", "attention")
    for panel, (measured, patterns) in shown:
        measured = np.asarray(measured)
        lags = np.arange(measured.shape[2])
        for pattern, mark in zip(patterns.values(), _MARKS, strict=False):
            kept = np.asarray(pattern) > 0
            share = np.asarray(pattern)[kept] / np.sum(pattern)
            panel.plot(lags[kept], share, mark, color=GREY, markersize=4.5, markerfacecolor="none", zorder=5)
        for head in range(measured.shape[1]):
            panel.plot(lags, measured[:, head].T, linestyle=_LINES[head], color=_COLORS[head], linewidth=0.8)
        panel.set(xticks=lags[::2], ylim=(-0.02, 1.02))
    most = max(np.shape(measured)[1] for measured, _ in cases.values())
    lines = [figure.axes[0].plot([], [], linestyle=_LINES[head], color=_COLORS[head])[0] for head in range(most)]
    ideal = figure.axes[0].plot([], [], "o", color=GREY, markersize=4.5, markerfacecolor="none")[0]
    names = [f"head {head + 1}" for head in range(most)]
    figure.legend([*lines, ideal], [*names, "predicted patterns"], loc="outside lower center", ncols=most + 1)
    return figure


@styled
def factor_weights(cases: Mapping[str, Weights], *, columns: int = 3) -> Figure:
    """A panel for each case: weights of each factor, a solid line for each seed; dotted by mean attention; zeta^lag."""
    figure, shown = _grid(cases, columns, "lag (tokens)", "weight of evidence")
    for panel, case in shown:
        lags = np.arange(np.shape(case.measured)[2])
        panel.axhline(0, color="0.8", linewidth=0.6)
        for factor, (zeta, color) in enumerate(zip(case.zetas, _COLORS, strict=False)):
            panel.plot(lags, np.asarray(case.measured)[:, factor].T, "-", color=color, linewidth=0.8)
            panel.plot(lags, np.asarray(case.by_attention)[:, factor].T, ":", color=color, linewidth=0.8)
            panel.plot(lags, zeta**lags, _MARKS[factor], color=color, markersize=4, markerfacecolor="none")
        panel.set(xticks=lags[::2])
    draw = lambda style, color: figure.axes[0].plot([], [], style, color=color, markersize=4, mfc="none")[0]
    lines = [draw("o", BLUE), draw("s", ORANGE), draw("-", GREY), draw(":", GREY)]
    names = ["first factor, $\\zeta^{lag}$", "second factor, $\\zeta^{lag}$", "measured", "by mean attention"]
    figure.legend(lines, names, loc="outside lower center", ncols=4)
    return figure


@styled
def learning_curves(
    cases: Mapping[str, Mapping[int, tuple[Int[AnyArray, " chunk"], Float[AnyArray, "chunk seed"]]]],
    *,
    columns: int = 3,
) -> Figure:
    """A panel for each case: excess loss on the training data against training tokens, mean of the seeds.

    A line for each number of heads, six at most.
    """
    figure, shown = _grid(cases, columns, "training tokens", "excess loss (nats)")
    for panel, counts in shown:
        for index, (heads, (tokens, excess)) in enumerate(counts.items()):
            look = {"linestyle": _LINES[index], "color": _COLORS[index], "label": f"heads: {heads}"}
            panel.plot(tokens, np.asarray(excess).mean(1), linewidth=0.9, **look)
        panel.set(xscale="log", yscale="log")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.yaxis.set_minor_formatter(NullFormatter())
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def _grid(
    cases: Mapping[str, Any], columns: int, xlabel: str, ylabel: str
) -> tuple[Figure, Iterator[tuple[Axes, Any]]]:
    """A titled panel for each case with what is drawn in it; labels are at the left and at the bottom only."""
    columns = min(columns, len(cases))
    rows = -(-len(cases) // columns)
    figure, axes = panels(rows, columns, PAGE, 0.35 + 1.7 * rows)
    for index, (panel, title) in enumerate(zip(axes, cases, strict=False)):
        panel.set_title(title)
        panel.set_ylabel(ylabel if index % columns == 0 else "")
        panel.set_xlabel(xlabel if index + columns >= len(cases) else "")
    for empty in axes[len(cases) :]:
        empty.remove()
    return figure, zip(axes, cases.values(), strict=False)
