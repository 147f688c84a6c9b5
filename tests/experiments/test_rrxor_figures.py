import numpy as np

from tests.experiments.command import module

figures = module("rrxor", "figures")
RANDOM = np.random.default_rng(0)
SITES = ("embed", "layer 1", "final norm")
scores = lambda *curves: {curve: {site: RANDOM.random(2) for site in SITES} for curve in curves}


def test_scores_by_site_are_means_with_every_seed_beside_them():
    rows = {
        "error": {"64": scores("trained", "untrained"), "128": scores("trained", "untrained")},
        "R2": {"64": scores("only"), "128": scores("only")},
    }
    figure = figures.by_site(
        rows, titles=("in sample", "held out"), published={"64, in sample": {"embed": 0.5}}, log=(0,)
    )
    error, right, r2, _ = figure.axes
    assert [axes.get_title() for axes in figure.axes] == [
        f"{n}, {h}" for h in ("in sample", "held out") for n in (64, 128)
    ]
    for axes, row, size, curve in (
        (error, "error", "64", "trained"),
        (right, "error", "128", "untrained"),
        (r2, "R2", "64", "only"),
    ):
        line = next(line for line in axes.lines if line.get_label() == curve)
        np.testing.assert_allclose(line.get_ydata(), [seeds.mean() for seeds in rows[row][size][curve].values()])
    points = [line.get_ydata() for line in error.lines if len(line.get_xdata()) == 2 and line.get_marker() == "."]
    assert any(np.allclose(one, rows["error"]["64"]["untrained"]["layer 1"]) for one in points)
    assert [tick.get_text() for tick in right.get_xticklabels()] == list(SITES)
    assert "published" in [text.get_text() for text in error.get_legend().get_texts()] and not right.get_legend()
    assert (error.get_yscale(), error.get_ylabel()) == ("log", "error")
    assert (r2.get_yscale(), r2.get_ylabel()) == ("linear", "R2")


def test_every_pair_of_distances_is_counted():
    cloud = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    figure = figures.distance_panels({"itself": (cloud, 2 * cloud)}, [("once", "twice")])
    (drawn,) = figure.axes[0].collections
    assert drawn.get_array().sum() >= 3  # a hexagon for each of 5, 1 and sqrt(18)
    np.testing.assert_allclose(np.sort(figures._distances(cloud)), [1, np.sqrt(18), 5])


def test_a_score_beside_chance():
    figure = figures.against_chance({"one": (0.7, RANDOM.random(50) / 10)}, xlabel="R2")
    axis = figure.axes[0]
    assert sum(patch.get_height() for patch in axis.patches) == 50
    assert axis.lines[0].get_xdata()[0] == 0.7


def test_each_seed_is_a_learning_curve_and_the_untrained_network_has_no_place_on_it():
    tokens, values = np.array([0, 1, 10, 100]), RANDOM.random((2, 4))
    (axis,) = figures.learning_curves({"net": (tokens, values)}, ylabel="gap").axes
    for seed, line in enumerate(axis.lines):
        np.testing.assert_array_equal(line.get_xdata(), [1, 10, 100])
        np.testing.assert_array_equal(line.get_ydata(), values[seed, 1:])
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["net"] and len(axis.lines) == 2


def test_clouds_share_axes_and_colours():
    clouds = {"a": RANDOM.random((6, 3)), "b": 100 * RANDOM.random((6, 2))}
    figure = figures.colored_clouds(clouds, np.arange(6), label="number")
    left, right, bar = figure.axes
    assert left.get_xlim() == right.get_xlim() and bar.get_ylabel() == "number"
    np.testing.assert_array_equal(right.collections[0].get_offsets(), clouds["b"])
