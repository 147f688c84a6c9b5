"""Its own rules, and the experiment as a user runs it: a subprocess, tiny."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from beliefgeo.networks import TransformerConfig
from beliefgeo.reading import Seeds
from tests.experiments.command import module, refusal, start

verdicts = module("attention_heads", "verdicts")
CASES = verdicts.CASES


@pytest.mark.parametrize("name", CASES)
def test_the_factors_have_their_zetas(name):
    eigenvalues = [np.linalg.eigvals(np.asarray(factor.transitions).sum(0)).real for factor in CASES[name].factors]
    for zeta, values in zip(CASES[name].zetas, eigenvalues, strict=True):
        np.testing.assert_allclose(sorted(np.delete(values, values.argmax())), zeta, atol=1e-6)


@pytest.mark.parametrize(("name", "heads"), [*zip(CASES, [1, 2, 3, 2, 2], strict=True)])
def test_the_registered_numbers_of_heads(name, heads):
    assert CASES[name].heads == heads


def test_verdicts():
    """The predicted heads, 2, in every respect but the second fading of the mean attention."""
    seeds = lambda values: Seeds(np.array(values))
    even, odd = [0.75, 0, 0.2, 0, 0.05], [0.1, 0.6, 0.0, 0.3, 0]
    one = {"factors": SimpleNamespace(by_lag=seeds([[even]] * 2))}
    zetas = {"zeta": seeds([[0.65, -0.75], [0.66, -0.749]]), "zeta_by_mean_attention": seeds([[0.7, -0.55]] * 2)}
    two = {"factors": SimpleNamespace(by_lag=seeds([[even, odd]] * 2), **zetas)}
    flat = {"factors": SimpleNamespace(by_lag=seeds([[[0.2] * 5] * 2] * 2))}
    networks = {1: {"trained": one}, 2: {"trained": two, "untrained": flat}}
    needed = SimpleNamespace(by_share=2, by_significance=1)
    verdict = verdicts.judge(CASES[".7, -.7"], networks, needed)
    assert (verdict.predicted, verdict.by_share, verdict.by_significance) == (2, "2 (holds)", "1 (fails)")
    found = verdict.found
    assert (found.fading, found.fading_by_mean_attention, found.attention) == ("holds", "fails", "holds")
    cosine = lambda x, y: np.dot(x, y) / np.linalg.norm(x) / np.linalg.norm(y)
    expected = [cosine(even[1:], [0, 0.49, 0, 0.2401]), cosine(odd[1:], [0.7, 0, 0.343, 0])]
    np.testing.assert_allclose(found.cosines.mean, expected)
    flat_cosines = [0.73 / np.sqrt(0.49**2 + 0.2401**2) / 2, 1.043 / np.sqrt(0.7**2 + 0.343**2) / 2]
    np.testing.assert_allclose(found.untrained_cosines.mean, flat_cosines, atol=1e-3)
    # Both means are near. Student's intervals of two seeds: .655 +- .0635 and -.7495 +- .0064.
    assert found.interval_excludes_theory.tolist() == [False, True]
    # Predicted 3 heads, which were not trained: only the losses tell.
    needed = SimpleNamespace(by_share=None, by_significance=2)
    verdict = verdicts.judge(CASES[".7, -.3"], networks, needed)
    assert (verdict.predicted, verdict.by_share, verdict.by_significance) == (3, "not resolved", "2 (fails)")
    assert verdict.found is None


def test_a_cosine_of_95_hundredths_does_not_tell_a_rate():
    lags = np.arange(1, 8)
    by_hand = (0.35**lags).sum() / np.sqrt((0.49**lags).sum() * (0.25**lags).sum())
    assert verdicts.rival_cosine(0.7, 0.5, 8) == pytest.approx(by_hand) == pytest.approx(0.954, abs=5e-4)
    assert verdicts.rival_cosine(0.7, 0.5, 8) > verdicts.ALIKE


@pytest.mark.slow
def test_a_small_run(tmp_path):
    small = ["--context", "6", "--words", "5000", "--width", "16", "--mlp-width", "16"]
    budget = ["--steps", "20", "--chunk", "10", "--ideal-steps", "20"]
    done = start("attention_heads", "quick", *small, *budget, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob("attention_heads/*")
    figures = {"excess.png", "attention.png", "weights.png", "learning.png"}
    assert figures | {"config.json", "results.json"} < {path.name for path in folder.iterdir()}
    (found,) = json.loads((folder / "results.json").read_text())["cases"].values()
    assert found["words"] == "4096, all" and found["verdict"]["predicted"] == 2
    for heads, one in found["heads"].items():
        by_lag = np.array(one["trained"]["factors"]["by_lag"]["values"])
        assert by_lag.shape == (2, int(heads), 6)
        np.testing.assert_allclose(by_lag.sum(-1), 1, atol=1e-5)
        assert 0 < one["trained"]["losses"]["gap"]["mean"] < one["untrained"]["losses"]["gap"]["mean"]
        assert one["trained"]["losses"]["error"] is None
    assert 0 < found["gap of constrained beliefs"] < found["gain of an ideal observer"]
    told = {line["label"]: line for line in json.loads((folder / "claims.json").read_text())}
    assert told[".7, -.7: cosines of heads and patterns"]["published"] == "1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": TransformerConfig(layers=2)}, "give layers 1, context 6 or more; got layers 2, context 10"),
        ({"network": TransformerConfig(layers=1, context=5)}, "got layers 1, context 5"),
        ({"network": TransformerConfig(layers=1, heads=2)}, "heads follow from head_counts, .* got heads 2"),
        ({"head_counts": (2, 3)}, r"head_counts must ascend from 1, two to six of them, such as 1 2 3; got \[2, 3\]"),
        ({"head_counts": (1,)}, r"got \[1\]"),
        ({"head_counts": (1, 2, 3, 4, 5, 6, 7)}, r"got \[1, 2, 3, 4, 5, 6, 7\]"),
        ({"head_counts": (1, 3, 2)}, r"got \[1, 3, 2\]"),
        ({"cases": ()}, "verdicts need a case and the spread of 2 seeds or more; got 0 cases, 4 seeds"),
        ({"seeds": 1}, "got 5 cases, 1 seeds"),
    ],
)
def test_mistakes(changes, message):
    usual = {"network": TransformerConfig(layers=1), "head_counts": (1, 2), "cases": tuple(CASES), "seeds": 4}
    with pytest.raises(ValueError, match=message):
        verdicts.check(**{**usual, **changes})


def test_mistakes_leave_nothing_behind(tmp_path):
    said = refusal("attention_heads", "--layers", "2", "--out", str(tmp_path / "out"))
    assert "error: the claim is about one layer" in said and not (tmp_path / "out").exists()


def test_an_unknown_case_lists_the_known_ones(tmp_path):
    said = refusal("attention_heads", "--cases", ".7, .1", "--out", str(tmp_path / "out"))
    assert ".5, -.5" in " ".join(said.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_heads_serve_a_half_and_minus_a_half_and_one_does_not(tmp_path):
    done = start("attention_heads", "--cases", ".5, -.5", "--head-counts", "1", "2", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    results = json.loads(next(tmp_path.glob("attention_heads/*/results.json")).read_text())
    heads = results["cases"][".5, -.5"]["heads"]
    gaps = {count: one["trained"]["losses"]["gap"]["mean"] for count, one in heads.items()}
    assert gaps["2"] < 0.3 * gaps["1"]  # .14 in the committed results
    assert abs(np.array(heads["2"]["trained"]["factors"]["zeta"]["mean"]) - [0.5, -0.5]).max() < 0.1
