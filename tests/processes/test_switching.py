"""Switching modes against matrices over (mode, state) built by hand, mixtures, and a covariance known by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from tests import oracle
from tests.processes.against_joint import assert_batched, assert_differentiable, assert_same, by_hand

MOVES = [[0.9, 0.1], [0.3, 0.7]]


def two():
    return [bg.golden_mean(0.3), bg.even(0.6)]


def test_the_joint_is_the_same_process(x64):
    transitions = np.zeros((2, 2, 2, 2, 2))
    for mode, process in enumerate(two()):
        for token, matrix in enumerate(oracle.matrices(process)):
            for following in range(2):
                transitions[token, mode, :, following, :] = matrix * MOVES[mode][following]
    initial = np.concatenate([0.75 * two()[0].initial, 0.25 * two()[1].initial])  # (.75, .25) is stationary
    assert_same(bg.switching(two(), MOVES), by_hand(transitions.reshape(2, 4, 4), initial), length=4, long=8)


def test_a_mode_that_never_moves_is_a_component_of_a_mixture(x64):
    many = jax.vmap(lambda key: bg.random_hmm(key, 2, 3))(jax.random.split(jax.random.key(3), 3))
    apart = [jax.tree.map(lambda leaf, index=index: leaf[index], many) for index in range(3)]
    start = [0.1, 0.2, 0.7]
    process, mixture = bg.switching(many, start=start), bg.mixture(apart, start)
    assert_same(process, mixture, length=2, long=5)
    last = bg.filter_beliefs(process, [0, 2, 1]).beliefs[-1]
    np.testing.assert_allclose(process.by_mode(last).sum(-1), bg.split_mixture(apart, last).posterior, rtol=1e-12)
    even = bg.switching(many)
    np.testing.assert_allclose(even.by_mode(even.initial).sum(-1), 1 / 3, rtol=1e-12)


def test_tokens_remember_the_slow_clock(x64):
    stay = 0.95
    clock = bg.switching([bg.coin(0.9), bg.coin(0.1)], [[stay, 1 - stay], [1 - stay, stay]])
    for lag in (1, 2, 4):  # E[(x_0 - 1/2)(x_lag - 1/2)] = .4^2 (2 stay - 1)^lag
        words = bg.words(clock, lag + 1)
        first, last = words.tokens[:, 0] - 0.5, words.tokens[:, -1] - 0.5
        np.testing.assert_allclose(words.probabilities @ (first * last), 0.16 * 0.9**lag, rtol=1e-12)


def test_words_of_float32_processes_are_enumerated_in_float64():
    clock = bg.switching([bg.coin(0.9), bg.coin(0.1)], [[0.7, 0.3], [0.1, 0.9]])
    words = bg.words(clock, 3)
    np.testing.assert_allclose(words.probabilities.sum(), 1, rtol=1e-14)
    np.testing.assert_allclose(words.beliefs.sum(-1), 1, rtol=1e-14)


def test_gradients_and_batches(x64):
    build = lambda p: bg.switching(two(), jnp.array([[1 - p, p], [p, 1 - p]]))
    words = jnp.array([[0, 1, 0, 0], [1, 0, 0, 1]])
    each = lambda p: jax.vmap(lambda word: bg.log_probability(build(p), word))(words)
    assert_differentiable(lambda p: each(p) @ jnp.array([1.0, 2.0]), 0.3)
    assert_batched(build(0.3), words)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bg.switching([]), "needs one process or more; got none"),
        (lambda: bg.switching(bg.coin()), "in a sequence or as one with a leading axis; got a single process"),
        (lambda: bg.switching([bg.coin(), bg.even()]), "of switching must have the same tokens"),
        (lambda: bg.switching(two(), [[1.0]]), r"needs moves of shape \(2, 2\), one entry a mode; got shape \(1, 1\)"),
        (lambda: bg.switching(two(), [[0.5, 0.4], [0, 1]]), "moves that are probabilities with sums of 1; got .*0.4"),
        (lambda: bg.switching(two(), start=[1.5, -0.5]), "start that are probabilities with sums of 1; got"),
        (lambda: bg.switching(two(), np.eye(2)), "unique|several closed"),
        (lambda: bg.switching(bg.stack([bg.bloch_walk(1, 3), bg.coin()])), "must share their readout"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
