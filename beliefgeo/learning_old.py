"""Networks learn a process: data, optimiser and run folder in one call, activations of every seed in another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from beliefgeo import runs_old as runs
from beliefgeo.arrays import ArrayLike
from beliefgeo.beliefs.trees import words
from beliefgeo.learning.training import Batch, training
from beliefgeo.networks.recurrent import Recurrent, RecurrentConfig
from beliefgeo.networks.transformer import Transformer, TransformerConfig
from beliefgeo.processes.process import Observer, vocabulary
from beliefgeo.processes.sampling import sample
from beliefgeo.reading.evaluation import Evaluation, Prefixes, evaluate, optimal_loss, prefixes
from beliefgeo.runs import resumable
from beliefgeo.runs.identity import identity

# What networks learn from, by `Budget.data`. Published numbers are of drawn tokens: who sets ours beside them says so.
TARGETS = {"samples": "drawn tokens", "laws": "exact-law targets", "words": "all words"}
# Of params: "trained", "untrained", or the training tokens of a snapshot.
Name = TypeVar("Name", str, int)


@dataclass(frozen=True)
class Budget:
    """How long to train, and how."""

    steps: int = 3000
    """Optimiser steps, a multiple of `chunk`."""
    batch: int = 64
    """Sequences in a step."""
    learning_rate: float = 2e-3
    """Peak learning rate."""
    optimizer: Literal["nadam", "adam", "adamw", "sgd"] = "nadam"
    """nadam warms up over a twentieth of the steps and decays to zero along a cosine; the others keep their rate."""
    data: Literal["samples", "laws", "words"] = "samples"
    """samples: fresh ones in every step. laws: fresh ones, whose targets are the exact laws of the next token: on
    average the same gradient, without the noise of the token drawn. words: in every step all words, weighted by their
    exact probabilities."""
    chunk: int = 100
    """Steps in one compiled call; reports and checkpoints fall between them."""
    snapshots: int = 2
    """About how many log-spaced checkpoints to study, besides the untrained network."""
    seeds: int = 1
    """Networks trained side by side in one program."""
    seed: int = 0
    """Seed of them all."""


@dataclass(frozen=True)
class _Record:
    """What config.json says of one trained network; `seeds` counts the settings too."""

    data: str
    context: int
    bos: bool
    network: TransformerConfig | RecurrentConfig
    budget: Budget
    seeds: int
    process: Any
    """`identity` of the process, or of each of several."""


class Learned(NamedTuple):
    """A trained network and how it came about."""

    network: Transformer | Recurrent
    snapshots: dict[int, Any]
    """Training tokens of one network -> params; leaves `[seed, ...]`, or `[setting, seed, ...]`."""
    history: dict[str, Any]
    """`runs.history` of the folder, and `tokens` of one network; `loss`, `excess` `[chunk, setting * seed]`."""
    folder: Path

    @property
    def trained(self) -> Any:
        """The params at the end."""
        return self.snapshots[max(self.snapshots)]

    @property
    def untrained(self) -> Any:
        """The same networks' params before the first step."""
        return self.snapshots[0]


