"""Training that may stop at any moment: every step counts once, whatever the interruptions."""

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jaxtyping import Array, Bool, Key, PRNGKeyArray

from beliefgeo.learning.sharding import spread
from beliefgeo.learning.training import Metrics, Training, TrainState
from beliefgeo.runs import hosts
from beliefgeo.runs.checkpoints import (
    DamagedCheckpoint,
    open_checkpoints,
    read_about,
    read_checkpoints,
    remove_damaged,
    restore_checkpoint,
    restore_params,
    save_checkpoint,
)
from beliefgeo.runs.folder import differences, read_config
from beliefgeo.runs.guards import interruption, lock
from beliefgeo.runs.identity import identity
from beliefgeo.runs.outputs import versions
from beliefgeo.runs.progress import Log, Reporter, logged
from beliefgeo.runs.progress import Plan as Plan

# A network whose loss is ten times that of the untrained network has diverged.
_DIVERGED = 10

# The part of the time that saving takes, besides the snapshots. (Twenty saves a run took longer than small networks.)
SAVING = 1 / 20


def train(
    folder: Path,
    training: Training,
    key: PRNGKeyArray,
    plan: Plan,
    sources: Any = None,
    *,
    shard_params: bool = False,
    log: Log | None = None,
) -> TrainState:
    """Train to the end of the plan, all seeds in one program; continue where an earlier call stopped.

    Training runs on all devices of all processes (see `learning.sharding`); an earlier call may have had other devices.

    It ends with the same parameters, bit for bit, whether or not it was interrupted: chunks begin at multiples of
    `plan.chunk`, and a checkpoint holds everything a later step depends on, except the sources. If the latest
    checkpoint is damaged, `train` says so and continues from the checkpoint before it. Ctrl-C (or SIGTERM) finishes the
    chunk and saves; a second signal stops at once.

    Args:
        folder: from `open_run`.
        training: from `training`, the same in every call: no record says what its functions compute.
        key: gives every seed a key of its own.
        plan: how far to train.
        sources: what each seed's data are drawn from, seeds on a leading axis of every leaf.
        shard_params: spread parameters and optimiser state over the devices, if they are too large for one device.
        log: called after every chunk as `log(metrics, step=step)`, such as `trackio.log` or a wandb run's `log`; see
            `progress.logged`. Of several processes the first calls it.

    Returns:
        The last state, its leaves `[seed, ...]` spread over the devices; `snapshots` gives parameters in one place.

    Raises:
        FloatingPointError: the loss or a parameter is no longer finite, or the loss is ten times the loss at the start;
            the last good checkpoint stays.
        KeyboardInterrupt: an interrupt, after saving.
        OSError: the folder can no longer be written; the last good checkpoint stays.
        ValueError: another process trains in this folder; a newer beliefgeo has trained in it; it was trained with
            another key, sources, network or optimiser; it was trained further than this plan, or to a step between its
            chunks; or chunks of another length.
    """
    given = {"key": identity(key), "sources": identity(sources)}
    kept, keys = plan.snapshot_steps(), _seed_keys(key, plan)
    init, advance, abstract = spread(training, keys, sources, shard_params=shard_params)
    with lock(folder), interruption() as interrupted:
        hosts.by_first(lambda: remove_damaged(folder / "checkpoints"))
        with open_checkpoints(folder / "checkpoints", kept) as manager:
            good = manager.latest_step()
            began = time.perf_counter()
            if good is None:
                state, good = init(keys, sources), 0
                _save(manager, state, 0, folder, None, given)
            else:
                _require_same(folder, good, given)
                _require_on_the_way(folder, good, plan)
                state = restore_checkpoint(manager, good, abstract)
                state = state._replace(source=jax.device_put(sources, _shardings(abstract.source)))
            hosts.by_first(lambda: _truncate_history(folder, good))
            if good == plan.steps:
                return state
            saved = time.perf_counter()
            took = saved - began  # to load takes about as long as to save
            with Reporter(plan, good) as report:
                for step in range(good + plan.chunk, plan.steps + 1, plan.chunk):
                    began = time.perf_counter()
                    state, metrics = jax.block_until_ready(advance(state))
                    metrics = jax.tree.map(np.asarray, metrics)
                    if metrics.loss.shape[1] != plan.chunk:
                        raise ValueError(
                            f"training advances by {metrics.loss.shape[1]} steps, the plan by chunks of {plan.chunk}: "
                            "give both the same"
                        )
                    _require_learning(state, metrics, step, good, folder)
                    report(step, metrics)
                    seconds = time.perf_counter() - began
                    hosts.by_first(partial(_append_history, folder, step, metrics, seconds))
                    stop = hosts.any_of(interrupted.is_set())
                    due = hosts.any_of(SAVING * (time.perf_counter() - saved) > took)
                    if step in kept or step == plan.steps or due or stop:
                        began = time.perf_counter()
                        _save(manager, state, step, folder, good, given)
                        good, saved = step, time.perf_counter()
                        took = saved - began
                    if log is not None and hosts.first():
                        log(logged(metrics), step=step)
                    if stop and step < plan.steps:
                        raise KeyboardInterrupt(f"stopped after step {step:,}, which is saved in {folder}")
    return state


