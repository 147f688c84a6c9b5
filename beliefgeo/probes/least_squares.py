"""Linear probes in closed form: weighted, held out, and of least norm.

They are solved from the `statistic` of the rows, with each column that varies scaled to unit variance. By default
`jnp.linalg.lstsq` drops every direction under eps * N of the largest: at 100,000 float32 rows, 1.2%.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from beliefgeo.arrays import ArrayLike, contract
from beliefgeo.probes.statistic import ProbeStatistic, probe_statistic, statistic_in_float64, uses_float64
from beliefgeo.probes.weighted import (
    as_reals,
    drop_rounding,
    explained,
    lengths,
    power_of_two,
    weighted_mean,
    weighted_rows,
)


class Probe(NamedTuple):
    """features @ kernel + bias.

    Attributes:
        kernel: What each feature counts for each target.
        bias: What is added to each target.
    """

    kernel: Float[Array, "feature target"]
    bias: Float[Array, " target"]

    def __call__(self, features: ArrayLike) -> Float[Array, "... target"]:
        """The predicted targets of features `[..., feature]`."""
        features = as_reals("features", features)
        if features.shape[-1:] != self.kernel.shape[:1]:
            raise ValueError(f"this probe reads {len(self.kernel)} features; got features of shape {features.shape}")
        bias = jnp.expand_dims(self.bias, range(features.ndim - 1))
        return jnp.matmul(features, self.kernel, precision="highest") + bias


class Score(NamedTuple):
    """Weighted squared error and explained fraction of the variance, over all targets and for each target.

    A target that varies by no more than the rounding of its mean has R2 1 if it is predicted to within that rounding,
    else 0.

    Attributes:
        mse: The mean squared error, mean over targets.
        r2: 1 - summed residual / summed variance.
        mse_per_target: The mean squared error of each target.
        r2_per_target: The explained share of each.
    """

    mse: Float[Array, ""]
    r2: Float[Array, ""]
    mse_per_target: Float[Array, " target"]
    r2_per_target: Float[Array, " target"]

    @property
    def rmse(self) -> Float[Array, ""]:
        """The root of the MSE: a typical error of one entry of the belief."""
        perfect = self.mse == 0
        return jnp.where(perfect, 0, jnp.sqrt(jnp.where(perfect, 1, self.mse)))  # where its gradient is 0


def fit_probe(
    features: ArrayLike,
    targets: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    offset: bool = True,
    rcond: float | None = None,
) -> Probe:
    """Weighted least squares: the (K, b) that minimise sum_i w_i |y_i - x_i K - b|^2, of least norm.

    A feature whose standard deviation is no more than the rounding of its mean, 2 eps |mean|, is constant: beside an
    offset it counts for nothing, and its kernel is 0. The probe is in float32 at least, and solved in float64.

    Args:
        features: X `[row, feature]`; without features b is the mean.
        targets: Y `[row, target]`.
        weights: `[row]`, nonnegative, at any scale; default equal. Rows of no weight may hold NaN.
        offset: whether to fit b; else b = 0.
        rcond: the cut-off. The fit drops directions whose singular value is below rcond times the largest singular
            value, after each feature is scaled to unit variance. The default, `features * eps` of the dtype, drops
            only rounding. The fit uses at least `4 sqrt(features) * eps`, because a direction below that is rounding
            of the rows.

    Raises:
        ValueError: other than two axes, mismatched rows, NaN, weights that are negative or all zero, or fewer rows
            than features without an explicit rcond.

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
    # A direction below this is rounding of the rows, and its kernel could be anything.
    least = 4 * features.shape[1] ** 0.5 * float(jnp.finfo(features.dtype).eps)
    return _probe(features, targets, weights, jnp.maximum(rcond, least), offset)


@partial(jax.custom_jvp, nondiff_argnums=(4,))
def _probe(features: Array, targets: Array, weights: Array, rcond: Array, offset: bool) -> Probe:
    if uses_float64(features.dtype):
        return _solved_in_float64(features, targets, weights, rcond, offset)
    return _solved(features, targets, weights, rcond, offset)


@_probe.defjvp
def _(offset: bool, primals: tuple, tangents: tuple) -> tuple[Probe, Probe]:
    _, moved = jax.jvp(partial(_solved, offset=offset), primals, tangents)
    return _probe(*primals, offset), moved


