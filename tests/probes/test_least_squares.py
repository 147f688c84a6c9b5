import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.probes.least_squares import score_predictions, score_statistic, solve_probe
from beliefgeo.probes.statistic import merge_statistics, probe_statistic
from tests import oracle
from tests.cases import some_slow

RNG = np.random.default_rng(0)
PRECISIONS = pytest.mark.parametrize("precision", ["float32", "float64"])


def regression(rows=400, features=6, targets=2, noise=0.3):
    x = RNG.normal(size=(rows, features)) @ RNG.normal(size=(features, features)) + RNG.normal(size=features)
    y = x @ RNG.normal(size=(features, targets)) + noise * RNG.normal(size=(rows, targets)) + 2
    return x, y, RNG.uniform(0.1, 3, rows)


@pytest.mark.parametrize("offset", [True, False])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_against_the_oracle(offset, precision):
    with jax.enable_x64(precision == "float64"):
        x, y, w = regression()
        probe = bg.fit_probe(x, y, w, offset=offset)
        r2, predictions = oracle.weighted_least_squares(x, y, w, offset=offset)
        tolerance = {"float32": 1e-4, "float64": 1e-9}[precision]
        np.testing.assert_allclose(probe(x), predictions, atol=tolerance)
        np.testing.assert_allclose(bg.score_probe(probe, x, y, w).r2, r2, atol=tolerance)
        if not offset:
            assert (probe.bias == 0).all()


def test_hand_worked_scores():
    # Predictions 0, 2 against targets (0, 0), (1, 4) with weights 3, 1: residuals 0 and (1, 2).
    probe = bg.Probe(jnp.array([[1.0, 1.0]]), jnp.zeros(2))
    score = bg.score_probe(probe, [[0.0], [2.0]], [[0.0, 0.0], [1.0, 4.0]], [3.0, 1.0])
    np.testing.assert_allclose(score.mse_per_target, [0.25, 1.0])
    np.testing.assert_allclose(score.mse, 0.625)
    # Variances 3/16 and 3: R2 = 1 - 1.25 / 3.1875, per target 1 - .25/.1875 and 1 - 1/3.
    np.testing.assert_allclose(score.r2, 1 - 1.25 / 3.1875, rtol=1e-6)
    np.testing.assert_allclose(score.r2_per_target, [1 - 4 / 3, 2 / 3], rtol=1e-6)
    np.testing.assert_allclose(score.rmse, 0.625**0.5)


def test_ill_conditioned_float32():
    """Offset, badly scaled and rank deficient, 100,000 x 64: as good as float64, where the usual routes fail."""
    n, d = 100_000, 64
    hidden = RNG.normal(size=(n, 40))
    x = (hidden @ RNG.normal(size=(40, d)) + 30 * RNG.normal(size=d)) * 10.0 ** RNG.uniform(-3, 3, d)
    x = x.astype(np.float32)
    y = (hidden @ RNG.normal(size=(40, 3)) + RNG.normal(size=(n, 3))).astype(np.float32)
    w = RNG.uniform(0.5, 2, n).astype(np.float32)
    exact, _ = oracle.weighted_least_squares(x, y, w)
    ours = bg.score_probe(bg.fit_probe(x, y, w), x, y, w).r2
    assert exact > 0.9
    np.testing.assert_allclose(ours, exact, atol=1e-4)
    # What jnp.linalg.lstsq makes of it: the reason this module exists.
    design = jnp.concatenate([jnp.ones((n, 1)), x], 1)
    naive = design @ jnp.linalg.lstsq(design, jnp.asarray(y))[0]
    assert 1 - ((y - naive) ** 2).sum() / ((y - y.mean(0)) ** 2).sum() < exact - 0.05


def test_weights_are_repetitions_and_scale_is_free():
    x, y, _ = regression(60)
    w = RNG.integers(0, 4, 60)
    weighted = bg.fit_probe(x, y, w)
    repeated = bg.fit_probe(np.repeat(x, w, 0), np.repeat(y, w, 0))
    chex.assert_trees_all_close(weighted, repeated, atol=1e-4)
    chex.assert_trees_all_close(weighted, bg.fit_probe(x, y, 1e-6 * w), atol=1e-4)


def test_a_cut_off_gives_the_least_norm_solution():
    x = np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]])
    probe = bg.fit_probe(x, x[:, :1] * 3, offset=False)
    np.testing.assert_allclose(probe.kernel[:, 0], [1.5, 1.5], rtol=1e-5)
    nothing = bg.fit_probe(x, x[:, :1] * 3 + 1, rcond=2.0)
    np.testing.assert_allclose(nothing(x), 8, rtol=1e-6)


@PRECISIONS
def test_no_cut_off_lets_rounding_in(precision):
    """Indicators of five groups sum to 1: beside an offset one direction is empty, and rcond=0 does not fill it."""
    with jax.enable_x64(precision == "float64"):
        group = RNG.integers(0, 5, 300)
        indicators, y = np.eye(5)[group], RNG.normal(size=(300, 2)) + group[:, None]
        means = np.stack([y[group == one].mean(0) for one in range(5)])
        for rcond in (None, 0.0, 1e-30):
            probe = bg.fit_probe(indicators, y, rcond=rcond)
            np.testing.assert_allclose(probe(np.eye(5)), means, atol=1e-5)
            assert abs(probe.kernel).max() < 5


def test_merging_statistics_is_fitting_everything():
    x, y, w = (jnp.asarray(a, jnp.float32) for a in regression(300))
    parts = [slice(0, 50), slice(50, 53), slice(53, 300)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[probe_statistic(x[p], y[p], w[p]) for p in parts])
    for offset in (True, False):
        merged = solve_probe(merge_statistics(stacked), 6, offset=offset, rcond=1e-6)
        chex.assert_trees_all_close(merged, bg.fit_probe(x, y, w, offset=offset), atol=1e-3)


def test_eager_jit_vmap_and_gradients(x64):
    x, y, w = (jnp.asarray(a) for a in regression(50))
    fit = lambda y: bg.fit_probe(x, y, w)
    chex.assert_trees_all_close(
        fit(y), jax.jit(fit)(y), jax.tree.map(lambda a: a[0], jax.vmap(fit)(y[None])), atol=1e-9
    )
    loss = lambda scale: bg.score_probe(bg.fit_probe(x, jnp.tanh(scale * y), w), x, jnp.tanh(scale * y), w).mse
    numeric = (loss(0.3 + 1e-6) - loss(0.3 - 1e-6)) / 2e-6
    np.testing.assert_allclose(jax.grad(loss)(0.3), numeric, rtol=1e-5)


@pytest.mark.slow
def test_float32_batches_and_gradients():
    """More rows than are summed at a time; float64, in which float32 rows are summed, must survive vmap and grad."""
    x, y, w = (jnp.asarray(a, jnp.float32) for a in regression(5000))
    scales = jnp.array([0.3, 1.0])
    kernels = jax.vmap(lambda s: bg.fit_probe(x, jnp.tanh(s * y), w).kernel)(scales)
    for scale, kernel in zip(scales, kernels, strict=True):
        np.testing.assert_allclose(kernel, bg.fit_probe(x, jnp.tanh(scale * y), w).kernel, atol=1e-6)

    def loss(scale, y=y):
        targets = jnp.tanh(scale * y)
        return bg.score_probe(bg.fit_probe(x, targets, w), x, targets, w).mse

    with jax.enable_x64(True):
        doubled = jnp.asarray(y, jnp.float64)
        numeric = [(loss(float(s) + 1e-6, doubled) - loss(float(s) - 1e-6, doubled)) / 2e-6 for s in scales]
    for gradient in (jax.vmap(jax.grad(loss))(scales), jax.jacfwd(jax.vmap(loss))(scales).sum(0)):
        np.testing.assert_allclose(gradient, numeric, rtol=1e-3)


CONSTANTS = [0.0, 0.1, 0.7, 1.0, 123.456, 1e6, -1e-30, 1e30]


@PRECISIONS
def test_a_constant_beside_the_offset_by_hand(precision):
    """Twelve points; (x - 5.5) (y - 11/3) sums to -22, (x - 5.5)^2 to 143."""
    with jax.enable_x64(precision == "float64"):
        x = np.arange(12.0)
        y = ((7 * x**2 + 3 * x) % 11)[:, None]
        probe = bg.fit_probe(np.stack([x, np.ones(12)], 1), y)
        np.testing.assert_allclose(probe.kernel[:, 0], [-2 / 13, 0], rtol=1e-6)
        assert probe.kernel[1] == 0
        np.testing.assert_allclose(probe.bias, 11 / 3 + 11 / 13, rtol=1e-6)
        np.testing.assert_allclose(bg.score_probe(probe, np.stack([x, np.ones(12)], 1), y).r2, 3 / 130, rtol=1e-5)


@PRECISIONS
@pytest.mark.parametrize("weighted", [False, True])
def test_a_constant_feature_is_as_none(precision, weighted):
    """At any size and place: kernel exactly 0, the rest as without it, eagerly, under jit and vmap."""
    with jax.enable_x64(precision == "float64"):
        x, y, w = regression(500, 16)
        w = w if weighted else None
        without, tolerance = bg.fit_probe(x, y, w), {"float32": 1e-6, "float64": 1e-12}[precision]
        inserted = jnp.asarray(np.stack([np.insert(x, place, value, 1) for place, value in enumerate(CONSTANTS)]))
        fits = {
            "eager": jax.tree.map(lambda *leaves: jnp.stack(leaves), *(bg.fit_probe(one, y, w) for one in inserted)),
            "vmap": jax.jit(jax.vmap(lambda one: bg.fit_probe(one, y, w)))(inserted),
        }
        for found in fits.values():
            for place in range(8):
                assert (found.kernel[place, place] == 0).all()
                rest = np.delete(found.kernel[place], place, 0)
                np.testing.assert_allclose(rest, without.kernel, atol=tolerance)
                np.testing.assert_allclose(found.bias[place], without.bias, atol=4 * tolerance)


def test_dead_units_of_a_layer():
    """Four of 32 units that no input wakes: R2 and every prediction as without them."""
    x = RNG.normal(size=(700, 8))
    bias = np.where(np.arange(32) % 8 == 3, -100, 0.1)
    hidden = np.maximum(x @ RNG.normal(size=(8, 32)) + bias, 0)
    alive = hidden.any(0)
    assert alive.sum() == 28
    y = x[:, :3] + RNG.normal(size=(700, 3))
    probe, without = bg.fit_probe(hidden, y), bg.fit_probe(hidden[:, alive], y)
    np.testing.assert_allclose(probe(hidden), without(hidden[:, alive]), atol=1e-5)
    assert (np.asarray(probe.kernel)[~alive] == 0).all()
    for offset in (True, False):
        eager = bg.fit_probe(hidden, y, offset=offset)
        compiled = jax.jit(lambda h, offset=offset: bg.fit_probe(h, y, offset=offset))(hidden)
        np.testing.assert_allclose(eager(hidden), compiled(hidden), atol=1e-6)


@PRECISIONS
def test_little_variation_around_a_large_mean_is_no_constant(precision):
    with jax.enable_x64(precision == "float64"):
        noise = jnp.asarray(RNG.integers(-2, 3, (4000, 2)) / 1.0)
        for mean in (1e4, 1e6) if precision == "float32" else (1e4, 1e9, 1e12):
            probe = bg.fit_probe(noise + mean, noise @ jnp.array([[2.0], [-3.0]]))
            np.testing.assert_allclose(probe.kernel[:, 0], [2, -3], rtol=1e-6)


def test_scatter_of_an_ulp_or_two_is_rounding():
    """Sums of probabilities, 1 but for rounding: as constant as ones."""
    x, y, _ = regression(600, 3)
    shares = jax.nn.softmax(jnp.asarray(RNG.normal(size=(600, 64)), jnp.float32))
    sums = np.asarray(shares).cumsum(1)[:, -1:]
    assert sums.std() > 0
    probe = bg.fit_probe(np.c_[x, sums], y)
    assert (probe.kernel[3] == 0).all()
    np.testing.assert_allclose(probe.kernel[:3], bg.fit_probe(x, y).kernel, atol=1e-6)


@PRECISIONS
def test_an_offset_is_no_difference_of_large_numbers(precision):
    """y = 2020 x + 2020 up to x = 9999, with the offset fitted or a feature: to float32's last digits."""
    with jax.enable_x64(precision == "float64"):
        x = jnp.arange(10_000.0)[:, None]
        y, both = 2020 * x + 2020, jnp.concatenate([jnp.ones_like(x), x], 1)
        for fit in (lambda x, o: bg.fit_probe(x, y, offset=o), jax.jit(bg.fit_probe, static_argnames="offset")):
            linear = fit(both, False) if fit.__name__ == "<lambda>" else fit(both, y, offset=False)
            np.testing.assert_allclose(linear.kernel[:, 0], [2020, 2020], rtol=1e-6)
            assert linear.bias == 0
        many = jax.vmap(lambda y: bg.fit_probe(both, y, offset=False).kernel[:, 0])(jnp.stack([y, -3 * y]))
        np.testing.assert_allclose(many, [[2020, 2020], [-6060, -6060]], rtol=1e-6)
        affine = bg.fit_probe(both, y)
        np.testing.assert_allclose(affine.kernel[:, 0], [0, 2020], rtol=1e-6)
        np.testing.assert_allclose(affine.bias, 2020, rtol=1e-6)


@PRECISIONS
def test_scores_have_no_scale(precision):
    with jax.enable_x64(precision == "float64"):
        x, y, w = regression(300)
        expected = bg.score_probe(bg.fit_probe(x, y, w), x, y, w)
        for scales in ([1e-25, 1e-25], [1e25, 1e25], [1, 1e25], [1, 1e-25]):
            targets, features = y * np.array(scales), x * scales[1]
            found = bg.score_probe(bg.fit_probe(features, targets, w), features, targets, w)
            np.testing.assert_allclose(found.r2_per_target, expected.r2_per_target, rtol=1e-5)
            # Of two targets the larger decides.
            both = expected.r2 if scales[0] == scales[1] else expected.r2_per_target[np.argmax(scales)]
            np.testing.assert_allclose(found.r2, both, rtol=1e-5)


@PRECISIONS
@pytest.mark.parametrize("value", [0.1, 1e6])
def test_r2_of_a_target_without_variance(precision, value):
    """1 where it is predicted, else 0, whatever rounding makes of its variance; and it spoils no other's."""
    with jax.enable_x64(precision == "float64"):
        x, y, w = regression(777)
        constant = np.full((777, 1), value)
        both = bg.score_probe(bg.fit_probe(x, np.c_[constant, y], w), x, np.c_[constant, y], w)
        alone = bg.score_probe(bg.fit_probe(x, y, w), x, y, w)
        np.testing.assert_allclose(both.r2_per_target, [1, *alone.r2_per_target], rtol=1e-5)
        np.testing.assert_allclose(both.r2, alone.r2, rtol=1e-5)
        probe = bg.fit_probe(x, constant, w)
        assert (probe.kernel == 0).all() and probe.bias == constant.astype(precision)[0]
        wrong = bg.Probe(probe.kernel, probe.bias + max(1e-3, 1e-3 * value))
        statistic = probe_statistic(*(jnp.asarray(one, precision) for one in (x, constant, w)))
        for score in (lambda p: bg.score_probe(p, x, constant, w), lambda p: score_statistic(p, statistic)):
            assert score(probe).r2 == score(probe).r2_per_target == 1
            assert score(wrong).r2 == score(wrong).r2_per_target == 0


def test_scores_of_many_rows_are_right():
    """A million rows far from zero: sums in one pass would lose the digits."""
    targets = RNG.normal(size=(1_000_000, 1)).astype(np.float32) + np.float32(3000)
    predictions = targets + 0.5 * RNG.normal(size=targets.shape).astype(np.float32)
    exact = targets.astype(np.float64)
    residual = ((predictions.astype(np.float64) - exact) ** 2).mean()
    score = score_predictions(predictions, targets)
    np.testing.assert_allclose(score.mse, residual, rtol=1e-5)
    np.testing.assert_allclose(score.r2, 1 - residual / exact.var(), rtol=1e-5)


def test_of_no_features_the_mean_is_left():
    y, w = np.array([[1.0, 2.0], [4.0, 2.0], [5.0, 5.0]]), [1, 1, 2]
    for weights, mean in ((None, [10 / 3, 3]), (w, [15 / 4, 14 / 4])):
        for fit in (bg.fit_probe, jax.jit(bg.fit_probe)):
            probe = fit(np.zeros((3, 0)), y, weights if weights is None else np.array(w))
            assert probe.kernel.shape == (0, 2)
            np.testing.assert_allclose(probe.bias, mean, rtol=1e-6)
            np.testing.assert_allclose(probe(np.zeros((3, 0))), [mean] * 3, rtol=1e-6)
    assert (bg.fit_probe(np.zeros((3, 0)), y, offset=False).bias == 0).all()


@pytest.mark.parametrize("how", some_slow([{}, {"offset": False}, {"rcond": 0.3}], [{}, {"offset": False}]), ids=str)
def test_gradients_of_what_a_cut_off_keeps(x64, how):
    """Of a cut-off among distinct directions, too, where what is kept turns towards what is not."""
    x = RNG.normal(size=(60, 2)).repeat(2, 1) * [1, 2, 3, 4] + 0.3 * RNG.normal(size=(60, 4)) + 1  # two pairs alike
    x, y, w = (jnp.asarray(array) for array in (x, RNG.normal(size=(60, 2)), RNG.uniform(0.5, 2, 60)))

    @jax.jit
    def value(x, y, w):
        probe = bg.fit_probe(x, y, w, **how)
        return jnp.sin(probe.kernel).sum() + (probe.bias**2).sum()

    sizes = np.linalg.svd(np.asarray(x - x.mean(0)[None]) / np.asarray(x.std(0)), compute_uv=False)
    assert sizes[2] < 0.3 * sizes[0] < sizes[1]
    for argument, point in enumerate((x, y, w)):
        along = jnp.asarray(RNG.normal(size=point.shape))
        at = lambda step, argument=argument, along=along: value(
            *(one + step * along if index == argument else one for index, one in enumerate((x, y, w)))
        )
        gradient = jax.jit(jax.grad(value, argument))(x, y, w)
        np.testing.assert_allclose((gradient * along).sum(), (at(1e-6) - at(-1e-6)) / 2e-6, rtol=1e-5)


def test_gradients_where_singular_values_are_equal_or_none():
    """A balanced design, its features twice over, and a dead one: no derivative divides by a difference of sizes."""
    design = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]] * 5)
    y = jnp.asarray(RNG.normal(size=(20, 2)), jnp.float32)
    # Of orthogonal features of unit variance the kernel is x^T y / n; its slope is that of the normal equations.
    moves = jnp.asarray(RNG.normal(size=design.shape), jnp.float32)
    x, d = (np.asarray(one, np.float64) - np.asarray(one, np.float64).mean(0) for one in (design, moves))
    kernel = x.T @ np.asarray(y, np.float64) / 20
    slope = (d.T @ (np.asarray(y) - np.asarray(y).mean(0) - x @ kernel) - x.T @ d @ kernel) / 20
    parts = {
        "as it is": (lambda x: x, slice(0, 2), 1),
        "twice": (lambda x: jnp.concatenate([x, x], 1), slice(0, 2), 2),
        "dead": (lambda x: jnp.concatenate([x, jnp.full((20, 1), 0.7)], 1), slice(0, 2), 1),
    }
    for features, which, times in parts.values():
        fitted = lambda t, features=features: bg.fit_probe(features(design + t * moves), y).kernel
        found, moved = jax.jvp(fitted, (0.0,), (1.0,))
        np.testing.assert_allclose(found[which] * times, kernel, atol=1e-6)
        np.testing.assert_allclose(moved[which] * times, slope, atol=1e-5)


def test_predictions_of_other_shapes_are_refused():
    x, y, _ = regression(20)
    with pytest.raises(ValueError, match=r"this probe reads 6 features; got features of shape \(20, 5\)"):
        bg.fit_probe(x, y)(x[:, :5])
    with pytest.raises(ValueError, match=r"predictions must have the shape.*got \(20, 1\) and \(20, 2\)"):
        bg.score_probe(bg.fit_probe(x, y[:, :1]), x, y)


def test_mistakes():
    x, y, w = regression(20, features=30)
    with pytest.raises(ValueError, match=r"as many rows as features \(30\).*got 20 rows: pass rcond"):
        bg.fit_probe(x, y)
    assert bg.fit_probe(x, y, rcond=1e-3).kernel.shape == (30, 2)
    with pytest.raises(ValueError, match=r"must have the same rows; got shapes \(20, 30\), \(19, 2\) and \(20,\)"):
        bg.fit_probe(x, y[1:])
    with pytest.raises(ValueError, match="same rows"):
        bg.score_probe(bg.fit_probe(x, y, rcond=1e-3), x, y, w[1:])
    with pytest.raises(ValueError, match="features must be finite; got 1 NaN"):
        bg.fit_probe(np.where(np.arange(600).reshape(20, 30) == 5, np.nan, x), y, rcond=1e-3)
    with pytest.raises(ValueError, match="weights must be nonnegative"):
        bg.fit_probe(x, y, -w, rcond=1e-3)
