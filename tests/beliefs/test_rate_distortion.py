import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.rate_distortion import predictive_rate_distortion


def mutual_information(joint):
    outer = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    return sum(p * np.log(p / q) for p, q in zip(joint.ravel(), outer.ravel(), strict=True) if p > 0)


def test_ends_of_the_curve():
    """No memory at a small trade-off; the causal states, C_mu and nearly E, at a large one."""
    for name in ("golden_mean", "even", "rrxor"):
        process = getattr(bg, name)()
        curve = predictive_rate_distortion(process, [0.1, 1000.0], future_length=8)
        np.testing.assert_allclose(curve.rates, [0, bg.statistical_complexity(process)], atol=1e-3)
        assert curve.predictive[0] < 1e-6
        assert 0 <= bg.excess_entropy(process) - curve.predictive[1] < 0.3 * bg.excess_entropy(process)


def test_the_curve_rises_and_bends_down():
    curve = predictive_rate_distortion(bg.golden_mean(), np.geomspace(2, 100, 12))
    assert (np.diff(curve.rates) >= -1e-9).all() and (np.diff(curve.predictive) >= -1e-9).all()
    slopes = np.diff(curve.predictive) / np.maximum(np.diff(curve.rates), 1e-12)
    rising = np.diff(curve.rates) > 1e-6
    assert (np.diff(slopes[rising]) <= 1e-6).all()
    assert (curve.predictive <= curve.rates + 1e-12).all()


def test_no_code_found_by_chance_is_better():
    process, beta = bg.golden_mean(), 6.0
    curve = predictive_rate_distortion(process, [beta], future_length=1)
    weights, laws = np.array([2 / 3, 1 / 3]), np.array([[0.5, 0.5], [1.0, 0.0]])
    rng = np.random.default_rng(0)

    def lagrangian(encoder):
        joint = weights[:, None] * encoder
        return mutual_information(joint) - beta * mutual_information(joint.T @ laws)

    best = curve.rates[0] - beta * curve.predictive[0]
    np.testing.assert_allclose(lagrangian(curve.encoders[0]), best, atol=1e-9)
    assert min(lagrangian(rng.dirichlet([0.3, 0.3], 2)) for _ in range(2000)) >= best - 1e-9


def test_bad_trade_offs():
    with pytest.raises(ValueError, match="trade_offs must be positive numbers"):
        predictive_rate_distortion(bg.even(), [1.0, -1.0])
    with pytest.raises(ValueError, match="trade_offs must be positive numbers"):
        predictive_rate_distortion(bg.even(), [np.inf])
    with pytest.raises(ValueError, match="future_length must be at least 1 token; got 0"):
        predictive_rate_distortion(bg.even(), [1.0], future_length=0)


def test_infinitely_many_causal_states():
    with pytest.raises(ValueError, match="needs finitely many causal states; for other processes use word_rate_dist"):
        predictive_rate_distortion(bg.mess3(0.15, 0.6), [1.0])
