"""Networks of several widths in one program: a wide residual stream of which each network uses its first numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import beliefgeo as bg
from beliefgeo import runs
from beliefgeo.learning.data import batches
from beliefgeo.learning.optimizers import optimizer_of
from beliefgeo.learning.training import Training, TrainState, training
from beliefgeo.networks import Transformer, TransformerConfig
from beliefgeo.networks.network import Edit
from beliefgeo.reading import Checkpoint
from beliefgeo.runs import resumable
from beliefgeo.runs.folder import digest, open_run
from beliefgeo.runs.identity import identity
from beliefgeo.runs.outputs import plain


@dataclass(frozen=True)
class Narrow:
    """A transformer whose residual stream is zero where `params["used"]` is.

    Without LayerNorm zeros neither reach what a block computes nor the logits: it is the transformer of that width.
    """

    config: TransformerConfig

    def init(self, key: PRNGKeyArray, tokens: Array) -> dict[str, Any]:
        """The params of a network that uses its whole width."""
        return {**Transformer(self.config).init(key, tokens), "used": jnp.ones(self.config.width)}

    def apply(self, params: Any, tokens: Array, edit: Edit | None = None) -> tuple[Array, dict[str, Array]]:
        """Logits and activations."""
        del edit  # no caller edits
        used = jax.lax.stop_gradient(params["used"])[None]
        stream = ("embed", "resid_mid", "resid_post")
        narrow = lambda site, layer, value: value * used if site in stream else value
        return Transformer(self.config).apply({"params": params["params"]}, tokens, narrow)  # pyright: ignore


def check(widths: tuple[int, ...], config: TransformerConfig) -> None:
    """Raise unless the widths are widths of streams, and the stream can be narrowed."""
    if not widths or min(widths) < 1 or len(set(widths)) < len(widths):
        raise ValueError(f"widths must be different numbers, 1 or more; got {widths}")
    if config.layer_norm:
        raise ValueError("a narrow stream needs a network without LayerNorm, whose mean is over all numbers; got one")


def learn(
    run: runs.Run, process: bg.Process, config: TransformerConfig, widths: tuple[int, ...], budget: runs.Budget
) -> Iterator[tuple[int, dict[int, Checkpoint]]]:
    """Train `budget.seeds` networks of each width on one process; then every snapshot: its tokens, and the networks."""
    network, lanes = Narrow(config), len(widths) * budget.seeds
    used = jnp.repeat(jnp.arange(config.width)[None] < jnp.array(widths)[:, None], budget.seeds, 0).astype(jnp.float32)
    trainer = _narrowed(
        training(
            network,  # pyright: ignore[reportArgumentType]
            optimizer_of(budget),
            batches(process, budget, context=config.context),
            steps=budget.chunk,
            numbered=True,
        )
    )
    per_step = config.context * budget.batch
    plan = resumable.Plan(budget.steps, budget.chunk, per_step, budget.snapshots, lanes)
    key = jax.random.key(run.seed)
    record = {
        "process": identity(process, "process"),
        "network": plain(config),
        "widths": list(widths),
        "budget": plain(budget),
        "key": identity(key),
    }
    folder = open_run(run.root / "networks" / f"narrow-{digest(record)}", record)
    with run.stage("train"):
        resumable.train(folder, trainer, key, plan, used)
    for step, params in resumable.snapshots(folder, trainer, key, plan, used):
        each = lambda at, params=params: jax.tree.map(lambda leaf: leaf[at : at + budget.seeds], params)
        yield (
            step * per_step,
            {width: Checkpoint(network, each(index * budget.seeds)) for index, width in enumerate(widths)},
        )


def _narrowed(trainer: Training) -> Training:
    """The same training; its source says which numbers of the stream a network uses."""

    def init(key: PRNGKeyArray, used: Array) -> TrainState:
        state = trainer.init(key, used)
        return state._replace(params=state.params | {"used": used})

    return Training(init, trainer.advance)
