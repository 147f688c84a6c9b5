"""Train the networks of all settings, those of one shape side by side in one program, and measure each."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from axes import Setting
from jaxtyping import Array, Float, Int, PRNGKeyArray

from beliefgeo import probes, reading, runs
from beliefgeo.probes.held_out import held_out_folds
from beliefgeo.probes.nested import cross_validated_r2
from beliefgeo.processes.process import Process
from beliefgeo.processes.stacked import stack
from beliefgeo.reading import Reading, Rows, Seeds

# So many words are listed; of more words, so many are drawn.
_LISTED, _DRAWN = 7_000, 1_000

Curve = tuple[Float[np.ndarray, " setting"], dict[str, Seeds]]
"""Where settings lie on an axis, and what is measured there, by name, each `[seed, setting]`."""


class Task(NamedTuple):
    """What the networks of a process are asked.

    Attributes:
        rows: Prefixes, with beliefs and exact laws.
        folds: Those held out together.
        targets: Columns of what probes look for, by name.
        nothing: The gap of the best constant law.
    """

    rows: Rows
    folds: Int[np.ndarray, " row"]
    targets: dict[str, Float[np.ndarray, "row target"]]
    nothing: float


def train(run: runs.Run, settings: Sequence[Setting]) -> list[list[runs.Learned]]:
    """The networks of each process of each setting.

    Settings alike in network, budget and context share a program, which `vmap` maps over processes and seeds. For
    that, processes with fewer states or tokens are padded with some that never occur. A process that two axes have in
    common is learnt once.
    """
    groups: dict[Any, dict[bytes, Process]] = {}
    for one in settings:
        groups.setdefault(_shape(one), {}).update({_name(process): process for process in one.processes})
    learned = {}
    for (network, budget, context), processes in groups.items():
        found = run.learn_several(alike(list(processes.values()), network.vocab_size), network, budget, context=context)
        learned |= {(network, budget, context, name): one for name, one in zip(processes, found, strict=True)}
    return [[learned[*_shape(one), _name(process)] for process in one.processes] for one in settings]


def alike(processes: list[Process], tokens: int) -> list[Process]:
    """The same processes with as many states as the largest, and so many tokens."""
    missing = lambda one: ((0, tokens - one.vocab_size), (0, 0), (0, 0))
    together = stack([replace(one, transitions=jnp.pad(one.transitions, missing(one))) for one in processes])
    return [jax.tree.map(lambda leaf, index=index: leaf[index], together) for index in range(len(processes))]


def _shape(one: Setting) -> tuple[Any, ...]:
    return one.network, one.budget, one.context


def _name(process: Process) -> bytes:
    return np.asarray(process.transitions).tobytes()


def over_settings(run: runs.Run, settings: list[Setting], learned: list[list[runs.Learned]]) -> Curve:
    """The trained networks of all settings."""
    return _curve(
        [one.value for one in settings], [_measured(run, *both) for both in zip(settings, learned, strict=True)]
    )


def along_training(run: runs.Run, settings: list[Setting], learned: list[list[runs.Learned]]) -> Curve:
    """The networks of the only setting at several moments of their training, by the number of tokens."""
    (setting,), ((own,),) = settings, learned
    moments = own.checkpoints[1:]
    at = lambda moment: [own._replace(checkpoints=[own.untrained, moment])]
    return _curve([one.tokens for one in moments], [_measured(run, setting, at(one)) for one in moments])


def _curve(values: list[float], measured: list[dict[str, Seeds]]) -> Curve:
    stacked = {name: Seeds(np.stack([one[name].values for one in measured], 1)) for name in measured[0]}
    return np.array(values, float), stacked


def _measured(run: runs.Run, setting: Setting, learned: list[runs.Learned]) -> dict[str, Seeds]:
    """All networks of a setting, as seeds, trained and untrained."""
    each = []
    with run.stage("read"):
        for number, (process, own) in enumerate(zip(setting.processes, learned, strict=True)):
            task = task_of(run.key(f"words {number}"), process, setting)
            measure = lambda network, task=task: of_network(network, task)
            trained = reading.each(own.trained, task.rows, measure, last_block)
            untrained = reading.each(own.untrained, task.rows, measure, last_block)
            each.append(trained | {f"untrained {name}": untrained[name] for name in ("gap", "belief")})
    return {name: Seeds(np.concatenate([one[name].values for one in each])) for name in each[0]}


def task_of(key: PRNGKeyArray, process: Process, setting: Setting) -> Task:
    """Words, all if they are few, and what probes look for: beliefs, slow and fast clock, and shuffled beliefs."""
    words, shuffle = jax.random.split(key)
    few = process.vocab_size**setting.words <= _LISTED
    rows = reading.rows(words, process, setting.words, most=_LISTED if few else _DRAWN)
    targets = {"belief": rows.beliefs}
    if setting.clocks is not None:
        pairs = rows.beliefs.reshape(-1, *setting.clocks)
        targets |= {"slow clock": pairs.sum(2), "fast clock": pairs.sum(1)}
    targets["shuffled"] = np.asarray(probes.shuffle_beliefs(shuffle, rows.beliefs, rows.length))
    folds, constant = held_out_folds(rows), nothing(rows)
    if not few:
        at, real = even(folds)
        rows, folds = rows_at(rows, at, real), folds[at]
        targets = {name: one[at] for name, one in targets.items()}
    return Task(rows, folds, targets, constant)


def even(folds: Int[np.ndarray, " row"]) -> tuple[Int[np.ndarray, " place"], np.ndarray]:
    """A row for each place of folds of equal size, a power of two, and whether it counts.

    Drawn words have as many prefixes as chance has it; the folds are filled so that one program serves many draws.

    >>> [one.tolist() for one in even(np.array([0, 0, 0, 1, -1]))]
    [[4, 0, 1, 2, 0, 3, 3, 3, 3], [True, True, True, True, False, True, False, False, False]]
    """
    members = [np.flatnonzero(folds == fold) for fold in range(-1, folds.max() + 1)]
    up = lambda count: 1 << int(np.ceil(np.log2(max(count, 1))))
    sizes = [up(len(members[0])), *[up(max(map(len, members[1:])))] * (len(members) - 1)]
    at = [np.resize(own, size) for own, size in zip(members, sizes, strict=True)]
    real = [np.arange(size) < len(own) for own, size in zip(members, sizes, strict=True)]
    return np.concatenate(at), np.concatenate(real)


def rows_at(rows: Rows, at: np.ndarray, real: np.ndarray) -> Rows:
    """Rows in places, those that only fill a fold without weight."""
    moved = {name: getattr(rows, name)[at] for name in ("word", "position", "length", "counts", "probabilities")}
    moved |= {"counts": moved["counts"] * real, "probabilities": moved["probabilities"] * real}
    return rows._replace(**moved, beliefs=rows.beliefs[at], laws=rows.laws[at])


def of_network(network: Reading, task: Task) -> dict[str, float]:
    """One network: the gap (nats a token), its share of knowing nothing, and 1 - R2 of each probe."""
    gap = float(reading.loss_gap(task.rows, network.log_laws).mean())
    features, weights = network.features["last block"], task.rows.probabilities
    by_size: dict[int, list[str]] = {}
    for name, target in task.targets.items():
        by_size.setdefault(target.shape[1], []).append(name)
    errors = {}
    for names in by_size.values():
        sets = np.stack([task.targets[name] for name in names])
        r2 = cross_validated_r2(features, sets, task.folds, weights)
        errors |= dict(zip(names, (1 - np.asarray(r2, np.float64)).tolist(), strict=True))
    return {"gap": gap, "share": gap / task.nothing, **errors}


def nothing(rows: Rows) -> float:
    """The gap of the best constant law, with each length counting equally."""
    shares = rows.probabilities / rows.probabilities.sum()
    entropy = lambda laws: -np.where(laws > 0, laws * np.log(np.where(laws > 0, laws, 1)), 0).sum(-1)
    return float(entropy(shares @ rows.laws) - shares @ entropy(rows.laws))


def last_block(activations: dict[str, Array]) -> dict[str, Array]:
    """The residual after the last block."""
    return {"last block": activations["resid_post"][-1]}
