import numpy as np
import pytest

from beliefgeo.analysis.decay import decay_report, describe_decay

READ = np.arange(40)
LATER = READ >= 2


def test_laws_of_decay_are_told_apart():
    curves = {"exponential": 0.5 * np.exp(-READ / 6), "power law": 0.5 / np.maximum(READ, 1) ** 1.5}
    for name, excess in curves.items():
        fit = decay_report(excess, LATER)
        assert fit["falls"] == name and fit[name]["r2"] > 0.9999 and fit["positions"] == [2, 39]
        assert fit[name]["slope"] == pytest.approx({"exponential": -1 / 6, "power law": -1.5}[name], rel=1e-6)
        assert fit[name]["intercept"] == pytest.approx(np.log(0.5), rel=1e-6)


def test_interval_holds_the_truth_and_grows_with_its_level():
    noisy = 0.5 * np.exp(-READ / 6 + 0.1 * np.random.default_rng(0).normal(size=40))
    low, high = decay_report(noisy, LATER)["exponential"]["interval"]
    assert low < -1 / 6 < high and high - low < 0.02
    # By hand: slope -+ t sqrt(residual / (n - 2) / scatter of L), t = 2.0281 for 36 degrees of freedom.
    x, y = READ[2:] - READ[2:].mean(), np.log(noisy[2:]) - np.log(noisy[2:]).mean()
    slope = x @ y / (x @ x)
    half = 2.0281 * np.sqrt(((y - slope * x) ** 2).sum() / 36 / (x @ x))
    np.testing.assert_allclose([low, high], [slope - half, slope + half], rtol=1e-4)
    wider = decay_report(noisy, LATER, level=0.99)["exponential"]["interval"]
    assert wider[0] < low and high < wider[1]


def test_positions_that_are_fitted():
    assert decay_report(np.zeros(40), LATER) == {"falls": "at once"}
    assert decay_report(np.exp(-READ / 6.0), (READ > 3) & (READ < 7)) == {"falls": "at once"}
    holes = np.where(READ % 2, -1.0, np.exp(-READ / 6))
    fit = decay_report(holes, READ >= 0)  # 0 is left out, and what is not positive
    assert fit["positions"] == [2, 38] and fit["exponential"]["slope"] == pytest.approx(-1 / 6)


def test_what_does_not_fall_is_said_not_to():
    rising = decay_report(0.5 * np.exp(READ / 6), LATER)
    assert rising["falls"] == "not at all" and rising["exponential"]["slope"] == pytest.approx(1 / 6)
    still = decay_report(np.full(40, 0.1), LATER)
    assert still["falls"] == "not at all" and still["exponential"]["r2"] == 1
    assert describe_decay(rising) == "not at all"


def test_positions_that_do_not_match():
    for excess, judged in ((np.ones(40), LATER[1:]), (np.ones((40, 1)), LATER), (np.full(40, np.nan), LATER)):
        with pytest.raises(ValueError, match=r"excess and judged \[position\] of the same positions, without NaN; got"):
            decay_report(excess, judged)


def test_in_words():
    unsure = {"slope": -0.25, "interval": [-0.5, 0.1]}  # it may never fall
    assert describe_decay({"falls": "exponential", "exponential": unsure}) == "e-fold in 4.00 tokens [2.00, inf]"
    line = {"slope": -0.25, "interval": [-0.5, -0.2]}
    assert describe_decay({"falls": "exponential", "exponential": line}) == "e-fold in 4.00 tokens [2.00, 5.00]"
    assert describe_decay({"falls": "power law", "power law": line}) == "L^-0.25 [-0.50, -0.20]"
    assert describe_decay({"falls": "at once"}) == "at once"
