"""What a site tells apart, by hand; the experiment as a user runs it: a subprocess, tiny; and its mistakes."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import probes, reading
from tests.experiments.command import module, refusal, start

sites, figures = module("rrxor", "sites"), module("rrxor", "figures")
SMALL = ["quick", "--context", "5", "--steps", "40", "--chunk", "20", "--shuffles", "9", "--snapshots", "2"]


@pytest.fixture(scope="module")
def rrxor():
    return reading.rows(jax.random.key(0), bg.rrxor(), 6)


def test_the_next_token_law_of_rrxor_alone():
    """Of the 36 beliefs the first ten tokens reach all but the first, with fewer laws; distances in float64."""
    rows = reading.rows(jax.random.key(0), bg.rrxor(), 10)
    alone = sites.law_alone(jax.random.key(0), rows)
    assert alone[:3] == ((2, 5), 35, 11)  # the stationary belief comes before any token
    words, beliefs = np.repeat(np.arange(len(rows.counts)), rows.counts), rows.beliefs
    assert len(words) == 436 * 10
    one, other = words[np.random.default_rng(0).integers(len(words), size=(2, 200_000))]
    apart = lambda cloud: np.linalg.norm(cloud[one] - cloud[other], axis=1)
    exact = np.corrcoef(apart(beliefs), apart(rows.laws))[0, 1] ** 2
    assert alone.distances == pytest.approx(exact, abs=0.01)
    assert alone.distances == pytest.approx(0.287, abs=0.01)  # the published number
    affine = np.c_[rows.laws, np.ones(len(rows.laws))][words]
    residual = beliefs[words] - affine @ np.linalg.lstsq(affine, beliefs[words])[0]
    assert alone.r2 == pytest.approx(1 - residual.var(0).sum() / beliefs[words].var(0).sum(), abs=1e-5)


def test_what_activations_tell_apart(rrxor):
    """Activations that are the laws merge equal laws; those that are the beliefs keep them apart."""
    laws, beliefs = (sites.apart(jnp.asarray(cloud), rrxor) for cloud in (rrxor.laws, rrxor.beliefs))
    assert laws.equal_law < 1e-6 and laws.equal_belief < 1e-6
    assert beliefs.equal_law > 0.3 and beliefs.equal_belief < 1e-6
    # By hand: two words of one token with the laws (1, 0) and (0, 1), and three of two tokens.
    of = lambda values: np.array(values, float)[:, None]
    rows = rrxor._replace(length=np.array([1, 1, 2, 2, 2]), laws=of([0, 1, 0, 0, 1]), beliefs=of([0, 1, 0, 2, 1]))
    found = sites.apart(jnp.array([[0.0], [10.0], [0.0], [3.0], [6.0]]), rows)
    assert found.equal_law == pytest.approx(3 / np.mean([10, 6, 3])) and np.isnan(found.equal_belief)
    # The belief of Mess3 is a function of its law.
    mess3 = reading.rows(jax.random.key(0), bg.mess3(), 3)
    assert np.isnan(sites.apart(jnp.asarray(mess3.beliefs), mess3).equal_law)


def test_scores_of_the_beliefs_themselves_and_of_the_laws(rrxor):
    laws, beliefs = (
        sites.score_site(jax.random.key(0), jnp.asarray(one, jnp.float32), rrxor) for one in (rrxor.laws, rrxor.beliefs)
    )
    assert beliefs.mse < 1e-9 and min(beliefs.r2, beliefs.distances, beliefs.held_out.r2, beliefs.likely.r2) > 1 - 1e-5
    assert beliefs.law_distances == pytest.approx(sites.law_alone(jax.random.key(0), rrxor).distances, abs=1e-5)
    assert laws.held_out.seen > 1 - 1e-5 and laws.held_out.unseen < 0.2 and laws.distances < 0.5
    for weights, parts, window in (
        (rrxor.counts, laws.held_out, laws.window),
        (rrxor.probabilities, laws.likely, laws.likely_window),
    ):
        one = probes.held_out(jnp.asarray(rrxor.laws, jnp.float32), rrxor, weights)
        assert (parts.r2, window) == (pytest.approx(one.r2, abs=1e-5), pytest.approx(one.window, abs=1e-3))
    np.testing.assert_allclose(sites.probed(jnp.asarray(rrxor.beliefs), rrxor), rrxor.beliefs, atol=1e-4)


@pytest.mark.slow
def test_a_small_run(tmp_path):
    done = start("rrxor", *SMALL, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "rrxor").iterdir()
    drawn = {path.stem for path in folder.glob("*.png")}
    assert drawn == {"layers", "distinctions", "distances", "beliefs", "unseen", "training"}
    results = json.loads((folder / "results.json").read_text())
    assert results["mixed states"] == 36 and results["law"]["rank"] == {"rank": 2, "of": 5}
    found, tokens = results["networks"]["64-wide"], [0, 6400, 12800]
    assert not results["sampled"] and found["trained"]["losses"]["error"] is None  # every word was listed
    gap = {net: found[net]["losses"]["gap"]["mean"] for net in figures.NETS}
    assert 0 < gap["trained"] < gap["untrained"]
    assert found["tokens"] == tokens
    untrained, _, trained = found["gap while training"]["mean"]
    assert (untrained, trained) == (pytest.approx(gap["untrained"]), pytest.approx(gap["trained"]))
    scores = found["trained"]["sites"]
    assert set(scores) == set(figures.SITES)
    # More activations than the sites they contain fit better in sample.
    errors = {site: score["mse"]["mean"] for site, score in scores.items()}
    assert errors["concatenated"] < min(errors[site] for site in ("embed", "layer 1", "final norm"))
    assert len(found["trained"]["unseen"]["shuffled"]["mean"]) == 9
    assert found["trained"]["unseen"]["p_value"]["mean"] >= 0.1 - 1e-9
    labels = [line["label"] for line in json.loads((folder / "claims.json").read_text())]
    assert "64-wide, untrained: held out, concatenated: equivalent window (tokens)" in labels
    assert not any("128-wide" in label for label in labels)


@pytest.mark.slow
def test_a_context_of_too_many_words_is_sampled(tmp_path):
    done = start("rrxor", *SMALL, "--words", "20", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    results = json.loads(next((tmp_path / "rrxor").glob("*/results.json")).read_text())
    found = results["networks"]["64-wide"]["trained"]["losses"]
    assert results["sampled"] and 0 < found["error"]["mean"] < found["gap"]["mean"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["default", "--sizes", "96-wide"], "64-wide"),
        (
            ["quick", "--context", "2"],
            "error: held-out scores need words of 3 tokens or more; got 2: raise the context",
        ),
        (["fast"], "error: no preset 'fast'; choose one of quick, default, paper"),
    ],
)
def test_mistakes(args, message, tmp_path):
    assert message in refusal("rrxor", *args, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
