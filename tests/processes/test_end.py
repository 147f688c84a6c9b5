"""A last token: against the process widened by hand, and for observers that are none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.processes.bos import with_bos
from beliefgeo.processes.end import WithEnd, with_end
from beliefgeo.processes.process import Process
from tests import oracle
from tests.cases import signed_golden_mean
from tests.processes.against_joint import (
    assert_batched,
    assert_differentiable,
    assert_same,
    assert_unknown_tokens_are_refused,
    by_hand,
)

P = 0.3


def ended_by_hand(process, p):
    """One state more, reached with probability p after each token and never left, that emits the last token."""
    matrices, readout = oracle.matrices(process), np.asarray(process.readout, np.float64)
    vocab_size, n_states = matrices.shape[:2]
    transitions = np.zeros((vocab_size + 1, n_states + 1, n_states + 1))
    for token in range(vocab_size):
        transitions[token, :-1, :-1] = (1 - p) * matrices[token]
        transitions[token, :-1, -1] = p * matrices[token] @ readout
    transitions[-1, -1, -1] = 1
    return by_hand(transitions, np.append(process.initial, 0), np.append(readout, 1))


@pytest.mark.parametrize("build", [bg.mess3, pytest.param(signed_golden_mean, marks=pytest.mark.slow)])
def test_a_process_and_the_same_wrapped(build, x64):
    process = build()
    exact = ended_by_hand(process, P)
    widened = with_end(process, P)
    assert isinstance(widened, Process) and widened.generalised == process.generalised
    np.testing.assert_allclose(widened.transitions, exact.transitions, atol=1e-16)
    wrapped = WithEnd(process, jnp.asarray(P))
    assert_same(wrapped, exact, length=3, long=6)
    a, b = bg.words(widened, 3), bg.words(wrapped, 3)
    np.testing.assert_array_equal(a.tokens, b.tokens)
    np.testing.assert_allclose(a.beliefs, b.beliefs, atol=1e-13)


def test_another_observer(x64):
    process = bg.product([bg.coin(0.3), signed_golden_mean()])
    assert_same(with_end(process, P), ended_by_hand(process.joint(), P), length=3)


@pytest.mark.parametrize("inner", [bg.golden_mean(), bg.product([bg.golden_mean()])])
def test_lengths_are_geometric_and_the_end_lasts(inner):
    process = with_end(inner, P)
    end, words = process.vocab_size - 1, bg.words(process, 5)
    lengths = (words.tokens != end).sum(1)
    found = np.bincount(lengths, words.probabilities)
    np.testing.assert_allclose(found, [0, *(P * (1 - P) ** np.arange(4)), (1 - P) ** 4], rtol=1e-6)
    after = words.beliefs[lengths == 2][0]
    np.testing.assert_allclose(after[3:], [[0, 0, 1]] * 3, atol=1e-12)
    np.testing.assert_allclose(after[:3, -1], [0, P, P], rtol=1e-6)
    # Nothing but the end follows it, and it is not the first.
    for word, impossible in (([end], 0), ([0, end, 0], 2)):
        filtered = bg.filter_beliefs(process, word)
        assert np.isneginf(filtered.log_probabilities[impossible:]).all()
        assert np.isfinite(filtered.log_probabilities[:impossible]).all()
        assert np.isnan(filtered.beliefs[impossible + 1 :]).all()
    np.testing.assert_array_equal(process.predict(process.update(jnp.array([0.0, 0, 1]), jnp.int32(end))), [0, 0, 1])


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_never_and_at_once(p):
    for inner in (bg.golden_mean(), bg.product([bg.golden_mean()])):
        words = bg.words(with_end(inner, p), 3)
        if p:
            np.testing.assert_array_equal(words.tokens, [[0, 2, 2], [1, 2, 2]])
            np.testing.assert_allclose(words.probabilities, [2 / 3, 1 / 3], rtol=1e-6)
        else:
            np.testing.assert_array_equal(words.tokens, bg.words(bg.golden_mean(), 3).tokens)


def test_beside_a_first_token(x64):
    inner = bg.product([bg.coin(0.25), bg.coin(0.5)])
    sentences = with_bos(with_end(inner, P))  # 5 begins, 4 ends
    assert sentences.vocab_size == 6
    np.testing.assert_allclose(bg.log_probability(sentences, [5, 2, 4, 4]), np.log(0.375 * P), rtol=1e-12)
    np.testing.assert_allclose(bg.log_probability(sentences.joint(), [5, 2, 4, 4]), np.log(0.375 * P), rtol=1e-12)
    empty = with_end(with_bos(inner), P)  # 4 begins, 5 ends
    np.testing.assert_allclose(bg.log_probability(empty, [4, 5, 5]), np.log(P), rtol=1e-12)
    np.testing.assert_allclose(bg.log_probability(empty, [4, 2, 5]), np.log(0.7 * 0.375 * P), rtol=1e-12)


def test_unknown_tokens():
    process = with_end(bg.product([bg.golden_mean()]), P)
    assert_unknown_tokens_are_refused(process, process.update(process.initial, jnp.int32(0)))


def test_gradients_and_batches(x64):
    inner = lambda p: bg.hmm([[[1 - p, 0], [1, 0]], [[0, p], [0, 0]]], [0.7, 0.3])
    build = lambda p: with_end(bg.product([inner(p), bg.coin(p)]), p)
    words = jnp.array([[0, 3, 1, 4, 4], [2, 1, 0, 0, 0]])
    each = lambda p: jax.vmap(lambda word: bg.log_probability(build(p), word))(words)
    assert_differentiable(lambda p: each(p) @ jnp.array([1.0, 2.0]), 0.3)  # one that ended, one that did not
    assert_differentiable(lambda p: bg.block_entropies(build(p), 2)[-1], 0.3)  # also beside impossible words
    assert_batched(build(0.3), words)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: with_end(bg.coin(), 1.5), "with_end needs 0 <= p <= 1; got p=1.5"),
        (lambda: with_end(bg.coin(1e-25), 1e-20), r"with_end would hold products of probabilities as small as 1e-45"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
