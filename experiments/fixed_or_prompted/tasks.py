"""The HMMs of the prior, the three tasks, and words of each with the exact laws after every prefix."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

import beliefgeo as bg
from beliefgeo import learning
from beliefgeo.processes.process import Observer, Process
from beliefgeo.processes.sampling import Sample

Name = Literal["fixed", "told", "inferred"]
"""One HMM for all sequences; a fresh HMM for each, whose rows the prompt begins with; a fresh HMM, not told."""
NAMES: tuple[Name, ...] = get_args(Name)

STATES, TOKENS, CHOICES = 3, 3, 4
"""Each of the six rows of an HMM (where a state moves, what it emits) is one of four: 4,096 HMMs."""
COUNT, HEAD = CHOICES ** (2 * STATES), 2 * STATES
STAY = 0.8
"""A row of transitions stays in its state with this probability at least; the rest is uniform on the simplex."""
BOS = TOKENS
"""The token read first; the tokens after it name the rows in the prompt's head."""
VOCABULARY = TOKENS + 1 + CHOICES


class Prior(NamedTuple):
    """All HMMs, equally likely; or some of them, or one without the leading axis.

    Attributes:
        hmms: Their arrays with a leading axis; each starts stationary.
        head: The tokens that name the rows of each HMM: where each state moves, then what each state emits.
    """

    hmms: Process
    head: Int[Array, "hmm row"]


def prior(key: PRNGKeyArray) -> Prior:
    """Draw the four choices of each row, and make every HMM of these choices."""
    moving, emitting = (
        np.asarray(jax.random.dirichlet(one, jnp.ones(size), (STATES, CHOICES)), np.float64)
        for one, size in zip(jax.random.split(key), (STATES, TOKENS), strict=True)
    )
    moving = STAY * np.eye(STATES)[:, None] + (1 - STAY) * moving
    chosen = np.indices((CHOICES,) * HEAD).reshape(HEAD, -1).T
    states = np.arange(STATES)
    moves, emissions = moving[states, chosen[:, :STATES]], emitting[states, chosen[:, STATES:]]
    # The stationary law p of each HMM: p (A - 1) = 0 with sum 1, one equation of the first replaced by the second.
    equations = moves.swapaxes(1, 2) - np.eye(STATES)
    equations[:, -1] = 1
    stationary = np.linalg.solve(equations, np.eye(STATES)[:, -1:])[..., 0]
    arrays = (emissions.swapaxes(1, 2)[..., None] * moves[:, None], stationary, np.ones((COUNT, STATES)))
    make: Any = partial(Process, generalised=False)
    hmms = jax.vmap(make)(*(jnp.asarray(one, jnp.float32) for one in arrays))
    return Prior(hmms, jnp.asarray(TOKENS + 1 + chosen, jnp.int32))


def pick(prior: Any, number: Int[Array, "..."] | np.ndarray) -> Any:
    """One of the HMMs, or several with a leading axis."""
    return jax.tree.map(lambda leaf: leaf[number], prior)


def draw_words(key: PRNGKeyArray, prior: Prior, count: int, length: int) -> tuple[Prior, Sample]:
    """For each word an HMM, all equally likely, and what it emits."""
    which, how = jax.random.split(key)
    chosen = pick(prior, jax.random.randint(which, (count,), 0, len(prior.head)))
    return chosen, jax.vmap(bg.sample, (0, 0, None))(jax.random.split(how, count), chosen.hmms, length)


def as_read(name: Name, chosen: Prior, tokens: Int[Array, "word time"]) -> Int[Array, "word time_read"]:
    """BOS, the head of each word's HMM if it is told, the tokens."""
    first = jnp.full((len(tokens), 1), BOS, jnp.int32)
    return jnp.concatenate([first, *([chosen.head] if name == "told" else []), tokens], 1)


def batches(name: Name, batch: int, length: int) -> Callable[[PRNGKeyArray, Prior], learning.Batch]:
    """Fresh words in every step, of the HMMs that are the source.

    The floor is that of who knows the HMM and takes every head as equally likely. In `inferred` it cannot be reached;
    in `told` a network that knows by heart which heads occur passes it.
    """
    head = HEAD * (name == "told")

    def draw(key: PRNGKeyArray, seen: Prior) -> learning.Batch:
        chosen, drawn = draw_words(key, seen, batch, length)
        floor = (head * np.log(CHOICES) - drawn.log_probabilities.sum(1).mean()) / (head + length)
        return learning.Batch(as_read(name, chosen, drawn.tokens), floor)

    return draw


def follow(
    observer: Observer, tokens: Int[Array, " time"], told: Callable[[Array], Array]
) -> tuple[Float[Array, "time value"], Float[Array, "time token"]]:
    """What is told of the belief before each token, and the law of this token."""

    def step(belief: Array, token: Array) -> tuple[Array, tuple[Array, Array]]:
        return observer.update(belief, token), (told(belief), observer.predict(belief))

    return jax.lax.scan(step, observer.initial, tokens)[1]


def forgetful_laws(
    observer: Observer, tokens: Int[Array, " time"], windows: Int[Array, " window"]
) -> Float[Array, "time window token"]:
    """The law of each token given only the last so many before it, or all if there are fewer."""

    def at(place: Array) -> Array:
        read = lambda index, belief: observer.update(belief, tokens[index])
        after = lambda window: jax.lax.fori_loop(jnp.maximum(place - window, 0), place, read, observer.initial)
        return jax.lax.map(lambda window: observer.predict(after(window)), windows)

    return jax.lax.map(at, jnp.arange(len(tokens)))
