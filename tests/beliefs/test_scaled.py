"""Posteriors that die in the range of a precision and must come back, and derivatives beside impossible tokens."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.filtering import filter_plainly
from beliefgeo.beliefs.scaled import filter_scaled, power_of_two, scaled
from tests import oracle
from tests.cases import ALL, signed_golden_mean

KEY = jax.random.key(41)


def two_coins():
    return bg.mixture([bg.coin(0.9), bg.coin(0.1)], [0.5, 0.5])


def rarely_told():
    """Six states, uniform moves; token 1 comes from state 0 only, token 2 from the others, each once in 1e37."""
    emissions = np.zeros((6, 3))
    emissions[0] = [1 - 1e-37, 1e-37, 0]
    emissions[1:] = [1 - 1e-37, 0, 1e-37]
    return bg.from_moore(np.full(6, 1 / 6), np.full((6, 6), 1 / 6), emissions)


def test_a_posterior_that_dies_and_revives():
    word = [0] * 40 + [1] * 80
    filtered = bg.filter_beliefs(two_coins(), word)
    # After k more ones than zeros the odds are 9^k : 1; ln P = ln(.5 .9^40 .1^80 + .5 .1^40 .9^80).
    exact = np.log(0.5) + 40 * np.log(0.1) + 80 * np.log(0.9) + np.log1p(9.0**-40)
    np.testing.assert_allclose(filtered.log_probabilities.sum(), exact, rtol=1e-6)
    np.testing.assert_allclose(filtered.beliefs[-1], [0, 1], atol=1e-7)
    np.testing.assert_allclose(filtered.beliefs[80], [0.5, 0.5], rtol=1e-4)
    np.testing.assert_allclose(bg.log_probability(two_coins(), word), exact, rtol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_far_below_the_range_of_either_precision(precision):
    # At the turn the odds are 9^-2000, 1e-1909; they come back to 9^1000.
    with jax.enable_x64(precision == "float64"):
        filtered = bg.filter_beliefs(two_coins(), [0] * 2000 + [1] * 3000)
        exact = np.log(0.5) + 2000 * np.log(0.1) + 3000 * np.log(0.9)
        np.testing.assert_allclose(filtered.log_probabilities.sum(), exact, rtol=2e-6)
        np.testing.assert_allclose(filtered.beliefs[4000], [0.5, 0.5], atol=2e-3 if precision == "float32" else 1e-10)
        np.testing.assert_allclose(filtered.beliefs[-1], [0, 1], atol=1e-7)


def test_a_token_that_only_a_dead_state_explains():
    process = bg.from_moore([0.5, 0.5], np.eye(2), [[0.999, 0.001, 0], [0.001, 0.998, 0.001]])
    word = [0] * 20 + [1] * 40 + [2]
    first, second = 20 * np.log(0.999) + 40 * np.log(0.001), 20 * np.log(0.001) + 40 * np.log(0.998)
    np.testing.assert_allclose(bg.log_probability(process, word), np.log(0.5) + second + np.log(0.001), rtol=1e-6)
    assert second - first > 100  # the first state had died before, and revived
    np.testing.assert_allclose(bg.log_probability(process, [0] * 60 + [2]), np.log(0.5) + 61 * np.log(0.001), rtol=1e-6)


def test_products_below_the_least_number():
    np.testing.assert_allclose(bg.log_probability(rarely_told(), [0, 1, 1, 0, 1, 2, 1, 1, 1, 0]), -607.30, atol=5e-3)


def test_generalised_components_revive():
    process = bg.mixture([bg.bloch_walk(1, 3), bg.bloch_walk(1, 2)], [0.5, 0.5])
    tokens = [*np.zeros(60, int), *np.arange(400) % 4]
    filtered = bg.filter_beliefs(process, tokens)
    apart = [bg.log_probability(part, tokens) for part in (bg.bloch_walk(1, 3), bg.bloch_walk(1, 2))]
    np.testing.assert_allclose(filtered.log_probabilities.sum(), np.logaddexp(*apart) - np.log(2), rtol=1e-5)
    with jax.enable_x64(True):
        wide = bg.mixture([bg.bloch_walk(1, 3), bg.bloch_walk(1, 2)], [0.5, 0.5])
        np.testing.assert_allclose(filtered.beliefs, bg.filter_beliefs(wide, tokens).beliefs, atol=1e-4)


@pytest.mark.parametrize("compose", [lambda part: bg.product([bg.coin(0.5), part]), lambda part: bg.product([part])])
def test_factors_revive(compose):
    process = compose(two_coins())
    word = np.array([0] * 40 + [1] * 80)
    exact = np.log(0.5) + 40 * np.log(0.1) + 80 * np.log(0.9) + (len(process.initial) - 2) * 120 * np.log(0.5)
    np.testing.assert_allclose(bg.log_probability(process, word), exact, rtol=1e-6)


def test_factors_of_a_tree_revive():
    # The second factor reads the other coin's tokens too, which tell nothing of it.
    tree = bg.factor_tree([bg.coin(0.5), [two_coins()] * 2, [two_coins()] * 2], [None, 0, 0])
    digits = np.array([np.arange(120) % 2, [0] * 40 + [1] * 80, [1] * 80 + [0] * 40])
    filtered = bg.filter_beliefs(tree, tree.join_tokens(digits))
    exact = np.log(0.5) + 40 * np.log(0.1) + 80 * np.log(0.9)
    np.testing.assert_allclose(filtered.log_probabilities.sum(), 120 * np.log(0.5) + 2 * exact, rtol=1e-6)
    np.testing.assert_allclose(filtered.beliefs[-1], [1, 0, 1, 0, 1], atol=1e-6)


def test_which_branch_runs():
    lost = lambda process, word: bool(filter_plainly(process, jnp.asarray(word))[1])
    for process in (bg.mess3(), bg.rrxor(), bg.days_of_week(), bg.bloch_walk(), bg.random_hmm(KEY, 9, 4)):
        assert not lost(process, bg.sample(KEY, process, 500).tokens)
    assert not lost(two_coins(), [0] * 30 + [1] * 30)
    assert lost(two_coins(), [0] * 40 + [1] * 80) and lost(rarely_told(), [0, 1])
    many = bg.mixture([bg.random_hmm(KEY, 9, 4), bg.random_hmm(jax.random.key(1), 9, 4)], [0.5, 0.5])  # as a matrix
    assert lost(many, jnp.zeros(2000, int)) and not lost(many, jnp.zeros(20, int))


def test_only_rows_of_a_batch_that_need_it_change():
    words = jnp.stack([jnp.arange(120) % 2, jnp.array([0] * 40 + [1] * 80)])
    together = jax.jit(jax.vmap(lambda word: bg.filter_beliefs(two_coins(), word)))(words)
    for word, beliefs, logs in zip(words, *together, strict=True):
        alone = bg.filter_beliefs(two_coins(), word)
        np.testing.assert_allclose(beliefs, alone.beliefs, atol=1e-6)
        np.testing.assert_allclose(logs, alone.log_probabilities, atol=1e-6)
    np.testing.assert_array_equal(together.beliefs[0], filter_plainly(two_coins(), words[0])[0].beliefs)


@pytest.mark.parametrize("name", ["mess3", "rrxor", "bloch_walk", "signed_golden_mean", "days_of_week"])
def test_scaled_and_plain_agree(name):
    process = ALL[name]()
    tokens = bg.sample(KEY, process, 100).tokens
    (beliefs, logs), plain = filter_scaled(process, tokens), filter_plainly(process, tokens)[0]
    np.testing.assert_allclose(beliefs.at(jnp.int32(0)), plain.beliefs, atol=5e-6)
    np.testing.assert_allclose(logs, plain.log_probabilities, atol=5e-6)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_numbers_and_exponents(precision):
    with jax.enable_x64(precision == "float64"):
        numbers = jnp.array([1e-37, 3.0, -0.75, 1.0, 2.0**100])
        values, exponents = scaled(numbers)
        assert ((0.5 <= abs(values)) & (abs(values) < 1)).all()
        np.testing.assert_array_equal(np.ldexp(np.asarray(values, float), exponents), np.asarray(numbers, float))
        wide = power_of_two(jnp.array([-3, 0, 5, -2000, 2000]), numbers.dtype)
        np.testing.assert_array_equal(wide, [0.125, 1, 32, 0, 2.0 ** (int(jnp.finfo(numbers.dtype).maxexp) - 1)])


def test_derivatives_before_an_impossible_token():
    # ln P([0]) = ln 1/(1 + p), ln P(1 | 0) = ln p: -1/(1 + p) + 1/p at 1/2.
    first_two = lambda p: bg.filter_beliefs(bg.golden_mean(p), jnp.array([0, 1, 1])).log_probabilities[:2].sum()
    np.testing.assert_allclose(jax.grad(first_two)(0.5), 4 / 3, rtol=1e-6)
    np.testing.assert_allclose(jax.jacfwd(first_two)(0.5), 4 / 3, rtol=1e-6)
    np.testing.assert_allclose(jax.hessian(first_two)(0.5), 1 / 1.5**2 - 4, rtol=1e-5)


@pytest.mark.parametrize("over", ["vmap", "jit", "loop"])
def test_derivatives_of_words_some_of_them_impossible(over):
    words = jnp.array([[0, 1, 0], [0, 1, 1]])

    def total(p):
        log = partial(bg.log_probability, bg.golden_mean(p))
        logs = jnp.stack([log(word) for word in words]) if over == "loop" else jax.vmap(log)(words)
        return jnp.exp(logs).sum()

    gradient = jax.grad(jax.jit(total) if over == "jit" else total)(0.5)
    np.testing.assert_allclose(gradient, 1 / 1.5**2, rtol=1e-6)  # P([0, 1, 0]) = p / (1 + p)


@pytest.mark.parametrize("build", [bg.golden_mean, lambda p: bg.product([bg.golden_mean(p), bg.coin(0.5)])])
def test_derivatives_of_a_padded_batch(build):
    words = jnp.array([[0, 1, 0], [0, -1, -1]])

    def loss(p):
        logs = jax.vmap(lambda word: bg.filter_beliefs(build(p), word).log_probabilities)(words)
        return jnp.where(words >= 0, logs, 0).sum()

    # Of the second tokens of a product, 0 and 1 are those of the first factor 0, of the coin 0 and 1.
    steps = np.array([loss(0.5 + 1e-2), loss(0.5 - 1e-2)], float)
    np.testing.assert_allclose(jax.grad(loss)(0.5), (steps[0] - steps[1]) / 2e-2, rtol=1e-3)
    assert np.isfinite(jax.jit(jax.grad(loss))(0.5))


def test_derivatives_of_an_observer_without_matrices():
    chain = lambda p: bg.chain([bg.golden_mean(p), [bg.coin(0.7), bg.coin(0.2)]])
    first = lambda p, word: bg.filter_beliefs(chain(p), word).log_probabilities[:2].sum()
    np.testing.assert_allclose(jax.jit(jax.grad(first))(0.5, jnp.array([0, 2, 2, -1])), 4 / 3, rtol=1e-5)


def test_derivatives_of_a_posterior_that_revives(x64):
    word = jnp.array([0] * 400 + [1] * 400)

    def value(p):
        return bg.log_probability(bg.mixture([bg.coin(p), bg.coin(0.1)], [0.5, 0.5]), word)

    # P = (p^400 (1 - p)^400 + .1^400 .9^400) / 2: the logarithm's slope weighs the two by their posteriors, 1/2 at .9.
    np.testing.assert_allclose(jax.grad(value)(0.9), 0.5 * (400 / 0.9 - 400 / 0.1), rtol=1e-10)


@pytest.mark.parametrize("build", [pytest.param(bg.rrxor, marks=pytest.mark.slow), signed_golden_mean])
def test_derivatives_by_every_entry(build, x64):
    """Also by those that are zero: against differences of the oracle's product of matrices."""
    process = build()
    tokens = np.asarray(bg.sample(KEY, process, 7).tokens)

    def value(transitions):
        moved = bg.Process(transitions, process.initial, process.readout, process.generalised)
        return bg.filter_beliefs(moved, tokens).log_probabilities.sum()

    gradient = np.asarray(jax.grad(value)(process.transitions))
    for entry in np.ndindex(*process.transitions.shape):
        shifted = [process.transitions.at[entry].add(step) for step in (1e-6, -1e-6)]
        ends = [bg.Process(one, process.initial, process.readout, process.generalised) for one in shifted]
        slope = np.diff([np.log(oracle.joint_probability(end, tokens)) for end in ends[::-1]]) / 2e-6
        # The sum of the logs telescopes: what each token divides by, the next one multiplies.
        np.testing.assert_allclose(gradient[entry], slope[0], atol=1e-6)
