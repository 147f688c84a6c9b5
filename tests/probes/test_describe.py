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
