"""Arch, Wing and Strata: entries by hand, and the exact values of their paper."""

import jax
import numpy as np
import pytest

import beliefgeo as bg


def test_matrices_by_hand():
    a, b = 0.9, 0.1 / 3
    first = a * np.diag([0.8, 0.2, 0.4, 0.6])
    second = np.zeros((4, 4))
    second[1, 1], second[1, 3], second[2, 2], second[3, 3] = 0.4 * a, 0.4 * b, 0.3 * a, 0.16 * a
    third = [[0.2 * a, b, b, b], [b, 0.4 * a, b, 0.6 * b], [b, b, 0.3 * a, b], [b, b, b, 0.24 * a]]
    np.testing.assert_allclose(bg.arch(0.9).transitions, [first, second, third], atol=1e-7)
    b = 0.05
    wing = [[[0, b, 0], [0, 0.3 * a, b / 2], [b, 0, 0]], [[a, 0, b], [b, 0.7 * a, b / 2], [0, b, a]]]
    np.testing.assert_allclose(bg.wing(0.9, 0.3).transitions, wing, atol=1e-7)
    strata = [np.diag([0.2 * a, 0.7 * a, 0]), [[0.8 * a, b, b], [b, 0.3 * a, b], [b, b, a]]]
    np.testing.assert_allclose(bg.strata(0.9, 0.2, 0.7).transitions, strata, atol=1e-7)


@pytest.mark.parametrize(
    ("process", "length", "first", "mean"),
    [
        (bg.arch(0.99), 9, [1.03699, 1.01239, 0.99480], 0.970972),
        (bg.wing(0.98), 12, [0.40314, 0.37164, 0.34577], 0.309773),
        (bg.strata(0.97), 12, [0.60870, 0.58304, 0.56003], 0.525389),
        (bg.strata(0.90), 12, [0.58914, 0.56853, 0.55463], 0.543359),
    ],
)
def test_published_entropies(process, length, first, mean):
    entropies = np.asarray(bg.myopic_entropies(process, length + 1))
    np.testing.assert_allclose(entropies[:3], first, atol=6e-6)
    assert entropies[1:].mean() == pytest.approx(mean, abs=2e-6)
    np.testing.assert_allclose(process.initial, 1 / process.n_states)
    np.testing.assert_allclose(bg.stationary_distribution(process), 1 / process.n_states, rtol=1e-6)


def test_parameters_are_checked_and_differentiable():
    for call, message in (
        (lambda: bg.arch(1.1), "arch needs 0 <= alpha <= 1; got alpha=1.1"),
        (lambda: bg.wing(0.9, -1), "wing needs 0 <= x <= 1; got x=-1"),
        (lambda: bg.strata(0.9, t1=2), "strata needs 0 <= t1 <= 1; got t1=2"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    for make in (bg.arch, bg.wing, bg.strata):
        slope = jax.grad(lambda alpha, make=make: bg.myopic_entropies(make(alpha), 2)[2])(0.95)
        step = 1e-3
        difference = (bg.myopic_entropies(make(0.95 + step), 2)[2] - bg.myopic_entropies(make(0.95 - step), 2)[2]) / (
            2 * step
        )
        assert float(slope) == pytest.approx(float(difference), rel=0.02)
