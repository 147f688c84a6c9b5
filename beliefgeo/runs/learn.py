"""Networks learn a process: data, optimiser and folder in one call; the same call later continues or only loads."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Int, PRNGKeyArray

from beliefgeo.learning.budget import Budget
from beliefgeo.learning.data import batches
from beliefgeo.learning.optimizers import follows_steps, numbers_of, optimizer_of
from beliefgeo.learning.parts import require_start
from beliefgeo.learning.training import training
from beliefgeo.networks.network import Network, predicted_tokens
from beliefgeo.networks.recurrent import Recurrent, RecurrentConfig
from beliefgeo.networks.transformer import Transformer, TransformerConfig
from beliefgeo.processes.process import Observer, Process, vocabulary
from beliefgeo.reading.each import Checkpoint
from beliefgeo.runs import hosts, resumable
from beliefgeo.runs.code import training_code
from beliefgeo.runs.folder import differences, digest, open_run, read_config
from beliefgeo.runs.identity import identity
from beliefgeo.runs.load import History, history
from beliefgeo.runs.outputs import plain
from beliefgeo.runs.progress import Log

NETWORKS = Path("runs/networks")
"""The folder of networks that are trained once for every caller that asks for them."""

AnyNetwork = TransformerConfig | RecurrentConfig | Network
NamedOptimizer = tuple[str, optax.GradientTransformation]
"""The name for the record, and the transformation."""


class Learned(NamedTuple):
    """Networks that learnt one process, and the record of their training.

    Attributes:
        network: The network, without parameters.
        checkpoints: The untrained networks, log-spaced snapshots, the trained networks; params `[seed, ...]`.
        history: Its losses while it learnt.
        tokens: The number of training tokens of one network after each chunk.
        folder: Where it is kept.
        reused: Whether the folder already held the finished training.
    """

    network: Network
    checkpoints: list[Checkpoint]
    history: History
    tokens: Int[np.ndarray, " chunk"]
    folder: Path
    reused: bool

    @property
    def trained(self) -> Checkpoint:
        """The networks at the end."""
        return self.checkpoints[-1]

    @property
    def untrained(self) -> Checkpoint:
        """The same networks before the first step."""
        return self.checkpoints[0]


def learn(
    key: PRNGKeyArray,
    process: Observer,
    network: AnyNetwork,
    budget: Budget,
    *,
    context: int,
    bos: bool = False,
    optimizer: NamedOptimizer | None = None,
    start: Any = None,
    folder: str | Path | None = None,
    root: str | Path = NETWORKS,
    log: Log | None = None,
) -> Learned:
    """Train networks to predict the next token; continue, or only load, if the folder holds the same training.

    Args:
        key: gives every seed a key of its own.
        process: the process to learn. The record identifies it by the digests of its arrays, its fields and its types
            (their code by name only).
        network: the sizes of one of our networks, or anything with `init` and `apply` (see `networks.network`), which
            the record identifies by its class, its plain fields and the shapes of its params.
        budget: how long to train, and how many seeds.
        context: the number of predictions scored in each sequence. Without a BOS the network reads tokens 1..context
            and predicts 2..context + 1; with a BOS it reads the BOS and 1..context - 1, and predicts 1..context.
        bos: whether to prepend the token V, one beyond the vocabulary of the process.
        optimizer: (name, any optax transformation), instead of the budget's; the record keeps the name, and
            a digest of the numbers in its update, such as its rate.
        start: the params that the networks begin with, `[seed, ...]`, such as those of a training before; None in place
            of params that are drawn (see `learning.without`). Default: all are drawn.
        folder: a folder for this training alone. Default: a folder in `root` named by a digest of all of the above and
            of the code that trains, so that callers that ask for the same networks train them once.
        root: the folder of these folders.
        log: called after every chunk of steps as `log(metrics, step=step)`, the signature of `log` in wandb and
            trackio; metrics are numbers by name (see `progress.logged`). What was trained before is not logged again.

    Raises:
        ValueError: the folder holds another training; the vocabularies of network and process differ; no such budget;
            a start of other shapes than the network's params.
        TypeError: a process whose content cannot be recorded; a network without `init` and `apply`.
    """
    options = {"context": context, "bos": bos, "optimizer": optimizer, "folder": folder, "root": root, "log": log}
    starts = None if start is None else [start]
    (learned,) = learn_several(key, [process], network, budget, starts=starts, **options)
    return learned


def learn_several(
    key: PRNGKeyArray,
    processes: Sequence[Observer],
    network: AnyNetwork,
    budget: Budget,
    *,
    context: int,
    bos: bool = False,
    optimizer: NamedOptimizer | None = None,
    starts: Sequence[Any] | None = None,
    folder: str | Path | None = None,
    root: str | Path = NETWORKS,
    log: Log | None = None,
) -> list[Learned]:
    """`learn` for several processes of one shape in one program; each process has `budget.seeds` networks of its own.

    The starts are those of each process; all have None in the same places.

    Raises:
        ValueError: as `learn`; or no processes, or processes of different shapes.
    """
    if not processes:
        raise ValueError("learn_several needs a process or more; got none")
    built, alone, lanes = _built(network), len(processes) == 1, len(processes) * budget.seeds
    # A single process is a constant of the program; several processes are its arguments, a process for each network.
    sources = None if alone else _side_by_side(processes, budget.seeds)
    draw = batches(processes[0] if alone else None, budget, context=context, bos=bos)
    one = jax.eval_shape(draw, key, jax.tree.map(lambda leaf: leaf[0], sources), jnp.int32(0)).tokens
    read = jax.ShapeDtypeStruct((context,), jnp.int32)
    abstract = jax.eval_shape(built.init, key, read)
    if (predicted := predicted_tokens(built, abstract, read)) != (needed := vocabulary(processes[0]) + bos):
        raise ValueError(f"vocab_size must be {needed}, the tokens{' and BOS' * bos} of the process; got {predicted}")
    start = begin = None
    if starts is not None:
        for given in starts:
            require_start(given, abstract, budget.seeds)
        start = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *starts)
        sources, begin, of_process = (sources, start), lambda source: source[1], draw
        draw = lambda key, source, step: of_process(key, source[0], step)
    per_step = context * one.shape[0]
    plan = resumable.Plan(budget.steps, budget.chunk, per_step, budget.snapshots, lanes)
    record = {
        "process": {str(index): identity(process, f"process {index}") for index, process in enumerate(processes)},
        "network": _record(network, abstract),
        "budget": plain(budget) | (_named(*optimizer, abstract) if optimizer else {}),
        "context": context,
        "bos": bos,
        "seeds": lanes,
        "key": identity(key),
    }
    if start is not None:
        record["start"] = identity(start)
    if optimizer or not follows_steps(budget):  # more steps may continue this training
        record["budget"] |= {"steps": "any", "snapshots": "any"}
    where = Path(folder) if folder else _home(Path(root), record, budget.steps)
    _require_continued(where, record, budget)
    folder = open_run(where, record)
    hosts.by_first(lambda: _save_processes(folder, processes))
    made = optimizer[1] if optimizer else optimizer_of(budget)
    trainer = training(built, made, draw, steps=budget.chunk, numbered=True, start=begin)
    reused = resumable.reached(folder) == budget.steps
    resumable.train(folder, trainer, key, plan, sources, log=log)
    snapshots = resumable.snapshots(folder, trainer, key, plan, sources)
    by_process = [[] for _ in processes]
    for step, params in snapshots:
        split = jax.tree.map(lambda leaf: leaf.reshape(len(processes), budget.seeds, *leaf.shape[1:]), params)
        for index, checkpoints in enumerate(by_process):
            own = jax.tree.map(lambda leaf, index=index: leaf[index], split)
            checkpoints.append(Checkpoint(built, own, step * per_step))
    past = history(folder)
    own = lambda values, index: values.reshape(len(values), len(processes), budget.seeds)[:, index]
    return [
        Learned(
            built,
            checkpoints,
            past._replace(loss=own(past.loss, index), excess=own(past.excess, index)),
            past.step * per_step,
            folder,
            reused,
        )
        for index, checkpoints in enumerate(by_process)
    ]


def _named(name: str, made: optax.GradientTransformation, params: Any) -> dict[str, str]:
    return {"optimizer": name, "numbers of the optimizer": digest(numbers_of(made, params))}


def _save_processes(folder: Path, processes: Sequence[Observer]) -> None:
    """Write processes/0.json, ... for `beliefgeo explore`; a process that cannot be written is given there instead."""
    for index, process in enumerate(processes):
        path = folder / f"processes/{index}.json"
        if isinstance(process, Process) and not path.exists():
            with contextlib.suppress(TypeError, OSError):  # names that JSON cannot hold; a folder that is only read
                path.parent.mkdir(exist_ok=True)
                process.save(incomplete := path.with_name(f"partial {index}.json"))
                incomplete.replace(path)


def _home(root: Path, record: dict[str, Any], steps: int) -> Path:
    """The folder that the record's digest names; another folder if that one holds a longer training."""
    home = root / digest([record, training_code()])
    return root / digest([record, training_code(), steps]) if (resumable.reached(home) or 0) > steps else home


