"""Its own functions on networks known by hand, and the experiment as a user runs it: a subprocess, tiny."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.analysis.evaluation import Evaluation, prefixes
from beliefgeo.beliefs.constrained import evidence
from beliefgeo.networks.transformer import TransformerConfig

SCRIPT = Path(__file__).parents[2] / "experiments" / "constrained_beliefs.py"
EXPERIMENT = runpy.run_path(str(SCRIPT))


def run(*args):
    return subprocess.run([sys.executable, str(SCRIPT), *args], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def ideal():
    """Mess3(.5, .6), and one attention layer that writes constrained beliefs by an even and an odd head."""
    process = bg.mess3(0.5, 0.6)
    rows = prefixes(process, bg.words(process, 7))
    told = np.asarray(evidence(process))
    weights = 0.5 ** np.arange(7)
    even, odd = (weights * (np.arange(7) % 2 == parity) for parity in (0, 1))
    heads = np.stack([odd / odd.sum(), even / even.sum()])  # the odd one first: the script puts it second
    pattern = np.zeros((len(rows.length), 1, 2, 7))
    for row, length in enumerate(rows.length):
        pattern[row, 0, :, :length] = heads[:, :length][:, ::-1]
    # Width 3: an embedding of nothing, values as wide as the simplex, the sign of zeta^lag in the odd head's output.
    block = {
        "attention": {
            "value": {"kernel": np.stack([np.eye(3)] * 2, 1), "bias": np.zeros((2, 3))},
            "output": {"kernel": np.stack([-odd.sum() * np.eye(3), even.sum() * np.eye(3)])},
        }
    }
    tables = {"embed": {"embedding": told}, "positions": {"embedding": np.zeros((7, 3))}, "block_0": block}
    params = {"params": jax.tree.map(lambda leaf: jnp.asarray(leaf[None], jnp.float32), tables)}
    along = np.asarray(jax.vmap(lambda word: bg.constrained_beliefs(process, word))(jnp.asarray(rows.tokens)))
    return process, rows, along[rows.word, rows.length], pattern, params


def test_an_ideal_layer_is_recognised(ideal):
    process, rows, constrained, pattern, params = ideal
    # Here the residual after attention is the belief itself, so the probe is the identity on the plane of the simplex.
    mid = jnp.asarray(constrained)[None]
    network = Evaluation(jnp.zeros((1, len(mid[0]), 3)), {"mid": mid, "pattern": jnp.asarray(pattern)[None]})
    beliefs = {"constrained": constrained, "true": rows.beliefs}
    found = EXPERIMENT["attention"](process, network, params, beliefs, rows)
    np.testing.assert_allclose(found["decay"]["mean"], [0.5, 0.5], atol=1e-3)
    np.testing.assert_allclose(found["cosine of values and evidence"]["mean"], [1, -1], atol=1e-3)
    weight = found["weight of evidence by lag"]["mean"]
    # The embedding adds each token's evidence once more at lag 0.
    np.testing.assert_allclose(weight, (-0.5) ** np.arange(7) + (np.arange(7) == 0), atol=2e-3)
    assert found["by lag"]["mean"][0, 0] > 0.7 > 0.1 > found["by lag"]["mean"][1, 0]


def test_beliefs_read_from_the_beliefs_themselves(ideal):
    _, rows, constrained, *_ = ideal
    long = rows.length >= 6
    sites = {"mid": jnp.asarray(constrained)[None], "output": jnp.asarray(rows.beliefs, jnp.float32)[None]}
    beliefs = {"constrained": constrained, "true": rows.beliefs}
    networks = {"trained": Evaluation(jnp.zeros(1), sites)}
    scores, pictures = EXPERIMENT["read_beliefs"](networks, beliefs, long, rows, 2)
    r2 = {name: one["r2"]["mean"] for name, one in scores["trained"].items()}
    held_out = {name: one["r2, held out"]["mean"] for name, one in scores["trained"].items()}
    for own in ("constrained beliefs from mid", "true beliefs from output"):
        assert r2[own] == pytest.approx(1, abs=1e-4) and held_out[own] == pytest.approx(1, abs=1e-3)
    for other in ("true beliefs from mid", "constrained beliefs from output"):
        assert 0.9 < held_out[other] <= r2[other] < 0.99
    np.testing.assert_allclose(pictures["read"]["mid", "constrained"], pictures["exact"]["constrained"], atol=1e-3)


def test_losses_of_who_knows_all_and_who_knows_nothing(ideal):
    process, rows, constrained, *_ = ideal
    laws = jnp.log(jnp.asarray(rows.laws))
    networks = {
        "trained": Evaluation(laws[None], None),
        "untrained": Evaluation(jnp.full((1, *laws.shape), -np.log(3)), None),
    }
    loss = EXPERIMENT["losses"](process, networks, rows, constrained, False)
    mean = float(bg.myopic_entropies(process, 7)[1:7].mean())
    assert loss["optimum"] == pytest.approx(mean, abs=1e-6)
    assert loss["gain of an ideal observer"] == pytest.approx(np.log(3) - mean, abs=1e-6)
    assert loss["share of the gain"]["trained"]["mean"] == pytest.approx(1, abs=1e-4)
    assert loss["share of the gain"]["untrained"]["mean"] == pytest.approx(0, abs=1e-4)
    assert 0.9 < loss["share of the gain by constrained beliefs, read exactly"] < 1


def test_ideal_heads_sum_to_one_and_split_by_parity():
    ideal = EXPERIMENT["ideal_heads"]
    np.testing.assert_allclose(ideal(0.5, 1, 3), [[4 / 7, 2 / 7, 1 / 7]])
    np.testing.assert_allclose(ideal(-0.5, 2, 4), [[0.8, 0, 0.2, 0], [0, 0.8, 0, 0.2]])
    np.testing.assert_allclose(ideal(0.5, 2, 2), [[2 / 3, 1 / 3]] * 2)


def test_a_small_run(tmp_path):
    small = ["--networks", "two heads", "--steps", "20", "--chunk", "10", "--width", "16"]
    done = run("quick", *small, "--out", str(tmp_path))
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
        ({"layers": 2}, "give layers 1, context 7 or more; got layers 2, context 10"),
        ({"layers": 1, "context": 5}, "give layers 1, context 7 or more; got layers 1, context 5"),
        ({"layers": 1, "vocab_size": 2}, "vocab_size must be 3 for mess3"),
    ],
)
def test_mistakes(sizes, message, tmp_path):
    config = EXPERIMENT["Config"](network=TransformerConfig(**sizes))
    with pytest.raises(ValueError, match=message):
        EXPERIMENT["main"]("default", config, tmp_path)


def test_an_unknown_network_lists_the_known_ones(tmp_path):
    done = run("--networks", "three heads", "--out", str(tmp_path / "out"))
    assert done.returncode != 0 and "attention only, two heads" in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_constrained_beliefs_are_read_in_the_middle(tmp_path):
    done = run("--networks", "one head", "--seeds", "1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = json.loads(next(tmp_path.glob("*/metrics.json")).read_text())["networks"]["one head, x=0.15, a=0.6"]
    assert found["attention"]["cosine of values and evidence"]["mean"][0] > 0.95
    r2 = {name: one["r2"]["mean"] for name, one in found["probes"]["trained"].items()}
    assert r2["constrained beliefs from mid"] > r2["true beliefs from mid"]
