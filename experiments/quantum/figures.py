"""Pictures of the quantum claim, drawn from its results alone: what probes see in networks, how well, and how soon."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullFormatter

from beliefgeo.plots.simplex import cloud, plane_colors, square_around
from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, AnyArray, panels, styled
from beliefgeo.probes.geometry import principal_components, simplex_coordinates, simplex_vertices

MINIMAL, MARKOV = "minimal generator", "Markov order 3"
NETWORKS = ("transformer", "lstm", "gru", "rnn")
# Cosine R2 of transformers and LSTMs, lowest and highest.
PUBLISHED_FOR = ("transformer", "lstm")
PUBLISHED = {
    "bloch_walk": {MINIMAL: (0.99, 1.0), MARKOV: (0.42, 0.56)},
    "frdn": {MINIMAL: (0.99, 1.0), MARKOV: (0.42, 0.56)},
    "moon": {MINIMAL: (0.99, 1.0), MARKOV: (0.36, 0.36)},
    "mess3": {MINIMAL: (0.99, 1.0), MARKOV: (0.5, 0.88)},
}
_ANGLE = np.linspace(0, 2 * np.pi, 200)
OUTLINES = {
    "mess3": np.asarray(simplex_vertices(3))[[0, 1, 2, 0]],
    "bloch_walk": np.stack([np.cos(_ANGLE), np.sin(_ANGLE)], 1),
}
_LOOKS = ((BLUE, "o", "-"), (ORANGE, "s", "--"), (GREEN, "^", "-."), (PURPLE, "D", ":"), (GREY, "v", "-"))


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """Draw the beliefs, the scores and the fall of the error, with the rank of each process's next-token law."""
    title = {name: f"{name}\nlaw: rank {found['rank']}" for name, found in results.items()}
    of_each = lambda part: {
        title[name]: {kind: part(one) for kind, one in found["networks"].items()} for name, found in results.items()
    }
    ends = lambda one: {
        "trained": one[MINIMAL].cosine_r2.values[:, -1],
        "untrained": one[MINIMAL].cosine_r2.values[:, 0],
    }
    markov = lambda one: {net: one[net][MARKOV].cosine_r2.values for net in ("trained", "untrained")}
    scored = of_each(lambda one: {MINIMAL: ends(one), MARKOV: markov(one)})
    published = {title[name]: PUBLISHED[name] for name in results}
    falls = of_each(lambda one: (one["tokens"], one[MINIMAL].rmse.values))
    weights = {name: found["probabilities"] for name, found in results.items()}
    return {
        "beliefs": belief_rows({name: plane(name, found) for name, found in results.items()}, weights, OUTLINES),
        "scores": score_dots(scored, published, "cosine R$^2$ (published scoring)"),
        "emergence": fall_curves(falls, "RMSE of the probed beliefs", share=0.2, published="> 80% of the fall"),
    }


def plane(name: str, found: dict[str, Any]) -> dict[str, Num[np.ndarray, "row 2"]]:
    """Exact beliefs, and the beliefs that probes see in up to two networks and an untrained network, in one plane.

    The plane is the triangle, the Bloch disc, or else the two principal components of the exact beliefs.
    """
    first, *others = found["networks"]
    clouds = {"exact beliefs": found["clouds"]["exact beliefs"]}
    clouds |= {f"{kind}, trained": found["clouds"][f"trained {kind}"] for kind in (first, *others[:1])}
    clouds[f"{first}, untrained"] = found["clouds"][f"untrained {first}"]
    components = principal_components(clouds["exact beliefs"], found["probabilities"])
    views = {"mess3": simplex_coordinates, "bloch_walk": lambda beliefs: beliefs[:, 1:]}
    view = views.get(name, lambda beliefs: components(beliefs)[:, :2])
    return {title: np.asarray(view(cloud)) for title, cloud in clouds.items()}


@styled
def belief_rows(
    clouds: Mapping[str, Mapping[str, Num[AnyArray, "row 2"]]],
    weights: Mapping[str, Num[AnyArray, " row"]],
    outlines: Mapping[str, Num[AnyArray, "corner 2"]],
) -> Figure:
    """A row of panels for each process: the exact beliefs first, then what probes see; a prefix has one colour.

    All panels of a row have the same limits, those of `square_around` the outline and all clouds of the row.

    Args:
        clouds: process -> title -> points of the same rows, the exact points first.
        weights: process -> `[row]`, how much each row counts.
        outlines: process -> a closed line around all possible beliefs, if there is a line.
    """
    columns = max(map(len, clouds.values()))
    figure, axes = panels(len(clouds), columns, PAGE, 0.2 + 1.85 * len(clouds))
    for index, (process, views) in enumerate(clouds.items()):
        row = axes[index * columns : (index + 1) * columns]
        exact = np.asarray(next(iter(views.values())), float)
        colors, edge = plane_colors(exact, weights[process]), outlines.get(process)
        across, along = square_around(exact if edge is None else edge, views.values())
        for panel, (title, points) in zip(row, views.items(), strict=False):
            panel.set(xlim=across, ylim=along, aspect="equal", xticks=[], yticks=[])
            panel.spines[:].set(visible=True, color="0.85", linewidth=0.5)
            if edge is not None:
                panel.plot(*np.asarray(edge, float).T, color="0.75", linewidth=0.6, zorder=0)
            cloud(panel, points, colors, weights[process])
            panel.set_title(_named(title), linespacing=1.25)
        for empty in row[len(views) :]:
            empty.remove()
        row[0].set_ylabel(process, fontsize=9)
    return figure


