import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import beliefgeo as bg
from beliefgeo.plots import curves, simplex
from beliefgeo.plots.style import panels
from beliefgeo.probes.geometry import simplex_coordinates
from beliefgeo.runs import outputs

BELIEFS = bg.words(bg.mess3(), 6).beliefs[:, 1:].reshape(-1, 3)
POINTS, COLORS = simplex_coordinates(BELIEFS), simplex.belief_colors(BELIEFS)


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


@pytest.mark.parametrize("draw", [simplex.simplex_scatter, simplex.simplex_density])
def test_a_pure_belief_is_drawn_in_its_colour_at_its_corner(draw):
    figure, (axes,) = panels(1, 1, 2.0, 2.0)
    draw(axes, simplex_coordinates(np.eye(3)), np.eye(3), **({"size": 40.0} if draw is simplex.simplex_scatter else {}))
    image = pixels(figure)
    height, width = image.shape[:2]
    dominant = {c: np.argwhere((image[..., c] > 200) & (np.delete(image, c, 2) < 90).all(-1)).mean(0) for c in range(3)}
    assert dominant[0][1] < width / 2 < dominant[1][1] and dominant[2][0] < height / 2 < dominant[0][0]


def test_places_have_colours_of_their_own():
    points, equal = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), np.ones(4)
    left, right, up, down = simplex.plane_colors(points, equal)
    assert right[0] > 2 * left[0] and up[1] > 2 * down[1] and left[2] > right[2]
    assert len(np.unique([left, right, up, down], axis=0)) == 4
    # A colour is that of the place, not of the row; the weights move the mean.
    np.testing.assert_allclose(simplex.plane_colors(points[::-1], equal)[::-1], simplex.plane_colors(points, equal))
    np.testing.assert_allclose(simplex.plane_colors(np.zeros((3, 2)), np.ones(3)), [[0.425, 0.375, 0.5]] * 3)


def test_panels_show_every_cloud():
    figure = simplex.simplex_panels(
        {"truth": POINTS, "probe": POINTS + 0.01, "a": POINTS, "b": POINTS, "c": POINTS}, COLORS
    )
    assert [axes.get_title() for axes in figure.axes] == ["truth", "probe", "a", "b", "c"]
    image = pixels(figure)
    assert ((255 - image).sum(-1) > 60).mean() > 0.01


def test_no_cloud_is_cut_where_it_stays_near_the_triangle():
    figure = simplex.simplex_panels({"truth": POINTS, "probe": 1.4 * np.asarray(POINTS)}, COLORS, corners="abc")
    limits = {(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes}
    ((left, right), (bottom, top)) = limits.pop()
    assert not limits  # one scale
    inside = (1.4 * np.asarray(POINTS) > [left, bottom]) & (1.4 * np.asarray(POINTS) < [right, top])
    assert inside.all(1).mean() > 0.995
    assert [text.get_text() for text in figure.axes[0].texts] == ["a", "b", "c"] and not figure.axes[1].texts


def test_points_in_few_places_are_a_dot_a_place_and_the_heaviest_is_on_top():
    figure, (axes,) = panels(1, 1, 2.0, 2.0)
    points = np.array([[0.0, 0.0], [0.1, 0.1], [0.1, 0.1], [0.3, 0.2]])
    simplex.simplex_density(axes, points, np.eye(3)[[0, 1, 1, 2]], np.array([5.0, 1, 1, 1]))
    (dots,) = axes.collections
    np.testing.assert_allclose(dots.get_offsets(), [[0.3, 0.2], [0.1, 0.1], [0.0, 0.0]])
    np.testing.assert_allclose(dots.get_facecolors()[:, :3], np.eye(3)[[2, 1, 0]])


def test_points_outside_the_picture_are_left_out():
    figure, (axes,) = panels(1, 1, 2.0, 2.0)
    simplex.simplex_density(axes, np.array([[50.0, 0.0], [0.0, 0.0]]), np.eye(3)[:2])
    assert pixels(figure).shape


def test_every_word_and_position_in_seconds():
    many = np.tile(np.asarray(POINTS), (135, 1))[:590_490]
    figure, (axes,) = panels(1, 1, 2.0, 2.0)
    simplex.simplex_density(axes, many, np.tile(COLORS, (135, 1))[:590_490])
    assert pixels(figure).std() > 1


def test_curves_draw_what_they_are_given():
    tokens, gap = np.array([1e4, 1e5]), np.array([[1e-2, 1e-3], [2e-2, 2e-3]])
    figure = curves.training_curves(tokens, gap, 3 * gap, published_gap={1e6: 1e-4}, variance=0.1)
    left, right = figure.axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), gap.mean(0))
    np.testing.assert_allclose(right.lines[0].get_ydata(), 3 * gap.mean(0))
    np.testing.assert_allclose(left.lines[1].get_ydata(), [1e-4])

    figure = curves.per_position(
        np.arange(2, 5), {"error": {"trained": gap[:, [0, 1, 1]], "untrained": gap[:1, [0, 0, 0]]}}
    )
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["trained", "untrained"]

    probes = {"by probability": {"trained": (1.5, 0.01), "shuffled": (0.0, 1.02)}}
    figure = curves.windows_panel({"by probability": np.array([1, 0.1, 1e-3, 0])}, probes)
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["best function of the last k tokens", "trained: 1.5 tokens", "shuffled: 0.0 tokens"]
    pixels(figure)


def test_the_users_settings_are_left_alone():
    before = dict(mpl.rcParams)
    simplex.simplex_panels({"truth": POINTS}, COLORS)
    assert dict(mpl.rcParams) == before


def test_a_movie_has_its_frames_and_holds_the_last(tmp_path):
    from PIL import Image

    movie = simplex.simplex_movie({"0 tokens": POINTS, "9 tokens": POINTS * 0.5}, COLORS, truth=POINTS)
    path = outputs.save_movie(tmp_path / "movie", movie)
    assert path.exists() and path.stat().st_size > 1000
    if path.suffix == ".gif":
        with Image.open(path) as image:
            assert image.n_frames >= 2 and image.info["duration"] > 0
