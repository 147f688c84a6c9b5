"""Linear probes in closed form: weighted, held out, and mergeable without the data.

The triangular factor R of the centred, weighted [X, Y] with their mean holds all a least-squares fit needs. Stacking
two factors and taking QR merges two data sets, so streams and devices never meet the data again. Normal equations lose
half the digits: R comes from QR, or for float32 rows from their scatter in float64, which has twice as many, in a
fraction of the time. `jnp.linalg.lstsq` by default drops every direction under eps * N of the largest: at 100,000
float32 rows, 1.2%.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from beliefgeo.processes.process import ArrayLike, as_floats, concrete, contract

_BLOCK = 4096  # rows summed at a time: a few megabytes, which stay in the cache


class Probe(NamedTuple):
    """features @ kernel + bias."""

    kernel: Float[Array, "feature target"]
    bias: Float[Array, " target"]

    def __call__(self, features: ArrayLike) -> Float[Array, "... target"]:
        """The predicted targets of features `[..., feature]`."""
        features = as_floats(features)
        bias = jnp.expand_dims(self.bias, range(features.ndim - 1))
        return jnp.matmul(features, self.kernel, precision="highest") + bias


class Score(NamedTuple):
    """Weighted squared error and explained fraction of the variance, over all targets and of each one."""

    mse: Float[Array, ""]
    r2: Float[Array, ""]
    mse_per_target: Float[Array, " target"]
    r2_per_target: Float[Array, " target"]

    @property
    def rmse(self) -> Float[Array, ""]:
        """The root of the MSE: a typical error of one entry of the belief."""
        return jnp.sqrt(self.mse)


class ProbeStatistic(NamedTuple):
    """A sufficient statistic of weighted rows [X, Y]: total weight, mean, and R with R^T R = their scatter."""

    weight: Float[Array, ""]
    mean: Float[Array, " column"]
    factor: Float[Array, "column column"]


def fit_probe(
    features: ArrayLike,
    targets: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    offset: bool = True,
    rcond: float | None = None,
) -> Probe:
    """Weighted least squares: the (K, b) that minimise sum_i w_i |y_i - x_i K - b|^2, of least norm.

    Args:
        features: X `[row, feature]`.
        targets: Y `[row, target]`.
        weights: `[row]`, nonnegative, at any scale; default equal.
        offset: fit b; else b = 0.
        rcond: directions whose singular value is below rcond times the largest are dropped, measured after each
            feature is scaled to unit variance; default: `features * eps` of the dtype, a matter of rounding only.

    Raises:
        ValueError: mismatched rows, NaN, negative weights, or fewer rows than features without an explicit rcond.

    >>> probe = fit_probe([[0.0], [1.0], [2.0]], [[1.0], [3.0], [5.0]])
    >>> probe.kernel.round(4).tolist(), probe.bias.round(4).tolist()
    ([[2.0]], [1.0])
    """
    features, targets, weights = check_regression(features, targets, weights)
    if rcond is None and len(features) < features.shape[1]:
        raise ValueError(
            f"fit_probe needs at least as many rows as features ({features.shape[1]}), else it fits anything; got "
            f"{len(features)} rows: pass rcond, or choose it with cross_validate_probe"
        )
    cut_off = features.shape[1] * float(jnp.finfo(features.dtype).eps) if rcond is None else rcond
    return _fit(features, targets, weights, cut_off, offset)


@partial(jax.jit, static_argnames="offset")
def _fit(features: Array, targets: Array, weights: Array, rcond: jax.typing.ArrayLike, offset: bool) -> Probe:
    return solve_probe(probe_statistic(features, targets, weights), features.shape[1], offset=offset, rcond=rcond)


def score_probe(probe: Probe, features: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> Score:
    """Weighted MSE (mean over targets) and R2 = 1 - summed residual / summed variance over all targets.

    Raises:
        ValueError: mismatched rows, NaN, or negative weights.

    >>> score = score_probe(Probe(jnp.array([[1.0]]), jnp.zeros(1)), [[0.0], [2.0]], [[0.0], [1.0]])
    >>> float(score.mse), float(score.r2)
    (0.5, -1.0)
    """
    features, targets, weights = check_regression(features, targets, weights)
    return score_predictions(probe(features), targets, weights)


@jax.jit
def score_predictions(
    predictions: Float[Array, "row target"], targets: Float[Array, "row target"], weights: Float[Array, " row"]
) -> Score:
    """`score_probe` of predictions already made; the variance is that of the targets under the same weights."""
    shares = (weights / weights.sum())[:, None]
    mean = (shares * targets).sum(0)
    residual = (shares * (targets - predictions) ** 2).sum(0)
    variance = (shares * (targets - mean[None]) ** 2).sum(0)
    return Score(residual.mean(), 1 - residual.sum() / variance.sum(), residual, 1 - residual / variance)


@jax.jit
def probe_statistic(
    features: Float[Array, "row feature"], targets: Float[Array, "row target"], weights: Float[Array, " row"]
) -> ProbeStatistic:
    """The sufficient statistic of weighted rows: R of the weighted [1, X, Y] tells their mean and their centred R."""
    data = weights, features, targets.astype(features.dtype)
    weight = weights.sum()
    # Rows are measured from near their mean: a large offset would take the digits of all else. R's first row corrects.
    origin = [jax.lax.stop_gradient(contract("r,rc->c", weights / weight, columns)) for columns in data[1:]]
    factor = _factor(origin, *data)
    return ProbeStatistic(weight, jnp.concatenate(origin) + factor[0, 1:] / factor[0, 0], factor[1:, 1:])


def _rows(origin: list[Array], weights: Array, *columns: Array) -> Float[Array, "row column"]:
    """sqrt(w) [1, X, Y], X and Y measured from the origin."""
    centred = [values - zero[None] for values, zero in zip(columns, origin, strict=True)]
    return jnp.sqrt(weights)[:, None] * jnp.concatenate([jnp.ones_like(weights)[:, None], *centred], 1)


def _factor_by_qr(origin: list[Array], *data: Array) -> Float[Array, "column column"]:
    return _triangular_factor(_rows(origin, *data))


@jax.custom_jvp
def _factor(origin: list[Array], *data: Array) -> Float[Array, "column column"]:
    """R of `_rows`."""
    if data[0].dtype == jnp.float64 or jax.default_backend() == "tpu":  # which has no eigenvectors in float64
        return _factor_by_qr(origin, *data)
    return _factor_by_scatter(origin, *data)


@_factor.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    return jax.jvp(_factor_by_qr, primals, tangents)


@jax.custom_batching.sequential_vmap  # where float32 is the rule, jax can neither batch nor differentiate float64
def _factor_by_scatter(origin: list[Array], *data: Array) -> Float[Array, "column column"]:
    """R from R^T R, the scatter in float64, which may be singular: its root by eigenvectors, made triangular."""
    size = min(_BLOCK, len(data[0]))
    n_blocks, rest = divmod(len(data[0]), size)

    def of_rows(start: jax.typing.ArrayLike, size: int) -> Float[Array, "column column"]:
        rows = _rows(origin, *(jax.lax.dynamic_slice_in_dim(array, start, size) for array in data))
        with jax.enable_x64(True):
            return contract("ri,rj->ij", *2 * [rows.astype(jnp.float64)])

    # Block after block: a copy of all rows would take longer than their sum.
    starts, left_over = jnp.arange(n_blocks) * size, of_rows(n_blocks * size, rest)
    with jax.enable_x64(True):
        add = lambda total, start: (total + of_rows(start, size), None)
        sizes, directions = jnp.linalg.eigh(jax.lax.scan(add, left_over, starts)[0])
        root = jnp.sqrt(jnp.maximum(sizes, 0))[:, None] * directions.T
        return jnp.linalg.qr(root, mode="r").astype(data[0].dtype)


def merge_statistics(statistics: ProbeStatistic) -> ProbeStatistic:
    """The statistic of the union of several parts, stacked on a leading axis."""
    weight = statistics.weight.sum()
    mean = (statistics.weight / weight) @ statistics.mean
    between = jnp.sqrt(statistics.weight)[:, None] * (statistics.mean - mean[None])
    rows = jnp.concatenate([statistics.factor.reshape(-1, len(mean)), between])
    return ProbeStatistic(weight, mean, jnp.linalg.qr(rows, mode="r"))


def solve_probe(statistic: ProbeStatistic, n_features: int, *, offset: bool, rcond: jax.typing.ArrayLike) -> Probe:
    """The least-squares probe of a statistic; see `fit_probe`."""
    mean_x, mean_y = statistic.mean[:n_features], statistic.mean[n_features:]
    factor = statistic.factor if offset else _uncentred(statistic)
    scale = jnp.linalg.norm(factor[:, :n_features], axis=0)
    scale = jnp.where(scale > 0, scale, 1)
    # The factor has at least as many rows as features; below row n_features its feature columns are zero.
    left, sizes, right = jnp.linalg.svd(factor[:n_features, :n_features] / scale[None], full_matrices=False)
    kept = sizes > rcond * sizes[0]
    projected = left.T @ factor[:n_features, n_features:]
    kernel = (right.T @ jnp.where(kept[:, None], projected / jnp.where(kept, sizes, 1)[:, None], 0)) / scale[:, None]
    return Probe(kernel, mean_y - mean_x @ kernel if offset else jnp.zeros_like(mean_y))


@jax.jit
def score_statistic(probe: Probe, statistic: ProbeStatistic) -> Score:
    """`score_probe` on the rows that a statistic sums up, without the rows."""
    n_features = probe.kernel.shape[0]
    over_x, over_y = statistic.factor[:, :n_features], statistic.factor[:, n_features:]
    mean_x, mean_y = statistic.mean[:n_features], statistic.mean[n_features:]
    scatter = ((over_y - contract("rd,dk->rk", over_x, probe.kernel)) ** 2).sum(0)
    residual = scatter / statistic.weight + (mean_y - contract("d,dk->k", mean_x, probe.kernel) - probe.bias) ** 2
    variance = (over_y**2).sum(0) / statistic.weight
    return Score(residual.mean(), 1 - residual.sum() / variance.sum(), residual, 1 - residual / variance)


def _triangular_factor(rows: Float[Array, "row column"]) -> Float[Array, "column column"]:
    missing = max(0, rows.shape[1] - rows.shape[0])  # rows of zeros change nothing, and make the factor square
    return jnp.linalg.qr(jnp.pad(rows, ((0, missing), (0, 0))), mode="r")


def _uncentred(statistic: ProbeStatistic) -> Float[Array, "column column"]:
    """The factor of the rows themselves: their scatter about 0 is that about the mean plus weight * mean^2."""
    row = jnp.sqrt(statistic.weight) * statistic.mean
    return jnp.linalg.qr(jnp.concatenate([statistic.factor, row[None]]), mode="r")


def check_regression(features: ArrayLike, targets: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array, Array]:
    """Features, targets and weights (default ones) in one dtype; raises unless finite, of the same rows, w >= 0."""
    features, targets = as_floats(features), as_floats(targets)
    weights = jnp.ones(features.shape[0], features.dtype) if weights is None else as_floats(weights)
    if features.ndim != 2 or targets.ndim != 2 or {len(features)} != {len(targets), *weights.shape}:
        raise ValueError(
            "features [row, feature], targets [row, target] and weights [row] must have the same rows; got shapes "
            f"{features.shape}, {targets.shape} and {weights.shape}"
        )
    dtype = jnp.result_type(features, targets, weights)
    features, targets, weights = (array.astype(dtype) for array in (features, targets, weights))
    for name, array in (("features", features), ("targets", targets), ("weights", weights)):
        if not isinstance(array, Tracer) and not (finite := np.isfinite(np.asarray(array))).all():
            raise ValueError(f"{name} must be finite; got {(~finite).sum()} NaN or infinite entries")
    if (shares := concrete(weights)) is not None and not ((shares >= 0).all() and shares.sum() > 0):
        raise ValueError(f"weights must be nonnegative and not all zero; got a least weight of {shares.min():g}")
    return features, targets, weights
