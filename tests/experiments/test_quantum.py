"""The experiment as a user runs it: a subprocess, tiny; and its own functions by value."""

import importlib.util
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.reading.evaluation import prefixes
from tests.experiments.command import refusal, start

SCRIPT = Path(__file__).parents[2] / "experiments" / "quantum.py"
SMALL = ["quick", "--processes", "frdn", "--networks", "transformer", "rnn", "--context", "4", "--steps", "20"]
SMALL += ["--chunk", "10", "--layers", "1", "--width", "16", "--heads", "2"]


@pytest.fixture(scope="module")
def quantum():
    spec = importlib.util.spec_from_file_location("quantum", SCRIPT)
    module = sys.modules["quantum"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["quantum"]


def test_every_number_and_figure(tmp_path):
    done = start("quantum", *SMALL, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    names = {path.name for path in folder.iterdir()}
    pictures = {f"{name}.png" for name in ("beliefs", "scores", "emergence")}
    assert {"config.json", "metrics.json", "frdn-transformer", "frdn-rnn"} | pictures == names
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics["processes"]) == {"frdn"} and set(metrics["processes"]["frdn"]) == {"transformer", "rnn"}
    for found in metrics["processes"]["frdn"].values():
        assert found["tokens"] == 20 * 64 * 4 and found["emergence"]["tokens"][0] == 0
        loss = found["loss"]
        for net in ("trained", "untrained"):
            gap = loss["gap"][net]["mean"]
            assert gap > 0
            gained = 1 - gap / (loss["first token"] - loss["optimal"])
            assert loss["gained"][net]["mean"] == pytest.approx(gained, rel=1e-6)
        minimal = found["published scoring"]["minimal generator"]
        assert [minimal[net]["rmse"]["mean"] for net in ("untrained", "trained")] == pytest.approx(
            [found["emergence"]["rmse"][0][0], found["emergence"]["rmse"][0][-1]]
        )
        assert all(found["held out by subtree"][net]["mean"] < 1 for net in ("trained", "untrained"))
    assert "frdn" in done.stdout and "published" in done.stdout


def test_optimum_after_eight_tokens_is_the_published_one(quantum):
    published = {"bloch_walk": (1.386294, 1.381143), "frdn": (0.692420, 0.655374), "moon": (0.727331, 0.702509)}
    published["mess3"] = (1.098612, 0.804775)
    for name, (first, optimal) in published.items():
        entropies = np.asarray(bg.myopic_entropies(quantum.PROCESSES[name](), 9))
        assert (entropies[0], entropies[1:].mean()) == pytest.approx((first, optimal), abs=2e-6)


def test_the_published_probe_finds_a_linear_image_in_every_seed(quantum):
    rows = prefixes(bg.mess3(), bg.words(bg.mess3(), 5))
    noise = jax.random.normal(jax.random.key(1), (len(rows.word), 6))
    image = jnp.asarray(rows.beliefs, jnp.float32) @ jax.random.normal(jax.random.key(0), (3, 6)) + 3
    seen = quantum.probe_as_published(jnp.stack([image, noise]), rows.beliefs, rows)
    np.testing.assert_allclose(seen[0], rows.beliefs, atol=1e-4)
    found = quantum.scores(jax.random.key(2), seen, rows.beliefs, rows)
    assert found["cosine r2"]["seeds"][0] > 0.9999 and found["rmse"]["seeds"][0] < 1e-4
    assert found["r2"]["seeds"][1] < 0.2 and found["cosine r2"]["seeds"][1] < 0.2


def test_how_far_the_error_has_fallen_by_a_fifth(quantum):
    found = quantum.emergence({0: [1.0], 10: [0.5], 20: [0.3], 21: [0.2], 100: [0.1]})
    early = found["by the first fifth"]
    assert early["tokens"] == 20
    assert early["share of the fall"]["mean"] == pytest.approx(0.7 / 0.9)
    assert early["fall"]["mean"] == pytest.approx(0.7) and found["fall by the end"]["mean"] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--heads", "3"], "error: width must be a multiple of heads (3); got 64"),
        (["--processes", "sun"], "bloch_walk"),
    ],
)
def test_mistakes(args, message, tmp_path):
    assert message in refusal("quantum", *args, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
