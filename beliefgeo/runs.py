"""A run folder: configuration, checkpoints, history, metrics. With `checkpoints` and `guards`, all that touches disk.

folder/
  config.json      what was asked for
  checkpoints/     the latest two states, and log-spaced snapshots for studying emergence
  history.jsonl    loss and excess of every chunk of steps
  lock             held by the process that trains
  metrics.json     written when the experiment has finished
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jaxtyping import Array, Float, Key, PRNGKeyArray
from matplotlib.animation import FuncAnimation, writers
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from beliefgeo import hosts
from beliefgeo.checkpoints import (
    DamagedCheckpoint,
    open_checkpoints,
    read_checkpoints,
    remove_damaged,
    restore_checkpoint,
    restore_params,
    save_checkpoint,
)
from beliefgeo.guards import interruption, lock
from beliefgeo.networks.recurrent import Recurrent, RecurrentConfig
from beliefgeo.networks.sharding import spread
from beliefgeo.networks.training import Metrics, Training, TrainState
from beliefgeo.networks.transformer import Activations, Transformer, TransformerConfig
from beliefgeo.processes.process import ArrayLike
from beliefgeo.progress import Plan as Plan
from beliefgeo.progress import Reporter

# A network that does ten times worse than untrained has diverged.
_DIVERGED = 10


class LoadedRun(NamedTuple):
    """A trained network: call it with tokens `[time]` for `(logits, activations)`."""

    config: dict[str, Any]
    network: nn.Module
    params: Any
    step: int

    def __call__(self, tokens: ArrayLike) -> tuple[Float[Array, "time vocab"], Activations]:
        """Read one sequence."""
        return self.network.apply(self.params, jnp.asarray(tokens))  # pyright: ignore[reportReturnType]


def run_folder(root: str | Path, preset: str, config: Any) -> Path:
    """root/preset-digest, where equal configurations (dataclasses) have equal digests.

    Raises:
        ValueError: a preset that is no plain name, and might lead out of root.
    """
    if not re.fullmatch(r"\w[\w.-]*", preset):
        raise ValueError(f"the name of a run must be letters, digits, '_', '-' and '.'; got {preset!r}")
    text = json.dumps(dataclasses.asdict(config), sort_keys=True)
    return Path(root) / f"{preset}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def open_run(folder: str | Path, config: Any) -> Path:
    """Make the folder for this configuration, or enter it again.

    Raises:
        ValueError: the folder holds a run of another configuration (nothing is touched), or cannot be written.
    """
    folder, asked = Path(folder), json.loads(json.dumps(dataclasses.asdict(config)))
    hosts.by_first(lambda: _enter(folder, asked))
    return folder


def _enter(folder: Path, asked: dict[str, Any]) -> None:
    recorded = folder / "config.json"
    try:
        if recorded.exists():
            held = _read_config(folder)
            differing = [name for name in _flat(asked) | _flat(held) if _flat(asked).get(name) != _flat(held).get(name)]
            if differing:
                fields = "; ".join(f"{n} is {_flat(held).get(n)}, asked for {_flat(asked).get(n)}" for n in differing)
                raise ValueError(f"{folder} holds a run of another configuration ({fields}): choose another folder")
            return
        folder.mkdir(parents=True, exist_ok=True)
        if any(path.name != "config.partial" for path in folder.iterdir()):  # which a killed process may leave
            raise ValueError(f"{folder} is not empty and holds no run (no config.json): choose another folder")
        write_json(recorded, asked)
    except OSError as error:
        raise ValueError(f"cannot write the run folder {folder}: {error.strerror or error}; choose another") from error


def train(
    folder: Path,
    training: Training,
    key: PRNGKeyArray,
    plan: Plan,
    sources: Any = None,
    *,
    shard_params: bool = False,
) -> TrainState:
    """Train to the end of the plan, all seeds in one program; continue where an earlier call stopped.

    On all devices of all processes (see `networks.sharding`); an earlier call may have had others.

    Ends with the same parameters bit for bit whether or not it was interrupted: chunks begin at multiples of
    `plan.chunk`, and a checkpoint holds everything a later step depends on, but the sources. Where the latest
    checkpoint is damaged, that is said and the one before it taken. Ctrl-C (or SIGTERM) finishes the chunk and saves; a
    second one stops at once.

    Args:
        folder: from `open_run`.
        training: from `training`.
        key: gives every seed its own.
        plan: how far.
        sources: what each seed's data are drawn from, seeds on a leading axis of every leaf; the same every call.
        shard_params: spread parameters and optimiser state over the devices, where they are too large for each.

    Returns:
        The last state, its leaves `[seed, ...]` spread over the devices; `snapshots` gives parameters in one place.

    Raises:
        FloatingPointError: the loss or a parameter is no longer finite, or the loss ten times that of the start; the
            last good checkpoint stays.
        KeyboardInterrupt: when interrupted, after saving.
        OSError: the folder can no longer be written; the last good checkpoint stays.
        ValueError: another process trains in this folder, or a newer beliefgeo has.
    """
    kept, keys = plan.snapshot_steps(), _seed_keys(key, plan)
    init, advance, abstract = spread(training, keys, sources, shard_params=shard_params)
    with lock(folder), interruption() as interrupted:
        hosts.by_first(lambda: remove_damaged(folder / "checkpoints"))
        with open_checkpoints(folder / "checkpoints", kept) as manager:
            good = manager.latest_step()
            if good is None:
                state, good = init(keys, sources), 0
                _save(manager, state, 0, folder, None)
            else:
                state = restore_checkpoint(manager, good, abstract)
                state = state._replace(source=jax.device_put(sources, _shardings(abstract.source)))
            hosts.by_first(lambda: _truncate_history(folder, good))
            if good == plan.steps:
                return state
            with Reporter(plan, good) as report:
                for step in range(good + plan.chunk, plan.steps + 1, plan.chunk):
                    began = time.perf_counter()
                    state, metrics = jax.block_until_ready(advance(state))
                    metrics = jax.tree.map(np.asarray, metrics)
                    _require_learning(state, metrics, step, good, folder)
                    report(step, metrics)
                    seconds = time.perf_counter() - began
                    hosts.by_first(partial(_append_history, folder, step, metrics, seconds))
                    stop = hosts.any_of(interrupted.is_set())
                    # Twenty chances to resume, beside the snapshots.
                    twentieth = plan.chunk * max(1, plan.steps // plan.chunk // 20)
                    if step in kept or step == plan.steps or step % twentieth == 0 or stop:
                        _save(manager, state, step, folder, good)
                        good = step
                    if stop and step < plan.steps:
                        raise KeyboardInterrupt(f"stopped after step {step:,}, which is saved in {folder}")
    return state


def snapshots(
    folder: Path, training: Training, key: PRNGKeyArray, plan: Plan, sources: Any = None
) -> Iterator[tuple[int, Any]]:
    """(step, params with a leading seed axis) of each snapshot, the untrained one first; arguments as in `train`."""
    abstract = jax.eval_shape(jax.vmap(training.init), _seed_keys(key, plan), sources).params
    with read_checkpoints(folder / "checkpoints") as manager:
        for step in plan.snapshot_steps():
            try:
                params = restore_params(manager, step, abstract)
            except DamagedCheckpoint as error:
                raise ValueError(
                    f"{error}: remove the checkpoints of this and all later steps, and the same command trains them "
                    "again"
                ) from error
            yield step, params


def load_run(folder: str | Path, *, seed: int = 0, step: int | None = None) -> LoadedRun:
    """The network of a run folder, at its last step or at a snapshot.

    >>> run = load_run("runs/mess3/default-12345678")  # doctest: +SKIP
    >>> logits, activations = run(jnp.array([0, 1, 2, 0]))  # doctest: +SKIP

    Raises:
        ValueError: no run there, no such step or seed, or a damaged checkpoint.
    """
    folder = Path(folder)
    if not (folder / "config.json").exists():
        raise ValueError(f"{folder} holds no run (no config.json): give the folder that an experiment printed")
    config = _read_config(folder)
    network = network_of(config["network"])
    with read_checkpoints(folder / "checkpoints") as manager:
        steps = sorted(manager.all_steps())
        step = max(steps, default=None) if step is None else step
        if step is None or step not in steps:
            raise ValueError(f"{folder} has checkpoints at steps {steps}; got step={step}")
        seeds = config["seeds"]
        if not 0 <= seed < seeds:
            raise ValueError(f"{folder} has seeds 0..{seeds - 1}; got seed={seed}")
        params = jax.eval_shape(
            jax.vmap(network.init, (0, None)), jax.random.split(jax.random.key(0), seeds), jnp.zeros(1, int)
        )
        params = restore_params(manager, step, params)
    return LoadedRun(config, network, jax.tree.map(lambda leaf: leaf[seed], params), step)


def network_of(sizes: dict[str, Any]) -> Transformer | Recurrent:
    """The network that a `config.json` describes."""
    if "cell" in sizes:
        return Recurrent(RecurrentConfig(**sizes))
    return Transformer(TransformerConfig(**sizes))


def history(folder: Path) -> dict[str, np.ndarray]:
    """`step [chunk]`, and `loss`, `excess` `[chunk, seed]` averaged over each chunk of steps, `seconds [chunk]`."""
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return {name: np.array([line[name] for line in lines]) for name in ("step", "loss", "excess", "seconds")}


def write_json(path: Path, content: Any) -> None:
    """Write whole or not at all, so that an interrupt leaves the old file; NumPy and JAX arrays become lists.

    This, `save_figure` and `save_movie` do nothing in any process but the first.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, (np.ndarray, np.generic, jax.Array)):
            return np.asarray(value).tolist()
        raise TypeError(f"{type(value).__name__} cannot be written as JSON")

    if not hosts.first():
        return
    incomplete = path.with_suffix(".partial")
    text = json.dumps(content, indent=2, default=plain)
    incomplete.write_text(text + "\n")
    incomplete.replace(path)


