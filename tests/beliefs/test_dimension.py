import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.dimension import (
    box_dimension,
    information_dimension,
    lyapunov_exponents,
    statistical_complexity_dimension,
)
from beliefgeo.beliefs.mixed_states import blackwell_samples


def cantor(count):
    """Points of the middle-thirds Cantor set."""
    digits = np.random.default_rng(0).integers(0, 2, (count, 30)) * 2
    return (digits / 3.0 ** np.arange(1, 31)).sum(1)[:, None]


def test_dimensions_of_known_sets():
    rng = np.random.default_rng(1)
    thirds = 3.0 ** -np.arange(1, 8)
    for dimension in (box_dimension, information_dimension):
        # 5% for the few scales that points resolve; boxes of thirds fit the Cantor set but for its sampled ends.
        assert abs(dimension(cantor(100_000), thirds).value - np.log(2) / np.log(3)) < 0.03
        assert abs(dimension(rng.uniform(size=(100_000, 2))).value - 2) < 0.1
        assert abs(dimension(rng.uniform(size=(100_000, 1)) * [1.0, 2.0]).value - 1) < 0.05
    assert box_dimension(np.ones((200, 3))).value == 0
    with pytest.raises(ValueError, match=r"100 or more; got shape \(5, 2\)"):
        box_dimension(np.ones((5, 2)))


def test_points_and_scales_that_are_none():
    points = np.random.default_rng(0).uniform(size=(1000, 2))
    points[3] = np.nan
    for dimension in (box_dimension, information_dimension):
        with pytest.raises(ValueError, match="points must be finite; 1 of 1000 rows are not: leave them out"):
            dimension(points)
        for scales in ([0.5, 0.25, 0.0], [2.0, 1.0, 0.5], [np.nan] * 3):
            with pytest.raises(ValueError, match="scales must be shares of the largest extent, above 0 and up to 1"):
                dimension(points[4:], scales)


def test_numbers_of_chains_and_tokens_that_give_nothing():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="two values or more, one a chain; got 1: raise chains"):
        statistical_complexity_dimension(key, bg.mess3(), 10, chains=1)
    with pytest.raises(ValueError, match="needs length >= 1 and chains >= 1; got 0 and 4"):
        lyapunov_exponents(key, bg.mess3(), 0, chains=4)


def test_exponents_of_two_states_by_hand():
    """Of two states the one exponent is the mean log of |det T^(x)| / P(x | belief)^2 along the beliefs."""
    process = bg.mess(0.2, 0.7, 2)
    rates, exponents = lyapunov_exponents(jax.random.key(0), process, 3000, chains=8)
    drawn = bg.sample(jax.random.key(1), process, 30_000)
    determinants = np.log(abs(np.linalg.det(np.asarray(process.transitions))))
    expected = (determinants[np.asarray(drawn.tokens)] - 2 * np.asarray(drawn.log_probabilities)).mean()
    np.testing.assert_allclose(exponents.mean(), expected, atol=0.02)  # five standard errors of both samples
    np.testing.assert_allclose(rates.mean(), bg.entropy_rate(process), atol=0.01)


def test_finite_presentations_have_dimension_zero():
    never_synchronises = lambda: bg.hmm([[[0.3, 0], [0, 0.6]], [[0, 0.7], [0.4, 0]]])
    for build in (bg.z1r, bg.rrxor, bg.days_of_week, never_synchronises):
        assert statistical_complexity_dimension(jax.random.key(0), build(), 200, chains=4).value == 0


def test_dimension_of_separate_images():
    """Images do not overlap, so the formula is the information dimension, here of samples."""
    process = bg.mess3(0.05, 0.85)
    estimate = statistical_complexity_dimension(jax.random.key(0), process, 3000, chains=8)
    sampled = information_dimension(blackwell_samples(jax.random.key(1), process, 100_000))
    assert estimate.lower - 0.1 < sampled.value < estimate.upper + 0.1
    assert 0.4 < estimate.value < 0.65


def test_dimension_cannot_exceed_that_of_the_simplex():
    """Slow mixing contracts by 1 - 3x = .94 at most, far less than one token in a nat."""
    assert statistical_complexity_dimension(jax.random.key(0), bg.mess3(0.02, 0.4), 500, chains=4).value == 2
