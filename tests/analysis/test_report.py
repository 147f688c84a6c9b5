import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.analysis import report
from beliefgeo.analysis.evaluation import Evaluation, prefixes


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
