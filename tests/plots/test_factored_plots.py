import numpy as np

from beliefgeo.plots import factored

TOKENS = np.array([0, 100, 1000])


def test_the_untrained_network_stands_left_of_the_first_snapshot():
    found = {"dimensions": [60, 3, 11], "gap": {"mean": [0.3, 0.1, 0.01]}, "rmse": np.array([[0.2], [0.1], [0.05]])}
    exact = {"joint": 140, "factored": 10}
    left, middle, right = factored.training_panels(TOKENS, found, ["mess3 1"], exact).axes
    lines = {line.get_label(): line for line in left.lines}
    np.testing.assert_array_equal(lines["network"].get_xdata(), [50, 100, 1000])
    np.testing.assert_array_equal(lines["network"].get_ydata(), [60, 3, 11])
    assert {"joint beliefs: 140", "factored beliefs: 10"} < set(lines)
    np.testing.assert_allclose(middle.lines[0].get_ydata(), [0.3, 0.1, 0.01])
    np.testing.assert_allclose(right.lines[0].get_ydata(), [0.2, 0.1, 0.05])


def test_subspaces_of_each_factor_and_their_overlaps():
    matrix = np.array([[1.0, 0.25], [0.25, 1.0]])
    found = {
        "dimensions": np.array([[60, 50], [3, 4], [2, 2]]),
        "union": [70, 5, 4],
        "overlap of leading directions": {"mean": [0.5, 0.1, 0.01]},
        "overlap of subspaces": {"mean": [0.9, 0.5, 0.1], "matrix": [np.ones((2, 2)), np.ones((2, 2)), matrix]},
    }
    left, middle, right = factored.subspace_panels(TOKENS, found, ["mess3 1", "bloch_walk 1"]).axes
    assert [line.get_label() for line in left.lines] == ["mess3 1", "bloch_walk 1", "union"]
    np.testing.assert_array_equal(left.lines[1].get_ydata(), [50, 4, 2])
    np.testing.assert_allclose(middle.lines[1].get_ydata(), [0.9, 0.5, 0.1])
    np.testing.assert_array_equal(right.images[0].get_array(), matrix)
    assert [text.get_text() for text in right.texts] == ["1.00", "0.25", "0.25", "1.00"]


def test_a_column_a_factor_and_a_row_a_kind():
    points = np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]])
    square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0]])
    clouds = {name: {"exact": points, "trained": points / 2} for name in ("one", "two")}
    figure = factored.belief_columns(clouds, np.ones(3), {"one": square, "two": 2 * square})
    assert [axis.get_title() for axis in figure.axes] == ["one", "two", "", ""]
    assert [axis.get_ylabel() for axis in figure.axes] == ["exact", "", "trained", ""]
    np.testing.assert_allclose(figure.axes[1].get_xlim(), [-2.24, 2.24])
    for axis in figure.axes:
        assert (np.asarray(axis.images[0].get_array())[..., 3] > 0).sum() == 3
