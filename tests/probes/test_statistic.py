"""Statistics of rows against the rows themselves: constants, parts, extremes and derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from beliefgeo.probes.least_squares import Probe, score_statistic, solve_probe
from beliefgeo.probes.statistic import ProbeStatistic, merge_statistics, probe_statistic
from tests.cases import some_slow

RNG = np.random.default_rng(0)
PRECISIONS = pytest.mark.parametrize("precision", ["float32", "float64"])


def stacked(*statistics):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *statistics)


def scatter(statistic):
    return np.asarray(statistic.factor.T @ statistic.factor, np.float64)


@PRECISIONS
def test_scatter_and_mean_of_badly_scaled_columns(precision):
    """Each is as good as at unit scale: a large one does not drown the digits of a small one."""
    with jax.enable_x64(precision == "float64"):
        scales = np.array([1e-12, 1, 1e12, 1e3])
        x = jnp.asarray((RNG.normal(size=(9000, 4)) @ RNG.normal(size=(4, 4)) + 3) * scales, precision)
        w = jnp.asarray(RNG.uniform(0, 2, 9000), precision)
        exact, shares = np.asarray(x, np.float64), np.asarray(w, np.float64)
        mean = shares @ exact / shares.sum()
        about = (exact - mean).T @ (shares[:, None] * (exact - mean))
        found = probe_statistic(x[:, :3], x[:, 3:], w)
        np.testing.assert_allclose(found.mean, mean, rtol=1e-6)
        np.testing.assert_allclose(
            scatter(found) / np.outer(scales, scales), about / np.outer(scales, scales), rtol=1e-5
        )


@PRECISIONS
def test_constant_columns_are_zero_and_their_means_the_constants(precision):
    with jax.enable_x64(precision == "float64"):
        rows, values = [5, 4097, 300], [0.0, 0.1, 0.7, 1.0, 123.456, 1e6, -1e-30, 1e30]
        x = [jnp.asarray(np.c_[RNG.normal(size=n), np.tile(values, (n, 1))], precision) for n in rows]
        w = [jnp.asarray(RNG.uniform(0.1, 3, n), precision) for n in rows]
        parts = stacked(*(probe_statistic(one, one[:, :1], weight) for one, weight in zip(x, w, strict=True)))
        whole = probe_statistic(jnp.concatenate(x), jnp.concatenate(x)[:, :1], jnp.concatenate(w))
        for found in (whole, merge_statistics(parts), jax.jit(merge_statistics)(parts)):
            assert (found.factor[:, 1:-1] == 0).all() and (found.mean[1:-1] == x[0][0, 1:]).all()
            np.testing.assert_allclose(scatter(found), scatter(whole), rtol=1e-5)


@PRECISIONS
def test_what_only_the_parts_tell_apart_does_vary(precision):
    with jax.enable_x64(precision == "float64"):
        w = jnp.asarray(RNG.uniform(0.1, 3, 40), precision)
        x = jnp.asarray(np.where(np.arange(40) < 30, 0.7, 0.1)[:, None], precision)
        parts = stacked(*(probe_statistic(x[rows], x[rows], w[rows]) for rows in (slice(0, 30), slice(30, 40))))
        assert (parts.factor == 0).all()
        whole = probe_statistic(x, x, w)
        np.testing.assert_allclose(scatter(merge_statistics(parts)), scatter(whole), rtol=1e-5)
        assert scatter(whole)[0, 0] > 1


def test_a_part_without_weight_changes_nothing():
    x = jnp.asarray(RNG.normal(size=(50, 3)) + 9, jnp.float32)
    whole = probe_statistic(x, x[:, :1], jnp.ones(50))
    merged = merge_statistics(stacked(whole, probe_statistic(x, x[:, :1], jnp.zeros(50))))
    np.testing.assert_allclose(merged.mean, whole.mean)
    np.testing.assert_allclose(scatter(merged), scatter(whole), rtol=1e-5)
    assert np.isnan(solve_probe(probe_statistic(x, x[:, :1], jnp.zeros(50)), 3, offset=True, rcond=1e-6).bias).all()


def value(statistic: ProbeStatistic, offset=True):
    """A number that depends on everything in a statistic of 4 features and 2 targets."""
    probe = solve_probe(statistic, 4, offset=offset, rcond=1e-9)
    worse = Probe(0.7 * probe.kernel, probe.bias)
    return score_statistic(worse, statistic).mse + score_statistic(probe, statistic).r2 + jnp.sin(probe.kernel).sum()


@pytest.mark.parametrize("offset", some_slow([True, False], (False,)))
def test_derivatives_by_rows_and_weights_are_those_of_finite_differences(x64, offset):
    x = jnp.asarray(RNG.normal(size=(60, 4)) @ RNG.normal(size=(4, 4)) + 1)
    y, w = x[:, :2] + RNG.normal(size=(60, 2)), jnp.asarray(RNG.uniform(0.5, 2, 60))

    @jax.jit
    def merged(x, w):
        parts = [probe_statistic(x[rows], y[rows], w[rows]) for rows in (slice(0, 3), slice(3, 60))]
        return value(merge_statistics(stacked(*parts)), offset)

    for argument, point in enumerate((x, w)):
        along = RNG.normal(size=point.shape)
        at = lambda step, argument=argument, point=point, along=along: merged(
            *(point + step * along if index == argument else one for index, one in enumerate((x, w)))
        )
        gradient = jax.jit(jax.grad(merged, argument))(x, w)
        np.testing.assert_allclose((gradient * along).sum(), (at(1e-6) - at(-1e-6)) / 2e-6, rtol=1e-5)


def test_a_constant_column_has_no_part_in_derivatives(x64):
    x, y = jnp.asarray(RNG.normal(size=(60, 4))), jnp.asarray(RNG.normal(size=(60, 2)))
    w = jnp.asarray(RNG.uniform(0.5, 2, 60)).at[3].set(0)  # nor a row without weight one that is infinite
    dead = lambda x: jnp.insert(x, 2, 0.7, axis=1)

    def fitted(features, weights):
        statistic = probe_statistic(features, y, weights)
        probe = solve_probe(statistic, features.shape[1], offset=True, rcond=1e-9)
        return score_statistic(Probe(jnp.sin(probe.kernel), probe.bias), statistic).mse

    derivative = jax.jit(jax.grad(fitted, (0, 1)))
    by_x, by_w = derivative(dead(x), w)
    np.testing.assert_allclose(by_x[:, 2], 0, atol=1e-12)
    for found, expected in zip((jnp.delete(by_x, 2, axis=1), by_w), derivative(x, w), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)
