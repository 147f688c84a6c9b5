"""Transitions that vary with time against matrices over (phase, state) built by hand, and against plain products."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.processes.quantum import bloch_walk
from beliefgeo.processes.time_varying import time_varying
from tests import oracle
from tests.processes.against_joint import (
    assert_batched,
    assert_differentiable,
    assert_same,
    assert_unknown_tokens_are_refused,
    by_hand,
)


def three():
    return [bg.golden_mean(0.3), bg.even(0.6), bg.sns(0.2, 0.7)]


def quantum():
    return [bloch_walk(1, 3), bloch_walk(2, 1)]


def phases_by_hand(processes, back_to):
    """T^(x)[(t, i), (t', j)] = T_t^(x)[i, j], in loops over phases and tokens."""
    count, n_states = len(processes), processes[0].n_states
    transitions = np.zeros((processes[0].vocab_size, count, n_states, count, n_states))
    for phase, process in enumerate(processes):
        following = phase + 1 if phase + 1 < count else back_to
        for token, matrix in enumerate(oracle.matrices(process)):
            transitions[token, phase, :, following, :] = matrix
    size = count * n_states
    initial = np.concatenate([processes[0].initial, np.zeros(size - n_states)])
    readout = np.tile(processes[0].readout, count)
    return by_hand(transitions.reshape(-1, size, size), initial, readout)


@pytest.mark.parametrize(
    ("build", "back_to"),
    [
        (three, 1),
        pytest.param(three, 0, marks=pytest.mark.slow),
        pytest.param(three, 2, marks=pytest.mark.slow),
        pytest.param(quantum, 0, marks=pytest.mark.slow),
    ],
)
def test_the_joint_is_the_same_process(build, back_to, x64):
    assert_same(time_varying(build(), back_to=back_to), phases_by_hand(build(), back_to), length=3, long=8)


@pytest.mark.parametrize(("back_to", "schedule"), [(0, [0, 1, 2, 0, 1]), (1, [0, 1, 2, 1, 2]), (-1, [0, 1, 2, 2, 2])])
def test_token_t_comes_from_the_process_of_its_time(back_to, schedule, x64):
    words = bg.words(time_varying(three(), back_to=back_to), 5)
    for word, probability, beliefs in zip(*words, strict=True):
        vector = np.asarray(three()[0].initial)
        for phase, token in zip(schedule, word, strict=True):
            vector = vector @ oracle.matrices(three()[phase])[token]
        np.testing.assert_allclose(probability, vector.sum(), rtol=1e-12)
        last = beliefs[-1].reshape(3, 2)  # all the mass in the phase that comes next
        following = (schedule + [{0: 2, 1: 1, -1: 2}[back_to]])[5]
        np.testing.assert_allclose(last[following], vector / vector.sum(), atol=1e-12)
        assert abs(np.delete(last, following, 0)).max() == 0


def test_one_process_is_that_process_and_coins_take_turns(x64):
    alone, process = time_varying([bg.mess3()]), bg.mess3()
    np.testing.assert_allclose(alone.joint().transitions, process.transitions, atol=1e-16)
    coins = time_varying([bg.coin(0.9), bg.coin(0.2), bg.coin(0.5)])
    entropies = [bg.entropy_rate(bg.coin(p)) for p in (0.9, 0.2, 0.5)]
    np.testing.assert_allclose(bg.myopic_entropies(coins, 5), [*entropies, *entropies[:2]], rtol=1e-12)
    np.testing.assert_allclose(bg.stationary_distribution(coins), 1 / 3, rtol=1e-12)


def test_an_observer_who_does_not_know_the_time(x64):
    process, joint = time_varying(three()), phases_by_hand(three(), 0)
    lost = np.asarray(bg.stationary_distribution(process))
    for token in (0, 0, 1):
        law = np.einsum("i,xij->x", lost, oracle.matrices(joint))
        np.testing.assert_allclose(process.predict(jnp.asarray(lost)), law, atol=1e-14)
        np.testing.assert_allclose(process.by_mode(jnp.asarray(lost)).sum(), 1, rtol=1e-13)
        following = process.update(jnp.asarray(lost), jnp.int32(token))
        lost = lost @ oracle.matrices(joint)[token]
        lost = lost / lost.sum()
        np.testing.assert_allclose(following, lost, atol=1e-14)


def test_unknown_tokens():
    process = time_varying([bg.golden_mean(0.3), bg.even(0.6)])
    assert_unknown_tokens_are_refused(process, process.initial)


def test_gradients_and_batches(x64):
    golden = lambda p: bg.hmm([[[1 - p, 0], [1, 0]], [[0, p], [0, 0]]], [0.7, 0.3])
    build = lambda p: time_varying([golden(p), golden(p / 2)], back_to=1)
    words = jnp.array([[0, 1, 0, 0], [1, 0, 0, 1]])
    each = lambda p: jax.vmap(lambda word: bg.log_probability(build(p), word))(words)
    assert_differentiable(lambda p: each(p) @ jnp.array([1.0, 2.0]), 0.3)
    assert_batched(build(0.3), words)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: time_varying([]), "time_varying needs one process or more; got none"),
        (lambda: time_varying([bg.coin()], back_to=1), "back_to to be the number of one of its 1 processes; got 1"),
        (
            lambda: time_varying([bg.coin(), bg.golden_mean()]),
            r"of time_varying must have the same tokens .* process 1 have shape \(2, 2, 2\), of process 0 \(2, 1, 1\)",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
