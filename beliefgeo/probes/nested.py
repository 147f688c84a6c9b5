"""Probes scored on folds they never saw, with the cut-off chosen inside the other folds, for many sets of targets.

A fit is linear in its targets, so the features are decomposed once for all cut-offs and sets of targets. A fit without
two folds serves twice: each of the two may be held out while the other chooses the cut-off. So F folds cost
F (F + 1) / 2 fits.
"""

from functools import partial
from itertools import combinations
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from threadpoolctl import threadpool_limits

from beliefgeo.arrays import ArrayLike, contract
from beliefgeo.probes.folds import check_folds, members_of
from beliefgeo.probes.least_squares import check_regression
from beliefgeo.probes.sharing import at_home, everywhere, shared_out
from beliefgeo.probes.weighted import (
    as_reals,
    drop_rounding,
    explained,
    lengths,
    only_rounding,
    power_of_two,
    weighted_mean,
)

RCONDS = (1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 2.0)
"""The cut-offs that cross-validation tries. 2 is above every singular value and keeps no direction."""


class CrossValidated(NamedTuple):
    """Predictions of each fold's rows by a probe that never saw their fold; NaN for rows of no fold.

    Attributes:
        predictions: The targets as predicted.
        rcond: The cut-off that was chosen for each fold.
    """

    predictions: Float[Array, "row target"]
    rcond: Float[Array, " fold"]


class _Parts(NamedTuple):
    """What a fit needs of the rows [X, Y] of each fold, and of the rows of no fold (the last part, which only trains).

    `rows_x` and `rows_y` are the weighted rows about the part's own mean, turned so that no more rows are left than X
    has columns. `outside` is the squared length of the part of Y that the turn cuts off, which no fit can reach.
    """

    weight: Float[Array, " part"]
    mean_x: Float[Array, "part feature"]
    mean_y: Float[Array, "part target"]
    rows_x: Float[Array, "part row feature"]
    rows_y: Float[Array, "part row target"]
    outside: Float[Array, "part target"]


class _Fit(NamedTuple):
    """The fits at all cut-offs, x -> (x - centre) @ basis[:, kept] @ projected[kept]; kept: directions above it."""

    centre_x: Float[Array, " feature"]
    centre_y: Float[Array, " target"]
    sizes: Float[Array, " direction"]
    basis: Float[Array, "feature direction"]
    projected: Float[Array, "direction target"]


def cross_validate_probe(
    features: ArrayLike,
    targets: ArrayLike,
    folds: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    offset: bool = True,
    rconds: tuple[float, ...] = RCONDS,
) -> CrossValidated:
    """Predict every fold by a probe fitted on all other folds, with a cut-off chosen inside those.

    The cross-validation is nested: for each held-out fold, every cut-off is scored by holding out each remaining fold
    in turn, and the probe with the best cut-off is fitted on all remaining folds.

    Args:
        features: `[row, feature]`.
        targets: `[row, target]`.
        folds: `[row]` integers 0..F-1, at least 3 folds; rows with -1 only ever train.
        weights: `[row]`; default equal.
        offset: whether to fit an offset.
        rconds: the cut-offs to choose from; see `fit_probe`.

    Raises:
        ValueError: mismatched rows, NaN, weights that are negative, all zero, or all in two folds, fewer than 3 folds,
            or an empty fold.
    """
    rows = check_regression(features, targets, weights)
    labels, n_folds = check_folds(folds, rows[-1])
    given = everywhere((*rows, labels, members_of(labels, n_folds)))
    with _one_thread():
        return CrossValidated(*at_home(_predict(*given, n_folds, rconds, offset)))


def cross_validated_r2(
    features: ArrayLike, targets: ArrayLike, folds: ArrayLike, weights: ArrayLike | None = None
) -> Float[Array, " set"]:
    """R2 over all folds for each set of targets; each set has its own cut-offs, chosen as by `cross_validate_probe`.

    Targets that vary by no more than the rounding of their mean have R2 1 if they are predicted to within that
    rounding, else 0.

    Args:
        features: `[row, feature]`.
        targets: `[set, row, target]`.
        folds: `[row]`, as `cross_validate_probe` takes them.
        weights: `[row]`; default equal.

    Raises:
        ValueError: as `cross_validate_probe`, or targets of other than three axes.

    >>> x = jnp.arange(12.0)[:, None]
    >>> cross_validated_r2(x, jnp.stack([3 * x, jnp.cos(x)]), np.arange(12) % 4).round(2).tolist()
    [1.0, -0.27]
    """
    sets = as_reals("targets", targets)
    if sets.ndim != 3 or not len(sets):
        raise ValueError(f"targets must be [set, row, target], one set or more; got shape {sets.shape}")
    sets = sets / power_of_two(abs(sets).max((1, 2), keepdims=True, initial=0))  # R2 has no scale, squares have
    rows = check_regression(features, jnp.moveaxis(sets, 0, 1).reshape(sets.shape[1], -1), weights)
    labels, n_folds = check_folds(folds, rows[-1])
    given = everywhere((*rows, members_of(labels, n_folds)))
    with _one_thread():
        return at_home(_score_sets(*given, n_folds, len(sets)))


