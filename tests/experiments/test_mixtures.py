"""The claim of mixtures and spent coins: exact numbers, parts by hand, mistakes; slow: as a user starts it."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.probes.subspaces import subspace_overlap
from beliefgeo.processes.components import split_mixture
from tests import oracle
from tests.experiments.command import CAPTURED, module, refusal, start

# Computed by others before this claim, after 0 to 14 tokens read.
LISTED = [
    1.098612, 1.084887, 1.079218, 1.076808, 1.075639, 1.074915, 1.074351, 1.073856, 1.073397, 1.072964, 1.072552,
    1.072159, 1.071783, 1.071424, 1.071080,
]  # fmt: skip


@pytest.fixture(scope="module")
def mixtures():
    return module("mixtures", "subspaces")


def test_exact_optimum_of_three_components(mixtures, x64):
    _, process = mixtures.mixture_of(3)
    found = mixtures.exact_entropies(process, 14)
    np.testing.assert_allclose(found, LISTED, rtol=0, atol=6e-7)
    assert found[1:].mean() == pytest.approx(1.074645, abs=5e-7)
    np.testing.assert_allclose(found[:5], bg.myopic_entropies(process, 5), rtol=1e-12)


def test_targets_by_hand(mixtures):
    parts, process = mixtures.mixture_of(3)
    rows = reading.rows(jax.random.key(0), process, 5)
    study = mixtures.Study(parts, rows, jax.random.key(1))
    targets = study.targets
    word = (0, 0, 1)
    (row,) = [
        index for index in np.flatnonzero(rows.length == 3) if tuple(rows.words[rows.word[index], :3].tolist()) == word
    ]
    chances = np.array([oracle.joint_probability(part, word) for part in parts])
    posterior, within = chances / chances.sum(), [oracle.belief(part, word) for part in parts]
    np.testing.assert_allclose(targets["posterior"][row, :3], posterior, atol=1e-6)
    np.testing.assert_allclose(targets["within"][row], np.ravel(within), atol=1e-6)
    np.testing.assert_allclose(targets["state"][row, :3], posterior @ within, atol=1e-6)
    np.testing.assert_allclose(targets["joint"][row], np.ravel(posterior[:, None] * within), atol=1e-6)
    # The joint belief fills 3 K - 1 dimensions, the factored one K + 1; the rest is uncorrelated with the latter.
    rank = lambda one: np.linalg.matrix_rank(one - one.mean(0), rtol=1e-6)
    factored = np.concatenate([targets["posterior"], targets["state"]], 1)
    assert (rank(targets["joint"]), rank(factored), rank(targets["beyond"])) == (8, 4, 4)
    assert abs((rows.counts[:, None] * factored).T @ targets["beyond"]).max() < 1e-6 * rows.counts.sum()
    best = study.by_length(study.split[0].max(1))
    assert best.shape == (5,) and best[0] == pytest.approx(1 / 3, abs=1e-6)


def test_best_accuracy_of_the_component(mixtures):
    """After four tokens, as computed by others."""
    parts, process = mixtures.mixture_of(3)
    words = bg.words(process, 4)
    posterior = np.asarray(split_mixture(parts, words.beliefs[:, -1]).posterior)
    assert words.probabilities @ posterior.max(1) == pytest.approx(0.428, abs=5e-4)


def test_rank_of_a_probe(mixtures):
    drawn = np.random.default_rng(0)
    hidden, n = drawn.normal(size=(900, 3)), 900
    features = np.concatenate([hidden, drawn.normal(size=(n, 4))], 1) @ drawn.normal(size=(7, 7))
    targets = hidden @ drawn.normal(size=(3, 6)) + 0.5 * drawn.normal(size=(n, 6))
    folds = np.arange(n) % 9
    found = mixtures.held_out_rank(features.astype(np.float32), targets, folds, np.ones(n))
    assert found == 3
    assert mixtures.held_out_rank(features.astype(np.float32), drawn.normal(size=(n, 6)), folds, np.ones(n)) == 0


def test_overlap_of_projectors(mixtures):
    left, right = np.eye(5)[:2], np.linalg.qr(np.random.default_rng(1).normal(size=(5, 3)))[0].T
    found = mixtures.overlap(left.T @ left, right.T @ right)
    assert found == pytest.approx(float(subspace_overlap(left, right)), abs=1e-6)
    assert mixtures.overlap(np.eye(5), left.T @ left) == pytest.approx(1)


def test_coins_are_spent():
    coins = module("mixtures", "coins")
    process = coins.process()
    words = bg.words(process, 6)
    assert len(words.tokens) == 16 and np.allclose(words.probabilities, 1 / 16)
    assert all(word[0] == word[2] and word[3] == word[5] for word in words.tokens.tolist())
    np.testing.assert_allclose(words.beliefs[:, 3], np.tile(process.initial, (16, 1)), atol=1e-7)  # forgets the coin
    rows = reading.rows(jax.random.key(0), process, 6)
    np.testing.assert_allclose(rows.laws[rows.length % 3 == 2].max(1), 1, atol=1e-6)
    np.testing.assert_allclose(rows.laws[rows.length % 3 != 2], 0.5, atol=1e-6)


def test_erasure_removes_a_coin_and_nothing_else():
    coins = module("mixtures", "coins")
    rows = reading.rows(jax.random.key(0), coins.process(), 6)
    bits = rows.tokens[:, [0, 1, 3]].astype(np.float32)
    held = np.repeat((bits @ np.array([[1.0, 0.5, 0], [0, 1, 0.5], [0, 0, 1]]))[:, None].astype(np.float32), 6, 1)
    changed = coins.erased(held, rows, rows.tokens[:, 0], np.array([4, 5]))
    np.testing.assert_array_equal(changed[:, :4], held[:, :4])
    design = np.concatenate([changed[:, 5], np.ones((len(held), 1))], 1)
    explained = lambda bit: design @ np.linalg.lstsq(design, bit, rcond=1e-5)[0]
    np.testing.assert_allclose(explained(bits[:, 0]), bits[:, 0].mean(), atol=1e-3)
    for kept in (1, 2):
        np.testing.assert_allclose(explained(bits[:, kept]), bits[:, kept], atol=1e-3)
    less = coins.without_random(jax.random.key(1), held, np.array([5]))
    centred = less[:, 5] - less[:, 5].mean(0)
    assert np.linalg.matrix_rank(centred, rtol=1e-3) == 2 and np.array_equal(less[:, :5], held[:, :5])


class Copier:
    """By hand: holds all tokens seen so far, one feature each; its logits read the coin that is in use alone."""

    def apply(self, params, tokens, edit=None):
        time = jnp.arange(len(tokens))
        held = jnp.where(time[None] <= time[:, None], 2.0 * tokens - 1, 0)[None]
        held = held if edit is None else edit("resid_post", 0, held[0])[None]
        coin = jnp.take_along_axis(held[0], (time // 3 * 3)[:, None], 1)[:, 0]
        needed = jnp.where(time % 3 == 1, 20 * coin, 0)
        return jnp.stack([-needed, needed], 1), {"resid_post": jnp.concatenate([held, held])}

    def init(self, key, tokens):
        return {}


def test_costs_by_hand():
    """Where the logits read the coin in use alone, removing it costs ln 2, and removing any other coin nothing."""
    coins = module("mixtures", "coins")
    rows, network = reading.rows(jax.random.key(0), coins.process(), 9), Copier()
    study = coins.Study(network, rows, rows, jax.random.key(1))
    spent, filler, _, in_use, shrunk = study.costs_at(reading.read(network, {}, rows), "layer 1")
    assert in_use == pytest.approx(np.log(2), abs=1e-3) and shrunk == pytest.approx(np.log(2), abs=1e-3)
    np.testing.assert_allclose([*spent, *filler], 0, atol=1e-5)
    held = reading.read(network, {}, rows).features["layer 2"]
    assert (study.accuracy(held, 7) == 1).all()
    assert (study.accuracy(rows.beliefs.astype(np.float32), 7)[0][:2] < 0.7).all()


@pytest.mark.parametrize("count", ["1", "9"])
def test_numbers_of_components_that_there_are_not(count, tmp_path):
    said = refusal("mixtures", "quick", "--mixtures", count, "--out", str(tmp_path / "out"))
    assert f"error: a mixture has 2 to 8 components; got {count}: change --mixtures" in said


@pytest.mark.slow
def test_quick(tmp_path):
    # The mixture itself, 480 bytes, is a constant of programs, twice in one; its 200 words would be thousands.
    done = start("mixtures", "quick", "--out", str(tmp_path), constants="1000")
    assert done.returncode == 0 and CAPTURED not in done.stderr, done.stderr
    (home,) = (tmp_path / "mixtures").iterdir()
    assert {path.stem for path in home.glob("*.png")} == {"overlap", "scores", "component", "coins"}
    found = json.loads((home / "results.json").read_text())
    two = found["mixtures"]["2"]
    assert two["trained"]["losses"]["gap"]["mean"] < two["untrained"]["losses"]["gap"]["mean"]
    assert abs(two["trained"]["r2"]["shuffled"]["mean"]) < 0.05
    assert found["coins"]["8"]["words"] == 256