def _solved(features: Array, targets: Array, weights: Array, rcond: Array, offset: bool) -> Probe:
    return solve_probe(probe_statistic(features, targets, weights), features.shape[1], offset=offset, rcond=rcond)


def _solved_in_float64(features: Array, targets: Array, weights: Array, rcond: Array, offset: bool) -> Probe:
    """The means and the kernel keep twice the digits until they give the offset, a difference of large numbers."""

    @jax.custom_batching.sequential_vmap  # where float32 is the rule, jax can neither batch nor differentiate float64
    def solved(features: Array, targets: Array, weights: Array, rcond: Array) -> Probe:
        with jax.enable_x64(True):
            statistic = statistic_in_float64(weights, features, targets)
            probe = solve_probe(statistic, features.shape[1], offset=offset, rcond=rcond)
            return Probe(probe.kernel.astype(jnp.float32), probe.bias.astype(jnp.float32))

    return solved(features, targets, weights, rcond)


def score_probe(probe: Probe, features: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> Score:
    """Weighted MSE (mean over targets) and R2 = 1 - summed residual / summed variance over all targets.

    `Score` defines R2 for targets without variance.

    Raises:
        ValueError: other than two axes, mismatched rows, NaN, weights that are negative or all zero, or a number of
            features or targets that is not the probe's.

    >>> score = score_probe(Probe(jnp.array([[1.0]]), jnp.zeros(1)), [[0.0], [2.0]], [[0.0], [1.0]])
    >>> float(score.mse), float(score.r2)
    (0.5, -1.0)
    """
    features, targets, weights = check_regression(features, targets, weights)
    return score_predictions(probe(features), targets, weights)


def score_predictions(predictions: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> Score:
    """`score_probe` for predictions already made; the variance of the targets is under the same weights."""
    columns = {"predictions [row, target]": predictions, "targets [row, target]": targets}
    predictions, targets, weights = weighted_rows(columns, weights)
    if predictions.shape != targets.shape or not targets.size:
        raise ValueError(
            "predictions must have the shape of the targets, [row, target], one or more; got "
            f"{predictions.shape} and {targets.shape}"
        )
    return _score_rows(predictions, targets, weights)


@jax.jit
def _score_rows(predictions: Array, targets: Array, weights: Array) -> Score:
    shares = weights / weights.sum()
    mean = weighted_mean(shares, targets)
    return _score(shares, targets - predictions, targets - mean[None], mean)


def _score(
    shares: Float[Array, " row"],
    errors: Float[Array, "row target"],
    about: Float[Array, "row target"],
    mean: Float[Array, " target"],
) -> Score:
    """The score from weighted sums of squares, in units of about the largest value: small squares would round to 0."""
    unit = power_of_two(jnp.maximum(abs(errors).max(0), abs(about).max(0)))
    residual, variance = (contract("r,rk->k", shares, (one / unit[None]) ** 2) for one in (errors, about))
    left, spread = drop_rounding(residual, variance, mean / unit)
    common = (unit / unit.max()) ** 2
    r2 = explained((common * left).sum(), (common * spread).sum())
    mse = residual * unit**2
    return Score(mse.mean(), r2, mse, explained(left, spread))


def solve_probe(statistic: ProbeStatistic, n_features: int, *, offset: bool, rcond: jax.typing.ArrayLike) -> Probe:
    """The least-squares probe of a statistic; see `fit_probe`. A statistic without weight gives NaN."""
    mean = jnp.where(statistic.weight > 0, statistic.mean, jnp.nan)
    mean_x, mean_y = mean[:n_features], mean[n_features:]
    # The scatter about 0 is the scatter about the mean plus weight * mean^2.
    zero = jnp.sqrt(statistic.weight) * mean[None]
    factor = statistic.factor if offset else jnp.concatenate([statistic.factor, zero])
    over_x, over_y = factor[:, :n_features], factor[:, n_features:]
    scale = lengths(over_x, 0)[:, None]
    constant, scale = scale == 0, jnp.where(scale == 0, 1, scale)
    kernel = jnp.where(constant, 0, _least_norm(over_x / scale.T, over_y, rcond) / scale)
    return Probe(kernel, mean_y - contract("d,dk->k", mean_x, kernel) if offset else jnp.zeros_like(mean_y))


@jax.custom_jvp
def _least_norm(
    rows: Float[Array, "row feature"], targets: Float[Array, "row target"], rcond: jax.typing.ArrayLike
) -> Float[Array, "feature target"]:
    """rows^+ targets without the directions below rcond of the largest; there are no fewer rows than features."""
    if not rows.shape[1]:
        return jnp.zeros((0, targets.shape[1]), targets.dtype)
    left, right, sizes, kept = _directions(rows, rcond)
    inverse = jnp.where(kept, 1 / jnp.where(kept, sizes, 1), 0)
    return contract("rd,r,ir,ik->dk", right, inverse, left, targets)


def _directions(rows: Array, rcond: jax.typing.ArrayLike) -> tuple[Array, Array, Array, Bool[Array, " direction"]]:
    left, sizes, right = jnp.linalg.svd(rows, full_matrices=False)
    return left, right, sizes, sizes > rcond * sizes[0]


@_least_norm.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """The derivative of the pseudo-inverse of the kept directions.

    It has no derivative of a single singular vector, which would divide by the gaps between singular values.
    """
    (rows, targets, rcond), (moved, targets_moved, _), kernel = primals, tangents, _least_norm(*primals)
    if not rows.shape[1]:
        return kernel, kernel
    left, right, sizes, kept = _directions(rows, rcond)
    both, either = kept[:, None] & kept[None], kept[:, None] ^ kept[None]
    large, small = (extreme(sizes[:, None], sizes[None]) for extreme in (jnp.maximum, jnp.minimum))
    turned = contract("ir,ij,sj->rs", left, moved, right)
    # A kept direction turns towards a dropped direction, and turns more the nearer their sizes are.
    gap = jnp.where(either, large**2 - small**2, 1)
    turned_of_kept = jnp.where(both, turned, jnp.where(either, large * (large * turned + small * turned.T) / gap, 0))
    beyond = moved - contract("ir,jr,jk->ik", left, left, moved)
    onto = contract("rd,r,re->de", right, kept.astype(sizes.dtype), right)
    change = contract("ir,rs,sd->id", left, turned_of_kept, right) + contract("id,de->ie", beyond, onto)
    inverse = jnp.where(kept, 1 / jnp.where(kept, sizes, 1), 0)
    pseudo = contract("rd,r,ir->di", right, inverse, left)
    residual = targets - contract("ir,r,jr,jk->ik", left, kept.astype(sizes.dtype), left, targets)
    first = contract("di,ik->dk", pseudo, targets_moved - contract("id,dk->ik", change, kernel))
    second = contract("di,ei,je,jk->dk", pseudo, pseudo, change, residual)
    third = contract("id,ei,ek->dk", change, pseudo, kernel)
    return kernel, first + second + third - contract("de,ek->dk", onto, third)


@jax.jit
def score_statistic(probe: Probe, statistic: ProbeStatistic) -> Score:
    """`score_probe` on the rows that a statistic sums up; the rows are not needed."""
    n_features = probe.kernel.shape[0]
    over_x, over_y = statistic.factor[:, :n_features], statistic.factor[:, n_features:]
    mean_x, mean_y = statistic.mean[:n_features], statistic.mean[n_features:]
    errors = over_y - contract("rd,dk->rk", over_x, probe.kernel)
    shift = jnp.sqrt(statistic.weight) * (mean_y - contract("d,dk->k", mean_x, probe.kernel) - probe.bias)
    errors, about = jnp.concatenate([errors, shift[None]]), jnp.pad(over_y, ((0, 1), (0, 0)))
    return _score(jnp.ones(len(errors), errors.dtype) / statistic.weight, errors, about, mean_y)


def check_regression(features: ArrayLike, targets: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array, Array]:
    """Features, targets and weights in one dtype, as `weighted_rows` gives them; raises unless there is a target."""
    rows = weighted_rows({"features [row, feature]": features, "targets [row, target]": targets}, weights)
    if not rows[1].shape[1]:
        raise ValueError(f"targets [row, target] must have one target or more; got shape {rows[1].shape}")
    return rows  # pyright: ignore[reportReturnType]
