"""Subspaces of a network that is known: what keeps the belief keeps the loss, what removes it loses everything."""

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import probes, reading
from beliefgeo.mechanisms import projections
from beliefgeo.mechanisms.interventions import encode
from tests.mechanisms.ideal import WIDTH, made


@pytest.fixture(scope="module")
def case():
    process = bg.mess3(0.1, 0.7)
    network, params = made(process)
    rows = reading.rows(jax.random.key(0), process, 5)
    read = reading.read(network, params, rows)
    held = encode(read.features["layer 1"], rows, rows.probabilities)
    return network, params, rows, reading.site_of(network, params, "layer 1"), held


def test_projectors_are_projectors(case):
    *_, held = case
    made = {
        "rows": projections.probe_rows(held),
        "cross": projections.cross_covariance(held),
        "erasure": projections.erasure(held),
        "components": projections.components(held, 2),
        "random": projections.random_plane(jax.random.key(1), held, 2),
    }
    for name, one in made.items():
        np.testing.assert_allclose(one @ one, one, atol=1e-5)
        assert np.trace(one) == pytest.approx(2, abs=1e-5), name
        assert (name == "erasure") != np.allclose(one, one.T, atol=1e-6)
    variances, axes = np.linalg.eigh(held.covariance)
    np.testing.assert_allclose(np.trace(made["components"] @ held.covariance), variances[-2:].sum(), rtol=1e-6)


def test_erasure_leaves_no_belief_and_changes_least(case):
    *_, rows, _, held = case
    projector = projections.erasure(held)
    centred = held.features - held.shares @ held.features
    beliefs = rows.beliefs - held.shares @ rows.beliefs
    left = centred @ (np.eye(WIDTH) - projector)
    assert abs((held.shares[:, None] * left).T @ beliefs).max() < 1e-7
    # Of all changes that leave no covariance with the belief, an orthogonal one moves the data more in units of S.
    inverse = np.linalg.pinv(held.covariance, rcond=1e-6)
    size = lambda change: np.einsum("r,ri,ij,rj->", held.shares, centred @ change, inverse, centred @ change)
    assert size(projector) <= size(projections.cross_covariance(held)) + 1e-9


def test_losses_kept_alone_and_removed(case):
    network, params, rows, site, held = case
    whole = np.eye(WIDTH)
    into = np.asarray(network.into, np.float64)
    belief = np.linalg.pinv(into[:2] - into[2:]) @ (into[:2] - into[2:])  # the plane in which beliefs move activations
    (kept_all, removed_all), (kept, removed) = projections.projected_gaps(
        network, params, rows, site, held, [whole, belief]
    )
    assert kept_all == pytest.approx(0, abs=1e-5)
    assert kept < 0.05 < removed and removed == pytest.approx(removed_all, rel=0.1)
    # Where all is removed, the mean belief is left: its law is the marginal law, up to the mean of the other numbers.
    assert removed_all == pytest.approx(probes.window_gaps(rows)[0], rel=0.05)


def test_mistakes(case):
    network, params, rows, site, held = case
    with pytest.raises(ValueError, match="from 1 to 7 dimensions, as many as features; got 8"):
        projections.components(held, 8)
    with pytest.raises(ValueError, match="from 1 to 7 dimensions"):
        projections.random_plane(jax.random.key(0), held, 0)
    with pytest.raises(ValueError, match=r"\[feature, feature\], 7 each way"):
        projections.projected_gaps(network, params, rows, site, held, [np.eye(6)])


@pytest.mark.parametrize("scale", [1e-4, 1e3, 1e6])
def test_erasure_has_no_units(scale):
    """Beside large noise, or small noise, no probe finds the beliefs that are left; and a constant feature stays."""
    rows = reading.rows(jax.random.key(0), bg.mess3(), 6)
    noise = np.random.default_rng(1).normal(size=(len(rows.word), 2))
    features = np.concatenate([rows.beliefs + noise[:, :1], noise, np.full((len(noise), 1), 0.7)], 1)
    units = np.array([1, 1, 1, scale, scale, 1])
    erase = lambda values: projections.erasure(encode(values, rows, rows.counts))
    left = features * units @ (np.eye(6) - erase(features * units))
    probe = bg.fit_probe(left, rows.beliefs, rows.counts, rcond=1e-4)
    assert bg.score_probe(probe, left, rows.beliefs, rows.counts).r2 < 1e-6
    np.testing.assert_allclose(erase(features * units) / units * units[:, None], erase(features), atol=1e-4)
