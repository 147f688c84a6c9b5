import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle, FancyArrowPatch

import beliefgeo as bg
from beliefgeo.beliefs.mixed_states import MixedStatePresentation
from beliefgeo.plots import graphs
from beliefgeo.plots.labels import short_number
from beliefgeo.plots.style import BLUE, PAGE, panels, styled

DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
Z1R = MixedStatePresentation(
    beliefs=np.full((7, 3), 1 / 3),
    depth=np.array([0, 1, 1, 2, 2, 2, 2]),
    successors=np.array([[1, 2], [3, 4], [5, 6], [-1, 4], [6, 6], [3, 4], [3, -1]]),
    probabilities=np.array([[3, 3], [2, 4], [4, 2], [0, 6], [3, 3], [3, 3], [6, 0]]) / 6,
    recurrent=np.array([False, False, False, True, True, False, True]),
    truncated=False,
)
NAMED = bg.from_edges(
    [
        ("high", "sun", "high", 0.6),
        ("high", "rain", "low", 0.4),
        ("low", "rain", "low", 0.7),
        ("low", "snow", "low", 0.1),
    ]
    + [("low", "sun", "high", 0.2)]
)
LONG = bg.from_edges(
    [("waiting", "tick", "waiting", 0.6), ("waiting", "request", "processing", 0.4), ("finished", "tick", "waiting", 1)]
    + [("processing", "tick", "processing", 0.5), ("processing", "done", "finished", 0.5)],
    "waiting",
)
PROCESSES = {
    "coin": (bg.coin(0.3), {}),
    "z1r": (bg.z1r(), {}),
    "even": (bg.even(), {}),
    "rrxor": (bg.rrxor(), {"state_names": list("S01TF")}),
    "mr_name": (bg.mr_name(), {"state_names": ["Mr.", "Some", "Blah", "name"]}),
    "parens": (bg.matching_parens([1, 0.5, 0.5, 0.5]), {"token_names": list("()")}),
    "mess3": (bg.mess3(), {}),
    "cycle": (bg.cycle(12, 0.8), {}),
    "days": (bg.days_of_week(), {"state_names": DAYS, "token_names": [*DAYS, "Tmrw", "Yest", "Wknd", "Wkdy"]}),
}


@styled
def draw(plot, *args, width=PAGE, height=3.4, **kwargs):
    figure, (axes,) = panels(1, 1, width, height)
    plot(axes, *args, **kwargs)
    figure.draw_without_rendering()
    return axes


def circles(axes):
    return [patch for patch in axes.patches if isinstance(patch, Circle) and patch.get_facecolor()[3] > 0]


def arrows(axes):
    return [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]


def labels(axes):
    """Texts that lie on paper of their own: the arrows' labels and the note, not the states' names."""
    return [text for text in axes.texts if text.get_bbox_patch() is not None]


def drawn_pairs(axes):
    """(source, target) of every arrow, found from where it starts and ends."""
    centres = np.array([circle.center for circle in circles(axes)])
    paths = [arrow._path_original.vertices for arrow in arrows(axes)]
    near = lambda point: np.linalg.norm(centres - point, axis=1).argmin()
    for path in paths:
        for point in (path[0], path[-1]):
            rim = circles(axes)[0].radius + 1
            assert rim < np.linalg.norm(centres - point, axis=1).min() < rim + 2
    return sorted((near(path[0]), near(path[-1])) for path in paths)


def assert_legible(axes):
    """Labels overlap neither each other nor a circle, and nothing leaves the axes."""
    figure, frame = axes.figure, axes.get_window_extent()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert all(text.get_fontsize() >= 6 for text in axes.texts)
    for box in boxes + [arrow.get_window_extent() for arrow in arrows(axes)]:
        assert box.x0 > frame.x0 - 2 and box.x1 < frame.x1 + 2 and box.y0 > frame.y0 - 2 and box.y1 < frame.y1 + 2
    boxes = [text.get_window_extent() for text in labels(axes)]
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:index])
        for circle in circles(axes):
            centre = axes.transData.transform(circle.center)
            gap = np.maximum(np.maximum([box.x0, box.y0] - centre, centre - [box.x1, box.y1]), 0)
            assert np.linalg.norm(gap) > circle.radius * figure.dpi / 72
    centres = np.array([circle.center for circle in circles(axes)])
    apart = np.linalg.norm(centres[:, None] - centres, axis=-1) + 1e9 * np.eye(len(centres))
    assert apart.min() > 2 * circles(axes)[0].radius


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_has_one_arrow_a_pair_of_states_and_is_legible(name):
    process, names = PROCESSES[name]
    axes = draw(graphs.process_graph, process, **names)
    assert len(circles(axes)) == process.n_states
    expected = np.argwhere((np.asarray(process.transitions) > 0).any(0)).tolist()
    assert drawn_pairs(axes) == sorted(map(tuple, expected))
    assert_legible(axes)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("coin", ["0: .3\n1: .7"]),
        ("z1r", ["0", "0: 1/2\n1: 1/2", "1"]),
        ("even", ["0: 1/2", "1", "1: 1/2"]),
        ("rrxor", ["0"] + ["0: 1/2"] * 3 + ["1"] + ["1: 1/2"] * 3),
        ("parens", ["(", "(: 1/2", "(: 1/2", "(: 1/2", ")", "): 1/2", "): 1/2", "): 1/2"]),
        ("mr_name", ["0: 1/4"] * 2 + ["1: .35", "1: .4", "1: 1/2", "2: .35", "2: .4", "2: 1/2", "3"]),
    ],
)
def test_labels_say_token_and_probability(name, expected):
    process, names = PROCESSES[name]
    axes = draw(graphs.process_graph, process, **names)
    assert sorted(text.get_text() for text in labels(axes)) == sorted(expected)
    shown = [text.get_text() for text in axes.texts if text.get_bbox_patch() is None]
    assert shown == names.get("state_names", [str(state) for state in range(process.n_states)])


