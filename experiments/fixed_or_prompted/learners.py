"""Transformer, LSTM and GRU of equal size, which learn each task from the same drawn tokens."""

import hashlib
from pathlib import Path
from typing import Literal, get_args

import jax
import numpy as np
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
WIDTHS: dict[Learner, int] = {"transformer": 16, "LSTM": 22, "GRU": 26}
"""Two layers each; the widths at which they have as many parameters."""

TRIED = (1e-3, 3e-3, 1e-2, 3e-2)
"""The peak learning rates tried for each learner in each task."""
RATES: dict[tasks.Name, dict[Learner, float]] = {
    "fixed": {"transformer": 1e-2, "LSTM": 1e-2, "GRU": 1e-2},
    "told": {"transformer": 1e-2, "LSTM": 1e-2, "GRU": 1e-2},
    "inferred": {"transformer": 1e-2, "LSTM": 1e-2, "GRU": 1e-2},
}
"""The best of them on a pilot with other HMMs."""
LONGER: dict[tasks.Name, int] = {"fixed": 1, "told": 2, "inferred": 2}
"""How many times the number of steps each task is learnt for."""


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
