"""A model asked for its laws, and what it is told if they are none."""

import os

import numpy as np
from jaxtyping import Float

from beliefgeo.arrays import ArrayLike
from beliefgeo.discovery.models import BATCH, Laws
from beliefgeo.processes.stationary import chain_law_float64

# A law in half precision adds up to 1 within this.
ROUNDING = 1e-2


def asked(laws: Laws, longest: int, words: np.ndarray) -> Float[np.ndarray, "word time token"]:
    """Laws after 0, 1, .. tokens of the words, NaN after none if the model does not tell.

    The model reads batches of one shape, filled up with token 0, so that it compiles once.
    """
    padded = np.zeros((-(-len(words) // BATCH), BATCH, longest), int)
    padded.reshape(-1, longest)[: len(words), : words.shape[1]] = words
    found = np.concatenate([np.asarray(laws(batch), np.float64) for batch in padded])
    if found.ndim != 3 or len(found) != padded.shape[0] * BATCH or found.shape[1] not in (longest, longest + 1):
        raise ValueError(
            f"laws must give [word, time, token] for tokens [word, time] of shape ({BATCH}, {longest}); got shape "
            f"{found.shape} for {len(padded)} such calls"
        )
    found = found[: len(words)]
    total = found.sum(-1)
    if not (np.isfinite(found).all() and (found >= 0).all() and (abs(total - 1) < ROUNDING).all()):
        raise ValueError(
            f"laws must be probabilities that add up to 1 over the tokens; got {found.min():.3g} to {found.max():.3g} "
            f"with sums {total.min():.3g} to {total.max():.3g}: take the softmax of logits"
        )
    found = found / total[..., None]
    if found.shape[1] == longest:
        found = np.concatenate([np.full_like(found[:, :1], np.nan), found], 1)
    return found[:, : words.shape[1] + 1]


def first_law(ones: np.ndarray, first: ArrayLike | None, least: float) -> Float[np.ndarray, " token"]:
    """The law of the first token; raises if a token is as good as never emitted."""
    told, moves = ones[0, 0], ones[:, 1]
    if first is not None:
        start = np.asarray(first, np.float64)
        if start.shape != told.shape or not (start >= 0).all() or abs(start.sum() - 1) > ROUNDING:
            raise ValueError(f"first must be a law of {len(told)} tokens that adds up to 1; got {first}")
    elif np.isfinite(told).all():
        start = told
    else:
        start = _stationary(moves)
    start, reached = start / start.sum(), start
    for _ in moves:
        reached = np.maximum(reached, reached / reached.sum() @ moves)
    if len(never := np.flatnonzero(reached < least)):
        raise ValueError(
            f"every token must be emitted; token {never[0]} of {len(start)} never is (probability "
            f"{reached[never[0]]:.1g}, least={least:g}): if it is a BOS give bos={never[0]} to network_laws, else give "
            "the tokens that are emitted"
        )
    return start


def _stationary(moves: np.ndarray) -> Float[np.ndarray, " token"]:
    law, classes = chain_law_float64(moves)
    if classes != 1:
        raise ValueError(
            f"the model does not tell the law of the first token, and its laws after one token leave {classes} "
            "sets of tokens apart, so that no stationary law follows: give first="
        )
    return law


def require_memory(what: str, numbers: float | int) -> None:
    """Raise if so many numbers would take more than a quarter of this machine's memory."""
    needed, memory = 8 * numbers / 2**30, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    if 4 * needed > memory:
        raise ValueError(
            f"{what} would take {needed:,.1f} GiB, over a quarter of this machine's memory ({memory:.1f} GiB): take "
            "fewer tokens"
        )