def learn(
    folder: Path,
    process: Observer | Sequence[Observer],
    network: TransformerConfig | RecurrentConfig,
    budget: Budget,
    *,
    context: int,
    data: str,
    bos: bool = False,
) -> Learned:
    """Train a network to predict the next token; continue, or only load, where `folder` holds the same run already.

    Args:
        folder: one for this network alone.
        process: what it is trained on; or several of one shape, each learnt by `budget.seeds` networks of their own,
            all in one program.
        network: sizes.
        budget: how long.
        context: predictions scored in each sequence. Without BOS the network reads tokens 1..context and predicts
            2..context + 1; with it, BOS and 1..context - 1, and predicts 1..context.
        data: names the process in config.json for who reads it. What tells one run from another is the process
            itself, recorded there by the digests of its arrays, its fields and types (their code by name alone). It is
            another one in another precision.
        bos: prepend the token V, one beyond the vocabulary of the process.

    Raises:
        ValueError: the folder holds another run, of another process too, or one begun when processes were not recorded;
            the vocabulary of network and process differ; several processes that are none, or not of one shape.
        TypeError: a process that cannot be told from another.
    """
    if isinstance(process, Sequence) and not process:
        raise ValueError("learn needs a process, or several; got none")
    settings, one = (process, process[0]) if isinstance(process, Sequence) else (None, process)
    if network.vocab_size != (needed := vocabulary(one) + bos):
        raise ValueError(f"vocab_size must be {needed} for {data}{' with BOS' * bos}; got {network.vocab_size}")
    lanes = len(settings or [one]) * budget.seeds
    # A process shared by all is a constant of the program; several are its arguments, one a lane.
    sources = _side_by_side(settings, budget.seeds) if settings else None
    named = {str(index): identity(each, f"process {index}") for index, each in enumerate(settings or ())}
    record = _Record(data, context, bos, network, budget, lanes, named or identity(process, "process"))
    folder = runs.open_run(folder, record)
    draws = {"samples": _draw_samples, "laws": _draw_laws, "words": _draw_words}[budget.data]
    draw = draws(None if settings else one, budget.batch, context, bos)
    built = Recurrent(network) if isinstance(network, RecurrentConfig) else Transformer(network)
    trainer = training(built, _optimizer(budget), draw, steps=budget.chunk)
    key = jax.random.key(budget.seed)
    per_step = context * jax.eval_shape(draw, key, jax.tree.map(lambda leaf: leaf[0], sources)).tokens.shape[0]
    plan = resumable.Plan(budget.steps, budget.chunk, per_step, budget.snapshots, lanes)
    resumable.train(folder, trainer, key, plan, sources)
    split = lambda leaf: leaf.reshape(len(settings or ()), budget.seeds, *leaf.shape[1:]) if settings else leaf
    snapshots = {
        step * per_step: jax.tree.map(split, params)
        for step, params in resumable.snapshots(folder, trainer, key, plan, sources)
    }
    history = runs.history(folder)
    return Learned(built, snapshots, history | {"tokens": history["step"] * per_step}, folder)


def read_networks(
    network: Transformer | Recurrent,
    params: dict[Name, Any],
    rows: Prefixes,
    select: Callable[[dict[str, Array]], Any] = lambda activations: activations["resid_post"][-1],
) -> dict[Name, Evaluation]:
    """`evaluate` for params `[seed, ...]` of each name or snapshot; every leaf of the result has seeds first."""
    read = lambda one, rows: evaluate(partial(network.apply, one), rows, select)  # pyright: ignore[reportArgumentType]
    # The rows as an argument: XLA spends seconds on folding large constants.
    read_seeds = jax.jit(lambda every, rows: jax.lax.map(lambda one: read(one, rows), every))
    return {name: read_seeds(every, rows) for name, every in params.items()}


def read_positions(
    network: Transformer | Recurrent,
    params: dict[Any, Any],
    tokens: ArrayLike,
    select: Callable[[dict[str, Array]], Array] = lambda activations: activations["resid_post"][-1],
) -> dict[Any, Float[Array, "seed *batch time width"]]:
    """Activations at every position of words that share no prefixes, for params `[seed, ...]` of each name or snapshot.

    Args:
        network: `Learned.network`.
        params: such as `Learned.snapshots`.
        tokens: what the network reads, BOS included where it was trained with one; integers of its vocabulary.
        select: which activations, `[time, width]`; default: the last block's output.
    """
    tokens = runs.check_read(network.config.vocab_size, tokens)
    words = tokens.reshape(-1, tokens.shape[-1])
    read = lambda one, words: jax.lax.map(lambda word: select(network.apply(one, word)[1]), words, batch_size=256)  # pyright: ignore[reportArgumentType, reportIndexIssue]
    # The words as an argument, as above.
    read_seeds = jax.jit(
        lambda every, words: jax.lax.map(lambda one: read(one, words).reshape(*tokens.shape, -1), every)
    )
    return {name: read_seeds(every, words) for name, every in params.items()}


