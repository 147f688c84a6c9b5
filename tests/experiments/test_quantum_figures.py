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


def test_unlikely_beliefs_do_not_set_the_limits():
    points = np.concatenate([np.tile(POINTS, (600, 1)), [[100.0, 0.0]]])
    figure = figures.belief_rows({"moon": {"exact": points}}, {"moon": np.append(np.ones(2400), 1e-3)}, {})
    assert figure.axes[0].get_xlim() == pytest.approx((-1.12, 1.12))
    assert figure.axes[0].images  # so many are drawn as a density


def test_dots_stand_at_the_mean_of_the_seeds_on_the_published_band():
    targets = {
        "minimal": {"trained": np.array([0.9, 1.0]), "untrained": np.array([0.3])},
        "shuffled": {"trained": np.zeros(1)},
    }
    level = {"minimal": {"trained": np.array([0.8]), "untrained": np.array([0.8])}}
    found = {"frdn": {"transformer": targets, "lstm": level}}
    figure = figures.score_dots(found, {"frdn": {"minimal": (0.42, 0.56)}}, "R2")
    (axes,) = figure.axes
    minimal, untrained = axes.lines
    np.testing.assert_allclose(minimal.get_ydata(), [0.95, 0.8])
    np.testing.assert_allclose(untrained.get_ydata(), [0.3, 0.8])
    assert minimal.get_markerfacecolor() != "white" == untrained.get_markerfacecolor()
    assert [text.get_text() for text in axes.get_xticklabels()] == ["transformer", "LSTM"]
    band = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert band.y0 < 0.42 < 0.56 < band.y1 and band.height < 0.2
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["minimal", "minimal, untrained"]


def test_curves_begin_at_the_untrained_network_and_the_first_part_is_shaded():
    tokens = np.array([0, 1_000_000, 10_000_000])
    values = np.array([[1.0, 0.3, 0.1], [1.0, 0.1, 0.1]])
    figure = figures.fall_curves({"moon": {"gru": (tokens, values)}}, "RMSE", share=0.2)
    (axes,) = figure.axes
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [0, 0.1, 1])
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [1.0, 0.2, 0.1])
    shaded = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert (shaded.x0, shaded.x1) == pytest.approx((0, 0.2))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["GRU"]
