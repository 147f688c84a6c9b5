"""The experiment as a user runs it: a subprocess, tiny; and its own functions by hand."""

import json
import runpy
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.reading.evaluation import prefixes
from tests.experiments.command import refusal, start

SCRIPT = Path(__file__).parents[2] / "experiments" / "in_context.py"
EXPERIMENT = runpy.run_path(str(SCRIPT), run_name="in_context")
ENDS = EXPERIMENT["ENDS"]
SMALL = [
    "quick",
    "--context",
    "8",
    "--steps",
    "10",
    "--chunk",
    "5",
    "--batch",
    "8",
    "--words",
    "50",
    "--snapshots",
    "2",
]


def test_loss_along_the_context(tmp_path):
    done = start("in_context", *SMALL, "--sources", "names", "--networks", "gru", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    assert {path.stem for path in folder.glob("*.png")} == {"loss", "gap", "sightings"}
    found = json.loads((folder / "metrics.json").read_text())["sources"]["names"]
    assert found["entropy rate"] == pytest.approx(0.835876, abs=1e-6)
    assert found["exact"][0] == pytest.approx(1.445186, abs=1e-6)
    net = found["networks"]["gru"]
    assert 0 < net["gap"]["trained"]["mean"] < net["gap"]["untrained"]["mean"]
    # After the first sighting an ideal observer is sure of the name, which always follows Mr.
    assert found["exact"][-1] > found["entropy rate"]
    # From the second token on a quarter of the exact excess goes with every token: 1 / ln(4 / 3).
    assert found["falls"]["e-fold"] == pytest.approx(3.476, abs=1e-3)
    # The exact excess says where to look, whatever the network does.
    assert net["falls"][0]["between"] == found["falls"]["between"] == [2, 6]
    seen = net["sightings"]["exact"]
    assert seen[0] > 0.69 and max(seen[1:]) < 1e-6
    assert list(net["sightings"]["network"]) == ["0", "320", "640"]


def test_rates_and_vocabularies():
    make = EXPERIMENT["source"]
    _, rate = make("coins", (0.1, 0.5))
    assert rate == pytest.approx((np.log(2) - 0.1 * np.log(0.1) - 0.9 * np.log(0.9)) / 2, abs=1e-6)
    names, rate = make("names", ())
    assert names.vocab_size == 5 and rate == pytest.approx(0.835876, abs=1e-6)
    assert make("even", ())[1] == pytest.approx(2 / 3 * np.log(2), abs=1e-6)


def test_local_slopes_of_coins():
    """Ten biases are a finite mixture: the further, the steeper. The mixed states say the same of short contexts."""
    biases = EXPERIMENT["Config"]().biases
    found = EXPERIMENT["slopes_between"]({length: EXPERIMENT["coins_excess"](biases, length) for length in ENDS})
    steeper = [-0.559, -0.733, -0.846, -0.942, -1.071, -1.386, -2.150, -3.680]
    np.testing.assert_allclose(found["local slopes"], steeper, atol=1e-3)
    process, rate = EXPERIMENT["source"]("coins", biases)
    excess = np.asarray(bg.myopic_entropies(process, 10), np.float64) - rate
    np.testing.assert_allclose(excess[5], EXPERIMENT["coins_excess"](biases, 5), atol=1e-6)
    near = EXPERIMENT["local_slopes"](excess, np.arange(2, 10))
    assert near["between"].tolist() == [[2, 5], [5, 9]]
    assert near["local slopes"][0] == pytest.approx(-0.559, abs=1e-3)
    assert EXPERIMENT["describe"](near) == "slopes -0.56 -0.72 between L = 2 5 9"


def test_where_an_excess_falls_exponentially_or_at_once():
    falls = EXPERIMENT["e_fold"]
    alternating = np.array([1.0, 0.9]).repeat(10).reshape(2, 10).T.ravel() * np.exp(-np.arange(20) / 4)
    found = falls(alternating, np.arange(2, 14))
    assert found["between"] == [2, 12] and found["e-fold"] == pytest.approx(4)
    assert falls(np.zeros(9), np.arange(0)) == EXPERIMENT["local_slopes"](np.zeros(9), np.arange(0)) == {}
    assert EXPERIMENT["describe"](found) == "e-fold in 4.00 tokens (L = 2 to 12)"
    assert EXPERIMENT["describe"]({}) == "at once"


def test_only_heads_and_tails_matter_to_an_ideal_observer():
    process, _ = EXPERIMENT["source"]("coins", (0.2, 0.7))
    rows = prefixes(process, bg.words(process, 7), bos=2)
    explained = EXPERIMENT["explained_by_counts"]
    assert explained(jnp.log(rows.laws), rows) == pytest.approx(1, abs=1e-9)
    last = np.where(rows.length > 0, rows.words[rows.word, np.maximum(rows.length - 1, 0)], 0)
    order = np.stack([0.6 - 0.2 * last, 0.4 + 0.2 * last], 1)
    assert explained(jnp.log(order), rows) < 0.5


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["default", "--sources", "odd"], "golden_mean"),
        (["default", "--networks", "lstm"], "transformer"),
        (["fast"], "error: no preset 'fast'; choose one of quick, default, paper"),
        (["quick", "--context", "4"], "context must be 5 or more; got 4"),
        (["quick", "--words", "1"], "sampled_words needs a count of 2 or more"),
    ],
)
def test_mistakes(args, message, tmp_path):
    assert message in refusal("in_context", *args, "--out", str(tmp_path / "out"))
