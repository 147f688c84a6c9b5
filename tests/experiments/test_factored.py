"""The claim as a user runs it: a subprocess, tiny; its mistakes; and its own functions by hand."""

import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.probes.subspaces import Overlaps, Subspaces
from beliefgeo.reading import Seeds
from tests.experiments.command import module, refusal, start

FACTORS, MEASURES, PUBLISHED, FIGURES = (
    module("factored", part) for part in ("factors", "measures", "published", "figures")
)
SIZES = {
    **{"context": 5, "layers": 1, "width": 16, "heads": 1, "head-width": 8, "mlp-width": 16},
    **{"steps": 10, "batch": 8, "chunk": 5, "snapshots": 2, "words": 60, "contexts": 2, "varied": 8},
}
SMALL = ["quick", *(str(word) for name, size in SIZES.items() for word in (f"--{name}", size))]


@pytest.mark.slow
@pytest.mark.parametrize("option", [[], ["--noise", "0.2"], ["--chain"]], ids=["independent", "noise", "chain"])
def test_dimensions_over_training(tmp_path, option):
    done = start("factored", *SMALL, *option, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "factored").iterdir()
    assert {path.stem for path in folder.glob("*.png")} == {"training", "subspaces", "beliefs"}
    (found,) = json.loads((folder / "results.json").read_text()).values()
    assert found["components"]["factored"] <= 4 < found["components"]["joint"] <= 8
    assert found["tokens"] == [0, 200, 400]
    shots = found["shots"]
    assert np.shape(shots["rmse"]["values"]) == (1, 3, 2)
    assert shots["losses"]["gap"]["mean"][-1] < shots["losses"]["gap"]["mean"][0]
    assert shots["losses"]["error"]["mean"][-1] > 0
    varied = shots["varied"]
    assert varied["sum"]["mean"][-1] == sum(varied["dimensions"]["mean"][-1])
    assert found["fewest"]["mean"] == min(shots["dimensions"]["mean"])
    assert found["errors"]["mess3"]["trained"]["mean"] == pytest.approx(shots["rmse"]["mean"][-1][0])
    if not option:
        parts = [bg.mess3(0.15, 0.6), bg.bloch_walk(1, 3)]
        exact = sum(np.asarray(bg.myopic_entropies(part, 5)) for part in parts)
        np.testing.assert_allclose(found["optimum"]["per position"], exact[:5], rtol=1e-5)


def test_published_optimum():
    process = bg.coin(0.5)  # of its prefixes only lengths and probabilities matter here
    rows = reading.rows_of(process, bg.words(process, 8), bos=2)
    rows = rows._replace(laws=np.full((len(rows.length), 432), 1 / 432))
    found = MEASURES.optimum(FACTORS.process_of(PUBLISHED.FIVE, 0.0, False).factors, rows)
    assert found["but the last"] == pytest.approx(5.9256, abs=1e-4)
    assert found["over the words"] == pytest.approx(np.log(432))


def test_tokens_of_a_factor_choose_the_family_member_of_the_next():
    names = ("mess3", "bloch_walk", "mess3")
    process, published = FACTORS.process_of(names, 0.0, True), FACTORS.process_of(names, 0.0, False)
    np.testing.assert_allclose(process.initial, published.initial, atol=1e-6)
    later = process.factors[1:]
    assert [len(processes) for processes in later] == [3, 4] and process.vocab_sizes == (3, 4, 3)
    for processes, factor in zip(later, published.factors[1:], strict=True):
        np.testing.assert_array_equal(processes[1].transitions, factor.transitions)
        assert abs(processes[0].transitions - processes[2].transitions).max() > 0.01


def test_error_of_an_entry():
    truth = np.array([[1.0, 0.0, 1.0, 0.5], [0.0, 1.0, 1.0, -0.5]])
    factor = np.array([0, 0, 1, 1])  # the third entry, a trace, never moves and does not count
    seen = truth + [[0.1, 0.1, 0.3, 0.2], [0.1, 0.1, 0.3, -0.2]]
    for weights in (np.ones(2), np.array([1, 0])):
        np.testing.assert_allclose(MEASURES.rmse(seen, truth, factor, weights), [0.1, 0.2])


def test_errors_are_means_over_factors_of_a_name():
    rows = reading.rows(jax.random.key(0), bg.golden_mean(), 4)
    truth = MEASURES.side_by_side(rows, [rows.beliefs, 2 * rows.beliefs, rows.beliefs])
    shots = SimpleNamespace(rmse=Seeds(np.array([[[9.0, 9.0, 9.0], [1.0, 2.0, 5.0]]])))
    ends = [
        SimpleNamespace(held_out=Seeds(np.array([[k, 0, k]])), shuffled=Seeds(np.zeros((1, 3)))) for k in (3.0, 4.0)
    ]
    found = MEASURES.errors(("a", "b", "a"), shots, *ends, truth)
    assert (found["a"].trained.mean, found["b"].trained.mean, found["a"].untrained.mean) == (3, 2, 9)
    assert (found["a"].held_out.mean, found["a"].held_out_untrained.mean) == (3, 4)
    assert found["b"].mean_belief == pytest.approx(2 * found["a"].mean_belief)


