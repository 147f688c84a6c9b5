import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.probes import report
from beliefgeo.probes.held_out import held_out_curve, held_out_score
from beliefgeo.reading.evaluation import Evaluation, loss_gap, prefixes
from beliefgeo.reading.sampled import sampled_loss_gap, sampled_words


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


@pytest.mark.parametrize(
    ("process", "rank", "states"),
    [
        (bg.mess3(), 3, 3),
        (bg.mess3(0.5, 0.2), 3, 3),
        (bg.bloch_walk(), 3, 3),
        (bg.moon(), 3, 3),
        (bg.frdn(), 2, 4),
        (bg.rrxor(), 2, 5),
        (bg.z1r(), 2, 3),
    ],
)
def test_law_rank(process, rank, states):
    """That of the map eta -> eta T^(x) w, of the span of the beliefs."""
    rows = prefixes(process, bg.words(process, 6))
    assert report.law_rank(rows.beliefs, rows.laws) == {"rank": rank, "of": states}
    emissions = np.asarray(process.transitions, float) @ np.asarray(process.readout, float)
    assert np.linalg.matrix_rank(emissions, tol=1e-5) == rank


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


def test_one_network_is_not_taken_for_seeds():
    """One ordinary Evaluation, whose rows are no seeds; its gap is that of the law blurred by 1%."""
    rows = prefixes(bg.mess3(), bg.words(bg.mess3(), 4))
    one = Evaluation(jnp.log(jnp.asarray(0.99 * rows.laws + 0.01 / 3)), {"site": jnp.asarray(rows.beliefs)})
    seeds = jax.tree.map(lambda leaf: leaf[None], one)
    gap = loss_gap(rows, one.log_laws)
    for network in (one, seeds):
        found = report.loss_report({"trained": network}, rows)
        assert found["gap"]["trained"]["mean"] == pytest.approx(gap.mean())
        assert found["gap"]["trained"]["interval"] is None and len(found["gap"]["trained"]["seeds"]) == 1
        np.testing.assert_allclose(found["gap_per_position"]["trained"]["mean"], gap)
        np.testing.assert_allclose(report.mean_gaps(network, rows), [gap.mean()])
        gained = report.gain_report({"trained": network}, rows, np.log(3))["gap"]["trained"]
        assert gained["mean"] == pytest.approx(gap.mean()) and gained["interval"] is None
        nets, key = {"trained": network, "untrained": network}, jax.random.key(0)
        assert len(report.in_sample_report(key, nets, rows, "site")["trained"]["r2"]["seeds"]) == 1
        held = report.held_out_report(key, nets, rows, rows.counts, shuffles=1)["probes"]["site, affine"]["trained"]
        assert held["r2"]["mean"] == pytest.approx(1, abs=1e-5) and held["window"]["mean"] == 4


def test_axes_that_are_not_those_of_seeds_are_refused():
    rows = prefixes(bg.mess3(), bg.words(bg.mess3(), 4))
    laws, beliefs = jnp.log(jnp.asarray(rows.laws)), jnp.asarray(rows.beliefs)
    for shape in ((120,), (2, 3), (119, 3), (3, 120), (2, 119, 3), (2, 3, 120), (2, 2, 120, 3)):
        wrong = Evaluation(jnp.zeros(shape), {"site": beliefs})
        for reported in (report.loss_report, lambda nets, rows: report.gain_report(nets, rows, 1.1)):
            with pytest.raises(ValueError, match=r"\[seed, row, token\].*for 120 prefixes and 3 tokens.*got shape"):
                reported({"trained": wrong}, rows)
    several = Evaluation(jnp.stack([laws] * 2), {"site": beliefs})
    with pytest.raises(ValueError, match=r"\[seed, row, ...\] like log_laws, \(2, 120\); got \(120, 3\)"):
        report.in_sample_report(jax.random.key(0), {"trained": several}, rows, "site")
    for values in (np.float64(1.0), np.zeros(0)):
        with pytest.raises(ValueError, match=r"over_seeds needs values \[seed, ...\], of a seed or more; got shape"):
            report.over_seeds(values)
    with pytest.raises(ValueError, match="the report of one seed or more; got none"):
        report.seeds_report([])
    with pytest.raises(ValueError, match=r"must have the same names; got \[\['a'\], \['b'\]\]"):
        report.seeds_report([{"a": 1.0}, {"b": 1.0}])


def test_reports_on_a_process_with_nothing_to_know():
    """A coin: one belief, one law, and no past that tells anything."""
    rows = prefixes(bg.coin(0.3), bg.words(bg.coin(0.3), 4))
    laws, noise = jnp.log(jnp.asarray(rows.laws)), jax.random.normal(jax.random.key(0), (len(rows.length), 3))
    nets = dict.fromkeys(("trained", "untrained"), Evaluation(laws, {"site": noise}))
    entropy = float(bg.myopic_entropies(bg.coin(0.3), 1)[0])
    assert np.isnan(report.gain_report(nets, rows, entropy)["gained"]["trained"]["mean"])
    alone = report.law_report(jax.random.key(0), rows)
    assert (alone["distinct beliefs"], alone["distinct laws"], alone["probe r2"], alone["distances"]) == (1, 1, 1, 0)
    parts = report.parts_report(noise, rows)
    assert all(value == ("r2" in name) for name, value in parts.items())
    assert report.in_sample_report(jax.random.key(0), nets, rows, "site")["trained"]["r2"]["mean"] == 1
    assert np.isnan([*report.distance_report(noise, rows).values()]).all()


def test_nothing_unseen_leaves_nothing_to_explain(mess3):
    """All of a belief of Mess3 is in the law; the rounding that is left has no R2 of its own."""
    parts = report.parts_report(features_of(mess3, 0.5), mess3)
    assert parts["held out: r2 of the part that it cannot see"] == 1
    assert parts["held out: r2 of the part that the next-token law sees"] < 0.9


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
    alone = report.law_report(jax.random.key(0), rows)
    assert alone["distinct beliefs"] == 35  # the stationary one comes before any token
    assert alone["distinct laws"] == 11
    assert alone["rank"] == {"rank": 2, "of": 5}
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
    longest = (held_out_curve(rrxor, rrxor.counts) > 0).sum()  # the shortest window that explains everything
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
