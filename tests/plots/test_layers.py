import numpy as np

from beliefgeo.plots import layers

RANDOM = np.random.default_rng(0)
SITES = ("embed", "layer 1", "final norm")
CURVES = {name: {site: RANDOM.random(2) for site in SITES} for name in ("trained", "untrained")}


def test_scores_by_site_are_means_with_every_seed_beside_them():
    published = {"left": {"embed": 0.5}}
    figure = layers.by_site(
        {"left": CURVES, "right": CURVES}, columns=2, labels=["error"], published=published, log=(0,)
    )
    left, right = figure.axes
    trained = next(line for line in left.lines if line.get_label() == "trained")
    np.testing.assert_allclose(trained.get_ydata(), [CURVES["trained"][site].mean() for site in SITES])
    points = [line.get_ydata() for line in left.lines if len(line.get_xdata()) == 2 and line.get_marker() == "."]
    assert any(np.allclose(one, CURVES["untrained"]["layer 1"]) for one in points)
    assert [tick.get_text() for tick in right.get_xticklabels()] == list(SITES)
    assert "published" in [text.get_text() for text in left.get_legend().get_texts()]
    assert left.get_yscale() == "log" and left.get_ylabel() == "error"


def test_every_pair_of_distances_is_counted():
    cloud = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    figure = layers.distance_panels({"itself": (cloud, 2 * cloud)}, [("once", "twice")])
    (drawn,) = figure.axes[0].collections
    assert drawn.get_array().sum() >= 3  # a hexagon for each of 5, 1 and sqrt(18)
    np.testing.assert_allclose(np.sort(layers._distances(cloud)), [1, np.sqrt(18), 5])


def test_a_score_beside_chance():
    figure = layers.against_chance({"one": (0.7, RANDOM.random(50) / 10)}, xlabel="R2")
    axis = figure.axes[0]
    assert sum(patch.get_height() for patch in axis.patches) == 50
    assert axis.lines[0].get_xdata()[0] == 0.7


def test_each_seed_is_a_learning_curve():
    tokens, values = np.array([1, 10, 100]), RANDOM.random((2, 3))
    (axis,) = layers.learning_curves({"net": (tokens, values)}, ylabel="gap").axes
    np.testing.assert_array_equal([line.get_ydata() for line in axis.lines], values)
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["net"]


def test_clouds_share_axes_and_colours():
    clouds = {"a": RANDOM.random((6, 3)), "b": 100 * RANDOM.random((6, 2))}
    figure = layers.colored_clouds(clouds, np.arange(6), label="number")
    left, right, bar = figure.axes
    assert left.get_xlim() == right.get_xlim() and bar.get_ylabel() == "number"
    np.testing.assert_array_equal(right.collections[0].get_offsets(), clouds["b"])
