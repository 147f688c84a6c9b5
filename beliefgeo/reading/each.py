"""Apply a measure of one network to every seed and every checkpoint."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from beliefgeo.networks.network import Network
from beliefgeo.reading.read import Reading, read
from beliefgeo.reading.rows import Rows
from beliefgeo.reading.seeds import Seeds, over_seeds


class Checkpoint(NamedTuple):
    """Networks trained side by side, at one moment of their training.

    Attributes:
        network: The network that all of them are.
        params: Leaves `[seed, ...]`.
        tokens: The number of training tokens that each network has seen.
    """

    network: Network
    params: Any
    tokens: int = 0

    @property
    def seeds(self) -> list[Any]:
        """The params of each seed.

        Raises:
            ValueError: params without an axis of seeds before those that the network itself gives them.
        """
        _require_seeds(self)
        count = len(jax.tree.leaves(self.params)[0])
        return [jax.tree.map(lambda leaf, index=index: leaf[index], self.params) for index in range(count)]


@lru_cache(maxsize=16)
def _params_of(network: Network) -> Any:
    """Shapes of one network's params."""
    return jax.eval_shape(network.init, jax.random.key(0), jax.ShapeDtypeStruct((1,), jnp.int32))


def _require_seeds(checkpoint: Checkpoint) -> None:
    """Raise unless every leaf has one axis more than `network.init` gives it, and all have as many seeds."""
    try:
        alone = _params_of(checkpoint.network)
    except TypeError:  # a network without a hash
        alone = _params_of.__wrapped__(checkpoint.network)
    for leaf, one in zip(jax.tree.leaves(checkpoint.params), jax.tree.leaves(alone), strict=False):
        if leaf.ndim != one.ndim + 1:
            raise ValueError(
                f"params of a Checkpoint must be [seed, ...]; got a leaf of shape {leaf.shape} where the network has "
                f"{one.shape}: for one network pass jax.tree.map(lambda leaf: leaf[None], params)"
            )
    counts = sorted({len(leaf) for leaf in jax.tree.leaves(checkpoint.params)})
    if len(counts) != 1:
        raise ValueError(f"params of a Checkpoint must be [seed, ...], of as many seeds in every leaf; got {counts}")


def each(
    checkpoints: Checkpoint | Sequence[Checkpoint],
    rows: Rows,
    measure: Callable[[Reading], Any],
    select: Callable[[dict[str, Array]], Any] | None = None,
) -> Any:
    """Apply a measure to the reading of every seed and checkpoint: the result has `Seeds` in place of each number.

    Args:
        checkpoints: one checkpoint, such as `learned.trained`; or several checkpoints of one training, such as
            `learned.checkpoints`, which then are the second axis of every number: `[seed, checkpoint, ...]`.
        rows: the rows that the networks are read on.
        measure: a function of one reading; it returns a number, an array, or records and dictionaries of them.
        select: which activations to keep; see `read`.

    Raises:
        ValueError: as `read`; params without an axis of seeds; or a measure whose parts differ between seeds.
    """
    if isinstance(checkpoints, Checkpoint):
        return over_seeds([measure(reading) for reading in readings(checkpoints, rows, select)])
    by_checkpoint = [each(one, rows, measure, select) for one in checkpoints]
    is_seeds = lambda node: isinstance(node, Seeds)
    stack = lambda *found: Seeds(np.stack([one.values for one in found], 1))
    return jax.tree.map(stack, *by_checkpoint, is_leaf=is_seeds)


def readings(
    checkpoint: Checkpoint, rows: Rows, select: Callable[[dict[str, Array]], Any] | None = None
) -> Iterator[Reading]:
    """The reading of each seed."""
    return (read(checkpoint.network, params, rows, select) for params in checkpoint.seeds)
