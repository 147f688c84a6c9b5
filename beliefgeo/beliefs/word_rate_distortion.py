"""Predictive rate-distortion where the past is a word of a few tokens: the curve between two bounds, for any HMM."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from beliefgeo.arrays import ArrayLike
from beliefgeo.beliefs.bottleneck import best_code
from beliefgeo.beliefs.causal_states import precision, process_float64
from beliefgeo.beliefs.ceilings import ceiling
from beliefgeo.beliefs.merging import group_close
from beliefgeo.beliefs.trees import check_tree
from beliefgeo.processes.process import Observer, Process


class WordRateDistortion(NamedTuple):
    """What memories of a word can tell of the tokens after it, in nats: memories that were found, and a bound on all.

    Attributes:
        trade_offs: beta, what a nat about the future is worth in nats of memory.
        rates: The memory of the past that each code found keeps.
        predictive: What it tells of the future.
        ceilings: No memory tells more than ceiling + rate / beta.
        total: I[past; future], what the whole past tells.
    """

    trade_offs: Float[np.ndarray, " trade"]
    rates: Float[np.ndarray, " trade"]
    predictive: Float[np.ndarray, " trade"]
    ceilings: Float[np.ndarray, " trade"]
    total: float

    def reached(self, rates: ArrayLike) -> Float[np.ndarray, "..."]:
        """The predictive information of the codes found at these rates, mixing two where needed: a lower bound."""
        order = np.argsort(self.rates)
        rates_known, known = np.append(0, self.rates[order]), np.append(0, self.predictive[order])
        return np.asarray(np.interp(np.asarray(rates), rates_known, known))

    def allowed(self, rates: ArrayLike) -> Float[np.ndarray, "..."]:
        """The most that any memory of these rates can tell of the future: an upper bound."""
        wanted = np.asarray(rates, np.float64)[..., None]
        lines = (self.ceilings + wanted / self.trade_offs).min(-1, initial=self.total)
        return np.asarray(np.minimum(lines, wanted[..., 0]))

    def needed(self, predictive: ArrayLike) -> Float[np.ndarray, "..."]:
        """The rate below which no memory tells so much of the future: a lower bound, for at most `total`."""
        wanted = np.asarray(predictive, np.float64)[..., None]
        lines = (self.trade_offs * (wanted - self.ceilings)).max(-1, initial=0)
        return np.asarray(np.maximum(lines, wanted[..., 0]))


def word_rate_distortion(
    process: Observer,
    trade_offs: ArrayLike,
    *,
    past_length: int,
    future_length: int,
    told: bool = False,
    codes: int = 24,
    tolerance: float = 1e-3,
) -> WordRateDistortion:
    """How much of the next tokens a memory of the last tokens can tell: the curve of `predictive_rate_distortion`.

    The past is one of finitely many words, so nothing is asked of the causal states. Codes are found by `best_code`,
    and `ceiling` bounds all others. If the process is stationary, the curves of a reader who is told the hidden state
    before the word, and of one who is not, bracket the curve of the infinite past: a memory of the word is a memory of
    the past; and for any memory of the infinite past, the reader who is told can draw a code from state and word that
    tells as much of the future, at no larger rate.

    Args:
        process: an HMM; a composition counts as its joint. Words begin at its initial law.
        trade_offs: beta, `[trade]`, positive.
        past_length: the number of tokens of the past.
        future_length: the number of tokens of the future.
        told: whether the reader is also told the hidden state before the past.
        codes: the largest number of codes.
        tolerance: how loose the bound may be, as a share of I[past; future].

    Raises:
        ValueError: a trade-off that is not positive and finite; no token of the past (unless told) or of the future;
            a generalised process; words that do not fit in memory.

    Marzen & Crutchfield 1412.2859; Still, Crutchfield & Ellison 0708.1580; the bounds are ours.

    >>> from beliefgeo.processes.classical import mess3
    >>> curve = word_rate_distortion(mess3(0.15, 0.6), [500.0], past_length=3, future_length=1)
    >>> curve.rates.round(2).tolist(), (curve.predictive / curve.total).round(2).tolist()
    ([1.37], [0.87])
    """
    betas = np.asarray(trade_offs, np.float64)
    if betas.ndim != 1 or not len(betas) or not ((betas > 0) & (betas < np.inf)).all():
        raise ValueError(f"trade_offs must be positive numbers [trade]; got {trade_offs}")
    weights, laws = pasts_and_futures(process, past_length, future_length, told=told)
    wide = process_float64("word_rate_distortion", process)
    corners = _joint(wide, np.eye(wide.n_states), 0, future_length)[:, 0]
    first = group_close(laws, precision(process))
    kept, which = np.unique(first, return_inverse=True)
    weights, laws = np.bincount(which.reshape(-1), weights), laws[kept]
    with jax.enable_x64(True):
        found = _codes(jnp.asarray(weights), jnp.asarray(laws), jnp.asarray(betas), codes)
    total = float(_total(weights, laws))
    ceilings = [
        ceiling(weights, laws, corners, beta, weights @ encoder, decoder, tolerance=tolerance * total)
        for beta, encoder, decoder in zip(betas, np.asarray(found.encoder), np.asarray(found.decoder), strict=True)
    ]
    return WordRateDistortion(betas, np.asarray(found.rate), np.asarray(found.predictive), np.array(ceilings), total)


def pasts_and_futures(
    process: Observer, past_length: int, future_length: int, *, told: bool = False
) -> tuple[Float[np.ndarray, " past"], Float[np.ndarray, "past future"]]:
    """The probability of each allowed word, in lexicographic order, and the law of the tokens after it; in float64.

    Args:
        process: an HMM; a composition counts as its joint.
        past_length: the number of tokens of the past.
        future_length: the number of tokens of the future.
        told: whether a past is a hidden state, of the initial law, and the word after it.

    Raises:
        ValueError: as `word_rate_distortion`.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> weights, laws = pasts_and_futures(golden_mean(), 1, 1)
    >>> weights.round(3).tolist(), laws.round(3).tolist()
    ([0.667, 0.333], [[0.5, 0.5], [1.0, 0.0]])
    """
    if past_length < (not told) or future_length < 1:
        raise ValueError(
            "a past needs 1 token or more (0 where the reader is told the state before it) and a future 1 or more; got "
            f"past_length={past_length} and future_length={future_length}"
        )
    wide = process_float64("word_rate_distortion", process)
    if wide.generalised:
        raise ValueError(
            "word_rate_distortion bounds what any memory can tell by the laws of hidden states, so it needs an HMM; "
            "got a process with negative entries: without the bound, bottleneck.best_code takes any laws of the future"
        )
    check_tree(process, past_length + future_length, "word_rate_distortion", wide.n_states if told else 1)
    initial = np.asarray(wide.initial)
    starts = np.eye(len(initial)) if told else initial[None]
    joint = np.concatenate(_joint(wide, starts, past_length, future_length) * (initial[:, None, None] if told else 1))
    weights = joint.sum(1)
    allowed = weights > 0
    return weights[allowed] / weights.sum(), joint[allowed] / weights[allowed, None]


def _joint(process: Process, starts: np.ndarray, past: int, future: int) -> Float[np.ndarray, "start past future"]:
    """The probability of each past and future from each start."""
    transitions, states = np.asarray(process.transitions), starts[:, None]
    for _ in range(past + future):
        states = np.einsum("nwi,xij->nwxj", states, transitions).reshape(len(starts), -1, process.n_states)
    return states.sum(-1).reshape(len(starts), process.vocab_size**past, -1)


@jax.jit(static_argnums=3)
def _codes(weights, laws, betas, codes):
    return jax.lax.map(lambda beta: best_code(weights, laws, beta, codes=codes), betas)


def _total(weights: np.ndarray, laws: np.ndarray) -> float:
    mean = weights @ laws
    seen = laws > 0
    return weights @ np.where(seen, laws * np.log(np.where(seen, laws, 1) / np.where(mean > 0, mean, 1)[None]), 0).sum(
        1
    )
