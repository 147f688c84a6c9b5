import jax
import jax.numpy as jnp
import numpy as np
import pytest

from beliefgeo.probes.geometry import (
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


@pytest.mark.parametrize("size", [1e-3, 30.0, 300.0])
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_clouds_in_half_precision_are_those_in_float32(size, dtype):
    """300^2 is beyond float16, (1e-3)^2 below it."""
    cloud = RNG.normal(size=(60, 4)) * size
    halves = [jnp.asarray(cloud[:, axes], dtype) for axes in ([0, 1, 2], [0, 1, 3])]
    whole = [np.asarray(half.astype(jnp.float32), np.float64) for half in halves]
    distances = [np.linalg.norm(c[:, None] - c[None], axis=-1).ravel() for c in whole]
    exact = np.corrcoef(*distances)[0, 1] ** 2
    weights = jnp.asarray(RNG.uniform(1, 1.001, 60), dtype)
    np.testing.assert_allclose(compare_distances(jax.random.key(0), *halves, weights=weights), exact, rtol=2e-3)
    for centred in (True, False):
        compared = [compare_cosines(jax.random.key(0), *pair, centred=centred) for pair in (halves, whole)]
        np.testing.assert_allclose(compared[0], compared[1], rtol=1e-5)
    read = simplex_coordinates(halves[0])
    np.testing.assert_allclose(read, simplex_coordinates(whole[0]), rtol=1e-6)


def test_comparisons_have_no_scale():
    key, cloud = jax.random.key(0), RNG.normal(size=(40, 3))
    other = np.c_[cloud[:, :2], RNG.normal(size=40)]
    for compare in (compare_distances, compare_cosines):
        exact = compare(key, cloud, other)
        for scale in (1e-30, 1e25):
            np.testing.assert_allclose(compare(key, scale * cloud, other / scale), exact, rtol=1e-4)


@pytest.mark.parametrize("compare", [compare_distances, compare_cosines])
def test_gradients_of_comparisons(x64, compare):
    """A row is paired with itself, at distance 0, and may lie at the mean: that has no slope, and costs no other's."""
    key, cloud = jax.random.key(0), RNG.normal(size=(12, 3))
    cloud[-1] = cloud[:-1].mean(0)
    other, along = jnp.asarray(RNG.normal(size=(12, 2))), RNG.normal(size=(12, 3))
    if compare is compare_cosines:  # a cosine has no derivative at the vector 0
        cloud, along = cloud[:-1], along[:-1]
        other = other[:-1]
    value = jax.jit(lambda cloud: compare(key, cloud, other))
    gradient = jax.jit(jax.grad(value))(jnp.asarray(cloud))
    numeric = (value(cloud + 1e-6 * along) - value(cloud - 1e-6 * along)) / 2e-6
    np.testing.assert_allclose((gradient * along).sum(), numeric, rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 123.456])
def test_what_does_not_vary_is_not_correlated(value):
    key, cloud = jax.random.key(0), RNG.normal(size=(40, 3))
    still = np.full((40, 5), value)
    assert compare_distances(key, still[:, :0], cloud) == compare_cosines(key, still[:, :0], cloud) == 0
    for compare in (compare_distances, compare_cosines):
        for pair in ((still, cloud), (cloud, still), (still, still), (cloud[:1], cloud[:1])):
            assert compare(key, *pair) == 0
        for pair in ((still, cloud), (still, still)):
            assert np.isfinite(
                jax.grad(lambda one, pair=pair, c=compare: c(key, one, pair[1]))(jnp.array(pair[0]))
            ).all()


def test_no_variance_is_explained_by_none():
    for value in (1.0, 0.1, 123.456):
        components = principal_components(np.full((3, 2), value))
        assert (components.variances == 0).all() and (components.cumulative == 0).all()
    # A constant among others is a component without variance.
    x = RNG.normal(size=(50, 3))
    with_constant = principal_components(np.insert(x, 1, 0.7, 1))
    np.testing.assert_allclose(with_constant.variances, [*principal_components(x).variances, 0], atol=1e-6)
    assert with_constant.variances[-1] < 1e-12 and abs(with_constant.directions[:3, 1]).max() < 1e-6


def test_gradients_of_components(x64):
    x = jnp.asarray(RNG.normal(size=(50, 3)) * np.array([3, 2, 1]) + 5)
    along = RNG.normal(size=x.shape)

    def value(x):
        components = principal_components(x)
        return jnp.log(components.variances).sum() + (components.directions**2 * jnp.arange(9.0).reshape(3, 3)).sum()

    numeric = (value(x + 1e-6 * along) - value(x - 1e-6 * along)) / 2e-6
    np.testing.assert_allclose((jax.grad(value)(x) * along).sum(), numeric, rtol=1e-5)
    # Equal variances, and none: which direction is which has no derivative, and spoils no variance's.
    design = jnp.array([[1.0, 1.0, 0.7], [1.0, -1.0, 0.7], [-1.0, 1.0, 0.7], [-1.0, -1.0, 0.7]])
    total = jax.grad(lambda x: principal_components(x).variances.sum())(design)
    np.testing.assert_allclose(total, np.asarray(design) * [1, 1, 0] / 2, atol=1e-12)


def test_clouds_of_other_ranks_are_refused():
    for compare in (compare_distances, compare_cosines):
        with pytest.raises(ValueError, match=r"left \[row, axis\] must have 2 axes; got 1, shape \(4,\)"):
            compare(jax.random.key(0), np.arange(4.0), np.arange(4.0))
        with pytest.raises(ValueError, match="needs pairs of 1 or more; got 0"):
            compare(jax.random.key(0), np.ones((4, 2)), np.ones((4, 2)), pairs=0)
    components = principal_components(RNG.normal(size=(9, 3)))
    with pytest.raises(ValueError, match=r"components are of 3 features; got features of \(9, 1\)"):
        components(np.ones((9, 1)))


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


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_variances_beyond_float32_are_not_silent(scale):
    x = RNG.normal(size=(9, 3))
    with pytest.raises(ValueError, match="beyond the range of float32: divide the features by their largest entry"):
        principal_components(x * scale)
    assert np.isnan(jax.jit(lambda x: principal_components(x).variances)(x * scale)).all()
    with jax.enable_x64(True):
        found = principal_components(x * scale)
        np.testing.assert_allclose(found.variances, np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1] * scale**2)
        np.testing.assert_allclose(found.mean, x.mean(0) * scale)
