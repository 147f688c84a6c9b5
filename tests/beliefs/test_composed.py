"""Posteriors that die and revive in compositions, and first and last tokens in the wrong place."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.filtering import filter_plainly
from beliefgeo.beliefs.scaled import filter_scaled
from tests import oracle

KEY = jax.random.key(43)
WORD = np.array([0] * 40 + [1] * 80)


def two_coins():
    return bg.mixture([bg.coin(0.9), bg.coin(0.1)], [0.5, 0.5])


def alternatives():
    return [[two_coins(), two_coins()], [bg.coin(0.5), bg.coin(0.5)]]


def pair():
    return bg.product([two_coins(), bg.coin(0.5)])


# Each with its words; a word of the pair is twice the word of the two coins, as the second coin stays 0.
COMPOSITIONS = {
    "switching": (lambda: bg.switching([bg.coin(0.9), bg.coin(0.1)]), WORD),
    "still_modes": (lambda: bg.switching([bg.coin(0.9), bg.coin(0.1)], np.eye(2), start=[0.5, 0.5]), WORD),
    "time_varying": (lambda: bg.time_varying([two_coins(), two_coins()]), WORD),
    "with_bos": (lambda: bg.with_bos(pair()), np.append(4, 2 * WORD)),
    "with_end": (lambda: bg.with_end(pair(), 0.1), 2 * WORD),
    "sentence": (lambda: bg.with_bos(bg.with_end(pair(), 0.1)), np.array([5, *(2 * WORD), 4, 4])),
    "conditional_transitions": (lambda: bg.conditional_transitions(alternatives()), 2 * WORD),
    "noisy_product": (lambda: bg.noisy_product([two_coins(), bg.coin(0.5)], 0.01), 2 * WORD),
    "of_compositions": (
        lambda: bg.product([bg.switching([bg.coin(0.9), bg.coin(0.1)]), bg.with_end(bg.coin(0.5), 0)]),
        3 * WORD,
    ),
}


@pytest.fixture(params=COMPOSITIONS)
def case(request):
    build, word = COMPOSITIONS[request.param]
    return build(), word


def truth(process, word):
    """ln P of each word that begins the word, by the joint's matrices in float64, whose range is wide enough."""
    joint = bg.joint(process)
    vector, matrices = np.asarray(joint.initial, np.float64), oracle.matrices(joint)
    vectors = [vector, *[vector := vector @ matrices[token] for token in word]]
    return np.log(vectors @ np.asarray(joint.readout, np.float64))


def test_a_posterior_that_dies_and_revives(case):
    process, word = case
    exact = truth(process, word)
    filtered = bg.filter_beliefs(process, word)
    np.testing.assert_allclose(filtered.log_probabilities, np.diff(exact), atol=2e-5)
    np.testing.assert_allclose(bg.log_probability(process, word), exact[-1], rtol=2e-6)
    traced = jax.jit(jax.vmap(lambda word: bg.log_probability(process, word)))(jnp.stack([jnp.asarray(word)] * 2))
    np.testing.assert_allclose(traced, [exact[-1]] * 2, rtol=2e-6)
    for t in (1, 80, len(word) - 1):  # the laws that follow, as the beliefs of the joint are others
        law = process.predict(filtered.beliefs[t])
        np.testing.assert_allclose(law[word[t]], np.exp(np.diff(exact)[t]), atol=2e-5)


def test_fully_conditional_factors_revive():
    process, exact = bg.fully_conditional(alternatives()), truth(pair(), 2 * WORD)
    np.testing.assert_allclose(bg.filter_beliefs(process, 2 * WORD).log_probabilities, np.diff(exact), atol=2e-5)


@pytest.mark.parametrize("name", ["switching", "time_varying", "noisy_product"])
def test_which_branch_runs(name):
    build, word = COMPOSITIONS[name]
    lost = lambda length: bool(filter_plainly(build(), jnp.asarray(word[:length]))[1])
    assert not lost(20) and lost(len(word))


def test_usual_sequences_take_the_plain_branch():
    clock = bg.switching([bg.mess3(), bg.mess3(0.15, 0.6)], [[0.99, 0.01], [0.02, 0.98]])
    for process in (clock, bg.noisy_product([bg.mess3(0.15, 0.6), bg.golden_mean()], 0.1)):
        tokens = bg.sample(KEY, process, 300).tokens
        plain, lost = filter_plainly(process, tokens)
        assert not lost
        beliefs, logarithms = filter_scaled(process, tokens)
        np.testing.assert_allclose(beliefs.at(jnp.int32(0)), plain.beliefs, atol=5e-6)
        np.testing.assert_allclose(logarithms, plain.log_probabilities, atol=5e-6)


