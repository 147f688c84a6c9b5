"""A trained network from its folder, and the history of its training."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import ArrayLike
from beliefgeo.networks.network import Activations, Edit, Network, check_read, predicted_tokens
from beliefgeo.networks.recurrent import Recurrent, RecurrentConfig
from beliefgeo.networks.transformer import Transformer, TransformerConfig
from beliefgeo.runs.checkpoints import read_checkpoints, restore_params
from beliefgeo.runs.folder import read_config


class LoadedRun(NamedTuple):
    """A trained network: call it with tokens `[time]` for `(logits, activations)`.

    It raises ValueError or TypeError for tokens that are not integers of its vocabulary, unless they are traced.

    Attributes:
        config: What was asked for.
        network: The network, without parameters.
        params: Its parameters.
        step: The number of steps after which they were saved.
    """

    config: dict[str, Any]
    network: Network
    params: Any
    step: int

    def __call__(self, tokens: ArrayLike, edit: Edit | None = None) -> tuple[Float[Array, "time vocab"], Activations]:
        """Read one sequence; see `Network.apply` for edits."""
        shape = _sequence(self.config)
        tokens = check_read(predicted_tokens(self.network, self.params, shape), tokens)
        return self.network.apply(self.params, tokens, edit=edit)


class History(NamedTuple):
    """The numbers written after every chunk of steps, averaged over the chunk.

    Attributes:
        step: The number of steps done.
        loss: The loss, in nats per token.
        excess: The loss above the best possible loss on the same tokens.
        seconds: The seconds that the chunk took.
    """

    step: Int[np.ndarray, " chunk"]
    loss: Float[np.ndarray, "chunk seed"]
    excess: Float[np.ndarray, "chunk seed"]
    seconds: Float[np.ndarray, " chunk"]


def history(folder: Path) -> History:
    """The history of a training."""
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return History(*(np.array([line[name] for line in lines]) for name in History._fields))


def load_run(
    folder: str | Path, network: Network | None = None, *, seed: int = 0, step: int | None = None
) -> LoadedRun:
    """The network of a folder in which `learn` trained it, at its last step or at a snapshot.

    Args:
        folder: the folder that an experiment or `learn` printed.
        network: the object that was trained, if it is not a network of beliefgeo; the folder alone rebuilds those.
        seed: the number of the network among those trained side by side.
        step: the step of a snapshot; default: the last step.

    >>> run = load_run("runs/networks/12345678")  # doctest: +SKIP
    >>> logits, activations = run(jnp.array([0, 1, 2, 0]))  # doctest: +SKIP

    Raises:
        ValueError: a folder without a network, a network that the folder cannot rebuild, another network than the
            folder's, no such step or seed, or a damaged checkpoint.
    """
    folder = Path(folder)
    if not (folder / "config.json").exists():
        raise ValueError(f"{folder} holds no run (no config.json): give the folder that an experiment printed")
    config = read_config(folder)
    if network is None:
        network = _rebuilt(folder, config)
    with read_checkpoints(folder / "checkpoints") as manager:
        steps = sorted(manager.all_steps())
        step = max(steps, default=None) if step is None else step
        if step is None or step not in steps:
            raise ValueError(f"{folder} has checkpoints at steps {steps}; got step={step}")
        seeds = config["seeds"]
        if not 0 <= seed < seeds:
            raise ValueError(f"{folder} has seeds 0..{seeds - 1}; got seed={seed}")
        # Only shapes are needed: nothing is drawn.
        one = jax.eval_shape(network.init, jax.eval_shape(jax.random.key, 0), _sequence(config))
        every = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((seeds, *leaf.shape), leaf.dtype), one)
        params = restore_params(manager, step, every)
    return LoadedRun(config, network, jax.tree.map(lambda leaf: leaf[seed], params), step)


def network_of(sizes: dict[str, Any]) -> Any:
    """The network that a `config.json` describes."""
    if "cell" in sizes:
        return Recurrent(RecurrentConfig(**sizes))
    return Transformer(TransformerConfig(**sizes))


def _sequence(config: dict[str, Any]) -> jax.ShapeDtypeStruct:
    """The shape of the sequences that the network was made for; our networks are the same for any length."""
    return jax.ShapeDtypeStruct((config.get("context", 1),), jnp.int32)


def _rebuilt(folder: Path, config: dict[str, Any]) -> Network:
    sizes = config.get("network")
    if not isinstance(sizes, dict) or "class" in sizes:
        what = sizes["class"] if isinstance(sizes, dict) else "none"
        raise ValueError(
            f"{folder} cannot rebuild its network ({what}): pass it, load_run(folder, network), as it was when it was "
            "trained"
        )
    return network_of(sizes)
