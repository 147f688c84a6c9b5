"""The smallest run there can be: two networks, twelve steps."""

from dataclasses import dataclass, field

import jax
import numpy as np
import optax

import beliefgeo as bg
from beliefgeo.learning.training import Batch, training
from beliefgeo.networks.transformer import Transformer, TransformerConfig
from beliefgeo.runs import resumable

NETWORK = TransformerConfig(vocab_size=2, context=4, layers=1, width=8, heads=1, head_width=4, mlp_width=8)
PLAN = resumable.Plan(steps=12, chunk=2, tokens_per_step=32, snapshots=3, seeds=2)
resumable.SAVING = np.inf  # a checkpoint after every chunk, however fast it was
KEY = jax.random.key(0)


@dataclass(frozen=True)
class Config:
    network: TransformerConfig = field(default_factory=lambda: NETWORK)
    learning_rate: float = 0.01
    seeds: int = 2


def trainer():
    def draw(key, _):
        drawn = jax.vmap(bg.sample, (0, None, None))(jax.random.split(key, 8), bg.golden_mean(), 5)
        return Batch(drawn.tokens, -drawn.log_probabilities[:, 1:].mean())

    return training(Transformer(NETWORK), optax.adam(0.01), draw, steps=PLAN.chunk)
