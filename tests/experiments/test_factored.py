"""The experiment, tiny, in the process of the tests; its mistakes; and its own functions by hand."""

import json
import re
import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.learning_old import Budget
from beliefgeo.networks.transformer import TransformerConfig
from beliefgeo.probes import report
from beliefgeo.reading.evaluation import prefixes
from tests.experiments.command import refusal

SCRIPT = Path(__file__).parents[2] / "experiments" / "factored.py"
EXPERIMENT = SimpleNamespace(**runpy.run_path(str(SCRIPT), run_name="factored"))
QUICK = EXPERIMENT.PRESETS["quick"]
SMALL = replace(
    QUICK,
    network=TransformerConfig(vocab_size=13, context=5, layers=1, width=16, heads=1, head_width=8, mlp_width=16),
    budget=Budget(steps=10, batch=8, data="laws", chunk=5, snapshots=2),
    words=60,
    contexts=2,
    varied=8,
)


@pytest.mark.parametrize("option", [{}, {"noise": 0.2}, {"chain": True}], ids=["independent", "noise", "chain"])
def test_dimensions_over_training(tmp_path, option):
    EXPERIMENT.main("quick", replace(SMALL, **option), tmp_path)
    (folder,) = tmp_path.iterdir()
    assert {path.stem for path in folder.glob("*.png")} == {"training", "subspaces", "beliefs"}
    found = json.loads((folder / "metrics.json").read_text())
    assert found["exact dimensions"]["factored"] <= 4 < found["exact dimensions"]["joint"] <= 8
    shots = list(found["snapshots"].values())
    assert len(shots) == 3 and len(shots[0]["rmse"]["seeds"][0]) == 2
    assert shots[-1]["gap"]["mean"]["mean"] < shots[0]["gap"]["mean"]["mean"]
    last = shots[-1]["vary-one"]
    assert last["sum"]["mean"] == sum(last["dimensions"]["mean"])
    if not option:
        parts = [bg.mess3(0.15, 0.6), bg.bloch_walk(1, 3)]
        exact = sum(np.asarray(bg.myopic_entropies(part, 5)) for part in parts)
        np.testing.assert_allclose(found["optimum"]["per_position"], exact, rtol=1e-5)


def test_published_optimum():
    config = EXPERIMENT.PRESETS["default"]
    process = bg.coin(0.5)  # of its prefixes only lengths and probabilities matter here
    rows = prefixes(process, bg.words(process, 1), bos=2)
    rows = rows._replace(laws=np.full((len(rows.length), 432), 1 / 432))
    found = EXPERIMENT.optimum(config, EXPERIMENT.process_of(config), rows)
    assert found["after 0..7 tokens, exact"] == pytest.approx(5.9256, abs=1e-4)
    assert found["over the sampled words"] == pytest.approx(np.log(432))


def test_tokens_of_a_factor_choose_the_family_member_of_the_next():
    process = EXPERIMENT.process_of(replace(QUICK, factors=("mess3", "bloch_walk", "mess3"), chain=True))
    published = EXPERIMENT.process_of(replace(QUICK, factors=("mess3", "bloch_walk", "mess3")))
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
        np.testing.assert_allclose(EXPERIMENT.rmse(seen, truth, factor, weights), [0.1, 0.2])


def test_seeds_side_by_side():
    each = [{"a": 1.0, "b": np.array([1, 2])}, {"a": 3.0, "b": np.array([3, 4])}]
    found = report.seeds_report(each)
    assert found["a"]["mean"] == 2 and found["a"]["seeds"].tolist() == [1, 3]
    assert found["b"]["mean"].tolist() == [2, 3]
    training = EXPERIMENT.over_training({0: found, 10: report.seeds_report(each[:1])})
    assert training["a"].tolist() == [2, 1] and training["b"].tolist() == [[2, 3], [1, 2]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"factors": ("mess3",)}, "factors must be two or more, else nothing is factored; got 1"),
        ({"noise": 1.5}, "noise must be a probability, 0 <= noise < 1; got 1.5"),
        ({"noise": 0.1, "chain": True}, "noise in a chain is not offered: choose --chain or --noise 0.1"),
        ({"factors": ("mess3", "mess3")}, "vocab_size must be 10 for mess3 mess3, noise 0.0 with BOS; got 13"),
    ],
)
def test_bad_input(tmp_path, fields, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        EXPERIMENT.main("quick", replace(SMALL, **fields), tmp_path)


def test_unknown_factor():
    said = refusal("factored", "quick", "--factors", "z1r", "mess3")
    assert "mess3" in said and "bloch_walk" in said
