import jax
import numpy as np
import pytest

from beliefgeo.probes.subspaces import (
    deviations,
    effective_dimension,
    factor_subspaces,
    principal_subspace,
    subspace_overlap,
    vary_one,
)

RNG = np.random.default_rng(2)


def test_dimension_by_hand():
    # Variances 8, 1, 1 of ten in all: one component holds .8, two .9, three 1.
    x = np.repeat(np.diag([8.0, 1.0, 1.0]) ** 0.5, 2, axis=0) * np.array([1, -1] * 3)[:, None]
    assert [effective_dimension(x, fraction=f) for f in (0.79, 0.81, 0.89, 0.91, 0.95)] == [1, 2, 2, 3, 3]
    assert effective_dimension(x, [1, 1, 0, 0, 0, 0]) == 1
    assert effective_dimension(np.ones((5, 3))) == 0
    with pytest.raises(ValueError, match="fraction must lie between 0 and 1; got 95.0"):
        effective_dimension(x, fraction=95.0)


def test_vary_one_finds_the_subspace_of_each_factor():
    """Two factors in orthogonal planes of 8 dimensions, and contexts that shift everything."""
    basis = np.linalg.qr(RNG.normal(size=(8, 8)))[0]
    contexts = 10 * RNG.normal(size=(6, 1, 8))
    vary = lambda plane: contexts + RNG.normal(size=(6, 50, 2)) @ plane + 1e-3 * RNG.normal(size=(6, 50, 8))
    one, other = deviations(vary(basis[:2])), deviations(vary(basis[2:4]))
    np.testing.assert_allclose(np.asarray(one).reshape(6, 50, 8).mean(1), 0, atol=1e-5)
    first, second = principal_subspace(one), principal_subspace(other)
    assert first.shape == second.shape == (2, 8)
    assert effective_dimension(np.concatenate([one, other])) == 4
    np.testing.assert_allclose(first @ first.T, np.eye(2), atol=1e-5)
    np.testing.assert_allclose(subspace_overlap(first, basis[:2]), 1, atol=1e-4)
    np.testing.assert_allclose(subspace_overlap(first, second), 0, atol=1e-4)


@pytest.mark.parametrize("value", [0.1, 0.7, 123.456])
def test_what_stays_has_no_dimension(value):
    """Activations that a factor does not move, equal but for an ulp, have deviations 0 and no subspace."""
    frozen = np.full((4, 50, 3), value, np.float32) + np.arange(4, dtype=np.float32)[:, None, None]
    frozen[:, ::2] = np.nextafter(frozen[:, ::2], np.float32(1e3))
    assert (deviations(frozen) == 0).all()
    moved = RNG.normal(size=(1, 4, 50, 3)) * [3, 0, 0]
    report = factor_subspaces(np.concatenate([frozen[None], moved + value]))
    assert report.dimensions.tolist() == [0, 1] and (report.sum, report.union) == (1, 1)
    np.testing.assert_allclose(report.whole.matrix, [[0, 0], [0, 1]], atol=1e-6)
    assert np.isnan(factor_subspaces(moved).whole.mean)  # one factor has no pairs


def test_subspaces_must_be_orthonormal_and_of_the_same_features():
    with pytest.raises(ValueError, match="rows of a subspace must be orthonormal; got products off by 3"):
        subspace_overlap([[2.0, 0.0]], [[1.0, 0.0]])
    with pytest.raises(ValueError, match=r"of equal features; got \(1, 2\), \(1, 3\)"):
        subspace_overlap([[1.0, 0.0]], [[1.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match=r"features \[context, sample, ..., feature\]; got shape \(4, 3\)"):
        deviations(np.ones((4, 3)))


def test_overlap_by_hand():
    axes = np.eye(4)
    assert float(subspace_overlap(axes[:2], axes[1:3])) == 0.5
    assert float(subspace_overlap(axes[:1], axes[:3])) == 1.0
    angle = np.array([[np.cos(0.3), np.sin(0.3), 0, 0]])
    np.testing.assert_allclose(subspace_overlap(axes[:1], angle), np.cos(0.3) ** 2, rtol=1e-6)


def test_one_factor_varies_and_the_others_stay():
    digits = np.arange(2 * 40 * 5).reshape(2, 40, 5)  # every token says whose it is, in which word and where
    words = np.asarray(vary_one(jax.random.key(1), digits, 3, 7))
    assert words.shape == (2, 2, 3, 7, 5)
    words, time = np.divmod(words - 200 * np.arange(2)[:, None, None, None, None], 5)
    assert (time == np.arange(5)).all()
    words = words[..., 0]  # [factor, varying, context, sample]
    for factor in range(2):
        assert (words[factor, factor] == words[factor, factor, :1]).all()
        assert (words[factor, 1 - factor] == words[factor, 1 - factor][:, :1]).all()
    np.testing.assert_array_equal(words[0, 0], words[1, 1])
    np.testing.assert_array_equal(words[0, 1], words[1, 0])
    assert len({*words[0, 0, 0], *words[0, 1, :, 0]}) == 10  # no word twice
    with pytest.raises(ValueError, match=r"a context and a varied word or more; got shape \(40, 5\), 1 and 0"):
        vary_one(jax.random.key(1), digits[0], 1, 0)
    with pytest.raises(ValueError, match=r"vary_one needs contexts \+ varied words \(41\) or more; got 40"):
        vary_one(jax.random.key(1), digits, 1, 40)


def test_every_position_has_a_mean_of_its_own():
    shift = 100 * RNG.normal(size=(2, 1, 3, 4))
    moves = RNG.normal(size=(2, 50, 3, 4))
    moves -= moves.mean(1, keepdims=True)
    np.testing.assert_allclose(deviations(shift + moves), moves.reshape(-1, 4), atol=1e-4)


def test_report_on_factors_with_planes_in_common():
    """Three factors in planes of six dimensions: the second shares one direction with the first, the third none."""
    axes = np.eye(6)
    moves = RNG.normal(size=(3, 4, 500, 2)) * [2.0, 1.0]
    features = np.stack([moves[0] @ axes[:2], moves[1] @ axes[1:3], moves[2] @ axes[3:5]]) + RNG.normal(size=(4, 1, 6))
    report = factor_subspaces(features)
    assert report.dimensions.tolist() == [2, 2, 2] and report.sum == 6 and report.union == 5
    np.testing.assert_allclose(report.whole.matrix, [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]], atol=1e-4)
    assert report.whole.mean == pytest.approx(0.5 / 3, abs=1e-4)
    # The leading direction of each is its first axis, up to the sample.
    np.testing.assert_allclose(report.leading.matrix, np.eye(3), atol=0.02)


@pytest.mark.parametrize("scale", [1e-30, 1e-25, 1.0, 1e25, 1e30])
def test_dimensions_have_no_scale(scale):
    """Squares of these features are beyond the range of float32."""
    features = np.random.default_rng(0).normal(size=(300, 4))
    assert effective_dimension(features * scale) == 4
    np.testing.assert_allclose(principal_subspace(features * scale), principal_subspace(features), atol=1e-4)
    frozen = features.reshape(30, 10, 4)[..., :2] * scale
    moved = frozen - frozen.mean(1, keepdims=True)
    np.testing.assert_allclose(deviations(frozen), moved.reshape(-1, 2), rtol=1e-4, atol=1e-6 * scale)
