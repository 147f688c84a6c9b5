"""Random processes: shares and dimensions over states and tokens, their beliefs, and a check of the dimensions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from beliefgeo.plots.simplex import belief_colors, simplex_scatter
from beliefgeo.plots.style import BLUE, COLUMN, GREY, ORANGE, PAGE, SKY, AnyArray, panels, styled
from beliefgeo.probes.geometry import simplex_coordinates

# The colours of the verdicts, from finitely many beliefs to a full simplex.
_VERDICTS = ("0.82", SKY, BLUE, ORANGE)


def draw(results: Mapping[str, Any]) -> dict[str, Figure]:
    """Draw shares and dimensions, and, if there are any, beliefs and the check on samples."""
    cells, checks = list(results["cells"].values()), results["checks"]
    families, n_states, vocab_sizes = (
        list(dict.fromkeys(getattr(cell, axis) for cell in cells)) for axis in ("family", "states", "tokens")
    )

    def table(quantity):
        found = {(cell.family, cell.states, cell.tokens): quantity(cell) for cell in cells}
        rows = lambda name: [[found.get((name, s, v), np.nan) for v in vocab_sizes] for s in n_states]
        return {name: np.array(rows(name)) for name in families}

    shares = {name: table(lambda cell, v=name: cell.shares[v].share) for name in cells[0].shares}
    shown = {"shares": share_panels(n_states, vocab_sizes, shares, table(lambda cell: cell.dimension))}
    if checks:
        formula, sampled = (np.array([getattr(one, name) for one in checks]) for name in ("formula", "sampled"))
        shown["check"] = dimension_check(formula, sampled)
        shown["gallery"] = belief_gallery(results["gallery"])
    return shown


def choose(clouds: Sequence[tuple[Any, np.ndarray]]) -> list[tuple[str, np.ndarray]]:
    """Title and beliefs of six of the (check, beliefs) pairs, from a low dimension to the highest."""
    formula = np.array([found.formula for found, _ in clouds])
    if not len(formula):
        return []
    chosen = [clouds[abs(formula - one).argmin()] for one in np.linspace(min(0.3, formula.max()), formula.max(), 6)]
    return [(f"dimension {found.formula:.2f}\n{found.tokens} tokens", beliefs) for found, beliefs in chosen]


@styled
def share_panels(
    n_states: Sequence[int],
    vocab_sizes: Sequence[int],
    shares: Mapping[str, Mapping[str, Num[AnyArray, "size vocab"]]],
    dimensions: Mapping[str, Num[AnyArray, "size vocab"]],
) -> Figure:
    """A column of panels for each family: above, the shares of the verdicts; below, the mean dimension.

    A bar is one number of states and of tokens; its colours are the verdicts.

    Args:
        n_states: the numbers of states, from below.
        vocab_sizes: the numbers of tokens, from the left.
        shares: verdict -> family -> shares, NaN where there are none.
        dimensions: family -> mean dimension, NaN where there is none.
    """
    figure, axes = panels(2, len(dimensions), PAGE, 4.4)
    places = np.arange(len(vocab_sizes))
    shades = [str(shade) for shade in np.linspace(0.75, 0.0, len(n_states))]
    top = 1.1 * max(1.0, np.nanmax([*dimensions.values()]))
    for above, below, (family, means) in zip(axes, axes[len(dimensions) :], dimensions.items(), strict=False):
        _share_bars(above, [np.asarray(of[family], float) for of in shares.values()])
        above.set_yticks(range(len(n_states)), map(str, n_states))
        for shade, states, values in zip(shades, n_states, np.asarray(means, float), strict=True):
            below.plot(places, values, "o-", color=shade, markersize=3, linewidth=1, label=f"{states} states")
        below.set(ylim=(-0.03 * top, top), xlabel="tokens")
        below.tick_params(labelleft=below is axes[len(dimensions)])
        above.set_title(family.replace(", ", ",\n"), linespacing=1.25)
        for axis in (above, below):
            axis.set_xticks(places, map(str, vocab_sizes))
            axis.set_xlim(-0.55, len(places) - 0.45)
    axes[0].set_ylabel("states")
    axes[len(dimensions)].set_ylabel("mean dimension")
    verdicts = [Patch(color=color) for color in _VERDICTS[: len(shares)]]
    lines, names = axes[len(dimensions)].get_legend_handles_labels()
    figure.legend(verdicts, [*shares], loc="outside upper center", ncols=len(shares))
    figure.legend(lines, names, loc="outside lower center", ncols=len(names))
    return figure


def _share_bars(axes: Axes, shares: Sequence[Num[np.ndarray, "size vocab"]]) -> None:
    """A bar in each cell, divided by the shares."""
    left = np.zeros(shares[0].shape)
    (rows, columns), wide = np.indices(left.shape), 0.86
    for color, share in zip(_VERDICTS, shares, strict=False):
        widths = wide * np.nan_to_num(share)
        axes.barh(rows.ravel(), widths.ravel(), 0.7, (columns + left - wide / 2).ravel(), color=color, linewidth=0)
        left += widths
    axes.spines[:].set(visible=False)
    axes.tick_params(length=0)


@styled
def belief_gallery(clouds: Sequence[tuple[str, Num[AnyArray, "row 3"]]]) -> Figure:
    """Beliefs of 3-state processes, (title, beliefs), coloured by themselves: above all, below the framed part."""
    figure, axes = panels(2, len(clouds), PAGE, 2 * PAGE / len(clouds) + 0.6)
    for (title, beliefs), whole, part in zip(clouds, axes, axes[len(clouds) :], strict=False):
        points, colors = np.asarray(simplex_coordinates(beliefs), float), belief_colors(beliefs)
        simplex_scatter(whole, points[:20_000], colors[:20_000])
        whole.set_title(title, linespacing=1.25)
        reach = max(np.ptp(points, axis=0).max(), 1e-6) / 8
        near = (abs(points - points[0]) < reach).all(1)
        part.scatter(*points[near].T, s=0.4, c=colors[near], linewidths=0, rasterized=True)
        (x, y) = points[0]
        part.set(xlim=(x - reach, x + reach), ylim=(y - reach, y + reach), aspect="equal", xticks=[], yticks=[])
        part.spines[:].set(visible=True, color="0.6", linewidth=0.6)
        frame = {"facecolor": "none", "edgecolor": "0.4", "linewidth": 0.6}
        whole.add_patch(Rectangle((x - reach, y - reach), 2 * reach, 2 * reach, **frame))
        part.set_title(f"{1.12 / (2 * reach):.2g} times larger")  # 1.12: the width of the view above
    return figure


@styled
def dimension_check(formula: Num[AnyArray, " process"], sampled: Num[AnyArray, " process"]) -> Figure:
    """The information dimension of sampled beliefs against the dimension by the Lyapunov formula, with y = x."""
    figure, (axes,) = panels(1, 1, COLUMN, COLUMN)
    top = 1.05 * max(np.max(formula), np.max(sampled))
    axes.plot([0, top], [0, top], color=GREY, linewidth=0.8, linestyle=":", label="equal")
    axes.plot(formula, sampled, "o", color=BLUE, markersize=3, markerfacecolor="none", label="a process")
    axes.set(xlabel="dimension by Lyapunov exponents", ylabel="information dimension of sampled beliefs")
    axes.set(xlim=(0, top), ylim=(0, top), aspect="equal")
    axes.legend(loc="upper left")
    return figure
