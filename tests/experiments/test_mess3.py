"""The experiment as a user runs it: a subprocess, tiny, twice."""

import json

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
    (folder,) = out.iterdir()
    names = {path.name for path in folder.iterdir()}
    figures = {f"{name}.png" for name in ("geometry", "emergence", "training", "per_position", "windows")}
    assert {"config.json", "metrics.json", "history.jsonl", "checkpoints"} | figures <= names
    assert names & {"emergence.gif", "emergence.mp4"}
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["config"]["seeds"] == 2 and len(metrics["loss"]["gap"]["trained"]["seeds"]) == 2
    assert metrics["loss"]["gap"]["trained"]["mean"] > 0
    assert abs(metrics["as_published"]["shuffled"]["r2"]["mean"]) < 0.05
    for weighting in ("every word and position equally", "by probability"):
        held = metrics["held_out"][weighting]["probes"]["final_norm, linear"]["trained"]
        assert len(held["mse_per_length"]["mean"]) == 2 and held["r2"]["mean"] <= 1


def test_no_program_holds_the_rows_as_constants(first):
    _, done = first
    assert done.returncode == 0 and CAPTURED not in done.stderr, done.stderr


def test_a_finished_run_is_reported_without_training(first):
    out, done = first
    again = start("mess3", *SMALL, "--out", str(out))
    assert again.returncode == 0 and "tokens/s" in done.stdout and "tokens/s" not in again.stdout
    assert "equivalent window" in again.stdout and len(list(out.iterdir())) == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["swift"], "error: no preset 'swift'; choose one of quick, default, fast, paper"),
        (["--vocab-size", "2"], "error: vocab_size must be Mess3's, 3; got 2"),
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
    metrics = json.loads(next(tmp_path.glob("*/metrics.json")).read_text())
    held = metrics["held_out"]["every word and position equally"]
    assert held["untrained / trained unexplained"]["resid_post, affine"]["mean"] > 10
    assert held["probes"]["resid_post, affine"]["trained"]["window"]["mean"] > 3
    assert metrics["loss"]["gap"]["trained"]["mean"] < 2e-3
