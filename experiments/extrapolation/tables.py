"""What can be said of words that were not shown, from tables of shown words: by belief, by law, by the last tokens."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import rel_entr

from beliefgeo.reading import Rows

SUFFIXES = 8
"""Tables of the last 0, 1, .. tokens, up to one less than this."""
SMOOTH = (0.0, 1e-3, 1e-2, 3e-2, 0.1, 0.3)
"""Shares of the uniform law mixed into a table of laws, as a law it never saw would cost infinitely many nats."""


def suffix_groups(rows: Rows) -> Iterator[Int[np.ndarray, " row"]]:
    """Labels for the last 0, 1, 2, .. tokens, whatever the length; a prefix that is shorter is its own label."""
    group = np.zeros(len(rows.word), int)
    for age in range(SUFFIXES):
        yield np.unique(group, return_inverse=True)[1]
        token = rows.words[rows.word, np.maximum(rows.length - 1 - age, 0)]
        group = group * (rows.words.max() + 2) + np.where(age < rows.length, token + 1, 0)


def table(
    group: Int[np.ndarray, " row"],
    values: Float[np.ndarray, "row value"],
    weights: Float[np.ndarray, " row"],
    otherwise: Float[np.ndarray, "row value"],
) -> Float[np.ndarray, "row value"]:
    """The weighted mean of the values in each row's group; where a group has no weight, what is given otherwise."""
    total = np.bincount(group, weights)[group]
    sums = np.stack([np.bincount(group, weights * column) for column in values.T], 1)[group]
    return np.where(total[:, None] > 0, sums / np.where(total > 0, total, 1)[:, None], otherwise)


def by_suffixes(
    rows: Rows, values: Float[np.ndarray, "row value"], weights: Float[np.ndarray, " row"]
) -> list[Float[np.ndarray, "row value"]]:
    """Tables of the last 0, 1, 2, .. tokens of the rows of weight; where these were not shown, of fewer tokens."""
    found = [np.zeros_like(values)]
    for group in suffix_groups(rows):
        found.append(table(group, values, weights, found[-1]))
    return found[1:]


def mean_kl(
    laws: Float[np.ndarray, "row token"], guess: Float[np.ndarray, "row token"], weights: Float[np.ndarray, " row"]
) -> float:
    """The weighted mean of KL(law || guess), in nats."""
    counted = weights > 0
    return float(weights[counted] @ rel_entr(laws, guess)[counted].sum(1) / weights.sum())


def least_kl(
    laws: Float[np.ndarray, "row token"],
    guesses: list[Float[np.ndarray, "row token"]],
    weights: Float[np.ndarray, " row"],
) -> float:
    """The least `mean_kl` of some tables, however smoothed: chosen on the very words it is scored on."""
    even = 1 / laws.shape[1]
    return min(mean_kl(laws, (1 - share) * guess + share * even, weights) for guess in guesses for share in SMOOTH)


def explained(
    values: Float[np.ndarray, "row value"], guess: Float[np.ndarray, "row value"], weights: Float[np.ndarray, " row"]
) -> float:
    """R2 of a guess, about the weighted mean of the rows of weight."""
    share = weights / weights.sum()
    kept = share > 0
    left, mean = ((values - guess) ** 2).sum(1), share @ values
    return 1 - float(share[kept] @ left[kept]) / float(share @ ((values - mean) ** 2).sum(1))


def of_weight(weights: Float[np.ndarray, " row"], kept: Bool[np.ndarray, " row"]) -> Float[np.ndarray, " row"]:
    """The weights of the kept rows, in all 1."""
    return np.where(kept, weights, 0) / weights[kept].sum()
