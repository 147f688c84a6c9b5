import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.analysis import report
from beliefgeo.analysis.evaluation import Evaluation, prefixes
from beliefgeo.analysis.held_out import held_out_curve, held_out_score
from beliefgeo.analysis.sampled import sampled_loss_gap, sampled_words


@pytest.fixture(scope="module")
def mess3():
    return prefixes(bg.mess3(), bg.words(bg.mess3(), 6))


def features_of(rows, noise):
    """Beliefs written linearly in 12 dimensions, offset, under noise."""
    rng = np.random.default_rng(0)
    clean = rows.beliefs @ rng.normal(size=(3, 12)) + 5
    return jnp.asarray(clean + noise * rng.normal(size=clean.shape), jnp.float32)


@pytest.fixture(scope="module")
def networks(mess3):
    def evaluation(noise, blur):
        laws = jnp.log((1 - blur) * mess3.laws + blur / 3)
        return Evaluation(jnp.stack([laws] * 2), {"site": jnp.stack([features_of(mess3, noise)] * 2)})

    return {"trained": evaluation(0.05, 0.01), "untrained": evaluation(1.0, 1.0)}


def test_loss_report(mess3, networks):
    losses = report.loss_report(networks, mess3)
    np.testing.assert_allclose(losses["optimal"], bg.myopic_entropies(bg.mess3(), 7)[1:].mean(), atol=1e-6)
    uniform = np.log(3) - losses["optimal_per_position"]
    np.testing.assert_allclose(losses["gap_per_position"]["untrained"]["mean"], uniform, atol=1e-6)
    assert losses["gap"]["untrained"]["interval"] is not None


@pytest.mark.parametrize(
    ("name", "first", "optimal"),
    [("frdn", 0.692420, 0.655374), ("moon", 0.727331, 0.702509), ("mess3", 1.098612, 0.804775)],
)
def test_who_knows_the_laws_gains_all_and_who_forgets_the_past_nothing(name, first, optimal):
    """The entropies are those of Riechers, Elliott, Shai 2025 (2507.07432) after up to eight tokens."""
    process = getattr(bg, name)()
    rows = prefixes(process, bg.words(process, 8))
    knows = Evaluation(jnp.log(jnp.asarray(rows.laws))[None], None)
    blind = Evaluation(jnp.broadcast_to(jnp.log(process.predict(process.initial)), rows.laws.shape)[None], None)
    entropy = float(bg.myopic_entropies(process, 1)[0])
    found = report.gain_report({"knows": knows, "blind": blind}, rows, entropy)
    assert (found["first token"], found["optimal"]) == pytest.approx((first, optimal), abs=2e-6)
    assert found["gained"]["knows"]["mean"] == pytest.approx(1, abs=1e-4)
    assert found["gained"]["blind"]["mean"] == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(report.mean_gaps(blind, rows), [first - optimal], atol=4e-6)
    assert found["standard error"] == {"knows": None, "blind": None}


def test_drawn_words_have_a_standard_error():
    rows = prefixes(bg.mess3(), sampled_words(jax.random.key(0), bg.mess3(), 50, 6))
    blurred = Evaluation(jnp.log(0.9 * jnp.asarray(rows.laws) + 0.1 / 3)[None], None)
    found = report.gain_report({"blurred": blurred}, rows, np.log(3), sampled=True)
    assert found["standard error"]["blurred"] == sampled_loss_gap(rows, blurred.log_laws[0]).mean_error > 0


def test_in_sample_report(mess3, networks):
    scores = report.in_sample_report(jax.random.key(0), networks, mess3, "site")
    variance = np.average((mess3.beliefs - 1 / 3) ** 2, axis=0, weights=mess3.counts).mean()
    assert scores["trained"]["r2"]["mean"] > 0.95 > 0.7 > scores["untrained"]["r2"]["mean"]
    np.testing.assert_allclose(scores["shuffled"]["mse"]["mean"], variance, rtol=0.02)


def test_held_out_report(mess3, networks):
    held = report.held_out_report(jax.random.key(0), networks, mess3, mess3.counts, shuffles=4)
    assert set(held["probes"]) == {"site, affine", "site, linear"}
    probe = held["probes"]["site, affine"]
    ratio = probe["untrained"]["unexplained"]["mean"] / probe["trained"]["unexplained"]["mean"]
    np.testing.assert_allclose(held["untrained / trained unexplained"]["site, affine"]["mean"], ratio)
    assert ratio > 10 and probe["trained"]["window"]["mean"] > probe["untrained"]["window"]["mean"]
    assert abs(held["shuffled"]["r2"]["mean"]) < 0.05 and len(held["shuffled"]["r2"]["seeds"]) == 4


def test_one_seed_has_no_interval():
    assert report.over_seeds(np.array([2.0]))["interval"] is None


