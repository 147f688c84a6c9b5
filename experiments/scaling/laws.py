"""Power laws: their exponents by seed, whether they are straight, and whether two of them are the same."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import spearmanr

from beliefgeo.reading import Seeds

# Fixed before the run that they judge.
STRAIGHT = 0.9
"""The line through the logarithms of the means must explain this share of their variance, or there is no power law."""
SETTINGS = 3
"""Fewer settings are always straight, and have no exponent."""
SPAN = 2.0
"""An axis over less than this factor has no exponent."""
ALIKE = (0.8, 1.25)
"""Two exponents are alike if the interval of their ratio lies within; else different if that of their difference
excludes 0."""

LEAST = 1e-9
"""Smaller gaps are rounding of float32, and count as this."""


class PowerLaw(NamedTuple):
    """y = prefactor * x^slope, over the settings of an axis.

    Attributes:
        slope: Of each seed.
        prefactor: Of the line through the means.
        straightness: R2 of the line through the logarithms of the geometric means over seeds.
        exponent: The slope; None where the judge above refuses it.
    """

    slope: Seeds
    prefactor: float
    straightness: float
    exponent: Seeds | None


class Compared(NamedTuple):
    """Two power laws beside each other.

    Attributes:
        difference: Of the exponents, the second less the first; None where one is refused.
        ratio: Of the exponents, the second over the first; None where one is refused.
        verdict: In words.
    """

    difference: Seeds | None
    ratio: Seeds | None
    verdict: str


def fit(x: Float[np.ndarray, " setting"], y: Float[np.ndarray, "seed setting"]) -> PowerLaw:
    """The least-squares line of log y on log x, of each seed and of the geometric mean over seeds.

    >>> fit(np.array([1.0, 2, 4]), np.array([[8.0, 4, 2]])).exponent.values.round(6).tolist()
    [-1.0]
    """
    across, up = np.log(x), np.log(np.maximum(y, LEAST))
    means = up.mean(0)
    slope, start = np.polyfit(across, means, 1)
    left, whole = ((means - start - slope * across) ** 2).sum(), ((means - means.mean()) ** 2).sum()
    straightness = float(1 - left / whole) if whole > 0 else 0.0
    slopes = Seeds(np.polyfit(across, up.T, 1)[0])
    holds = len(x) >= SETTINGS and straightness >= STRAIGHT and max(x) >= SPAN * min(x)
    return PowerLaw(slopes, float(np.exp(start)), straightness, slopes if holds else None)


def compare(first: PowerLaw, second: PowerLaw) -> Compared:
    """Whether the second power law has the exponent of the first, by the judge above."""
    one, other = first.exponent, second.exponent
    if one is None or other is None:
        held = {(False, True): "only the first is a power law", (True, False): "only the second is a power law"}
        return Compared(None, None, held.get((one is None, other is None), "neither is a power law"))
    difference, ratio = Seeds(other.values - one.values), Seeds(other.values / one.values)
    return Compared(difference, ratio, judge(difference, ratio))


def judge(difference: Seeds, ratio: Seeds) -> str:
    """Likeness comes before difference, as a small difference may be certain."""
    if difference.interval is None or ratio.interval is None:
        return "one seed cannot tell"
    if ALIKE[0] <= ratio.interval[0] and ratio.interval[1] <= ALIKE[1]:
        return "alike"
    return "different" if difference.interval[0] > 0 or difference.interval[1] < 0 else "cannot tell"


class Study(NamedTuple):
    """One axis.

    Attributes:
        x: Where its settings lie.
        measures: What is measured, by name; each `[seed, setting]`.
        fits: The power law of each measure.
        compared: Pairs of power laws: loss and probe error, share of the loss and probe error, fast and slow clock.
        over_settings: Spearman's correlation of mean gap and mean error over the settings.
        over_seeds: The same over the networks of one setting, for each setting.
    """

    x: Float[np.ndarray, " setting"]
    measures: dict[str, Seeds]
    fits: dict[str, PowerLaw]
    compared: dict[str, Compared]
    over_settings: float
    over_seeds: Seeds


PAIRS = (("gap", "belief"), ("share", "belief"), ("fast clock", "slow clock"))


def study(x: Float[np.ndarray, " setting"], measures: Mapping[str, Seeds]) -> Study:
    """The power laws of all measures over one axis, and whether probe error and loss have the same."""
    fits = {name: fit(x, one.values) for name, one in measures.items()}
    compared = {" and ".join(pair): compare(*(fits[one] for one in pair)) for pair in PAIRS if {*pair} <= {*fits}}
    gap, error = measures["gap"].values, measures["belief"].values
    within = Seeds(np.array([rank_correlation(*both) for both in zip(gap.T, error.T, strict=True)]))
    return Study(x, dict(measures), fits, compared, rank_correlation(mean(gap), mean(error)), within)


def mean(values: Float[np.ndarray, "seed setting"]) -> Float[np.ndarray, " setting"]:
    """The geometric mean over seeds."""
    return np.exp(np.log(np.maximum(values, LEAST)).mean(0))


def together(axes: Mapping[str, Study]) -> dict[str, object]:
    """Spearman's correlation of loss and probe error over all settings, each once, and over networks of one setting."""
    points = {}
    for one in axes.values():
        columns = (mean(one.measures[name].values) for name in ("gap", "share", "belief"))
        points |= dict(zip(zip(*columns, strict=True), one.over_seeds.values, strict=True))
    gap, share, error = np.array([*points]).T
    return {
        "settings": len(points),
        "gap and error": rank_correlation(gap, error),
        "share and error": rank_correlation(share, error),
        "over seeds": Seeds(np.array([*points.values()])),
    }


def rank_correlation(gap: Float[np.ndarray, " one"], error: Float[np.ndarray, " one"]) -> float:
    """Spearman's, from -1 to 1; 0 where one of both does not vary."""
    found: Any = spearmanr(gap, error)
    return float(np.nan_to_num(found.statistic))
