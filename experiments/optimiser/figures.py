"""What is left against the loss, ratios at equal loss, and what predicts the rest."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from beliefgeo.plots.style import AMBER, BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, panels, styled

_COLORS = {"sgd": GREY, "adam": ORANGE, "nadam": AMBER, "soap": GREEN, "muon": BLUE, "fast nadam": PURPLE}
_WORDS = {"laws": "exact laws", "samples": "drawn tokens"}
_PREDICTORS = {
    "features": ("rank of\nactivations", BLUE),
    "weights": ("rank of\nweights", GREEN),
    "norm": ("norm", ORANGE),
    "sharpness": ("sharpness", PURPLE),
}


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """All pictures of the results."""
    found = results["processes"]
    return {"curves": curves(found), "ratios": ratios(found), "correlations": correlations(found)}


@styled
def curves(found: dict[str, Any]) -> Figure:
    """A row a process, a column for exact laws and for drawn tokens: what a probe leaves against the loss."""
    kinds = list(dict.fromkeys(label.split(", ")[1] for one in found.values() for label in one["trainings"]))
    figure, axes = panels(len(found), len(kinds), PAGE, 2.1 * len(found) + 0.5)
    for row, (name, one) in enumerate(found.items()):
        for column, kind in enumerate(kinds):
            panel = axes[row * len(kinds) + column]
            for label, training in one["trainings"].items():
                optimizer, targets, decay = label.split(", ")
                if targets == kind:
                    path = training["path"]
                    gap, left = (np.exp(np.log(part.values).mean(0)) for part in (path.gap, path.unexplained))
                    style = "--" if decay == "decay" else "-"
                    panel.plot(gap, left, style, color=_COLORS[optimizer], marker="o", markersize=2, linewidth=1)
            panel.set(xscale="log", yscale="log", title=f"{name}, {_WORDS[kind]}")
            panel.invert_xaxis()
            if row == len(found) - 1:
                panel.set_xlabel("loss above the optimum (nats a token)")
        axes[row * len(kinds)].set_ylabel("share of the belief\nleft unexplained")
        _same_limits(axes[row * len(kinds) : (row + 1) * len(kinds)])
        for panel in axes[row * len(kinds) : (row + 1) * len(kinds)]:
            _ticks(panel.yaxis)
    shown = [axes[0].plot([], [], color=color, label=name)[0] for name, color in _COLORS.items()]
    shown += [
        axes[0].plot([], [], style, color="k", label=label)[0] for style, label in (("-", "no decay"), ("--", "decay"))
    ]
    figure.legend(handles=shown, loc="outside lower center", ncols=len(shown))
    return figure


def _ticks(axis: Any) -> None:
    """A logarithmic axis has few ticks: powers of ten over decades, more within them."""
    low, high = sorted(axis.get_view_interval())
    fine = (0.5, 0.6, 0.7, 0.85, 1, 1.2, 1.4, 2, 2.8, 4, 5)
    steps = (1,) if high > 50 * low else (1, 2, 5) if high > 5 * low else fine
    ticks = sorted({step * 10.0**power for power in range(-5, 4) for step in steps})
    axis.set_ticks([tick for tick in ticks if low <= tick <= high])
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_ticks([], minor=True)


def _same_limits(axes: list[Any]) -> None:
    for limits, put in (("get_xlim", "set_xlim"), ("get_ylim", "set_ylim")):
        every = np.array([getattr(panel, limits)() for panel in axes])
        widest = (every[:, 0].max(), every[:, 1].min()) if every[0, 0] > every[0, 1] else (every.min(), every.max())
        for panel in axes:
            getattr(panel, put)(*widest)


@styled
def ratios(found: dict[str, Any]) -> Figure:
    """A panel a process: what is left at equal loss, each optimiser beside Adam, decay, exact laws."""
    figure, axes = panels(1, len(found), PAGE, 2.9)
    for panel, (name, one) in zip(axes, found.items(), strict=True):
        lines = [
            (f"{optimizer}, {_WORDS[kind]}", compared)
            for kind, every in one["beside Adam"].items()
            for optimizer, compared in every.items()
            if compared is not None
        ]
        lines += [("nadam: three times the rate", one["rate"])] if one["rate"] else []
        lines += [("decay", one["decay"]["all"]), ("exact laws", one["laws"]["all"])]
        for place, (_, compared) in enumerate(lines):
            if compared is not None:
                ratio = compared["ratio"]
                logs = np.log(ratio.values)
                half = 0 if ratio.interval is None else type(ratio)(logs).interval[1] - logs.mean()
                middle = np.exp(logs.mean())
                ends = [[middle - np.exp(logs.mean() - half)], [np.exp(logs.mean() + half) - middle]]
                color = BLUE if compared["differs"] == "yes" else GREY
                panel.errorbar([middle], [-place], xerr=ends, fmt="o", color=color, markersize=3.5)
        panel.axvline(1, color="0.7", linewidth=0.8, zorder=0)
        panel.set(xscale="log", title=name, xlabel="ratio at equal loss")
        first = panel is axes[0]
        panel.set_yticks(-np.arange(len(lines)), [label for label, _ in lines] if first else [])
        _ticks(panel.xaxis)
    return figure


@styled
def correlations(found: dict[str, Any]) -> Figure:
    """For each property its rank correlation with what is left, beyond the loss, in each process."""
    figure, (panel,) = panels(1, 1, PAGE, 2.5)
    for group, (_, color) in enumerate(_PREDICTORS.values()):
        property_name = list(_PREDICTORS)[group]
        for index, one in enumerate(found.values()):
            seeds, place = one["correlations"][property_name], group + 0.22 * (index - (len(found) - 1) / 2)
            half = 0 if seeds.interval is None else seeds.interval[1] - seeds.mean
            panel.errorbar([place], [seeds.mean], half, fmt="os^"[index], color=color, markersize=4)
    for index, name in enumerate(found):
        panel.plot([], [], "os^"[index], color="k", label=name, markersize=4)
    for level in (-0.5, 0.5):
        panel.axhline(level, color="0.8", linewidth=0.8, linestyle=":")
    panel.axhline(0, color="0.7", linewidth=0.8)
    panel.set_xticks(range(len(_PREDICTORS)), [label for label, _ in _PREDICTORS.values()])
    panel.set(ylim=(-1.05, 1.05), ylabel="rank correlation with what is left,\nbeyond the loss")
    panel.legend(loc="lower right", ncols=3)
    return figure
