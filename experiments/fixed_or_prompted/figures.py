"""Gap by tokens of training and by position in the sequence, a panel a task; a function of the results alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from learners import LEARNERS
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, panels, styled
from beliefgeo.reading import Seeds

_COLORS = dict(zip(LEARNERS, (BLUE, ORANGE, GREEN), strict=True))
_TITLES = {
    "fixed": "fixed HMM, learnt in the weights",
    "told": "fresh HMM, told in the prompt",
    "inferred": "fresh HMM, to be inferred",
}


def draw(results: Mapping[str, Any]) -> dict[str, Figure]:
    """The pictures; none of a run that only tries learning rates."""
    shown = {name: results[name] for name in _TITLES if "learners" in results.get(name, {})}
    return {"training": training(shown), "positions": positions(shown)} if shown else {}


@styled
def training(shown: Mapping[str, Any]) -> Figure:
    """The mean gap at each snapshot of the longer training, and at the end of the shorter one."""
    figure, axes = panels(1, len(shown), PAGE, 2.7)
    for panel, (name, found) in zip(axes, shown.items(), strict=True):
        for learner, learnt in found["learners"].items():
            color, long, short = _COLORS[learner], learnt["long"], learnt["short"]
            _band(panel, long.tokens[1:], _over_hmms(long.gap.values)[:, 1:], color, learner)
            _point(panel, short.tokens[-1], _over_hmms(short.gap.values)[:, -1], color)
        for control, style in (("best constant law", ":"), (_CONTROLS.get(name), "--")):
            if control:
                panel.axhline(
                    np.mean(found["controls"][control]), color=GREY, linewidth=0.8, linestyle=style, label=control
                )
        panel.set(title=_TITLES[name], xscale="log", yscale="log", xlabel="tokens of training")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.yaxis.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel("nats a token above the optimum")
    _legend(figure, axes)
    return figure


_CONTROLS = {"told": "the tokens alone, no head", "inferred": "knows the prior, never infers"}


@styled
def positions(shown: Mapping[str, Any]) -> Figure:
    """The gap at the end of the longer training after each number of tokens."""
    figure, axes = panels(1, len(shown), PAGE, 2.7)
    for panel, (name, found) in zip(axes, shown.items(), strict=True):
        for learner, learnt in found["learners"].items():
            by_position = _over_hmms(learnt["long"].by_position.values)
            _band(panel, np.arange(by_position.shape[1]), by_position, _COLORS[learner], learner)
        panel.set(title=_TITLES[name], yscale="log", xlabel="tokens of the HMM that are read")
        panel.yaxis.set_minor_formatter(NullFormatter())
    lows, highs = zip(*(panel.get_ylim() for panel in axes), strict=True)
    for panel in axes:
        panel.set_ylim(min(lows), max(highs))
    axes[0].set_ylabel("nats above the optimum")
    _legend(figure, axes)
    return figure


def _over_hmms(values: np.ndarray) -> np.ndarray:
    """The logarithm of `[seed, hmm, ...]`, in the mean over HMMs, as the judge takes it."""
    return np.log(values).mean(1)


def _band(panel: Axes, places: Any, logs: np.ndarray, color: str, label: str) -> None:
    """The geometric mean over seeds, with the 95% interval of the mean logarithm."""
    seeds = Seeds(logs)
    panel.plot(places, np.exp(seeds.mean), color=color, label=label)
    if seeds.interval is not None:
        panel.fill_between(places, *np.exp(seeds.interval), color=color, alpha=0.25, linewidth=0)


def _point(panel: Axes, place: float, logs: np.ndarray, color: str) -> None:
    """The same at the end of the shorter training."""
    seeds = Seeds(logs)
    middle = np.exp(seeds.mean)
    ends = None if seeds.interval is None else abs(np.exp(seeds.interval) - middle)[:, None]
    panel.errorbar([place], [middle], ends, fmt="o", color=color, markersize=3.5)


def _legend(figure: Figure, axes: list[Axes]) -> None:
    found = {label: line for panel in axes for line, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(found.values(), found, loc="outside lower center", ncols=3)