def test_many_tokens_are_abbreviated_and_negative_weights_keep_their_sign():
    axes = draw(graphs.process_graph, bg.hmm(np.full((6, 1, 1), 1 / 6)))
    assert [text.get_text() for text in labels(axes)] == ["0: 1/6\n1: 1/6\n2: 1/6\n+3 more"]
    matrices = jnp.array([[[1.25, 1e-9], [0, 0.5]], [[-0.25, 0], [0.2, 0.3]]])
    axes = draw(graphs.process_graph, bg.Process(matrices, jnp.array([1.0, 0]), jnp.ones(2)))
    assert sorted(text.get_text() for text in labels(axes)) == ["0: 1/2\n1: .3", "0: 5/4\n1: −1/4", "1: .2"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (1 - 1e-9, "1"), (np.float32(1 / 3), "1/3"), (3 / 4, "3/4"), (0.85, ".85"), (1 / 16, "1/16")]
    + [(0.99999, ".99999"), (1 / 75, ".013"), (10.5, "21/2"), (10.57, "11"), (1e-5, "1e-05")],
)
def test_numbers_are_short_and_never_rounded_to_certainty(value, text):
    assert short_number(float(value)) == text


def test_in_a_crowd_the_likeliest_arrows_are_labelled_and_the_rest_counted():
    process, names = PROCESSES["days"]
    axes = draw(graphs.process_graph, process, height=5.0, **names)
    texts = [text.get_text() for text in labels(axes)]
    assert texts[-1] == "35 of 49 labels left out" and len(texts) == 15
    assert sum("1/3" in text for text in texts) == 7  # every tomorrow


