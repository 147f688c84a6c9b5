"""Pictures of latents: where they are active, what explains them, and which factors their groups know."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import published
import tasks
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.simplex import simplex_scatter
from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, SKY, panels, styled
from beliefgeo.probes import simplex_coordinates
from beliefgeo.reading import Seeds

_SHOWN = {
    "trained": (BLUE, lambda found: found["trained"]["latents"]),
    "untrained": (GREY, lambda found: found["untrained"]["latents"]),
    "random directions": (ORANGE, lambda found: found["trained"]["random"]),
    "shuffled beliefs": (PURPLE, lambda found: found["trained"]["shuffled"]),
}
# A colour map from light to dark for the strength of a latent.
_DARK = np.array([0.0, 0.2, 0.45])


def draw(results: Mapping[str, Any]) -> dict[str, Figure]:
    """The pictures of the processes that were studied."""
    single = {name: found for name, found in results.items() if name != "factors"}
    figures = {}
    if single:
        figures["explained"] = explained(single)
    if "mess3" in single:
        figures["latents"] = latents(single["mess3"])
    if "factors" in results:
        figures["factors"] = factors(results["factors"])
    return figures


@styled
def latents(found: Mapping[str, Any]) -> Figure:
    """The latents of the first network that are active most often, in the triangle: dark where they are strong."""
    count = found["trained"]["drawn"]["codes"].values.shape[-1]
    figure, axes = panels(2, count, PAGE, 3.1)
    for row, net in enumerate(published.NETWORKS):
        drawn, told = found[net]["drawn"], found[net]["latents"]
        points = simplex_coordinates(drawn["beliefs"].values[0])
        order = np.argsort(-told.active.values[0])[:count]
        for column, latent in enumerate(order):
            codes = drawn["codes"].values[0][:, column]
            panel = axes[row * count + column]
            strength = np.clip(codes / max(codes.max(), 1e-9), 0, 1)
            colors = 0.88 + strength[:, None] * (_DARK - 0.88)
            front = np.argsort(strength, kind="stable")
            simplex_scatter(panel, np.asarray(points)[front], colors[front], size=1.6)
            r2 = told.explained
            belief, token = r2.belief.values[0][latent], r2.one_token.values[0][latent]
            panel.set_title(f"R² from belief {belief:.2f}\nfrom token {token:.2f}", fontsize=7)
        axes[row * count].annotate(
            f"first network, {net}",
            (-0.02, 0.5),
            xycoords="axes fraction",
            rotation=90,
            ha="right",
            va="center",
            fontsize=7,
        )
    return figure


@styled
def explained(single: Mapping[str, Any]) -> Figure:
    """R2 of all latents given each thing, beside the controls, and of the beliefs from all latents."""
    figure, axes = panels(len(single), 1, PAGE, 0.5 + 1.9 * len(single))
    given = ["belief, in cells", "belief, linearly", "last 3 tokens", "last 2 tokens", "last token", "position"]
    names = [*(f"latents from\n{one}" for one in given), "beliefs from\nlatents"]
    for panel, (name, found) in zip(axes, single.items(), strict=True):
        for index, (label, (color, of)) in enumerate(_SHOWN.items()):
            told = of(found)
            shown = (
                [*published.GIVEN] if label != "shuffled beliefs" else ["belief", "linear"]
            )  # tokens stay as they are
            places = [*range(len(shown)), len(names) - 1]
            bars = [*(getattr(told.pooled, given) for given in shown), told.recovery]
            _bars(panel, np.array(places) + (index - 1.5) * 0.2, bars, color, label)
        panel.set_xticks(range(len(names)), names)
        panel.axvline(len(names) - 1.5, color="0.8", linewidth=0.6)
        panel.axhline(0, color="0.5", linewidth=0.6)
        panel.set(ylim=(-0.3, 1.15), ylabel="held-out R²", title=name)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


@styled
def factors(found: Mapping[str, Any]) -> Figure:
    """Blind recovery of each factor beside the published numbers and the nulls; and every size that was tried."""
    trained, untrained = found["trained"], found["untrained"]
    figure, (left, right) = panels(1, 2, PAGE, 2.9)
    every = {
        "trained": (BLUE, trained["recovery"]["assigned"]),
        "published": (GREEN, np.array(published.BLIND)),
        "random groups, same sizes": (ORANGE, trained["random"]),
        "the other groups": (SKY, trained["recovery"]["others"]),
        "untrained": (GREY, untrained["recovery"]["assigned"]),
    }
    for index, (label, (color, values)) in enumerate(every.items()):
        _bars(left, np.arange(len(tasks.FACTORS)) + (index - 2) * 0.16, values, color, label, 0.15)
    names = [factor.replace(" (", "\n(").replace("bloch_walk", "bloch") for factor in tasks.FACTORS]
    left.set_xticks(range(len(names)), names, fontsize=6.5)
    left.axhline(0, color="0.5", linewidth=0.6)
    left.set(ylim=(-0.05, 1.05), ylabel="held-out R² of the belief", title="blind recovery of five factors")
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2)
    for net, color in (("trained", BLUE), ("untrained", GREY)):
        tried = found[net]["tried"]
        gaps, means, counts = (tried[field].values for field in ("eigengap", "mean", "groups"))
        for five, marker in ((True, "o"), (False, "x")):
            shown = (counts == len(names)) == five
            if not shown.any():
                continue
            label = f"{net}, {'five groups' if five else 'another number'}"
            right.plot(gaps[shown], means[shown], marker, color=color, markersize=3.5, alpha=0.7, label=label)
        best = gaps.argmax(1)
        seeds = np.arange(len(gaps))
        right.plot(gaps[seeds, best], means[seeds, best], "o", mfc="none", mec=ORANGE, markersize=8)
    right.plot([], [], "o", mfc="none", mec=ORANGE, markersize=8, label="chosen: clearest eigengap")
    right.set(xlabel="eigengap", ylabel="mean R² of the factors", ylim=(-0.05, 1.05), title="all sizes tried")
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2)
    return figure


def _bars(panel: Axes, x: np.ndarray, values: Any, color: str, label: str, width: float = 0.19) -> None:
    """Bars of means over seeds, with their intervals."""
    several = isinstance(values, Seeds) or (isinstance(values, list) and isinstance(values[0], Seeds))
    together = Seeds(np.stack([one.values for one in values], 1)) if isinstance(values, list) else values
    means = together.mean if several else np.asarray(values)
    panel.bar(x, means, width, color=color, label=label)
    if several and (interval := together.interval) is not None:
        panel.errorbar(x, means, abs(interval - means), fmt="none", ecolor="0.2", elinewidth=0.6)
