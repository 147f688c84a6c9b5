"""Do networks give the same laws after words of equal belief: pairs of equal belief beside matched pairs."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import rel_entr

from beliefgeo.probes.windows import group_means
from beliefgeo.reading import Rows


class Pairs(NamedTuple):
    """Pairs of different prefixes of one length.

    The stratum is the length and the number of last tokens that the two have in common: pairs of equal and of unequal
    belief are compared within a stratum.
    """

    one: Int[np.ndarray, " pair"]
    other: Int[np.ndarray, " pair"]
    stratum: Int[np.ndarray, " pair"]
    equal: Bool[np.ndarray, " pair"]

    def of(self, kept: Bool[np.ndarray, " row"]) -> "Pairs":
        """The pairs of rows that are kept."""
        both = kept[self.one] & kept[self.other]
        return Pairs(*(part[both] for part in self))


class Distances(NamedTuple):
    """The mean total variation between the laws after two words, and the share of it at equal belief."""

    equal: float
    """Words of equal belief."""
    unequal: float
    """Words of unequal belief, of the same length and with as many last tokens in common."""
    ratio: float
    """Equal over unequal: 0 if the belief decides the law, 1 if it makes no difference."""


def pairs_of(rows: Rows, classes: Int[np.ndarray, " row"], longest: int) -> Pairs:
    """All pairs of prefixes of up to `longest` tokens.

    Raises:
        ValueError: no two prefixes of equal belief and length, or no others to compare them with.
    """
    found = []
    for length in range(1, longest + 1):
        at = np.flatnonzero(rows.length == length)
        one, other = (at[side] for side in np.triu_indices(len(at), 1))
        last = rows.words[rows.word, :length][:, ::-1]
        common = (last[one] == last[other]).cumprod(1).sum(1)
        found.append((one, other, length * (longest + 1) + common, classes[one] == classes[other]))
    pairs = Pairs(*(np.concatenate(column) for column in zip(*found, strict=True)))
    if not np.isin(pairs.stratum[pairs.equal], pairs.stratum[~pairs.equal]).any():
        raise ValueError(
            "pairs of equal belief need others of the same length and last tokens to be compared with; got none: "
            "raise the context, or take a process with several causal states"
        )
    return pairs


def distances(pairs: Pairs, laws: Float[np.ndarray, "row token"], weights: Float[np.ndarray, " row"]) -> Distances:
    """The mean total variation within pairs of equal belief, and within matched pairs of unequal belief.

    Each stratum counts by the weight of its pairs of equal belief; one without pairs of either kind does not count.
    """
    apart = abs(laws[pairs.one] - laws[pairs.other]).sum(1) / 2
    weight = weights[pairs.one] * weights[pairs.other]
    of = lambda kept, values: np.bincount(pairs.stratum[kept], values[kept], pairs.stratum.max() + 1)
    same, others = of(pairs.equal, weight), of(~pairs.equal, weight)
    counted = (same > 0) & (others > 0)
    share = np.where(counted, same, 0) / same[counted].sum()
    mean = lambda kept, total: share @ np.where(counted, of(kept, weight * apart) / np.where(counted, total, 1), 0)
    equal, unequal = float(mean(pairs.equal, same)), float(mean(~pairs.equal, others))
    return Distances(equal, unequal, equal / unequal if unequal else np.nan)


def beyond_belief(
    rows: Rows,
    classes: Int[np.ndarray, " row"],
    laws: Float[np.ndarray, "row token"],
    weights: Float[np.ndarray, " row"],
) -> float:
    """The share of what the laws tell of the word, given its length, that its belief does not tell.

    Both are informations: the mean KL from the law after a word to the mean law, of words of its length and belief, and
    of words of its length.
    """
    mean_kl = lambda group: float(weights @ rel_entr(laws, group_means(laws, weights, group)).sum(1))
    known = mean_kl(rows.length)
    return mean_kl(np.unique(np.stack([rows.length, classes]), axis=1, return_inverse=True)[1]) / known
