"""Sparse autoencoders: a known dictionary, the number of active latents, masked sizes, mistakes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from beliefgeo.discovery.autoencoder import SparseAutoencoder, fit_sparse_autoencoder, fit_sparse_autoencoders


def mixed(seed=0, rows=2000, latents=6, width=8, active=2, scale=1.0):
    """Sums of two directions of a random dictionary, with random positive strengths, about a mean."""
    draw = np.random.default_rng(seed)
    dictionary = np.linalg.qr(draw.normal(size=(width, width)))[0][:latents]
    codes = np.zeros((rows, latents))
    for row in codes:
        row[draw.choice(latents, active, replace=False)] = draw.uniform(1, 2, active)
    return (codes @ dictionary + 3) * scale, dictionary, codes


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_a_known_dictionary_is_found(scale):
    activations, dictionary, codes = mixed(scale=scale)
    tried = fit_sparse_autoencoders(jax.random.key(0), activations, [8], 2, seeds=3, steps=1000)[8]
    found = min(tried, key=lambda one: one.unexplained)
    assert found.unexplained < 0.02
    # Every true direction is a direction of the decoder.
    assert (abs(dictionary @ np.asarray(found.decoder).T).max(1) > 0.98).all()
    np.testing.assert_allclose(jnp.linalg.norm(found.decoder, axis=1), 1, rtol=1e-5)
    # What is unexplained is what the reconstruction leaves.
    left = activations - np.asarray(found.decode(found.encode(activations)))
    total = ((activations - activations.mean(0)) ** 2).sum()
    assert found.unexplained == pytest.approx((left**2).sum() / total, rel=1e-3)


def test_codes_are_the_largest_and_exactly_so_many():
    activations, *_ = mixed()
    found = fit_sparse_autoencoder(jax.random.key(1), activations, 6, 3, steps=50)
    codes = np.asarray(found.encode(activations))
    assert ((codes != 0).sum(1) == 3).all()
    seen = (activations - np.asarray(found.bias)) @ np.asarray(found.encoder) + np.asarray(found.offset)
    np.testing.assert_allclose(np.sort(seen, 1)[:, -3:].sum(1), codes.sum(1), atol=1e-4)


def test_a_masked_size_is_what_it_is_alone():
    activations, *_ = mixed(rows=300)
    options = {"seeds": 2, "steps": 60, "batch": 32}
    both = fit_sparse_autoencoders(jax.random.key(2), activations, [4, 7], 2, **options)
    alone = fit_sparse_autoencoders(jax.random.key(2), activations, [4], 2, **options)
    for one, other in zip(both[4], alone[4], strict=True):
        np.testing.assert_allclose(one.decoder, other.decoder, atol=1e-3)
        assert one.unexplained == pytest.approx(other.unexplained, abs=1e-3)
    assert both[7][0].decoder.shape == (7, 8)
    assert abs(both[4][0].decoder - both[4][1].decoder).max() > 0.1  # another seed, another start


def test_weights_count_rows():
    activations, *_ = mixed(rows=200)
    weights = np.zeros(200)
    weights[:3] = 1
    broken = np.where(weights[:, None] > 0, activations, np.nan)  # rows of no weight may hold anything
    found = fit_sparse_autoencoder(jax.random.key(3), broken, 4, 1, weights=weights, steps=400)
    assert found.unexplained < 0.01  # three rows, a direction each


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"active": 5}, "got 5 active of 4"),
        ({"active": 0}, "active must be 1 or more; got 0"),
        ({"latents": 0}, "lower active, or take more latents"),
        ({"steps": 0}, "steps must be 1 or more"),
        ({"learning_rate": 0.0}, "learning_rate must be positive; got 0.0"),
        ({"activations": np.full((5, 2), np.nan)}, "activations must be finite; got 10 NaN"),
        ({"activations": np.ones((5, 2))}, "activations must vary"),
        ({"activations": np.ones(5)}, "take one site"),
        ({"weights": np.ones(3)}, "one for each of 5 rows"),
    ],
)
def test_mistakes(change, message):
    given = {"activations": np.eye(5), "latents": 4, "active": 1, **change}
    with pytest.raises(ValueError, match=message):
        fit_sparse_autoencoder(jax.random.key(0), **given)


def test_sizes_and_shapes_are_refused():
    with pytest.raises(ValueError, match="each once"):
        fit_sparse_autoencoders(jax.random.key(0), np.eye(5), [4, 4], 1, seeds=1)
    one = SparseAutoencoder(jnp.eye(3), jnp.zeros(3), jnp.eye(3), jnp.zeros(3), 1, 0.0)
    with pytest.raises(ValueError, match="of width 3"):
        one.encode(np.ones((2, 4)))
    with pytest.raises(ValueError, match="of 3 latents"):
        one.decode(np.ones((2, 4)))
