"""Apply a measure of one network to every seed and every checkpoint."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
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
        """The params of each seed."""
        count = len(jax.tree.leaves(self.params)[0])
        return [jax.tree.map(lambda leaf, index=index: leaf[index], self.params) for index in range(count)]


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
        ValueError: as `read`; or a measure whose parts differ between seeds.
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
