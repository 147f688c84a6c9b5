"""Causes, subspaces, dynamics, trajectories, beyond the next token: as a user starts them, tiny; and parts by hand."""

import itertools
import json

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.reading import Seeds
from tests import oracle
from tests.experiments.command import CAPTURED, module, refusal, start

TINY = ["quick", "--steps", "100", "--seeds", "2"]
FOUND = {
    "causes": {"edits", "components", "later", "kernel"},
    "subspaces": {"projections", "layers"},
    "dynamics": {"steps", "processes", "impossible"},
    "trajectories": {"paths", "false_targets", "emergence"},
    "beyond_next_token": {"scores", "sites", "suffixes"},
}


def run(name, folder, *args):
    done = start(name, *TINY, *args, "--out", str(folder))
    assert done.returncode == 0 and CAPTURED not in done.stderr, done.stderr
    (home,) = (folder / name).iterdir()
    pictures = {path.stem for path in home.iterdir() if path.suffix in (".png", ".gif", ".mp4")}
    assert pictures == FOUND[name]
    assert json.loads((home / "claims.json").read_text())
    return json.loads((home / "results.json").read_text())


@pytest.mark.slow
def test_trajectories(tmp_path):
    found = run("trajectories", tmp_path)
    trained, untrained = found["trained"], found["untrained"]
    assert trained["gap"]["mean"] < untrained["gap"]["mean"] and trained["path"]["steps"]["mean"] > 0.8
    assert trained["r2"]["beliefs"]["mean"] > trained["r2"]["random order"]["mean"] + 0.2
    assert abs(trained["r2"]["smooth density"]["mean"]) < 0.02


@pytest.mark.slow
def test_dynamics(tmp_path):
    found = run("dynamics", tmp_path, "--processes", "rrxor")["rrxor"]
    assert set(found["nearest"]) == set(found["trained"]["impossible"]) and sum(found["nearest"].values()) == 2
    # The loss gap of the network is the divergence of its words, token by token; the gap counts the last law too.
    words, gap = found["trained"]["words"]["divergence"]["mean"], found["trained"]["gap"]["mean"]
    assert words == pytest.approx(gap, rel=0.3)


@pytest.mark.slow
def test_causes(tmp_path):
    found = run("causes", tmp_path)["rrxor"]
    layer = found["trained"]["layers"]["layer 4"]
    # Trained so little, the network follows no belief; but what is written at its last layer reaches no later position.
    assert len(layer["by components"]) == 6 and layer["random"]["largest_a"]["mean"] < 1
    for edit in ("covariance-least", "patch", "whole past"):
        here, *later = layer[edit]["moved"]["mean"]
        assert here > 1e-4 and later == pytest.approx([0, 0, 0], abs=1e-6)
    assert np.isnan(layer["along the kernel"]["closed"]["mean"][0])  # the two laws are equal


@pytest.mark.slow
def test_subspaces(tmp_path):
    found = run("subspaces", tmp_path)["mess3"]
    last, nothing = found["trained"]["last"], found["windows"][0]
    kept, removed = last["erasure"]["mean"]
    assert kept < 0.5 * nothing < removed
    assert len(found["trained"]["random"]["each"]["mean"]) == 3
    disguise = found["trained"]["disguise"]
    assert disguise["refitted"]["mean"] > disguise["random_classes"]["mean"] + 0.3


@pytest.mark.slow
def test_beyond_next_token(tmp_path):
    found = run("beyond_next_token", tmp_path, "--processes", "strata", "--kinds", "lstm")["strata"]
    assert found["alone"]["rank"] == {"rank": 2, "of": 3}
    assert len(found["lstm"]["trained"]["suffixes"]["mean"]) == 10
    assert found["described"]["states"] == 3


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        # It is slow, because sites are known once the network is made.
        pytest.param("causes", ["quick", "--layers", "layer 9"], "layer 4", marks=pytest.mark.slow),
        (
            "trajectories",
            ["quick", "--context", "6"],
            "error: a box dimension needs words of 8 tokens or more",
        ),
        ("subspaces", ["quick", "--processes", "wing"], "mess3"),
        ("beyond_next_token", ["quick", "--processes", "golden_mean"], "strata"),
        ("dynamics", ["fast"], "error: no preset 'fast'; choose one of quick, default"),
    ],
)
def test_mistakes(name, args, message, tmp_path):
    """Refused before anything is trained."""
    assert message in refusal(name, *args, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_beliefs_in_random_order():
    clouds = module("trajectories", "clouds")
    process = bg.mess3(0.1, 0.7)
    rows = reading.rows(jax.random.key(0), process, 4)
    found = clouds.shuffled_order(jax.random.key(1), process, rows)
    moved = 0
    for row, belief in enumerate(found):
        prefix = rows.words[rows.word[row], : rows.length[row]].tolist()
        orders = set(itertools.permutations(prefix))
        assert min(abs(belief - oracle.belief(process, order)).max() for order in orders) < 1e-5
        moved += abs(belief - rows.beliefs[row]).max() > 1e-5
    assert moved > len(found) / 4


def test_paths_by_hand():
    clouds = module("trajectories", "clouds")
    rows = reading.rows(jax.random.key(0), bg.mess3(), 4)
    exact = clouds.path(rows.beliefs, rows)
    assert exact.distance == pytest.approx(0, abs=1e-9) and exact.steps == pytest.approx(1)
    # Halved about the centre, every step keeps its direction, and is half as long.
    centre = np.full(3, 1 / 3)
    halved = clouds.path(centre + (rows.beliefs - centre) / 2, rows)
    assert halved.steps == pytest.approx(1) and halved.distance > 0.3
    drawn = clouds.paths(jax.random.key(2), rows, rows.beliefs, 2)
    for word, along in zip(drawn["words"].tolist(), drawn["exact"], strict=True):
        expected = [oracle.belief(bg.mess3(), word[: read + 1]) for read in range(4)]
        np.testing.assert_allclose(along, expected, atol=1e-6)


def test_the_nearest_hypothesis():
    measures = module("dynamics", "measures")
    of = lambda *values: measures.Guess(Seeds(np.array(values)), Seeds(np.zeros(len(values))))
    each = [of(0.1, 0.2), of(0.3, 0.1), of(0.4, 0.4), of(0.5, 0.5), of(0.6, 0.6)]
    assert list(measures.nearest(dict(zip(measures.GUESSES, each, strict=True))).values()) == [1, 1, 0, 0, 0]


def test_merged_laws_and_suffix_targets():
    measures = module("beyond_next_token", "measures")
    process = bg.rrxor()
    rows = reading.rows(jax.random.key(0), process, 7)
    study = measures.Study(process, rows, None)
    assert study.merged(rows.laws.astype(np.float32)) < 1e-6 and study.merged(rows.beliefs.astype(np.float32)) > 0.3
    scores = study.suffix_scores(np.asarray(study.suffixes[2], np.float32))
    assert scores.argmax() == 2 and scores[2] > 0.999
    assert str(study.alone().rank) == "2 of 5"
