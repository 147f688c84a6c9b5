"""Its own rules, and the experiment as a user runs it: a subprocess, tiny."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from beliefgeo.networks.transformer import TransformerConfig
from beliefgeo.probes.report import over_seeds
from tests.experiments.command import refusal, start

SCRIPT = Path(__file__).parents[2] / "experiments" / "attention_heads.py"
EXPERIMENT = runpy.run_path(str(SCRIPT))
CASES, Config = EXPERIMENT["CASES"], EXPERIMENT["Config"]


@pytest.mark.parametrize("name", CASES)
def test_the_factors_have_their_zetas(name):
    eigenvalues = [np.linalg.eigvals(np.asarray(factor.transitions).sum(0)).real for factor in CASES[name].factors]
    for zeta, values in zip(CASES[name].zetas, eigenvalues, strict=True):
        np.testing.assert_allclose(sorted(np.delete(values, values.argmax())), zeta, atol=1e-6)


def test_verdicts():
    """The predicted heads, 2, in every respect but the second fading of the mean attention."""
    report = lambda values: over_seeds(np.array(values))
    even, odd = [0.75, 0, 0.2, 0, 0.05], [0.1, 0.6, 0.0, 0.3, 0]
    one = {"gap": report([9.0, 9.1]), "attention by lag": report([[even]] * 2)}
    two = {
        "gap": report([3.0, 3.1]),
        "attention by lag": report([[even, odd]] * 2),
        "zeta": report([[0.65, -0.75], [0.66, -0.749]]),
        "zeta, by mean attention": report([[0.7, -0.55]] * 2),
    }
    flat = {"attention by lag": report([[[0.2] * 5] * 2] * 2)}
    networks = {1: {"trained": one}, 2: {"trained": two, "untrained": flat}}
    found = EXPERIMENT["verdict"](CASES[".7, -.7"], networks, {1: 8.0, 2: 1.0})
    assert (found["predicted heads"], found["heads"]) == (2, "holds")
    assert (found["fading"], found["fading, by mean attention"], found["attention"]) == ("holds", "fails", "holds")
    cosine = lambda x, y: np.dot(x, y) / np.linalg.norm(x) / np.linalg.norm(y)
    expected = [cosine(even[1:], [0, 0.49, 0, 0.2401]), cosine(odd[1:], [0.7, 0, 0.343, 0])]
    np.testing.assert_allclose(found["cosines of patterns"]["mean"], expected)
    flat_cosines = [0.73 / np.sqrt(0.49**2 + 0.2401**2) / 2, 1.043 / np.sqrt(0.7**2 + 0.343**2) / 2]
    np.testing.assert_allclose(found["cosines of patterns, untrained"]["mean"], flat_cosines, atol=1e-3)
    # Both means are near. Student's intervals of two seeds: .655 +- .0635 and -.7495 +- .0064.
    assert found["the interval of zeta excludes the theory"].tolist() == [False, True]
    # Predicted 3 heads, which were not trained: only the losses tell.
    found = EXPERIMENT["verdict"](CASES[".7, -.3"], networks, {1: 8.0, 2: 1.0})
    assert (found["predicted heads"], found["heads"]) == (3, "fails: 2") and "fading" not in found
    assert found["heads, by significance"] == "fails: 2"


def test_a_cosine_of_95_hundredths_does_not_tell_a_rate():
    lags = np.arange(1, 8)
    by_hand = (0.35**lags).sum() / np.sqrt((0.49**lags).sum() * (0.25**lags).sum())
    assert EXPERIMENT["rival_cosine"](0.7, 0.5, 8) == pytest.approx(by_hand) == pytest.approx(0.954, abs=5e-4)
    assert EXPERIMENT["rival_cosine"](0.7, 0.5, 8) > EXPERIMENT["ALIKE"]


def test_every_case_has_keys_of_its_own_that_training_does_not_use():
    config = Config()
    drawn = [key for case in CASES.values() for key in EXPERIMENT["keys"](case, config)]
    seed = jax.random.key(config.budget.seed)
    lanes = [jax.random.fold_in(seed, lane) for lane in range(len(CASES) * config.budget.seeds)]
    bits = {tuple(jax.random.key_data(key).tolist()) for key in [seed, *lanes, *drawn]}
    assert len(bits) == 1 + len(lanes) + 2 * len(CASES)


def test_a_small_run(tmp_path):
    small = ["--context", "6", "--words", "5000", "--width", "16", "--mlp-width", "16"]
    budget = ["--steps", "20", "--chunk", "10", "--ideal-steps", "20"]
    done = start("attention_heads", "quick", *small, *budget, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    figures = {"excess.png", "attention.png", "weights.png", "learning.png"}
    assert figures | {"config.json", "metrics.json"} < {path.name for path in folder.iterdir()}
    (found,) = json.loads((folder / "metrics.json").read_text())["cases"].values()
    assert found["words"] == "4096, all" and found["verdict"]["predicted heads"] == 2
    for heads, one in found["heads"].items():
        by_lag = np.array(one["trained"]["attention by lag"]["seeds"])
        assert by_lag.shape == (2, int(heads), 6)
        np.testing.assert_allclose(by_lag.sum(-1), 1, atol=1e-5)
        assert 0 < one["trained"]["gap"]["mean"] < one["untrained"]["gap"]["mean"]
        assert one["trained"]["standard error of the gap"] is None
    assert "cosine of heads and patterns" in done.stdout


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": TransformerConfig(layers=2)}, "give layers 1, context 6 or more; got layers 2, context 10"),
        ({"network": TransformerConfig(layers=1, context=5)}, "got layers 1, context 5"),
        ({"head_counts": (2, 3)}, r"head_counts must ascend from 1, two to six of them, such as 1 2 3; got \[2, 3\]"),
        ({"head_counts": (1,)}, r"got \[1\]"),
        ({"head_counts": (1, 2, 3, 4, 5, 6, 7)}, r"got \[1, 2, 3, 4, 5, 6, 7\]"),
        ({"head_counts": (1, 3, 2)}, r"got \[1, 3, 2\]"),
        ({"cases": ()}, "verdicts need a case and the spread of 2 seeds or more; got 0 cases, 4 seeds"),
        ({"budget": replace(Config().budget, seeds=1)}, "got 5 cases, 1 seeds"),
    ],
)
def test_mistakes(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        EXPERIMENT["main"]("default", Config(**changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_case_lists_the_known_ones(tmp_path):
    said = refusal("attention_heads", "--cases", ".7, .1", "--out", str(tmp_path / "out"))
    assert ".5, -.5" in " ".join(said.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_heads_serve_a_half_and_minus_a_half_and_one_does_not(tmp_path):
    done = start("attention_heads", "--cases", ".5, -.5", "--head-counts", "1", "2", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = json.loads(next(tmp_path.glob("*/metrics.json")).read_text())["cases"][".5, -.5"]
    gaps = {heads: one["trained"]["gap"]["mean"] for heads, one in found["heads"].items()}
    assert gaps["2"] < 0.3 * gaps["1"]  # .14 in the committed results
    assert abs(np.array(found["heads"]["2"]["trained"]["zeta"]["mean"]) - [0.5, -0.5]).max() < 0.1
