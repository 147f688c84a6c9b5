"""A run folder: the configuration, entered again only by its own; what training left there, read back.

folder/
  config.json      what was asked for
  checkpoints/     the latest two states, and log-spaced snapshots for studying emergence
  history.jsonl    loss and excess of every chunk of steps
  lock             held by the process that trains
  metrics.json     written when the experiment has finished
"""

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from beliefgeo import hosts
from beliefgeo.checkpoints import read_checkpoints, restore_params
from beliefgeo.networks.recurrent import Recurrent, RecurrentConfig
from beliefgeo.networks.transformer import Activations, Transformer, TransformerConfig
from beliefgeo.outputs import write_json
from beliefgeo.processes.process import ArrayLike


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
            held = read_config(folder)
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


def read_config(folder: Path) -> dict[str, Any]:
    """What was asked for in this folder.

    Raises:
        ValueError: `config.json` is damaged.
    """
    try:
        return json.loads((folder / "config.json").read_text())
    except ValueError as error:
        raise ValueError(f"{folder / 'config.json'} is damaged ({error}): choose another folder") from error


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
    config = read_config(folder)
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


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in nested.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat
