import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.probes.in_sample import fit_probe_by_folds, in_sample_scores, read_components
from beliefgeo.probes.nested import RCONDS, cross_validate_probe
from tests.cases import some_slow

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("features", some_slow([4, 30], (4,)))  # as many rows as needed, and far too few
def test_the_cut_off_against_explicit_loops(x64, features):
    x = RNG.normal(size=(60, features)) @ RNG.normal(size=(features, features)) + 5
    y, w = x[:, :2] @ RNG.normal(size=(2, 3)) + 2 * RNG.normal(size=(60, 3)), RNG.uniform(0.1, 3, 60)
    w[0] = 100  # one likely row decides no more than its fold
    folds, errors = np.array_split(RNG.permutation(60), 7), []
    for rcond in RCONDS:
        of_folds = []
        for fold in folds:
            others = np.setdiff1d(np.arange(60), fold)
            probe = bg.fit_probe(x[others], y[others], w[others], rcond=rcond)
            of_folds.append(np.average(((np.asarray(probe(x[fold])) - y[fold]) ** 2).sum(1), weights=w[fold]))
        errors.append(np.mean(of_folds))
    expected = bg.fit_probe(x, y, w, rcond=RCONDS[int(np.argmin(errors))])
    found = fit_probe_by_folds(x, y, folds, w)
    np.testing.assert_allclose(found(x), expected(x), atol=1e-9)


def test_a_fold_must_have_weight():
    x, halves = np.arange(4.0)[:, None], np.array_split(np.arange(4), 2)
    with pytest.raises(ValueError, match="two folds or more, each of positive weight; got 1 folds"):
        fit_probe_by_folds(x, x, [np.arange(4)])
    with pytest.raises(ValueError, match="each of positive weight"):
        fit_probe_by_folds(x, x, halves, np.array([0, 0, 1, 1]))


def test_folds_must_hold_each_row_once():
    x = np.arange(6.0)[:, None]
    for folds in ([[0, 1, 2], [3, 4]], [[0, 1, 2], [2, 3, 4, 5]], [[0, 1, 2], [3, 4, 6]], [[0, 1, 2], [3, 4, -1]]):
        with pytest.raises(ValueError, match="folds must hold each of the 6 rows once"):
            fit_probe_by_folds(x, x, [np.array(fold) for fold in folds])


def test_a_constant_feature_is_as_none():
    x, folds = RNG.normal(size=(60, 3)), np.array_split(RNG.permutation(60), 5)
    y, w = x[:, :2] + RNG.normal(size=(60, 2)), RNG.uniform(0.1, 3, 60)
    without = fit_probe_by_folds(x, y, folds, w)
    for value in (0.0, 0.1, 0.7, 123.456, 1e6):
        found = fit_probe_by_folds(np.insert(x, 1, value, 1), y, folds, w)
        assert (found.kernel[1] == 0).all()
        np.testing.assert_allclose(np.delete(found.kernel, 1, 0), without.kernel, atol=1e-5)
    # A feature that tells folds apart, and nothing within them, does vary.
    apart = np.zeros((60, 1))
    apart[folds[0]] = 0.3
    target = apart + 1e-3 * RNG.normal(size=(60, 1))
    assert abs(fit_probe_by_folds(apart, target, folds).kernel[0, 0] - 1) < 0.1


def test_scores_by_hand():
    seen = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    truth = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    found = in_sample_scores(jax.random.key(0), jnp.asarray(seen), truth, np.array([1, 1, 2]))
    # One quarter of the weight is wrong by 1 in both entries; three quarters of it are (0, 1).
    assert float(found.rmse) == pytest.approx(0.5)
    assert float(found.r2) == pytest.approx(1 - 0.5 / (2 * 0.25 * 0.75))
    # Cosines are 1 where two rows are equal, else 0: over the pairs of 4 words each is 1 in this table or 0.
    words = [0, 1, 2, 2]
    equal = lambda cloud: [(cloud[i] == cloud[j]).all() for i in words for j in words]
    exact = np.corrcoef(equal(seen), equal(truth))[0, 1] ** 2
    assert float(found.cosine_r2) == pytest.approx(exact, abs=0.01)


def test_cosines_from_zero_depend_on_the_offset_and_those_from_the_mean_do_not():
    cloud = jax.random.normal(jax.random.key(0), (40, 3))
    moved = in_sample_scores(jax.random.key(1), cloud + 3, cloud, np.ones(40))
    assert float(moved.centred_cosine_r2) == pytest.approx(1, abs=1e-4) and moved.cosine_r2 < 0.9


def test_a_target_is_read_from_the_components_that_hold_it():
    """Features of three directions with variances 100, 10, 1: two components hold the first two alone."""
    parts = RNG.normal(size=(300, 3)) * [10, 10**0.5, 1]
    rotation = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    features = jnp.asarray(parts @ rotation + 7, jnp.float32)
    targets = {"held": parts[:, :2] + 1, "half held": parts[:, 1:] * [1, 10**0.5]}
    folds = np.arange(300) % 5
    found = read_components(features, targets, folds, 2)
    with pytest.raises(ValueError, match="count must be from 1 to the 3 features; got 4"):
        read_components(features, targets, folds, 4)
    np.testing.assert_allclose(found["held"].seen, targets["held"], atol=0.5)
    assert found["held"].r2 > 0.999 and found["held"].held_out_r2 > 0.999
    centred = parts - parts.mean(0)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:2]
    read = centred @ directions.T
    for name, target in targets.items():
        design = np.column_stack([np.ones(300), read])
        seen = design @ np.linalg.lstsq(design, target, rcond=None)[0]
        np.testing.assert_allclose(found[name].seen, seen, atol=1e-3)
        r2 = lambda guess, target=target: 1 - ((guess - target) ** 2).sum() / ((target - target.mean(0)) ** 2).sum()
        assert float(found[name].r2) == pytest.approx(r2(seen), abs=1e-4)
        held_out = np.asarray(cross_validate_probe(read, target, folds).predictions)
        assert float(found[name].held_out_r2) == pytest.approx(r2(held_out), abs=1e-3)
