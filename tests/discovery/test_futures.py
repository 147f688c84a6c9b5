"""Futures chained from laws: values against the oracle, and what a wrong model is told."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import discovery
from tests import oracle
from tests.discovery.models import Summing, futures, process


def without_first(laws):
    """A model that does not tell the law of the first token."""
    return lambda words: laws(words)[:, 1:]


@pytest.mark.parametrize("name", ["mess3", "z1r", "bloch_walk"])
def test_continuations_are_conditional_probabilities(name):
    one, found = process(name), futures(name)
    steps = found.future_length + 1
    words = list(itertools.product(range(one.vocab_size), repeat=steps))
    for row in [0, 1, len(found.words) // 2, len(found.words) - 1]:
        prefix = found.words[row, : found.length[row]].tolist()
        whole = oracle.joint_probability(one, prefix)
        assert found.probabilities[row] == pytest.approx(whole, rel=1e-5)
        for at in range(0, len(words), 7):
            joint = oracle.joint_probability(one, [*prefix, *words[at]])
            assert found.continuations[row, at] == pytest.approx(joint / whole, abs=1e-6)


def test_futures_and_laws_are_marginals():
    found = futures("mess3")
    np.testing.assert_allclose(found.after.sum(-1), found.laws)
    np.testing.assert_allclose(found.laws.sum(1), 1)
    np.testing.assert_allclose(found.futures.sum(1), 1)
    # The future of w x is told by the row of w, and is the row of w x.
    word = found.words[1, 0]
    after = found.after[0, word] / found.laws[0, word]
    np.testing.assert_allclose(after, found.futures[1], atol=1e-7)


def test_every_length_counts_the_same():
    found = futures("z1r")
    weights = np.bincount(found.length, found.weights)
    np.testing.assert_allclose(weights, 1 / len(weights))


def test_improbable_prefixes_are_dropped():
    laws = discovery.process_laws(bg.golden_mean(0.9))
    assert 1 - discovery.future_laws(laws, 6, 2, least=0.05).probabilities[-10:].min() < 0.95
    assert discovery.future_laws(laws, 6, 2, least=0.05).probabilities.min() >= 0.05
    assert [1, 1] not in discovery.future_laws(laws, 2, 2).words.tolist()


def test_the_first_token_of_a_stationary_process_is_found():
    # A network without a BOS does not tell the law of the first token.
    exact = discovery.process_laws(process("mess3"))
    guessed = discovery.future_laws(without_first(exact), 4, 3)
    np.testing.assert_allclose(guessed.continuations, futures("mess3").continuations, atol=1e-7)
    told = discovery.future_laws(without_first(exact), 2, 2, first=[0.5, 0.25, 0.25])
    np.testing.assert_allclose(told.laws[0], [0.5, 0.25, 0.25])


def test_arrays_give_what_the_model_gives():
    exact = discovery.process_laws(process("z1r"))
    words = np.array(list(itertools.product(range(2), repeat=6)))
    table = discovery.tabulated(words[::-1], exact(words)[::-1, 1:])
    again = discovery.future_laws(table, 3, 3)
    np.testing.assert_allclose(again.continuations, discovery.future_laws(exact, 3, 3).continuations, atol=1e-7)


def test_sampled_prefixes_count_as_often_as_they_occur():
    words = np.array([[0, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
    found = discovery.future_laws(discovery.process_laws(bg.golden_mean()), words, 2)
    assert found.words.tolist() == [
        [-1, -1, -1], [0, -1, -1], [1, -1, -1], [0, 0, -1], [0, 1, -1], [1, 0, -1], [0, 0, 1], [0, 1, 0], [1, 0, 0]
    ]  # fmt: skip
    np.testing.assert_allclose(4 * 4 * found.weights, [4, 3, 1, 1, 2, 1, 1, 2, 1])
    every = discovery.future_laws(discovery.process_laws(bg.golden_mean()), 3, 2)
    at = [every.words.tolist().index(word) for word in found.words.tolist()]
    np.testing.assert_allclose(found.continuations, every.continuations[at])
    np.testing.assert_allclose(found.probabilities, every.probabilities[at])


def test_a_network_gives_its_own_laws():
    network, params = Summing(), Summing().init(jax.random.key(0), 4)
    word = np.array([[0, 2, 1]])
    logits = np.asarray(network.apply(params, jnp.array([3, 0, 2, 1]))[0], np.float64)
    kept = np.exp(logits[:, :3]) / np.exp(logits[:, :3]).sum(1, keepdims=True)
    np.testing.assert_allclose(discovery.network_laws(network, params, bos=3)(word)[0], kept, rtol=1e-5)
    plain = np.asarray(jax.nn.softmax(network.apply(params, jnp.array([2, 0]))[0]))[:, [2, 0]]
    listed = discovery.network_laws(network, params, tokens=[2, 0])(np.array([[0, 1]]))[0]
    np.testing.assert_allclose(listed, plain / plain.sum(1, keepdims=True), rtol=1e-5)


def test_activations_belong_to_their_prefixes():
    network, params = Summing(), Summing().init(jax.random.key(0), 2)
    found = discovery.future_laws(discovery.process_laws(bg.golden_mean()), 3, 2)
    held, after = discovery.network_activations(network, params, found)
    assert np.isnan(held[0]).all() and np.isfinite(held[1:]).all()
    row = found.words.tolist().index([0, 1, -1])
    alone = network.apply(params, jnp.array([0, 1, 0]))[1]["resid_post"][-1]
    np.testing.assert_allclose(held[row], alone[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after[row, 0], alone[2], rtol=1e-4, atol=1e-5)


def test_a_model_is_told_what_is_wrong_with_it():
    even = np.full((2048, 6, 2), 0.5)
    with pytest.raises(ValueError, match=r"add up to 1.*softmax"):
        discovery.future_laws(lambda words: even * 3, 3, 3)
    with pytest.raises(ValueError, match=r"add up to 1"):
        discovery.future_laws(lambda words: even * np.nan, 3, 3)
    with pytest.raises(ValueError, match=r"laws must give \[word, time, token\]"):
        discovery.future_laws(lambda words: even[:, 0], 3, 3)
    never = np.zeros((2048, 6, 3)) + [0.5, 0.5, 0]
    with pytest.raises(ValueError, match=r"token 2 of 3 never is .*BOS"):
        discovery.future_laws(lambda words: never, 3, 3)
    with pytest.raises(ValueError, match=r"1 token or more"):
        discovery.future_laws(lambda words: even, 3, 0)
    with pytest.raises(ValueError, match=r"first must be a law"):
        discovery.future_laws(lambda words: even, 3, 3, first=[0.5, 0.7])
    with pytest.raises(ValueError, match=r"all words of 2 tokens"):
        discovery.tabulated([[0, 0], [1, 1]], np.full((2, 2, 2), 0.5))(np.array([[0, 1]]))
    with pytest.raises(ValueError, match=r"hold words of 2"):
        discovery.future_laws(discovery.tabulated([[0, 0], [1, 1]], np.full((2, 2, 2), 0.5)), 2, 2)
    laws = discovery.process_laws(bg.golden_mean())
    with pytest.raises(TypeError, match=r"laws must be a function .*process_laws"):
        discovery.future_laws(bg.golden_mean(), 3, 3)
    for wrong in ([[0, 2]], [[0, -1]], [[0.0, 1.0]]):
        with pytest.raises(ValueError, match=r"prefixes must be words of one length, of integers in 0..1"):
            discovery.future_laws(laws, wrong, 2)
    with pytest.raises(ValueError, match=r"every prefix of 2 tokens is dropped"):
        discovery.future_laws(laws, [[1, 1], [1, 1]], 2)
    with pytest.raises(ValueError, match=r"would take .* GiB"):
        discovery.future_laws(laws, 2, 40)
    with pytest.raises(ValueError, match=r"2 sets of tokens apart.*give first="):
        discovery.future_laws(lambda words: np.eye(2)[words], 2, 2)
    network, params = Summing(), Summing().init(jax.random.key(0), 3)
    for wrong in ({"tokens": [0, 0]}, {"tokens": [0, 3]}, {"tokens": [0, 2], "bos": 2}):
        with pytest.raises(ValueError, match=r"each once and without the BOS"):
            discovery.network_laws(network, params, **wrong)(np.zeros((1, 2), int))


def test_an_impossible_word_of_a_sample_is_dropped():
    laws = discovery.process_laws(bg.golden_mean())
    found = discovery.future_laws(laws, [[1, 1, 0], [0, 1, 0], [0, 0, 1]], 2)
    assert [1, 1, -1] not in found.words.tolist() and [1, 1, 0] not in found.words.tolist()
    np.testing.assert_allclose(np.bincount(found.length, found.weights), 1 / 4)
    assert discovery.future_laws(laws, np.int64(2), 2).words.shape == (6, 2)


def test_words_longer_than_any_number():
    words = np.zeros((2, 70), int)
    words[1, 0] = 1
    laws = np.zeros((2, 70, 2))
    laws[1, :, 1] = 1
    assert discovery.tabulated(words, laws)(words[1:])[0, 0].tolist() == [0, 1]
