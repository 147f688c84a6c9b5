import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.probes.windows import equivalent_window, explained_by, window_curve, window_groups
from beliefgeo.reading.rows import rows_of


@pytest.fixture(scope="module")
def mess3():
    return rows_of(bg.mess3(), bg.words(bg.mess3(), 10))


def test_windows_of_the_reference(mess3):
    curve = window_curve(mess3, mess3.counts)
    expected = [0.272, 0.109, 0.0339, 0.0112, 0.00366, 0.00108, 0.000316, 0.0000794]
    np.testing.assert_allclose(curve[1:9], expected, rtol=5e-3)
    np.testing.assert_allclose(curve[[0, 10]], [1, 0], atol=1e-12)
    # The published error, R2 .9965, is a window of five tokens.
    np.testing.assert_allclose(equivalent_window(0.000386 / 0.111151, curve), 5.04, atol=0.02)


def test_window_by_brute_force():
    process = bg.z1r()
    rows = rows_of(process, bg.words(process, 4))
    weights = rows.probabilities
    read = [tuple(rows.tokens[w, : p + 1]) for w, p in zip(rows.word, rows.position, strict=True)]
    variance = lambda values, share: (
        share[:, None] * (values - (share[:, None] * values).sum(0) / share.sum()) ** 2
    ).sum()
    total = variance(rows.beliefs, weights)
    for window, unexplained in enumerate(window_curve(rows, weights)):
        seen = {}
        for row, word in enumerate(read):
            seen.setdefault((len(word), word[len(word) - min(window, len(word)) :]), []).append(row)
        within = sum(variance(rows.beliefs[group], weights[group]) for group in seen.values())
        np.testing.assert_allclose(unexplained, within / total, atol=1e-12)


def test_windows_grow_finer_and_end_in_the_rows_of(mess3):
    counts = [len(np.unique(group)) for group in window_groups(mess3)]
    assert counts[0] == 10 and counts[-1] == len(mess3.word) and counts == sorted(counts)


def test_windows_of_some_rows_only(mess3):
    rows = mess3.length == 3
    curve = window_curve(mess3, mess3.counts, rows)
    assert curve[3] < 1e-12 < curve[2]


def test_equivalent_window_interpolates_and_ends():
    curve = np.array([1.0, 0.1, 0.001, 0.0, 0.0])
    assert equivalent_window(0.1, curve) == 1
    np.testing.assert_allclose(equivalent_window(0.01, curve), 1.5)
    assert equivalent_window(1.3, curve) == equivalent_window(1.0, curve) == 0
    # The shortest window that leaves nothing, or what float32 cannot tell from it, is worth all.
    for nothing in (0.0, 1e-9, 1e-7, -1e-8, 1 - float(np.float32(1) - np.float32(1e-7))):
        assert equivalent_window(nothing, curve) == 3
    # Between the last positive fraction and that the log scale goes on, to 2 eps.
    end = 2 * np.finfo(np.float32).eps
    np.testing.assert_allclose(equivalent_window((0.001 * end) ** 0.5, curve), 2.5)
    assert np.isnan([equivalent_window(bad, curve) for bad in (np.nan, np.inf)]).all()


def test_windows_of_curves_with_steps_and_without_an_end():
    assert equivalent_window(0.5, np.array([1.0, 0.5, 0.5, 0.01])) == 1  # the shortest that does it
    assert 2 < equivalent_window(0.49, np.array([1.0, 0.5, 0.5, 0.01])) < 2.1
    assert equivalent_window(1.0, np.array([1.0, 1.0, 0.5])) == 0  # a token that tells nothing, and a poor probe
    for poor in (0.001, 0.0):
        assert equivalent_window(poor, np.array([1.0, 0.1, 0.01])) == 2  # at least
    # Fractions that float32 cannot resolve, but who gives them can.
    fine = np.array([1.0, 1e-8, 1e-10, 0.0])
    assert [equivalent_window(left, fine) for left in (1e-8, 1e-9, 1e-10, 1e-11)] == [1, pytest.approx(1.5), 2, 3]
    for flat in (np.ones(3), np.zeros(3)):
        assert equivalent_window(1.0, flat) == 0
    assert equivalent_window(0.0, np.ones(3)) == 2 and equivalent_window(0.0, np.zeros(3)) == 0
    for bad in (np.array([]), np.array([1.0, np.nan])):
        with pytest.raises(ValueError, match="needs a curve"):
            equivalent_window(0.1, bad)


def test_windows_of_beliefs_that_do_not_vary():
    rows = rows_of(bg.coin(0.3), bg.words(bg.coin(0.3), 3))
    assert (window_curve(rows, rows.counts) == 0).all()
    with pytest.raises(ValueError, match="weights must be positive in a row that counts"):
        window_curve(rows, rows.length < 3, rows.length == 3)


def test_share_explained_by_groups():
    rng = np.random.default_rng(0)
    group, weights = rng.integers(0, 3, 400), rng.random(400)
    values = np.array([0.0, 1.0, 4.0])[group] + 0.5 * rng.normal(size=400)
    assert explained_by(group, np.array([0.0, 1.0, 4.0])[group], weights) == pytest.approx(1)
    # Brute force: the best function of the group is a weighted regression on its indicators.
    indicators = np.eye(3)[group]
    fitted = bg.fit_probe(indicators, values[:, None], weights)
    found = bg.score_probe(fitted, indicators, values[:, None], weights).r2
    np.testing.assert_allclose(explained_by(group, values, weights), found, rtol=1e-5)
    repeated = np.repeat(np.arange(400), 2)
    double = explained_by(group[repeated], values[repeated], weights[repeated] / 2)
    assert double == pytest.approx(explained_by(group, values, weights))


def test_values_that_do_not_vary_are_explained():
    for value in (0.1, 123.456):
        for dtype in (np.float32, np.float64):
            assert explained_by(np.array([0, 0, 1, 1, 1]), np.full(5, value, dtype), [1, 2, 3, 4, 0.1]) == 1
    assert explained_by(["b", "a", "b"], [1, 2, 1], [1, 1, 1]) == pytest.approx(1)
    assert explained_by([0, 1, 0, 1], [1.0, 2.0, np.nan, 2.0], [1, 1, 0, 1]) == pytest.approx(1)
    with pytest.raises(ValueError, match=r"of the same rows; got shapes \(2,\), \(3,\)"):
        explained_by([0, 1], [1.0, 2.0, 3.0], [1, 1, 1])
    with pytest.raises(ValueError, match="values must be finite where a row has weight"):
        explained_by([0, 1], [1.0, np.nan], [1, 1])
