"""Parts of a network: what training changes, and what it starts from.

A part is named by a step of the path to its parameters: of a transformer "embed", "block_0" or "attention", which is
that of every block; of one block "block_0/attention".
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
import optax


def is_part(params: Any, names: Sequence[str]) -> Any:
    """For each parameter whether it belongs to one of the named parts.

    Args:
        params: any pytree of arrays.
        names: of parts.

    Raises:
        ValueError: no names, or the name of no part.

    >>> is_part({"embed": 0.0, "block_0": {"kernel": 0.0, "bias": 0.0}}, ["block_0"])
    {'block_0': {'bias': True, 'kernel': True}, 'embed': False}
    """
    if isinstance(names, str) or not names:
        raise ValueError(f"parts are given as a list of one name or more, such as ['embed']; got {names!r}")
    paths = [_path(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for name in names:
        if not any(f"/{name}/" in path for path in paths):
            steps = dict.fromkeys(step for path in paths for step in path.strip("/").split("/"))
            raise ValueError(f"the network has no part {name!r}: choose among {', '.join(steps)}")
    named = lambda path, _: any(f"/{name}/" in _path(path) for name in names)
    return jax.tree_util.tree_map_with_path(named, params)


def without(params: Any, names: Sequence[str]) -> Any:
    """The params with None in place of the named parts, as a start from which those parts are drawn anew.

    Raises:
        ValueError: as `is_part`.

    >>> without({"embed": 1.0, "block_0": 2.0}, ["embed"])
    {'block_0': 2.0, 'embed': None}
    """
    return eqx.filter(params, is_part(params, names), inverse=True)


def train_only(optimizer: optax.GradientTransformation, names: Sequence[str]) -> optax.GradientTransformation:
    """The optimiser for the named parts; all other parameters are frozen: they stay the same, bit for bit.

    The optimiser sees the named parts alone: a norm over all gradients, or a weight decay, is theirs.

    Args:
        optimizer: any optax transformation.
        names: of the parts that are trained.

    Raises:
        ValueError: (in its `init`) as `is_part`.

    >>> params = {"embed": 1.0, "block_0": 2.0}
    >>> descent = train_only(optax.sgd(0.5), ["embed"])
    >>> changes, _ = descent.update({"embed": 1.0, "block_0": 1.0}, descent.init(params), params)
    >>> {name: float(change) for name, change in changes.items()}
    {'block_0': 0.0, 'embed': -0.5}
    """
    labels = lambda params: jax.tree.map(lambda part: "trained" if part else "frozen", is_part(params, names))
    return optax.partition({"trained": optimizer, "frozen": optax.set_to_zero()}, labels)


def require_start(start: Any, params: Any, seeds: int) -> None:
    """Raise ValueError unless the start, `[seed, ...]`, has the parts and shapes of these params, or None for a part.

    >>> params = {"embed": np.zeros(3), "block_0": np.zeros(5)}
    >>> require_start({"embed": np.zeros((2, 3)), "block_0": None}, params, 2)
    """
    none = lambda node: node is None
    if jax.tree.structure(start, is_leaf=none) != jax.tree.structure(params, is_leaf=none):
        raise ValueError(
            "start must have the parts of this network, None for each parameter that is drawn; got "
            f"{jax.tree.structure(start, is_leaf=none)}: take it from networks of the same sizes"
        )
    wanted = {_path(path): (seeds, *leaf.shape) for path, leaf in jax.tree_util.tree_leaves_with_path(params)}
    for path, leaf in jax.tree_util.tree_leaves_with_path(start):
        if np.shape(leaf) != (expected := wanted[_path(path)]):
            raise ValueError(
                f"start must hold {_path(path).strip('/')} of shape {expected}, seeds first; got {np.shape(leaf)}: "
                "leave out parts of other sizes by learning.without, and give as many networks as seeds"
            )


def _path(path: tuple) -> str:
    return f"/{jax.tree_util.keystr(path, simple=True, separator='/')}/"
