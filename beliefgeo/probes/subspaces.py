"""How many dimensions activations fill, and which of them belong to one factor.

Source: Shai et al. 2602.02385. N factors with beliefs in d_n dimensions need sum_n d_n dimensions if each factor has a
subspace of its own, and prod_n (d_n + 1) - 1 dimensions for a joint belief.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from beliefgeo.arrays import ArrayLike, concrete, contract
from beliefgeo.probes.geometry import scaled_components
from beliefgeo.probes.weighted import as_reals, lengths, only_rounding


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
    """The orthonormal directions of largest variance that together hold this fraction of it; empty without variance.

    Args:
        features: `[row, feature]`; `deviations(...)` for the subspace of one factor.
        weights: `[row]`; default equal.
        fraction: between 0 and 1.

    >>> abs(principal_subspace([[3.0, 0.0], [-3.0, 0.0]])).round(2).tolist()
    [[1.0, 0.0]]
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1; got {fraction}")
    components, _ = scaled_components(features, weights)
    held = np.asarray(components.variances, np.float64).cumsum()
    return components.directions[: np.searchsorted(held, fraction * held[-1]) + (held[-1] > 0)]


def vary_one(
    key: PRNGKeyArray, digits: ArrayLike, contexts: int, varied: int
) -> Int[Array, "factor varying context sample time"]:
    """Words in which one factor varies and all other factors are frozen.

    The digits of the varying factor come from other words than the frozen digits, drawn in the same way: so the factor
    varies as it does by itself.

    Args:
        key: chooses the words, each word once.
        digits: `[factor, word, time]`, the digits of each factor in the words: `Product.split_token` of the words.
        contexts: the number of words that are frozen.
        varied: the number of words that give the varying factor its digits, the same words in every context.

    Returns:
        The digits of each factor where factor `varying` varies; `Product.join_tokens` makes words of them.

    Raises:
        ValueError: fewer words than contexts + varied, no contexts, no varied words, or digits of other axes.

    >>> digits = vary_one(jax.random.key(0), [[[0], [1], [2]], [[5], [6], [7]]], 1, 2)
    >>> digits[0, 0, 0].ravel().tolist(), digits[1, 0, 0].ravel().tolist()
    ([1, 2], [5, 5])
    """
    digits = jnp.asarray(digits)
    if digits.ndim != 3 or min(contexts, varied) < 1:
        raise ValueError(
            "vary_one needs digits [factor, word, time], a context and a varied word or more; got shape "
            f"{digits.shape}, {contexts} and {varied}"
        )
    if digits.shape[1] < contexts + varied:
        raise ValueError(f"vary_one needs contexts + varied words ({contexts + varied}) or more; got {digits.shape[1]}")
    chosen = digits[:, jax.random.choice(key, digits.shape[1], (contexts + varied,), replace=False)]
    frozen, moving = chosen[:, None, :contexts, None], chosen[:, None, None, contexts:]
    return jnp.where(jnp.eye(len(digits), dtype=bool)[:, :, None, None, None], moving, frozen)


def deviations(features: ArrayLike) -> Float[Array, "row feature"]:
    """Activations about the mean of their frozen context: what the varying factor alone moves.

    A deviation is 0 where a feature scatters by no more than the rounding of that mean: the feature does not move, and
    has no dimension.

    Args:
        features: `[context, sample, ..., feature]`: in each context all factors but one are frozen. Axes in between,
            such as positions, have means of their own: a context is a frozen word up to a position.

    Returns:
        The deviations of all rows. Their `principal_subspace` is the subspace of the factor. The `effective_dimension`
        of the concatenated deviations of all factors is the dimension of the union of their subspaces.

    Raises:
        ValueError: features of fewer than three axes.

    >>> deviations([[[1.0, 5.0], [3.0, 5.0]], [[0.0, 7.0], [4.0, 7.0]]]).tolist()
    [[-1.0, 0.0], [1.0, 0.0], [-2.0, 0.0], [2.0, 0.0]]
    """
    features = as_reals("features", features)
    if features.ndim < 3 or 0 in features.shape:
        raise ValueError(f"deviations needs features [context, sample, ..., feature]; got shape {features.shape}")
    near = features.mean(1, keepdims=True)
    mean = near + (features - near).mean(1, keepdims=True)  # the mean of equal values is exactly that value
    moved = features - mean
    spread = lengths(moved, 1) / features.shape[1] ** 0.5
    return jnp.where(only_rounding(spread[:, None], mean), 0, moved).reshape(-1, features.shape[-1])