def test_reports_of_seeds_side_by_side():
    each = [
        {"b": {"x": 1.0, "a": [1, 2]}, "a": jnp.float32(0.1)},
        {"b": {"x": 3.0, "a": [3, 4]}, "a": jnp.float32(0.2)},
    ]
    found = report.seeds_report(each)
    assert found["b"]["x"]["mean"] == 2 and found["b"]["x"]["seeds"].tolist() == [1, 3]
    assert found["b"]["a"]["mean"].tolist() == [2, 3]
    # The mean of what float32 holds is taken in float64.
    assert found["a"]["mean"] == (float(np.float32(0.1)) + float(np.float32(0.2))) / 2
    assert list(found) == ["b", "a"] and list(found["b"]) == ["x", "a"]


@pytest.fixture(scope="module")
def rrxor():
    return prefixes(bg.rrxor(), bg.words(bg.rrxor(), 6))


def test_the_next_token_law_of_rrxor_alone():
    """Of the 36 beliefs the first ten tokens reach all but the first, with fewer laws; distances in float64."""
    rows = prefixes(bg.rrxor(), bg.words(bg.rrxor(), 10))
    alone = report.law_report(rows)
    assert alone["distinct beliefs"] == 35  # the stationary one comes before any token
    assert alone["distinct laws"] == 11
    words, beliefs = np.repeat(np.arange(len(rows.counts)), rows.counts), rows.beliefs
    assert len(words) == 436 * 10
    one, other = np.random.default_rng(0).choice(words, (2, 400_000))
    apart = lambda cloud: np.linalg.norm(cloud[one] - cloud[other], axis=1)
    exact = np.corrcoef(apart(beliefs), apart(rows.laws))[0, 1] ** 2
    assert float(alone["distances"]) == pytest.approx(exact, abs=0.01)
    assert float(alone["distances"]) == pytest.approx(0.287, abs=0.01)  # the published number
    affine = np.c_[rows.laws, np.ones(len(rows.laws))][words]
    residual = beliefs[words] - affine @ np.linalg.lstsq(affine, beliefs[words])[0]
    assert float(alone["probe r2"]) == pytest.approx(1 - residual.var(0).sum() / beliefs[words].var(0).sum(), abs=1e-5)


def test_parts_that_the_next_token_law_sees_and_cannot_see(rrxor):
    """Activations that are the laws hold the seen part alone, those that are the beliefs hold both."""
    seen, unseen = ("held out: r2 of the part that " + what for what in ("the next-token law sees", "it cannot see"))
    laws, beliefs = (report.parts_report(jnp.asarray(site), rrxor) for site in (rrxor.laws, rrxor.beliefs))
    assert laws[seen] > 1 - 1e-5 and laws[unseen] < 0.2
    assert beliefs[seen] > 1 - 1e-5 and beliefs[unseen] > 1 - 1e-5 and beliefs["held out: r2"] > 1 - 1e-5
    for name, weights in (("held out", rrxor.counts), ("held out, by probability", rrxor.probabilities)):
        score = held_out_score(jnp.asarray(rrxor.laws), rrxor, weights)
        assert float(laws[f"{name}: r2"]) == pytest.approx(score.r2, abs=1e-5)
        assert laws[f"{name}: window"] == pytest.approx(score.window, abs=1e-3)
    longest = (held_out_curve(rrxor, rrxor.counts) > 1e-12).sum() - 1
    assert beliefs["held out: window"] == longest


def test_what_activations_tell_apart(rrxor, mess3):
    """Activations that are the laws merge equal laws; those that are the beliefs keep them apart."""
    equal, merged = "distance, equal belief", "distance, equal law and different belief"
    laws, beliefs = (report.distance_report(jnp.asarray(site), rrxor) for site in (rrxor.laws, rrxor.beliefs))
    assert laws[merged] < 1e-6 and laws[equal] < 1e-6
    assert beliefs[merged] > 0.3 and beliefs[equal] < 1e-6
    # By hand: two words of one token with the laws (1, 0) and (0, 1), and three of two tokens.
    of = lambda values: np.array(values, float)[:, None]
    rows = rrxor._replace(
        length=np.array([1, 1, 2, 2, 2]), laws=of([0, 1, 0, 0, 1]), beliefs=of([0, 1, 0, 2, 1]), tokens=rrxor.tokens
    )
    found = report.distance_report(jnp.array([[0.0], [10.0], [0.0], [3.0], [6.0]]), rows)
    assert found[merged] == pytest.approx(3 / np.mean([10, 6, 3])) and np.isnan(found[equal])
    # The belief of Mess3 is a function of its law.
    assert np.isnan(report.distance_report(jnp.asarray(mess3.beliefs), mess3)[merged])
