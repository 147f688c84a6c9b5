import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.analysis.probes import merge_statistics, probe_statistic, solve_probe
from tests import oracle

RNG = np.random.default_rng(0)


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