def _require_continued(folder: Path, record: dict[str, Any], budget: Budget) -> None:
    """Raise if the folder holds the same training with another number of steps, and the schedule depends on it."""
    if not (folder / "config.json").exists() or not isinstance(record["budget"]["steps"], int):
        return
    held = read_config(folder)
    steps = held.get("budget", {}).get("steps")
    same = held | {"budget": held.get("budget", {}) | {"steps": budget.steps, "snapshots": budget.snapshots}}
    if steps != budget.steps and not differences(same, record):
        raise ValueError(
            f"{folder} was trained for {steps} steps and cannot go on to {budget.steps}, as {budget.optimizer}'s rate "
            f"follows a cosine over its {steps} steps: train anew in another folder, or with adam, adamw or sgd, whose "
            "rate stays"
        )


def _built(network: AnyNetwork) -> Network:
    if isinstance(network, TransformerConfig):
        return Transformer(network)  # pyright: ignore[reportReturnType]
    if isinstance(network, RecurrentConfig):
        return Recurrent(network)  # pyright: ignore[reportReturnType]
    if not isinstance(network, Network):
        raise TypeError(
            f"a network has init(key, tokens) and apply(params, tokens, edit=None); got {type(network).__name__}: "
            "adapt an equinox or nnx module by networks.from_equinox or from_nnx"
        )
    return network


