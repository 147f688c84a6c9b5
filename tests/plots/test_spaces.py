import numpy as np
import pytest
from matplotlib.patches import Circle

import beliefgeo as bg
from beliefgeo.beliefs.mixed_states import mixed_state_presentation
from beliefgeo.plots import spaces
from beliefgeo.plots.style import panels, styled
from beliefgeo.probes.geometry import simplex_coordinates

# Every token tells the state.
NAMED = bg.from_edges(
    [("idle", "i", "idle", 0.6), ("idle", "w", "work", 0.4), ("work", "w", "work", 0.5), ("work", "u", "up", 0.5)]
    + [("up", "i", "idle", 1)]
)


@styled
def draw(plot, *args, **kwargs):
    figure, (axes,) = panels(1, 1, 3.4, 3.0)
    plot(axes, *args, **kwargs)
    figure.draw_without_rendering()
    return axes


def points_of(presentation):
    return np.asarray(simplex_coordinates(presentation.beliefs), float)


def centres(axes):
    return np.array([p.center for p in axes.patches if isinstance(p, Circle) and p.get_facecolor()[3] > 0])


def corner(axes, name):
    """Where the outline's corner nearest to that name is."""
    (text,) = [text for text in axes.texts if text.get_text() == name]
    ends = np.concatenate([line.get_xydata() for line in axes.lines])
    return ends[np.linalg.norm(ends - text.get_position(), axis=1).argmin()]


@pytest.mark.parametrize("process", [bg.golden_mean(), bg.even(), bg.z1r()])
def test_mixed_states_lie_where_their_beliefs_are(process):
    presentation = mixed_state_presentation(process)
    points = points_of(presentation)
    axes = draw(spaces.mixed_states, presentation)
    drawn, flat = centres(axes), np.pad(points, [(0, 0), (0, 2 - points.shape[1])])
    scale = np.linalg.norm(drawn[1] - drawn[-1]) / np.linalg.norm(flat[1] - flat[-1])
    np.testing.assert_allclose(drawn - drawn[0], scale * (flat - flat[0]), atol=1e-9)
    for belief, centre in zip(presentation.beliefs, drawn, strict=True):
        if belief.max() > 1 - 1e-9:  # known for certain: on that state's corner
            np.testing.assert_allclose(centre, corner(axes, f"state {belief.argmax()}"), atol=1e-4)


def test_a_tetrahedron_is_seen_in_parallel_projection():
    process = bg.mr_name()
    presentation = mixed_state_presentation(process)
    axes = draw(spaces.mixed_states, presentation, state_names=["Mr.", "Some", "Blah", "name"])
    drawn, beliefs = centres(axes), presentation.beliefs
    corners = np.stack([corner(axes, name) for name in ["Mr.", "Some", "Blah", "name"]])
    np.testing.assert_allclose(drawn, beliefs @ corners, atol=1e-4)  # affine, so every belief is its corners' mean
    assert len(axes.lines) == 6


def test_a_cloud_of_mixed_states_is_dots():
    axes = draw(spaces.mixed_states, mixed_state_presentation(bg.mess3(), 4))
    (dots,) = axes.collections
    assert len(dots.get_offsets()) == 121 and dots.get_rasterized() and not len(centres(axes))


def test_z1r_process_presentation_and_simplex_side_by_side():
    process = bg.z1r()
    figure = spaces.presentation_figure(process, mixed_state_presentation(process))
    figure.draw_without_rendering()
    left, middle, right = figure.axes
    assert [len(centres(axes)) for axes in figure.axes] == [3, 7, 7]
    names = [[text.get_text() for text in axes.texts if text.get_bbox_patch() is None] for axes in (middle, right)]
    assert names[0] == list("0123456") and sorted(names[1]) == [*"0123456", "state 0", "state 1", "state 2"]
    assert left.get_title() == "process"


@pytest.mark.parametrize(
    ("process", "max_depth"),
    [(bg.golden_mean(), None), (bg.even(), None), (bg.z1r(), None), (bg.mess3(), 2), (bg.mess3(), 5)]
    + [(bg.mr_name(), None), (bg.matching_parens([1, 0.5, 0.5]), 4), (NAMED, None)],
)
def test_presentation_figures_keep_their_text_apart_and_on_the_page(process, max_depth):
    figure = spaces.presentation_figure(process, mixed_state_presentation(process, max_depth))
    figure.draw_without_rendering()
    titles = [axes.title.get_window_extent() for axes in figure.axes]
    assert len({round(box.y0) for box in titles}) == 1
    legend = figure.axes[1].get_legend().get_window_extent()
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts]
        for index, box in enumerate(boxes):
            assert box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y0 >= 0 and box.y1 < titles[0].y0
            assert not any(box.overlaps(other) for other in [legend, *boxes[:index]])


