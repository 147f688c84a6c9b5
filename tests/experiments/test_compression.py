"""The claim as a user runs it, its mistakes, and its optima on cases with known answers."""

import json

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.reading import Seeds
from tests.experiments.command import module, modules, refusal, start

OPTIMA = module("compression", "optima")
PAIR = bg.product([bg.mess3(0.28, 0.95), bg.mess3(0.02, 0.6)])


@pytest.fixture(scope="module")
def measures():
    with modules("compression", "measures") as found:
        yield found.measures


def entropy(laws):
    return -(laws * np.log(laws)).sum(-1)


def softmax(logits):
    law = np.exp(logits - logits.max(-1, keepdims=True))
    return law / law.sum(-1, keepdims=True)


def test_without_a_code_the_best_law_is_the_mean_law():
    random = np.random.default_rng(0)
    laws, weights = random.dirichlet(np.ones(4), 7), random.uniform(1, 2, 7)
    shares = weights / weights.sum()
    least = entropy(shares @ laws) - shares @ entropy(laws)
    assert OPTIMA.best_codes(laws, weights, (0,))[0].gap == pytest.approx(least, abs=1e-12)


def test_laws_of_few_numbers_need_no_more():
    random = np.random.default_rng(1)
    laws = softmax(random.normal(size=(40, 2)) @ random.normal(size=(2, 6)) + random.normal(size=6))
    found = OPTIMA.best_codes(laws, np.ones(40), (1, 2), starts=0)
    assert found[1].gap > 0.01
    assert abs(found[2].gap) < 1e-12
    assert OPTIMA.readout_gap(laws, np.ones(40), found[2].code) == pytest.approx(0, abs=1e-9)


def test_one_number_of_three_laws_by_brute_force():
    """Every line in the plane of logits, by its angle and its distance; for each law the best point of the line."""
    laws, weights = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.3, 0.1, 0.6]]), np.array([0.5, 0.2, 0.3])
    plane = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])
    along = np.linspace(-4, 4, 161)
    least = np.inf
    for angle in np.linspace(0, np.pi, 120, endpoint=False):
        forward, across = (np.array([np.cos(turn), np.sin(turn)]) for turn in (angle, angle + np.pi / 2))
        points = np.linspace(-2, 2, 81)[:, None, None] * across + along[:, None] * forward
        logs = np.log(softmax(points @ plane))
        least = min(least, ((-logs @ laws.T).min(1) @ weights).min())
    found = OPTIMA.best_codes(laws, weights, (1,))[1].gap
    assert found <= least - weights @ entropy(laws) + 1e-12
    assert found == pytest.approx(least - weights @ entropy(laws), abs=1e-3)


@pytest.mark.slow
def test_a_row_of_twice_the_weight_is_two_rows():
    random = np.random.default_rng(2)
    laws = random.dirichlet(np.ones(4), 8)
    twice = OPTIMA.best_codes(np.concatenate([laws, laws[:3]]), np.ones(11), (1,))[1]
    weighted = OPTIMA.best_codes(laws, np.array([2.0] * 3 + [1] * 5), (1,))[1]
    assert twice.gap == pytest.approx(weighted.gap, abs=1e-8)


def test_a_product_needs_the_sum_of_its_factors_numbers_and_drops_what_tells_least():
    rows = reading.rows(jax.random.key(0), PAIR, 2)
    found = OPTIMA.best_codes(rows.laws, rows.probabilities, (0, 2), starts=0)
    loud, telling = (reading.rows(jax.random.key(0), factor, 2) for factor in PAIR.factors)
    worth = [OPTIMA.best_codes(one.laws, one.probabilities, (0,))[0].gap for one in (loud, telling)]
    assert found[0].gap == pytest.approx(sum(worth), abs=1e-6)  # what is told by independent factors adds up
    assert found[2].gap <= min(worth) + 1e-7
    assert found[2].gap > 1e-3


@pytest.mark.slow
def test_a_code_linear_in_the_belief_is_no_better_than_a_free_code(measures):
    rows = reading.rows(jax.random.key(0), PAIR, 2)
    columns = measures.tasks.components(rows)
    assert columns.shape[1] == 4
    free = OPTIMA.best_codes(rows.laws, rows.probabilities, (2, 4), starts=0)
    assert abs(free[4].gap) < 1e-9
    for rank in (2, 4):
        assert OPTIMA.readout_gap(rows.laws, rows.probabilities, columns[:, :rank]) > free[rank].gap + 1e-6


