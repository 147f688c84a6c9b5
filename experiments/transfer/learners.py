"""Networks of the sources, and networks of the targets from four starts."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from vocabularies import ANOTHER, PROCESSES, Name, split

from beliefgeo import runs
from beliefgeo.learning import train_only, without
from beliefgeo.learning.optimizers import optimizer_of
from beliefgeo.reading import Checkpoint

# What is drawn anew and trained where the blocks, positions and norms are frozen.
TABLES = ("embed", "unembed")


def sources(run: runs.Run, config: Any) -> dict[Name, runs.Learned]:
    """Networks of all processes that the targets need."""
    # Other seeds than the targets': tables of two vocabularies that are drawn by one key have rows in common.
    before, found = replace(run, seed=run.seed + 1), {}
    budget = runs.Budget(config.source_steps, 32, config.rate, "muon", data="laws", snapshots=1, seeds=config.seeds)
    for names in alike(dict.fromkeys([*config.processes, *(ANOTHER[name] for name in config.processes)])):
        processes = [PROCESSES[name] for name in names]
        network = replace(config.network, vocab_size=processes[0].vocab_size)
        learned = before.learn_several(processes, network, budget, context=network.context)
        found |= dict(zip(names, learned, strict=True))
    return found


def teachers(learned: dict[Name, runs.Learned], name: Name) -> dict[str, Checkpoint]:
    """Whose blocks the targets of a process get; these networks read its own vocabulary."""
    own = learned[name]
    return {"same": own.trained, "another": learned[ANOTHER[name]].trained, "random": own.untrained}


def targets(run: runs.Run, config: Any, learned: dict[Name, runs.Learned]) -> dict[Name, dict[str, runs.Learned]]:
    """Networks of the targets of all processes: tables alone on frozen blocks of three kinds, or everything."""
    budget = runs.Budget(config.steps, 32, config.rate, "muon", data="laws", chunk=50, snapshots=16, seeds=config.seeds)
    frozen, found = replace(budget, learning_rate=config.tables), {}
    tables = (f"muon for {config.steps} steps, tables only", train_only(optimizer_of(frozen), TABLES))
    for names in alike(config.processes):
        processes = [split(PROCESSES[name]).process for name in names]
        network = replace(config.network, vocab_size=processes[0].vocab_size)
        starts = [teachers(learned, name) for name in names]
        every = {}
        for kind in starts[0]:
            blocks = [without(one[kind].params, TABLES) for one in starts]
            options = {"context": network.context, "optimizer": tables, "starts": blocks}
            every[kind] = run.learn_several(processes, network, frozen, **options)
        every["scratch"] = run.learn_several(processes, network, budget, context=network.context)
        for index, name in enumerate(names):
            found[name] = {kind: several[index] for kind, several in every.items()}
    return found


def alike(names: Iterable[Name]) -> list[list[Name]]:
    """Names of processes of one shape together: those are learnt in one program."""
    shapes = {}
    for name in names:
        shapes.setdefault(PROCESSES[name].transitions.shape, []).append(name)
    return [*shapes.values()]
