"""Its own functions on who knows all or nothing, and the experiment as a user runs it: a subprocess, tiny."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.mechanisms.one_layer import Heads
from beliefgeo.networks import TransformerConfig
from beliefgeo.reading import Reading, Seeds
from tests.experiments.command import module, refusal, start

measures = module("constrained_beliefs", "measures")


@pytest.fixture(scope="module")
def beliefs():
    """Mess3(.5, .6), its rows, and its constrained and true beliefs after them."""
    process = bg.mess3(0.5, 0.6)
    rows = reading.rows(jax.random.key(0), process, 7)
    constrained = reading.beliefs_after(lambda word: bg.constrained_beliefs(process, word), rows)
    return process, rows, {"constrained": constrained, "true": rows.beliefs}


def test_beliefs_read_from_the_beliefs_themselves(beliefs):
    _, rows, targets = beliefs
    sites = {"mid": jnp.asarray(targets["constrained"]), "output": jnp.asarray(rows.beliefs)}
    found = measures.read_beliefs(sites, targets, rows, 2)
    for own, kind in (("constrained beliefs from mid", "constrained"), ("true beliefs from output", "true")):
        assert found[own].r2 == pytest.approx(1, abs=1e-4) and found[own].held_out_r2 == pytest.approx(1, abs=1e-3)
        np.testing.assert_allclose(found[own].seen, targets[kind][rows.length >= 6], atol=1e-3)
    for other in ("true beliefs from mid", "constrained beliefs from output"):
        assert 0.9 < found[other].held_out_r2 <= found[other].r2 < 0.99


def test_losses_of_who_knows_all_and_who_knows_nothing(beliefs):
    process, rows, targets = beliefs
    gain = measures.observer_gain(process, rows)
    mean = float(bg.myopic_entropies(process, 7)[1:7].mean())
    assert gain.optimum == pytest.approx(mean, abs=1e-6) and gain.gain == pytest.approx(np.log(3) - mean, abs=1e-6)
    loss = lambda laws: measures.network_loss(Reading(laws, {}), rows, gain.gain)
    laws = jnp.log(jnp.asarray(rows.laws))
    all_known, nothing_known = loss(laws), loss(jnp.full(laws.shape, -np.log(3)))
    assert all_known.share == pytest.approx(1, abs=1e-4) and nothing_known.share == pytest.approx(0, abs=1e-4)
    assert nothing_known.gap == pytest.approx(gain.gain, abs=1e-6) and nothing_known.error is None
    assert 0.9 < measures.constrained_share(process, rows, targets["constrained"], gain.gain) < 1
    drawn = reading.rows(jax.random.key(0), process, 7, most=500)
    assert measures.network_loss(Reading(jnp.log(jnp.asarray(drawn.laws)), {}), drawn, 1.0).error < 1e-6


def test_countings_of_prefixes(beliefs):
    _, rows, _ = beliefs
    near, likely, last, every = measures.countings(rows).values()
    assert (near.sum(), last.sum(), every.sum()) == (3**6 + 3**7, 3**7, sum(3**length for length in range(1, 8)))
    assert likely.sum() == pytest.approx(2)


def test_distances_to_the_published():
    ours = {"mid": Seeds(np.array([[0.4, 0.8, 1.0, 1.0], [0.6, 0.8, 1.0, 1.0]]))}
    (mid,) = measures.distances(ours, {"mid": [0.2, 0.8, 0.9, 0.0]}).values()
    np.testing.assert_allclose(mid, [0.3, 0.4 / 3])


def test_lags_that_theory_asks_for():
    by_lag = Seeds(np.arange(14.0).reshape(1, 2, 7))
    heads = Heads(by_lag, Seeds(100 + np.arange(4.0).reshape(1, 1, 4)), *[None] * 6)
    negative = measures.asked_lags(heads, -0.5, 6)
    assert {name: one.values[0].tolist() for name, one in negative.items()} == {
        "head 1": [0, 2, 4],
        "head 2": [8, 10, 12],
    }
    assert measures.asked_lags(heads, 0.55, 4)["head 1"].values.tolist() == [[100, 101, 102, 103]]


@pytest.mark.slow
def test_a_small_run(tmp_path):
    small = ["--networks", "two heads", "--steps", "20", "--chunk", "10", "--width", "16"]
    done = start("constrained_beliefs", "quick", *small, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob("constrained_beliefs/*")
    names = {"config.json", "results.json", "attention.png", "weights.png", "values.png", "clouds_two_heads.png"}
    assert names < {path.name for path in folder.iterdir()}
    (found,) = json.loads((folder / "results.json").read_text())["networks"].values()
    assert found["zeta"] == pytest.approx(-0.5) and found["words"] == "2187, all" and found["rank"]["rank"] == 3
    np.testing.assert_allclose(np.sum(found["trained"]["heads"]["by_lag"]["values"], -1), 1, atol=1e-5)
    loss = found["trained"]["loss"]
    assert len(loss["gap"]["values"]) == 1 and 0 < loss["gap"]["mean"] < found["untrained"]["loss"]["gap"]["mean"]
    for counting in found["trained"]["explained variance"].values():
        assert (np.diff(counting["mid"]["mean"]) >= 0).all() and counting["mid"]["mean"][-1] <= 1 + 1e-6
    told = {line["label"]: line for line in json.loads((folder / "claims.json").read_text())}
    odd = told["two heads, x=0.5, a=0.6: attention of head 2, lags 1 3 5"]
    assert odd["published"] == "0.745 0.190 0.035" and len(odd["ours"].split()) == 3


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"layers": 2}, r"context 7 or more; got TransformerConfig\(vocab_size=3, context=10, layers=2"),
        ({"layers": 1, "context": 5}, r"context 7 or more; got TransformerConfig\(vocab_size=3, context=5, layers=1"),
        ({"layers": 1, "heads": 2}, "one layer of one head"),
    ],
)
def test_mistakes(sizes, message):
    with pytest.raises(ValueError, match=message):
        measures.check(TransformerConfig(**sizes))


def test_mistakes_leave_nothing_behind(tmp_path):
    said = refusal("constrained_beliefs", "--vocab-size", "2", "--out", str(tmp_path / "out"))
    assert "error: vocab_size must be 3, the tokens of the process; got 2" in said and not (tmp_path / "out").exists()


def test_an_unknown_network_lists_the_known_ones(tmp_path):
    said = refusal("constrained_beliefs", "--networks", "three heads", "--out", str(tmp_path / "out"))
    assert "attention only, two heads" in " ".join(said.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_constrained_beliefs_are_read_in_the_middle(tmp_path):
    done = start("constrained_beliefs", "--networks", "one head", "--seeds", "1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    results = json.loads(next(tmp_path.glob("constrained_beliefs/*/results.json")).read_text())
    network = results["networks"]["one head, x=0.15, a=0.6"]
    found, published = network["trained"], results["published"]["explained variance"]["one head, x=0.15, a=0.6"]
    ours = found["explained variance"]["words of the last two lengths, equally"]["mid"]["mean"]
    far = np.abs(np.subtract(ours[:3], published["mid"][:3])).max()
    np.testing.assert_allclose(network["distances"]["mid"][0], far, rtol=1e-6)
    assert found["heads"]["cosine"]["mean"][0] > 0.95
    r2 = {name: one["r2"]["mean"] for name, one in found["probes"].items()}
    assert r2["constrained beliefs from mid"] > r2["true beliefs from mid"]
