import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.probes.nested import cross_validate_probe, cross_validated_r2
from tests.cases import some_slow

RNG = np.random.default_rng(0)


def regression(rows=240, features=6, targets=2, noise=2.0):
    x = RNG.normal(size=(rows, features)) @ RNG.normal(size=(features, features)) + RNG.normal(size=features)
    y = x @ RNG.normal(size=(features, targets)) + noise * RNG.normal(size=(rows, targets)) + 2
    return x, y, RNG.uniform(0.1, 3, rows)


@pytest.mark.parametrize(
    ("offset", "features"),  # fewer features than the rows of a fold, and more
    some_slow(itertools.product((True, False), (6, 60)), [(True, 6), (False, 60)]),
)
def test_cross_validation_against_explicit_loops(x64, offset, features):
    x, y, w = regression(features=features)
    folds, rconds = (np.arange(240) ** 2 % 7 + np.arange(240)) % 5 - 1, (1e-3, 0.2, 0.6, 2.0)
    validated = cross_validate_probe(x, y, folds, w, rconds=rconds, offset=offset)
    for outer in range(4):
        errors = []
        for rcond in rconds:
            total = 0.0
            for inner in set(range(4)) - {outer}:
                train = (folds != outer) & (folds != inner)
                probe = bg.fit_probe(x[train], y[train], w[train], rcond=rcond, offset=offset)
                held = folds == inner
                total += (w[held, None] * (y[held] - np.asarray(probe(x[held]))) ** 2).sum()
            errors.append(total)
        best = rconds[int(np.argmin(errors))]
        assert validated.rcond[outer] == best
        train, held = folds != outer, folds == outer
        expected = bg.fit_probe(x[train], y[train], w[train], rcond=best, offset=offset)(x[held])
        np.testing.assert_allclose(validated.predictions[held], expected, atol=1e-9)
    assert np.isnan(validated.predictions[folds == -1]).all()


