"""One mesh of all devices present: seeds first, then the batch; parameters replicated, or sharded when asked.

    devices = seed axis * batch axis

Each row of the mesh trains its share of the seeds. The devices of a row share each step's sequences, and the all-reduce
that XLA inserts for the mean over the batch sums their gradients.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from beliefgeo.learning.training import Init, Metrics, Training, TrainState


class Spread(NamedTuple):
    """`init(keys, sources)` and `advance(state)` for all seeds at once, compiled for all devices present.

    Attributes:
        init: From keys and sources to the state of all seeds.
        advance: From that state to the next, with metrics.
        abstract: Shape, dtype and sharding of every leaf of the state.
    """

    init: Any
    advance: Any
    abstract: TrainState


# The time that devices of a CPU take together for a step whose sequences they share, over that of one device alone: 1.2
# for 64 sequences and the paper's network, 1.4 to 2.2 for 16 sequences and width 32.
_SHARED = 1.5


def mesh(seeds: int, *, even: bool = True) -> Mesh:
    """All devices of all processes, as ("seed", "batch").

    Args:
        seeds: the number of networks.
        even: whether all rows have the same number of them. Otherwise rows may have a place to spare where this costs
            less than to share the sequences: two devices then train five networks as three rounds of two.

    >>> mesh(3).axis_names
    ('seed', 'batch')
    """
    rows = _rows(seeds, jax.device_count(), even)
    return jax.make_mesh((rows, jax.device_count() // rows), ("seed", "batch"), (AxisType.Auto, AxisType.Auto))


def _rows(seeds: int, devices: int, even: bool) -> int:
    """The number of rows with the least work for each device."""
    choices = [rows for rows in range(1, devices + 1) if devices % rows == 0 and not (even and seeds % rows)]
    work = lambda rows: math.ceil(seeds / rows) * rows * (1 if rows == devices else _SHARED)
    return min(choices, key=lambda rows: (work(rows), -rows))


def spread(training: Training, keys: Any, sources: Any = None, *, shard_params: bool = False) -> Spread:
    """Training of all seeds, each leaf of the state `[seed, ...]`, over all devices present.

    Any number of sequences works: if the devices of a row do not divide it, the last devices have less to do.

    Args:
        training: the training of one seed.
        keys: `[seed]`.
        sources: what each seed's data are drawn from, seeds on a leading axis of every leaf.
        shard_params: split each parameter, and what the optimiser keeps of it, over the devices of a row instead of
            holding it whole on each device; the split is along the widest axis that the devices divide evenly.
    """
    # Where rows are uneven every device holds all networks, which costs little where devices share one memory.
    devices = mesh(len(keys), even=shard_params or jax.default_backend() != "cpu")
    slices = devices.shape["batch"] if shard_params else 1
    advance = _side_by_side(training.advance, devices.shape["seed"])
    abstract = jax.eval_shape(jax.vmap(training.init), keys, sources)
    seed = "seed" if len(keys) % devices.shape["seed"] == 0 else None
    by_seed = NamedSharding(devices, PartitionSpec(seed))
    sharded = lambda leaf: NamedSharding(devices, PartitionSpec(seed, *_slices(leaf.shape[1:], slices)))
    placed = jax.tree.map(lambda leaf: by_seed, abstract)._replace(
        params=jax.tree.map(sharded, abstract.params), optimizer=jax.tree.map(sharded, abstract.optimizer)
    )
    everywhere = NamedSharding(devices, PartitionSpec())
    init = jax.jit(_one_by_one(training.init), out_shardings=placed)
    if isinstance(training.init, Init):
        drawn = jax.jit(_one_by_one(training.init.params), out_shardings=placed.params)
        begin = jax.jit(jax.vmap(training.init.begin), out_shardings=placed)
        init = lambda keys, sources: begin(drawn(keys, sources), keys, sources)
    advance = jax.jit(advance, in_shardings=(placed,), out_shardings=(placed, everywhere))

    def under_mesh(state: TrainState) -> tuple[TrainState, Metrics]:
        with jax.set_mesh(devices):  # here `training` finds the axis over which it splits its batch
            return advance(state)

    describe = lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
    return Spread(init, under_mesh, jax.tree.map(describe, abstract, placed))


def _one_by_one(init: Any) -> Any:
    """`init` for all seeds, on CPUs one after the other.

    In a batch, matrices are decomposed by threads that wait for one another, and two cores may have too few of them:
    the orthogonal kernels of five LSTMs then wait for ever.
    """
    if jax.default_backend() != "cpu":
        return jax.vmap(init)
    return lambda keys, sources: jax.lax.map(lambda given: init(*given), (keys, sources))


def _side_by_side(advance: Any, rows: int) -> Any:
    """`advance` for all seeds: each row of the mesh takes its share at once, or on CPUs one network after the other.

    One network at a time stays in the cache: sixteen of the paper's networks train a third faster in this way.
    """
    one_row = partial(jax.lax.map, advance) if jax.default_backend() == "cpu" else jax.vmap(advance)
    one_row = jax.shard_map(
        one_row, in_specs=PartitionSpec("seed"), out_specs=PartitionSpec("seed"), axis_names={"seed"}, check_vma=False
    )

    def all_rows(state: TrainState) -> tuple[TrainState, Metrics]:
        seeds = len(state.step)
        if seeds % rows == 0:
            return one_row(state)
        places = jnp.arange(math.ceil(seeds / rows) * rows).clip(max=seeds - 1)  # the last network fills up
        return jax.tree.map(lambda leaf: leaf[:seeds], one_row(jax.tree.map(lambda leaf: leaf[places], state)))

    return all_rows


def _slices(shape: tuple[int, ...], count: int) -> list[str | None]:
    """The sharding of a shape: the widest axis that `count` divides is split over the row of the mesh, if there is one.

    With one slice no axis is split.
    """
    widths = [width if width % count == 0 else 0 for width in shape]
    if count == 1 or not any(widths):
        return []
    return [None] * int(np.argmax(widths)) + ["batch"]
