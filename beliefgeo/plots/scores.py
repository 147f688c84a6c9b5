"""A scorecard as a picture: every site beside its controls."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, panels, styled
from beliefgeo.probes.scorecard import Scorecard, Weighted
from beliefgeo.reading.seeds import Seeds

_WEIGHTINGS = ("every word and position equally", "by probability")


@styled
def scorecard(card: Scorecard) -> Figure:
    """R2 of the beliefs at every site, in sample and held out, a panel for each weighting; for one network or `Seeds`.

    The lines are the next-token law alone, held out, and shuffled beliefs.
    """
    figure, axes = panels(1, 2, PAGE, 2.7)
    for index, (panel, title) in enumerate(zip(axes, _WEIGHTINGS, strict=True)):
        _dots(panel, card.sites, index, 0.1, BLUE, "trained")
        if card.untrained is not None:
            _dots(panel, card.untrained, index, -0.1, ORANGE, "untrained")
        law = _mean(card.law.scores[index].held_out)
        panel.axhline(law, color=GREEN, linewidth=0.8, linestyle="--", label="next-token law alone, held out")
        if index == 0:
            shuffled = _mean(card.shuffled.r2)
            panel.axhline(shuffled, color=GREY, linewidth=0.8, linestyle=":", label="shuffled beliefs, held out")
            if card.unseen is not None:
                unseen = _mean(card.unseen.r2)
                panel.axhline(unseen, color=PURPLE, linewidth=0.8, linestyle="-.", label="shuffled beyond the law")
        panel.set(title=title, ylabel="R$^2$ of the beliefs" if index == 0 else "", ylim=(None, 1.03))
        panel.set_xticks(range(len(card.sites)), list(card.sites), rotation=30, ha="right")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _dots(panel: Axes, sites: dict[str, Weighted], index: int, shift: float, color: str, name: str) -> None:
    x = np.arange(len(sites)) + shift
    for fill, kind, attribute in (("full", "held out", "held_out"), ("none", "in sample", "r2")):
        values = [getattr(scores[index], attribute) for scores in sites.values()]
        y = np.array([_mean(value) for value in values])
        panel.plot(x, y, "o", color=color, markersize=4, fillstyle=fill, label=f"{name}, {kind}")
        if kind == "held out" and isinstance(values[0], Seeds) and values[0].interval is not None:
            panel.vlines(x, *np.transpose([value.interval for value in values]), color=color, linewidth=0.8)


def _mean(value: Seeds | float) -> float:
    return float(value.mean if isinstance(value, Seeds) else value)