@pytest.mark.parametrize("features", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_many_sets_of_targets_score_as_each_by_itself(x64, features):
    x, y, w = regression(features=features)
    folds = np.arange(240) % 5 - 1
    sets = np.stack([y, RNG.normal(size=y.shape), x[:, :2], np.roll(y, 3, 0) + 100])
    held = folds >= 0
    for targets, r2 in zip(sets, cross_validated_r2(x, sets, folds, w), strict=True):
        predictions = cross_validate_probe(x, targets, folds, w).predictions
        about = targets[held] - np.average(targets[held], axis=0, weights=w[held])
        residual = (w[held, None] * (targets - np.asarray(predictions))[held] ** 2).sum()
        np.testing.assert_allclose(r2, 1 - residual / (w[held, None] * about**2).sum(), atol=1e-9)


def test_float32_is_as_good():
    x, y, w = regression()
    folds = np.arange(240) % 5 - 1
    with jax.enable_x64(True):
        exact = np.asarray(cross_validate_probe(x + 30, y, folds, w).predictions)
        exact_r2 = np.asarray(cross_validated_r2(x + 30, y[None], folds, w))
    np.testing.assert_allclose(cross_validate_probe(x + 30, y, folds, w).predictions, exact, atol=1e-3)
    np.testing.assert_allclose(cross_validated_r2(x + 30, y[None], folds, w), exact_r2, atol=1e-5)


def test_pure_noise_is_not_explained_when_held_out():
    x, y = RNG.normal(size=(300, 100)), RNG.normal(size=(300, 2))
    in_sample = bg.score_probe(bg.fit_probe(x, y), x, y).r2
    validated = cross_validate_probe(x, y, np.arange(300) % 10).predictions
    held_out = 1 - ((y - validated) ** 2).sum() / ((y - y.mean(0)) ** 2).sum()
    assert in_sample > 0.25 and abs(held_out) < 0.03


def test_a_fold_without_weight_changes_nothing():
    x, y, w = regression()
    folds = np.arange(240) % 5
    light = np.where(folds == 4, 0, w)
    np.testing.assert_allclose(
        cross_validate_probe(x, y, folds, light).predictions[folds < 4],
        cross_validate_probe(x[folds < 4], y[folds < 4], folds[folds < 4], w[folds < 4]).predictions,
        atol=1e-4,
    )


@pytest.mark.parametrize("offset", [True, False])
def test_constants_are_as_none_in_every_fold(offset):
    """Of any size, in all rows or in all but one fold, weighted: predictions as without them."""
    x, y, w = regression(200, 4)
    folds = np.arange(200) % 5 - 1
    without = cross_validate_probe(x, y, folds, w).predictions
    if not offset:  # beside a constant, a linear probe is an affine one
        x, without = np.c_[x, np.ones(200)], cross_validate_probe(np.c_[x, np.ones(200)], y, folds, w, offset=False)[0]
    for value in (0.0,) if not offset else (0.0, 0.1, 0.7, 123.456, 1e6):
        found = cross_validate_probe(np.insert(x, 2, value, 1), y, folds, w, offset=offset).predictions
        np.testing.assert_allclose(found, without, atol=1e-4)


def test_of_no_features_the_mean_of_the_other_folds_is_left():
    _, y, w = regression(60, 2)
    folds = np.arange(60) % 4
    found = cross_validate_probe(np.zeros((60, 0)), y, folds, w).predictions
    for fold in range(4):
        mean = np.average(y[folds != fold], axis=0, weights=w[folds != fold])
        np.testing.assert_allclose(found[folds == fold], [mean] * 15, rtol=1e-5)


def test_r2_has_no_scale_and_constants_have_none():
    x, y, w = regression(200, 4)
    folds = np.arange(200) % 5 - 1
    tenth = np.full((200, 2), 0.1)
    sets = np.stack([y, 1e-25 * y, 1e25 * y, tenth, np.c_[tenth[:, :1], y[:, :1]]])
    found = cross_validated_r2(x, sets, folds, w)
    np.testing.assert_allclose(found[1:3], found[:1].repeat(2), rtol=1e-5)
    assert found[3] == 1
    np.testing.assert_allclose(found[4:], cross_validated_r2(x, y[None, :, :1], folds, w), rtol=1e-4)
    np.testing.assert_allclose(
        cross_validate_probe(x, 1e-25 * y, folds, w).predictions * 1e25,
        cross_validate_probe(x, y, folds, w).predictions,
        rtol=1e-3,
    )


def test_folds_that_leave_nothing_to_learn_from():
    x, y, w = regression(40)
    folds = np.arange(40) % 4
    with pytest.raises(ValueError, match="leaves out two folds at a time and needs weight elsewhere"):
        cross_validate_probe(x, y, folds, np.where(folds < 2, w, 0))
    with pytest.raises(ValueError, match=r"folds 0..F-1, F >= 3, none empty; got \[-2, -1, 0, 1\]"):
        cross_validate_probe(x, y, folds - 2, w)
    with pytest.raises(ValueError, match="folds must be integers; got float64"):
        cross_validate_probe(x, y, folds / 1.0, w)
    with pytest.raises(ValueError, match=r"targets must be \[set, row, target\].*got shape \(40, 2\)"):
        cross_validated_r2(x, y, folds, w)


def test_mistakes():
    x, y, _ = regression(20)
    with pytest.raises(ValueError, match=r"folds 0..F-1, F >= 3, none empty; got \[0, 1\]"):
        cross_validate_probe(x, y, np.arange(20) % 2)
    with pytest.raises(ValueError, match="folds must have one entry per row"):
        cross_validate_probe(x, y, np.arange(19) % 4)
    with pytest.raises(ValueError, match="targets must be finite; got 1 NaN"):
        cross_validated_r2(x, jnp.full((2, 20, 1), 1.0).at[1, 3].set(jnp.nan), np.arange(20) % 4)
