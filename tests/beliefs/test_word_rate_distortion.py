import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.ceilings import ceiling
from beliefgeo.beliefs.rate_distortion import predictive_rate_distortion
from beliefgeo.beliefs.word_rate_distortion import pasts_and_futures, word_rate_distortion


def test_a_word_that_tells_the_causal_state_gives_the_exact_curve():
    """The golden mean's causal state is its last token: weights 2/3 and 1/3, laws (1/2, 1/2) and (1, 0)."""
    betas = [3.0, 6.0, 50.0]
    exact = predictive_rate_distortion(bg.golden_mean(), betas, future_length=1)
    curve = word_rate_distortion(bg.golden_mean(), betas, past_length=2, future_length=1)
    np.testing.assert_allclose(curve.rates, exact.rates, atol=1e-5)
    np.testing.assert_allclose(curve.predictive, exact.predictive, atol=1e-5)
    entropy = lambda p: -p * np.log(p) - (1 - p) * np.log(1 - p)
    np.testing.assert_allclose(curve.total, entropy(2 / 3) - 2 / 3 * np.log(2), atol=1e-6)
    np.testing.assert_allclose(curve.rates[-1], entropy(1 / 3), atol=1e-3)


def test_z1r_is_a_straight_line():
    """Three phases, each told by the next three tokens: a nat of memory is a nat about the future, up to ln 3."""
    curve = word_rate_distortion(bg.z1r(), [2.0, 10.0], past_length=4, future_length=3)
    np.testing.assert_allclose(curve.total, np.log(3), atol=1e-6)
    np.testing.assert_allclose(curve.rates, np.log(3), atol=1e-6)
    np.testing.assert_allclose(curve.allowed([0.0, 0.5, 1.0, 2.0]), [0, 0.5, 1, np.log(3)], atol=1e-3)
    np.testing.assert_allclose(curve.needed([-0.1, 0.0, 0.5, 1.0]), [0, 0, 0.5, 1], atol=2e-2)
    np.testing.assert_allclose(curve.reached([0.0, 0.5, 1.0, 2.0]), [0, 0.5, 1, np.log(3)], atol=1e-6)


def test_words_and_told_words_bracket_the_exact_curve():
    """The even process never tells its state in finitely many words; more words come nearer."""
    betas = np.array([3.0, 6.0, 50.0])
    exact = predictive_rate_distortion(bg.even(), betas, future_length=1)
    curve = lambda past, told: word_rate_distortion(bg.even(), betas, past_length=past, future_length=1, told=told)
    short, long = (curve(past, False).reached(exact.rates) for past in (1, 4))
    above = curve(4, True).allowed(exact.rates)
    assert (short < long).all() and (long <= exact.predictive + 1e-9).all() and (exact.predictive <= above + 1e-9).all()
    np.testing.assert_allclose(above, exact.predictive, atol=2e-4)  # the state four tokens ago tells the state now


def test_no_memory_passes_the_bound():
    """Infinitely many causal states: random memories of three tokens of Mess3, and the bound is nearly reached."""
    process, betas = bg.mess3(0.15, 0.6), np.geomspace(100, 2000, 4)
    curve = word_rate_distortion(process, betas, past_length=3, future_length=1)
    assert (curve.predictive <= curve.allowed(curve.rates) + 1e-12).all()
    np.testing.assert_allclose(curve.allowed(curve.rates), curve.predictive, atol=2e-3 * curve.total)
    needed = curve.needed(curve.allowed([0.3, 0.9]))  # one is the inverse of the other
    np.testing.assert_allclose(needed, [0.3, 0.9], atol=1e-6)
    weights, laws = pasts_and_futures(process, 3, 1)
    rng = np.random.default_rng(0)
    for sharp in (0.03, 0.3, 3.0):
        for _ in range(100):
            encoder = rng.dirichlet(np.full(4, sharp), len(weights))
            rate, told = information(weights[:, None] * encoder), information((weights[:, None] * encoder).T @ laws)
            assert told <= curve.allowed(rate) + 1e-12


def information(joint):
    outer = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    return (joint[joint > 0] * np.log(joint[joint > 0] / outer[joint > 0])).sum()


def test_a_bad_code_cannot_lower_the_bound():
    """The bound holds whatever code it is made of: that of one code for all pasts is no use, but not wrong."""
    weights, laws = np.array([2 / 3, 1 / 3]), np.array([[0.5, 0.5], [1, 0]])
    nothing = ceiling(weights, laws, laws, 20.0, np.ones(1), weights @ laws[None], tolerance=1e-4)
    best = ceiling(weights, laws, laws, 20.0, weights, laws, tolerance=1e-4)
    told, rate = information(weights[:, None] * laws), -(weights * np.log(weights)).sum()
    assert told - rate / 20 <= best + 1e-12 <= nothing
    np.testing.assert_allclose(best, told - rate / 20, atol=2e-3)


def test_pasts_and_futures():
    weights, laws = pasts_and_futures(bg.golden_mean(), 2, 1)
    np.testing.assert_allclose(weights, [1 / 3] * 3, atol=1e-6)
    np.testing.assert_allclose(laws, [[0.5, 0.5], [1, 0], [0.5, 0.5]], atol=1e-6)
    weights, laws = pasts_and_futures(bg.golden_mean(), 0, 1, told=True)
    np.testing.assert_allclose(sorted(weights), [1 / 3, 2 / 3], atol=1e-6)


def test_mistakes():
    with pytest.raises(ValueError, match="trade_offs must be positive numbers"):
        word_rate_distortion(bg.even(), [0.0], past_length=1, future_length=1)
    with pytest.raises(ValueError, match="a past needs 1 token or more .* got past_length=0 and future_length=1"):
        word_rate_distortion(bg.even(), [1.0], past_length=0, future_length=1)
    with pytest.raises(ValueError, match="so it needs an HMM; got a process with negative entries"):
        word_rate_distortion(bg.bloch_walk(), [1.0], past_length=1, future_length=1)
