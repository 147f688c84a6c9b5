from functools import partial

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


# One program for all tests: two pasts, two futures, four codes.
solve = jax.jit(jax.vmap(partial(best_code, codes=4, iterations=500)))


def test_the_best_code_of_a_fair_bit_is_a_channel_that_flips(x64):
    """Mrs Gerber's lemma: rate ln 2 - h(a), predictive ln 2 - h(a * flip), for the best a.

    Nothing is kept below the trade-off 1 / (1 - 2 flip)^2; the whole past is where the future is worth much. One
    program for several laws and trade-offs gives each what it gives alone.
    """
    weights, laws = (jnp.stack([one] * 3) for one in symmetric(0.1))
    code = solve(weights, laws, jnp.array([3.0, 1 / 0.8**2 - 0.1, 1000.0]))
    a = np.linspace(1e-6, 0.5, 200_001)
    h = lambda p: -p * np.log(p) - (1 - p) * np.log(1 - p)
    rates, predictive = np.log(2) - h(a), np.log(2) - h(0.1 + 0.8 * a)
    best = np.argmin(rates - 3.0 * predictive)
    # The minimum is flat: a step of the grid moves the rate by 5e-6.
    np.testing.assert_allclose(code.rate, [rates[best], 0, np.log(2)], atol=1e-5)
    np.testing.assert_allclose(code.predictive, [predictive[best], 0, np.log(2) - h(0.1)], atol=1e-5)
    np.testing.assert_allclose(code.decoder[0].max(), 1 - (0.1 + 0.8 * a[best]), atol=1e-5)


def test_parts_by_hand(x64):
    weights, laws = jnp.array([0.5, 0.25, 0.25]), jnp.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    encoder = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])

    @jax.jit
    def parts(weights, laws, encoder):
        shares, decoder = decoded(weights, laws, encoder)
        independent = mutual_information(jnp.outer(weights, shares))
        return shares, decoder, divergences(laws, decoder), informations(weights, laws, encoder), independent

    shares, decoder, found, (rate, predictive), independent = parts(weights, laws, encoder)
    np.testing.assert_allclose(shares, [0.75, 0.25])
    np.testing.assert_allclose(decoder, [[5 / 6, 1 / 6], [0, 1]])
    expected = [[np.log(6 / 5), np.inf], [0.5 * np.log(0.6) + 0.5 * np.log(3), np.inf], [np.log(6), 0]]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(rate, entropy(0.75, 0.25))
    np.testing.assert_allclose(predictive, entropy(0.625, 0.375) - 0.75 * entropy(5 / 6, 1 / 6))
    assert independent == pytest.approx(0, abs=1e-12)
