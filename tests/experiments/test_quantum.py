"""The published scoring by value; the experiment as a user runs it: a subprocess, tiny; and its mistakes."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from tests.experiments.command import module, refusal, start

measures = module("quantum", "measures")
SMALL = ["quick", "--processes", "frdn", "--networks", "transformer", "rnn", "--context", "4", "--steps", "20"]
SMALL += ["--chunk", "10", "--layers", "1", "--width", "16", "--heads", "2"]
MINIMAL = "minimal generator"


@pytest.mark.slow
def test_a_small_run(tmp_path):
    done = start("quantum", *SMALL, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "quantum").iterdir()
    assert {path.stem for path in folder.glob("*.png")} == {"beliefs", "scores", "emergence"}
    results = json.loads((folder / "results.json").read_text())
    assert set(results) == {"frdn"} and set(results["frdn"]["networks"]) == {"transformer", "rnn"}
    exact = results["frdn"]
    assert exact["rank"] == {"rank": 2, "of": 4} and not exact["sampled"]
    for found in exact["networks"].values():
        assert found["tokens"] == [0, 20 * 64 * 4]
        for net in ("trained", "untrained"):
            gap = found[net]["losses"]["gap"]["mean"]
            gained = 1 - gap / (exact["first token"] - exact["optimum"])
            assert gap > 0 and found[net]["gained"]["mean"] == pytest.approx(gained, rel=1e-6)
            assert found[net]["held out"]["mean"] < 1
        (untrained, trained) = found[MINIMAL]["rmse"]["values"][0]
        assert found["fall"]["whole"]["mean"] == pytest.approx(1 - trained / untrained)
    assert "cosine R2" in done.stdout
    lines = json.loads((folder / "claims.json").read_text())
    published = {line["label"]: line["published"] for line in lines}
    assert published["frdn, transformer: cosine R2, Markov order 3"] == "0.42 to 0.56"
    assert published["frdn, rnn: cosine R2, Markov order 3"] == ""


def test_optimum_after_eight_tokens_is_the_published_one():
    published = {bg.bloch_walk: (1.386294, 1.381143), bg.frdn: (0.692420, 0.655374), bg.moon: (0.727331, 0.702509)}
    published[bg.mess3] = (1.098612, 0.804775)
    for process, (first, optimum) in published.items():
        entropies = np.asarray(bg.myopic_entropies(process(), 9))
        assert (entropies[0], entropies[1:].mean()) == pytest.approx((first, optimum), abs=2e-6)


def test_the_published_probe_finds_a_linear_image():
    rows = reading.rows(jax.random.key(0), bg.mess3(), 5)
    noise = jax.random.normal(jax.random.key(1), (len(rows.word), 6))
    image = jnp.asarray(rows.beliefs, jnp.float32) @ jax.random.normal(jax.random.key(0), (3, 6)) + 3
    np.testing.assert_allclose(measures.probed(image, rows.beliefs, rows), rows.beliefs, atol=1e-4)
    found = measures.scores(jax.random.key(2), image, rows.beliefs, rows)
    assert found.cosine_r2 > 0.9999 and found.rmse < 1e-4
    found = measures.scores(jax.random.key(2), noise, rows.beliefs, rows)
    assert found.r2 < 0.2 and found.cosine_r2 < 0.2


def test_how_far_the_error_has_fallen_by_a_fifth():
    errors = np.array([[1.0, 0.5, 0.3, 0.2, 0.1], [2.0, 1.5, 1.0, 1.0, 1.0]])
    found = measures.fall(np.array([0, 10, 20, 21, 100]), errors)
    assert found.tokens == 20
    np.testing.assert_allclose(found.share.values, [0.7 / 0.9, 1])
    np.testing.assert_allclose(found.early.values, [0.7, 0.5])
    np.testing.assert_allclose(found.whole.values, [0.9, 0.5])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--heads", "3"], "error: width must be a multiple of heads (3); got 64"),
        (["--context", "2"], "error: held-out scores need words of 3 tokens or more; got 2: raise the context"),
        (["--processes", "sun"], "bloch_walk"),
    ],
)
def test_mistakes(args, message, tmp_path):
    assert message in refusal("quantum", *args, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
