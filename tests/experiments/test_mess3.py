"""The experiment as a user runs it: a subprocess, tiny, twice."""

import json

import numpy as np
import pytest

from tests.experiments.command import CAPTURED, refusal, start

SMALL = [
    "quick",
    "--context",
    "4",
    "--steps",
    "40",
    "--chunk",
    "20",
    "--snapshots",
    "2",
    "--seeds",
    "2",
    "--width",
    "16",
]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return out, start("mess3", *SMALL, "--out", str(out))


def test_everything_is_written(first):
    out, done = first
    assert done.returncode == 0, done.stderr
    (folder,) = (out / "mess3").iterdir()
    names = {path.name for path in folder.iterdir()}
    figures = {f"{name}.png" for name in ("geometry", "emergence", "training", "per_position", "windows")}
    assert {"config.json", "results.json", "run.json", "claims.json"} | figures <= names
    assert names & {"emergence_movie.gif", "emergence_movie.mp4"}
    results = json.loads((folder / "results.json").read_text())
    trained = results["trained"]
    assert len(trained["losses"]["gap"]["values"]) == 2 and trained["losses"]["gap"]["mean"] > 0
    # By chance 16 features explain about 16 / 324 of 324 words and positions.
    assert abs(results["shuffled words"]["r2"]) < 0.1 and results["rank"] == {"rank": 3, "of": 3}
    for weighting in ("by_count", "by_probability"):
        score = trained["sites"]["last block"][weighting]
        assert len(score["mse_per_length"]["mean"]) == 2 and score["held_out"]["mean"] <= score["r2"]["mean"] <= 1
    assert np.shape(results["emergence"]["gap"]["values"]) == (2, len(results["tokens"]))
    labels = [line["label"] for line in json.loads((folder / "claims.json").read_text())]
    assert len(labels) == 14 and "loss above the optimum (nats)" in labels


def test_no_program_holds_the_rows_as_constants(first):
    _, done = first
    assert done.returncode == 0 and CAPTURED not in done.stderr, done.stderr


@pytest.mark.slow
def test_a_finished_run_is_reported_without_training(first):
    out, done = first
    again = start("mess3", *SMALL, "--out", str(out))
    assert again.returncode == 0 and "tokens/s" in done.stdout and "tokens/s" not in again.stdout
    assert "trained before" in again.stdout and "equivalent window" in again.stdout
    assert len(list((out / "mess3").iterdir())) == len(list((out / "networks").iterdir())) == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["swift"], "error: no preset 'swift'; choose one of quick, default, fast, paper"),
        (["--vocab-size", "2"], "error: vocab_size must be 3, the tokens of the process; got 2"),
        (["--steps", "150"], "error: steps must be a multiple of chunk (100); got 150: try 200"),
        (["--context", "30"], "205,891,132,094,649 words"),
        (["--out", "/dev/null/x"], "error: cannot write the run folder"),
    ],
)
def test_mistakes(args, message, tmp_path):
    where = [] if "--out" in args else ["--out", str(tmp_path / "out")]
    assert message in refusal("mess3", *args, *where)
    assert not (tmp_path / "out").exists()


def test_a_mistake_is_told_in_one_sentence(tmp_path):
    done = start("mess3", "--x", "0.9", "--out", str(tmp_path / "out"))
    assert done.returncode == 1 and not (tmp_path / "out").exists() and "Traceback" not in done.stderr
    assert done.stderr.endswith("error: mess3 needs 0 <= x <= 1/2; got x=0.9\n")


@pytest.mark.slow
def test_the_claim_at_a_fraction_of_the_budget(tmp_path):
    """2M tokens already beat the untrained network tenfold and reach three tokens of context, held out."""
    done = start("mess3", "--steps", "3000", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    results = json.loads(next(tmp_path.glob("mess3/*/results.json")).read_text())
    score = results["trained"]["sites"]["last block"]["by_count"]
    assert results["unexplained, untrained ÷ trained"]["mean"][0] > 10
    assert score["held_out_window"]["mean"] > 3 and results["trained"]["losses"]["gap"]["mean"] < 2e-3
