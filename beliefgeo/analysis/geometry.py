"""Coordinates and comparisons of point clouds: the simplex, principal components, distances."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from beliefgeo.analysis.probes import probe_statistic
from beliefgeo.processes.process import ArrayLike, as_floats


class PrincipalComponents(NamedTuple):
    """Orthonormal directions of decreasing variance about the mean."""

    mean: Float[Array, " feature"]
    directions: Float[Array, "component feature"]
    variances: Float[Array, " component"]

    def __call__(self, features: ArrayLike) -> Float[Array, "... component"]:
        """Coordinates of features `[..., feature]` along the directions."""
        features = as_floats(features)
        centred = features - jnp.expand_dims(self.mean, range(features.ndim - 1))
        return jnp.matmul(centred, self.directions.T, precision="highest")

    @property
    def cumulative(self) -> Float[Array, " component"]:
        """The fraction of the variance that the first 1, 2, ... components explain."""
        return jnp.cumsum(self.variances) / self.variances.sum()


def simplex_vertices(n_states: int) -> Float[Array, "state axis"]:
    """The corners of a regular simplex of unit edge in n_states - 1 dimensions, centred; 3 states: a triangle, tip up.

    >>> simplex_vertices(3).round(3).tolist()
    [[-0.5, -0.289], [0.5, -0.289], [0.0, 0.577]]
    """
    # Corner k rises along axis k - 1 above the mean of the corners before it.
    corner, axis = jnp.arange(n_states)[:, None], jnp.arange(1, n_states)[None]
    height = jnp.sqrt((axis + 1) / (2 * axis))
    return jnp.where(corner == axis, axis, jnp.where(corner < axis, -1, 0)) * height / (axis + 1)


def simplex_coordinates(beliefs: ArrayLike) -> Float[Array, "... axis"]:
    """Beliefs `[..., state]` as points `[..., state - 1]` of the simplex, edges of length 1.

    >>> simplex_coordinates([1 / 3, 1 / 3, 1 / 3]).round(3).tolist()
    [0.0, 0.0]
    """
    beliefs = as_floats(beliefs)
    return jnp.matmul(beliefs, simplex_vertices(beliefs.shape[-1]).astype(beliefs.dtype), precision="highest")


def principal_components(features: ArrayLike, weights: ArrayLike | None = None) -> PrincipalComponents:
    """Principal components of weighted rows, from the triangular factor of the centred data.

    Args:
        features: `[row, feature]`.
        weights: `[row]`, at any scale; default equal.

    >>> principal_components([[0.0, 0.0], [2.0, 0.0]]).variances.tolist()
    [1.0, 0.0]
    """
    features = as_floats(features)
    weights = jnp.ones(len(features), features.dtype) if weights is None else as_floats(weights).astype(features.dtype)
    statistic = probe_statistic(features, features[:, :0], weights)
    _, sizes, directions = jnp.linalg.svd(statistic.factor, full_matrices=False)
    return PrincipalComponents(statistic.mean, directions, sizes**2 / statistic.weight)


def compare_distances(
    key: PRNGKeyArray, left: ArrayLike, right: ArrayLike, *, pairs: int = 1_000_000, weights: ArrayLike | None = None
) -> Float[Array, ""]:
    """r2 between pairwise distances in two clouds `[row, axis]` of the same rows, over all or random pairs.

    Args:
        key: draws the pairs where there are more than `pairs`.
        left: `[row, axis]`.
        right: `[row, axis]`, of any dimension.
        pairs: at most so many; the estimate's standard error is about 1/sqrt(pairs), 0 where they are all.
        weights: `[row]`: a pair counts in proportion to the product of those of its rows; default equally.

    >>> square = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> round(float(compare_distances(jax.random.key(0), square, -2 * square)), 4)
    1.0
    """
    one, other, shares, left, right = _pairs("compare_distances", key, left, right, pairs, weights)
    distance = lambda cloud: jnp.linalg.norm(cloud[one] - cloud[other], axis=-1)
    return _r2(distance(left), distance(right), shares)


def compare_cosines(
    key: PRNGKeyArray,
    left: ArrayLike,
    right: ArrayLike,
    *,
    pairs: int = 1_000_000,
    weights: ArrayLike | None = None,
    centred: bool = True,
) -> Float[Array, ""]:
    """r2 between pairwise cosine similarities in two clouds `[row, axis]` of the same rows, over all or random pairs.

    The cosine is between vectors from each cloud's weighted mean, so an offset or a scale of a cloud changes nothing;
    rows at the mean itself have the cosine 0 with all. 0 where the cosines of the left cloud do not vary, as those of a
    probe that sees the mean everywhere.

    Args:
        key: draws the pairs where there are more than `pairs`.
        left: `[row, axis]`, what is predicted.
        right: `[row, axis]`, the truth.
        pairs: at most so many.
        weights: `[row]`; default equal.
        centred: False takes the vectors from zero, where an offset counts.

    With the predicted and the true beliefs this is what we take the cosine-similarity R2 of Riechers, Elliott, Shai
    2025 (2507.07432) to be; whether theirs are centred, it is a squared correlation, and equal pairs count, we do not
    know.

    >>> square = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> round(float(compare_cosines(jax.random.key(0), square, 3 - 2 * square)), 4)
    1.0
    """
    one, other, shares, left, right = _pairs("compare_cosines", key, left, right, pairs, weights)
    law = jnp.ones(len(left)) if weights is None else as_floats(weights)
    origin = lambda cloud: centred * ((law / law.sum()).astype(cloud.dtype) @ cloud)
    seen, true = (_cosines(cloud - origin(cloud)[None], one, other) for cloud in (left, right))
    return jnp.where(seen.std(where=shares > 0) > 1e-6, _r2(seen, true, shares), 0)


def _cosines(
    vectors: Float[Array, "row axis"], one: Int[Array, " pair"], other: Int[Array, " pair"]
) -> Float[Array, " pair"]:
    size = jnp.linalg.norm(vectors, axis=-1, keepdims=True)
    unit = vectors / jnp.where(size > 0, size, 1)
    return (unit[one] * unit[other]).sum(-1)


def _pairs(
    who: str, key: PRNGKeyArray, left: ArrayLike, right: ArrayLike, pairs: int, weights: ArrayLike | None
) -> tuple[Array, Array, Array, Array, Array]:
    """The two rows of each pair, its share, and the clouds, rows of no weight at zero: they may be NaN."""
    left, right = as_floats(left), as_floats(right)
    if len(left) != len(right) or not len(left):
        raise ValueError(f"{who} needs clouds of the same rows, one or more; got {len(left)} and {len(right)}")
    law = jnp.ones(len(left)) if weights is None else as_floats(weights)
    # Not in half precision, where shares of a thousand rows no longer add up.
    law = (law / law.sum()).astype(jnp.result_type(left, right, jnp.float32))
    left, right = (jnp.where(law[:, None] > 0, cloud, 0) for cloud in (left, right))
    if len(left) ** 2 <= pairs:
        one, other = (jnp.ravel(row) for row in jnp.indices((len(left), len(left))))
        return one, other, law[one] * law[other], left, right
    one, other = jax.random.choice(key, len(left), (2, pairs), p=law)
    return one, other, jnp.ones(pairs, law.dtype), left, right


def _r2(left: Float[Array, " pair"], right: Float[Array, " pair"], shares: Float[Array, " pair"]) -> Float[Array, ""]:
    """The squared correlation."""
    (left_variance, covariance), (_, right_variance) = jnp.cov(left, right, aweights=shares)
    return (covariance / jnp.sqrt(left_variance) / jnp.sqrt(right_variance)) ** 2