def test_generalised_modes(x64):
    clock = bg.switching([bg.bloch_walk(1, 3), bg.bloch_walk(1, 2)], [[0.9, 0.1], [0.2, 0.8]])
    tokens = bg.sample(KEY, clock, 60).tokens
    beliefs, logarithms = filter_scaled(clock, tokens)
    plain = filter_plainly(clock, tokens)[0]
    np.testing.assert_allclose(beliefs.at(jnp.int32(0)), plain.beliefs, atol=1e-11)
    np.testing.assert_allclose(logarithms, plain.log_probabilities, atol=1e-11)


@pytest.mark.parametrize(
    "build",
    [
        lambda p: bg.switching([bg.coin(p), bg.coin(0.1)]),
        lambda p: bg.with_end(bg.product([bg.mixture([bg.coin(p), bg.coin(0.1)], [0.5, 0.5])]), 0.1),
    ],
)
def test_derivatives_of_a_posterior_that_revives(build, x64):
    word = jnp.array([0] * 400 + [1] * 400)
    gradient = jax.grad(lambda p: bg.log_probability(build(p), word))(0.9)
    np.testing.assert_allclose(gradient, 0.5 * (400 / 0.9 - 400 / 0.1), rtol=1e-10)  # the posteriors are equal


def test_first_and_last_tokens_in_the_wrong_place():
    """Impossible ones are -inf from there on, those outside the vocabulary NaN; beliefs are NaN throughout."""
    first, last = bg.with_bos(pair()), bg.with_end(pair(), 0.25)
    for process, word, expected in (
        (first, [0, 1], [-np.inf, -np.inf]),
        (first, [4, 4, 1], [0, -np.inf, -np.inf]),
        (first, [4, 7, 1], [0, np.nan, np.nan]),
        (first, [0, -1, 1], [-np.inf, np.nan, np.nan]),
        (last, [4], [-np.inf]),
        (last, [0, 4, 4], [np.log(0.25), np.log(0.25), 0]),
        (last, [0, 4, 0, 4], [np.log(0.25), np.log(0.25), -np.inf, -np.inf]),
        (last, [0, 4, 5, 4], [np.log(0.25), np.log(0.25), np.nan, np.nan]),
    ):
        beliefs, logarithms = jax.jit(lambda word, process=process: bg.filter_beliefs(process, word))(jnp.array(word))
        np.testing.assert_allclose(logarithms, expected, rtol=1e-6)
        np.testing.assert_array_equal(np.isnan(beliefs[1:]), ~np.isfinite(expected)[:, None] | np.isnan(beliefs[1:]))
        assert np.isnan(beliefs[1:]).all(1).tolist() == (~np.isfinite(expected)).tolist()
    assert bg.filter_beliefs(first, []).beliefs.shape == (1, 4)


class Own(eqx.Module):
    """An observer whose matrices are its own affair."""

    process: bg.Process

    @property
    def initial(self):
        return self.process.initial

    def predict(self, belief):
        return self.process.predict(belief)

    def update(self, belief, token):
        return self.process.update(belief, token)


@pytest.mark.parametrize(
    ("compose", "word"),
    [
        (lambda own: own, WORD),
        (bg.with_bos, np.append(2, WORD)),
        (lambda own: bg.product([own, bg.coin(1.0)]), 2 * WORD),
    ],
    ids=["alone", "with_bos", "factor"],
)
def test_of_an_observer_of_another_class_nothing_is_silently_lost(compose, word):
    process, exact = compose(Own(two_coins())), np.diff(truth(two_coins(), WORD))
    with pytest.raises(ValueError, match=r"below 1e-31 that is not 0: use float64"):
        bg.filter_beliefs(process, word)
    beliefs, logarithms = jax.jit(lambda word: bg.filter_beliefs(process, word))(jnp.asarray(word))
    begun = len(word) - len(WORD)
    np.testing.assert_allclose(logarithms[begun : begun + 30], exact[:30], rtol=1e-5)
    assert np.isnan(logarithms[40:]).all() and np.isnan(beliefs[40:]).all() and np.isfinite(beliefs[:30]).all()
    padded = np.append(word[:20], np.zeros(100, int))  # what stands after the end cannot spoil what comes before it
    np.testing.assert_allclose(bg.log_probability(process, padded, lengths=20), logarithms[:20].sum(), rtol=1e-6)
    with jax.enable_x64(True):
        np.testing.assert_allclose(bg.log_probability(compose(Own(two_coins())), word), exact.sum(), rtol=1e-7)
