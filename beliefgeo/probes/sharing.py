"""Independent fits, shared out among the devices of this program: on two cores, two at a time."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec


@cache
def _devices() -> Mesh:
    return jax.make_mesh((jax.local_device_count(),), ("fit",), (AxisType.Auto,), devices=jax.local_devices())


def everywhere(arrays: Any) -> Any:
    """The arrays on every device, as `shared_out` needs what it is given."""
    return jax.device_put(arrays, NamedSharding(_devices(), PartitionSpec()))


def at_home(arrays: Any) -> Any:
    """The arrays on the default device, where they meet other arrays."""
    return jax.tree.map(lambda array: jnp.asarray(np.asarray(array)), arrays)


def shared_out(fit: Callable[[Any, Any], Any], given: Any, items: Any) -> Any:
    """`jax.lax.map(lambda item: fit(given, item), items)`, of which every device does its share."""
    devices, count = _devices(), len(jax.tree.leaves(items)[0])
    places = jnp.arange(-(-count // devices.size) * devices.size).clip(max=count - 1)  # the last item fills up
    shared = jax.shard_map(
        lambda given, share: jax.lax.map(partial(fit, given), share),
        mesh=devices,
        in_specs=(PartitionSpec(), PartitionSpec("fit")),
        out_specs=PartitionSpec("fit"),
        check_vma=False,
    )
    found = shared(given, jax.tree.map(lambda leaf: leaf[places], items))
    return jax.tree.map(lambda leaf: leaf[:count], found)
