"""Smoothing, the likeliest path and drawn paths, against sums over every hidden path."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from tests import oracle

KEY = jax.random.key(47)
PROCESSES = {
    "mess3": bg.mess3,
    "rrxor": lambda: bg.rrxor(0.3, 0.6),
    "random": lambda: bg.random_hmm(jax.random.key(5), 4, 3, 0.4),
}


def paths(process, word):
    """Every hidden path of a word, None where a token is missing, with P(path, word)."""
    transitions, initial = oracle.matrices(process), np.asarray(process.initial, np.float64)
    matrices = [transitions.sum(0) if token is None else transitions[token] for token in word]
    every = np.array(list(itertools.product(range(len(initial)), repeat=len(word) + 1)))
    weights = initial[every[:, 0]]
    for t, matrix in enumerate(matrices):
        weights = weights * matrix[every[:, t], every[:, t + 1]]
    return every, weights


def smoothed_truth(process, word):
    every, weights = paths(process, word)
    return np.array([np.bincount(column, weights, len(process.initial)) for column in every.T]) / weights.sum()


@pytest.mark.parametrize("name", PROCESSES)
def test_against_a_sum_over_hidden_paths(name, x64):
    process = PROCESSES[name]()
    tokens = np.asarray(bg.sample(KEY, process, 5).tokens)
    every, weights = paths(process, tokens)
    beliefs, log_probability = bg.smooth_beliefs(process, tokens)
    np.testing.assert_allclose(beliefs, smoothed_truth(process, tokens), atol=1e-12)
    np.testing.assert_allclose(log_probability, np.log(weights.sum()), rtol=1e-12)
    np.testing.assert_allclose(beliefs[-1], bg.filter_beliefs(process, tokens).beliefs[-1], atol=1e-12)
    states, log_joint = bg.likeliest_path(process, tokens)
    np.testing.assert_allclose(log_joint, np.log(weights.max()), rtol=1e-12)
    np.testing.assert_allclose(weights[(every == np.asarray(states)).all(1)], weights.max(), rtol=1e-12)


@pytest.mark.parametrize("name", PROCESSES)
def test_tokens_that_were_not_observed(name, x64):
    process = PROCESSES[name]()
    tokens = np.asarray(bg.sample(KEY, process, 5).tokens)
    word = [int(tokens[0]), None, None, int(tokens[3]), None]
    stated = [-1 if token is None else token for token in word]
    smoothed = bg.smooth_beliefs(process, stated, missing=-1)
    np.testing.assert_allclose(smoothed.beliefs, smoothed_truth(process, word), atol=1e-12)
    _, weights = paths(process, word)
    np.testing.assert_allclose(smoothed.log_probability, np.log(weights.sum()), rtol=1e-12)
    np.testing.assert_allclose(bg.likeliest_path(process, stated, missing=-1)[1], np.log(weights.max()), rtol=1e-12)


def test_sequences_of_different_lengths():
    process = bg.mess3()
    words = np.array([[0, 1, 1, 2], [2, 2, -1, -1]])
    smoothed, path = (call(process, words, lengths=[4, 2]) for call in (bg.smooth_beliefs, bg.likeliest_path))
    for row, word in enumerate(([0, 1, 1, 2], [2, 2])):
        alone, line = bg.smooth_beliefs(process, word), bg.likeliest_path(process, word)
        np.testing.assert_allclose(smoothed.beliefs[row, : len(word) + 1], alone.beliefs, atol=1e-6)
        np.testing.assert_allclose(smoothed.log_probability[row], alone.log_probability, rtol=1e-6)
        assert path.states[row, : len(word) + 1].tolist() == line.states.tolist()
        np.testing.assert_allclose(path.log_probability[row], line.log_probability, rtol=1e-6)
    assert path.states[1, 2:].tolist() == [path.states[1, 2]] * 3


def test_drawn_paths_have_the_law_of_the_posterior():
    process, tokens = bg.rrxor(0.3, 0.6), [0, 1, 0, 0]
    every, weights = paths(process, tokens)
    possible = weights > 0
    keys = jax.random.split(KEY, 4000)
    drawn = np.asarray(jax.jit(jax.vmap(bg.sample_path, (0, None, None)))(keys, process, jnp.array(tokens)))
    counts = np.array([(drawn == path).all(1).sum() for path in every])
    assert counts[~possible].sum() == 0
    expected = 4000 * weights / weights.sum()
    statistic = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    assert statistic < possible.sum() - 1 + 5 * np.sqrt(2 * possible.sum())  # chi-squared, five standard deviations


def test_states_and_tokens_of_a_sample_have_their_joint_law():
    process = bg.mess3(0.1, 0.7)
    token_key, path_key = jax.random.split(KEY)
    tokens = jax.vmap(lambda key: bg.sample(key, process, 2).tokens)(jax.random.split(token_key, 6000))
    states = jax.vmap(bg.sample_path, (0, None, 0))(jax.random.split(path_key, 6000), process, tokens)
    drawn = np.bincount(np.asarray(states[:, 1] * 9 + states[:, 2] * 3 + tokens[:, 1]), minlength=27) / 6000
    exact = np.einsum("i,xij,yjk->jky", process.initial, process.transitions, process.transitions).ravel()
    np.testing.assert_allclose(drawn, exact, atol=5 * np.sqrt(exact.max() / 6000))


def test_posteriors_that_die_and_revive():
    process = bg.mixture([bg.coin(0.9), bg.coin(0.1)], [0.5, 0.5])
    word = [0] * 400 + [1] * 500
    smoothed, path = bg.smooth_beliefs(process, word), bg.likeliest_path(process, word)
    np.testing.assert_allclose(smoothed.beliefs, np.broadcast_to([0, 1], (901, 2)), atol=1e-6)
    assert set(path.states.tolist()) == {1} == set(bg.sample_path(KEY, process, word).tolist())
    exact = np.log(0.5) + 400 * np.log(0.1) + 500 * np.log(0.9)
    np.testing.assert_allclose(path.log_probability, exact, rtol=1e-6)
    np.testing.assert_allclose(smoothed.log_probability, exact, rtol=1e-6)


def test_a_long_sequence_keeps_its_digits():
    process = bg.mess3()
    tokens = bg.sample(KEY, process, 20_000).tokens
    short = bg.likeliest_path(process, tokens)
    with jax.enable_x64(True):
        exact = bg.likeliest_path(bg.mess3(), np.asarray(tokens))
    np.testing.assert_allclose(short.log_probability, exact.log_probability, rtol=1e-6)


@pytest.mark.parametrize("call", [bg.smooth_beliefs, bg.likeliest_path])
def test_impossible_tokens_and_mistakes(call):
    belief_or_states, log_probability = call(bg.golden_mean(), [0, 1, 1])
    assert log_probability == -np.inf
    assert np.isnan(belief_or_states).all() or (np.asarray(belief_or_states) == -1).all()
    assert np.isnan(jax.jit(call)(bg.mess3(), jnp.array([0, 7])).log_probability)
    with pytest.raises(ValueError, match="needs hidden states, and a generalised process has none"):
        call(bg.bloch_walk(), [0])
    with pytest.raises(TypeError, match="needs the hidden states of a Process; got Product: give its joint"):
        call(bg.product([bg.coin(), bg.coin()]), [0])
    with pytest.raises(ValueError, match="tokens must lie in 0..2; got 3"):
        call(bg.mess3(), [3])
    assert call(bg.mess3(), []).log_probability == 0 or call is bg.likeliest_path


def test_impossible_tokens_have_no_path():
    assert bg.sample_path(KEY, bg.golden_mean(), [0, 1, 1]).tolist() == [-1] * 4


def test_gradients(x64):
    word = jnp.array([0, 1, 0, 0, 1, 0])
    value = lambda p: bg.smooth_beliefs(bg.sns(p, 0.6), word).beliefs[2, 0]
    np.testing.assert_allclose(jax.grad(value)(0.3), (value(0.3 + 1e-6) - value(0.3 - 1e-6)) / 2e-6, rtol=1e-6)


@pytest.mark.parametrize("p", [0.3, 0.7])
def test_gradient_of_the_likeliest_path(p, x64):
    # 0 0 1 0 has p (1 - p) / (1 + p), 1 0 1 0 has p^2 / (1 + p): they cross at 1/2. Entries of 0 spoil nothing.
    value = lambda p: bg.likeliest_path(bg.golden_mean(p), jnp.array([0, 1, 0])).log_probability
    right = 1 / p - 1 / (1 - p) - 1 / (1 + p) if p < 0.5 else 2 / p - 1 / (1 + p)
    np.testing.assert_allclose([jax.grad(value)(p), jax.jit(jax.grad(value))(p)], right, rtol=1e-12)


def test_gradients_where_two_paths_are_equally_likely(x64):
    gradient = jax.grad(lambda p: bg.likeliest_path(bg.golden_mean(p), jnp.array([0, 1, 0])).log_probability)(0.5)
    np.testing.assert_allclose(gradient, -2 / 3, rtol=1e-12)  # that of the first path, of which the states are given


def test_of_equal_paths_the_first_in_order():
    swap = bg.hmm([[[0, 1.0], [1.0, 0]]], [0.5, 0.5])
    assert bg.likeliest_path(swap, [0]).states.tolist() == [0, 1]
    assert bg.likeliest_path(swap, [0, 0, 0]).states.tolist() == [0, 1, 0, 1]
    free = bg.hmm(np.full((2, 3, 3), 1 / 6))
    assert bg.likeliest_path(free, [0, 1, 1]).states.tolist() == [0] * 4
