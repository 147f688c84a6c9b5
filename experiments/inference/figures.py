"""Picture of the inference claim: how often a process is recovered from data, against how much data there is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Num
from matplotlib.figure import Figure

from beliefgeo.plots.style import BLUE, GREEN, ORANGE, PAGE, PURPLE, AnyArray, panels, styled

# Colour, marker, its size and line: hollow markers of falling size stay visible where curves coincide.
_LOOKS = ((BLUE, "o", 7, "-"), (ORANGE, "s", 5, "--"), (GREEN, "^", 3, ":"), (PURPLE, "D", 3, "-."))


def draw(results: Mapping[str, Any]) -> dict[str, Figure]:
    """All pictures by name."""
    curve = lambda found: np.array([[one.share, *one.interval] for one in found])
    shares = {
        name: {one: curve(found) for one, found in methods.items()} for name, methods in results["processes"].items()
    }
    tokens = [one.tokens for one in next(iter(next(iter(results["processes"].values())).values()))]
    return {"recovery": recovery_curves(np.array(tokens), shares)}


@styled
def recovery_curves(
    tokens: Num[AnyArray, " size"],
    shares: Mapping[str, Mapping[str, Num[AnyArray, "size 3"]]],
) -> Figure:
    """A panel for each process, a curve for each method: the share of recovered samples against their length.

    Args:
        tokens: the number of tokens of a sample.
        shares: process -> method -> share recovered, lower and upper end of its interval.
    """
    methods = list(dict.fromkeys(method for curves in shares.values() for method in curves))
    looks = dict(zip(methods, _LOOKS, strict=False))
    columns = min(3, len(shares))
    rows = -(-len(shares) // columns)
    figure, axes = panels(rows, columns, PAGE * columns / 3, 0.5 + 1.6 * rows)
    drawn = {}
    for panel, (process, curves) in zip(axes, shares.items(), strict=False):
        for method, values in curves.items():
            color, marker, size, line = looks[method]
            share, low, high = np.asarray(values, float).T
            (drawn[method],) = panel.plot(
                tokens, share, color=color, linestyle=line, marker=marker, markersize=size, markerfacecolor="none"
            )
            panel.fill_between(tokens, low, high, color=color, alpha=0.12, linewidth=0)
        panel.set(xscale="log", ylim=(-0.1, 1.1), yticks=(0, 0.5, 1), title=process)
    for index, panel in enumerate(axes[: len(shares)]):
        panel.set_xlabel("tokens" if index + columns >= len(shares) else "")
        panel.set_ylabel("share recovered" if index % columns == 0 else "")
    for empty in axes[len(shares) :]:
        empty.remove()
    figure.legend(drawn.values(), drawn, loc="outside upper center", ncols=len(drawn), handlelength=3)
    return figure