@pytest.mark.slow
def test_what_the_two_best_codes_of_the_unlike_pair_keep(measures):
    """Two numbers hold one factor: for R2 the factor that varies most, for the loss the factor that tells most."""
    rows = reading.rows(jax.random.key(0), PAIR, 3)
    truth = measures.truth_of(measures.tasks.TASKS["unlike pair"], PAIR, rows)
    assert list(truth.parts) == ["loud", "telling"] and truth.variances[0] > truth.variances[1]
    found = measures.best(truth, (2,), 0)[0][2]
    # Held out, the R2 of what is not there may lie below 0.
    np.testing.assert_allclose(found["variance"].by_part, [1, 0], atol=0.1)
    np.testing.assert_allclose(found["loss"].by_part, [0, 1], atol=0.1)
    assert found["loss"].gap < found["variance"].gap and found["loss"].r2 < found["variance"].r2
    assert found["variance"].r2 == pytest.approx(truth.variances[0] / truth.variances.sum(), abs=0.02)
    assert found["random order"].r2 < found["variance"].r2


@pytest.mark.slow
def test_parts_of_copies_are_in_order_of_what_is_kept(measures):
    copies = bg.product([bg.mess3(0.05, 0.85)] * 2)
    rows = reading.rows(jax.random.key(0), copies, 3)
    task = measures.tasks.Task(lambda: copies, 3, 1000, ("first", "second"), alike=True)
    second = np.asarray(copies.split_belief(rows.beliefs)[1])
    found = measures.kept(second, 0.0, measures.truth_of(task, copies, rows))
    np.testing.assert_allclose(found.by_part, [1, 0], atol=0.1)
    assert found.r2 == pytest.approx(0.5, abs=0.05)


def test_verdicts_by_hand(measures):
    kept = measures.Kept
    optimum = {"loss": kept(0.01, 0.3, np.array([0.0, 1.0])), "variance": kept(0.03, 0.5, np.array([1.0, 0.0]))}
    network = kept(Seeds(np.array([0.012, 0.012])), Seeds(np.array([0.3, 0.3])), Seeds(np.array([[0.1, 0.9]] * 2)))
    found = measures.verdicts(network, optimum, 0.1)
    assert (found["gap near"], found["R2 near"]) == ("yes", "no")
    np.testing.assert_allclose(found["times the optimum"].values, 1.2)
    np.testing.assert_allclose(found["share of the most"].values, 0.6)
    np.testing.assert_allclose(found["from the best for the loss"].values, 0.1)
    np.testing.assert_allclose(found["from the best for R2"].values, 0.9)
    assert found["follows"] == "the loss"
    near, far, meets = (Seeds(np.array(values)) for values in ([0.1, 0.11], [0.5, 0.51], [0.1, 0.3]))
    assert [measures.follows(*pair) for pair in ((near, far), (far, near), (near, meets), (far, far))] == [
        "the loss",
        "R2",
        "neither",
        "neither",
    ]


@pytest.mark.parametrize(
    ("ranks", "laws", "said"),
    [
        ((2, 1), [[0.5, 0.5]], "ranks must increase from 0 or more; got (2, 1)"),
        ((1,), [[1.0, 0.0]], "laws must be positive, else the best logits are infinite; got 1 entries of 0"),
    ],
)
def test_optima_say_what_they_need(ranks, laws, said):
    with pytest.raises(ValueError) as raised:
        OPTIMA.best_codes(np.array(laws), np.ones(1), ranks)
    assert said in str(raised.value)


def test_a_width_of_0_is_refused_in_one_sentence(tmp_path):
    said = refusal("compression", "quick", "--widths", "0", "2", "--out", str(tmp_path))
    assert "error: widths must be different numbers, 1 or more; got (0, 2): leave the others out" in said


@pytest.mark.slow
def test_as_a_user_runs_it(tmp_path):
    small = ["--steps", "20", "--chunk", "10", "--starts", "0"]
    done = start("compression", "quick", *small, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "compression").iterdir()
    assert {path.stem for path in folder.glob("*.png")} == {"widths", "parts"}
    found = json.loads((folder / "results.json").read_text())["unlike pair"]
    assert found["parts"] == ["loud", "telling"]
    for one in found["widths"].values():
        # No network passes the best of its width, but for the rounding of float32.
        assert min(one["trained"]["gap"]["values"]) >= one["loss"]["gap"] - 1e-6
