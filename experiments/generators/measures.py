"""All that is measured of a generator: what its states know, whether they lie near points, and beliefs in them."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from by_hand import state_form
from generator import Task, Unroll, Unrolled
from jaxtyping import Array, Float, Int, PRNGKeyArray
from knowledge import Knowledge, Sums, jackknife, knowledge, path_sums
from scipy.cluster.vq import kmeans2

import beliefgeo as bg
from beliefgeo import probes

# The noise paths of an estimate: for the jackknife they are in groups, and as many of them at once as the cache holds.
GROUPS, AT_ONCE = 16, 64
# The noise paths whose states are clustered, probed and drawn.
DRAWN = 1000


@dataclass(frozen=True)
class Study:
    """The process, and the noise that every generator of a run is measured with."""

    process: bg.Process
    task: Task
    """Any task of the run: words, length and noise are the same in all."""
    paths: int
    """The number of fresh noise paths, a multiple of GROUPS * AT_ONCE."""
    key: PRNGKeyArray

    @cached_property
    def truth(self) -> Float[np.ndarray, " word"]:
        """The exact law of words."""
        law = np.asarray(self.task.probabilities, np.float64)
        return law / law.sum()

    def know(self, unroll: Unroll, params: Any) -> dict[str, Knowledge]:
        """Values and standard errors, by fresh noise."""
        noise = self.task.draw(self.key, self.paths)
        groups = _sums(unroll, params, noise.reshape(GROUPS, -1, AT_ONCE, *noise.shape[1:]))
        groups = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), groups)
        return dict(zip(("value", "error"), jackknife(groups, partial(knowledge, truth=self.truth)), strict=True))

    def states(self, unroll: Unroll, params: Any) -> "States":
        """Hidden states, laws and tokens of words that the generator draws."""
        key, draws = jax.random.split(jax.random.fold_in(self.key, 1))
        return _draws(unroll, params, jax.random.split(draws, DRAWN), self.task.draw(key, DRAWN))

    def measure(self, unroll: Unroll, params: Any) -> dict:
        """Everything about one generator."""
        states = self.states(unroll, params)
        return {**self.know(unroll, params), "points": three_points(states), "probe": self.probe(states)}

    def cloud(self, states: "States") -> dict[str, np.ndarray]:
        """For the picture: each law as a mixture of the laws of the three states, and the principal plane of states."""
        laws, hidden = (np.asarray(one, np.float64)[:, 1:] for one in (states.laws, states.hidden))
        laws, hidden = laws.reshape(-1, laws.shape[-1]), hidden.reshape(-1, hidden.shape[-1])
        through = np.linalg.inv(np.asarray(state_form(self.process)[1], np.float64))
        return {"mixtures": laws @ through, "plane": np.asarray(probes.principal_components(hidden)(hidden))[:, :2]}

    def probe(self, states: "States") -> dict[str, float]:
        """Held-out R2 of the observer's belief after the past tokens, by the hidden state; and of shuffled beliefs."""
        beliefs = np.asarray(_beliefs(self.process, states.tokens), np.float64)[:, 1:-1]
        hidden = np.asarray(states.hidden[:, 1:], np.float64)
        order = np.random.default_rng(0).permutation(len(beliefs))  # of the words, so that positions stay
        return {"belief": _held_out(hidden, beliefs), "shuffled": _held_out(hidden, beliefs[order])}


@jax.jit
def _beliefs(process: bg.Process, tokens: Int[Array, "path time"]) -> Float[Array, "path time_plus_1 state"]:
    return jax.vmap(lambda word: bg.filter_beliefs(process, word).beliefs)(tokens)


@partial(jax.jit, static_argnames="unroll")
def _sums(unroll: Unroll, params: Any, noise: Float[Array, "group batch path time noise"]) -> Sums:
    """The sums of each group."""
    mean = lambda some: jax.tree.map(lambda leaf: leaf.mean(0), some)
    several = lambda some: mean(jax.vmap(lambda one: path_sums(unroll(params, one).log_laws))(some))
    return jax.lax.map(lambda group: mean(jax.lax.map(several, group)), noise)


class States(NamedTuple):
    """Of words that a generator draws."""

    hidden: Float[Array, "path position width"]
    laws: Float[Array, "path position vocab"]
    tokens: Int[Array, "path position"]


@partial(jax.jit, static_argnames="unroll")
def _draws(unroll: Unroll, params: Any, keys: Any, noise: Float[Array, "path time noise"]) -> States:
    return jax.vmap(lambda key, one: _draw(unroll(params, one), key))(keys, noise)


def _draw(unrolled: Unrolled, key: PRNGKeyArray) -> States:
    """One word, drawn along one noise path."""
    prefix, rows = jnp.int32(0), []
    for position, (laws, hidden) in enumerate(zip(*unrolled, strict=True)):
        prefix = prefix if len(laws) > 1 else jnp.int32(0)
        token = jax.random.categorical(jax.random.fold_in(key, position), laws[prefix])
        rows.append(States(hidden[prefix], jnp.exp(laws[prefix]), token))
        prefix = prefix * laws.shape[1] + token
    return jax.tree.map(lambda *each: jnp.stack(each), *rows)


def three_points(states: States) -> dict[str, float]:
    """The share of the variance that three points explain, of hidden states and of laws; the first position left out.

    Shuffled: principal coordinates permuted independently, which keeps each direction's variance and no shape.
    """
    hidden, laws = (
        np.asarray(one[:, 1:], np.float64).reshape(-1, one.shape[-1]) for one in (states.hidden, states.laws)
    )
    axes = np.linalg.svd(hidden - hidden.mean(0), full_matrices=False)[2]
    shuffled = np.random.default_rng(0).permuted((hidden - hidden.mean(0)) @ axes.T, axis=0)
    return {"hidden": near(hidden), "laws": near(laws), "shuffled": near(shuffled)}


def near(points: Float[np.ndarray, "row axis"], count: int = 3) -> float:
    """1 - squared distances to the nearest of the best few points / to the mean; the best of three starts of k-means.

    >>> near(np.repeat(np.eye(3), 4, 0))
    1.0
    """
    spread = ((points - points.mean(0)) ** 2).sum()
    if spread < 1e-9 * max((points**2).sum(), 1e-9):
        return float("nan")
    left = []
    for seed in range(3):
        centres, nearest = kmeans2(points, count, iter=30, minit="++", rng=seed)
        left.append(((points - centres[nearest]) ** 2).sum())
    return float(1 - min(left) / spread)


def _held_out(
    features: Float[np.ndarray, "path position width"], targets: Float[np.ndarray, "path position state"]
) -> float:
    """Fitted on one half of the paths, scored on the other."""
    half = len(features) // 2
    flat = lambda array: array.reshape(-1, array.shape[-1])
    probe = bg.fit_probe(flat(features[:half]), flat(targets[:half]), rcond=1e-4)
    return float(bg.score_probe(probe, flat(features[half:]), flat(targets[half:])).r2)
