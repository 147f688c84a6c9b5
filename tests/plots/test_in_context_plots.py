import numpy as np

from beliefgeo.plots import in_context

GAPS = {"transformer": np.array([[0.1, 0.02, 0.01], [0.3, 0.02, 0.01]]), "gru": np.full((1, 3), 0.2)}
FOUND = {
    "exact": np.array([0.9, 0.6, 0.5]),
    "entropy rate": 0.4,
    "networks": {
        name: {"gap_per_position": {"trained": {"mean": gap.mean(0), "seeds": gap}}} for name, gap in GAPS.items()
    },
}


def test_excess_is_the_gap_above_the_exact_one():
    (axis,) = in_context.excess_panels({"coins": FOUND}).axes
    lines = {line.get_label(): line.get_ydata() for line in axis.lines}
    np.testing.assert_allclose(lines["exact"], [0.5, 0.2, 0.1])
    np.testing.assert_allclose(lines["transformer"], [0.7, 0.22, 0.11])
    assert axis.get_title() == "coins" and axis.get_xscale() == "log"


def test_every_seed_has_its_gap():
    (axis,) = in_context.gap_panels({"coins": FOUND}).axes
    assert len(axis.lines) == 3  # two seeds, one seed
    np.testing.assert_allclose(axis.lines[1].get_ydata(), GAPS["transformer"][1])


def test_sightings_over_training_beside_the_published():
    shots = {0: {"mean": [3.0] * 4}, 100: {"mean": [1.5, 1.2, 1.1, 1.0]}, 200: {"mean": [1.1, 0.5, 0.4, 0.3]}}
    found = {"sightings": {"exact": [1.0, 0, 0, 0], "network": shots}}
    figure = in_context.sightings_panels({"gru": found, "transformer": found}, (1e6, (1.05, 0.01, 0.002, 0.001)))
    second = next(line for line in figure.axes[0].lines if line.get_label() == "sighting 2")
    np.testing.assert_array_equal(second.get_xdata(), [100, 200])  # 0 tokens have no place on a logarithmic axis
    np.testing.assert_allclose(second.get_ydata(), [1.2, 0.5])
