"""Tokens that were not observed and sequences of different lengths, against the oracle's product of matrices."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from tests import oracle
from tests.cases import ALL, signed_golden_mean, some_slow

KEY = jax.random.key(43)
NAMES = ["mess3", "rrxor", "days_of_week", "bloch_walk", "signed_golden_mean"]


def observed_belief(process, word):
    """The belief after a word whose missing tokens are None, and its probability: sums of matrices stand for those."""
    vector = np.asarray(process.initial, np.float64)
    for token in word:
        vector = vector @ (oracle.matrices(process).sum(0) if token is None else oracle.matrices(process)[token])
    mass = vector @ np.asarray(process.readout, np.float64)
    return vector / mass, mass


@pytest.mark.parametrize("name", some_slow(NAMES, ("rrxor", "bloch_walk")))
def test_tokens_that_were_not_observed(name, x64):
    process = ALL[name]()
    tokens = np.asarray(bg.sample(KEY, process, 9).tokens)
    observed = np.array([1, 1, 0, 0, 1, 0, 1, 1, 0], bool)
    filtered = bg.filter_beliefs(process, tokens, observed=observed)
    word = [int(token) if seen else None for token, seen in zip(tokens, observed, strict=True)]
    masses = [observed_belief(process, word[:t])[1] for t in range(10)]
    for t in range(10):
        np.testing.assert_allclose(filtered.beliefs[t], observed_belief(process, word[:t])[0], atol=1e-12)
    np.testing.assert_allclose(filtered.log_probabilities, np.diff(np.log(masses)), atol=1e-12)
    assert (np.asarray(filtered.log_probabilities)[~observed] == 0).all()
    # What stands where nothing was observed does not count, and a stated token says the same as a mask.
    stated = np.where(observed, tokens, -1)
    for one, other in zip(filtered, bg.filter_beliefs(process, stated, missing=-1), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(bg.log_probability(process, stated, missing=-1), np.log(masses[-1]), atol=1e-12)


def test_a_sum_over_all_that_was_not_observed(x64):
    process = bg.rrxor(0.3, 0.6)
    words = [(0, a, b, 1, c) for a, b, c in itertools.product(range(2), repeat=3)]
    total = sum(oracle.joint_probability(process, word) for word in words)
    seen = bg.log_probability(process, [0, -9, -9, 1, -9], missing=-9)
    np.testing.assert_allclose(seen, np.log(total), rtol=1e-12)


@pytest.mark.parametrize("name", some_slow(NAMES, ("mess3", "rrxor", "bloch_walk")))
def test_sequences_of_different_lengths(name):
    process = ALL[name]()
    tokens = np.asarray(jax.vmap(bg.sample, (0, None, None))(jax.random.split(KEY, 4), process, 8).tokens)
    lengths = np.array([8, 3, 0, 5])
    padded = np.where(np.arange(8) < lengths[:, None], tokens, -7)
    together = bg.filter_beliefs(process, padded, lengths=lengths)
    totals = bg.log_probability(process, padded, lengths=lengths)
    for row, length in enumerate(lengths):
        alone = bg.filter_beliefs(process, tokens[row, :length])
        np.testing.assert_allclose(together.beliefs[row, : length + 1], alone.beliefs, atol=1e-6)
        np.testing.assert_allclose(together.log_probabilities[row, :length], alone.log_probabilities, atol=1e-6)
        after = np.asarray(together.beliefs[row, length:])
        np.testing.assert_allclose(after, np.broadcast_to(alone.beliefs[-1], after.shape), atol=1e-6)
        assert (np.asarray(together.log_probabilities[row, length:]) == 0).all()
        np.testing.assert_allclose(totals[row], bg.log_probability(process, tokens[row, :length]), atol=1e-5)
        one = bg.filter_beliefs(process, padded[row], lengths=int(length))
        np.testing.assert_allclose(one.beliefs, together.beliefs[row], atol=1e-6)


@pytest.mark.parametrize("build", [bg.golden_mean, lambda p: bg.product([bg.golden_mean(p), bg.golden_mean(0.3)])])
def test_gradients_of_different_lengths(build, x64):
    words = np.asarray(jax.vmap(bg.sample, (0, None, None))(jax.random.split(KEY, 3), build(0.5), 6).tokens)
    lengths = [6, 2, 4]
    padded = np.where(np.arange(6) < np.array(lengths)[:, None], words, -1)
    together = jax.grad(lambda p: bg.log_probability(build(p), padded, lengths=lengths).sum())(0.5)
    apart = lambda p: sum(bg.log_probability(build(p), word[:n]) for word, n in zip(words, lengths, strict=True))
    np.testing.assert_allclose(together, (apart(0.5 + 1e-6) - apart(0.5 - 1e-6)) / 2e-6, rtol=1e-6)


def test_factors_apart():
    pair = bg.product([bg.mess3(), bg.golden_mean()])
    tokens = np.asarray(bg.sample(KEY, pair, 8).tokens)
    observed = np.arange(8) % 3 > 0
    one = bg.filter_beliefs(pair, tokens, observed=observed, lengths=6)
    other = bg.filter_beliefs(bg.joint(pair), tokens, observed=observed, lengths=6)
    np.testing.assert_allclose(one.log_probabilities, other.log_probabilities, atol=2e-6)
    for t in range(9):
        np.testing.assert_allclose(jnp.kron(*pair.split_belief(one.beliefs[t])), other.beliefs[t], atol=2e-6)


def test_an_observer_without_matrices():
    chain = bg.chain([bg.mess3(), [bg.coin(0.7), bg.coin(0.2), bg.coin(0.4)]])
    tokens = np.asarray(bg.sample(KEY, chain, 6).tokens)
    ragged = bg.filter_beliefs(chain, np.where(np.arange(6) < 4, tokens, 99), lengths=4)
    alone = bg.filter_beliefs(chain, tokens[:4])
    np.testing.assert_array_equal(ragged.beliefs[:5], alone.beliefs)
    np.testing.assert_array_equal(ragged.beliefs[5:], np.broadcast_to(alone.beliefs[-1], (2, len(chain.initial))))
    np.testing.assert_array_equal(ragged.log_probabilities, [*alone.log_probabilities, 0, 0])
    with pytest.raises(
        TypeError, match=r"not observed moves the belief by the sum of the matrices.*FactorTree has none"
    ):
        bg.filter_beliefs(chain, tokens, missing=-1)


def test_impossible_words():
    # After 0 1 the second 1 is impossible, whatever was not observed later; one in between makes it possible.
    golden = bg.golden_mean()
    beliefs, logs = bg.filter_beliefs(golden, [0, 1, 1, -1, 0], missing=-1)
    assert np.isnan(beliefs[3:]).all() and np.isneginf(logs[2:]).all()
    assert bg.log_probability(golden, [0, 1, 1, 9], lengths=3) == -np.inf
    assert np.isfinite(bg.log_probability(golden, [0, 1, -1, 1], missing=-1))
    gradient = jax.grad(lambda p: bg.log_probability(bg.golden_mean(p), [0, 1, 1, 1], lengths=2))(0.5)
    np.testing.assert_allclose(gradient, 4 / 3, rtol=1e-5)


def test_jit_and_vmap():
    process = bg.rrxor()
    words, lengths = jnp.array([[0, 1, -1, 0], [1, -1, 0, 0]]), jnp.array([4, 3])
    alone = [bg.log_probability(process, w, missing=-1, lengths=int(n)) for w, n in zip(words, lengths, strict=True)]
    together = lambda words, lengths: bg.log_probability(process, words, missing=-1, lengths=lengths)
    np.testing.assert_allclose(jax.jit(together)(words, lengths), alone, atol=1e-6)
    np.testing.assert_allclose(jax.vmap(together)(words, lengths), alone, atol=1e-6)
    np.testing.assert_allclose(together(words, lengths), alone, atol=1e-6)


@pytest.mark.parametrize(
    ("tokens", "options", "error", "message"),
    [
        ([0, 1], {"observed": [True]}, ValueError, r"observed must be True or False for each token, of shape \(2,\)"),
        ([0, 1], {"observed": [1, 0]}, ValueError, r"observed must be True or False.*got int64 of shape \(2,\)"),
        ([0, 1], {"lengths": 3}, ValueError, r"lengths must lie in 0..2; got 3"),
        ([[0, 1], [1, 0]], {"lengths": [1]}, ValueError, r"lengths must be one a sequence, of shape \(2,\)"),
        ([[0, 1], [1, 0]], {"lengths": [1, -1]}, ValueError, r"lengths must lie in 0..2; got \[1, -1\]"),
        ([[0, 1], [1, 0]], {"missing": 0}, ValueError, r"one sequence \[time\].*use jax.vmap for a batch, or lengths"),
        ([0, 1], {"lengths": [1, 2]}, ValueError, r"one sequence \[time\]|batch"),
        ([0, 7, 1], {"missing": -1}, ValueError, r"tokens must lie in 0..2; got 7 at position 1"),
        ([0, -1, 1], {"lengths": 2}, ValueError, r"tokens must lie in 0..2; got -1 at position 1"),
        ([0, 1], {"lengths": 1.5}, TypeError, "lengths must be integers; got float64"),
        ([[0, 1], [1]], {}, ValueError, "rows of different lengths: pad them to one length and give lengths"),
    ],
)
def test_mistakes(tokens, options, error, message):
    with pytest.raises(error, match=message):
        bg.filter_beliefs(bg.mess3(), tokens, **options)


def test_a_generalised_process_of_signs(x64):
    # By cancellation an impossible token is 0 to rounding, and stays impossible beside what was not observed.
    process = signed_golden_mean()
    assert bg.log_probability(process, [-1, 1, 1], missing=-1) == -np.inf
    np.testing.assert_allclose(bg.log_probability(process, [1, -1, 1], missing=-1), np.log(1 / 3 / 2), rtol=1e-12)


CALLS = (
    bg.log_probability,
    lambda *a, **k: bg.smooth_beliefs(*a, **k)[1],
    lambda *a, **k: bg.likeliest_path(*a, **k)[1],
)


@pytest.mark.parametrize("call", CALLS, ids=["filter", "smooth", "likeliest"])
@pytest.mark.parametrize(("outside", "beyond"), [(2, 4), (3, 5), (-1, -1)])
def test_a_traced_token_outside_the_vocabulary_is_no_silence(call, outside, beyond):
    """The codes V and V + 1 are for tokens not observed and past the end; a caller's V or V + 1 is a mistake."""
    process, tokens = bg.coin(0.3), jnp.array([1, outside, 1])
    every = {"lengths": 3}, {"missing": -9}, {"observed": np.ones(3, bool)}
    for options in every:
        asked = lambda tokens, options=options: call(process, tokens, **options)
        assert np.isnan(jax.jit(asked)(tokens)) and np.isnan(jax.vmap(asked)(tokens[None])).all()
    pair = bg.product([process, process])
    assert np.isnan(jax.jit(lambda tokens: bg.log_probability(pair, tokens, lengths=3))(tokens.at[1].set(beyond)))
    # Past the end, and as the number that stands for a missing token, it is none.
    padded = jax.jit(lambda tokens: call(process, tokens, lengths=1))(tokens)
    np.testing.assert_allclose(padded, np.log(0.7), rtol=1e-6)
    missed = jax.jit(lambda tokens: call(process, tokens, missing=outside))(tokens)
    np.testing.assert_allclose(missed, call(process, [1, -1, 1], missing=-1), rtol=1e-6)


@pytest.mark.parametrize("call", CALLS, ids=["filter", "smooth", "likeliest"])
def test_traced_lengths_out_of_range(call):
    count = jax.jit(lambda lengths: call(bg.coin(0.3), jnp.array([1, 1, 0]), lengths=lengths))
    assert np.isnan(count(5)) and np.isnan(count(-2))
    np.testing.assert_allclose([count(0), count(2), count(3)], [0, 2 * np.log(0.7), np.log(0.7 * 0.7 * 0.3)], rtol=1e-6)
    several = jax.jit(lambda lengths: call(bg.coin(0.3), jnp.ones((2, 3), int), lengths=lengths))(jnp.array([4, 1]))
    assert np.isnan(several[0]) and np.isfinite(several[1])
    # The tokens are known here, but what counts of them is not: they too are compared before they are cast.
    wide = jax.jit(lambda lengths: call(bg.coin(0.3), np.array([0, 2**32 + 1]), lengths=lengths))
    assert np.isnan(wide(2)) and np.isfinite(wide(1))