def test_arrows_there_and_back_bend_apart_and_loops_point_outward():
    axes = draw(graphs.process_graph, bg.even())
    loop, there, back = (arrow._path_original.vertices for arrow in arrows(axes))
    assert there[len(there) // 2, 1] - back[len(back) // 2, 1] > 10
    left, right = (circle.center for circle in circles(axes))
    assert loop.mean(0)[0] < left[0] < right[0]


def test_z1r_presentation_by_depth_then_recurrent_states():
    axes = draw(graphs.presentation_graph, Z1R)
    assert_legible(axes)
    x = np.array([circle.center[0] for circle in circles(axes)])
    assert x[0] < x[1] == x[2] < x[5] < min(x[3], x[4], x[6])
    filled = [np.allclose(circle.get_facecolor()[:3], to_rgb(BLUE)) for circle in circles(axes)]
    assert filled == Z1R.recurrent.tolist()
    (ring,) = [patch for patch in axes.patches if isinstance(patch, Circle) and patch.get_facecolor()[3] == 0]
    assert ring.center == circles(axes)[0].center
    expected = sorted({(i, j) for i, row in enumerate(Z1R.successors) for j in row if j >= 0})
    assert drawn_pairs(axes) == expected and len(labels(axes)) == len(expected)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["start", "transient", "recurrent"]


@pytest.mark.parametrize("process", [bg.coin(), bg.golden_mean(), bg.even(), bg.mr_name()])
def test_small_presentations_are_legible(process):
    graph = bg.mixed_state_presentation(process)
    axes = draw(graphs.presentation_graph, graph, width=PAGE * 0.6)
    assert_legible(axes)
    assert len(labels(axes)) == len(drawn_pairs(axes))


def test_rrxor_presentation_tells_tokens_apart_by_colour_and_dash():
    graph = bg.mixed_state_presentation(bg.rrxor())
    axes = draw(graphs.presentation_graph, graph)
    assert_legible(axes)
    assert len(circles(axes)) == 36
    assert drawn_pairs(axes) == sorted((i, j) for i, row in enumerate(graph.successors) for j in row if j >= 0)
    solid = sum(arrow.get_linestyle() == "-" for arrow in arrows(axes))
    assert solid == (graph.successors[:, 0] >= 0).sum()
    assert len(arrows(axes)) - solid == (graph.successors[:, 1] >= 0).sum()
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    assert shown == ["start", "transient", "recurrent", "token 0", "token 1"]


@pytest.mark.parametrize("max_depth", [3, 5])
def test_what_is_cut_off_is_a_stub(max_depth):
    axes = draw(graphs.presentation_graph, bg.mixed_state_presentation(bg.mess3(), max_depth))
    assert len(circles(axes)) == 1 + 3 + 9 + 27 and len(arrows(axes)) == 39  # depth 3: more would not be legible
    assert len(axes.lines) == 27
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    assert shown == ["start", "continues", "token 0", "token 1", "token 2"]
    centres = np.array([circle.center for circle in circles(axes)])
    assert (np.diff(centres[13:, 1]) < 0).all()  # a tree of no crossings, first tokens on top


def test_two_closed_classes_stand_one_above_the_other():
    process = bg.hmm([[[1, 0], [0, 0]], [[0, 0], [0, 1]]], [0.5, 0.5])
    axes = draw(graphs.presentation_graph, bg.mixed_state_presentation(process))
    start, one, other = (circle.center for circle in circles(axes))
    assert start[0] < one[0] == other[0] and abs(one[1] - other[1]) > 50


def test_a_name_for_every_state():
    axes = draw(graphs.presentation_graph, Z1R, names=list("abcdefg"))
    assert [text.get_text() for text in axes.texts if text.get_bbox_patch() is None] == list("abcdefg")


def test_parts_of_a_process_that_never_meet_are_drawn_apart():
    axes = draw(graphs.process_graph, bg.hmm(np.eye(4)[None], [1, 0, 0, 0]))
    assert_legible(axes)
    assert drawn_pairs(axes) == [(i, i) for i in range(4)]


@pytest.mark.parametrize("width", [PAGE, 2.2])
@pytest.mark.parametrize("process", [NAMED, LONG])
@pytest.mark.parametrize("plot", [graphs.process_graph, graphs.presentation_graph])
def test_names_of_the_process(plot, process, width):
    given = process if plot is graphs.process_graph else bg.mixed_state_presentation(process)
    axes = draw(plot, given, width=width)
    assert_legible(axes)
    for text in axes.texts:  # in circles
        if text.get_bbox_patch() is None:
            assert text.get_window_extent().width * 72 / axes.figure.dpi <= 2 * circles(axes)[0].radius
    shown = [text.get_text() for text in axes.texts if text.get_bbox_patch() is None]
    if process is NAMED:
        assert shown == (["high", "low"] if plot is graphs.process_graph else ["0", "low", "high"])
        assert {"rain: .7\nsnow: .1", "sun: .6", "rain: .4"} <= {text.get_text() for text in labels(axes)}
    elif width == PAGE:
        assert shown == ["waiting", "processing", "finished"]
    else:
        assert all(name[0] in "wpf" for name in shown) and len(set(shown)) == 3


def test_names_given_come_first_and_digits_are_no_names_of_mixed_states():
    axes = draw(graphs.process_graph, NAMED, state_names="hl", token_names="RSU")
    shown = [text.get_text() for text in axes.texts]
    assert shown[:2] == ["h", "l"] and "U: .6" in shown
    digits = bg.from_edges([("1", "a", "1", 0.5), ("1", "b", "0", 0.5), ("0", "a", "1", 1.0)])
    axes = draw(graphs.presentation_graph, bg.mixed_state_presentation(digits))
    assert [text.get_text() for text in axes.texts if text.get_bbox_patch() is None] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("plot", "given", "options", "message"),
    [
        (graphs.process_graph, bg.golden_mean(), {"state_names": ["a"]}, "state_names must have 2 entries; got 1"),
        (graphs.process_graph, bg.golden_mean(), {"token_names": "abc"}, "token_names must have 2 entries; got 3"),
        (graphs.presentation_graph, Z1R, {"names": []}, "names must have 7 entries; got 0"),
        (graphs.presentation_graph, Z1R, {"token_names": "a"}, "token_names must have 2 entries; got 1"),
    ],
)
def test_bad_input_is_named(plot, given, options, message):
    with pytest.raises(ValueError, match=message):
        draw(plot, given, **options)


def test_the_users_settings_are_left_alone():
    before = dict(mpl.rcParams)
    draw(graphs.presentation_graph, Z1R)
    assert dict(mpl.rcParams) == before
