"""Geometry at equal loss, and what predicts it beyond the loss."""

from typing import Any, Literal

import numpy as np
from descent import FAST
from properties import PREDICTORS, Properties
from scipy.stats import rankdata

from beliefgeo.reading import Seeds

Targets = Literal["laws", "samples"]
Decay = Literal["none", "decay"]
Paths = dict[tuple[str, str, str], Properties]
"""(optimiser, targets, decay) -> properties, `[seed, moment]`."""

# The judge, fixed before the run that it judges.
# Two trainings are compared, seed by seed, at the lowest loss that both reach. One has more geometry than the other if
# the interval of the mean of the logarithm of the ratio of what their probes leave has not 0 in it, and the ratio is at
# least this, or at most its inverse.
RATIO = 1.25
# A property predicts the geometry beyond the loss if its partial rank correlation with what is left unexplained has
# the same sign in all processes, at least this size in each, and intervals without 0.
STRONG = 0.5
# Networks count as having learnt if their loss above the optimum is at most this share of knowing nothing.
LEARNT = 0.1

# Losses above the optimum (nats a token) at which curves are told.
LEVELS = (1e-2, 1e-3, 1e-4)


def check(config: Any) -> None:
    """Raise ValueError for a config of which no comparison can be made."""
    for name in ("processes", "optimizers", "targets", "decays"):
        given = getattr(config, name)
        if not given or len(set(given)) < len(given):
            raise ValueError(
                f"{name} must be one or more, each once; got {' '.join(given) or 'none'}: leave it out for all"
            )
    for name in ("batch", "seeds", "snapshots"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name} must be 1 or more; got {getattr(config, name)}")
    if not config.duration >= 0.1:
        raise ValueError(f"duration must be at least a tenth of the usual steps, 0.1; got {config.duration:g}")


def summary(path: Properties) -> dict[str, Any]:
    """The path, its end and its beginning, and what is left where the loss first falls to each level."""
    at = lambda moment: Properties(*(Seeds(one.values[:, moment]) for one in path))
    levels = {f"{level:g}": at_level(path, level) for level in LEVELS}
    found = {level: Seeds(np.exp(one.values)) for level, one in levels.items() if one is not None}
    return {"path": path, "trained": at(-1), "untrained": at(0), "left": found}


def comparisons(paths: Paths) -> dict[str, Any]:
    """What is left at equal loss: each optimiser beside Adam, decay beside none, exact laws beside drawn tokens."""

    def compared(change: Any) -> dict[str, Any] | None:
        """All trainings that differ from another in one part: `change` names the other, or None."""
        pairs = [(one, other) for one in paths if (other := change(*one)) in paths]
        return compare([(paths[one], paths[other]) for one, other in pairs]) if pairs else None

    beside = lambda name, kind: compared(
        lambda optimizer, targets, decay: ("adam", targets, decay) if (optimizer, targets) == (name, kind) else None
    )
    names, kinds = (sorted({setting[part] for setting in paths}) for part in (0, 1))
    without = lambda optimizer, targets, decay: (optimizer, targets, "none") if decay == "decay" else None
    drawn = lambda optimizer, targets, decay: (optimizer, "samples", decay) if targets == "laws" else None
    slower = lambda optimizer, targets, decay: ("nadam", targets, decay) if optimizer == FAST else None
    of_one = lambda change, name: lambda *setting: change(*setting) if setting[0] == name else None
    each = lambda change: {"all": compared(change)} | {name: compared(of_one(change, name)) for name in names}
    return {
        "beside Adam": {kind: {name: beside(name, kind) for name in names if name != "adam"} for kind in kinds},
        "rate": compared(slower),
        "decay": each(without),
        "laws": each(drawn),
    }


def at_level(path: Properties, level: float) -> Seeds | None:
    """The logarithm of what is left unexplained when the loss first falls to a level; None if a seed never gets there.

    Between two moments it is a straight line in the logarithm of the loss.
    """
    found = [_crossing(*curve, np.log(level)) for curve in zip(*_logarithms(path), strict=True)]
    return None if None in found else Seeds(np.array(found))


def _logarithms(path: Properties) -> tuple[np.ndarray, np.ndarray]:
    return np.log(path.gap.values), np.log(path.unexplained.values)


def _crossing(gaps: np.ndarray, left: np.ndarray, level: float) -> float | None:
    below = np.flatnonzero(gaps <= level + 1e-9)
    if not len(below):
        return None
    after = below[0]
    if after == 0:
        return float(left[0])
    part = (gaps[after - 1] - level) / (gaps[after - 1] - gaps[after])
    return float(left[after - 1] + part * (left[after] - left[after - 1]))


def compare(pairs: list[tuple[Properties, Properties]]) -> dict[str, Any]:
    """The ratio of what is left, one to other, at the lowest loss that both reach: the geometric mean over pairs."""
    logs = Seeds(np.mean([_at_equal_loss(*pair) for pair in pairs], 0))
    sure = logs.interval is not None and (logs.interval[0] > 0 or logs.interval[1] < 0)
    clear = sure and abs(logs.mean) >= np.log(RATIO)
    return {"ratio": Seeds(np.exp(logs.values)), "pairs": len(pairs), "differs": "yes" if clear else "no"}


def _at_equal_loss(one: Properties, other: Properties) -> np.ndarray:
    lowest = np.maximum(one.gap.values.min(1), other.gap.values.min(1))
    a, b = (
        np.array([_crossing(*curve) for curve in zip(*_logarithms(path), np.log(lowest), strict=True)])
        for path in (one, other)
    )
    return a - b


def partial_rank(gap: np.ndarray, left: np.ndarray, one: np.ndarray) -> float:
    """Spearman's correlation of a property with what is left, after both are regressed on the ranks of the loss."""
    base = np.stack([np.ones(len(gap)), rankdata(gap)], 1)
    rest = lambda values: values - base @ np.linalg.lstsq(base, values, rcond=None)[0]
    a, b = rest(rankdata(left)), rest(rankdata(one))
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def correlations(paths: list[Properties], nothing: float) -> dict[str, Seeds]:
    """For each property its partial rank correlation, over the moments of all trainings; for the loss the plain one."""
    found = {name: [] for name in ("gap", *PREDICTORS)}
    for seed in range(len(paths[0].gap.values)):
        of_seed = [Properties(*(one.values[seed] for one in path)) for path in paths]
        columns = {name: np.concatenate([getattr(path, name) for path in of_seed]) for name in Properties._fields}
        learnt = columns["gap"] <= LEARNT * nothing
        gap, left = columns["gap"][learnt], columns["unexplained"][learnt]
        found["gap"].append(np.corrcoef(rankdata(gap), rankdata(left))[0, 1])
        for name in PREDICTORS:
            found[name].append(partial_rank(gap, left, columns[name][learnt]))
    return {name: Seeds(np.array(values)) for name, values in found.items()}


def predicts(by_process: list[Seeds]) -> str:
    """Whether one property predicts the geometry in all processes, by the judge above."""
    signs = {np.sign(one.mean) for one in by_process}
    sure = all(one.interval is not None and one.interval[0] * one.interval[1] > 0 for one in by_process)
    return "yes" if len(signs) == 1 and sure and all(abs(one.mean) >= STRONG for one in by_process) else "no"
