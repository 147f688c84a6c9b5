"""Descriptions of processes: exact values by hand and of the papers, and what a study cannot tell."""

import numpy as np
import pytest

import beliefgeo as bg


@pytest.mark.parametrize(
    ("process", "length", "r2", "rank"),
    [
        (bg.rrxor(), 10, (0.256, 0.246), (2, 5)),
        (bg.arch(0.99), 7, None, (3, 4)),
        (bg.wing(0.98), 12, (0.989, 0.987), (2, 3)),
        (bg.strata(0.97), 12, (0.633, 0.884), (2, 3)),
        (bg.mess3(), 6, (1, 1), (3, 3)),
    ],
)
def test_what_the_law_tells_of_the_belief(process, length, r2, rank):
    found = bg.describe(process, length)
    assert found.rank == rank
    if r2 is not None:
        assert (found.r2_by_count, found.r2_by_probability) == pytest.approx(r2, abs=6e-4)
    assert ("affinely equivalent" in str(found)) == (rank[0] == rank[1])
    np.testing.assert_allclose(found.optimal_loss, bg.myopic_entropies(process, length + 1)[1:], atol=1e-6)


def test_rrxor_in_full():
    found = bg.describe(bg.rrxor(), 7)
    assert (found.states, found.tokens, found.generalised, found.classes, found.period) == (5, 2, False, 1, 3)
    assert found.mixed_states == 36 and found.growth.tolist() == [1, 2, 4, 8, 12, 7, 2]
    assert found.entropy_rate == pytest.approx(2 / 3 * np.log(2), abs=1e-6)
    assert found.synchronization_length == pytest.approx(-1 / np.log(2 ** (-1 / 3)), abs=1e-4)
    assert abs(found.eigenvalues[1]) == pytest.approx(1) and found.revealing == []


def test_observable_states_and_infinite_presentations():
    assert bg.describe(bg.golden_mean(), 4).revealing == [0, 1] and bg.describe(bg.even(), 4).revealing == [0]
    mess3 = bg.describe(bg.mess3(), 5)
    assert mess3.mixed_states is None and mess3.entropy_rate is None and mess3.growth[:4].tolist() == [1, 3, 9, 27]
    lower, upper = mess3.bounds
    assert lower < 0.793458 < upper and mess3.eigenvalues[1] == pytest.approx(0.85, abs=1e-6)
    two = bg.describe(bg.hmm([[[0.9, 0.0], [0.0, 0.2]], [[0.1, 0.0], [0.0, 0.8]]], [0.5, 0.5]), 3)
    assert two.classes == 2 and two.entropy_rate is None


def _edges(moves):
    """A chain that tells its states: token = next state."""
    moves = np.asarray(moves, float)
    return bg.hmm(np.einsum("ij,jx->xij", moves, np.eye(len(moves))), np.full(len(moves), 1 / len(moves)))


def test_a_rare_move_joins_classes_and_breaks_a_period():
    """By hand: the eigenvalues of both are 1 to 3e-7, and of neither do they tell classes or period."""
    a, b = 1e-7, 2e-7
    slow = bg.describe(bg.hmm([[[1 - a, 0], [b, 0]], [[0, a], [0, 1 - b]]]), 3)
    law, entropy = (2 / 3, 1 / 3), lambda p: -p * np.log(p) - (1 - p) * np.log1p(-p)
    assert (slow.classes, slow.period) == (1, 1)
    assert slow.entropy_rate == pytest.approx(law[0] * entropy(a) + law[1] * entropy(b), rel=1e-4)
    ring = np.roll(np.eye(3), 1, 1)
    assert bg.describe(_edges(ring), 2).period == 3
    assert bg.describe(_edges(ring * (1 - 1e-7) + 1e-7 * np.eye(3)), 2).period == 1


def test_periods_of_several_classes():
    """Rings of 2 and of 4, and a transient state: 2 divides both; rings of 2 and 3 share no period."""
    for other, both in ((4, 2), (3, 1)):
        moves = np.zeros((3 + other,) * 2)
        moves[0, 1] = moves[1, 0] = 1
        moves[range(2, 2 + other), [*range(3, 2 + other), 2]] = 1
        moves[-1, [0, 2, -1]] = 1 / 3
        found = bg.describe(_edges(moves), 2)
        assert (found.classes, found.period) == (2, both)


def test_a_generalised_process_and_one_belief():
    walk = bg.describe(bg.bloch_walk(), 4)
    assert walk.generalised and walk.bounds[0] is None and "(generalised)" in str(walk)
    assert "one belief only" in str(bg.describe(bg.coin(0.3), 3))


def test_mistakes():
    with pytest.raises(ValueError, match="context of 1 or more"):
        bg.describe(bg.mess3(), 0)
    with pytest.raises(TypeError, match="describe"):
        bg.describe("mess3", 3)


def test_a_product_is_described_by_its_joint():
    found = bg.describe(bg.product([bg.golden_mean(), bg.rrxor()]), 6)
    assert (found.states, found.tokens, found.period) == (10, 4, 3) and found.rank.of == 10