@styled
def score_dots(
    found: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Num[AnyArray, " seed"]]]]],
    published: Mapping[str, Mapping[str, tuple[float, float]]],
    label: str,
) -> Figure:
    """A panel for each process, a column of dots for each network: a score's mean over seeds, and its published range.

    Untrained networks are hollow. A range stands behind the networks for which it was published.

    Args:
        found: process -> network -> target of the probe -> "trained" and "untrained" -> the score of each seed.
        published: process -> target -> lowest and highest published value; these targets are drawn.
        label: of the vertical axis.
    """
    figure, axes = panels(1, len(found), PAGE, 2.7)
    drawn = {}
    for panel, (process, networks) in zip(axes, found.items(), strict=True):
        known = [place for place, name in enumerate(networks) if name in PUBLISHED_FOR]
        for (target, (low, high)), (color, *_) in zip(published[process].items(), _LOOKS, strict=False):
            for place in known:
                box = Rectangle(
                    (place - 0.45, low - 0.006), 0.9, high - low + 0.012, color=color, alpha=0.2, linewidth=0
                )
                drawn[f"{target}, published"] = panel.add_patch(box)
        dots = [(target, net) for target in published[process] for net in ("trained", "untrained")]
        for index, (target, net) in enumerate(dots):
            color, marker, _ = _LOOKS[index // 2]
            places = np.arange(len(networks)) + 0.17 * (index - (len(dots) - 1) / 2)
            seeds = [np.asarray(targets[target][net], float) for targets in networks.values()]
            (drawn[target if net == "trained" else f"{target}, untrained"],) = panel.plot(
                places,
                [one.mean() for one in seeds],
                marker,
                color=color,
                markersize=4.5,
                markerfacecolor=color if net == "trained" else "white",
                zorder=3,
            )
            panel.vlines(places, [one.min() for one in seeds], [one.max() for one in seeds], color=color, linewidth=0.8)
        panel.set_xticks(range(len(networks)), [_short(name) for name in networks], rotation=45, ha="right")
        panel.set(title=process, ylim=(-0.03, 1.04), xlim=(-0.5, len(networks) - 0.5))
        panel.set_ylabel(label if panel is axes[0] else "")
        if panel is not axes[0]:
            panel.set_yticklabels([])
    names = sorted(drawn, key=lambda name: name.endswith("published"))
    figure.legend([drawn[name] for name in names], names, loc="outside lower center", ncols=max(1, len(names) // 2))
    return figure


def _short(name: str) -> str:
    return name.upper() if name in ("lstm", "gru", "rnn") else name


def _named(title: str) -> str:
    kind, *rest = title.split(", ")
    return ", ".join([_short(kind), *rest])


@styled
def fall_curves(
    curves: Mapping[str, Mapping[str, tuple[Int[np.ndarray, " checkpoint"], Float[np.ndarray, "seed checkpoint"]]]],
    label: str,
    *,
    share: float,
    published: str,
) -> Figure:
    """A panel for each process, a curve for each network: a quantity against the share of training, from 0 to the end.

    Args:
        curves: process -> network -> training tokens, and the quantity; seeds are drawn as mean and range.
        label: the label of the vertical axis.
        share: the share of the training that is shaded.
        published: what was published of that share.
    """
    figure, axes = panels(1, len(curves), PAGE, 2.3)
    drawn = {}
    for panel, (process, networks) in zip(axes, curves.items(), strict=True):
        for (color, marker, line), (name, (tokens, values)) in zip(_LOOKS, networks.items(), strict=False):
            shares = tokens / tokens.max()
            (drawn[_short(name)],) = panel.plot(
                shares, values.mean(0), color=color, linestyle=line, marker=marker, markersize=2.5, linewidth=1.0
            )
            panel.fill_between(shares, values.min(0), values.max(0), color=color, alpha=0.2, linewidth=0)
        drawn[f"the first {share:.0%} (published: {published})"] = panel.axvspan(
            0, share, color="0.9", linewidth=0, zorder=0
        )
        panel.set(yscale="log", title=process, xlabel="share of training", xlim=(-0.03, 1.03), xticks=(0, 0.5, 1))
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.set_ylabel(label if panel is axes[0] else "")
    figure.legend(drawn.values(), drawn, loc="outside lower center", ncols=len(drawn), handlelength=2.4)
    return figure