def _record(network: AnyNetwork, params: Any) -> Any:
    """What identifies a network: the sizes of our own; the class, shapes and plain fields of any other."""
    if isinstance(network, TransformerConfig | RecurrentConfig):
        return plain(network)
    shapes = {
        jax.tree_util.keystr(path, simple=True, separator="."): list(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    }
    try:
        told = identity(network, "network")
    except TypeError:  # the network holds functions, and only their names are known
        told = f"{type(network).__module__}.{type(network).__qualname__}"
    return {"class": told, "params": shapes}


def _side_by_side(processes: Sequence[Observer], seeds: int) -> Any:
    """The processes stacked, each leaf `[process * seed, ...]`."""
    shapes = [(jax.tree.structure(one), [np.shape(leaf) for leaf in jax.tree.leaves(one)]) for one in processes]
    for index, one in enumerate(processes):
        opaque = not all(isinstance(leaf, jax.typing.ArrayLike) for leaf in jax.tree.leaves(one))
        if opaque or shapes[index] != shapes[0]:
            why = "its arrays are not known to jax" if opaque else "its type or shapes are not those of process 0"
            raise ValueError(
                f"several processes are learnt in one program as one stack of arrays; process {index} does not fit, "
                f"{why}: learn it alone"
            )
    return jax.tree.map(lambda *leaves: jnp.repeat(jnp.stack(leaves), seeds, 0), *processes)
