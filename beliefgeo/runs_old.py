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
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import ArrayLike
from beliefgeo.beliefs.windows import rectangular
from beliefgeo.networks.recurrent import Recurrent, RecurrentConfig
from beliefgeo.networks.transformer import Activations, Transformer, TransformerConfig
from beliefgeo.runs import hosts
from beliefgeo.runs.checkpoints import read_checkpoints, restore_params
from beliefgeo.runs.outputs import write_json


class LoadedRun(NamedTuple):
    """A trained network: call it with tokens `[time]` for `(logits, activations)`.

    Raises ValueError or TypeError for tokens that are not integers of its vocabulary, unless they are traced.
    """

    config: dict[str, Any]
    network: nn.Module
    params: Any
    step: int

    def __call__(self, tokens: ArrayLike) -> tuple[Float[Array, "time vocab"], Activations]:
        """Read one sequence."""
        tokens = check_read(self.config["network"]["vocab_size"], tokens)
        return self.network.apply(self.params, tokens)  # pyright: ignore[reportReturnType]


def check_read(vocab_size: int, tokens: ArrayLike) -> Int[Array, "*batch time"]:
    """Tokens as a network of this vocabulary reads them: int32, and traced ones outside it V.

    Raises:
        TypeError: (concrete values only) tokens that are not integers.
        ValueError: sequences of several lengths; (concrete values only) tokens outside the vocabulary.
    """
    array = rectangular(tokens)
    if not jnp.issubdtype(array.dtype, jnp.integer) and array.size:
        raise TypeError(f"tokens must be integers; got {array.dtype}")
    outside = (array < 0) | (array >= vocab_size)
    if not isinstance(outside, Tracer) and outside.any():
        where = tuple(np.argwhere(np.asarray(outside))[0].tolist())
        raise ValueError(
            f"tokens must lie in 0..{vocab_size - 1}, the vocabulary of the network; got {int(array[where])} at "
            f"position {', '.join(map(str, where))}"
        )
    return jnp.where(outside, vocab_size, array).astype(jnp.int32)


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
            _require_same(folder, read_config(folder), asked)
            return
        folder.mkdir(parents=True, exist_ok=True)
        if any(path.name != "config.partial" for path in folder.iterdir()):  # which a killed process may leave
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
    """What two records say of the same fields, the first four that differ; empty where none does.

    >>> differences({"network": {"width": 8}, "steps": 10}, {"network": {"width": 16}, "steps": 10})
    'network.width is 8, asked for 16'
    """
    held, asked = _flat(held), _flat(asked)
    differing = [name for name in asked | held if asked.get(name) != held.get(name)]
    fields = [f"{name} is {held.get(name)}, asked for {asked.get(name)}" for name in differing[:4]]
    return "; ".join(fields + [f"and {len(differing) - 4} more"] * (len(differing) > 4))


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
        # Shapes alone: nothing is drawn.
        one = jax.eval_shape(network.init, jax.eval_shape(jax.random.key, 0), jax.ShapeDtypeStruct((1,), jnp.int32))
        every = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((seeds, *leaf.shape), leaf.dtype), one)
        params = restore_params(manager, step, every)
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
