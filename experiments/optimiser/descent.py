"""Five optimisers that differ in their direction alone: the same schedule, the same steps, the same shrinking."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
import soap

from beliefgeo import runs
from beliefgeo.learning.optimizers import optimizer_of
from beliefgeo.runs.learn import NamedOptimizer

Name = Literal["sgd", "adam", "nadam", "soap", "muon"]
NAMES: tuple[Name, ...] = ("sgd", "adam", "nadam", "soap", "muon")
FAST = "fast nadam"
"""Nadam at Adam's rate, to tell the optimiser from its rate."""

# The peak rates: of three each (.03, .1, .3 for SGD; .0009, .003, .009 for Adam, Nadam and SOAP; .003, .01, .03 for
# Muon) that of the lowest mean logarithm of the loss above the optimum on Mess3 and RRXOR, of two networks of another
# seed, 1,000 steps, exact laws. Adam's .009 is rounded. The geometry was not looked at.
RATES = {"sgd": 0.1, "adam": 1e-2, "nadam": 3e-3, "soap": 3e-3, "muon": 3e-3, FAST: 1e-2}

# With weight decay, a step at the peak of the schedule shrinks every matrix by this share, whatever the optimiser.
SHRINK = 3e-3


def optimizer(name: str, steps: int, shrink: float) -> NamedOptimizer:
    """The optimiser of this name: its rate goes up over a twentieth of the steps, and down to zero along a cosine.

    Args:
        name: its direction. Muon and SOAP turn matrices between layers; other parameters follow Nadam, Adam.
        steps: the number of steps.
        shrink: the share by which a step at the peak shrinks matrices: decoupled weight decay.
    """
    rate = RATES[name]
    part = optax.warmup_cosine_decay_schedule(0, 1, steps // 20, steps)
    schedule = lambda count: rate * part(count)
    alone = {
        "sgd": lambda: optax.sgd(schedule, momentum=0.9, nesterov=True),
        "adam": lambda: optax.adam(schedule),
        "nadam": lambda: optax.nadam(schedule),
        "soap": lambda: optax.chain(
            optax.partition({"matrix": soap.scale_by_soap(), "other": optax.scale_by_adam()}, kinds),
            optax.scale_by_learning_rate(schedule),
        ),
        "muon": lambda: optimizer_of(runs.Budget(steps, learning_rate=rate, optimizer="muon")),
    }[name.removeprefix("fast ")]()
    told = f"{name}, rate {rate:g}, {steps} steps, shrink {shrink:g}"
    return told, optax.chain(alone, shrinking(shrink, part))


def shrinking(share: float, schedule: optax.Schedule) -> optax.GradientTransformation:
    """Matrices become smaller by this share of the schedule's part, whatever moves them besides.

    The share is a part of the state, so trainings that differ in it alone are one program, which is compiled once.
    """

    def update(updates: Any, state: tuple[jax.Array, jax.Array], params: Any) -> tuple[Any, Any]:
        count, share = state
        less = share * schedule(count)
        shrunk = lambda kind, update, param: update - less * param if kind == "matrix" else update
        return jax.tree.map(shrunk, kinds(params), updates, params), (count + 1, share)

    return optax.GradientTransformation(lambda _: (jnp.int32(0), jnp.float32(share)), update)  # pyright: ignore[reportArgumentType]


def kinds(params: Any) -> Any:
    """For each array, "matrix" if it is a map between layers: no table of tokens or positions, and no unembedding."""
    return jax.tree_util.tree_map_with_path(_kind, params)


def _kind(path: tuple, _: jax.Array) -> str:
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    return "matrix" if "block" in name and name.endswith("kernel") else "other"
