"""How many dimensions activations fill, and which of them belong to one factor.

Source: Shai et al. 2602.02385: N factors with beliefs in d_n dimensions need sum_n d_n of them if each has a
subspace of its own, and prod_n (d_n + 1) - 1 for a joint belief.
"""

import numpy as np
from jaxtyping import Array, Float

from beliefgeo.analysis.geometry import principal_components
from beliefgeo.processes.process import ArrayLike, as_floats, contract


def effective_dimension(features: ArrayLike, weights: ArrayLike | None = None, *, fraction: float = 0.95) -> int:
    """The smallest number of principal components that hold this fraction of the variance.

    Args:
        features: `[row, feature]`.
        weights: `[row]`; default equal.
        fraction: between 0 and 1.

    >>> effective_dimension([[3.0, 0.0, 0.0], [-3.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
    2
    """
    return len(principal_subspace(features, weights, fraction=fraction))


def principal_subspace(
    features: ArrayLike, weights: ArrayLike | None = None, *, fraction: float = 0.95
) -> Float[Array, "component feature"]:
    """The orthonormal directions of largest variance that together hold this fraction of it; none if there is none.

    Args:
        features: `[row, feature]`; `deviations(...)` for the subspace of one factor.
        weights: `[row]`; default equal.
        fraction: between 0 and 1.

    >>> abs(principal_subspace([[3.0, 0.0], [-3.0, 0.0]])).round(2).tolist()
    [[1.0, 0.0]]
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1; got {fraction}")
    components = principal_components(features, weights)
    held = np.asarray(components.variances, np.float64).cumsum()
    return components.directions[: np.searchsorted(held, fraction * held[-1]) + (held[-1] > 0)]


def deviations(features: ArrayLike) -> Float[Array, "row feature"]:
    """Activations about the mean of their frozen context: what the factor that varies alone moves.

    Args:
        features: `[context, sample, feature]`: in each context all factors but one are frozen.

    Returns:
        `[context * sample, feature]`. Its `principal_subspace` is that of the factor; the `effective_dimension` of
        the deviations of all factors, concatenated, is that of the union of their subspaces.

    >>> deviations([[[1.0, 5.0], [3.0, 5.0]], [[0.0, 7.0], [4.0, 7.0]]]).tolist()
    [[-1.0, 0.0], [1.0, 0.0], [-2.0, 0.0], [2.0, 0.0]]
    """
    features = as_floats(features)
    return (features - features.mean(1, keepdims=True)).reshape(-1, features.shape[-1])


def subspace_overlap(left: ArrayLike, right: ArrayLike) -> Float[Array, ""]:
    """|V1 V2^T|_F^2 / k, k the smaller dimension: 1 where one subspace holds the other, 0 where they are orthogonal.

    Args:
        left: V1 `[component, feature]`, orthonormal rows; its first k rows for the overlap of leading directions.
        right: V2 `[component, feature]`, orthonormal rows.

    >>> float(subspace_overlap([[1.0, 0.0]], [[0.6, 0.8]]))
    0.36
    """
    left, right = as_floats(left), as_floats(right)
    return (contract("if,jf->ij", left, right) ** 2).sum() / min(len(left), len(right))
