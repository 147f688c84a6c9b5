"""Checkpoints of a run (orbax), each with the checksums of its files: damage is found before the checkpoint is used.

checkpoints/1200/
  params/ rest/      the state: parameters; optimiser state, step and key
  about/             the configuration, versions and data that made it, and the shapes of its arrays
  checksums.json     SHA-256 of every other file, written last: without it a checkpoint is not whole
"""

import hashlib
import importlib.metadata
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.sharding import SingleDeviceSharding
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, CustomSteps, LatestN

from beliefgeo.learning.training import TrainState
from beliefgeo.runs import hosts

FORMAT = 1


class DamagedCheckpoint(ValueError):
    """The files of a checkpoint are not those that were written."""


def open_checkpoints(folder: Path, kept: Sequence[int]) -> ocp.CheckpointManager:
    """Open the checkpoints to write them; the steps `kept` and the latest two stay.

    The result is a context manager. One run opens it, with all its processes together.
    """
    options = ocp.CheckpointManagerOptions(
        preservation_policy=AnyPreservationPolicy([LatestN(2), CustomSteps(list(kept))]),
        enable_async_checkpointing=False,
        cleanup_tmp_directories=True,  # removes what a killed process had begun to write
    )
    return ocp.CheckpointManager(folder.absolute(), options=options)


def read_checkpoints(folder: Path) -> ocp.CheckpointManager:
    """Open the checkpoints to load them, even while a run writes them; every process opens them for itself."""
    alone = jax.process_index()
    options = ocp.CheckpointManagerOptions(
        create=False,
        multiprocessing_options=ocp.options.MultiprocessingOptions(
            primary_host=alone, active_processes={alone}, barrier_sync_key_prefix=f"reader {alone}"
        ),
    )
    return ocp.CheckpointManager(folder.absolute(), options=options)


def save_checkpoint(manager: ocp.CheckpointManager, state: TrainState, step: int, about: dict[str, Any]) -> None:
    """Save everything a later step depends on except the sources, and what made it, and its shapes.

    All processes take part.
    """
    rest = {"optimizer": state.optimizer, "step": state.step, "key": jax.random.key_data(state.key)}
    save = ocp.args.StandardSave
    about = about | {"shapes": _shapes({"params": state.params, "optimizer": state.optimizer})}
    # As NumPy's arrays where they can be: of others orbax takes a piece from each device, .5 s in place of .2.
    params, rest = jax.device_get((state.params, rest)) if jax.process_count() == 1 else (state.params, rest)
    items = ocp.args.Composite(params=save(params), rest=save(rest), about=ocp.args.JsonSave(about))
    manager.save(step, args=items)
    hosts.by_first(lambda: _write_checksums(Path(manager.directory) / str(step)))


def restore_checkpoint(manager: ocp.CheckpointManager, step: int, abstract: TrainState) -> TrainState:
    """The state saved at `step`, shaped and sharded like `abstract`, on any devices; its source is left out.

    Raises:
        ValueError: a checkpoint that is damaged, of a newer format, or of other shapes.
    """
    check_files(Path(manager.directory) / str(step))
    _require_shapes(Path(manager.directory) / str(step), params=abstract.params, optimizer=abstract.optimizer)
    key = jax.eval_shape(jax.random.key_data, abstract.key).update(sharding=abstract.key.sharding)
    rest = {"optimizer": abstract.optimizer, "step": abstract.step, "key": key}
    restore = ocp.args.StandardRestore
    held = manager.restore(step, args=ocp.args.Composite(params=restore(abstract.params), rest=restore(rest)))
    params, rest = held["params"], held["rest"]
    return TrainState(params, rest["optimizer"], rest["step"], jax.random.wrap_key_data(rest["key"]))


def restore_params(manager: ocp.CheckpointManager, step: int, abstract: Any) -> Any:
    """The params saved at `step`, shaped like `abstract`, on this process; raises as `restore_checkpoint`."""
    check_files(Path(manager.directory) / str(step))
    _require_shapes(Path(manager.directory) / str(step), params=abstract)
    here = SingleDeviceSharding(jax.local_devices()[0])
    abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), abstract)
    return manager.restore(step, args=ocp.args.Composite(params=ocp.args.StandardRestore(abstract)))["params"]


def read_about(folder: Path, step: int) -> dict[str, Any]:
    """The record of what made the checkpoint, and the shapes of its arrays."""
    return json.loads((folder / str(step) / "about" / "metadata").read_text())


def _require_shapes(checkpoint: Path, **asked: Any) -> None:
    """Raise ValueError where an array of the checkpoint has another shape than the array asked for."""
    held = read_about(checkpoint.parent, int(checkpoint.name)).get("shapes")
    if held is None:  # saved by a version that did not save shapes
        return
    held = {name: shape for name, shape in held.items() if name.split(".")[0] in asked}
    found = _shapes(asked)
    if differing := [name for name in held | found if held.get(name) != found.get(name)]:
        raise ValueError(
            f"{checkpoint} holds another network, optimiser or number of seeds: {differing[0]} has shape "
            f"{held.get(differing[0])}, asked for {found.get(differing[0])} ({len(differing)} differ): give what was "
            "trained there, or choose another folder"
        )


def _shapes(tree: Any) -> dict[str, list[int]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): list(leaf.shape) for path, leaf in leaves}


def remove_damaged(folder: Path) -> None:
    """Remove damaged checkpoints, from the latest back to the first that is whole, and say so.

    Training repeats their steps, bit for bit.

    Raises:
        ValueError: the latest checkpoint is of a newer format.
    """
    for step in sorted((int(path.name) for path in folder.glob("[0-9]*") if path.name.isdigit()), reverse=True):
        try:
            check_files(folder / str(step))
            return
        except DamagedCheckpoint as error:
            print(f"{error}: going back to the checkpoint before it", flush=True)
            shutil.rmtree(folder / str(step))


def check_files(checkpoint: Path) -> None:
    """Raise ValueError unless every file of the checkpoint is as it was written, by a version that we can read."""
    try:
        written = json.loads((checkpoint / "checksums.json").read_text())
        version, form, files = written["beliefgeo"], int(written["format"]), dict(written["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedCheckpoint(f"{checkpoint} is damaged: its checksums.json is missing or unreadable") from error
    if form > FORMAT:
        raise ValueError(
            f"{checkpoint} has format {form}, written by beliefgeo {version}; this one reads formats up to {FORMAT}: "
            "update beliefgeo"
        )
    found = _checksums(checkpoint)
    for name in sorted(files.keys() | found.keys()):
        if files.get(name) != found.get(name):
            fault = "is missing" if name not in found else "is unknown" if name not in files else "has changed"
            raise DamagedCheckpoint(f"{checkpoint} is damaged: {name} {fault}")


def _write_checksums(checkpoint: Path) -> None:
    content = {"format": FORMAT, "beliefgeo": importlib.metadata.version("beliefgeo"), "files": _checksums(checkpoint)}
    (checkpoint / "checksums.json").write_text(json.dumps(content, indent=2))


def _checksums(checkpoint: Path) -> dict[str, str]:
    files = [path for path in checkpoint.rglob("*") if path.is_file() and path.name != "checksums.json"]
    return {path.relative_to(checkpoint).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
