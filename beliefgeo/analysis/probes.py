"""Linear probes in closed form: weighted, held out, and mergeable without the data.

The triangular factor R of the centred, weighted [X, Y] with their mean holds all a least-squares fit needs. Stacking
two factors and taking QR merges two data sets, so streams, devices and cross-validation folds never meet the data
again. Normal equations would lose half the digits, and `jnp.linalg.lstsq` by default drops every direction under
eps * N of the largest: at 100,000 float32 rows, 1.2%.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from beliefgeo.processes.process import ArrayLike, as_floats, concrete

# Cut-offs tried by cross-validation; 2 is above every singular value: no direction is worth keeping.
RCONDS = (1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 2.0)


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
    features, targets, weights = _checked(features, targets, weights)
    if rcond is None and len(features) < features.shape[1]:
        raise ValueError(
            f"fit_probe needs at least as many rows as features ({features.shape[1]}), else it fits anything; got "
            f"{len(features)} rows: pass rcond, or choose it with cross_validate_probe"
        )
    statistic = probe_statistic(features, targets, weights)
    return solve_probe(statistic, features.shape[1], offset=offset, rcond=rcond)


def score_probe(probe: Probe, features: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> Score:
    """Weighted MSE (mean over targets) and R2 = 1 - summed residual / summed variance over all targets.

    Raises:
        ValueError: mismatched rows, NaN, or negative weights.

    >>> score = score_probe(Probe(jnp.array([[1.0]]), jnp.zeros(1)), [[0.0], [2.0]], [[0.0], [1.0]])
    >>> float(score.mse), float(score.r2)
    (0.5, -1.0)
    """
    features, targets, weights = _checked(features, targets, weights)
    return score_predictions(probe(features), targets, weights)


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
    """The sufficient statistic of weighted rows."""
    rows = jnp.concatenate([features, targets.astype(features.dtype)], 1)
    weight = weights.sum()
    shares = (weights / weight)[:, None]
    mean = (shares * rows).sum(0)
    mean = mean + (shares * (rows - mean[None])).sum(0)  # once more: a large offset leaves rounding in the first
    return ProbeStatistic(weight, mean, _triangular_factor(jnp.sqrt(weights)[:, None] * (rows - mean[None])))


def merge_statistics(statistics: ProbeStatistic, keep: Bool[Array, " part"]) -> ProbeStatistic:
    """The statistic of the union of those parts (stacked on a leading axis) that are kept."""
    weights = jnp.where(keep, statistics.weight, 0)
    weight = weights.sum()
    mean = (weights / weight) @ statistics.mean
    factors = jnp.where(keep[:, None, None], statistics.factor, 0)
    between = jnp.sqrt(weights)[:, None] * (statistics.mean - mean[None])
    rows = jnp.concatenate([factors.reshape(-1, len(mean)), between])
    return ProbeStatistic(weight, mean, jnp.linalg.qr(rows, mode="r"))


def solve_probe(
    statistic: ProbeStatistic, n_features: int, *, offset: bool = True, rcond: ArrayLike | None = None
) -> Probe:
    """The least-squares probe of a statistic; see `fit_probe`."""
    mean_x, mean_y = statistic.mean[:n_features], statistic.mean[n_features:]
    factor = statistic.factor if offset else _uncentred(statistic)
    scale = jnp.linalg.norm(factor[:, :n_features], axis=0)
    scale = jnp.where(scale > 0, scale, 1)
    eps = jnp.finfo(factor.dtype).eps
    # The factor has at least as many rows as features; below row n_features its feature columns are zero.
    left, sizes, right = jnp.linalg.svd(factor[:n_features, :n_features] / scale[None], full_matrices=False)
    kept = sizes > (n_features * eps if rcond is None else jnp.asarray(rcond)) * sizes[0]
    projected = left.T @ factor[:n_features, n_features:]
    kernel = (right.T @ jnp.where(kept[:, None], projected / jnp.where(kept, sizes, 1)[:, None], 0)) / scale[:, None]
    return Probe(kernel, mean_y - mean_x @ kernel if offset else jnp.zeros_like(mean_y))


def residual_scatter(probe: Probe, statistic: ProbeStatistic) -> Float[Array, " target"]:
    """sum_i w_i (y_i - x_i K - b)^2 of each target, from the statistic alone."""
    n_features = len(probe.kernel)
    inner = statistic.factor[:, n_features:] - statistic.factor[:, :n_features] @ probe.kernel
    shift = statistic.mean[n_features:] - statistic.mean[:n_features] @ probe.kernel - probe.bias
    return (inner**2).sum(0) + statistic.weight * shift**2


class CrossValidated(NamedTuple):
    """Each fold's rows predicted by a probe that never saw their subtree; NaN for rows of no fold."""

    predictions: Float[Array, "row target"]
    rcond: Float[Array, " fold"]


