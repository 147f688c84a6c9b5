"""The experiment as a user runs it: a subprocess, tiny; and its mistakes."""

import json
import runpy
from pathlib import Path

import pytest

from beliefgeo.learning_old import Budget
from tests.experiments.command import refusal, start

SCRIPT = Path(__file__).parents[2] / "experiments" / "rrxor.py"
EXPERIMENT = runpy.run_path(str(SCRIPT), run_name="rrxor")
SMALL = ["quick", "--context", "5", "--steps", "40", "--chunk", "20", "--shuffles", "9", "--snapshots", "2"]


def test_scores_with_controls(tmp_path):
    done = start("rrxor", *SMALL, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    drawn = {path.stem for path in folder.glob("*.png")}
    assert drawn == {"layers", "distinctions", "distances", "beliefs", "unseen", "training"}
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["mixed states"] == 36
    found = metrics["networks"]["64-wide"]
    assert found["standard error of the gap"] is None  # every word was listed
    gap = found["loss"]["gap"]
    assert 0 < gap["trained"]["mean"] < gap["untrained"]["mean"]
    assert list(found["gap while training"]) == ["0", "6400", "12800"]
    assert found["gap while training"]["12800"]["mean"] == pytest.approx(gap["trained"]["mean"], rel=1e-5)
    sites = found["scores"]["trained"]
    assert list(sites) == [*EXPERIMENT["PUBLISHED_ERROR"], "all twelve"]
    # More activations than the sites they contain fit better in sample.
    errors = {site: score["in sample: mse"]["mean"] for site, score in sites.items()}
    assert errors["concatenated"] < min(errors[site] for site in ("embed", "layer 1", "layer 4", "final norm"))
    assert found["more than the next-token law"]["trained"]["p_value"]["mean"] >= 0.1 - 1e-9
    assert "equivalent window" in done.stdout


@pytest.mark.slow
def test_a_context_of_too_many_words_is_sampled(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(EXPERIMENT["main"].__globals__, "LISTED", 20)
    budget = Budget(steps=20, chunk=20, snapshots=2)
    EXPERIMENT["main"]("quick", EXPERIMENT["Config"](("64-wide",), context=5, budget=budget, shuffles=1), tmp_path)
    assert "28 words of length 5 are more than 20: 20 sampled ones stand for them" in capsys.readouterr().out
    found = json.loads(next(tmp_path.glob("*/metrics.json")).read_text())["networks"]["64-wide"]
    assert 0 < found["standard error of the gap"] < found["loss"]["gap"]["trained"]["mean"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["default", "--sizes", "96-wide"], "64-wide"),
        (
            ["quick", "--context", "2"],
            "error: held-out scores need words of 3 tokens or more; got 2: raise the context",
        ),
        (["fast"], "error: no preset 'fast'; choose one of quick, default, paper"),
    ],
)
def test_mistakes(args, message, tmp_path):
    assert message in refusal("rrxor", *args, "--out", str(tmp_path / "out"))