def _one_thread() -> threadpool_limits:
    """One thread for LAPACK: on small matrices the threads of OpenBLAS wait for one another, for seconds at times."""
    return threadpool_limits(1, user_api="blas")


@partial(jax.jit, static_argnames=("n_folds", "rconds"))
def _predict(
    features: Float[Array, "row feature"],
    targets: Float[Array, "row target"],
    weights: Float[Array, " row"],
    labels: Int[Array | np.ndarray, " row"],
    members: Int[Array | np.ndarray, "part part_row"],
    n_folds: int,
    rconds: tuple[float, ...],
    offset: bool | Bool[Array, ""],
) -> CrossValidated:
    unit = power_of_two(abs(targets).max())  # squares in this unit neither vanish nor overflow
    parts = _parts(features, targets / unit, weights, members)
    chosen = _choose(parts, n_folds, 1, rconds, offset)[:, 0]

    def probe(parts, fold_and_rcond):
        fold, rcond = fold_and_rcond
        fit = _fit(parts, fold[None], rconds, offset)
        kernel = contract("dr,rk->dk", fit.basis, _above(fit, rcond[None]) * fit.projected)[: features.shape[1]]
        return kernel, fit.centre_y - contract("d,dk->k", fit.centre_x[: len(kernel)], kernel)

    kernels, biases = shared_out(probe, parts, (jnp.arange(n_folds), chosen))
    predicted = unit * (contract("nd,fdk->nfk", features, kernels) + biases[None])
    held_out = predicted[jnp.arange(len(labels)), jnp.maximum(labels, 0)]
    return CrossValidated(jnp.where((labels >= 0)[:, None], held_out, jnp.nan), chosen)