def unstack(tree: Any) -> list[Any]:
    """What holds of each seed alone: the trees along the first axis of every leaf.

    >>> unstack({"loss": jnp.array([0.5, 0.25])})
    [{'loss': Array(0.5, dtype=float32)}, {'loss': Array(0.25, dtype=float32)}]
    """
    count = len(jax.tree.leaves(tree)[0])
    return [jax.tree.map(lambda leaf, index=index: leaf[index], tree) for index in range(count)]


def _side_by_side(settings: Sequence[Observer], seeds: int) -> Any:
    """The processes as one, each leaf `[setting * seed, ...]`."""
    shapes = [(jax.tree.structure(one), [np.shape(leaf) for leaf in jax.tree.leaves(one)]) for one in settings]
    for index, one in enumerate(settings):
        opaque = not all(isinstance(leaf, jax.typing.ArrayLike) for leaf in jax.tree.leaves(one))
        if opaque or shapes[index] != shapes[0]:
            why = "its arrays are not known to jax" if opaque else "its type or shapes are not those of process 0"
            raise ValueError(
                f"several processes are learnt in one program as one stack of arrays; process {index} does not fit, "
                f"{why}: learn it alone, in a folder of its own"
            )
    return jax.tree.map(lambda *leaves: jnp.repeat(jnp.stack(leaves), seeds, 0), *settings)


def _optimizer(budget: Budget) -> optax.GradientTransformation:
    if budget.optimizer == "nadam":
        rate = optax.warmup_cosine_decay_schedule(0, budget.learning_rate, budget.steps // 20, budget.steps)
        return optax.nadam(rate)
    return {"adam": optax.adam, "adamw": optax.adamw, "sgd": optax.sgd}[budget.optimizer](budget.learning_rate)


def _draw_samples(process: Observer | None, batch: int, context: int, bos: bool) -> Callable[..., Batch]:
    def draw(key, source):
        observer = source if process is None else process
        drawn = jax.vmap(sample, (0, None, None))(jax.random.split(key, batch), observer, context + (not bos))
        # Without BOS nothing has been read before the first token, which is not predicted.
        tokens = _with_bos(drawn.tokens, observer) if bos else drawn.tokens
        return Batch(tokens, -drawn.log_probabilities[:, not bos :].mean())

    return draw


def _draw_laws(process: Observer | None, batch: int, context: int, bos: bool) -> Callable[..., Batch]:
    def draw(key, source):
        observer = source if process is None else process
        drawn = jax.vmap(sample, (0, None, None))(jax.random.split(key, batch), observer, context + (not bos))
        laws = jax.vmap(jax.vmap(observer.predict))(drawn.beliefs[:, int(not bos) : -1])
        floor = jax.scipy.special.entr(laws).sum(-1).mean()
        tokens = _with_bos(drawn.tokens, observer) if bos else drawn.tokens
        return Batch(tokens, floor, laws=jnp.pad(laws, ((0, 0), (0, 0), (0, int(bos)))))

    return draw


def _draw_words(process: Observer | None, batch: int, context: int, bos: bool) -> Callable[..., Batch]:
    if process is None:
        raise ValueError("training on all words takes one process at a time: choose data='samples' for several")
    start = vocabulary(process) if bos else None
    floor = optimal_loss(prefixes(process, words(process, context - bos), bos=start)).mean()
    every = words(process, context + (not bos))
    tokens = _with_bos(jnp.asarray(every.tokens), process) if bos else jnp.asarray(every.tokens)
    all_words = Batch(tokens, jnp.float32(floor), jnp.asarray(every.probabilities, jnp.float32))
    return lambda key, source: all_words


def _with_bos(tokens: Int[Array, "word time"], process: Observer) -> Int[Array, "word time_plus_1"]:
    return jnp.pad(tokens, ((0, 0), (1, 0)), constant_values=vocabulary(process))
