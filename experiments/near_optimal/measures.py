"""Where a network's law lies in the plane of memory and prediction, and the most that any memory could do there."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

import beliefgeo as bg
from beliefgeo.beliefs.bottleneck import best_code, mutual_information
from beliefgeo.beliefs.word_rate_distortion import WordRateDistortion, pasts_and_futures, word_rate_distortion
from beliefgeo.reading import Checkpoint, Seeds

Name = Literal["rrxor", "z1r", "mess3"]

# The judge, fixed before the run that it judges. A network is near the curve if its law tells at least this share of
# what any memory of its rate could tell: the mean of the seeds, with the whole interval.
NEAR = 0.95
# A memory that could tell less than this share of what the past tells is judged as if it could tell this much: else a
# network that knows nothing and keeps nothing would lie on the curve.
LEAST = 0.05
# A nat of memory must buy at least this share of what the past tells, or the code does not keep it: 1 / beta.
RESOLUTIONS = {"fine": 0.05, "coarse": 0.2}


@dataclass(frozen=True)
class Task:
    """A process, the number of tokens of past and future, and the trade-offs of the curve."""

    process: Callable[[], bg.Process]
    past: int
    future: int
    trade_offs: tuple[float, float, int]
    """Smallest, largest, how many."""


TASKS: dict[Name, Task] = {
    "rrxor": Task(bg.rrxor, 8, 3, (3.2, 60, 16)),
    "z1r": Task(bg.z1r, 8, 3, (1.1, 60, 14)),
    "mess3": Task(lambda: bg.mess3(0.15, 0.6), 5, 3, (70, 3000, 14)),
}


class Exact(NamedTuple):
    """The pasts, their true futures, the curve, and the trade-offs at which networks are read."""

    weights: Float[np.ndarray, " past"]
    laws: Float[np.ndarray, "past future"]
    curve: WordRateDistortion
    resolutions: dict[str, float]


class Point(NamedTuple):
    """Where laws lie, in nats: the memory that they need, and what they tell of the future.

    `told` is by the expectations of these laws, `known` what a reader who knows the process could learn from the code;
    `allowed` the most that any memory of this rate can tell, `needed` the least memory that can tell as much.
    """

    rate: Float[np.ndarray, "..."]
    told: Float[np.ndarray, "..."]
    known: Float[np.ndarray, "..."]
    allowed: Float[np.ndarray, "..."]
    needed: Float[np.ndarray, "..."]
    share: Float[np.ndarray, "..."]


def exact(task: Task, future: int) -> Exact:
    """The curve over words, and the trade-offs of `RESOLUTIONS`."""
    process, betas = task.process(), np.geomspace(*task.trade_offs)
    curve = word_rate_distortion(process, betas, past_length=task.past, future_length=future)
    resolutions = {name: 1 / (share * curve.total) for name, share in RESOLUTIONS.items()}
    return Exact(*pasts_and_futures(process, task.past, future), curve, resolutions)


def laws_of(checkpoint: Checkpoint, task: Task) -> Float[np.ndarray, "seed past future"]:
    """q(x_1 .. x_k | past) of every network, chained from its laws of the next token, after every allowed past."""
    process = task.process()
    words = np.array(list(itertools.product(range(process.vocab_size), repeat=task.past + task.future)))
    chained = np.asarray(_chained(checkpoint.network.apply, task.past, checkpoint.params, words), np.float64)
    laws = np.exp(chained).reshape(len(chained), process.vocab_size**task.past, -1)
    kept = laws[:, np.asarray(bg.word_tree(process, task.past).probabilities > 0)]
    return kept / kept.sum(-1, keepdims=True)  # float32 adds up to 1 but for 1e-6


@partial(jax.jit, static_argnums=(0, 1))
def _chained(apply: Callable, past: int, params: Any, words: Array) -> Float[Array, "seed word"]:
    """The log-probability of the tokens after the past, given those before each."""

    def one(params: Any, word: Array) -> Array:
        laws = jax.nn.log_softmax(apply(params, word[:-1])[0])[past - 1 :]
        return jnp.take_along_axis(laws, word[past:, None], 1).sum()

    return jax.lax.map(lambda params: jax.lax.map(partial(one, params), words, batch_size=256), params)


def next_token(laws: Float[np.ndarray, "seed past future"], vocab_size: int) -> Float[np.ndarray, "seed past token"]:
    """The law of the next token alone."""
    return laws.reshape(*laws.shape[:2], vocab_size, -1).sum(-1)


def shuffled(key: PRNGKeyArray, laws: Float[np.ndarray, "seed past future"]) -> Float[np.ndarray, "seed past future"]:
    """The same laws after the wrong pasts."""
    keys = jax.random.split(key, len(laws))
    return np.stack(
        [one[np.asarray(jax.random.permutation(key, len(one)))] for key, one in zip(keys, laws, strict=True)]
    )


def points(truth: Exact, laws: Float[np.ndarray, "seed past future"], resolution: str = "fine") -> Point:
    """Where the laws of each network lie: the memory is the best code of the network's own laws, at one trade-off."""
    with jax.enable_x64(True):
        given = [jnp.asarray(one, jnp.float64) for one in (truth.weights, truth.laws, truth.resolutions[resolution])]
        rate, told, known = map(np.asarray, _points(*given, jnp.asarray(laws, jnp.float64)))
    allowed = truth.curve.allowed(rate)
    share = told / np.maximum(allowed, LEAST * truth.curve.total)
    return Point(rate, told, known, allowed, truth.curve.needed(told), share)


@jax.jit
def _points(weights: Array, truth: Array, beta: Array, laws: Array) -> tuple[Array, Array, Array]:
    seen = lambda values: jnp.where(values > 0, values, 1)
    future = (weights @ truth)[None]

    def one(own: Array) -> tuple[Array, Array, Array]:
        code = best_code(weights, own, beta, iterations=400)
        joint = (weights[:, None] * code.encoder).T @ truth
        # Whoever holds the code expects what the network expects, the mean of its laws: not the mean of the true ones.
        told = jnp.sum(joint * jnp.log(seen(code.decoder) / seen(future)))
        return code.rate, told, mutual_information(joint)

    return jax.lax.map(one, laws)


def rejected(truth: Exact) -> dict[str, float]:
    """Why memory is not the entropy of distinct laws, nor that of a prediction sampled from the law.

    A network has another law after every past, so the former is the entropy of the past, whatever it has learnt. The
    latter is, for the exact laws, what the past tells: no memory of that size can tell as much, so they would lie above
    the curve. Told here is the share that it can tell.
    """
    entropy = -float(truth.weights @ np.log(truth.weights))
    return {
        "distinct laws": entropy,
        "sampled prediction": float(truth.curve.allowed(truth.curve.total) / truth.curve.total),
    }


def seeds(point: Point) -> dict[str, Seeds]:
    """Each number of a point, of all seeds."""
    return {name: Seeds(values) for name, values in point._asdict().items()}


def verdict(shares: Seeds) -> str:
    """The interval of the mean beside the threshold."""
    low, high = (shares.mean, shares.mean) if shares.interval is None else shares.interval
    return "near the curve" if low >= NEAR else "below it" if high < NEAR else "undecided"
