"""How many attention heads a layer needs: excess loss by heads, attention of heads, weights of factors' evidence."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from scipy.optimize import linear_sum_assignment

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
) -> Figure:
    """A column a case, a row a predicted pattern: the attention of the head that is nearest to it, by lag.

    The line is the mean of the seeds, the band their range; the predicted pattern is drawn as circles.
    """
    rows = max(len(patterns) for _, patterns in cases.values())
    figure, axes = panels(rows, len(cases), PAGE, 0.7 + 1.15 * rows)
    for column, (title, (measured, patterns)) in enumerate(cases.items()):
        heads = nearest_heads(np.asarray(measured, float), np.array([*patterns.values()], float))
        lags = np.arange(heads.shape[2])
        for row, (name, pattern) in enumerate(patterns.items()):
            panel, seeds, kept = axes[row * len(cases) + column], heads[:, row], np.asarray(pattern) > 0
            panel.plot(lags, seeds.mean(0), "-", color=BLUE, linewidth=1)
            panel.fill_between(lags, seeds.min(0), seeds.max(0), color=BLUE, alpha=0.2, linewidth=0)
            share = np.asarray(pattern)[kept] / np.sum(pattern)
            panel.plot(lags[kept], share, "o", color=ORANGE, markersize=4, markerfacecolor="none")
            panel.text(0.97, 0.97, name, transform=panel.transAxes, ha="right", va="top", fontsize=7)
            panel.set(xticks=lags[::2], ylim=(-0.04, 1.04), yticks=(0, 0.5, 1), title="" if row else title)
            panel.set_ylabel("" if column else "attention")
            panel.set_xlabel("lag (tokens)" if row == len(patterns) - 1 else "")
        for row in range(len(patterns), rows):
            axes[row * len(cases) + column].remove()
    line, ideal = axes[0].lines[:2]
    band = axes[0].collections[0]
    names = ["head nearest to the pattern, mean of networks", "their range", "predicted pattern"]
    figure.legend([line, band, ideal], names, loc="outside lower center", ncols=3)
    return figure


def nearest_heads(
    measured: Float[np.ndarray, "seed head lag"], patterns: Float[np.ndarray, "pattern lag"]
) -> Float[np.ndarray, "seed pattern lag"]:
    """The heads of each seed in the order of the patterns, assigned as by `mechanisms.attention.match_patterns`.

    >>> heads = np.array([[[0.2, 0.0, 0.8], [0.1, 0.9, 0.0]]])
    >>> nearest_heads(heads, np.array([[1.0, 0.5, 0.0], [1.0, 0.0, 0.25]]))[0, :, 1].tolist()
    [0.9, 0.0]
    """
    unit = lambda rows: rows[:, 1:] / np.maximum(np.linalg.norm(rows[:, 1:], axis=1, keepdims=True), 1e-12)
    chosen = [linear_sum_assignment(-unit(patterns) @ unit(heads).T)[1] for heads in measured]
    return np.stack([heads[order] for heads, order in zip(measured, chosen, strict=True)])


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
        panel.set(xticks=lags[::2], ylim=(-0.8, 1.2), yticks=(-0.5, 0, 0.5, 1))
    draw = lambda style, color: figure.axes[0].plot([], [], style, color=color, markersize=4, mfc="none")[0]
    lines = [draw("o", BLUE), draw("s", ORANGE), draw("-", GREY), draw(":", GREY)]
    names = ["$\\zeta_1^{lag}$", "$\\zeta_2^{lag}$", "measured, a line a network", "by mean attention"]
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
    means = [np.asarray(excess).mean(1) for counts in cases.values() for _, excess in counts.values()]
    for panel in figure.axes:  # all panels have one scale
        panel.set_ylim(np.concatenate(means).min() / 1.5, np.concatenate(means).max() * 1.5)
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
