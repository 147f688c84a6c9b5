"""Transformer, LSTM and GRU of equal size, which learn each task from the same drawn tokens."""

import hashlib
from pathlib import Path
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tasks

from beliefgeo import learning, runs
from beliefgeo.learning.optimizers import optimizer_of
from beliefgeo.networks import Network, RecurrentConfig, TransformerConfig
from beliefgeo.networks.recurrent import Recurrent
from beliefgeo.networks.transformer import Transformer
from beliefgeo.reading import Checkpoint
from beliefgeo.runs import resumable
from beliefgeo.runs.folder import digest, open_run
from beliefgeo.runs.identity import identity

Learner = Literal["transformer", "LSTM", "GRU"]
LEARNERS: tuple[Learner, ...] = get_args(Learner)
WIDTHS: dict[Learner, int] = {"transformer": 16, "LSTM": 23, "GRU": 27}
"""Two layers each; the widths at which they have as many parameters."""


def budget(steps: int, batch: int, rate: float) -> learning.Budget:
    """Nadam on drawn tokens, with warm-up and a cosine."""
    return learning.Budget(steps, batch, rate, "nadam", chunk=50, snapshots=6)


def network_of(learner: Learner, length: int) -> Network:
    """A learner that reads BOS, head and tokens."""
    width = WIDTHS[learner]
    if learner == "transformer":
        sizes = TransformerConfig(tasks.VOCABULARY, tasks.HEAD + length, 2, width, 2, width // 2, 4 * width)
        return Transformer(sizes)  # pyright: ignore[reportReturnType]
    cell = "lstm" if learner == "LSTM" else "gru"
    return Recurrent(RecurrentConfig(tasks.VOCABULARY, cell, 2, width))  # pyright: ignore[reportReturnType]


def parameters(network: Network) -> int:
    """How many numbers are learnt."""
    shapes = jax.eval_shape(network.init, jax.random.key(0), jax.ShapeDtypeStruct((2,), np.int32))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def learn(
    run: runs.Run,
    name: tasks.Name,
    learner: Learner,
    budget: learning.Budget,
    length: int,
    seen: tasks.Prior,
) -> list[Checkpoint]:
    """A network for each set of HMMs, all in one program; the untrained networks first.

    Networks of the same seed and set see the same words, whichever learner they are.
    """
    network = network_of(learner, length)
    draw = tasks.batches(name, budget.batch, length)
    training = learning.training(network, optimizer_of(budget), draw, steps=budget.chunk)
    key = jax.random.key(run.seed)
    code = [hashlib.sha256((Path(__file__).parent / one).read_bytes()).hexdigest() for one in ("tasks.py", __file__)]
    record = {"task": name, "learner": learner, "budget": repr(budget), "length": length, "code": code}
    record |= {"seen": identity(seen), "key": identity(key)}
    folder = open_run(run.root / "networks" / f"fixed-or-prompted-{digest(record)}", record)
    plan = resumable.Plan(budget.steps, budget.chunk, budget.batch * length, budget.snapshots, len(seen.head))
    with run.stage(f"train {learner}"):
        resumable.train(folder, training, key, plan, seen)
        shots = [*resumable.snapshots(folder, training, key, plan, seen)]
    return [Checkpoint(network, params, step * plan.tokens_per_step) for step, params in shots]


def try_rates(
    run: runs.Run,
    name: tasks.Name,
    learner: Learner,
    steps: int,
    batch: int,
    length: int,
    seen: tasks.Prior,
    rates: tuple[float, ...],
) -> Checkpoint:
    """A network for each peak rate, in one program; the HMMs have the rates' axis. All see the same words."""
    network, chunk = network_of(learner, length), budget(steps, batch, 1.0).chunk
    # Nadam's step is its rate times a direction that knows no rate: networks with rates of their own share a program.
    scaled = optax.chain(optimizer_of(budget(steps, batch, 1.0)), optax.inject_hyperparams(optax.scale)(step_size=1.0))
    training = learning.training(network, scaled, tasks.batches(name, batch, length), steps=chunk)
    state = jax.vmap(training.init, (None, 0))(jax.random.key(run.seed), seen)
    direction, scale = state.optimizer
    scale = scale._replace(hyperparams={"step_size": jnp.asarray(rates, jnp.float32)})
    state = state._replace(optimizer=(direction, scale))
    advance = jax.jit(jax.vmap(training.advance))
    with run.stage(f"train {learner}"):
        state, metrics = advance(state)
        for _ in range(steps // chunk - 1):
            state, metrics = advance(state)
        print(f"{name}, {learner}: above who knows the HMM {metrics.excess.mean(1).round(5)}", flush=True)
    return Checkpoint(network, state.params, steps * batch * length)
