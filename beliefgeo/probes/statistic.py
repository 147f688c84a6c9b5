"""The sufficient statistic of weighted rows; two statistics merge without their rows.

The mean of [X, Y] and a factor R, with R^T R = the scatter of [X, Y] about that mean, hold all that a least-squares fit
needs. Stacking two factors and taking QR merges two data sets, so streams and devices never need the data again. Normal
equations lose half the digits. So R comes from QR, or, for float32 rows, from their scatter in float64: that has twice
as many digits and takes a fraction of the time.

A column whose scatter is only rounding of its mean is 0 in R: standardising it would blow the rounding up.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from beliefgeo.arrays import contract
from beliefgeo.probes.weighted import lengths, only_rounding

_BLOCK = 4096  # the number of rows summed at a time: a few megabytes, which stay in the cache


class ProbeStatistic(NamedTuple):
    """A sufficient statistic of weighted rows [X, Y]: total weight, mean, and R with R^T R = their scatter.

    Attributes:
        weight: The sum of the weights.
        mean: The weighted mean of each column.
        factor: R, upper triangular.
    """

    weight: Float[Array, ""]
    mean: Float[Array, " column"]
    factor: Float[Array, "column column"]


@jax.jit
def probe_statistic(
    features: Float[Array, "row feature"], targets: Float[Array, "row target"], weights: Float[Array, " row"]
) -> ProbeStatistic:
    """The sufficient statistic of weighted rows, in the precision of the features, but at least float32."""
    dtype = jnp.result_type(features, jnp.float32)
    data = weights.astype(dtype), features.astype(dtype), targets.astype(dtype)
    return ProbeStatistic(data[0].sum(), *_mean_and_factor(*data))


def merge_statistics(statistics: ProbeStatistic) -> ProbeStatistic:
    """The statistic of the union of several parts, stacked on a leading axis."""
    weight = statistics.weight.sum()
    # Measured from a part's own mean, a column that is the same everywhere keeps its value to the last digit.
    near = statistics.mean[statistics.weight.argmax()]
    between = statistics.mean - near[None]
    shift = contract("p,pc->c", statistics.weight / jnp.where(weight > 0, weight, 1), between)
    # Safe under differentiation by the weights: a part of weight 0 has a mean of its own, but no share in the scatter.
    root = jnp.where(statistics.weight > 0, jnp.sqrt(jnp.where(statistics.weight > 0, statistics.weight, 1)), 0)
    between = root[:, None] * (between - shift[None])
    factor = _triangular_factor(jnp.concatenate([statistics.factor.reshape(-1, len(near)), between]))
    return ProbeStatistic(weight, near + shift, _without_rounding(factor, weight, near + shift, factor.dtype))


def uses_float64(dtype: DTypeLike) -> bool:
    """Whether rows of a dtype are summed in float64; never on a TPU, which has no eigenvectors in float64."""
    return dtype == jnp.float32 and jax.default_backend() != "tpu"


def statistic_in_float64(
    weights: Float[Array, " row"], features: Float[Array, "row feature"], targets: Float[Array, "row target"]
) -> ProbeStatistic:
    """The statistic of float32 rows in float64, for code under `jax.enable_x64`; it is as singular as the rows are."""
    origin = _origin(weights, features, targets)
    scatter = _scatter(origin, weights, features, targets)
    weight = scatter[0, 0]
    shift = scatter[0, 1:] / jnp.where(weight > 0, weight, 1)
    mean = jnp.concatenate(origin).astype(jnp.float64) + shift
    about = scatter[1:, 1:] - weight * shift[:, None] * shift[None]
    # Eigenvalues are right to eps of the largest, so each column is at unit scale: a large one would drown the others.
    scale = jnp.sqrt(jnp.maximum(about.diagonal(), 0))
    scale = jnp.where(only_rounding(scale, jnp.sqrt(weight) * mean, features.dtype), 0, scale)
    unit = jnp.where(scale == 0, 0, 1 / jnp.where(scale == 0, 1, scale))
    sizes, directions = jnp.linalg.eigh(unit[:, None] * about * unit[None])
    return ProbeStatistic(weight, mean, jnp.sqrt(jnp.maximum(sizes, 0))[:, None] * directions.T * scale[None])


def _scatter(origin: list[Array], *data: Array) -> Float[Array, "column column"]:
    """sum_r w_r [1, X_r, Y_r]^T [1, X_r, Y_r] in float64, with X and Y measured from the origin."""
    size = min(_BLOCK, len(data[0]))
    n_blocks, rest = divmod(len(data[0]), size)

    def of_rows(start: jax.typing.ArrayLike, size: int) -> Float[Array, "column column"]:
        rows = _rows(origin, *(jax.lax.dynamic_slice_in_dim(array, start, size) for array in data))
        return contract("ri,rj->ij", *2 * [rows.astype(jnp.float64)])

    # The rows are summed block after block: a copy of all rows would take longer than their sum.
    add = lambda total, start: (total + of_rows(start, size), None)
    return jax.lax.scan(add, of_rows(n_blocks * size, rest), jnp.arange(n_blocks) * size)[0]


def _origin(weights: Array, *columns: Array) -> list[Array]:
    """A point near the mean: measured from 0, a large offset would take all the digits."""
    weight = weights.sum()
    shares = weights / jnp.where(weight > 0, weight, 1)
    return [contract("r,rc->c", shares, values) for values in columns]


def _rows(origin: list[Array], weights: Array, *columns: Array) -> Float[Array, "row column"]:
    """sqrt(w) [1, X, Y], with X and Y measured from the origin."""
    centred = [values - zero[None] for values, zero in zip(columns, origin, strict=True)]
    return jnp.sqrt(weights)[:, None] * jnp.concatenate([jnp.ones_like(weights)[:, None], *centred], 1)


@jax.custom_jvp
def _mean_and_factor(
    weights: Float[Array, " row"], features: Float[Array, "row feature"], targets: Float[Array, "row target"]
) -> tuple[Float[Array, " column"], Float[Array, "column column"]]:
    if uses_float64(features.dtype):
        return _by_scatter(weights, features, targets)
    origin = _origin(weights, features, targets)
    factor = _triangular_factor(_rows(origin, weights, features, targets))
    mean = jnp.concatenate(origin) + factor[0, 1:] / jnp.where(factor[0, 0] != 0, factor[0, 0], 1)
    return mean, _without_rounding(factor[1:, 1:], weights.sum(), mean, features.dtype)


@jax.custom_batching.sequential_vmap  # where float32 is the rule, jax can neither batch nor differentiate float64
def _by_scatter(weights: Array, features: Array, targets: Array) -> tuple[Array, Array]:
    with jax.enable_x64(True):
        statistic = statistic_in_float64(weights, features, targets)
        return statistic.mean.astype(jnp.float32), statistic.factor.astype(jnp.float32)


def _without_rounding(
    factor: Float[Array, "row column"], weight: Float[Array, ""], mean: Float[Array, " column"], precision: DTypeLike
) -> Float[Array, "row column"]:
    constant = only_rounding(lengths(factor, 0), jnp.sqrt(weight) * mean, precision)
    return jnp.where(constant[None], 0, factor)


@_mean_and_factor.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Many R have the scatter G = sum_r w_r z_r^T z_r, z about the mean; `_moved` picks a smooth change of R."""
    (weights, *columns), (reweighted, *moves) = primals, tangents
    mean, factor = _mean_and_factor(*primals)
    weight = jnp.where(weights.sum() > 0, weights.sum(), 1)
    centred, moved = jnp.concatenate(columns, 1) - mean[None], jnp.concatenate(moves, 1)
    change = contract("r,rc->c", reweighted, centred) + contract("r,rc->c", weights, moved)
    inverse = _inverse(factor)
    rows = contract("ri,ij->rj", centred, inverse)
    crossed = contract("r,ri,rj->ij", weights, rows, moved) + contract("r,ri,rj->ij", reweighted, rows, centred)
    twice = contract("r,ri,rj->ij", reweighted, rows, rows)
    return (mean, factor), (change / weight, _moved(factor, inverse, crossed, twice))


