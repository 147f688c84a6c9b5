"""Coordinates and comparisons of point clouds: the simplex, principal components, distances."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from beliefgeo.arrays import ArrayLike, contract, is_traced
from beliefgeo.probes.statistic import probe_statistic
from beliefgeo.probes.weighted import as_reals, lengths, only_rounding, power_of_two, weighted_mean, weighted_rows


class PrincipalComponents(NamedTuple):
    """Orthonormal directions of decreasing variance about the mean.

    Attributes:
        mean: The weighted mean of the features.
        directions: One in each row, of length 1.
        variances: The variance along each direction.
    """

    mean: Float[Array, " feature"]
    directions: Float[Array, "component feature"]
    variances: Float[Array, " component"]

    def __call__(self, features: ArrayLike) -> Float[Array, "... component"]:
        """Coordinates of features `[..., feature]` along the directions."""
        features = as_reals("features", features)
        if features.shape[-1:] != self.mean.shape:
            raise ValueError(f"these components are of {len(self.mean)} features; got features of {features.shape}")
        centred = features - jnp.expand_dims(self.mean, range(features.ndim - 1))
        return jnp.matmul(centred, self.directions.T, precision="highest")

    @property
    def cumulative(self) -> Float[Array, " component"]:
        """The fraction of the variance that the first 1, 2, ... components explain; 0 where there is no variance."""
        total = self.variances.sum()
        return jnp.cumsum(self.variances) / jnp.where(total > 0, total, 1)


def simplex_vertices(n_states: int) -> Float[Array, "state axis"]:
    """The corners of a regular simplex of unit edge in n_states - 1 dimensions, centred; 3 give a triangle, tip up.

    >>> simplex_vertices(3).round(3).tolist()
    [[-0.5, -0.289], [0.5, -0.289], [0.0, 0.577]]
    """
    # Corner k rises along axis k - 1 above the mean of the corners before it.
    corner, axis = jnp.arange(n_states)[:, None], jnp.arange(1, n_states)[None]
    height = jnp.sqrt((axis + 1) / (2 * axis))
    return jnp.where(corner == axis, axis, jnp.where(corner < axis, -1, 0)) * height / (axis + 1)


def simplex_coordinates(beliefs: ArrayLike) -> Float[Array, "... axis"]:
    """Beliefs `[..., state]` as points `[..., state - 1]` of the simplex with edges of length 1.

    >>> simplex_coordinates([1 / 3, 1 / 3, 1 / 3]).round(3).tolist()
    [0.0, 0.0]
    """
    beliefs = as_reals("beliefs", beliefs)
    return jnp.matmul(beliefs, simplex_vertices(beliefs.shape[-1]).astype(beliefs.dtype), precision="highest")


def principal_components(features: ArrayLike, weights: ArrayLike | None = None) -> PrincipalComponents:
    """Principal components of weighted rows, from the factor of the centred data.

    A feature that scatters by no more than the rounding of its mean, as in `fit_probe`, has no variance. If the largest
    variance of traced features is beyond the range of the precision, the variances are NaN.

    Args:
        features: `[row, feature]`.
        weights: `[row]`, at any scale; default equal. Rows of no weight may hold NaN.

    Raises:
        ValueError: other than two axes, no rows or no features, NaN, weights of other rows, negative or all zero, a
            variance beyond the range of the precision.

    >>> principal_components([[0.0, 0.0], [2.0, 0.0]]).variances.tolist()
    [1.0, 0.0]
    """
    components, unit = scaled_components(features, weights)
    largest = components.variances[:1] * unit**2
    lost = (components.variances[:1] > 0) & ~((largest >= jnp.finfo(largest.dtype).tiny) & (largest < jnp.inf))
    if not is_traced(lost) and lost.any():
        raise ValueError(
            f"the variances of features of about {float(unit):.1g} are beyond the range of {largest.dtype}: divide the "
            "features by their largest entry"
        )
    return PrincipalComponents(
        components.mean * unit, components.directions, jnp.where(lost, jnp.nan, components.variances * unit**2)
    )


def scaled_components(
    features: ArrayLike, weights: ArrayLike | None = None
) -> tuple[PrincipalComponents, Float[Array, ""]]:
    """The principal components of features divided by a power of two just below their largest entry; and that power.

    Squares of the features themselves may leave the range of float32.
    """
    features, weights = weighted_rows({"features [row, feature]": features}, weights)
    if not features.shape[1]:
        raise ValueError(f"principal_components needs features [row, feature], one or more; got {features.shape}")
    return _components(features, weights)


@jax.jit
def _components(features: Array, weights: Array) -> tuple[PrincipalComponents, Array]:
    unit = power_of_two(abs(features).max())
    statistic = probe_statistic(features / unit, features[:, :0], weights)
    return PrincipalComponents(statistic.mean, *_axes(statistic.factor / jnp.sqrt(statistic.weight))), unit


@jax.custom_jvp
def _axes(factor: Float[Array, "row feature"]) -> tuple[Float[Array, "component feature"], Float[Array, " component"]]:
    """The eigenvectors of R^T R, largest eigenvalue first, and the eigenvalues."""
    _, sizes, directions = jnp.linalg.svd(factor, full_matrices=False)
    return directions, sizes**2


@_axes.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Directions of equal variance do not turn into each other: their choice within that space is arbitrary."""
    directions, variances = _axes(*primals)
    half = contract("ij,ri,rk,lk->jl", directions.T, *primals, *tangents, directions)
    moved, gap = half + half.T, variances[None] - variances[:, None]
    apart = ~only_rounding(abs(gap), variances[:1, None])
    turned = jnp.where(apart, moved / jnp.where(apart, gap, 1), 0)
    return (directions, variances), (contract("ij,ik->jk", turned, directions), moved.diagonal())


