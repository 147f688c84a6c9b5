"""Two groups of networks compared, pair by pair: at the end, and at equal loss; exact tests, and the judge."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import permutation_test

from beliefgeo.reading import Seeds

# The level, fixed before the run that it judges: three processes share .05.
LEVEL = 0.05 / 3


class Measured(NamedTuple):
    """A network, or `Seeds` of networks at one or more moments.

    Attributes:
        gap: the exact loss above the optimum, nats a token.
        r2: how much of the belief it holds.
    """

    gap: Any
    r2: Any


class Compared(NamedTuple):
    """Networks that learnt from exact laws, beside those that learnt from drawn tokens.

    Attributes:
        laws: a number of each network of the first group.
        samples: of each of the second; networks of one seed begin with the same parameters.
        p: two-sided, of the mean difference, over all ways to swap the two networks of a seed.
    """

    laws: Seeds
    samples: Seeds
    p: float


def compare(laws: Float[np.ndarray, " seed"], samples: Float[np.ndarray, " seed"]) -> Compared:
    """The two groups, and the exact p-value of their difference.

    >>> compare(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 7.0])).p
    0.25
    """
    difference = lambda one, other, axis: one.mean(axis) - other.mean(axis)
    swaps = {"permutation_type": "samples", "n_resamples": 2 ** min(len(laws), 17)}  # above 17 pairs some, drawn
    found = permutation_test((laws, samples), difference, vectorized=True, **swaps)
    return Compared(Seeds(laws), Seeds(samples), float(found.pvalue))


def at_equal_loss(laws: Measured, samples: Measured) -> dict[str, Any]:
    """R2 of every network where its loss first falls to the least loss that all networks reach.

    Between two moments R2 is a straight line in the logarithm of the loss.
    """
    level = max(path.gap.values.min(1).max() for path in (laws, samples))
    curves = (zip(path.gap.values, path.r2.values, strict=True) for path in (laws, samples))
    held = [np.array([_crossing(*curve, level) for curve in group]) for group in curves]
    return {"gap": level, "r2": compare(*held)}


def _crossing(gaps: Float[np.ndarray, " moment"], r2: Float[np.ndarray, " moment"], level: float) -> float:
    after = int(np.argmax(gaps <= level))
    if after == 0:
        return float(r2[0])
    part = np.log(gaps[after - 1] / level) / np.log(gaps[after - 1] / gaps[after])
    return float(r2[after - 1] + part * (r2[after] - r2[after - 1]))


def judge(gap: Compared, r2: Compared) -> str:
    """Whether exact laws give a lower loss and less of the belief: yes, no (more of it), or cannot be told."""
    if gap.p > LEVEL or r2.p > LEVEL or gap.laws.mean >= gap.samples.mean:
        return "cannot be told"
    return "yes" if r2.laws.mean < r2.samples.mean else "no"
