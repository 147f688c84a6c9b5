"""Pictures of constrained beliefs, of the results alone: attention by lag, values, variance by component, clouds."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.mechanisms.attention import ideal_heads
from beliefgeo.plots.simplex import belief_colors, simplex_panels
from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, AnyArray, panels, styled
from beliefgeo.probes import simplex_coordinates
from beliefgeo.reading import Seeds

_HEADS = (BLUE, ORANGE, GREEN, PURPLE)
_PALE = "0.75"


class Heads(NamedTuple):
    """One network's attention, with its theoretical values."""

    measured: Float[AnyArray, "seed head lag"]
    """Mean attention to the token read `lag` tokens ago; NaN where there is no such token."""
    theory: Float[AnyArray, "head lag"]
    """The attention of the ideal heads."""
    published: Mapping[int, float]
    """lag -> attention of the published network; may be empty."""


def draw(results: Mapping[str, Any]) -> dict[str, Figure]:
    """Draw heads, weights and values of every network; explained variance and clouds of networks that have them."""
    heads, weights, arrows, explained, clouds = {}, {}, {}, {}, {}
    for name, one in results["networks"].items():
        (x, alpha), zeta, found = one["setting"], one["zeta"], one["trained"]["heads"]
        kind, measured, parameters = (
            name.rsplit(", ", 2)[0],
            found.by_lag.values,
            f"x = {x:g}, α = {alpha:g}, ζ = {zeta:.2f}",
        )
        title, published = f"{kind}\n{parameters}", results["published"]
        known = published["attention by lag"].get(name, {})
        heads[title] = Heads(measured, ideal_heads(zeta, *measured.shape[1:]), known)
        weights[title] = found.weight_by_lag.values, zeta
        arrows[title] = simplex_coordinates(found.values.values[0]), simplex_coordinates(one["evidence"])
        if name in published["explained variance"]:
            explained[parameters] = one["compared variance"], published["explained variance"][name]
        if one["clouds"]:
            points = {which: simplex_coordinates(beliefs) for which, beliefs in one["clouds"].items()}
            r2 = {which: score.r2.values[0] for which, score in one["trained"]["probes"].items()}
            clouds[f"clouds_{kind.replace(' ', '_')}"] = belief_clouds(points, r2, one["clouds"]["true"])
    drawn = {"attention": attention_by_lag(heads), "weights": weights_by_lag(weights), "values": value_arrows(arrows)}
    return drawn | ({"explained_variance": explained_variance(explained)} if explained else {}) | clouds


