import jax
import jax.numpy as jnp
import numpy as np
import pytest

from beliefgeo.beliefs.bottleneck import best_code, decoded, divergences, informations, mutual_information


def entropy(*chances):
    return -sum(p * np.log(p) for p in chances if p > 0)


def symmetric(flip):
    """A fair bit, read through a channel that flips it."""
    return jnp.array([0.5, 0.5]), jnp.array([[1 - flip, flip], [flip, 1 - flip]])


def test_the_best_code_of_a_fair_bit_is_a_channel_that_flips(x64):
    """By Mrs Gerber's lemma: rate ln 2 - h(a), predictive ln 2 - h(a * flip), and the slope is 1 / beta."""
    weights, laws = symmetric(0.1)
    code = best_code(weights, laws, 3.0, codes=4)
    a = np.linspace(1e-6, 0.5, 200_001)
    h = lambda p: -p * np.log(p) - (1 - p) * np.log(1 - p)
    rates, predictive = np.log(2) - h(a), np.log(2) - h(0.1 + 0.8 * a)
    best = np.argmin(rates - 3.0 * predictive)
    # The minimum is flat: a step of the grid moves the rate by 5e-6.
    np.testing.assert_allclose([code.rate, code.predictive], [rates[best], predictive[best]], atol=1e-5)


def test_ends(x64):
    """Nothing below the first useful trade-off, 1 / (1 - 2 flip)^2; the past itself where the future is worth much."""
    weights, laws = symmetric(0.1)
    np.testing.assert_allclose(best_code(weights, laws, 1 / 0.8**2 - 0.1).rate, 0, atol=1e-6)
    whole = best_code(weights, laws, 1000.0)
    np.testing.assert_allclose([whole.rate, whole.predictive], [np.log(2), np.log(2) - entropy(0.1, 0.9)], atol=1e-9)


def test_parts_by_hand(x64):
    weights, laws = jnp.array([0.5, 0.25, 0.25]), jnp.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    encoder = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    shares, decoder = decoded(weights, laws, encoder)
    np.testing.assert_allclose(shares, [0.75, 0.25])
    np.testing.assert_allclose(decoder, [[5 / 6, 1 / 6], [0, 1]])
    found = divergences(laws, decoder)
    expected = [[np.log(6 / 5), np.inf], [0.5 * np.log(0.6) + 0.5 * np.log(3), np.inf], [np.log(6), 0]]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    rate, predictive = informations(weights, laws, encoder)
    np.testing.assert_allclose(rate, entropy(0.75, 0.25))
    np.testing.assert_allclose(predictive, entropy(0.625, 0.375) - 0.75 * entropy(5 / 6, 1 / 6))
    assert mutual_information(jnp.outer(weights, shares)) == pytest.approx(0, abs=1e-12)


def test_one_program_for_many_laws(x64):
    """vmap over laws and trade-offs gives what a loop gives."""
    draws = np.random.default_rng(0).dirichlet(np.ones(3), (2, 6))
    weights, laws = jnp.full(6, 1 / 6), jnp.asarray(draws)
    solve = lambda one, beta: best_code(weights, one, beta, codes=4, iterations=50)
    together = jax.jit(jax.vmap(solve))(laws, jnp.array([5.0, 20.0]))
    for index, beta in enumerate([5.0, 20.0]):
        alone = solve(laws[index], beta)
        np.testing.assert_allclose(together.encoder[index], alone.encoder, atol=1e-9)
        np.testing.assert_allclose(together.predictive[index], alone.predictive, atol=1e-9)
