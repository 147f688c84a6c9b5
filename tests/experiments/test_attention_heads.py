"""Its own functions on layers known by hand, and the experiment as a user runs it: a subprocess, tiny."""

import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.analysis.evaluation import Evaluation, beliefs_after, prefixes
from beliefgeo.networks.transformer import TransformerConfig

SCRIPT = Path(__file__).parents[2] / "experiments" / "attention_heads.py"
EXPERIMENT = runpy.run_path(str(SCRIPT))
CASES, Config = EXPERIMENT["CASES"], EXPERIMENT["Config"]


def run(*args):
    return subprocess.run([sys.executable, str(SCRIPT), *args], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "patterns"),
    [
        (".7, .7", [[0.7, 0.49, 0.343]]),
        (".7, .3", [[0.7, 0.49, 0.343], [0.3, 0.09, 0.027]]),
        (".7, -.3", [[0.7, 0.49, 0.343], [0, 0.09, 0], [0.3, 0, 0.027]]),
        (".5, -.5", [[0, 0.25, 0], [0.5, 0, 0.125]]),
        (".7, -.7", [[0, 0.49, 0], [0.7, 0, 0.343]]),
    ],
)
def test_the_registered_patterns(name, patterns):
    """1, 2, 3, 2 and 2 heads."""
    found = EXPERIMENT["predicted_patterns"](CASES[name].zetas, 4)
    np.testing.assert_allclose([pattern[1:] for pattern in found.values()], patterns, atol=1e-12)
    eigenvalues = [np.linalg.eigvals(np.asarray(factor.transitions).sum(0)).real for factor in CASES[name].factors]
    for zeta, values in zip(CASES[name].zetas, eigenvalues, strict=True):
        np.testing.assert_allclose(sorted(np.delete(values, values.argmax())), zeta, atol=1e-6)


def test_heads_are_matched_in_any_order():
    even, odd = np.array([[1, 0, 0.5, 0, 0.25], [0, 1, 0, 0.5, 0]])
    np.testing.assert_allclose(EXPERIMENT["matches"](np.stack([odd, np.ones(5), even]), [even, odd]), 1)
    # (.5, .25) against (1, 1, 1, 1), of which it is one half at lags 2 and 4.
    half = 0.75 / np.hypot(0.5, 0.25) / 2
    np.testing.assert_allclose(EXPERIMENT["matches"](np.stack([np.ones(5), odd]), [even, odd]), [half, 1])


@pytest.mark.parametrize(
    ("means", "ideal", "share", "significance", "theory"),
    [
        ((10, 4, 3.9), (9, 3, 3), 2, 3, 2),  # the third head is worth 1.6% of what the first two are, but surely
        ((10, 6, 3), (9, 6, 3), 3, 3, 3),
        ((10, 10, 10), (9, 9, 8.9), 1, 1, 1),  # nothing to gain, nothing gained
        ((10, 10, 10), (9, 9, 8.0), 1, 1, 3),  # much to gain, and the test would have seen it
    ],
)
def test_the_verdicts_of_the_losses(means, ideal, share, significance, theory):
    noise = np.array([-0.02, 0.01, 0.02, -0.01])
    gaps = {heads + 1: mean + (-1) ** heads * noise for heads, mean in enumerate(means)}
    found = EXPERIMENT["needed_heads"](gaps, dict(enumerate(ideal, 1)))
    assert (found["by share"], found["by significance"], found["ideal layer"]) == (share, significance, theory)


def test_a_gain_too_small_to_see_is_not_resolved():
    gaps = {1: np.array([9.0, 11.0]), 2: np.array([11.0, 9.0])}
    assert EXPERIMENT["needed_heads"](gaps, {1: 9.0, 2: 8.0})["by share"] is None


def test_the_ideal_layer_needs_two_heads_for_opposite_signs():
    """One pattern cannot serve .7 and -.7, two do; and free patterns lose no more than constrained beliefs."""
    case, config = CASES[".7, -.7"], Config(network=TransformerConfig(context=6), ideal_steps=300)
    one, two = (EXPERIMENT["ideal_layer"](jax.random.key(0), case.factors, heads, config) for heads in (1, 2))
    process = bg.product(case.factors)
    constrained = EXPERIMENT["losses"](process, prefixes(process, bg.words(process, 6)))["gap of constrained beliefs"]
    assert 0 < two < 0.3 * one and two < constrained