@partial(jax.jit, static_argnames=("n_folds", "n_sets"))
def _score_sets(
    features: Float[Array, "row feature"],
    targets: Float[Array, "row set_target"],
    weights: Float[Array, " row"],
    members: Int[Array | np.ndarray, "part part_row"],
    n_folds: int,
    n_sets: int,
) -> Float[Array, " set"]:
    parts = _parts(features, targets, weights, members)
    chosen = _choose(parts, n_folds, n_sets, RCONDS, True)

    def residual(parts, fold_and_rconds):
        fold, rcond = fold_and_rconds
        fit = _fit(parts, fold[None], RCONDS, True)
        return _scatter(fit, _seen_from(fit, parts, fold), jnp.repeat(rcond, targets.shape[1] // n_sets))

    residuals = shared_out(residual, parts, (jnp.arange(n_folds), chosen)).sum(0)
    folds = jax.tree.map(lambda leaf: leaf[:n_folds], parts)
    mean = _mean(folds.weight, folds.mean_y)
    rows = _about(mean, folds.weight, folds.mean_y, folds.rows_y)
    variances = (rows**2).sum(0) + folds.outside.sum(0)
    left = drop_rounding(residuals / folds.weight.sum(), variances / folds.weight.sum(), mean)
    return explained(*(one.reshape(n_sets, -1).sum(1) for one in left))


def _choose(
    parts: _Parts, n_folds: int, n_sets: int, rconds: tuple[float, ...], offset: bool | Bool[Array, ""]
) -> Float[Array, "fold set"]:
    """The cut-off with the least error over the other folds, for each held-out fold and set of targets."""
    pairs, candidates = jnp.array(list(combinations(range(n_folds), 2))), jnp.array(rconds, parts.weight.dtype)

    def errors(parts, pair):
        fit = _fit(parts, pair, rconds, offset)
        seen = [_seen_from(fit, parts, fold) for fold in pair]
        error = lambda fold, rcond: _scatter(fit, fold, rcond[None]).reshape(n_sets, -1).sum(1)
        return jax.lax.map(lambda rcond: jnp.stack([error(fold, rcond) for fold in seen]), candidates)

    by_pair = shared_out(errors, parts, pairs)  # [pair, candidate, which of the two is predicted, set]
    total = jnp.zeros((n_folds, len(rconds), n_sets), by_pair.dtype)
    total = total.at[pairs[:, 1]].add(by_pair[:, :, 0]).at[pairs[:, 0]].add(by_pair[:, :, 1])
    return candidates[total.argmin(1)]


def _parts(
    features: Array, targets: Array, weights: Array, members: Int[Array | np.ndarray, "part part_row"]
) -> _Parts:
    features = jnp.pad(features, ((0, 0), (0, not features.shape[1])))  # without features the mean is left

    def part(rows):
        mass = jnp.where(rows >= 0, weights[rows], 0)
        shares = mass / jnp.where(mass.sum() > 0, mass.sum(), 1)
        (mean_x, x), (mean_y, y) = (_centred(shares, array[rows]) for array in (features, targets))
        x, y = jnp.sqrt(mass)[:, None] * x, jnp.sqrt(mass)[:, None] * y
        if x.shape[0] <= x.shape[1]:
            return _Parts(mass.sum(), mean_x, mean_y, x, y, jnp.zeros_like(mean_y))
        basis, factor = jnp.linalg.qr(x)
        inside = contract("nr,nk->rk", basis, y)
        outside = y - contract("nr,rk->nk", basis, inside)
        return _Parts(mass.sum(), mean_x, mean_y, factor, inside, (outside**2).sum(0))

    return jax.lax.map(part, jnp.asarray(members))


def _centred(shares: Float[Array, " row"], array: Float[Array, "row column"]) -> tuple[Array, Array]:
    mean = weighted_mean(shares, array)
    return mean, array - mean[None]


def _fit(
    parts: _Parts, left_out: Int[Array, " left_out"], rconds: tuple[float, ...], offset: bool | Bool[Array, ""]
) -> _Fit:
    """The fit to all parts but those left out, from the singular vectors of the features at unit variance."""
    number = jnp.arange(len(parts.weight))
    # The number of parts that stay is fixed, but their choice is traced: left-out parts are sorted last and cut off.
    order = jnp.argsort(jnp.isin(number, left_out), stable=True)[: len(number) - len(left_out)]
    some = jax.tree.map(lambda leaf: leaf[order], parts)
    centre_x, centre_y = (offset * _mean(some.weight, mean) for mean in (some.mean_x, some.mean_y))
    weight = jnp.sqrt(some.weight.sum())
    x = _without_rounding(_about(centre_x, some.weight, some.mean_x, some.rows_x), weight * centre_x)
    y = _without_rounding(_about(centre_y, some.weight, some.mean_y, some.rows_y), weight * centre_y)
    scale = lengths(x, 0)
    scale = jnp.where(scale > 0, scale, 1)
    # The factor of [X, Y] holds all that is needed of the rows: what is decomposed then is as small as X has columns.
    factor = jnp.linalg.qr(jnp.concatenate([x / scale[None], y], 1), mode="r")[: x.shape[1]]
    left, sizes, right = jnp.linalg.svd(factor[:, : x.shape[1]], full_matrices=False)
    ever_kept = sizes > min(rconds) * sizes[0]
    basis = right.T / scale[:, None] * jnp.where(ever_kept, 1 / jnp.where(ever_kept, sizes, 1), 0)[None]
    return _Fit(centre_x, centre_y, sizes, basis, contract("nr,nk->rk", left, factor[:, x.shape[1] :]))


def _above(fit: _Fit, rcond: Float[Array, " target"]) -> Bool[Array, "direction target"]:
    return fit.sizes[:, None] > rcond[None] * fit.sizes[0]


def _seen_from(fit: _Fit, parts: _Parts, fold: Int[Array, ""]) -> tuple[Array, Array, Array]:
    """A fold's rows about the centre of a fit: their coordinates along its directions, their targets, and the rest."""
    one = jax.tree.map(lambda leaf: leaf[fold][None], parts)
    x = _about(fit.centre_x, one.weight, one.mean_x, one.rows_x)
    y = _about(fit.centre_y, one.weight, one.mean_y, one.rows_y)
    return contract("nd,dr->nr", x, fit.basis), y, one.outside[0]


def _scatter(fit: _Fit, fold: tuple[Array, Array, Array], rcond: Float[Array, " _"]) -> Float[Array, " target"]:
    """sum_i w_i (y_i - prediction_i)^2 for each target at its cut-off, over a fold that `_seen_from` gives."""
    along, y, outside = fold
    predicted = contract("nr,rk->nk", along, _above(fit, rcond) * fit.projected)
    return ((y - predicted) ** 2).sum(0) + outside


def _mean(weight: Float[Array, " part"], mean: Float[Array, "part column"]) -> Float[Array, " column"]:
    near = mean[weight.argmax()]  # measured from here, a constant column keeps its last digit
    return near + contract("p,pc->c", weight / weight.sum(), mean - near[None])


def _without_rounding(rows: Float[Array, "row column"], size: Float[Array, " column"]) -> Float[Array, "row column"]:
    """The rows, with zeros in columns that vary only by rounding of their mean: at unit scale they would be noise."""
    return jnp.where(only_rounding(lengths(rows, 0), size)[None], 0, rows)


def _about(
    centre: Float[Array, " column"],
    weight: Float[Array, " part"],
    mean: Float[Array, "part column"],
    rows: Float[Array, "part row column"],
) -> Float[Array, "all_rows column"]:
    """The rows of several parts about a centre: the rows about their part's mean, and each mean about the centre."""
    between = jnp.sqrt(weight)[:, None] * (mean - centre[None])
    return jnp.concatenate([rows.reshape(-1, rows.shape[-1]), between])
