"""Its own functions on who knows all or nothing, and the experiment as a user runs it: a subprocess, tiny."""

import json
import re
import runpy
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.networks.transformer import TransformerConfig
from beliefgeo.reading.evaluation import Evaluation, beliefs_after, prefixes
from tests.experiments.command import refusal, start

SCRIPT = Path(__file__).parents[2] / "experiments" / "constrained_beliefs.py"
EXPERIMENT = runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def beliefs():
    """Mess3(.5, .6), its prefixes, and its constrained and true beliefs after them."""
    process = bg.mess3(0.5, 0.6)
    rows = prefixes(process, bg.words(process, 7))
    constrained = beliefs_after(lambda word: bg.constrained_beliefs(process, word), rows)
    return process, rows, {"constrained": constrained, "true": rows.beliefs}


def test_beliefs_read_from_the_beliefs_themselves(beliefs):
    _, rows, targets = beliefs
    sites = {"mid": jnp.asarray(targets["constrained"]), "output": jnp.asarray(rows.beliefs)}
    found = EXPERIMENT["read_beliefs"](sites, targets, rows, 2)
    for own, kind in (("constrained beliefs from mid", "constrained"), ("true beliefs from output", "true")):
        assert found[own].r2 == pytest.approx(1, abs=1e-4) and found[own].held_out_r2 == pytest.approx(1, abs=1e-3)
        np.testing.assert_allclose(found[own].seen, targets[kind][rows.length >= 6], atol=1e-3)
    for other in ("true beliefs from mid", "constrained beliefs from output"):
        assert 0.9 < found[other].held_out_r2 <= found[other].r2 < 0.99


def test_losses_of_who_knows_all_and_who_knows_nothing(beliefs):
    process, rows, targets = beliefs
    laws = jnp.log(jnp.asarray(rows.laws))
    networks = {
        "trained": Evaluation(laws[None], None),
        "untrained": Evaluation(jnp.full((1, *laws.shape), -np.log(3)), None),
    }
    loss = EXPERIMENT["losses"](process, networks, rows, targets["constrained"], False)
    mean = float(bg.myopic_entropies(process, 7)[1:7].mean())
    assert loss["optimum"] == pytest.approx(mean, abs=1e-6)
    assert loss["gain of an ideal observer"] == pytest.approx(np.log(3) - mean, abs=1e-6)
    assert loss["share of the gain"]["trained"]["mean"] == pytest.approx(1, abs=1e-4)
    assert loss["share of the gain"]["untrained"]["mean"] == pytest.approx(0, abs=1e-4)
    assert 0.9 < loss["share of the gain by constrained beliefs, read exactly"] < 1


def test_a_small_run(tmp_path):
    small = ["--networks", "two heads", "--steps", "20", "--chunk", "10", "--width", "16"]
    done = start("constrained_beliefs", "quick", *small, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    names = {"config.json", "metrics.json", "attention.png", "weights.png", "values.png", "clouds_two_heads.png"}
    assert names < {path.name for path in folder.iterdir()}
    (found,) = json.loads((folder / "metrics.json").read_text())["networks"].values()
    assert found["zeta"] == -0.5 and found["words"] == "2187, all"
    np.testing.assert_allclose(np.sum(found["attention"]["by lag"]["seeds"], -1), 1, atol=1e-5)
    assert len(found["loss"]["gap"]["trained"]["seeds"]) == 1 and found["loss"]["gap"]["trained"]["mean"] > 0
    for counting in found["explained variance"]["trained"].values():
        assert (np.diff(counting["mid"]["mean"]) >= 0).all() and counting["mid"]["mean"][-1] <= 1 + 1e-6


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"layers": 2}, "context 7 or more; got TransformerConfig(vocab_size=3, context=10, layers=2"),
        ({"layers": 1, "context": 5}, "context 7 or more; got TransformerConfig(vocab_size=3, context=5, layers=1"),
        ({"layers": 1, "vocab_size": 2}, "vocab_size must be 3 for mess3"),
    ],
)
def test_mistakes(sizes, message, tmp_path):
    config = EXPERIMENT["Config"](network=TransformerConfig(**sizes))
    with pytest.raises(ValueError, match=re.escape(message)):
        EXPERIMENT["main"]("default", config, tmp_path)


def test_an_unknown_network_lists_the_known_ones(tmp_path):
    said = refusal("constrained_beliefs", "--networks", "three heads", "--out", str(tmp_path / "out"))
    assert "attention only, two heads" in " ".join(said.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_constrained_beliefs_are_read_in_the_middle(tmp_path):
    done = start("constrained_beliefs", "--networks", "one head", "--seeds", "1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = json.loads(next(tmp_path.glob("*/metrics.json")).read_text())["networks"]["one head, x=0.15, a=0.6"]
    assert found["attention"]["cosine of values and evidence"]["mean"][0] > 0.95
    r2 = {name: one["r2"]["mean"] for name, one in found["probes"]["trained"].items()}
    assert r2["constrained beliefs from mid"] > r2["true beliefs from mid"]