def cross_validate_probe(
    features: ArrayLike,
    targets: ArrayLike,
    folds: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    offset: bool = True,
    rconds: tuple[float, ...] = RCONDS,
) -> CrossValidated:
    """Predict every fold by a probe fitted on all the others, its cut-off chosen inside them.

    Nested: for each held-out fold, every cut-off is scored by holding out each remaining fold in turn, and the best
    is fitted on all of them.

    Args:
        features: `[row, feature]`.
        targets: `[row, target]`.
        folds: `[row]` integers 0..F-1, at least 3 folds; rows with -1 are only ever trained on.
        weights: `[row]`; default equal.
        offset: fit an offset.
        rconds: the cut-offs to choose from; see `fit_probe`.

    Raises:
        ValueError: mismatched rows, NaN, negative weights, fewer than 3 folds or an empty one.
    """
    features, targets, weights = _checked(features, targets, weights)
    labels = np.asarray(folds)
    n_folds = int(labels.max(initial=-1)) + 1
    if labels.shape != weights.shape:
        raise ValueError(f"folds must have one entry per row ({len(weights)}); got shape {labels.shape}")
    if n_folds < 3 or len(np.unique(labels[labels >= 0])) < n_folds:
        raise ValueError(f"cross-validation needs folds 0..F-1, F >= 3, none empty; got {np.unique(labels).tolist()}")
    # Rows of no fold are the last part, which is always kept for training.
    parts = [np.flatnonzero(labels == part) for part in [*range(n_folds), -1] if (labels == part).any()]
    statistics = [probe_statistic(features[rows], targets[rows], weights[rows]) for rows in parts]
    probes, rcond = _nested_fits(
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *statistics), jnp.asarray(rconds), features.shape[1], n_folds,
        offset,
    )  # fmt: skip
    predicted = jax.vmap(lambda probe: probe(features))(probes)
    held_out = predicted[np.maximum(labels, 0), np.arange(len(labels))]
    return CrossValidated(jnp.where((labels >= 0)[:, None], held_out, jnp.nan), rcond)


@partial(jax.jit, static_argnums=(2, 3, 4))
def _nested_fits(
    statistics: ProbeStatistic, rconds: Float[Array, " candidate"], n_features: int, n_folds: int, offset: bool
) -> tuple[Probe, Float[Array, " fold"]]:
    parts = jnp.arange(len(statistics.weight))
    part = lambda fold: jax.tree.map(lambda leaf: leaf[fold], statistics)
    fit = lambda training, rcond: solve_probe(training, n_features, offset=offset, rcond=rcond)

    def validation_error(outer, inner):
        training = merge_statistics(statistics, (parts != outer) & (parts != inner))
        errors = jax.vmap(lambda rcond: residual_scatter(fit(training, rcond), part(inner)).sum())(rconds)
        return jnp.where(outer == inner, 0, errors)

    def fit_without(outer):
        errors = jax.vmap(partial(validation_error, outer))(jnp.arange(n_folds)).sum(0)
        rcond = rconds[jnp.argmin(errors)]
        return fit(merge_statistics(statistics, parts != outer), rcond), rcond

    return jax.lax.map(fit_without, jnp.arange(n_folds))


def _triangular_factor(rows: Float[Array, "row column"]) -> Float[Array, "column column"]:
    missing = max(0, rows.shape[1] - rows.shape[0])  # rows of zeros change nothing, and make the factor square
    return jnp.linalg.qr(jnp.pad(rows, ((0, missing), (0, 0))), mode="r")


def _uncentred(statistic: ProbeStatistic) -> Float[Array, "column column"]:
    """The factor of the rows themselves: their scatter about 0 is that about the mean plus weight * mean^2."""
    row = jnp.sqrt(statistic.weight) * statistic.mean
    return jnp.linalg.qr(jnp.concatenate([statistic.factor, row[None]]), mode="r")


def _checked(features: ArrayLike, targets: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array, Array]:
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
        if not isinstance(array, Tracer) and (bad := (~np.isfinite(np.asarray(array))).sum()):
            raise ValueError(f"{name} must be finite; got {bad} NaN or infinite entries")
    if (shares := concrete(weights)) is not None and not ((shares >= 0).all() and shares.sum() > 0):
        raise ValueError(f"weights must be nonnegative and not all zero; got a least weight of {shares.min():g}")
    return features, targets, weights
