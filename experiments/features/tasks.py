"""The networks of the claim: two recipes, and the toy of five factors."""

from typing import Any, Literal, NamedTuple

import jax

import beliefgeo as bg
from beliefgeo import runs
from beliefgeo.networks import TransformerConfig

# The number of active latents: a corner and a remainder in a plane; as many as the dimensions of RRXOR's beliefs.
ACTIVE = {"mess3": 2, "rrxor": 4}
# The factors of 2604.02685, in its order.
FACTORS = (
    "mess3 (.05, .85)",
    "mess3 (.075, .90)",
    "mess3 (.10, .95)",
    "bloch_walk (1.51, 3.07)",
    "bloch_walk (1.99, 2.51)",
)
READ = {"mess3": 9, "rrxor": 12}
# Latents of one process are studied after at least so many tokens: shorter prefixes are so few and so heavy that an
# autoencoder spends latents on single prefixes, of which every number is a function.
SHORTEST = 5
SITE = "last block"
# Three layers of width 128; a BOS and eight tokens.
TOY = TransformerConfig(vocab_size=433, context=9, layers=3, width=128, heads=4, head_width=32, mlp_width=512)


class Task(NamedTuple):
    """A process, and the networks that learn it."""

    process: Any
    network: Any
    budget: runs.Budget
    context: int
    read: int
    """The number of positions that are read: the words of so many tokens are few enough to list, except the toy's."""
    bos: int | None


def task(name: str, data: Literal["samples", "quasirandom", "laws"], steps: int | None, seeds: int) -> Task:
    """What networks learn, and how."""
    if name == "factors":
        mess3 = [bg.mess3(x, alpha) for x, alpha in ((0.05, 0.85), (0.075, 0.90), (0.10, 0.95))]
        process = bg.product([*mess3, bg.bloch_walk(1.51, 3.07), bg.bloch_walk(1.99, 2.51)])
        budget = runs.Budget(
            steps=steps or 2000, learning_rate=3e-3, optimizer="muon", data="laws", snapshots=2, seeds=seeds
        )
        return Task(process, TOY, budget, TOY.context, TOY.context, process.vocab_size)
    recipe = runs.recipe(name, data=data, steps=steps, seeds=seeds)  # pyright: ignore[reportArgumentType]
    process = bg.mess3(0.15, 0.6) if name == "mess3" else recipe.process
    return Task(process, recipe.network, recipe.budget, recipe.context, READ[name], None)


def last_block(activations: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The site whose activations are coded: the residual stream after the last layer."""
    return {SITE: activations["resid_post"][-1]}
