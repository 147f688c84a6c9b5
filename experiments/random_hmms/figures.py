"""Random processes: shares and dimensions over states and tokens, their beliefs, and a check of the dimensions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.simplex import belief_colors, simplex_scatter
from beliefgeo.plots.style import COLUMN, GREY, PAGE, AnyArray, panels, styled
from beliefgeo.probes.geometry import simplex_coordinates


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

    quantities = {f"share {name}": table(lambda cell, v=name: cell.shares[v].share) for name in cells[0].shares}
    quantities["mean dimension"] = table(lambda cell: cell.dimension)
    shown = {"shares": heat_maps(n_states, vocab_sizes, quantities)}
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
def heat_maps(
    n_states: Sequence[int],
    vocab_sizes: Sequence[int],
    quantities: Mapping[str, Mapping[str, Num[AnyArray, "size vocab"]]],
) -> Figure:
    """A row of panels for each quantity, a panel for each family; cells show numbers, and larger numbers are darker.

    Args:
        n_states: the number of states of each row of a panel, from below.
        vocab_sizes: the number of tokens of each column.
        quantities: quantity -> family -> values, NaN where there are none.
    """
    columns = max(map(len, quantities.values()))
    figure, axes = panels(len(quantities), columns, PAGE, 0.3 + 1.75 * len(quantities))
    for row, (quantity, families) in enumerate(quantities.items()):
        most = max(1.0, np.nanmax(list(families.values())))
        for column, (family, values) in enumerate(families.items()):
            panel = axes[row * columns + column]
            _heat_map(panel, np.asarray(values, float), most)
            panel.set_title(family.replace(", ", ",\n") if row == 0 else "", linespacing=1.25)
            panel.set_xticks(range(len(vocab_sizes)), map(str, vocab_sizes))
            panel.set_yticks(range(len(n_states)), map(str, n_states))
            panel.set_xlabel("tokens" if row == len(quantities) - 1 else "")
            panel.set_ylabel(f"{quantity}\n\nstates" if column == 0 else "")
    return figure


def _heat_map(axes: Axes, values: Num[np.ndarray, "size vocab"], most: float) -> None:
    axes.imshow(values, cmap="Blues", vmin=0, vmax=most, origin="lower", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        text = "" if np.isnan(value) else f"{value:.2f}"
        color = "white" if value > 0.6 * most else "black"
        axes.text(column, row, text, ha="center", va="center", size=7, color=color)


@styled
def belief_gallery(clouds: Sequence[tuple[str, Num[AnyArray, "row 3"]]]) -> Figure:
    """Beliefs of 3-state processes, (title, beliefs), coloured by themselves: above all, below a magnified part."""
    figure, axes = panels(2, len(clouds), PAGE, 2 * PAGE / len(clouds) + 0.6)
    for (title, beliefs), whole, part in zip(clouds, axes, axes[len(clouds) :], strict=False):
        points, colors = np.asarray(simplex_coordinates(beliefs), float), belief_colors(beliefs)
        simplex_scatter(whole, points[:20_000], colors[:20_000])
        whole.set_title(title, linespacing=1.25)
        reach = max(np.ptp(points, axis=0).max(), 1e-6) / 8
        near = (abs(points - points[0]) < reach).all(1)
        part.scatter(*points[near].T, s=0.4, c=colors[near], linewidths=0, rasterized=True)
        (x, y) = points[0]
        part.set(xlim=(x - reach, x + reach), ylim=(y - reach, y + reach), aspect="equal")
        part.set_axis_off()
        part.set_title(f"{1.12 / (2 * reach):.2g} times larger")  # 1.12: the width of the view above
    return figure


@styled
def dimension_check(formula: Num[AnyArray, " process"], sampled: Num[AnyArray, " process"]) -> Figure:
    """The information dimension of sampled beliefs against the dimension by the Lyapunov formula, with y = x."""
    figure, (axes,) = panels(1, 1, COLUMN, COLUMN)
    top = 1.05 * max(np.max(formula), np.max(sampled))
    axes.plot([0, top], [0, top], color=GREY, linewidth=0.8, linestyle=":")
    axes.plot(formula, sampled, "o", markersize=3, markerfacecolor="none")
    axes.set(xlabel="dimension by Lyapunov exponents", ylabel="information dimension of sampled beliefs")
    axes.set(xlim=(0, top), ylim=(0, top), aspect="equal")
    return figure