def versions() -> dict[str, str]:
    """The versions a result depends on."""
    names = ("beliefgeo", "jax", "jaxlib", "flax", "optax", "equinox", "numpy", "orbax-checkpoint")
    return {name: importlib.metadata.version(name) for name in names}


def device() -> str:
    """What the numbers were computed on."""
    first = jax.devices()[0]
    count = f"{os.cpu_count()} cores" if first.platform == "cpu" else f"{jax.device_count()} devices"
    return f"{first.device_kind}, {count}"


def save_figure(path: Path, figure: Figure) -> None:
    """Write a figure; the suffix says in which format."""
    if hosts.first():
        figure.savefig(path)


def save_movie(path: Path, movie: FuncAnimation, *, frames_per_second: int = 2) -> Path:
    """Write an animation as MP4 where ffmpeg exists, else as GIF; the suffix says which."""
    mp4 = writers.is_available("ffmpeg")
    path = path.with_suffix(".mp4" if mp4 else ".gif")
    if hosts.first():
        movie.save(path, writer="ffmpeg" if mp4 else "pillow", fps=frames_per_second, dpi=110)
    return path


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on the terminal."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _seed_keys(key: PRNGKeyArray, plan: Plan) -> Key[Array, " seed"]:
    """One key a seed, the same for a seed however many there are."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(plan.seeds))


def _shardings(abstract: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.sharding, abstract)


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / "config.json").read_text())
    except ValueError as error:
        raise ValueError(f"{folder / 'config.json'} is damaged ({error}): choose another folder") from error


def _save(manager: ocp.CheckpointManager, state: TrainState, step: int, folder: Path, good: int | None) -> None:
    about = {"config": _read_config(folder), "versions": versions()}
    try:
        save_checkpoint(manager, state, step, about)
    except (OSError, ValueError) as error:  # which of them depends on the library that failed to write
        kept = "nothing was saved before" if good is None else f"the last good checkpoint, step {good}, is intact"
        reason = str(error).splitlines()[0][:200]
        raise OSError(
            f"cannot save step {step} in {folder} ({reason}); {kept}: make room or the folder writable, "
            "and the same command continues"
        ) from error


def _require_learning(state: TrainState, metrics: Metrics, last: int, good: int, folder: Path) -> None:
    """Stop before anything bad is saved; a finite loss may still leave parameters that are not finite."""
    loss = np.asarray(metrics.loss)
    kept = f"the last good checkpoint, step {good}, stays in {folder}: lower the learning rate"
    bad = ~np.isfinite(loss)
    if bad.any() or not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state.params)):
        step = last - loss.shape[1] + 1 + int(bad.any(0).argmax()) if bad.any() else last
        raise FloatingPointError(f"the loss is no longer finite at step {step}; {kept}")
    with (folder / "history.jsonl").open() as file:
        line = file.readline()
    first = np.array(json.loads(line)["loss"]) if line else loss[:, 0]
    if (loss.mean(1) > _DIVERGED * first).any():
        seed = int((loss.mean(1) / first).argmax())
        raise FloatingPointError(
            f"the loss has diverged: {loss.mean(1)[seed]:.3g} nats at step {last}, {first[seed]:.3g} at first; {kept}"
        )


def _append_history(folder: Path, step: int, metrics: Metrics, seconds: float) -> None:
    means = {name: np.asarray(value).mean(1).tolist() for name, value in metrics._asdict().items()}
    try:
        with (folder / "history.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, **means, "seconds": seconds}) + "\n")
    except OSError as error:
        raise OSError(
            f"cannot write {folder / 'history.jsonl'} at step {step} ({error.strerror}); the checkpoints are intact: "
            "make room or the folder writable, and the same command continues"
        ) from error


def _truncate_history(folder: Path, step: int) -> None:
    """Forget chunks after the checkpoint, the last line perhaps half written: they will be trained again."""
    path, incomplete = folder / "history.jsonl", folder / "history.partial"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    whole = [line for line in lines if line.endswith("\n")]
    incomplete.write_text("".join(line for line in whole if json.loads(line)["step"] <= step))
    incomplete.replace(path)


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in nested.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat
