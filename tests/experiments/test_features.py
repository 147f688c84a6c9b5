"""Features: as a user starts it, tiny."""

import json

import pytest

from tests.experiments.command import CAPTURED, refusal, start


@pytest.mark.slow
def test_one_process(tmp_path):
    done = start("features", "quick", "--steps", "100", "--seeds", "2", "--out", str(tmp_path))
    assert done.returncode == 0 and CAPTURED not in done.stderr, done.stderr
    (home,) = (tmp_path / "features").iterdir()
    assert {path.stem for path in home.iterdir() if path.suffix == ".png"} == {"explained", "latents"}
    found = json.loads((home / "results.json").read_text())["mess3"]
    trained, untrained = found["trained"], found["untrained"]
    assert trained["unexplained"]["mean"] < untrained["unexplained"]["mean"]
    assert trained["latents"]["pooled"]["belief"]["mean"] > trained["shuffled"]["pooled"]["belief"]["mean"] + 0.3
    assert trained["shuffled"]["recovery"]["mean"] < 0.1 < trained["latents"]["recovery"]["mean"]


@pytest.mark.slow
def test_five_factors(tmp_path):
    small = ["--processes", "factors", "--steps", "200", "--sizes", "16", "--actives", "5", "--words", "300"]
    done = start("features", "quick", *small, "--draws", "2", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr  # the matrices of five factors are constants, of a kilobyte
    (home,) = (tmp_path / "features").iterdir()
    assert {path.stem for path in home.iterdir() if path.suffix == ".png"} == {"factors"}
    found = json.loads((home / "results.json").read_text())["factors"]
    assert found["trained"]["mean"]["mean"] > found["untrained"]["mean"]["mean"] + 0.2
    assert found["trained"]["shuffled"]["mean"] < 0.1


@pytest.mark.parametrize(
    ("args", "message"),
    [(["quick", "--processes", "wing"], "mess3"), (["fast"], "error: no preset 'fast'; choose one of quick, default")],
)
def test_mistakes(args, message, tmp_path):
    assert message in refusal("features", *args, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
