"""How an excess loss falls along the context, and what a prediction of coins and of names depends on."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import entr
from scipy.stats import binom

from beliefgeo.arrays import ArrayLike
from beliefgeo.probes.windows import explained_by
from beliefgeo.reading import Losses, Rows

ENDS = (2, 5, 10, 20, 50, 100, 200, 400, 800)  # numbers of tokens read, between which slopes are taken


class Prediction(NamedTuple):
    """What one network predicts along the context."""

    losses: Losses
    by_counts: float | None
    """For coins: the share of its variance that the numbers of heads and tails explain."""
    sightings: Float[np.ndarray, " sighting"] | None
    """For names: the mean loss on the name at its first four sightings in a word. Nats."""


class AtOnce(NamedTuple):
    """The excess is zero after a few tokens."""

    def __str__(self) -> str:  # noqa: D105
        return "at once"


class EFold(NamedTuple):
    """The number of tokens in which the excess falls e-fold, on average between two numbers of tokens read."""

    tokens: float
    first: int
    last: int

    def __str__(self) -> str:  # noqa: D105
        return f"e-fold in {self.tokens:.2f} tokens (L = {self.first} to {self.last})"


class Slopes(NamedTuple):
    """Slopes of ln excess against ln L between neighbouring ends; for a power law they are its exponent."""

    ends: Int[np.ndarray, " end"]
    slopes: Float[np.ndarray, " pair"]

    def __str__(self) -> str:  # noqa: D105
        slopes = " ".join(f"{slope:.2f}" for slope in self.slopes)
        return f"slopes {slopes} between L = {' '.join(map(str, self.ends))}"


def e_fold(excess: Float[np.ndarray, " position"], judged: Int[np.ndarray, " judged"]) -> EFold | AtOnce:
    """The tokens in which the excess falls e-fold, from the first to the last judged position.

    The two are an even number of tokens apart, because the excess of the even process alternates between two curves.
    """
    if len(judged) < 4:
        return AtOnce()
    first, last = judged[0], judged[-1] - (judged[-1] - judged[0]) % 2
    return EFold(float((last - first) / np.log(excess[first] / excess[last])), int(first), int(last))


def local_slopes(excess: Float[np.ndarray, " position"], judged: Int[np.ndarray, " judged"]) -> Slopes | AtOnce:
    """Slopes between the ENDS that lie in the context, and its end."""
    if len(judged) < 4:
        return AtOnce()
    ends = [end for end in ENDS if end < judged[-1]] + [int(judged[-1])]
    return slopes_between({end: excess[end] for end in ends})


def slopes_between(excess: Mapping[int, float]) -> Slopes:
    """ln(e_M / e_L) / ln(M / L) for neighbours L and M."""
    ends, values = np.array([*excess]), np.array([*excess.values()])
    return Slopes(ends, np.diff(np.log(values)) / np.diff(np.log(ends)))


def coins_slopes(biases: tuple[float, ...]) -> Slopes:
    """The exact slopes between all ENDS, beyond the context too."""
    return slopes_between({length: coins_excess(biases, length) for length in ENDS})


def coins_excess(biases: tuple[float, ...], length: int) -> float:
    """Exact h_L less the mean entropy of the coins: over the number of heads in L tokens, all coins equally likely."""
    heads, bias = np.arange(length + 1)[:, None], np.array(biases)[None]
    joint = binom.pmf(heads, length, bias) / len(biases)
    law = joint.sum(1)
    next_head = (joint * bias).sum(1) / np.where(law > 0, law, 1)
    lost = lambda probability: entr(probability) + entr(1 - probability)
    return float(law @ lost(next_head) - lost(np.array(biases)).mean())


def explained_by_counts(log_laws: ArrayLike, rows: Rows) -> float:
    """The share of the variance of the predicted probability that the numbers of heads and tails explain."""
    heads = np.pad(rows.words.cumsum(1), ((0, 0), (1, 0)))[rows.word, rows.length]
    _, group = np.unique(np.stack([rows.length, heads], 1), axis=0, return_inverse=True)
    return explained_by(group, np.exp(np.asarray(log_laws, np.float64))[:, 1], rows.probabilities)


def sightings(log_laws: ArrayLike, rows: Rows, name: tuple[int, ...]) -> Float[np.ndarray, " sighting"]:
    """The mean loss on the name at its first four sightings in a word. Nats.

    Args:
        log_laws: predictions `[row, token]`.
        rows: rows of words with a BOS.
        name: the tokens of the name.
    """
    lengths, words = rows.length.max() + 1, rows.words
    # The rows of one length, each repeated for every word that shares it, are the words in order.
    of_word = np.repeat(np.asarray(log_laws), rows.counts, 0).reshape(lengths, len(words), -1)[:-1]
    lost = -np.take_along_axis(of_word, words.T[..., None], 2)[..., 0].T
    seen = np.isin(words, name)
    order = np.where(seen, seen.cumsum(1), 0)
    last = rows.length == lengths - 1
    share = np.repeat(rows.probabilities[last] / rows.counts[last], rows.counts[last])
    mean = lambda at: (share @ np.where(at, lost, 0)).sum() / (share @ at).sum()
    return np.array([mean(order == k) for k in range(1, 5)])


def exact_sightings(rows: Rows, name: tuple[int, ...]) -> Float[np.ndarray, " sighting"]:
    """The loss of the best possible predictor."""
    # No word holds an impossible token, so the value in place of its logarithm is not used.
    return sightings(np.log(np.where(rows.laws > 0, rows.laws, 1)), rows, name)