def reached(folder: Path) -> int | None:
    """The last step that is saved in the folder; None if no step is saved."""
    if not (folder / "checkpoints").exists():
        return None
    with read_checkpoints(folder / "checkpoints") as manager:
        return manager.latest_step()


def snapshots(
    folder: Path, training: Training, key: PRNGKeyArray, plan: Plan, sources: Any = None
) -> Iterator[tuple[int, Any]]:
    """(step, params with a leading seed axis) of each snapshot, the untrained network first; arguments as in `train`.

    If a longer plan continued a training, only the snapshots that the earlier plan kept exist for the earlier steps.
    """
    abstract = jax.eval_shape(jax.vmap(training.init), _seed_keys(key, plan), sources).params
    given = {"key": identity(key), "sources": identity(sources)}
    with read_checkpoints(folder / "checkpoints") as manager:
        saved = manager.all_steps()
        for step in [step for step in plan.snapshot_steps() if step in saved]:
            try:
                params = restore_params(manager, step, abstract)
            except DamagedCheckpoint as error:
                raise ValueError(
                    f"{error}: remove the checkpoints of this and all later steps, and the same command trains them "
                    "again"
                ) from error
            _require_same(folder, step, given)
            yield step, params


def _seed_keys(key: PRNGKeyArray, plan: Plan) -> Key[Array, " seed"]:
    """A key for each seed; a seed's key does not depend on the number of seeds."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(plan.seeds))


def _shardings(abstract: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.sharding, abstract)


def _require_same(folder: Path, step: int, given: dict[str, Any]) -> None:
    """Raise ValueError unless the checkpoint came from this key and these sources."""
    held = read_about(folder / "checkpoints", step)
    if unsaid := [name for name in given if name not in held]:
        raise ValueError(
            f"an earlier beliefgeo trained in {folder} and did not record the {' and '.join(unsaid)}, so it may be "
            "another run: choose another folder"
        )
    if differing := differences({name: held[name] for name in given}, given):
        raise ValueError(f"{folder} was trained from other data ({differing}): choose another folder")


def _require_on_the_way(folder: Path, step: int, plan: Plan) -> None:
    """Raise ValueError unless the plan passes the step that the folder has reached."""
    if step > plan.steps or step % plan.chunk:
        raise ValueError(
            f"{folder} has been trained for {step} steps, which a plan of {plan.steps} steps in chunks of {plan.chunk} "
            "does not pass: choose another folder or plan"
        )


def _save(
    manager: ocp.CheckpointManager,
    state: TrainState,
    step: int,
    folder: Path,
    good: int | None,
    given: dict[str, Any],
) -> None:
    about = {"config": read_config(folder), "versions": versions(), **given}
    try:
        save_checkpoint(manager, state, step, about)
    except (OSError, ValueError) as error:  # the type depends on the library that failed to write
        kept = "nothing was saved before" if good is None else f"the last good checkpoint, step {good}, is intact"
        reason = str(error).splitlines()[0][:200]
        raise OSError(
            f"cannot save step {step} in {folder} ({reason}); {kept}: make room or the folder writable, "
            "and the same command continues"
        ) from error


@jax.jit
def _finite(params: Any) -> Bool[Array, ""]:
    return jnp.array([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]).all()


def _require_learning(state: TrainState, metrics: Metrics, last: int, good: int, folder: Path) -> None:
    """Stop before a bad state is saved; a finite loss may still leave parameters that are not finite."""
    loss = np.asarray(metrics.loss)
    kept = f"the last good checkpoint, step {good}, stays in {folder}: lower the learning rate"
    bad = ~np.isfinite(loss)
    if bad.any() or not _finite(state.params):
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
    """Remove the lines after the checkpoint (the last may be half written): those chunks will be trained again."""
    path, incomplete = folder / "history.jsonl", folder / "history.partial"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    whole = [line for line in lines if line.endswith("\n")]
    incomplete.write_text("".join(line for line in whole if json.loads(line)["step"] <= step))
    incomplete.replace(path)
