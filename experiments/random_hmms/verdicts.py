"""Random processes, and what kind of set the beliefs about a process are."""

from typing import NamedTuple

import jax
import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.stats import binomtest

import beliefgeo as bg
from beliefgeo.beliefs.causal_states import is_unifilar
from beliefgeo.beliefs.dimension import kaplan_yorke, lyapunov_exponents

VERDICTS = ("finite", "dimension 0", "fractal", "fills the simplex")


class Family(NamedTuple):
    """How processes are drawn."""

    concentration: float
    """Of the Dirichlet law of the probabilities of a state's edges."""
    edges: int | None = None
    """Of each state; None: all."""


class Judgement(NamedTuple):
    """What the beliefs about one process are."""

    verdict: str
    """One of `VERDICTS`."""
    dimension: float
    near: bool
    """Whether it may as well be the neighbouring verdict: within two errors."""


class Share(NamedTuple):
    """How often a verdict was given, with its 95% interval (Wilson)."""

    share: float
    interval: tuple[float, float]


class Cell(NamedTuple):
    """Processes of one family and size."""

    family: str
    states: int
    tokens: int
    shares: dict[str, Share]
    near: float
    """The share of those too near to tell whether they are a fractal or fill the simplex."""
    dimension: float
    """Mean."""
    quartiles: np.ndarray


def draw_process(key: jax.Array, family: Family, n_states: int, vocab_size: int) -> bg.Process:
    """A random process of the family; redrawn until each state is reached from each other and every token is used."""
    if family.edges is None:
        return bg.random_hmm(key, n_states, vocab_size, family.concentration)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    while True:
        rows = np.zeros((n_states, vocab_size * n_states))
        for row in rows:
            probabilities = rng.dirichlet([family.concentration] * family.edges)
            row[rng.choice(len(row), family.edges, replace=False)] = probabilities
        transitions = rows.reshape(n_states, vocab_size, n_states).swapaxes(0, 1)
        classes = connected_components(transitions.sum(0) > 0, connection="strong")[0]
        if classes == 1 and transitions.any((1, 2)).all():
            return bg.hmm(transitions)


def judge(key: jax.Array, process: bg.Process, *, max_states: int, length: int, chains: int) -> Judgement:
    """What kind of set the beliefs are, and its dimension.

    Args:
        key: draws the chains.
        process: what is observed.
        max_states: a presentation with more beliefs counts as infinite.
        length: tokens of each chain.
        chains: over which Lyapunov exponents are averaged.
    """
    close = lambda tolerance: bg.mixed_state_presentation(process, max_states=max_states, tolerance=tolerance)
    coarse = close(1e-9)
    if not coarse.truncated and len(close(1e-12).beliefs) == len(coarse.beliefs):
        return Judgement("finite", 0.0, False)
    if is_unifilar(process):  # the observer learns the state only in the limit, where the formula does not hold
        return Judgement("dimension 0", 0.0, False)
    rates, exponents = lyapunov_exponents(key, process, length, chains=chains)
    room = rates + exponents.sum(1)  # how fast words multiply beyond how fast volume shrinks
    error = room.std(ddof=1) / np.sqrt(len(room)) if np.isfinite(room).all() else 0.0
    dimension = kaplan_yorke(rates.mean(), exponents.mean(0))
    # Positive matrices erase nothing, though they may contract by more than float64 resolves.
    erasing = dimension == 0 and (np.asarray(process.transitions) == 0).any()
    verdict = VERDICTS[1 if erasing else 3 if room.mean() >= 0 else 2]
    return Judgement(verdict, dimension, bool(abs(room.mean()) < 2 * error))


def count(family: str, n_states: int, vocab_size: int, judged: list[Judgement]) -> Cell:
    """The share of each verdict, and the spread of the dimensions."""
    shares = {}
    for verdict in VERDICTS:
        counted = binomtest(sum(one.verdict == verdict for one in judged), len(judged))
        low, high = counted.proportion_ci(method="wilson")
        shares[verdict] = Share(float(counted.statistic), (float(low), float(high)))
    dimensions, near = [one.dimension for one in judged], float(np.mean([one.near for one in judged]))
    quartiles = np.quantile(dimensions, [0.25, 0.5, 0.75])
    return Cell(family, n_states, vocab_size, shares, near, float(np.mean(dimensions)), quartiles)
