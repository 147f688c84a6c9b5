"""Canonical correlations: how much two linear readouts of the same rows have in common."""

import numpy as np
from jaxtyping import Float

from beliefgeo.arrays import ArrayLike
from beliefgeo.probes.weighted import standardised, weighted_rows

# Directions of less spread than this, in units of the largest, are rounding of float32.
_RCOND = 1e-4


def canonical_correlations(
    left: ArrayLike, right: ArrayLike, weights: ArrayLike | None = None
) -> Float[np.ndarray, " pair"]:
    """The correlations of pairs of directions, one in each set of columns, largest first; Hotelling 1936.

    All are 1 if one set is an affine image of the other. There are as many as the set of smaller rank has dimensions:
    the beliefs of three states have two. Columns count at unit variance, so their units do not matter, and a column
    that scatters by no more than its rounding has no dimension.

    Args:
        left: `[row, column]`, such as the beliefs that a probe sees.
        right: `[row, column]`, such as logits.
        weights: `[row]`; default equal.

    Raises:
        ValueError: other than two axes, different rows, NaN, weights that are negative or all zero.

    >>> canonical_correlations([[0.0, 1.0], [1.0, 0.0], [2.0, 0.0]], [[5.0], [3.0], [1.0]]).round(3).tolist()
    [1.0]
    """
    columns = {"left [row, column]": left, "right [row, column]": right}
    *sets, weights = weighted_rows(columns, weights)
    shares = np.asarray(weights, np.float64) / np.asarray(weights, np.float64).sum()
    one, other = (_axes(standardised(np.asarray(values, np.float64), shares, values.dtype), shares) for values in sets)
    return np.minimum(np.linalg.svd(one.T @ other, compute_uv=False), 1)


def _axes(columns: Float[np.ndarray, "row column"], shares: np.ndarray) -> Float[np.ndarray, "row axis"]:
    axes, sizes, _ = np.linalg.svd(np.sqrt(shares)[:, None] * columns, full_matrices=False)
    return axes[:, sizes > _RCOND * sizes.max(initial=0)]
