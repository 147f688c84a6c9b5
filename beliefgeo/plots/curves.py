"""Numbers against training, position and context. Seed axes are drawn as their mean with the range of the seeds."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from beliefgeo.plots.style import BLUE, COLUMN, GREEN, GREY, ORANGE, PAGE, PURPLE, AnyArray, panels, styled

_COLORS = (BLUE, ORANGE, GREEN, PURPLE, GREY)
_STYLES = ("-", "--", "-.", ":", (0, (1, 3)))


@styled
def training_curves(
    tokens: Num[AnyArray, " snapshot"],
    loss_gap: Num[AnyArray, "seed snapshot"],
    probe_error: Num[AnyArray, "seed snapshot"],
    *,
    published_gap: Mapping[float, float] | None = None,
    published_error: Mapping[float, float] | None = None,
    variance: float,
) -> Figure:
    """Exact loss gap and probe error against training tokens, beside published points (tokens -> value)."""
    figure, (left, right) = panels(1, 2, PAGE, 2.4)
    _curve(left, tokens, loss_gap, 0, "ours")
    _curve(right, tokens, probe_error, 0, "ours")
    right.axhline(variance, color=GREY, linewidth=0.8, linestyle=":", label="variance of the beliefs")
    for axes, published in ((left, published_gap), (right, published_error)):
        if published:
            axes.plot(list(published), list(published.values()), "D", color=ORANGE, markersize=4, label="published")
        axes.set(xscale="log", yscale="log", xlabel="training tokens")
        _legend_above(axes, 3)
    left.set_ylabel("loss above the optimum (nats)")
    right.set_ylabel("mean squared error of the probe")
    return figure


@styled
def learning_curve(tokens: Num[AnyArray, " snapshot"], loss_gap: Num[AnyArray, "seed snapshot"]) -> Figure:
    """Exact loss gap against training tokens."""
    figure, (axes,) = panels(1, 1, COLUMN, 2.4)
    _curve(axes, tokens, loss_gap, 0, "ours", marker="o")
    axes.set(xscale="log", yscale="log", xlabel="training tokens", ylabel="loss above the optimum (nats)")
    return figure


@styled
def per_position(
    tokens_read: Num[AnyArray, " position"],
    panels_of: Mapping[str, Mapping[str, Num[AnyArray, "seed position"]]],
) -> Figure:
    """A panel for each quantity (its y label), a curve for each network or control, against tokens read.

    A network has one colour in all panels.
    """
    names = list(dict.fromkeys(name for curves in panels_of.values() for name in curves))
    figure, axes = panels(1, len(panels_of), PAGE, 2.4)
    for panel, (label, curves) in zip(axes, panels_of.items(), strict=True):
        for name, values in curves.items():
            _curve(panel, tokens_read, values, names.index(name), name, marker="o")
        panel.set(yscale="log", xlabel="tokens read", ylabel=label, xticks=np.asarray(tokens_read)[::2])
        panel.yaxis.set_minor_formatter(NullFormatter())
        _legend_above(panel, len(curves))
    return figure


@styled
def windows_panel(
    curves: Mapping[str, Num[AnyArray, " window"]],
    probes: Mapping[str, Mapping[str, tuple[float, float]]],
) -> Figure:
    """What the last k tokens leave unexplained, and the probes on that curve: a panel for each weighting.

    Args:
        curves: weighting -> unexplained fraction for windows of 0, 1, 2, ... tokens.
        probes: weighting -> name -> (equivalent window, unexplained fraction), held out.
    """
    figure, axes = panels(1, len(curves), PAGE if len(curves) > 1 else COLUMN, 2.9)
    for panel, (title, curve) in zip(axes, curves.items(), strict=True):
        shown = np.asarray(curve)[np.asarray(curve) > 1e-7]
        panel.plot(range(len(shown)), shown, ".-", color=GREY, label="best function of the last k tokens")
        for index, (name, (window, unexplained)) in enumerate(probes[title].items()):
            label = f"{name}: {window:.1f} tokens"
            panel.plot(window, min(unexplained, 1), "osD^v"[index], color=_COLORS[index], markersize=6, label=label)
            panel.plot([window, window], [1e-9, min(unexplained, 1)], color=_COLORS[index], linewidth=0.6, zorder=0)
        panel.set(yscale="log", ylim=(shown.min() / 2, 2), title=title, xticks=range(0, len(shown), 2))
        panel.set(xlabel="tokens of context k", ylabel="unexplained fraction of variance")
        panel.legend(loc="upper right", borderaxespad=0)
    return figure


def _curve(axes: Axes, x: AnyArray, values: AnyArray, index: int, label: str, marker: str | None = None) -> None:
    x, values = np.asarray(x), np.atleast_2d(np.asarray(values))
    color, style = _COLORS[index], _STYLES[index]
    axes.plot(x, values.mean(0), color=color, linestyle=style, marker=marker, markersize=3, label=label)
    if len(values) > 1:
        axes.fill_between(x, values.min(0), values.max(0), color=color, alpha=0.2, linewidth=0)


def _legend_above(axes: Axes, columns: int) -> None:
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, handlelength=2.4, columnspacing=1.2)