@styled
def attention_by_lag(networks: Mapping[str, Heads], *, columns: int = 3) -> Figure:
    """A panel for each network: attention of each head by lag (mean and range of seeds), ideal heads as circles."""
    columns = min(columns, len(networks))
    rows = -(-len(networks) // columns)
    figure, axes = panels(rows, columns, PAGE, 0.3 + 1.75 * rows)
    for panel, (title, network) in zip(axes, networks.items(), strict=False):
        measured, theory = np.asarray(network.measured, float), np.asarray(network.theory, float)
        lags = np.arange(measured.shape[2])
        for head, color in zip(range(measured.shape[1]), _HEADS, strict=False):
            seeds = measured[:, head]
            panel.plot(lags, seeds.mean(0), "-", color=color, label=f"head {head + 1}" if len(theory) > 1 else "ours")
            panel.fill_between(lags, seeds.min(0), seeds.max(0), color=color, alpha=0.2, linewidth=0)
        for head, color in zip(theory, _HEADS, strict=False):
            shown = head > 0
            panel.plot(lags[shown], head[shown], "o", color=color, markersize=5, markerfacecolor="none")
        if network.published:
            points = [*network.published.keys()], [*network.published.values()]
            panel.plot(*points, "x", color="black", markersize=4.5, zorder=5)
        panel.set(title=title, xticks=lags[:: 1 if len(lags) < 8 else 2], ylim=(-0.02, 1.0))
    for index, panel in enumerate(axes[: len(networks)]):
        panel.set_ylabel("attention" if index % columns == 0 else "")
        panel.set_xlabel("lag (tokens)" if index + columns >= len(networks) else "")
    for empty in axes[len(networks) :]:
        empty.remove()
    _marks(figure, max(np.shape(one.theory)[0] for one in networks.values()))
    return figure


@styled
def weights_by_lag(networks: Mapping[str, tuple[Float[AnyArray, "seed lag"], float]], *, columns: int = 3) -> Figure:
    """A panel for each network: the weight of a token's evidence (mean and range of seeds), zeta^lag as circles.

    Args:
        networks: title -> (weights, zeta).
        columns: panels in a row.
    """
    columns = min(columns, len(networks))
    rows = -(-len(networks) // columns)
    figure, axes = panels(rows, columns, PAGE, 0.3 + 1.75 * rows)
    for index, (panel, (title, (measured, zeta))) in enumerate(zip(axes, networks.items(), strict=False)):
        seeds, lags = np.asarray(measured, float), np.arange(np.shape(measured)[1])
        panel.axhline(0, color="0.8", linewidth=0.6)
        panel.plot(lags, seeds.mean(0), "-", color=BLUE, label="ours")
        panel.fill_between(lags, seeds.min(0), seeds.max(0), color=BLUE, alpha=0.2, linewidth=0)
        panel.plot(lags, zeta**lags, "o", color=GREY, markersize=5, markerfacecolor="none", label="$\\zeta^{lag}$")
        panel.set(title=title, xticks=lags[:: 1 if len(lags) < 8 else 2])
        panel.set_ylabel("weight of the evidence" if index % columns == 0 else "")
        panel.set_xlabel("lag (tokens)" if index + columns >= len(networks) else "")
    for empty in axes[len(networks) :]:
        empty.remove()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _marks(figure: Figure, heads: int) -> None:
    """Draw one legend for all panels, below them."""
    marks = [figure.axes[0].plot([], [], "-", color=color)[0] for color in _HEADS[:heads]]
    names = [f"head {index + 1}, ours" for index in range(heads)] if heads > 1 else ["ours"]
    ideal = figure.axes[0].plot([], [], "o", color=GREY, markersize=5, markerfacecolor="none")[0]
    published = figure.axes[0].plot([], [], "x", color="black", markersize=4.5)[0]
    figure.legend([*marks, ideal, published], [*names, "ideal heads", "published"], loc="outside lower center", ncols=6)


@styled
def value_arrows(
    networks: Mapping[str, tuple[Float[AnyArray, "head token 2"], Float[AnyArray, "token 2"]]], *, columns: int = 4
) -> Figure:
    """A panel for each network: each token's values by head, beside its evidence (grey), in the plane of the simplex.

    Args:
        networks: title -> (values, evidence), each scaled to a longest arrow of 1 in its panel.
        columns: panels in a row.
    """
    columns = min(columns, len(networks))
    rows = -(-len(networks) // columns)
    figure, axes = panels(rows, columns, PAGE, rows * (PAGE / columns + 0.3) + 0.25)
    for panel, (title, (values, evidence)) in zip(axes, networks.items(), strict=False):
        values, evidence = np.asarray(values, float), np.asarray(evidence, float)
        tips = evidence / np.linalg.norm(evidence, axis=-1).max()
        _arrows(panel, tips, [_PALE] * len(tips), 3.5, "-")
        for token, (x, y) in enumerate(1.17 * tips):
            panel.text(x, y, str(token), ha="center", va="center", size=7, color=GREY)
        scaled = values / np.linalg.norm(values, axis=-1).max()
        colors = belief_colors(np.eye(3)) * 0.85
        for head, style in zip(scaled, ("-", "--", ":"), strict=False):
            _arrows(panel, head, list(colors), 1.2, style)
        panel.set(title=title, xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal")
        panel.set_axis_off()
    for empty in axes[len(networks) :]:
        empty.remove()
    n_heads = max(len(values) for values, _ in networks.values())
    lines = [axes[0].plot([], [], color=_PALE, linewidth=3.5)[0]]
    lines += [axes[0].plot([], [], style, color="black")[0] for style in ("-", "--", ":")[:n_heads]]
    names = [f"values of head {head + 1}" for head in range(n_heads)] if n_heads > 1 else ["values"]
    figure.legend(lines, ["evidence of token 0, 1, 2", *names], loc="outside lower center", ncols=4)
    return figure


def _arrows(axes: Axes, tips: Float[np.ndarray, "token 2"], colors: Sequence[Any], width: float, style: str) -> None:
    for tip, color in zip(tips, colors, strict=True):
        head = {"arrowstyle": "-|>", "color": color, "linewidth": width, "linestyle": style}
        axes.annotate("", tip, (0, 0), arrowprops={**head, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 5 + 2 * width})


@styled
def explained_variance(
    settings: Mapping[str, tuple[Mapping[str, Seeds], Mapping[str, Sequence[float]]]],
) -> Figure:
    """A panel for each setting: cumulative explained variance by number of components, for each published site.

    Args:
        settings: title -> (site -> ours; site -> published).
    """
    figure, axes = panels(1, len(settings), PAGE, 2.3)
    for panel, (title, (ours, published)) in zip(axes, settings.items(), strict=True):
        for (site, known), color in zip(published.items(), _HEADS, strict=False):
            seeds = np.asarray(ours[site].values, float)
            count = np.arange(1, seeds.shape[1] + 1)
            panel.plot(count, seeds.mean(0), ".-", color=color, label=f"{site}, ours")
            panel.fill_between(count, seeds.min(0), seeds.max(0), color=color, alpha=0.2, linewidth=0)
            marks = {"color": color, "linewidth": 0.7, "markersize": 3.5, "markerfacecolor": "none"}
            panel.plot(count[: len(known)], known, "D--", **marks, label=f"{site}, published")
            panel.set_xticks(count)
        panel.set(title=title, xlabel="components", ylim=(0.25, 1.02))
        panel.set_yticks(
            [0.4, 0.6, 0.8, 1.0], ["", "", "", ""] if panel is not axes[0] else ["0.4", "0.6", "0.8", "1.0"]
        )
    axes[0].set_ylabel("explained variance")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def belief_clouds(
    clouds: Mapping[str, Float[AnyArray, "row 2"]], r2: Mapping[str, float], beliefs: Float[AnyArray, "row 3"]
) -> Figure:
    """A row for constrained beliefs and a row for true beliefs: exact, and as probed after attention and at the output.

    Args:
        clouds: "constrained", "constrained beliefs from mid", "constrained beliefs from output", and the same of
            "true", each in the plane of the simplex.
        r2: the R2 of the probes, by the same names.
        beliefs: the true beliefs, which colour the rows.
    """
    shown = {}
    for kind in ("constrained", "true"):
        shown[f"{kind} beliefs\nexact"] = clouds[kind]
        for site, where in (("mid", "after attention"), ("output", "at the output")):
            name = f"{kind} beliefs from {site}"
            shown[f"{kind}, read {where}\nR$^2$ = {r2[name]:.4f}"] = clouds[name]
    return simplex_panels(shown, belief_colors(beliefs), columns=3)
