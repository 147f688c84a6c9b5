import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from tests.experiments.command import module

figures = module("quantum", "figures")
POINTS = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
EQUAL = np.ones(4)


def pixels(axes):
    canvas = FigureCanvasAgg(axes.figure)
    canvas.draw()
    box = axes.get_window_extent()
    height = canvas.get_width_height()[1]
    rows, columns = slice(int(height - box.y1) + 4, int(height - box.y0) - 4), slice(int(box.x0) + 4, int(box.x1) - 4)
    return np.asarray(canvas.buffer_rgba())[rows, columns, :3].astype(int)


def test_a_row_a_process_and_all_of_it_at_one_scale():
    clouds = {"frdn": {"exact": POINTS, "probe": POINTS / 2}, "mess3": {"exact": POINTS}}
    figure = figures.belief_rows(clouds, {"frdn": EQUAL, "mess3": EQUAL}, {"mess3": 3 * POINTS})
    exact, probe, mess3 = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["exact", "probe", "exact"]
    assert exact.get_ylabel() == "frdn" and mess3.get_ylabel() == "mess3"
    assert exact.get_xlim() == probe.get_xlim() == pytest.approx((-1.12, 1.12))
    assert mess3.get_xlim() == pytest.approx((-3.36, 3.36)) and len(mess3.lines) == 1 and not exact.lines
    spread = lambda axes: np.ptp(np.argwhere(pixels(axes).min(-1) < 200), axis=0)
    np.testing.assert_allclose(spread(exact), 2 * spread(probe), rtol=0.1)


def test_no_cloud_is_cut_and_few_places_are_dots():
    figure = figures.belief_rows({"moon": {"exact": POINTS, "probe": 1.5 * POINTS}}, {"moon": EQUAL}, {})
    for axes in figure.axes:
        assert axes.get_xlim() == pytest.approx((-1.68, 1.68), rel=0.01)
        assert len(axes.collections[0].get_offsets()) == 4 and not axes.images


def test_dots_stand_at_the_mean_of_the_seeds_on_the_published_range_of_their_network():
    targets = {
        "minimal": {"trained": np.array([0.9, 1.0]), "untrained": np.array([0.3])},
        "shuffled": {"trained": np.zeros(1)},
    }
    level = {"minimal": {"trained": np.array([0.8]), "untrained": np.array([0.8])}}
    found = {"frdn": {"transformer": targets, "rnn": level}}
    figure = figures.score_dots(found, {"frdn": {"minimal": (0.42, 0.56)}}, "R2")
    (axes,) = figure.axes
    minimal, untrained = axes.lines
    np.testing.assert_allclose(minimal.get_ydata(), [0.95, 0.8])
    np.testing.assert_allclose(untrained.get_ydata(), [0.3, 0.8])
    assert minimal.get_markerfacecolor() != "white" == untrained.get_markerfacecolor()
    assert [text.get_text() for text in axes.get_xticklabels()] == ["transformer", "RNN"]
    (band,) = axes.patches  # nothing was published of the RNN
    assert (band.get_x(), band.get_width()) == (-0.45, 0.9)
    assert band.get_y() < 0.42 < 0.56 < band.get_y() + band.get_height() < 0.6
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["minimal", "minimal, untrained", "minimal, published"]


def test_curves_begin_at_the_untrained_network_and_the_first_part_is_shaded():
    tokens = np.array([0, 1_000_000, 10_000_000])
    values = np.array([[1.0, 0.3, 0.1], [1.0, 0.1, 0.1]])
    figure = figures.fall_curves({"moon": {"gru": (tokens, values)}}, "RMSE", share=0.2, published="all")
    (axes,) = figure.axes
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [0, 0.1, 1])
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [1.0, 0.2, 0.1])
    shaded = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert (shaded.x0, shaded.x1) == pytest.approx((0, 0.2))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["GRU", "the first 20% (published: all)"]
