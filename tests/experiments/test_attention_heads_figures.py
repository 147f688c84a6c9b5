import numpy as np

from beliefgeo.reading import Seeds
from tests.experiments.command import module

heads = module("attention_heads", "figures")


def test_excess_is_drawn_in_ten_thousandths_with_its_interval():
    networks = {1: Seeds(np.array([3e-4, 5e-4])), 2: Seeds(np.array([1e-4, 1e-4]))}
    case = heads.Excess(networks, {1: 2e-4, 2: 5e-5}, 2)
    figure = heads.excess_by_heads({"a": case, "b": case})
    assert len(figure.axes) == 2 and [panel.get_title() for panel in figure.axes] == ["a", "b"]
    panel = figure.axes[0]
    lines = [np.asarray(line.get_ydata(), float) for line in panel.lines]
    assert any(len(line) == 2 and np.allclose(line, [4, 1]) for line in lines)  # the means
    assert any(len(line) == 2 and np.allclose(line, [2, 0.5]) for line in lines)  # the ideal layer
    (bars,) = panel.collections
    # Student's interval of two seeds one away from their mean.
    np.testing.assert_allclose(bars.get_segments()[0][:, 1], [4 - 12.706, 4 + 12.706], rtol=1e-4)


def test_each_pattern_has_the_head_that_is_nearest_to_it():
    measured = np.array([[[0.2, 0.0, 0.8], [0.1, 0.9, 0.0]], [[0.3, 0.7, 0.0], [0.0, 0.2, 0.8]]])  # [seed, head, lag]
    patterns = {"even": np.array([2.0, 0, 1]), "odd": np.array([0, 1.0, 0])}
    figure = heads.attention_patterns({"a": (measured, patterns), "b": (measured, {"odd": patterns["odd"]})})
    even, single, odd = figure.axes  # a row a pattern; the second case has one
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", ""]
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["even", "odd", "odd"]
    line, ideal = (np.asarray(one.get_ydata(), float) for one in even.lines)
    np.testing.assert_allclose(line, [0.1, 0.1, 0.8])  # the heads change places between the seeds
    np.testing.assert_allclose(ideal, [2 / 3, 1 / 3])  # a share of one; the zeros are left out
    np.testing.assert_allclose(odd.lines[0].get_ydata(), [0.2, 0.8, 0.0])
    np.testing.assert_allclose(single.lines[0].get_ydata(), odd.lines[0].get_ydata())
    band = even.collections[0].get_paths()[0].vertices
    assert {(1.0, 0.0), (1.0, 0.2)} <= {tuple(place) for place in band.round(9).tolist()}


def test_weights_beside_the_powers_of_zeta():
    measured = np.arange(12.0).reshape(2, 2, 3)
    figure = heads.factor_weights({"a": heads.Weights(measured, -measured, (0.5, -0.5))})
    lines = [np.asarray(line.get_ydata(), float) for line in figure.axes[0].lines[1:]]
    np.testing.assert_allclose(lines[0], measured[0, 0])
    np.testing.assert_allclose(lines[2], -measured[0, 0])
    np.testing.assert_allclose(lines[4], [1, 0.5, 0.25])
    np.testing.assert_allclose(lines[9], [1, -0.5, 0.25])


def test_learning_curves_are_means_of_seeds():
    tokens, excess = np.array([10, 100]), np.array([[1.0, 3.0], [0.1, 0.3]])
    figure = heads.learning_curves({"a": {1: (tokens, excess), 2: (tokens, excess / 2)}})
    first, second = figure.axes[0].lines
    np.testing.assert_allclose(first.get_ydata(), [2, 0.2])
    np.testing.assert_allclose(second.get_ydata(), [1, 0.1])
    assert first.get_label() == "heads: 1" and figure.axes[0].get_yscale() == "log"


def test_six_numbers_of_heads_have_six_looks():
    counts = {heads: (np.array([10, 100]), np.full((2, 1), 1 / heads)) for heads in range(1, 7)}
    lines = heads.learning_curves({"a": counts}).axes[0].lines
    assert [line.get_label() for line in lines] == [f"heads: {count}" for count in counts]
    assert len({line.get_color() for line in lines}) == 6