def compare_distances(
    key: PRNGKeyArray, left: ArrayLike, right: ArrayLike, *, pairs: int = 1_000_000, weights: ArrayLike | None = None
) -> Float[Array, ""]:
    """r2 between pairwise distances in two clouds `[row, axis]` of the same rows, over all or random pairs.

    It is in float32 at least, and 0 where the distances in a cloud vary by no more than the rounding of its points.

    Args:
        key: draws the pairs where there are more than `pairs`.
        left: `[row, axis]`.
        right: `[row, axis]`, of any dimension.
        pairs: the largest number of pairs; the estimate's standard error is about 1/sqrt(pairs), and 0 over all pairs.
        weights: `[row]`: a pair counts in proportion to the product of its rows' weights; default equal. Rows of no
            weight may hold NaN.

    Raises:
        ValueError: clouds of other than two axes or of different rows, NaN, weights of other rows, negative or all
            zero.

    >>> square = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> round(float(compare_distances(jax.random.key(0), square, -2 * square)), 4)
    1.0
    """
    one, other, shares, left, right, _ = _pairs("compare_distances", key, left, right, pairs, weights)
    distances = [_distances(cloud, one, other) for cloud in (left, right)]
    return _r2(*distances, shares, [abs(cloud).max(initial=0) for cloud in (left, right)])


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

    The cosine is between vectors from each cloud's weighted mean, so an offset or a scale of a cloud changes nothing.
    A row at the mean itself has the cosine 0 with every row. The r2 is in float32 at least, and 0 where the cosines in
    a cloud do not vary, such as the cosines of a probe that sees the mean everywhere.

    Args:
        key: draws the pairs where there are more than `pairs`.
        left: `[row, axis]`, what is predicted.
        right: `[row, axis]`, the truth.
        pairs: the largest number of pairs.
        weights: `[row]`; default equal.
        centred: False takes the vectors from zero, so that an offset counts.

    Raises:
        ValueError: as `compare_distances`.

    Applied to predicted and true beliefs, this is our understanding of the cosine-similarity R2 of Riechers, Elliott,
    Shai 2025 (2507.07432). We do not know whether their vectors are centred, whether their R2 is a squared
    correlation, and whether pairs of equal rows count.

    >>> square = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> round(float(compare_cosines(jax.random.key(0), square, 3 - 2 * square)), 4)
    1.0
    """
    one, other, shares, left, right, law = _pairs("compare_cosines", key, left, right, pairs, weights)
    cosines = [_cosines(cloud, law * centred, one, other) for cloud in (left, right)]
    return _r2(*cosines, shares, [jnp.sqrt(cloud.shape[1]) for cloud in (left, right)])  # sums of so many products


@jax.jit
def _distances(
    cloud: Float[Array, "row axis"], one: Int[Array, " pair"], other: Int[Array, " pair"]
) -> Float[Array, " pair"]:
    return lengths(cloud[one] - cloud[other], -1)


@jax.jit
def _cosines(
    cloud: Float[Array, "row axis"], law: Float[Array, " row"], one: Int[Array, " pair"], other: Int[Array, " pair"]
) -> Float[Array, " pair"]:
    """Cosines between vectors from the mean, or from zero if the law is all zeros."""
    origin = weighted_mean(law, cloud)
    vectors = cloud - origin[None]
    size = lengths(vectors, -1)
    size = jnp.where(only_rounding(size, lengths(origin, -1)), 0, size)[:, None]
    unit = jnp.where(size == 0, 0, vectors / jnp.where(size == 0, 1, size))
    return (unit[one] * unit[other]).sum(-1)


def _pairs(
    who: str, key: PRNGKeyArray, left: ArrayLike, right: ArrayLike, pairs: int, weights: ArrayLike | None
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """The two rows of each pair, its share, both clouds with zeros in rows of no weight, and the share of each row."""
    left, right = as_reals("left", left), as_reals("right", right)
    if left.ndim == right.ndim == 2 and (len(left) != len(right) or not len(left)):
        raise ValueError(f"{who} needs clouds of the same rows, one or more; got {len(left)} and {len(right)}")
    if pairs < 1:
        raise ValueError(f"{who} needs pairs of 1 or more; got {pairs}")
    left, right, law = weighted_rows({"left [row, axis]": left, "right [row, axis]": right}, weights)
    law = law / law.sum()
    if len(left) ** 2 <= pairs:
        one, other = (jnp.ravel(row) for row in jnp.indices((len(left), len(left))))
        return one, other, law[one] * law[other], left, right, law
    one, other = jax.random.choice(key, len(left), (2, pairs), p=law)
    return one, other, jnp.full(pairs, 1 / pairs, law.dtype), left, right, law


@jax.jit
def _r2(
    left: Float[Array, " pair"], right: Float[Array, " pair"], shares: Float[Array, " pair"], sizes: list[Array]
) -> Float[Array, ""]:
    """The squared correlation of numbers rounded at the given sizes; 0 if either only varies by its rounding."""
    about = [values - weighted_mean(shares, values[:, None])[0] for values in (left, right)]
    units = [power_of_two(abs(values).max()) for values in about]
    one, other = (values / unit for values, unit in zip(about, units, strict=True))
    variances = [contract("p,p,p->", shares, values, values) for values in (one, other)]
    varies = [
        ~only_rounding(jnp.sqrt(variance), size / unit)
        for variance, size, unit in zip(variances, sizes, units, strict=True)
    ]
    product = jnp.where(varies[0] & varies[1], variances[0] * variances[1], 1)
    covariance = contract("p,p,p->", shares, one, other)
    return jnp.where(varies[0] & varies[1], covariance**2 / product, 0)
