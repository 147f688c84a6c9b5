"""Training as a pair of pure functions, `init(key) -> state` and `advance(state) -> (state, metrics)`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Int, PRNGKeyArray

from beliefgeo.networks.network import Network


class Batch(NamedTuple):
    """Token sequences to learn, and the loss that the best possible predictor has on these very tokens.

    Weights sum to 1 over the sequences, such as the probabilities of all words; by default all sequences count equally.

    Attributes:
        tokens: The sequences, with the token to predict after the last.
        floor: The mean loss of the best predictor on these tokens, in nats.
        weights: What each sequence counts.
        laws: The exact law of each token given the tokens before it; if given, it is the target instead of the drawn
            token.
    """

    tokens: Int[Array, "batch time_plus_1"]
    floor: Float[Array, ""]
    weights: Float[Array, " batch"] | None = None
    laws: Float[Array, "batch time vocab"] | None = None


class TrainState(NamedTuple):
    """Everything a later step depends on: two states that are equal have the same future.

    Attributes:
        params: The parameters of the network.
        optimizer: The state of the optimiser.
        step: The number of steps done.
        key: The key from which the data of each step follow.
        source: What the data are drawn from, if it differs between networks trained side by side.
    """

    params: Any
    optimizer: Any
    step: Int[Array, ""]
    key: PRNGKeyArray
    source: Any = None


class Metrics(NamedTuple):
    """The mean cross-entropy of each step in nats per token, and its excess above the floor of the same tokens.

    The excess has far less noise than the loss: lucky tokens move both the loss and the floor.

    Attributes:
        loss: The mean cross-entropy, in nats.
        excess: How far it is above the floor of the same tokens.
    """

    loss: Float[Array, " step"]
    excess: Float[Array, " step"]


@dataclass(frozen=True)
class Init:
    """`init(key, source) -> TrainState` of two parts, of which only the second knows the optimiser.

    Apart from it, the draw of the params is one program for all trainings of a network, which is compiled once.

    Attributes:
        params: From a key and a source to the first params.
        begin: From these, the key and the source to the state before the first step.
    """

    params: Callable[..., Any]
    begin: Callable[..., TrainState]

    def __call__(self, key: PRNGKeyArray, source: Any = None) -> TrainState:
        """The state before the first step."""
        return self.begin(self.params(key, source), key, source)


class Training(NamedTuple):
    """`init(key, source) -> TrainState` and `advance(state) -> (TrainState, Metrics)`, both pure: jit and vmap them.

    Attributes:
        init: From a key and a source to the state before the first step.
        advance: From a state to the state a chunk of steps later, with the metrics of these steps.
    """

    init: Callable[..., TrainState]
    advance: Callable[[TrainState], tuple[TrainState, Metrics]]


def training(
    network: Network,
    optimizer: optax.GradientTransformation,
    draw: Callable[..., Batch],
    *,
    steps: int,
    microbatch: int | None = None,
    numbered: bool = False,
    start: Callable[[Any], Any] | None = None,
) -> Training:
    """Next-token training of a network on data drawn inside the step.

    Args:
        network: it reads tokens `[time]` and returns `(logits [time, vocab], activations)`. It is a Linen module, the
            result of `from_equinox` or `from_nnx`, or any other pair of `init` and `apply`.
        optimizer: any optax optimiser, its schedule included.
        draw: (key, source) -> `Batch`; a sequence of time + 1 tokens gives time predictions. The source is whatever
            `init(key, source)` was given, such as the process of one of several settings trained in one program.
        steps: the number of optimiser steps in one `advance` (one compiled scan).
        microbatch: the number of sequences that a device reads at once; their gradients are added up. Default: the
            device's whole share of the batch. A smaller number needs less memory, and on CPUs less time if the
            sequences fit into the cache (32 sequences of ten tokens).
        numbered: call `draw(key, source, step)` instead, with one key for all steps, for data that are divided among
            the steps, as with `sample_quasirandom`.
        start: (source) -> the params to begin with, None in place of those that `network.init` draws (see `parts`).
            Default: all are drawn.

    Raises:
        ValueError: a microbatch below 1.

    >>> from beliefgeo.networks.transformer import Transformer, TransformerConfig
    >>> draw = lambda key, _: Batch(jax.random.randint(key, (8, 6), 0, 2), jnp.log(2.0))
    >>> network = Transformer(TransformerConfig(vocab_size=2, layers=1, width=16, mlp_width=16))
    >>> init, advance = training(network, optax.adam(1e-2), draw, steps=2)
    >>> state, metrics = jax.jit(advance)(init(jax.random.key(0)))
    >>> int(state.step), metrics.loss.shape
    (2, (2,))
    """
    if microbatch is not None and microbatch < 1:
        raise ValueError(f"microbatch must be at least 1 sequence; got {microbatch}")

    def draw_step(key: PRNGKeyArray, source: Any, step: Int[Array, ""]) -> Batch:
        return draw(key, source, step) if numbered else draw(jax.random.fold_in(key, step), source)

    def first_params(key: PRNGKeyArray, source: Any) -> Any:
        params_key, data_key = jax.random.split(key)
        drawn = jax.eval_shape(draw_step, data_key, source, jnp.int32(0)).tokens  # only the shape: nothing is drawn
        params = network.init(params_key, jnp.zeros(drawn.shape[1] - 1, drawn.dtype))
        return eqx.combine(start(source), params) if start else params

    def begin(params: Any, key: PRNGKeyArray, source: Any) -> TrainState:
        return TrainState(params, optimizer.init(params), jnp.int32(0), jax.random.split(key)[1], source)

    def loss(params: Any, tokens: Array, weights: Array, laws: Array | None) -> Float[Array, ""]:
        logits, _ = jax.vmap(network.apply, (None, 0))(params, tokens[:, :-1])
        if laws is None:
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:])
        else:
            losses = optax.softmax_cross_entropy(logits, laws)
        return weights @ losses.mean(1)

    def of_device(params: Any, pieces: tuple) -> tuple[Float[Array, ""], Any]:
        """The sums of loss and gradient over the pieces, taken one after the other.

        Without a loop of one pass and a device axis of one, small networks compile in four fifths of the time.
        """
        of_piece = lambda piece: jax.value_and_grad(loss)(params, *piece)
        if len(pieces[0]) == 1:
            return of_piece(jax.tree.map(lambda leaf: leaf[0], pieces))
        add = lambda total, piece: (jax.tree.map(jnp.add, total, of_piece(piece)), None)
        return jax.lax.scan(add, (jnp.zeros(()), jax.tree.map(jnp.zeros_like, params)), pieces)[0]

    def update(state: TrainState, _: None) -> tuple[TrainState, Metrics]:
        batch = draw_step(state.key, state.source, state.step)
        shares = _shares(batch, microbatch)
        if len(shares[0]) == 1:
            value, gradient = of_device(state.params, jax.tree.map(lambda leaf: leaf[0], shares))
        else:
            value, gradient = _sum_over_devices(jax.vmap(of_device, (None, 0))(state.params, shares))
        changes, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, changes)
        new = TrainState(params, optimizer_state, state.step + 1, state.key, state.source)
        return new, Metrics(value, value - batch.floor)

    def advance(state: TrainState) -> tuple[TrainState, Metrics]:
        return jax.lax.scan(update, state, length=steps)

    return Training(Init(first_params, begin), advance)


def _shares(batch: Batch, microbatch: int | None) -> tuple[Array, Array, Array | None]:
    """Tokens, weights and laws as `[device, piece, microbatch, ...]`, padded with sequences of weight 0.

    Each device gets its share if a mesh with an axis "batch" is set (see `sharding`).
    """
    count, devices = len(batch.tokens), jax.sharding.get_abstract_mesh().shape.get("batch")
    share = -(-count // (devices or 1))
    size = min(microbatch or share, share)
    pieces = -(-share // size)

    def split(leaf: Array) -> Array:
        missing = (devices or 1) * pieces * size - count
        leaf = jnp.pad(leaf, [(0, missing)] + [(0, 0)] * (leaf.ndim - 1))
        leaf = leaf.reshape(-1, pieces, size, *leaf.shape[1:])
        return jax.lax.with_sharding_constraint(leaf, PartitionSpec("batch")) if devices else leaf

    weights = jnp.full(count, 1 / count) if batch.weights is None else batch.weights
    return jax.tree.map(split, (batch.tokens, weights, batch.laws))


def _sum_over_devices(by_device: Any) -> Any:
    """The sum over the leading axis of every leaf."""
    if jax.default_backend() != "cpu":
        return jax.tree.map(lambda leaf: leaf.sum(0), by_device)
    # The devices of a CPU synchronise for every array, which takes 70 microseconds: so they exchange one long array.
    _, unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], by_device))
    return unravel(jax.vmap(lambda leaves: ravel_pytree(leaves)[0])(by_device).sum(0))
