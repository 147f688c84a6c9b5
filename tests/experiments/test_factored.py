"""The experiment as a user runs it: a subprocess, tiny; and its own functions by hand."""

import json
import re
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.learning import Budget
from beliefgeo.networks.transformer import TransformerConfig

SCRIPT = Path(__file__).parents[2] / "experiments" / "factored.py"
EXPERIMENT = SimpleNamespace(**runpy.run_path(str(SCRIPT), run_name="factored"))
QUICK = EXPERIMENT.PRESETS["quick"]
SMALL = replace(
    QUICK,
    network=TransformerConfig(vocab_size=13, context=5, layers=1, width=16, heads=1, head_width=8, mlp_width=16),
    budget=Budget(steps=10, batch=8, data="laws", chunk=5, snapshots=2),
    words=60,
    contexts=2,
    varied=8,
)


@pytest.mark.parametrize("option", [{}, {"noise": 0.2}, {"chain": True}], ids=["independent", "noise", "chain"])
def test_dimensions_over_training(tmp_path, capsys, option):
    EXPERIMENT.main("quick", replace(SMALL, **option), tmp_path)
    assert "60 sampled ones stand for them, with standard errors" in capsys.readouterr().out
    (folder,) = tmp_path.iterdir()
    assert {path.stem for path in folder.glob("*.png")} == {"training", "subspaces", "beliefs"}
    found = json.loads((folder / "metrics.json").read_text())
    assert found["exact dimensions"]["factored"] <= 4 < found["exact dimensions"]["joint"] <= 8
    shots = list(found["snapshots"].values())
    assert len(shots) == 3 and len(shots[0]["rmse"]["seeds"][0]) == 2
    assert shots[-1]["gap"]["mean"]["mean"] < shots[0]["gap"]["mean"]["mean"]
    last = shots[-1]["vary-one"]
    assert last["sum"]["mean"] == sum(last["dimensions"]["mean"])
    if not option:
        parts = [bg.mess3(0.15, 0.6), bg.bloch_walk(1, 3)]
        exact = sum(np.asarray(bg.myopic_entropies(part, 5)) for part in parts)
        np.testing.assert_allclose(found["optimum"]["per_position"], exact, rtol=1e-5)


def test_published_optimum():
    config = EXPERIMENT.PRESETS["default"]
    rows = SimpleNamespace(laws=np.full((2, 432), 1 / 432), counts=np.ones(2))
    found = EXPERIMENT.optimum(config, EXPERIMENT.source(config), rows)
    assert found["after 0..7 tokens, exact"] == pytest.approx(5.9256, abs=1e-4)
    assert found["over the sampled words"] == pytest.approx(np.log(432))


def test_noise_is_that_of_the_joint_process():
    origin = EXPERIMENT.source(replace(QUICK, noise=0.3))
    joint = bg.noisy(origin.parts.joint(), 0.3)
    words = bg.sample(jax.random.key(0), joint, 6).tokens
    ours, theirs = bg.filter_beliefs(origin.process, words), bg.filter_beliefs(joint, words)
    np.testing.assert_allclose(ours.beliefs, theirs.beliefs, atol=1e-6)
    np.testing.assert_allclose(ours.log_probabilities, theirs.log_probabilities, atol=1e-5)
    law = bg.predict_next_token(origin.process, ours.beliefs[3])
    np.testing.assert_allclose(law, bg.predict_next_token(joint, theirs.beliefs[3]), atol=1e-6)
    joint_belief = np.asarray(theirs.beliefs[4]).reshape(3, 3)
    first, second = origin.beliefs(np.asarray(theirs.beliefs[4:5]))
    np.testing.assert_allclose(first[0], joint_belief[:, 0], atol=1e-6)  # the trace of the Bloch vector is 1
    np.testing.assert_allclose(second[0], joint_belief.sum(0), atol=1e-6)


def test_one_factor_varies_and_the_others_stay():
    origin = EXPERIMENT.source(QUICK)
    words = np.asarray(jax.random.randint(jax.random.key(0), (40, 5), 0, 12))
    found = EXPERIMENT.vary_one(jax.random.key(1), origin.parts, words, replace(QUICK, contexts=3, varied=7))
    assert found.shape == (2, 3, 7, 5)
    mess3, bloch = (np.asarray(digit) for digit in origin.parts.split_token(jnp.asarray(found)))
    assert (mess3[1] == mess3[1][:, :1]).all() and (bloch[0] == bloch[0][:, :1]).all()
    assert (mess3[0] == mess3[0][:1]).all() and (bloch[1] == bloch[1][:1]).all()
    assert len(np.unique(mess3[0][0], axis=0)) > 1


def test_factors_in_orthogonal_subspaces_do_not_overlap():
    words = np.arange(12)[None, None, :, None] * np.ones((2, 3, 1, 1), int)
    words[0] = words[0] // 4 * 4  # the tokens of mess3 vary, those of bloch_walk stay
    words[1] = words[1] % 4

    def last(tokens):  # position 0 is BOS
        read = np.stack([tokens // 4, tokens % 4, 0 * tokens], -1).astype(np.float32)
        return jnp.pad(read, ((0, 0), (1, 0), (0, 0)))

    found = EXPERIMENT.subspaces(last, words)
    assert found["dimensions"] == [1, 1] and found["sum"] == 2 and found["union"] == 2
    np.testing.assert_allclose(found["overlap of subspaces"]["matrix"], np.eye(2), atol=1e-6)
    assert found["overlap of leading directions"]["mean"] == pytest.approx(0, abs=1e-6)


def test_error_of_an_entry():
    truth = [np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.5], [1.0, -0.5]])]
    seen = [truth[0] + 0.1, truth[1] + [[0.3, 0.2], [0.3, -0.2]]]
    assert EXPERIMENT.rmse(seen, truth, np.ones(2)) == pytest.approx([0.1, 0.2])
    assert EXPERIMENT.rmse(seen, truth, np.array([1, 0])) == pytest.approx([0.1, 0.2])


def test_seeds_side_by_side():
    each = [{"a": 1.0, "b": [1, 2]}, {"a": 3.0, "b": [3, 4]}]
    found = EXPERIMENT.over_seeds(each)
    assert found["a"]["mean"] == 2 and found["a"]["seeds"].tolist() == [1, 3]
    assert found["b"]["mean"].tolist() == [2, 3]
    first, second = EXPERIMENT.seeds_of({"w": jnp.array([[1.0], [2.0]])})
    assert first["w"].tolist() == [1] and second["w"].tolist() == [2]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"factors": ("mess3",)}, "factors must be two or more, else nothing is factored; got 1"),
        ({"noise": 1.5}, "noise must be a probability, 0 <= noise < 1; got 1.5"),
        ({"noise": 0.1, "chain": True}, "noise in a chain is not offered: choose --chain or --noise 0.1"),
        ({"factors": ("mess3", "mess3")}, "vocab_size must be 10 for mess3 mess3, noise 0.0 with BOS; got 13"),
    ],
)
def test_bad_input(tmp_path, fields, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        EXPERIMENT.main("quick", replace(SMALL, **fields), tmp_path)


def test_unknown_factor():
    command = [sys.executable, str(SCRIPT), "quick", "--factors", "z1r", "mess3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "mess3" in done.stderr and "bloch_walk" in done.stderr
