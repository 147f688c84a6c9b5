"""Words with the exact law after every prefix, and what simpler observers lose on them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tasks
from jaxtyping import Array, Float, Int, PRNGKeyArray
from tasks import Prior

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.reading import Rows

if TYPE_CHECKING:
    from __main__ import Config

WINDOWS = (0, 1, 2, 4, 8, 16, 24)
"""The numbers of last tokens that a forgetful observer knows."""
# Observers read so many words at once. The slowest of them, and probes, take the first few words.
_BATCH, _FEW = 20, 200

ByRow = Float[np.ndarray, "row value"]


class Words(NamedTuple):
    """Words drawn in a task: the HMM of each, and what it emitted."""

    chosen: Prior
    tokens: Int[Array, "word time"]


class Exam(NamedTuple):
    """The words that judge the networks of one task, or of one fixed HMM.

    Attributes:
        rows: Words of the HMMs that are learnt.
        few: The first of these words.
        new: Words of HMMs that no network has seen; None for a fixed HMM.
        controls: What simpler observers lose above the optimum, in nats.
        windows: What the best law of the last `WINDOWS` tokens loses.
    """

    rows: Rows
    few: Rows
    new: Rows | None
    controls: dict[str, float]
    windows: Float[np.ndarray, " window"]


def exam(key: PRNGKeyArray, name: tasks.Name, seen: Prior, new: Prior, config: "Config") -> Exam:
    """Words of the HMMs that are learnt and, in the tasks of many HMMs, of new ones."""
    keys = jax.random.split(key)
    words, strange = (draw(one, of, config) for one, of in zip(keys, (seen, new), strict=True))
    rows = rows_of(name, seen, words)
    few, known = first_words(rows, _FEW), tasks.pick(words, np.arange(min(_FEW, config.words)))
    laws = forgetful(name, seen, known, [window for window in WINDOWS if window < config.length])
    windows = np.array([gap(few, one) for one in laws.swapaxes(0, 1)])
    controls = {"best constant law": gap(rows, np.tile(rows.laws.mean(0), (len(rows.laws), 1)))}
    if name == "fixed":
        return Exam(rows, few, None, controls, windows)
    unseen = rows_of(name, new, strange)
    if name == "told":
        controls["the head alone, no tokens"] = windows[0]
        controls["the tokens alone, no head"] = gap(rows, rows_of("inferred", seen, words).laws)
    else:
        controls["knows the prior, never infers"] = gap(few, never_infers(seen, known))
        controls["on new HMMs: knows the seen HMMs"] = gap(unseen, rows_of(name, seen, strange).laws)
    return Exam(rows, few, unseen, controls, windows)


def told(sat: Sequence[Exam]) -> dict[str, Any]:
    """The controls and windows of all exams, `[hmm]` and `[hmm, window]`."""
    controls = {name: np.array([exam.controls[name] for exam in sat]) for name in sat[0].controls}
    return {"controls": controls, "windows": np.stack([exam.windows for exam in sat])}


def draw(key: PRNGKeyArray, prior: Prior, config: "Config") -> Words:
    """Words of the size that the config says."""
    chosen, drawn = tasks.draw_words(key, prior, config.words, config.length)
    return Words(chosen, drawn.tokens)


def rows_of(name: tasks.Name, known: Prior, words: Words) -> Rows:
    """A row for each word and position, shortest prefix first, with the exact law of the next token.

    In `inferred` the optimum knows which HMMs there are, and not which of them emits; its belief is the probability of
    each choice of each row. Else it knows the HMM, and its belief is about the state.
    """
    beliefs, laws = by_row(_of_many if name == "inferred" else _of_own, known, words)
    count, length = words.tokens.shape
    read = np.asarray(tasks.as_read(name, words.chosen, words.tokens))[:, :-1]
    word, after = np.tile(np.arange(count), length), np.repeat(np.arange(length), count)
    ones = np.ones(count * length, int)
    laws = laws / laws.sum(1, keepdims=True)
    return Rows(read, word, read.shape[1] - length + after, after, ones, ones / count, beliefs, laws, sampled=True)


def _of_own(_: Prior, own: Prior, word: Array) -> tuple[Array, Array]:
    return tasks.follow(own.hmms, word, lambda belief: belief)


def _of_many(known: Prior, _: Prior, word: Array) -> tuple[Array, Array]:
    mixed = bg.switching(known.hmms)
    choices = jax.nn.one_hot(known.head - tasks.TOKENS - 1, tasks.CHOICES).reshape(len(known.head), -1)
    return tasks.follow(mixed, word, lambda belief: mixed.by_mode(belief).sum(-1) @ choices)


def forgetful(
    name: tasks.Name, known: Prior, words: Words, windows: Sequence[int]
) -> Float[np.ndarray, "row window token"]:
    """The laws of observers that know only the last tokens: all processes are stationary, so none is better."""

    def laws(known: Prior, own: Prior, word: Array) -> Array:
        observer = bg.switching(known.hmms) if name == "inferred" else own.hmms
        return tasks.forgetful_laws(observer, word, jnp.asarray(windows))

    return by_row(laws, known, words)


def never_infers(known: Prior, words: Words) -> ByRow:
    """The mean of what the HMMs would predict, all as likely as at the beginning."""
    each = lambda hmm, word: tasks.follow(hmm, word, lambda belief: belief)[1]
    return by_row(lambda known, _, word: jax.vmap(each, (0, None))(known.hmms, word).mean(0), known, words)


def by_row(function: Callable[[Prior, Prior, Int[Array, " time"]], Any], known: Prior, words: Words) -> Any:
    """(known HMMs, the word's own HMM, word) -> values `[time, ...]`, for all words, in the order of the rows."""
    found = _over_words(function, known, words)
    return jax.tree.map(
        lambda values: np.asarray(values, np.float64).swapaxes(0, 1).reshape(-1, *values.shape[2:]), found
    )


@partial(jax.jit, static_argnums=0)
def _over_words(function: Callable, known: Prior, words: Words) -> Any:
    return jax.lax.map(lambda one: function(known, *one), words, batch_size=_BATCH)


def first_words(rows: Rows, count: int) -> Rows:
    """The rows of the first words."""
    count = min(count, len(rows.tokens))
    kept = rows.word < count
    parts = {name: getattr(rows, name)[kept] for name in ("word", "position", "length", "counts", "beliefs", "laws")}
    return rows._replace(tokens=rows.tokens[:count], probabilities=np.full(kept.sum(), 1 / count), **parts)


def gap(rows: Rows, laws: ByRow) -> float:
    """The mean loss of these laws above the optimum, in nats."""
    laws = laws / laws.sum(1, keepdims=True)
    return float(reading.loss_gap(rows, np.log(laws)).mean())


def window_of(lost: float, windows: Float[np.ndarray, " window"]) -> float:
    """The number of last tokens whose best law loses as much; between two windows log-linearly, the last if more."""
    return float(np.interp(-np.log(max(lost, 1e-12)), -np.log(np.maximum(windows, 1e-12)), WINDOWS[: len(windows)]))
