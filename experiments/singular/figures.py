"""The coefficient over temperature, and beside the geometry along training."""

import warnings
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from beliefgeo.plots.style import AMBER, BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, SKY, panels, styled

_COLORS = (BLUE, ORANGE, GREEN, PURPLE, AMBER)


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """All pictures of the results."""
    return {"training": training(results), "temperature": temperature(results)}


@styled
def training(results: dict[str, Any]) -> Figure:
    """Loss, geometry, coefficients and spread against the training step: means, and the range of the networks."""
    figure, (gap, r2, chains, spread) = panels(2, 2, PAGE, 5.0)
    steps, geometry, path = np.asarray(results["steps"]), results["geometry"], results["path"]
    at = np.maximum(steps, 0.5)  # 0 has no place on a logarithmic axis
    _band(gap, at, geometry["gap"].values, BLUE, None)
    gap.set(yscale="log", ylabel="loss above the optimum (nats)")
    for name, label, color in (("r2", "beliefs", BLUE), ("shuffled", "shuffled beliefs", GREY)):
        _band(r2, at, geometry[name].values, color, label)
    r2.axhline(geometry["r2"].mean[0], color="0.3", linestyle=":", linewidth=0.8, label="beliefs, untrained")
    r2.set(ylabel="held-out R2", ylim=(-0.15, 1.05))
    r2.legend(loc="center right")
    for color, (index, nbeta) in zip(_COLORS, enumerate(results["nbetas"]), strict=False):
        _band(chains, at, path["coefficient"].values[:, :, index], color, f"n beta {nbeta:g}")
        chains.plot(at, path["quadratic"].mean[:, index], "--", color=color, linewidth=0.8)
        _band(spread, at, path["spread"].values[:, :, index], color, None)
    chains.set(yscale="symlog", ylabel="n beta (mean loss - loss)", xlabel="training step")
    chains.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    spread.set(yscale="log", ylabel="spread: the same without the slope,\nof a quadratic loss", xlabel="training step")
    ticks = [0.5, *(10**power for power in range(1 + int(np.log10(max(steps)))))]
    for panel in (gap, r2, chains, spread):
        panel.set_xscale("log")
        panel.set_xticks(ticks, ["0", *(f"{tick:g}" for tick in ticks[1:])])
        panel.xaxis.set_minor_formatter(NullFormatter())
    figure.legend(*chains.get_legend_handles_labels(), loc="outside lower center", ncols=len(results["nbetas"]))
    return figure


@styled
def temperature(results: dict[str, Any]) -> Figure:
    """The coefficient against n beta: of trained networks beside other chains, and at each moment of training."""
    figure, (trained, moments) = panels(1, 2, PAGE, 3.6)
    nbetas, path = np.asarray(results["nbetas"]), results["path"]
    _band(trained, nbetas, path["coefficient"].values[:, -1], BLUE, "chains", marker="o")
    trained.plot(nbetas, path["quadratic"].mean[-1], "--", color="0.3", label="quadratic loss")
    looks = zip(("x", "+", "^", "v", "s"), (ORANGE, PURPLE, GREEN, SKY, AMBER), strict=True)
    for (name, found), (marker, color) in zip(results["checks"].items(), looks, strict=True):
        means = [one["coefficient"].mean for one in found.values()]
        look = {"color": color, "markersize": 5, "linestyle": "", "markerfacecolor": "none"}
        trained.plot([float(nbeta) for nbeta in found], means, marker, label=name, **look)
    trained.set(xscale="log", yscale="log", title="trained", xlabel="n beta", ylabel="n beta (mean loss - loss)")
    for color, (name, found) in zip(_COLORS, results["moments"].items(), strict=False):
        chains = found["n beta"].values()
        values = np.stack([one["coefficient"].values for one in chains], 1)
        _band(moments, nbetas, values, color, name.replace("R2 0.", "R2 reaches ."), marker="o")
        theory = np.stack([one["quadratic"].mean for one in chains])
        moments.plot(nbetas, theory, "--", color=color, linewidth=0.8)
    moments.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    moments.set(xscale="log", yscale="symlog", title="along training", xlabel="n beta")
    for panel in (trained, moments):
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
        panel.set_xticks(nbetas)
        panel.xaxis.set_minor_formatter(NullFormatter())
    trained.yaxis.set_minor_formatter(NullFormatter())
    return figure


def _band(panel: Axes, x: np.ndarray, values: np.ndarray, color: str, label: str | None, **look: Any) -> None:
    """The mean of the networks, and their range; chains that diverged are left out."""
    with warnings.catch_warnings():  # where no chain has stayed, nothing is drawn
        warnings.simplefilter("ignore", RuntimeWarning)
        mean, low, high = (of(values, axis=0) for of in (np.nanmean, np.nanmin, np.nanmax))
    panel.plot(x, mean, color=color, label=label, markersize=3, **look)
    panel.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
