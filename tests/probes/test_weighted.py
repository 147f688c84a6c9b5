"""The one door of weighted rows, tried through every function that takes weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.mechanisms.evidence import regress_evidence
from beliefgeo.probes.controls import Control, shuffle_prefixes
from beliefgeo.probes.geometry import compare_cosines, compare_distances, principal_components
from beliefgeo.probes.held_out import held_out, held_out_curve
from beliefgeo.probes.in_sample import fit_probe_by_folds, in_sample_scores
from beliefgeo.probes.least_squares import score_predictions
from beliefgeo.probes.nested import cross_validate_probe, cross_validated_r2
from beliefgeo.probes.subspaces import effective_dimension, principal_subspace
from beliefgeo.probes.weighted import check_weights, drop_rounding, explained, lengths, power_of_two, weighted_mean
from beliefgeo.probes.windows import explained_by, window_curve
from beliefgeo.reading import rows_of

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
ROWS = rows_of(bg.golden_mean(), bg.words(bg.golden_mean(), 5))
N = len(ROWS.length)
X, Y = RNG.normal(size=(N, 3)), RNG.normal(size=(N, 2))
FOLDS = np.arange(N) % 4
TOKENS = RNG.integers(0, 2, (N, 2))
PROBE = bg.Probe(jnp.zeros((3, 2)), jnp.zeros(2))

# Every function that weighs rows.
WEIGHED = {
    "fit_probe": lambda w: bg.fit_probe(X, Y, w),
    "score_probe": lambda w: bg.score_probe(PROBE, X, Y, w),
    "score_predictions": lambda w: score_predictions(Y, Y, w),
    "principal_components": lambda w: principal_components(X, w),
    "effective_dimension": lambda w: effective_dimension(X, w),
    "principal_subspace": lambda w: principal_subspace(X, w),
    "compare_distances": lambda w: compare_distances(KEY, X, Y, weights=w),
    "compare_cosines": lambda w: compare_cosines(KEY, X, Y, weights=w),
    "cross_validate_probe": lambda w: cross_validate_probe(X, Y, FOLDS, w),
    "cross_validated_r2": lambda w: cross_validated_r2(X, Y[None], FOLDS, w),
    "fit_probe_by_folds": lambda w: fit_probe_by_folds(X, Y, np.array_split(np.arange(N), 3), w),
    "in_sample_scores": lambda w: in_sample_scores(KEY, Y, Y, w),
    "regress_evidence": lambda w: regress_evidence(Y, TOKENS, np.eye(2), np.ones((2, 1)), w),
    "held_out": lambda w: held_out(X, ROWS, w),
    "held_out_curve": lambda w: held_out_curve(ROWS, w),
    "Control": lambda w: Control(shuffle_prefixes, KEY, 1).against(X, ROWS, w),
    "window_curve": lambda w: window_curve(ROWS, w),
    "explained_by": lambda w: explained_by(FOLDS, X[:, 0], w),
}
WRONG = {
    "one number": ([1.0], "weights"),
    "a column": (np.ones((N, 1)), "weights"),
    "one too few": (np.ones(N - 1), "weights"),
    "negative": (np.where(np.arange(N) == 7, -0.5, 1), "nonnegative and not all zero; got a least weight of -0.5"),
    "all zero": (np.zeros(N), "nonnegative and not all zero; got a least weight of 0"),
    "NaN": (np.where(np.arange(N) == 7, np.nan, 1), "weights must be finite; got 1 NaN"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", WEIGHED)
def test_weights_that_cannot_weigh_are_refused(name, wrong):
    weights, message = WRONG[wrong]
    with pytest.raises(ValueError, match=message):
        WEIGHED[name](weights)


@pytest.mark.parametrize("name", ["fit_probe", "score_probe", "principal_components", "compare_distances"])
def test_the_scale_of_weights_is_free_even_beyond_float32(name):
    weights = RNG.integers(1, 9, N)
    for scale in (1e-60, 1e30, 2**40):
        for one, other in zip(*(jax.tree.leaves(WEIGHED[name](w)) for w in (weights, weights * scale)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_half_precision_is_float32_of_the_same_numbers():
    weights = jnp.asarray(RNG.uniform(1, 2, N), jnp.bfloat16)
    for dtype in (jnp.float16, jnp.bfloat16):
        x, y = jnp.asarray(X + 30, dtype), jnp.asarray(Y, dtype)
        whole = x.astype(jnp.float32), y.astype(jnp.float32), weights.astype(jnp.float32)
        probe, expected = bg.fit_probe(x, y, weights), bg.fit_probe(*whole)
        np.testing.assert_array_equal(probe.kernel, expected.kernel)
        np.testing.assert_array_equal(probe(x), expected(whole[0]))
        np.testing.assert_array_equal(bg.score_probe(probe, x, y).r2, bg.score_probe(expected, *whole[:2]).r2)
        components = principal_components(x, weights)
        np.testing.assert_array_equal(components(x), principal_components(whole[0], weights)(whole[0]))
        held = [held_out(one, ROWS, ROWS.counts).r2 for one in (x, whole[0])]
        assert held[0] == held[1]


def test_numbers_that_float32_cannot_hold_as_integers():
    """As int32, 2^32 + 1 would be 1, and the feature a constant."""
    big = np.arange(6)[:, None] * 2**32 + 1
    probe = bg.fit_probe(big, np.arange(6.0)[:, None])
    np.testing.assert_allclose(probe.kernel, [[2.0**-32]], rtol=1e-6)
    with pytest.raises(ValueError, match="features must be real; got complex64: give real and imaginary parts"):
        bg.fit_probe(X + 1j, Y)


def test_rows_of_no_weight_may_hold_anything():
    weights = np.where(np.arange(N) == 3, 0, RNG.uniform(1, 2, N))
    x, y = (np.where((np.arange(N) == 3)[:, None], np.nan, one) for one in (X, Y))
    rows = weights > 0
    expected, found = bg.fit_probe(X[rows], Y[rows], weights[rows]), bg.fit_probe(x, y, weights)
    np.testing.assert_allclose(found.kernel, expected.kernel, atol=1e-6)
    traced = jax.jit(bg.fit_probe)(x, y, weights)
    np.testing.assert_allclose(traced.kernel, expected.kernel, atol=1e-6)
    r2 = bg.score_probe(found, x, y, weights).r2
    np.testing.assert_allclose(r2, bg.score_probe(found, X[rows], Y[rows], weights[rows]).r2, atol=1e-6)
    assert np.isfinite(principal_components(x, weights).variances).all()
    with pytest.raises(ValueError, match="features must be finite; got 3 NaN or infinite entries"):
        bg.fit_probe(x, Y, np.ones(N))


@pytest.mark.parametrize("shape", [(4,), (0, 3), (2, 4, 3)])
@pytest.mark.parametrize("name", ["fit_probe", "principal_components", "compare_distances", "effective_dimension"])
def test_shapes_at_the_edge_are_named(name, shape):
    rows, key = np.ones(shape), jax.random.key(0)
    call = {
        "fit_probe": lambda: bg.fit_probe(rows, np.ones((4, 1))),
        "principal_components": lambda: principal_components(rows),
        "compare_distances": lambda: compare_distances(key, rows, rows),
        "effective_dimension": lambda: effective_dimension(rows),
    }[name]
    message = r"2 axes; got \d, shape \(" if len(shape) != 2 else "same rows.*got"
    with pytest.raises(ValueError, match=message):
        call()


def test_the_rank_is_named():
    with pytest.raises(ValueError, match=r"weights must be \[row\], one for each of 12 rows; got shape \(11,\)"):
        check_weights(jnp.ones(11), 12)
    with pytest.raises(ValueError, match=r"features \[row, feature\] must have 2 axes; got 1, shape \(4,\): pass feat"):
        bg.fit_probe(np.ones(4), np.ones(4))
    with pytest.raises(ValueError, match=r"targets \[row, target\] must have 2 axes; got 1.*pass targets\[:, None\]"):
        bg.fit_probe(np.ones((4, 1)), np.ones(4))
    with pytest.raises(ValueError, match=r"one target or more; got shape \(4, 0\)"):
        bg.fit_probe(np.ones((4, 1)), np.ones((4, 0)))
    with pytest.raises(ValueError, match=r"features \[row, feature\], one or more; got \(3, 0\)"):
        principal_components(np.ones((3, 0)))
    with pytest.raises(ValueError, match=r"must have the same rows, one or more; got shapes \(0, 3\) and \(0,\)"):
        principal_components(np.ones((0, 3)))


def test_traced_weights_are_not_checked_and_weigh_alike():
    weights = jnp.asarray(RNG.uniform(1, 5, N), jnp.float32)
    np.testing.assert_allclose(
        jax.jit(lambda w: bg.fit_probe(X, Y, w).kernel)(weights), bg.fit_probe(X, Y, weights).kernel, atol=1e-6
    )
    for wrong in (-weights, weights.at[3].set(-1), weights.at[3].set(jnp.nan)):
        assert np.isnan(jax.jit(lambda w: bg.fit_probe(X, Y, w).kernel)(wrong)).all()
        assert np.isnan(jax.jit(lambda w: bg.score_probe(PROBE, X, Y, w).r2)(wrong))
        assert np.isnan(jax.jit(lambda w: principal_components(X, w).variances)(wrong)).all()
        for compare in (compare_distances, compare_cosines):
            assert np.isnan(jax.jit(lambda w, compare=compare: compare(KEY, X, Y, weights=w))(wrong))


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_traced_nan_is_never_taken_for_a_constant(precision):
    with jax.enable_x64(precision == "float64"):
        x = jnp.asarray(X).at[5, 1].set(jnp.nan)
        assert np.isnan(jax.jit(bg.fit_probe)(x, Y).kernel).all()
        assert np.isnan(jax.jit(bg.score_probe)(PROBE, X, x[:, :2]).r2)
        assert np.isnan(jax.jit(lambda x: principal_components(x).variances)(x)).all()
        for compare in (compare_distances, compare_cosines):
            assert np.isnan(jax.jit(lambda x, compare=compare: compare(KEY, x, Y))(x))


def test_r2_of_what_does_not_vary():
    """scikit-learn: 1 where nothing is left, else 0; rounding is nothing."""
    tenth = np.float32(0.1)
    variance, residual = np.array([0, 0, 1e-17, 0.3]), np.array([0, 1e-3, 1e-17, 0.1])
    left = drop_rounding(residual, variance, np.array([tenth] * 4), np.float32)
    np.testing.assert_allclose(explained(*left), [1, 0, 1, 2 / 3])
    assert np.isnan(explained(np.array([np.nan]), np.array([0.0])))
    gradient = jax.grad(lambda r: explained(r, jnp.zeros(()))[()])(jnp.float32(0.5))
    assert gradient == 0


def test_means_of_one_value_are_that_value():
    for value in (0.1, 0.7, 123.456, 1e6):
        for rows in (7, 4097, 100_000):
            shares = jnp.asarray(RNG.dirichlet(np.ones(rows)), jnp.float32)
            values = jnp.full((rows, 1), value)
            assert (weighted_mean(shares, values) == values[0]).all()


def test_lengths_have_a_gradient_at_zero_and_no_limits():
    vectors = jnp.array([[3e-30, 4e-30], [0.0, 0.0], [3e25, -4e25]])
    np.testing.assert_allclose(lengths(vectors, 1), [5e-30, 0, 5e25], rtol=1e-6)
    gradient = jax.grad(lambda v: lengths(v, 1).sum())(vectors)
    np.testing.assert_allclose(gradient, [[0.6, 0.8], [0, 0], [0.6, -0.8]], rtol=1e-6)
    sizes = jnp.array([1e-30, 0.75, 3e38])
    np.testing.assert_array_equal(sizes / power_of_two(sizes) >= 1, True)
    assert (sizes / power_of_two(sizes) < 2).all()