def test_published_numbers_stand_beside_their_own_process_alone():
    kinds = [
        PUBLISHED.kind_of(PUBLISHED.FIVE, noise, chain) for noise, chain in ((0.0, False), (0.3, False), (0.0, True))
    ]
    assert kinds == ["independent", "noise 0.3", "chain"]
    assert PUBLISHED.kind_of(("mess3", "bloch_walk"), 0.0, False) == PUBLISHED.kind_of(PUBLISHED.FIVE, 0.4, False)
    ends = {claim.path: claim.published for claim in PUBLISHED.CLAIMS if claim.path.endswith("shots/dimensions/at -1")}
    assert [ends[f"{kind}/shots/dimensions/at -1"] for kind in (*kinds, "another")] == ["11", "24", "11", ""]
    # No published number is lost to a label that no measure has.
    assert all(label in PUBLISHED.MEASURES for numbers in PUBLISHED.PUBLISHED.values() for label in numbers)


TOKENS = np.array([0, 100, 1000])
one_seed = lambda *values: Seeds(np.array([values]))


def test_the_untrained_network_stands_left_of_the_first_snapshot():
    shots = SimpleNamespace(
        dimensions=one_seed(60, 3, 11),
        losses=SimpleNamespace(gap=one_seed(0.3, 0.1, 0.01)),
        rmse=one_seed([0.2], [0.1], [0.05]),
    )
    exact = SimpleNamespace(joint=140, factored=10)
    left, middle, right = FIGURES.training_panels(TOKENS, shots, ["mess3 1"], exact).axes
    lines = {line.get_label(): line for line in left.lines}
    np.testing.assert_array_equal(lines["network"].get_xdata(), [50, 100, 1000])
    np.testing.assert_array_equal(lines["network"].get_ydata(), [60, 3, 11])
    assert {"joint beliefs: 140", "factored beliefs: 10"} < set(lines)
    np.testing.assert_allclose(middle.lines[0].get_ydata(), [0.3, 0.1, 0.01])
    np.testing.assert_allclose(right.lines[0].get_ydata(), [0.2, 0.1, 0.05])


def test_published_numbers_stand_at_both_ends_of_the_training_and_in_the_legend():
    shots = SimpleNamespace(
        dimensions=one_seed(60, 3, 11),
        losses=SimpleNamespace(gap=one_seed(0.3, 0.1, 0.01)),
        rmse=one_seed([0.2], [0.1], [0.05]),
    )
    known = {"components for 95%, network, untrained": "62", "components for 95%, network, trained": "11"}
    left, *_ = FIGURES.training_panels(TOKENS, shots, ["mess3 1"], SimpleNamespace(joint=140, factored=10), known).axes
    marks = [(line.get_xdata()[0], line.get_ydata()[0]) for line in left.lines[1:3]]
    assert marks == [(50, 62), (1.1e9, 11)]
    assert "published" in [text.get_text() for text in left.get_legend().get_texts()]


def test_subspaces_of_each_factor_and_their_overlaps():
    matrix = np.array([[1.0, 0.25], [0.25, 1.0]])
    whole = Overlaps(one_seed(0.9, 0.5, 0.1), one_seed(np.ones((2, 2)), np.ones((2, 2)), matrix))
    leading = Overlaps(one_seed(0.5, 0.1, 0.01), whole.matrix)
    found = Subspaces(one_seed([60, 50], [3, 4], [2, 2]), one_seed(110, 7, 4), one_seed(70, 5, 4), leading, whole)
    left, middle, right = FIGURES.subspace_panels(TOKENS, found, ["mess3 1", "bloch_walk 1"]).axes
    assert [line.get_label() for line in left.lines] == ["mess3 1", "bloch_walk 1", "union"]
    np.testing.assert_array_equal(left.lines[1].get_ydata(), [50, 4, 2])
    np.testing.assert_allclose(middle.lines[1].get_ydata(), [0.9, 0.5, 0.1])
    np.testing.assert_array_equal(right.images[0].get_array(), matrix)
    assert [text.get_text() for text in right.texts] == ["1.00", "0.25", "0.25", "1.00"]


def test_a_column_a_factor_and_a_row_a_kind():
    points = np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]])
    square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0]])
    clouds = {name: {"exact": points, "trained": points / 2} for name in ("one", "two")}
    figure = FIGURES.belief_columns(clouds, np.ones(3), {"one": square, "two": 2 * square})
    assert [axis.get_title() for axis in figure.axes] == ["one", "two", "", ""]
    assert [axis.get_ylabel() for axis in figure.axes] == ["exact", "", "trained", ""]
    np.testing.assert_allclose(figure.axes[1].get_xlim(), [-2.24, 2.24])
    for axis in figure.axes:
        assert len(axis.collections[0].get_offsets()) == 3


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--factors", "mess3"], "factors must be two or more, else nothing is factored; got 1"),
        (["--noise", "1.5"], "noise must be a probability, 0 <= noise < 1; got 1.5"),
        (["--noise", "0.1", "--chain"], "noise in a chain is not offered: choose --chain or --noise 0.1"),
        (["--factors", "mess3", "mess3"], "vocab_size must be 10, the tokens and BOS of the process; got 13"),
        (["--factors", "z1r", "mess3"], "bloch_walk"),
    ],
)
def test_mistakes_leave_nothing_behind(tmp_path, args, message):
    assert message in refusal("factored", *SMALL, *args, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
