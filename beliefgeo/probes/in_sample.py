"""Probes scored on the very rows they were fitted to, as in papers: only for comparison with the papers' numbers.

Cross-validation chooses the cut-off, but over folds of random rows: a probe that saw related rows predicts each row. To
learn what a network holds, use `held_out`.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from beliefgeo.arrays import ArrayLike, contract
from beliefgeo.probes.geometry import compare_cosines, principal_components
from beliefgeo.probes.least_squares import Probe, check_regression, fit_probe, score_predictions, solve_probe
from beliefgeo.probes.nested import RCONDS, cross_validated_r2
from beliefgeo.probes.statistic import ProbeStatistic, merge_statistics, probe_statistic


class Seen(NamedTuple):
    """What an affine probe of a few components sees of its targets, and its R2 on the rows of the fit and held out.

    Attributes:
        seen: The targets as the probe sees them.
        r2: On the rows of the fit.
        held_out_r2: On rows that the probe never saw.
    """

    seen: Float[Array, "row target"]
    r2: Float[Array, ""]
    held_out_r2: Float[Array, ""]


def read_components(
    features: Float[Array, "row feature"],
    targets: Mapping[str, Float[Array | np.ndarray, "row target"]],
    folds: Int[np.ndarray, " row"],
    count: int,
) -> dict[str, Seen]:
    """Probe several targets from the first principal components of the features; all rows count equally.

    The components are fitted to all rows, held out or not; they do not depend on the targets.

    Args:
        features: activations.
        targets: arrays of one shape, by name.
        folds: as `cross_validate_probe` takes them, such as `held_out_folds`.
        count: the number of components.

    Raises:
        ValueError: fewer features than `count`; or as `principal_components` and `cross_validate_probe`.

    Source: Piotrowski et al. 2502.01954 probe constrained beliefs from three components.
    """
    components = principal_components(features)
    if not 1 <= count <= len(components.directions):
        raise ValueError(f"count must be from 1 to the {len(components.directions)} features; got {count}")
    read = components(features)[:, :count]
    values = jnp.stack([jnp.asarray(one, read.dtype) for one in targets.values()])
    held_out = cross_validated_r2(read, values, folds)
    seen = [fit_probe(read, one)(read) for one in values]
    r2 = [score_predictions(*pair).r2 for pair in zip(seen, values, strict=True)]
    return {name: Seen(*one) for name, *one in zip(targets, seen, r2, held_out, strict=True)}


def fit_probe_by_folds(
    features: ArrayLike,
    targets: ArrayLike,
    folds: Sequence[Int[np.ndarray, " _"]],
    weights: ArrayLike | None = None,
) -> Probe:
    """The affine probe of all rows, with the cut-off that predicts left-out folds best.

    The probe of all other folds predicts each fold. The chosen cut-off has the least mean, over folds, of a fold's
    weighted mean squared error. A sum over rows would let the fold of the likeliest prefix decide alone.

    Args:
        features: `[row, feature]`.
        targets: `[row, target]`.
        folds: the rows of each fold, such as `np.array_split(np.random.default_rng(0).permutation(n_rows), 10)`.
        weights: `[row]`; default equal.

    Raises:
        ValueError: mismatched rows, NaN, weights that are negative or all zero, fewer than two folds, a fold without
            weight, or folds that do not hold each row once.

    Source: the probes of Riechers, Elliott, Shai 2025 (2507.07432); how they weigh their folds is not known.

    >>> x = jnp.arange(6.0)[:, None]
    >>> probe = fit_probe_by_folds(x, 2 * x + 1, np.array_split(np.arange(6), 3))
    >>> probe.kernel.round(4).tolist(), probe.bias.round(4).tolist()
    ([[2.0]], [1.0])
    """
    features, targets, weights = check_regression(features, targets, weights)
    if not np.array_equal(np.sort(np.concatenate([*folds, []])), np.arange(len(weights))):
        raise ValueError(
            f"folds must hold each of the {len(weights)} rows once, as np.array_split of their numbers does"
        )
    rows = [(features[fold], targets[fold], weights[fold]) for fold in folds]
    if len(rows) < 2 or not all(weight.sum() > 0 for _, _, weight in rows):
        raise ValueError(f"a cut-off is chosen over two folds or more, each of positive weight; got {len(rows)} folds")
    parts = [probe_statistic(*fold) for fold in rows]
    errors = [_errors(_stacked(parts[:out] + parts[out + 1 :]), *fold) for out, fold in enumerate(rows)]
    return _fit(_stacked(parts), features.shape[1], RCONDS[int(jnp.stack(errors).mean(0).argmin())])


class InSample(NamedTuple):
    """Scores of probed beliefs on the rows of the fit.

    Attributes:
        rmse: The root of the mean squared error.
        r2: The explained share of the variance.
        cosine_r2: The cosine R2 of vectors from zero.
        centred_cosine_r2: The cosine R2 of vectors from the means.
    """

    rmse: Float[Array, ""]
    r2: Float[Array, ""]
    cosine_r2: Float[Array, ""]
    centred_cosine_r2: Float[Array, ""]


def in_sample_scores(
    key: PRNGKeyArray,
    seen: ArrayLike,
    targets: ArrayLike,
    weights: ArrayLike,
    *,
    pairs: int = 200_000,
) -> InSample:
    """RMSE, R2 and cosine R2 of probed beliefs; `compare_cosines` takes vectors from zero, and again from the means.

    Args:
        key: draws the pairs of rows, the same for both cosines.
        seen: `[row, target]`, what a probe sees.
        targets: `[row, target]`, the beliefs it was fitted to.
        weights: `[row]`, at any scale.
        pairs: the largest number of pairs of rows to compare. If all pairs fit, all count by weight; else pairs are
            drawn by weight.

    Raises:
        ValueError: as `score_probe` and `compare_cosines`.
    """
    score = score_predictions(seen, targets, weights)
    # With one key both calls compare the same pairs.
    cosines = partial(compare_cosines, key, seen, targets, pairs=pairs, weights=weights)
    return InSample(score.rmse, score.r2, cosines(centred=False), cosines(centred=True))


@jax.jit
def _errors(others: ProbeStatistic, features: Array, targets: Array, weights: Array) -> Float[Array, " cut_off"]:
    """The mean squared error, on one fold, of the probe of all other folds, for each cut-off."""
    statistic, shares = merge_statistics(others), weights / weights.sum()
    probe = lambda rcond: solve_probe(statistic, features.shape[1], offset=True, rcond=rcond)
    error = lambda rcond: contract("r,rk->", shares, (probe(rcond)(features) - targets) ** 2)
    return jax.vmap(error)(jnp.array(RCONDS))


@partial(jax.jit, static_argnames="n_features")
def _fit(parts: ProbeStatistic, n_features: int, rcond: jax.typing.ArrayLike) -> Probe:
    return solve_probe(merge_statistics(parts), n_features, offset=True, rcond=rcond)


def _stacked(parts: list[ProbeStatistic]) -> ProbeStatistic:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)
