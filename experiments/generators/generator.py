"""Generators: noise, and their own tokens if they are fed back, into a hidden state, and from it the law of a token.

A generator reads noise z_1, z_2, ... (and, with feedback, the tokens it has drawn so far) into a hidden state h_t, and
draws token t from p(x | h_t). A word has the probability P(word) = E_z prod_t p(x_t | h_t(z)), which can be
differentiated: no adversary is needed to learn it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from beliefgeo.learning.training import Metrics, Training, TrainState

# Gumbel-softmax of the adversarial generator.
_TEMPERATURE = 0.5


class Unrolled(NamedTuple):
    """One noise path: what the generator would do after each of its own prefixes, or after any if it does not see them.

    Prefixes are in lexicographic order. Without feedback there is a single one at every position.
    """

    log_laws: tuple[Float[Array, "prefix vocab"], ...]
    """For each position, the law of the token."""
    hidden: tuple[Float[Array, "prefix width"], ...]
    """For each position, the hidden state from which the token is drawn."""


# What a generator does with one noise path: (params, noise) -> Unrolled.
Unroll = Callable[[Any, Float[Array, "time noise"]], Unrolled]


class Generator(nn.Module):
    """A gated recurrent unit on noise; its input has a place for the last token, which is empty without feedback."""

    width: int
    vocab_size: int
    feedback: bool = False

    @nn.compact
    def __call__(self, noise: Float[Array, "time noise"]) -> Unrolled:
        """All that the generator may do with this noise."""
        cell, unembed = nn.GRUCell(self.width), nn.Dense(self.vocab_size, name="unembed")
        hidden, token = jnp.zeros((1, self.width)), jnp.zeros((1, self.vocab_size))
        laws, states = [], []
        for position, given in enumerate(noise):
            if position and self.feedback:
                token = jnp.tile(jnp.eye(self.vocab_size), (len(hidden), 1))
                hidden = jnp.repeat(hidden, self.vocab_size, 0)
            given = jnp.tile(given[None], (len(hidden), 1))
            hidden, _ = cell(hidden, jnp.concatenate([given, token], 1))
            laws.append(jax.nn.log_softmax(unembed(hidden)))
            states.append(hidden)
        return Unrolled(tuple(laws), tuple(states))


def without_tokens(params: Any, noise: int) -> Any:
    """Parameters whose tokens have no effect yet: the weights of the inputs after the noise are 0."""
    cell = dict(params["params"]["GRUCell_0"])
    for name in ("ir", "iz", "in"):
        kernel = cell[name]["kernel"]
        cell[name] = {**cell[name], "kernel": kernel * (np.arange(kernel.shape[-2]) < noise)[:, None]}
    return {"params": {**params["params"], "GRUCell_0": cell}}


def word_log_probabilities(log_laws: tuple[Float[Array, "prefix vocab"], ...]) -> Float[Array, " word"]:
    """Of all words given one noise path, in lexicographic order."""
    total = jnp.zeros(1)
    for laws in log_laws:
        total = (total[:, None] + laws).reshape(-1)
    return total


class Task(NamedTuple):
    """What a generator shall learn, and how."""

    generator: Generator
    probabilities: Float[Array, " word"]
    """Of all words of the process, in lexicographic order; none is 0."""
    length: int
    noise: int
    """The number of Gaussian numbers read before each token."""
    paths: int
    """The number of noise paths of a step."""
    rate: float
    steps: int
    chunk: int

    def draw(self, key: PRNGKeyArray, count: int | None = None) -> Float[Array, "path time noise"]:
        """Noise paths."""
        return jax.random.normal(key, (count or self.paths, self.length, self.noise))


def likelihood(task: Task) -> Training:
    """Maximum likelihood of the exact law: the loss is the KL divergence from the law to the mean over noise paths.

    The logarithm of a mean over few paths is too low on average, so that a bound is trained: the fewer the paths, the
    dearer it is to let noise decide.
    """
    optimizer = optax.adam(optax.warmup_cosine_decay_schedule(0, task.rate, task.steps // 20, task.steps))
    entropy = -task.probabilities @ jnp.log(task.probabilities)

    def init(key: PRNGKeyArray, source: Any = None) -> TrainState:
        params_key, data_key = jax.random.split(key)
        start = task.generator.init(params_key, jnp.zeros((task.length, task.noise))) if source is None else source
        return TrainState(start, optimizer.init(start), jnp.int32(0), data_key, source)

    def loss(params: Any, key: PRNGKeyArray) -> Float[Array, ""]:
        every = jax.vmap(lambda noise: word_log_probabilities(task.generator.apply(params, noise).log_laws))  # pyright: ignore
        return -task.probabilities @ (jax.nn.logsumexp(every(task.draw(key)), 0) - jnp.log(task.paths))

    def update(state: TrainState, _: None) -> tuple[TrainState, Metrics]:
        value, gradient = jax.value_and_grad(loss)(state.params, jax.random.fold_in(state.key, state.step))
        changes, moments = optimizer.update(gradient, state.optimizer, state.params)
        moved = state._replace(params=optax.apply_updates(state.params, changes), optimizer=moments)
        return moved._replace(step=state.step + 1), Metrics(value, value - entropy)

    return Training(init, lambda state: jax.lax.scan(update, state, length=task.chunk))


class Critic(nn.Module):
    """A score of words `[time, vocab]`, one-hot or relaxed: higher for words that look true."""

    width: int

    @nn.compact
    def __call__(self, word: Float[Array, "time vocab"]) -> Float[Array, ""]:
        """The logit of being true."""
        hidden = word.reshape(-1)
        for _ in range(2):
            hidden = nn.leaky_relu(nn.Dense(self.width)(hidden), 0.2)
        return nn.Dense(1)(hidden)[0]


def adversarial(task: Task, critic: Critic, penalty: float) -> Training:
    """Generator against critic, step by step; the critic sees all true words by probability, and drawn words.

    Words are drawn by straight-through Gumbel-softmax. The critic pays for its gradient at true words (R1, Mescheder et
    al. 1801.04406). The loss that is recorded is the critic's; its excess is above 2 log 2, the loss of a critic that
    sees no difference.
    """
    schedule = lambda peak: optax.warmup_cosine_decay_schedule(0, peak, task.steps // 20, task.steps)
    optimizer = optax.adam(schedule(task.rate), b1=0.5)
    vocab_size = task.generator.vocab_size

    def every_word() -> Float[Array, "word time vocab"]:
        places = jnp.arange(len(task.probabilities))[:, None] // vocab_size ** jnp.arange(task.length)[::-1][None]
        return jax.nn.one_hot(places % vocab_size, vocab_size)

    def init(key: PRNGKeyArray, source: Any = None) -> TrainState:
        generator_key, critic_key, data_key = jax.random.split(key, 3)
        params = {
            "generator": task.generator.init(generator_key, jnp.zeros((task.length, task.noise))),
            "critic": critic.init(critic_key, every_word()[0]),
        }
        moments = {name: optimizer.init(one) for name, one in params.items()}
        return TrainState(params, moments, jnp.int32(0), data_key, source)

    def word(params: Any, noise: Array, key: PRNGKeyArray) -> Float[Array, "time vocab"]:
        log_laws = jnp.concatenate(task.generator.apply(params, noise).log_laws)  # pyright: ignore
        raised = log_laws + jax.random.gumbel(key, log_laws.shape)
        soft, hard = jax.nn.softmax(raised / _TEMPERATURE), jax.nn.one_hot(raised.argmax(1), vocab_size)
        return hard + soft - jax.lax.stop_gradient(soft)

    def words(params: Any, key: PRNGKeyArray) -> Float[Array, "path time vocab"]:
        noise_key, draws = jax.random.split(key)
        return jax.vmap(word, (None, 0, 0))(params, task.draw(noise_key), jax.random.split(draws, task.paths))

    score: Callable[..., Array] = critic.apply  # pyright: ignore[reportAssignmentType]

    def of_critic(params: Any, drawn: Array) -> Float[Array, ""]:
        scores, slopes = jax.vmap(jax.value_and_grad(partial(score, params)))(every_word())
        told = jax.nn.softplus(-scores) + penalty / 2 * (slopes**2).sum((1, 2))
        return task.probabilities @ told + jax.nn.softplus(jax.vmap(score, (None, 0))(params, drawn)).mean()

    def of_generator(params: Any, against: Any, key: PRNGKeyArray) -> Float[Array, ""]:
        return jax.nn.softplus(-jax.vmap(score, (None, 0))(against, words(params, key))).mean()

    def update(state: TrainState, _: None) -> tuple[TrainState, Metrics]:
        first, second = jax.random.split(jax.random.fold_in(state.key, state.step))
        params, moments = dict(state.params), dict(state.optimizer)
        drawn = words(params["generator"], first)
        value, slope = jax.value_and_grad(of_critic)(params["critic"], drawn)
        changes, moments["critic"] = optimizer.update(slope, moments["critic"])
        params["critic"] = optax.apply_updates(params["critic"], changes)
        slope = jax.grad(of_generator)(params["generator"], params["critic"], second)
        changes, moments["generator"] = optimizer.update(slope, moments["generator"])
        params["generator"] = optax.apply_updates(params["generator"], changes)
        moved = state._replace(params=params, optimizer=moments, step=state.step + 1)
        return moved, Metrics(value, value - 2 * jnp.log(2.0))

    return Training(init, lambda state: jax.lax.scan(update, state, length=task.chunk))
