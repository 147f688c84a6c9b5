"""The claim of low loss and less geometry: its comparisons by hand, mistakes; slow: as a user starts it."""

import json
from itertools import product

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.beliefs.constrained import constrained_beliefs
from beliefgeo.reading import Seeds
from tests.experiments.command import module, refusal, start

measures, tasks = (module("low_loss", part) for part in ("measures", "tasks"))


def compared(laws, samples):
    return measures.compare(np.array(laws, float), np.array(samples, float))


def test_p_counts_all_ways_to_swap_the_networks_of_a_seed():
    laws, samples = np.array([0.3, 0.9, 0.4, 0.1]), np.array([0.5, 0.8, 0.9, 0.7])
    means = [np.mean(signs * (laws - samples)) for signs in product([1, -1], repeat=4)]
    far = np.abs(means) >= abs(np.mean(laws - samples)) - 1e-12
    assert len(far) == 16 and compared(laws, samples).p == pytest.approx(far.mean())


def test_eight_networks_on_a_side_are_swapped_in_every_way():
    # Each of one group below its pair: two of 256 ways are as far apart, though the groups overlap.
    assert compared(range(8), range(1, 9)).p == pytest.approx(2 / 256)


def test_r2_where_the_loss_first_falls_to_what_all_reach():
    # The second network on laws reaches 1e-2 alone: there all are compared. Half-way in the logarithm is 10^-1.5.
    gap = Seeds(np.array([[1, 1e-1, 1e-3], [1, 1e-1, 1e-2]]))
    laws = measures.Measured(gap, Seeds(np.array([[0.0, 0.2, 0.6], [0.0, 0.4, 0.8]])))
    samples = measures.Measured(Seeds(np.array([[1, 1e-3, 1e-4]] * 2)), Seeds(np.array([[0.0, 0.9, 1.0]] * 2)))
    found = measures.at_equal_loss(laws, samples)
    assert found["gap"] == 1e-2
    np.testing.assert_allclose(found["r2"].laws.values, [0.4, 0.8])
    np.testing.assert_allclose(found["r2"].samples.values, [0.6, 0.6])


@pytest.mark.parametrize(
    ("gap", "r2", "verdict"),
    [
        ((range(8), range(10, 18)), (range(8), range(10, 18)), "yes"),
        ((range(8), range(10, 18)), (range(10, 18), range(8)), "no"),
        ((range(10, 18), range(8)), (range(8), range(10, 18)), "cannot be told"),  # the loss is not lower
        ((range(8), range(8)), (range(8), range(10, 18)), "cannot be told"),
        ((range(8), range(10, 18)), (range(8), (0, 3, 4, 5, 6, 7, 8, 6)), "cannot be told"),
    ],
)
def test_the_judge(gap, r2, verdict):
    assert measures.judge(compared(*gap), compared(*r2)) == verdict


def test_networks_that_hold_the_belief_itself_and_others():
    rows = reading.rows(jax.random.key(0), bg.rrxor(), 7)
    held, shuffled = tasks.last_block(jax.random.key(1), rows)
    seen = reading.Reading(rows.laws, {"last block": rows.beliefs})
    assert held(seen) == pytest.approx(1, abs=1e-4) and shuffled(seen) < 0.05
    process = tasks.task("constrained beliefs").process
    rows = reading.rows(jax.random.key(0), process, 7)
    held, shuffled = tasks.three_components(jax.random.key(1), rows)
    fading = reading.beliefs_after(lambda tokens: constrained_beliefs(process, tokens), rows)
    assert held(reading.Reading(rows.laws, {"mid": fading})) == pytest.approx(1, abs=1e-4)
    assert shuffled(reading.Reading(rows.laws, {"mid": fading})) < 0.05
    assert held(reading.Reading(rows.laws, {"mid": rows.beliefs})) < 0.999


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--seeds", "1"), "seeds must be 2 or more, to compare groups of networks; got 1"),
        (("--steps", "150"), "steps must be a multiple of chunk"),
        (("--processes", "mess3"), "invalid choice"),
    ],
)
def test_mistakes_end_in_one_sentence(args, said):
    assert said in " ".join(refusal("low_loss", "quick", *args).split())


@pytest.mark.slow
def test_as_a_user_runs_it(tmp_path):
    done = start("low_loss", "quick", "--processes", "frdn", "--out", str(tmp_path), constants="10000")
    assert done.returncode == 0, done.stderr
    (results,) = tmp_path.glob("low_loss/*/results.json")
    found = json.loads(results.read_text())["frdn"]
    assert found["rank"]["rank"] == 2
    assert found["gap"]["laws"]["mean"] < 0.01 and found["verdict"] == "cannot be told"  # of two networks on a side
    assert (results.parent / "curves.png").exists()
