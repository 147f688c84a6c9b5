"""What a few numbers keep of a belief: a network's, and the best that could be kept, in the same measure."""

from typing import Any, NamedTuple

import numpy as np
import optima
import tasks
from jaxtyping import Array, Float, PRNGKeyArray

from beliefgeo import probes, reading
from beliefgeo.probes.held_out import held_out_folds
from beliefgeo.probes.nested import cross_validated_r2
from beliefgeo.reading import Reading, Rows, Seeds

# The judge, fixed before the run that it judges.
# A network is near the optimum of its width if its gap is at most FACTOR times the optimum plus SLACK times the gap of
# a network that knows nothing: the slack is for widths at which the optimum is 0 or nearly so.
FACTOR, SLACK = 1.5, 0.02
# Its R2 is near if it is at least this share of what as many principal components reach, the most at this width.
SHARE = 0.8
# It follows a yardstick if the R2 of its parts are nearer to those of this yardstick's code than to those of the other
# code (mean distance over parts; the intervals of the mean of the seeds must not meet), and at most this far away.
CLOSE = 0.15

# How many random orders of the directions are averaged.
_ORDERS = 5


class Kept(NamedTuple):
    """Loss above the optimum of any width (nats), and held-out R2: of the whole belief, and of each part `[part]`.

    Numbers, or `Seeds` of them.
    """

    gap: Any
    r2: Any
    by_part: Any


class Truth(NamedTuple):
    """Rows, the parts of their beliefs, and how much each part varies among the rows that a held-out score counts.

    Ranked: whether the R2 of the parts are put in order, the part kept most first.
    """

    rows: Rows
    parts: dict[str, Float[np.ndarray, "row target"]]
    variances: Float[np.ndarray, " part"]
    ranked: bool


def truth_of(task: tasks.Task, process: tasks.Process | tasks.Product, rows: Rows) -> Truth:
    """The parts of the beliefs, and their variances."""
    parts = tasks.parts(task, process, rows)
    weights = np.where(held_out_folds(rows) >= 0, rows.probabilities, 0)
    spread = lambda part: float((weights / weights.sum()) @ ((part - weights @ part / weights.sum()) ** 2).sum(1))
    return Truth(rows, parts, np.array([spread(part) for part in parts.values()]), task.alike)


def kept(
    features: Float[Array, "row width"] | np.ndarray, gap: float, truth: Truth, beliefs: np.ndarray | None = None
) -> Kept:
    """What a linear probe finds in these features; `beliefs` are other targets `[part, row, target]`."""
    targets = np.stack(list(truth.parts.values())) if beliefs is None else beliefs
    rows = truth.rows
    found = np.asarray(cross_validated_r2(features, targets, held_out_folds(rows), rows.probabilities), np.float64)
    r2 = float(truth.variances @ found / truth.variances.sum())
    return Kept(gap, r2, np.sort(found)[::-1] if truth.ranked else found)


def of_network(network: Reading, truth: Truth) -> Kept:
    """What one network keeps in the stream that its unembedding reads."""
    gap = float(reading.loss_gap(truth.rows, network.log_laws).mean())
    return kept(network.features["last block"], gap, truth)


def shuffled(key: PRNGKeyArray, network: Reading, truth: Truth) -> float:
    """The R2 of the probe that is fitted to the beliefs after other words of the same length."""
    whole = np.concatenate(list(truth.parts.values()), 1)
    moved = np.asarray(probes.shuffle_beliefs(key, whole, truth.rows.length))
    targets = np.stack(np.split(moved, len(truth.parts), 1))
    return kept(network.features["last block"], np.nan, truth, targets).r2


def best(
    truth: Truth, widths: tuple[int, ...], starts: int
) -> tuple[dict[int, dict[str, Kept]], dict[int, Float[np.ndarray, " start"]]]:
    """For each width: the best for the loss, the best for R2, and directions of the belief in random order.

    Beside them the gaps at which the searches of the best for the loss ended.
    """
    rows, columns = truth.rows, tasks.components(truth.rows)
    given = optima.best_codes(rows.laws, rows.probabilities, tuple(sorted(widths)), starts=starts)
    found = {}
    for width in widths:
        most = _linear(columns[:, :width], truth)
        orders = [np.random.default_rng(seed).permutation(columns.shape[1])[:width] for seed in range(_ORDERS)]
        random = [_linear(columns[:, order], truth) for order in orders] if width < columns.shape[1] else [most]
        found[width] = {
            "loss": kept(given[width].code, given[width].gap, truth),
            "variance": most,
            "random order": Kept(*(np.mean(values, 0) for values in zip(*random, strict=True))),
        }
    return found, {width: given[width].gaps for width in widths}


def _linear(code: Float[np.ndarray, "row width"], truth: Truth) -> Kept:
    return kept(code, optima.readout_gap(truth.rows.laws, truth.rows.probabilities, code), truth)


def verdicts(found: Kept, optimum: dict[str, Kept], nothing: float) -> dict[str, object]:
    """Ratios to the two optima, whether they are near, and which optimum the parts' R2 are closer to, for each seed."""
    gap, r2, by_part = found
    allowed = FACTOR * optimum["loss"].gap + SLACK * nothing
    apart = {name: Seeds(abs(by_part.values - optimum[name].by_part).mean(1)) for name in ("loss", "variance")}
    return {
        "times the optimum": Seeds(gap.values / max(optimum["loss"].gap, SLACK * nothing)),
        "share of the most": Seeds(r2.values / optimum["variance"].r2),
        "gap near": "yes" if _highest(gap) <= allowed else "no",
        "R2 near": "yes" if _lowest(r2) >= SHARE * optimum["variance"].r2 else "no",
        "from the best for the loss": apart["loss"],
        "from the best for R2": apart["variance"],
        "follows": follows(apart["loss"], apart["variance"]),
    }


def follows(from_loss: Seeds, from_r2: Seeds) -> str:
    """Which of the two best codes the networks are like: "the loss", "R2" or, by the judge above, "neither"."""
    for name, near, far in (("the loss", from_loss, from_r2), ("R2", from_r2, from_loss)):
        if _highest(near) < _lowest(far) and near.mean <= CLOSE:
            return name
    return "neither"


def _highest(seeds: Seeds) -> float:
    return float(seeds.mean if seeds.interval is None else seeds.interval[1])


def _lowest(seeds: Seeds) -> float:
    return float(seeds.mean if seeds.interval is None else seeds.interval[0])
