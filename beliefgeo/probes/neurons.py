"""Is the belief in single neurons, or in how they vary together: neurons shuffled among prefixes of equal belief."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from beliefgeo.arrays import ArrayLike
from beliefgeo.beliefs.merging import group_close
from beliefgeo.probes.weighted import as_ranks, as_reals
from beliefgeo.reading.rows import Rows


def belief_classes(rows: Rows, tolerance: float = 1e-6) -> Int[np.ndarray, " row"]:
    """Labels of prefixes of equal length and belief, up to a tolerance in the sum of differences over states.

    >>> import beliefgeo as bg
    >>> len(np.unique(belief_classes(bg.reading.rows(jax.random.key(0), bg.golden_mean(), 3))))
    6
    """
    keyed = np.concatenate([rows.beliefs, 10.0 * rows.length[:, None]], 1)
    return np.unique(group_close(keyed, tolerance), return_inverse=True)[1]


def shuffle_within(key: PRNGKeyArray, features: ArrayLike, group: ArrayLike) -> Float[Array, "row feature"]:
    """Every neuron is permuted by itself among the rows of a group: how neurons vary together there is lost.

    Args:
        key: draws a permutation for each neuron.
        features: `[row, feature]`; rotate them first to shuffle another basis.
        group: `[row]`, labels, such as `belief_classes(rows)`.

    Raises:
        ValueError: labels of other rows.

    >>> shuffled = shuffle_within(jax.random.key(0), [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [0, 0, 1])
    >>> shuffled[2].tolist(), sorted(shuffled[:2, 0].tolist())
    ([5.0, 6.0], [1.0, 3.0])
    """
    features, group = as_reals("features", features), as_ranks(group)
    if features.ndim != 2 or group.shape != features.shape[:1]:
        raise ValueError(f"group must be [row] for features [row, feature]; got {group.shape} and {features.shape}")
    home = jnp.argsort(group, stable=True)

    def one(drawn: Array, neuron: Array) -> Array:
        order = jnp.lexsort((jax.random.uniform(drawn, group.shape), group))
        return jnp.zeros_like(neuron).at[home].set(neuron[order])

    return jax.vmap(one, (0, 1), 1)(jax.random.split(key, features.shape[1]), features)
