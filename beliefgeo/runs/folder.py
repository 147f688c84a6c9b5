"""A run folder: it holds the configuration, and only a run of the same configuration may enter it again.

folder/
  config.json      the configuration
  processes/       the processes that are learnt, by number
  checkpoints/     the latest two states, and log-spaced snapshots for studying emergence
  history.jsonl    loss and excess of every chunk of steps
  lock             held by the process that trains
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from beliefgeo.runs import hosts
from beliefgeo.runs.outputs import plain, write_json


def digest(record: Any) -> str:
    """Eight letters that are equal for equal records, as `plain` writes them."""
    return hashlib.sha256(json.dumps(plain(record), sort_keys=True).encode()).hexdigest()[:8]


def run_folder(root: str | Path, preset: str, config: Any) -> Path:
    """root/preset-digest, where equal configurations (dataclasses) have equal digests.

    Raises:
        ValueError: a preset that is not a plain name, and so might lead out of root.
    """
    if not re.fullmatch(r"\w[\w.-]*", preset):
        raise ValueError(f"the name of a run must be letters, digits, '_', '-' and '.'; got {preset!r}")
    return Path(root) / f"{preset}-{digest(config)}"


def open_run(folder: str | Path, config: Any) -> Path:
    """Make the folder for this configuration, or enter it again.

    Args:
        folder: a folder for this run alone.
        config: a dataclass, or nested dictionaries of what JSON can say.

    Raises:
        ValueError: the folder holds a run of another configuration (then nothing changes), or cannot be written.
    """
    folder, asked = Path(folder), json.loads(json.dumps(plain(config)))
    hosts.by_first(lambda: _enter(folder, asked))
    return folder


def _enter(folder: Path, asked: dict[str, Any]) -> None:
    recorded = folder / "config.json"
    try:
        if recorded.exists():
            _require_same(folder, read_config(folder), asked)
            return
        folder.mkdir(parents=True, exist_ok=True)
        if any(path.name != "config.partial" for path in folder.iterdir()):  # a killed process may leave this file
            raise ValueError(f"{folder} is not empty and holds no run (no config.json): choose another folder")
        write_json(recorded, asked)
    except OSError as error:
        raise ValueError(f"cannot write the run folder {folder}: {error.strerror or error}; choose another") from error


def _require_same(folder: Path, held: dict[str, Any], asked: dict[str, Any]) -> None:
    if unsaid := [name for name in asked if name not in held]:
        raise ValueError(
            f"{folder} holds a run whose record does not say its {', '.join(unsaid)}, as it was begun by an earlier "
            "version, so that it may be another one: choose another folder (load_run still reads this one)"
        )
    if differing := differences(held, asked):
        raise ValueError(f"{folder} holds a run of another configuration ({differing}): choose another folder")


def differences(held: dict[str, Any], asked: dict[str, Any]) -> str:
    """The first four fields whose values differ between two records, with both values; empty where none differs.

    >>> differences({"network": {"width": 8}, "steps": 10}, {"network": {"width": 16}, "steps": 10})
    'network.width is 8, asked for 16'
    """
    held, asked = _flat(held), _flat(asked)
    differing = [name for name in asked | held if asked.get(name) != held.get(name)]
    fields = [f"{name} is {held.get(name)}, asked for {asked.get(name)}" for name in differing[:4]]
    return "; ".join(fields + [f"and {len(differing) - 4} more"] * (len(differing) > 4))


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of this folder.

    Raises:
        ValueError: `config.json` is damaged.
    """
    try:
        return json.loads((folder / "config.json").read_text())
    except ValueError as error:
        raise ValueError(f"{folder / 'config.json'} is damaged ({error}): choose another folder") from error


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in nested.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat
