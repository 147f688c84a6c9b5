"""What networks learn, and where their beliefs are looked for."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import beliefgeo as bg
from beliefgeo import probes, reading
from beliefgeo.beliefs.constrained import constrained_beliefs
from beliefgeo.networks import TransformerConfig
from beliefgeo.probes.in_sample import read_components
from beliefgeo.reading import Reading, Rows

Name = Literal["rrxor", "frdn", "constrained beliefs"]
Held = Callable[[Reading], Any]

_MESS3 = bg.mess3(0.15, 0.6)


class Task(NamedTuple):
    """A process, a network, its training, and what is measured of it.

    Attributes:
        process: what networks learn.
        network: the network.
        rate: the peak learning rate of Nadam.
        study: (key, rows) -> (held, shuffled): the R2 of a network, held out, and that of beliefs that are shuffled.
    """

    process: bg.Process
    network: TransformerConfig
    rate: float
    study: Callable[[jax.Array, Rows], tuple[Held, Held]]


def task(name: Name) -> Task:
    """The task of this name, with the network of the claim that asked."""
    return {
        "rrxor": lambda: Task(bg.rrxor(), TransformerConfig(2, 10), 1.5e-3, last_block),
        "frdn": lambda: Task(bg.frdn(), TransformerConfig(2, 8, heads=4, head_width=16), 2e-3, last_block),
        "constrained beliefs": lambda: Task(_MESS3, TransformerConfig(3, 8, layers=1), 2e-3, three_components),
    }[name]()


def last_block(key: jax.Array, rows: Rows) -> tuple[Held, Held]:
    """R2 of the belief from the last block, held out by subtree, by probability."""
    others = probes.shuffle_beliefs(key, rows.beliefs, rows.length)

    def held(seen: Reading, targets: Any = None) -> float:
        return probes.held_out(seen.features["last block"], rows, rows.probabilities, targets=targets).r2

    return held, partial(held, targets=others)


def three_components(key: jax.Array, rows: Rows) -> tuple[Held, Held]:
    """R2 of the constrained belief from three components after attention, held out; words of the last two lengths."""
    long = rows.length >= rows.length.max() - 1
    folds = probes.held_out_folds(rows)[long]
    beliefs = reading.beliefs_after(partial(constrained_beliefs, _MESS3), rows)
    others = np.asarray(probes.shuffle_beliefs(key, beliefs, rows.length))

    def held(seen: Reading, targets: np.ndarray) -> float:
        read = read_components(jnp.asarray(seen.features["mid"])[long], {"": targets[long]}, folds, 3)
        return float(read[""].held_out_r2)

    return partial(held, targets=beliefs), partial(held, targets=others)


def sites(activations: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The residual stream after the first attention and after the last block."""
    return {"mid": activations["resid_mid"][0], "last block": activations["resid_post"][-1]}