def subspace_overlap(left: ArrayLike, right: ArrayLike) -> Float[Array, ""]:
    """|V1 V2^T|_F^2 / k, k the smaller dimension: 1 where one subspace holds the other, 0 where they are orthogonal.

    The overlap is also 0 where a subspace has no dimension.

    Args:
        left: V1 `[component, feature]`, orthonormal rows; its first k rows for the overlap of leading directions.
        right: V2 `[component, feature]`, orthonormal rows.

    Raises:
        ValueError: subspaces of different features, or rows that are not orthonormal.

    >>> float(subspace_overlap([[1.0, 0.0]], [[0.6, 0.8]]))
    0.36
    """
    left, right = as_reals("left", left), as_reals("right", right)
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1]:
        raise ValueError(f"subspaces must be [component, feature], of equal features; got {left.shape}, {right.shape}")
    for rows in (left, right):
        angles = concrete(contract("if,jf->ij", rows, rows) - jnp.eye(len(rows), dtype=rows.dtype))
        if angles is not None and not abs(angles).max(initial=0) < 1e-2:  # bfloat16 leaves .004
            raise ValueError(f"rows of a subspace must be orthonormal; got products off by {abs(angles).max():.2g}")
    return (contract("if,jf->ij", left, right) ** 2).sum() / max(1, min(len(left), len(right)))


class Overlaps(NamedTuple):
    """`subspace_overlap` of each factor with each factor.

    Attributes:
        mean: The mean over pairs; NaN for one factor.
        matrix: That of each pair; 1 on the diagonal.
    """

    mean: float
    matrix: Float[np.ndarray, "factor factor"]


class Subspaces(NamedTuple):
    """The dimensions that each factor moves alone and that all factors move, and the overlaps of factors.

    Attributes:
        dimensions: How many directions each factor moves alone.
        sum: Their sum.
        union: How many directions all factors move together.
        leading: The overlaps of the directions of largest variance.
        whole: The overlaps of the whole subspaces.
    """

    dimensions: Int[np.ndarray, " factor"]
    sum: int
    union: int
    leading: Overlaps
    whole: Overlaps


def factor_subspaces(features: ArrayLike) -> Subspaces:
    """What each factor moves, from activations `[factor, context, sample, ..., feature]` on the words of `vary_one`.

    >>> found = factor_subspaces([[[[1.0, 0.0], [-1.0, 0.0]]], [[[0.6, 0.8], [-0.6, -0.8]]]])
    >>> found.sum, found.union, round(found.whole.mean, 4)
    (2, 2, 0.36)
    """
    moved = [deviations(one) for one in as_reals("features", features)]
    spaces = [principal_subspace(one) for one in moved]
    dimensions = np.array([len(space) for space in spaces])
    union = effective_dimension(jnp.concatenate(moved))
    leading = _overlaps([space[:1] for space in spaces])
    return Subspaces(dimensions, int(dimensions.sum()), union, leading, _overlaps(spaces))


def _overlaps(subspaces: Sequence[Array]) -> Overlaps:
    matrix = np.array([[float(subspace_overlap(one, other)) for other in subspaces] for one in subspaces])
    pairs = matrix[np.triu_indices(len(matrix), 1)]
    return Overlaps(float(pairs.mean()) if len(pairs) else np.nan, matrix)
