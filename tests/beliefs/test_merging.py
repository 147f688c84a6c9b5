import numpy as np

from beliefgeo.beliefs import merging
from beliefgeo.beliefs.merging import BEYOND, KnownBeliefs, group_close


def test_a_belief_on_the_edge_of_a_cell_is_not_split():
    """Points closer than the tolerance, wherever a grid would put its boundaries."""
    rng = np.random.default_rng(1)
    centres = np.round(rng.uniform(size=(500, 3)), 3) + 0.5e-9
    points = np.repeat(centres, 4, 0) + rng.uniform(-1e-11, 1e-11, (2000, 3))
    np.testing.assert_array_equal(group_close(points, 1e-9), np.repeat(np.arange(500) * 4, 4))


def test_points_with_equal_projections_are_told_apart():
    """A dense line of points: projections alone would chain them all together."""
    line = np.linspace(0, 1e-6, 2001)[:, None] * [1.0, -1.0]
    first = group_close(line, 1e-9)
    assert abs(line - line[first]).sum(1).max() <= 1e-9
    assert len(np.unique(first)) > 900


def test_known_beliefs_keep_their_numbers():
    known = KnownBeliefs(np.array([[0.5, 0.5]]), 1e-9)
    numbers, fresh = known.merge(np.array([[0.2, 0.8], [0.5, 0.5 + 1e-12], [0.2, 0.8 - 1e-12], [0.9, 0.1]]), room=10)
    assert numbers.tolist() == [1, 0, 1, 2]
    np.testing.assert_array_equal(fresh, [[0.2, 0.8], [0.9, 0.1]])
    numbers, fresh = known.merge(np.array([[0.3, 0.7], [0.9, 0.1], [0.4, 0.6]]), room=1)
    assert numbers.tolist() == [3, 2, BEYOND]
    np.testing.assert_array_equal(known.beliefs, [[0.5, 0.5], [0.2, 0.8], [0.9, 0.1], [0.3, 0.7]])


def test_merging_against_every_pair():
    rng = np.random.default_rng(0)
    points = rng.integers(0, 6, (300, 3)) / 6 + rng.uniform(-1e-11, 1e-11, (300, 3))
    distance = abs(points[:, None] - points[None]).sum(2)
    np.testing.assert_array_equal(group_close(points, 1e-9), (distance < 1e-9).argmax(1))
    assert group_close(np.zeros((0, 3)), 1e-9).shape == (0,)


def test_few_rows_are_grouped_as_many_are(monkeypatch):
    """Also where a row is near two that are not near each other: it belongs to the first."""
    rng = np.random.default_rng(0)
    for number in range(200):
        points = rng.integers(0, 4, (rng.integers(1, 12), 2)) * 0.6e-9
        with monkeypatch.context() as patch:
            patch.setattr(merging, "_FEW", 0)
            expected = group_close(points, 1e-9)
        np.testing.assert_array_equal(group_close(points, 1e-9), expected, err_msg=f"{number}: {points}")
