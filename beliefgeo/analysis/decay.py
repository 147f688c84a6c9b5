"""How a positive quantity falls along the context: exponentially, or as a power law.

Source: Riechers et al. 2505.18373: the excess loss falls exponentially for ergodic processes that synchronise, as a
power law for mixtures of many components.
"""

from typing import Any

import numpy as np
import scipy.stats
from jaxtyping import Float, Num

from beliefgeo.arrays import ArrayLike


def decay_report(excess: ArrayLike, judged: ArrayLike, *, level: float = 0.95) -> dict[str, Any]:
    """Lines through ln(excess) against L, e^(-L / length), and against ln L, L^(-exponent), with Student's intervals.

    The intervals take what scatters about a line for independent noise; of an exact curve they show its curvature.

    Args:
        excess: `[position]`, at L = 0, 1, 2, ...; only positive values are fitted.
        judged: `[position]`, the positions to fit; L = 0 has no place in a power law and is left out.
        level: of the intervals.

    Returns:
        "positions", the first and last fitted; for "exponential" and "power law" the "slope", its "interval", the
        "intercept" and "r2"; "falls", the one of higher r2, or "not at all" where that line does not fall. With fewer
        than 4 positions only "falls": "at once".

    Raises:
        ValueError: excess and judged of different positions, or NaN.

    >>> report = decay_report(0.5 * np.exp(-np.arange(9) / 4), np.arange(9) > 1)
    >>> report["falls"], report["positions"], round(report["exponential"]["slope"], 4)
    ('exponential', [2, 8], -0.25)
    """
    excess, judged = np.asarray(excess, np.float64), np.asarray(judged, bool)
    if excess.shape != judged.shape or excess.ndim != 1 or np.isnan(excess).any():
        raise ValueError(
            "decay_report needs excess and judged [position] of the same positions, without NaN; got shapes "
            f"{excess.shape} and {judged.shape}, {np.isnan(excess).sum()} NaN"
        )
    read = np.arange(len(excess))
    read = read[judged & (excess > 0) & (read > 0)]
    if len(read) < 4:
        return {"falls": "at once"}
    log_excess = np.log(excess[read])
    lines = {"exponential": _line(read, log_excess, level), "power law": _line(np.log(read), log_excess, level)}
    falls = max(lines, key=lambda name: lines[name]["r2"])
    falls = falls if lines[falls]["slope"] < 0 else "not at all"
    return {"positions": [int(read[0]), int(read[-1])], **lines, "falls": falls}


def _line(x: Num[np.ndarray, " position"], y: Float[np.ndarray, " position"], level: float) -> dict[str, Any]:
    """The least-squares line y = slope x + intercept, and Student's interval of its slope; r2 is 1 of a constant y."""
    line: Any = scipy.stats.linregress(x, y)
    half = float(scipy.stats.t.ppf((1 + level) / 2, len(x) - 2) * line.stderr)
    slope = float(line.slope)
    return {
        "slope": slope,
        "interval": [slope - half, slope + half],
        "intercept": float(line.intercept),
        "r2": 1.0 if np.ptp(y) == 0 else float(line.rvalue) ** 2,
    }


def describe_decay(report: dict[str, Any]) -> str:
    """The better law of a `decay_report` in words, with its interval; an e-fold that may never come is infinite.

    >>> describe_decay({"falls": "power law", "power law": {"slope": -0.5, "interval": [-0.52, -0.48]}})
    'L^-0.50 [-0.52, -0.48]'
    """
    if report["falls"] in ("at once", "not at all"):
        return report["falls"]
    line = report[report["falls"]]
    values = [line["slope"], *line["interval"]]
    if report["falls"] == "power law":
        return "L^{:.2f} [{:.2f}, {:.2f}]".format(*values)
    return "e-fold in {:.2f} tokens [{:.2f}, {:.2f}]".format(*[-1 / slope if slope < 0 else np.inf for slope in values])
