"""Training as a pair of pure functions, `init(key) -> state` and `advance(state) -> (state, metrics)`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Int, PRNGKeyArray


class Batch(NamedTuple):
    """Token sequences to learn, and the loss that the best possible predictor has on these very tokens.

    Weights sum to 1 over the sequences, such as the probabilities of all words; by default every sequence counts alike.
    """

    tokens: Int[Array, "batch time_plus_1"]
    floor: Float[Array, ""]
    weights: Float[Array, " batch"] | None = None
    laws: Float[Array, "batch time vocab"] | None = None
    """The exact law of each token given those before it: the target, where given, instead of the token drawn."""


class TrainState(NamedTuple):
    """Everything a later step depends on: two states that are equal have the same future."""

    params: Any
    optimizer: Any
    step: Int[Array, ""]
    key: PRNGKeyArray
    source: Any = None
    """What the data are drawn from, where it differs between networks trained side by side."""


class Metrics(NamedTuple):
    """Per step: mean cross-entropy in nats per token, and how far it lies above the floor of the same tokens.

    The excess has far less noise than the loss: what luck the tokens bring moves both the loss and the floor.
    """

    loss: Float[Array, " step"]
    excess: Float[Array, " step"]


class Training(NamedTuple):
    """`init(key, source)` -> `TrainState`, `advance(state) -> (TrainState, Metrics)`, pure: jit and vmap them."""

    init: Callable[..., TrainState]
    advance: Callable[[TrainState], tuple[TrainState, Metrics]]


def training(
    network: nn.Module,
    optimizer: optax.GradientTransformation,
    draw: Callable[[PRNGKeyArray, Any], Batch],
    *,
    steps: int,
) -> Training:
    """Next-token training of a network on data drawn inside the step.

    Args:
        network: reads tokens `[time]`, returns `(logits [time, vocab], activations)`.
        optimizer: any optax optimiser, its schedule included.
        draw: (key, source) -> `Batch`; a sequence of time + 1 tokens gives time predictions. The source is whatever
            `init(key, source)` was given, such as the process of one of several settings trained in one program.
        steps: optimiser steps in one `advance` (one compiled scan).

    >>> from beliefgeo.networks.transformer import Transformer, TransformerConfig
    >>> draw = lambda key, _: Batch(jax.random.randint(key, (8, 6), 0, 2), jnp.log(2.0))
    >>> network = Transformer(TransformerConfig(vocab_size=2, layers=1, width=16, mlp_width=16))
    >>> init, advance = training(network, optax.adam(1e-2), draw, steps=2)
    >>> state, metrics = jax.jit(advance)(init(jax.random.key(0)))
    >>> int(state.step), metrics.loss.shape
    (2, (2,))
    """

    def init(key: PRNGKeyArray, source: Any = None) -> TrainState:
        params_key, data_key = jax.random.split(key)
        tokens = draw(data_key, source).tokens[0, :-1]
        params = network.init(params_key, tokens)
        return TrainState(params, optimizer.init(params), jnp.int32(0), data_key, source)

    def loss(params: Any, batch: Batch) -> Float[Array, ""]:
        logits, _ = jax.vmap(network.apply, (None, 0))(params, batch.tokens[:, :-1])
        if batch.laws is None:
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch.tokens[:, 1:])
        else:
            losses = optax.softmax_cross_entropy(logits, batch.laws)
        return losses.mean() if batch.weights is None else batch.weights @ losses.mean(1)

    def update(state: TrainState, _: None) -> tuple[TrainState, Metrics]:
        batch = _split_over_devices(draw(jax.random.fold_in(state.key, state.step), state.source))
        value, gradient = jax.value_and_grad(loss)(state.params, batch)
        changes, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, changes)
        new = TrainState(params, optimizer_state, state.step + 1, state.key, state.source)
        return new, Metrics(value, value - batch.floor)

    def advance(state: TrainState) -> tuple[TrainState, Metrics]:
        return jax.lax.scan(update, state, length=steps)

    return Training(init, advance)


def _split_over_devices(batch: Batch) -> Batch:
    """Each device its share of the sequences, where a mesh with an axis "batch" is set (see `sharding`)."""
    if "batch" not in jax.sharding.get_abstract_mesh().axis_names:
        return batch
    split = lambda leaf: jax.lax.with_sharding_constraint(leaf, PartitionSpec("batch"))
    tokens, weights, laws = jax.tree.map(split, (batch.tokens, batch.weights, batch.laws))
    return batch._replace(tokens=tokens, weights=weights, laws=laws)