def test_bloch_vectors_lie_in_the_unit_disc_and_likely_ones_are_opaque():
    points, weights = np.array([[1.0, 0.0], [0.0, -1.0], [0.3, 0.4]]), np.array([1.0, 0.1, 0.01])
    axes = draw(spaces.bloch_disc, points, np.eye(3), weights)
    (image,) = axes.images
    left, right, bottom, top = image.get_extent()
    cells = image.get_array()
    at = ((points - [left, bottom]) / [right - left, top - bottom] * cells.shape[0]).astype(int)
    np.testing.assert_allclose(cells[at[:, 1], at[:, 0], :3], np.eye(3))
    assert (cells[..., 3] > 0).sum() == 3
    opacity = cells[at[:, 1], at[:, 0], 3]
    assert opacity[0] == 1 and opacity[2] == 0.7
    assert 0.84 < opacity[1] < 0.86  # by the logarithm, whose 99th percentile is the top
    assert axes.patches[0].radius == 1 and axes.get_aspect() == 1


def test_a_million_bloch_vectors():
    rng = np.random.default_rng(0)
    angle, radius = rng.uniform(0, 2 * np.pi, 1_000_000), np.sqrt(rng.uniform(size=1_000_000))
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    (image,) = draw(spaces.bloch_disc, points, np.ones((1_000_000, 3))).images
    share = (image.get_array()[..., 3] > 0).mean()
    assert abs(share - np.pi / 2.4**2) < 0.01  # the disc's share of the picture


def test_three_dimensions_in_parallel_projection_nearest_last():
    rng = np.random.default_rng(0)
    points, colors = rng.normal(size=(200, 3)) * [1, 2, 0.5], rng.uniform(size=(200, 3))
    axes = draw(spaces.space_3d, points, colors, labels=("a", "b", "c"), azimuth=40, elevation=30.0)
    shadow, dots = axes.collections
    row = np.array([np.abs(colors - color[:3]).sum(1).argmin() for color in dots.get_facecolors()])
    view = np.linalg.lstsq(points[row], np.asarray(dots.get_offsets()), rcond=None)[0].T
    np.testing.assert_allclose(np.asarray(dots.get_offsets()), points[row] @ view.T, atol=1e-9)
    np.testing.assert_allclose(view @ view.T, np.eye(2), atol=1e-9)  # one scale in all directions
    towards = np.cross(view[0], view[1])
    np.testing.assert_allclose(np.rad2deg([np.arctan2(towards[1], towards[0]), np.arcsin(towards[2])]), [40, 30])
    assert (np.diff(points[row] @ towards) >= 0).all()
    across = np.asarray(shadow.get_offsets())
    np.testing.assert_allclose(across[:, 0], points @ view[0], atol=1e-9)
    assert (across[:, 1] < points @ view[1]).all()
    assert len(axes.lines) == 9 + 3 and {"a", "b", "c"} <= {text.get_text() for text in axes.texts}
    assert dots.get_rasterized() and shadow.get_rasterized()


def test_points_in_a_plane_and_a_single_point_have_a_box():
    flat = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    assert np.isfinite(draw(spaces.space_3d, flat, np.eye(3)).dataLim.get_points()).all()
    assert np.isfinite(draw(spaces.space_3d, flat[:1], np.eye(3)[:1]).dataLim.get_points()).all()


def test_a_name_stands_at_its_corner():
    axes = draw(spaces.mixed_states, mixed_state_presentation(NAMED))
    assert sorted(text.get_text() for text in axes.texts) == ["", "", "", "0", "idle", "up", "work"]
    axes = draw(spaces.mixed_states, mixed_state_presentation(NAMED), state_names="abc")
    assert {"a", "b", "c"} <= {text.get_text() for text in axes.texts}


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"simplex of 2, 3 or 4 states; got beliefs of 5: presentation_graph draws"):
        draw(spaces.mixed_states, mixed_state_presentation(bg.rrxor()))
    with pytest.raises(ValueError, match="state_names must have 3 entries; got 2"):
        draw(spaces.mixed_states, mixed_state_presentation(bg.z1r()), state_names=["a", "b"])
    with pytest.raises(ValueError, match="finite points"):
        draw(spaces.space_3d, np.full((2, 3), np.nan), np.ones((2, 3)))