def test_a_layer_of_constrained_beliefs_is_recognised():
    """Its residual weighs evidence with zeta^lag whatever its attention, here uniform, would say."""
    process = bg.product(CASES[".7, -.7"].factors)
    rows = prefixes(process, bg.words(process, 6))
    mid = beliefs_after(lambda word: bg.constrained_beliefs(process, word), rows)
    pattern = np.zeros((len(mid), 1, 2, 6))
    for row, length in enumerate(rows.length):
        pattern[row, ..., :length] = 1 / length
    sites = {"mid": jnp.asarray(mid, jnp.float32)[None], "pattern": jnp.asarray(pattern, jnp.float32)[None]}
    network = Evaluation(jnp.log(jnp.asarray(rows.laws, jnp.float32))[None], sites)
    told = jnp.asarray(mid[:4], jnp.float32)
    ones = {"kernel": jnp.stack([jnp.eye(4)] * 2, 1), "bias": jnp.zeros((2, 4))}
    block = {
        "attention_norm": {"scale": jnp.ones(4), "bias": jnp.zeros(4)},
        "attention": {"value": ones, "output": {"kernel": jnp.stack([jnp.eye(4)] * 2)}},
    }
    params = {"embed": {"embedding": told}, "positions": {"embedding": jnp.zeros((6, 4))}, "block_0": block}
    stacked = jax.tree.map(lambda leaf: leaf[None], {"params": params})
    found = {
        name: np.asarray(one["mean"])
        for name, one in EXPERIMENT["measure"](process, network, stacked, rows, False).items()
        if isinstance(one, dict)
    }
    np.testing.assert_allclose(found["weight of evidence"], np.array([[0.7], [-0.7]]) ** np.arange(6), atol=1e-3)
    np.testing.assert_allclose(found["zeta"], [0.7, -0.7], atol=1e-3)
    np.testing.assert_allclose(found["zeta, by mean attention"], [1, 1], atol=1e-3)
    np.testing.assert_allclose(found["attention by lag"], 1 / 6, atol=1e-6)
    np.testing.assert_allclose(found["attention that moves with the words"], 0, atol=1e-6)
    assert found["gap"] == pytest.approx(0, abs=1e-6) and found["r2 of constrained beliefs"] > 0.9999


def test_a_small_run(tmp_path):
    small = ["--context", "6", "--words", "5000", "--width", "16", "--mlp-width", "16"]
    budget = ["--steps", "20", "--chunk", "10", "--ideal-steps", "20"]
    done = run("quick", *small, *budget, "--out", str(tmp_path))
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
        assert one["trained"]["standard error of the gap"] == 0
    assert "cosine of heads and patterns" in done.stdout


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": TransformerConfig(layers=2)}, "give layers 1, context 6 or more; got layers 2, context 10"),
        ({"network": TransformerConfig(layers=1, context=5)}, "got layers 1, context 5"),
        ({"head_counts": (2, 3)}, r"head_counts must ascend from 1, two or more, such as 1 2 3; got \[2, 3\]"),
        ({"head_counts": (1,)}, r"got \[1\]"),
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
    done = run("--cases", ".7, .1", "--out", str(tmp_path / "out"))
    assert done.returncode != 0 and ".5, -.5" in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_heads_serve_opposite_signs_and_one_does_not(tmp_path):
    done = run("--cases", ".7, -.7", "--head-counts", "1", "2", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = json.loads(next(tmp_path.glob("*/metrics.json")).read_text())["cases"][".7, -.7"]
    gaps = {heads: one["trained"]["gap"]["mean"] for heads, one in found["heads"].items()}
    assert gaps["2"] < 0.5 * gaps["1"]
    assert abs(np.array(found["heads"]["2"]["trained"]["zeta"]["mean"]) - [0.7, -0.7]).max() < 0.1
