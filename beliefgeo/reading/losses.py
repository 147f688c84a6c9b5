"""The loss of a network above the least possible: exact over listed words, with standard errors over drawn words."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import ArrayLike, as_int32, as_integers, take
from beliefgeo.reading.read import Reading, log_softmax
from beliefgeo.reading.rows import Rows

# The number of words read at once, as in `read`.
_BATCH = 256

# How far a row of log-probabilities may be off normalisation, in nats. The rounding of float32 leaves 1e-6.
_OFF = 1e-4


class Losses(NamedTuple):
    """The loss of a network above the optimum, on average and after each number of tokens read. Nats.

    Standard errors are between words, because the positions of one word are not independent. They are None where all
    words were listed, because the gap is then exact.

    Attributes:
        gap: The mean over words and positions.
        gap_per_length: The mean after each number of tokens read.
        error: The standard error of `gap`.
        error_per_length: The standard errors of `gap_per_length`.
    """

    gap: float
    gap_per_length: Float[np.ndarray, " length"]
    error: float | None
    error_per_length: Float[np.ndarray, " length"] | None


def losses(reading: Reading, rows: Rows) -> Losses:
    """The loss gap of one network; see `loss_gap`."""
    gap = loss_gap(rows, reading.log_laws)
    if not rows.sampled:
        return Losses(float(gap.mean()), gap, None, None)
    # The rows of one length, each repeated for every word that shares it, are the words in order.
    per_word = np.repeat(divergences(rows, reading.log_laws), rows.counts).reshape(-1, len(rows.tokens))
    error = lambda values: values.std(-1, ddof=1) / np.sqrt(len(rows.tokens))
    return Losses(float(gap.mean()), gap, float(error(per_word.mean(0))), error(per_word))


def token_losses(
    apply: Callable[[Int[Array, " time"]], tuple[Array, Any]],
    words: Int[Array | np.ndarray, "word time"],
    *,
    bos: int | None = None,
) -> Float[Array, "word predicted"]:
    """-log Q(x_t | x_1..x_{t-1}) for the tokens of each word, in nats; without a BOS for all tokens but the first.

    This is the loss on these very tokens. For the expected loss, which has no noise, use `read` and `loss_gap`.

    Args:
        apply: tokens `[time]` -> (logits `[time, vocab]`, activations), such as `partial(network.apply, params)`.
        words: tokens of the process.
        bos: the token that the network reads first, if it was trained with a BOS.

    Raises:
        ValueError: negative tokens, such as padding (NaN where traced). A token that the network does not predict
            raises nothing: its loss is NaN.
        TypeError: words that are not integers.
    """
    given = as_integers("words", words)
    if not isinstance(given, Tracer) and (least := np.asarray(given).min(initial=0)) < 0:
        raise ValueError(f"words must be tokens, 0 or more; got {least}: cut the padding off, or read words by length")
    read = as_int32(given) if bos is None else jnp.pad(as_int32(given), ((0, 0), (1, 0)), constant_values=bos)

    def lost(tokens):
        log_laws = log_softmax(apply(tokens[:-1])[0])
        return -jax.vmap(take)(log_laws, tokens[1:])

    return jax.lax.map(lost, read, batch_size=_BATCH)


def loss_gap(rows: Rows, log_laws: ArrayLike) -> Float[np.ndarray, " length"]:
    """Expected loss above the optimum after each number of tokens read, sum_w P(w) KL(P(.|w) || Q(.|w)). Nats.

    The gap is exact: it compares laws over all prefixes, not drawn tokens with predictions.

    Raises:
        ValueError: as `divergences`.
    """
    totals = np.bincount(rows.length, rows.probabilities * divergences(rows, log_laws))
    return totals[rows.length.min() :]


def divergences(rows: Rows, log_laws: ArrayLike) -> Float[np.ndarray, " row"]:
    """KL(P(.|w) || Q(.|w)) after each prefix w, for the exact law P and the predicted law Q. Nats.

    It is right to within the amount by which log_laws are off normalisation, at most 1e-4.

    Args:
        rows: from `reading.rows`.
        log_laws: the predictions of one network, `[row, token]`, over all tokens that it predicts, the process's
            tokens first. Where it reads a BOS, which the process never emits, the process's tokens alone will do.

    Raises:
        ValueError: log_laws of other rows or of fewer tokens than `rows.laws`, or rows that do not normalise, such as
            raw logits.
    """
    laws, known = rows.laws, _check_log_laws(rows, np.asarray(log_laws, np.float64))
    log_ratio = np.log(np.where(laws > 0, laws, 1)) - np.where(laws > 0, known[:, : laws.shape[1]], 0)
    return (laws * log_ratio).sum(1)


def _check_log_laws(rows: Rows, log_laws: Float[np.ndarray, "..."]) -> Float[np.ndarray, "row token"]:
    count, tokens = rows.laws.shape
    if log_laws.ndim != 2 or len(log_laws) != count or log_laws.shape[1] < tokens:
        raise ValueError(
            f"log_laws must be [row, token], for {count} prefixes and {tokens} tokens or more; got shape "
            f"{log_laws.shape}: pass those of one network, on these prefixes"
        )
    with np.errstate(invalid="ignore"):  # NaN is refused below
        mass = np.logaddexp.reduce(log_laws, axis=1)
    # Where the column of a BOS is left out, its probability is missing from the sum.
    missing = log_laws.shape[1] == tokens <= rows.tokens.max()
    if (wrong := ~(np.where(missing, np.maximum(mass, 0), abs(mass)) <= _OFF)).any():
        raise ValueError(
            f"rows of log_laws do not normalise: logsumexp must be 0 within {_OFF:g}; got {mass[wrong][0]:.3g} in row "
            f"{wrong.argmax()}: pass jax.nn.log_softmax(logits), in float32, over all tokens that the network predicts"
        )
    return log_laws


def optimal_loss(rows: Rows) -> Float[np.ndarray, " length"]:
    """The least possible expected loss after each number of tokens read: the myopic entropies, in float64. Nats."""
    laws = rows.laws
    entropies = -np.where(laws > 0, laws * np.log(np.where(laws > 0, laws, 1)), 0).sum(1)
    return np.bincount(rows.length, rows.probabilities * entropies)[rows.length.min() :]
