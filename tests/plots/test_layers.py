import numpy as np

from beliefgeo.plots import layers

RANDOM = np.random.default_rng(0)
SITES = ("embed", "layer 1", "final norm")
NETWORKS = {
    net: {site: {score: {"seeds": RANDOM.random(2)} for score in ("mse", "r2")} for site in SITES}
    for net in ("trained", "untrained")
}


def test_scores_by_site_are_means_with_every_seed_beside_them():
    rows = {
        "error": {net: (net, "mse") for net in NETWORKS},
        "R2": {"only": ("trained", "r2")},
    }
    figure = layers.by_site(
        {"64": NETWORKS, "128": NETWORKS},
        rows,
        titles=("in sample", "held out"),
        published={"64, in sample": {"embed": 0.5}},
        log=(0,),
    )
    error, right, r2, _ = figure.axes
    assert [axes.get_title() for axes in figure.axes] == [
        f"{n}, {h}" for h in ("in sample", "held out") for n in (64, 128)
    ]
    seeds = lambda net, site, score: NETWORKS[net][site][score]["seeds"]
    for axes, label, net, score in (
        (error, "trained", "trained", "mse"),
        (right, "untrained", "untrained", "mse"),
        (r2, "only", "trained", "r2"),
    ):
        line = next(line for line in axes.lines if line.get_label() == label)
        np.testing.assert_allclose(line.get_ydata(), [seeds(net, site, score).mean() for site in SITES])
    points = [line.get_ydata() for line in error.lines if len(line.get_xdata()) == 2 and line.get_marker() == "."]
    assert any(np.allclose(one, seeds("untrained", "layer 1", "mse")) for one in points)
    assert [tick.get_text() for tick in right.get_xticklabels()] == list(SITES)
    assert "published" in [text.get_text() for text in error.get_legend().get_texts()] and not right.get_legend()
    assert (error.get_yscale(), error.get_ylabel()) == ("log", "error")
    assert (r2.get_yscale(), r2.get_ylabel()) == ("linear", "R2")


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


def test_each_seed_is_a_learning_curve_and_the_untrained_network_has_no_place_on_it():
    reports = {tokens: {"seeds": RANDOM.random(2)} for tokens in (0, 1, 10, 100)}
    (axis,) = layers.learning_curves({"net": reports}, ylabel="gap").axes
    for seed, line in enumerate(axis.lines):
        np.testing.assert_array_equal(line.get_xdata(), [1, 10, 100])
        np.testing.assert_array_equal(line.get_ydata(), [reports[tokens]["seeds"][seed] for tokens in (1, 10, 100)])
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["net"] and len(axis.lines) == 2


def test_clouds_share_axes_and_colours():
    clouds = {"a": RANDOM.random((6, 3)), "b": 100 * RANDOM.random((6, 2))}
    figure = layers.colored_clouds(clouds, np.arange(6), label="number")
    left, right, bar = figure.axes
    assert left.get_xlim() == right.get_xlim() and bar.get_ylabel() == "number"
    np.testing.assert_array_equal(right.collections[0].get_offsets(), clouds["b"])
