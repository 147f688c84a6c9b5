"""Laws after words of equal belief; another law learnt from a few words; words that were never shown."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from claims import KNOWN, MOST
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tasks import LEFT_OUT

from beliefgeo.plots.style import AMBER, BLUE, GREEN, GREY, ORANGE, PAGE, panels, styled
from beliefgeo.reading import Seeds

_NETS = {
    "trained": ("trained", BLUE, "o"),
    "another process": ("trained on the other process", ORANGE, "s"),
    "untrained": ("untrained", GREY, "D"),
}
_LEFT = {
    "trained": ("trained on the rest", BLUE, "o"),
    "shown all": ("trained on all words", GREEN, "^"),
    "untrained": ("untrained", GREY, "D"),
    "shuffled": ("shuffled beliefs", "0.7", "x"),
    "last 3 tokens": ("table of the last 3 tokens", AMBER, "v"),
    "last tokens at best": ("table of the last tokens, at best", ORANGE, "s"),
}
_PARTS = {"unembedding": "unembedding", "on all layers": "on all layers", "everything": "whole network"}
_TABLES = {"belief": "belief", "next law": "law of the next token", "last tokens": "last tokens, at best"}


def draw(results: Mapping[str, Any]) -> dict[str, Figure]:
    """Draw one figure for each question."""
    return {"laws": laws(results), "bias": bias(results), "left_out": left_out(results)}


@styled
def laws(results: Mapping[str, Any]) -> Figure:
    """The ratio of total variations while networks learn, against their loss: all words and own words, all seeds."""
    figure, axes = panels(1, len(results), PAGE, 2.7)
    for panel, (name, found) in zip(axes, results.items(), strict=True):
        gaps = np.stack([one.values for one in found["laws"]["gaps"]], 1)
        for kind, label, color, marker in (
            ("moments", "all words of the process", BLUE, "o"),
            ("own moments", "the network's own words", ORANGE, "s"),
        ):
            ratios = np.stack([one.values for one in found["laws"][kind]], 1)
            for seed, (gap, ratio) in enumerate(zip(gaps, ratios, strict=True)):
                panel.plot(
                    gap, ratio, color=color, marker=marker, markersize=3, linewidth=0.7, label=None if seed else label
                )
        panel.axhline(1, color="0.85", linewidth=0.6, zorder=0)
        panel.axhline(MOST, color="0.6", linewidth=0.7, linestyle=":", zorder=0)
        panel.set(title=name, xscale="log", yscale="log", xlabel="loss above the optimum (nats)")
        panel.invert_xaxis()
    axes[0].set_ylabel("total variation at equal belief,\nover that of matched pairs")
    _legend(figure, axes[0], 2)
    return figure


@styled
def bias(results: Mapping[str, Any]) -> Figure:
    """R2 of the new law after words not shown, by what the law is a function of, and by what is trained."""
    figure, axes = panels(1, len(results), PAGE, 3.9)
    for panel, (name, found) in zip(axes, results.items(), strict=True):
        places, labels = [], []
        for row, of in enumerate(("belief", "last tokens", "neither")):
            for below, part in enumerate(_PARTS):
                y = 3.4 * row + below
                for shift, (net, look) in zip((-0.2, 0, 0.2), _NETS.items(), strict=True):
                    if of in found["bias"].get(net, {}):
                        first = row == 0 and below == 0
                        _dot(panel, found["bias"][net][of][part].explained, y + shift, look, first)
                places.append(y)
                labels.append(f"{of}: {_PARTS[part]}")
            for (table, label), style in zip(_TABLES.items(), ("-", ":", "--"), strict=True):
                score = found["bias"]["tables"][of][table]
                if score > _FLOOR:
                    panel.plot(
                        [score, score],
                        [3.4 * row - 0.4, 3.4 * row + 2.4],
                        color="black",
                        linewidth=0.9,
                        linestyle=style,
                        label=f"table by {label}" if row == 0 else None,
                    )
        panel.axvline(0, color="0.85", linewidth=0.6, zorder=0)
        panel.set(title=name, yticks=places, ylim=(9.5, -0.7), xlim=(_FLOOR - 0.05, 1.1))
        panel.set_yticklabels(labels if panel is axes[0] else [])
        panel.set_xlabel("R$^2$ of the new law, words not shown")
    _legend(figure, max(axes, key=lambda panel: len(panel.get_legend_handles_labels()[0])), 3)
    return figure


@styled
def left_out(results: Mapping[str, Any]) -> Figure:
    """What is known of the law, and R2 of the belief, after words that were never shown."""
    figure, axes = panels(len(results), 2, PAGE, 0.9 + 1.5 * len(results))
    for (left, right), (name, found) in zip(zip(axes[::2], axes[1::2], strict=True), results.items(), strict=True):
        for row, what in enumerate(LEFT_OUT):
            for shift, (net, look) in zip(np.linspace(-0.3, 0.3, len(_LEFT)), _LEFT.items(), strict=True):
                one = found["left out"][what][net]
                if net != "shuffled":
                    _dot(left, one["known"], row + shift, look, row == 0)
                _dot(right, one["r2"]["never"], row + shift, look, row == 0)
        left.axvline(KNOWN, color="0.6", linewidth=0.7, linestyle=":", zorder=0)
        for panel, told in ((left, "share of the law that is known"), (right, "R$^2$ of the belief")):
            panel.set(title=name, yticks=range(len(LEFT_OUT)), ylim=(len(LEFT_OUT) - 0.5, -0.5))
            panel.set_xlim(_FLOOR - 0.05, 1.05)
            panel.axvline(1, color="0.85", linewidth=0.6, zorder=0)
            panel.set_yticklabels(LEFT_OUT if panel is left else [])
            if left is axes[-2]:
                panel.set_xlabel(told)
    _legend(figure, axes[1], 3)
    return figure


_FLOOR = -0.5


def _dot(panel: Axes, score: Seeds, row: float, look: tuple[str, str, str], first: bool) -> None:
    """A mean and its interval; what is below the axis stays at its edge."""
    label, color, marker = look
    low, high = (score.mean, score.mean) if score.interval is None else score.interval
    panel.plot([max(low, _FLOOR), max(high, _FLOOR)], [row, row], color=color, linewidth=1)
    panel.plot(
        max(score.mean, _FLOOR),
        row,
        marker=marker,
        color=color,
        markersize=4,
        linestyle="",
        label=label if first else None,
    )


def _legend(figure: Figure, panel: Axes, columns: int) -> None:
    figure.legend(*panel.get_legend_handles_labels(), loc="outside upper center", ncols=columns)
