import jax
import jax.numpy as jnp
import numpy as np
import pytest

from beliefgeo.analysis.geometry import (
    compare_cosines,
    compare_distances,
    principal_components,
    simplex_coordinates,
    simplex_vertices,
)

RNG = np.random.default_rng(1)


@pytest.mark.parametrize("n_states", [2, 3, 4, 7])
def test_simplex_is_regular_and_centred(n_states):
    vertices = np.asarray(simplex_vertices(n_states))
    assert vertices.shape == (n_states, n_states - 1)
    distances = np.linalg.norm(vertices[:, None] - vertices[None], axis=-1)
    np.testing.assert_allclose(distances[~np.eye(n_states, dtype=bool)], 1, rtol=1e-6)
    np.testing.assert_allclose(vertices.mean(0), 0, atol=1e-6)


def test_coordinates_keep_distances_up_to_scale():
    beliefs = RNG.dirichlet(np.ones(4), 10)
    points = np.asarray(simplex_coordinates(beliefs))
    before = np.linalg.norm(beliefs[:, None] - beliefs[None], axis=-1)
    after = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.testing.assert_allclose(after, before / np.sqrt(2), atol=1e-6)


def test_principal_components_against_the_covariance():
    x = RNG.normal(size=(500, 5)) @ RNG.normal(size=(5, 5)) + 50
    w = RNG.uniform(0, 2, 500)
    components = principal_components(x, w)
    covariance = np.cov(x.T, aweights=w, ddof=0)
    values, vectors = np.linalg.eigh(covariance)
    np.testing.assert_allclose(components.variances, values[::-1], rtol=1e-3)
    overlap = abs(np.asarray(components.directions) @ vectors[:, ::-1])
    np.testing.assert_allclose(overlap, np.eye(5), atol=5e-3)
    np.testing.assert_allclose(components.cumulative, np.cumsum(values[::-1]) / values.sum(), rtol=1e-4)
    scores = np.asarray(components(x))
    np.testing.assert_allclose(np.average(scores, axis=0, weights=w), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(scores.T, aweights=w, ddof=0), np.diag(values[::-1]), atol=1e-2)


def test_distances():
    key, cloud = jax.random.key(0), RNG.normal(size=(40, 3))
    rotation = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    np.testing.assert_allclose(compare_distances(key, cloud, 3 * cloud @ rotation + 1), 1, rtol=1e-4)
    assert compare_distances(key, cloud, RNG.normal(size=(40, 3))) < 0.05
    # By brute force over all ordered pairs.
    other = np.c_[cloud[:, :2], RNG.normal(size=40)]
    distances = [np.linalg.norm(c[:, None] - c[None], axis=-1).ravel() for c in (cloud, other)]
    exact = np.corrcoef(*distances)[0, 1] ** 2
    np.testing.assert_allclose(compare_distances(key, cloud, other), exact, rtol=1e-4)
    assert 0 < abs(compare_distances(key, cloud, other, pairs=1599) - exact) < 0.1  # one less than all is a sample
    weights = jnp.arange(40) < 2
    np.testing.assert_allclose(compare_distances(key, cloud, other, weights=weights), 1, rtol=1e-4)
    # Drawn pairs of clouds in half precision are those of the same clouds in float32.
    large = RNG.normal(size=(1500, 4))
    halves = [jnp.asarray(large[:, axes], jnp.bfloat16) for axes in ([0, 1, 2], [0, 1, 3])]
    whole = [half.astype(jnp.float32) for half in halves]
    np.testing.assert_allclose(compare_distances(key, *halves), compare_distances(key, *whole), rtol=0.02)
    # A row of no weight counts for nothing, as the undefined beliefs of an impossible word.
    undefined = [np.r_[c, np.full((1, 3), np.nan)] for c in (cloud, other)]
    np.testing.assert_allclose(compare_distances(key, *undefined, weights=np.arange(41) < 40), exact, rtol=1e-4)
    np.testing.assert_allclose(compare_distances(key, 1e-15 * cloud, 1e10 * other), exact, rtol=1e-4)
    with pytest.raises(ValueError, match="clouds of the same rows, one or more; got 40 and 39"):
        compare_distances(key, cloud, other[1:])
    with pytest.raises(ValueError, match="got 0 and 0"):
        compare_distances(key, cloud[:0], other[:0])


def test_cosines():
    key, cloud = jax.random.key(0), RNG.normal(size=(40, 3))
    rotation = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    np.testing.assert_allclose(compare_cosines(key, cloud, 3 * cloud @ rotation + 1), 1, rtol=1e-4)
    weights = RNG.uniform(0.1, 1, 40)
    weights /= weights.sum()
    other = np.c_[cloud[:, :2], RNG.normal(size=40)]
    units = [c - weights @ c for c in (cloud, other)]
    units = [u / np.linalg.norm(u, axis=1, keepdims=True) for u in units]
    covariance = np.cov(*[(u @ u.T).ravel() for u in units], aweights=np.outer(weights, weights).ravel(), ddof=0)
    exact = covariance[0, 1] ** 2 / covariance[0, 0] / covariance[1, 1]
    np.testing.assert_allclose(compare_cosines(key, cloud, other, weights=weights), exact, rtol=1e-4)
    undefined = [np.r_[c, np.full((1, 3), np.nan)] for c in (cloud, other)]
    np.testing.assert_allclose(compare_cosines(key, *undefined, weights=np.r_[weights, 0]), exact, rtol=1e-4)
    assert np.isfinite(compare_cosines(key, np.r_[cloud, [cloud.mean(0)]], np.r_[other, [[0, 0, 0]]]))
    with pytest.raises(ValueError, match="compare_cosines needs clouds of the same rows, one or more; got 40 and 39"):
        compare_cosines(key, cloud, other[1:])


def test_cosines_from_zero():
    square = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    cosines = lambda left, right, **how: float(compare_cosines(jax.random.key(0), left, right, **how))
    assert cosines(-2 * square, square, centred=False) == pytest.approx(1, abs=1e-5)
    # By brute force over all ordered pairs, with an offset that only cosines about the mean forget.
    cloud, other = np.asarray(square), np.asarray(square) * [3, 1] + [1, 0]
    units = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (cloud, other)]
    exact = np.corrcoef(*[(unit @ unit.T).ravel() for unit in units])[0, 1] ** 2
    assert cosines(square, other, centred=False) == pytest.approx(exact, abs=5e-3)
    assert cosines(square + 5, square) == pytest.approx(1, abs=1e-4)
    # Who sees the mean everywhere explains nothing.
    assert cosines(jnp.ones((4, 2)), square) == cosines(jnp.ones((4, 2)), square, centred=False) == 0
