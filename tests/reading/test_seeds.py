import numpy as np
import pytest
import scipy.stats

from beliefgeo.reading import Seeds, over_seeds


def test_interval_is_students():
    values = np.random.default_rng(0).normal(size=(6, 2))
    low, high = Seeds(values).interval
    for column in range(2):
        expected = scipy.stats.t.interval(0.95, 5, values[:, column].mean(), scipy.stats.sem(values[:, column]))
        np.testing.assert_allclose((low[column], high[column]), expected, rtol=1e-12)


def test_one_seed_has_no_interval():
    assert Seeds(np.array([2.0])).interval is None and f"{Seeds(np.array([2.0])):.1f}" == "2.0"


def test_measures_of_seeds_side_by_side():
    each = [
        {"b": {"x": 1.0, "a": np.array([1, 2])}, "a": np.float32(0.1), "none": None},
        {"b": {"x": 3.0, "a": np.array([3, 4])}, "a": np.float32(0.2), "none": None},
    ]
    found = over_seeds(each)
    assert found["b"]["x"].mean == 2 and found["b"]["x"].values.tolist() == [1, 3]
    assert found["b"]["a"].mean.tolist() == [2, 3] and found["none"] is None
    # The mean of what float32 holds is taken in float64.
    assert found["a"].mean == (float(np.float32(0.1)) + float(np.float32(0.2))) / 2


def test_measures_of_different_parts():
    with pytest.raises(ValueError, match="the measure of one seed or more; got none"):
        over_seeds([])
    with pytest.raises(ValueError, match="must have the same parts"):
        over_seeds([{"a": 1.0}, {"b": 1.0}])
