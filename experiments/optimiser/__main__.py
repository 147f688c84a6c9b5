"""At equal loss, what decides whether the geometry of beliefs is there?

A low loss alone does not: two networks of one loss can hold the beliefs well or badly. Five optimisers (SGD, Adam,
Nadam, SOAP, Muon) learn from drawn tokens or from exact laws, with weight decay or without, in equal steps on one
schedule. Curves of what a held-out probe leaves against the exact loss compare them at equal loss. Then four
properties of the networks (rank of activations, rank of weights, norm, sharpness) are asked whether they predict,
beyond the loss, what is left. Sources: the question is ours; SOAP is that of Vyas et al. 2409.11321, Muon that of
Jordan et al. 2024 (optax.contrib.muon).

Found: none does. On Mess3 networks of exact laws leave 1.47 times as much as those of drawn tokens, and Nadam at three
times its rate .74 times as much. Time: 21 minutes of two cores.

    python experiments/optimiser                    the default preset
    python experiments/optimiser quick              a smoke run, under a minute
    python experiments/optimiser default --processes mess3 --optimizers adam muon

Interrupt it and start it again with the same command: it continues.
"""

from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import descent
import figures
import measures
import properties
import tasks
from claims import CLAIMS

from beliefgeo import probes, reading, runs
from beliefgeo.networks import TransformerConfig
from beliefgeo.runs import Budget


@dataclass(frozen=True)
class Config:
    """Processes, trainings and networks."""

    processes: tuple[tasks.Name, ...] = ("mess3", "rrxor", "strata")
    """What networks learn."""
    optimizers: tuple[descent.Name, ...] = descent.NAMES
    """The optimisers."""
    targets: tuple[measures.Targets, ...] = ("laws", "samples")
    """What they learn from: exact laws, or drawn tokens."""
    decays: tuple[measures.Decay, ...] = ("none", "decay")
    """Without weight decay, or with."""
    network: TransformerConfig = TransformerConfig(layers=2, width=32, mlp_width=64)
    """The network; vocab_size and context follow."""
    batch: int = 16
    """The number of sequences in a step."""
    duration: float = 1
    """How long to train, in units of the steps of each process."""
    snapshots: int = 5
    """The approximate number of log-spaced moments at which networks are read."""
    seeds: int = 5
    """The number of networks of each training."""
    seed: int = 0
    """The seed of the whole run."""


SMALL = TransformerConfig(layers=1, width=32, mlp_width=64)
QUICK = Config(("mess3",), ("adam", "muon"), ("laws",), ("none",), SMALL, duration=0.1, snapshots=2, seeds=2)
PRESETS = {"quick": QUICK, "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """Each process; then which property predicts the geometry in all of them."""
    measures.check(config)
    found = {name: of_process(run, name, config) for name in config.processes}
    every = [one["correlations"] for one in found.values()]
    predicts = {name: measures.predicts([one[name] for one in every]) for name in properties.PREDICTORS}
    return {"processes": found, "predicts": predicts}


def of_process(run: runs.Run, name: tasks.Name, config: Config) -> dict:
    """All trainings of one process, compared at equal loss."""
    task = tasks.task(name)
    rows = reading.rows(run.key(name), task.process, task.context)
    few = reading.rows(run.key(f"{name}, curvature"), task.process, task.context, most=properties.WORDS)
    network = replace(config.network, vocab_size=task.process.vocab_size, context=task.context)
    steps = 50 * round(config.duration * task.steps / 50)
    paths, shuffled, tokens = {}, {}, []
    settings: list[Any] = [*product(config.optimizers, config.targets, config.decays)]
    settings += [(descent.FAST, config.targets[0], config.decays[0])] if "nadam" in config.optimizers else []
    for optimizer, targets, decay in settings:
        budget = Budget(steps, config.batch, data=targets, chunk=50, snapshots=config.snapshots, seeds=config.seeds)
        shrink = descent.SHRINK if decay == "decay" else 0
        made = descent.optimizer(optimizer, steps, shrink)
        learned = run.learn(task.process, network, budget, context=task.context, optimizer=made)
        measure = partial(properties.of_network, learned.network, rows=rows, few=few)
        with run.stage("read"):
            paths[optimizer, targets, decay] = reading.each(learned.checkpoints, rows, measure)
        if (targets, decay) == (config.targets[0], config.decays[0]):
            key = run.key(f"{name}, shuffle")
            shuffled[optimizer] = reading.each(learned.trained, rows, partial(properties.shuffled, key, rows=rows))
        tokens = [one.tokens for one in learned.checkpoints]
    nothing = float(probes.window_gaps(rows)[0])
    return {
        "nothing": nothing,
        "tokens": tokens,
        "trainings": {", ".join(setting): measures.summary(path) for setting, path in paths.items()},
        "shuffled": shuffled,
        **measures.comparisons(paths),
        "correlations": measures.correlations(list(paths.values()), nothing),
    }


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
