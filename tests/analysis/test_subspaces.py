import numpy as np
import pytest

from beliefgeo.analysis.subspaces import deviations, effective_dimension, principal_subspace, subspace_overlap

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


def test_overlap_by_hand():
    axes = np.eye(4)
    assert float(subspace_overlap(axes[:2], axes[1:3])) == 0.5
    assert float(subspace_overlap(axes[:1], axes[:3])) == 1.0
    angle = np.array([[np.cos(0.3), np.sin(0.3), 0, 0]])
    np.testing.assert_allclose(subspace_overlap(axes[:1], angle), np.cos(0.3) ** 2, rtol=1e-6)
