"""Networks that train in seconds, shared by claims: the claims that ask for the same recipe train its networks once."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax

from beliefgeo.learning.budget import Budget
from beliefgeo.networks.recurrent import RecurrentConfig
from beliefgeo.networks.transformer import TransformerConfig
from beliefgeo.processes.classical import even, golden_mean, mess3, random_hmm, rrxor, z1r
from beliefgeo.processes.process import Process
from beliefgeo.processes.quantum import bloch_walk, frdn
from beliefgeo.processes.sticky import arch, strata, wing

Name = Literal[
    "mess3", "rrxor", "strata", "wing", "arch", "golden_mean", "even", "z1r", "bloch_walk", "frdn", "random_hmm"
]
Kind = Literal["transformer", "lstm"]


class Recipe(NamedTuple):
    """What a network learns, its sizes, and how: `run.learn(process, network, budget, context=context)`.

    Attributes:
        process: The process to learn.
        network: Its sizes.
        budget: How long to train, and how.
        context: The number of tokens it reads.
    """

    process: Process
    network: TransformerConfig | RecurrentConfig
    budget: Budget
    context: int


class _Task(NamedTuple):
    process: Callable[[], Process]
    context: int
    steps: int
    weight_decay: float | None = None
    recurrent_steps: int = 3100


# All words of these contexts can be listed. With weight decay the layers of a transformer hold more of RRXOR's belief.
_TASKS: dict[str, _Task] = {
    "mess3": _Task(mess3, 10, 3100),
    "rrxor": _Task(rrxor, 12, 3100, 1.0),
    "strata": _Task(lambda: strata(0.97), 12, 1600),
    "wing": _Task(lambda: wing(0.98), 12, 1600),
    "arch": _Task(lambda: arch(0.99), 9, 1600),
    "golden_mean": _Task(golden_mean, 12, 800, recurrent_steps=800),
    "even": _Task(even, 12, 800, recurrent_steps=800),
    "z1r": _Task(z1r, 12, 800, recurrent_steps=800),
    "bloch_walk": _Task(lambda: bloch_walk(1, 3), 8, 3100, recurrent_steps=1600),
    "frdn": _Task(frdn, 12, 1600, recurrent_steps=1600),
    # Concentration .3: each of the three dimensions of the belief tells the future something to be learnt.
    "random_hmm": _Task(lambda: random_hmm(jax.random.key(0), 4, 3, 0.3), 10, 1600, recurrent_steps=1600),
}


def recipe(
    name: Name,
    kind: Kind = "transformer",
    *,
    data: Literal["samples", "quasirandom", "laws"] = "quasirandom",
    steps: int | None = None,
    seeds: int = 6,
) -> Recipe:
    """The transformer of Shai et al. 2405.15943 (4 layers of width 64, one head of 8) or an LSTM, trained by Muon.

    Args:
        name: the process, with the parameters of its paper.
        kind: the network.
        data: what it learns from; see `Budget.data`.
        steps: the number of steps of 64 sequences, a multiple of 100; default 3100, or fewer where fewer are enough.
        seeds: the number of networks.

    >>> found = recipe("rrxor", seeds=2)
    >>> found.context, found.network.layers, found.budget.steps
    (12, 4, 3100)
    """
    task = _TASKS[name]
    process = task.process()
    recurrent = kind == "lstm"
    sizes = RecurrentConfig(process.vocab_size, layers=2) if recurrent else None
    budget = Budget(
        steps=(task.recurrent_steps if recurrent else task.steps) if steps is None else steps,
        learning_rate=1e-2 if recurrent else 3e-3,
        optimizer="muon",
        weight_decay=None if recurrent else task.weight_decay,
        data=data,
        snapshots=12,
        seeds=seeds,
    )
    return Recipe(process, sizes or TransformerConfig(process.vocab_size, context=task.context), budget, task.context)