@jax.custom_jvp
def _triangular_factor(rows: Float[Array, "row column"]) -> Float[Array, "column column"]:
    missing = max(0, rows.shape[1] - rows.shape[0])  # rows of zeros change nothing, and make the factor square
    return jnp.linalg.qr(jnp.pad(rows, ((0, missing), (0, 0))), mode="r")


@_triangular_factor.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """JAX's derivative of QR divides by R, which is singular where a column is constant."""
    factor = _triangular_factor(*primals)
    inverse = _inverse(factor)
    crossed = contract("ri,ij,rk->jk", primals[0], inverse, tangents[0])
    return factor, _moved(factor, inverse, crossed, jnp.zeros_like(factor))


def _inverse(factor: Float[Array, "column column"]) -> Float[Array, "column column"]:
    """R^- with R R^- R = R, without the directions below rounding; each column is at unit scale."""
    scale = lengths(factor, 0)
    scale = jnp.where(scale > 0, scale, 1)
    left, sizes, right = jnp.linalg.svd(factor / scale[None], full_matrices=False)
    kept = sizes > len(factor) * jnp.finfo(factor.dtype).eps * sizes.max(initial=0)
    return contract("ji,j,kj->ik", right, jnp.where(kept, 1 / jnp.where(kept, sizes, 1), 0), left) / scale[:, None]


def _moved(factor: Array, inverse: Array, crossed: Array, twice: Array) -> Float[Array, "column column"]:
    """A dR with R^T dR + dR^T R = dG, where R^-T dG = crossed + R's own part; the callers define `crossed`.

    dR = 1/2 (R^-T dG R^-) R + (R^-T dG) (1 - R^- R): the first term moves what R sees, the second the rest.
    """
    inside = contract("ij,jk->ik", crossed, inverse)
    onto = contract("ij,jk->ik", inverse, factor)
    symmetric = inside + inside.T - twice
    return contract("ij,jk->ik", symmetric, factor) / 2 + crossed - contract("ij,jk->ik", crossed, onto)
