import numpy as np

from beliefgeo.plots.inference import recovery_curves


def test_every_curve_is_drawn_where_it_lies():
    tokens = np.array([100, 1000])
    one, other = np.array([[0.0, 0.0, 0.2], [1.0, 0.8, 1.0]]), np.array([[0.5, 0.3, 0.7], [0.6, 0.4, 0.8]])
    figure = recovery_curves(tokens, {"even": {"first": one, "second": other}, "frdn": {"second": other}})
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("even", "frdn")
    np.testing.assert_array_equal(left.lines[0].get_ydata(), one[:, 0])
    np.testing.assert_array_equal(right.lines[0].get_ydata(), other[:, 0])
    assert left.lines[1].get_color() == right.lines[0].get_color() != left.lines[0].get_color()
    band = left.collections[0].get_paths()[0].get_extents()
    np.testing.assert_allclose([band.ymin, band.ymax], [0, 1])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["first", "second"]
