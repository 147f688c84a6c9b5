import chex
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.parallel import filter_beliefs_parallel
from beliefgeo.processes.factored import product
from beliefgeo.processes.quantum import bloch_walk, frdn
from tests import oracle
from tests.cases import ALL, signed_golden_mean, some_slow

KEY = jax.random.key(31)
CASES = {name: ALL[name] for name in ("golden_mean", "rrxor", "mess3", "signed_golden_mean")}
CASES |= {"bloch_walk": bloch_walk, "frdn": frdn}


@pytest.mark.parametrize("name", some_slow(CASES, ("golden_mean", "mess3", "frdn")))
def test_same_as_the_serial_filter(name):
    process = CASES[name]()
    tokens = bg.sample(KEY, process, 4096).tokens
    serial, parallel = bg.filter_beliefs(process, tokens), filter_beliefs_parallel(process, tokens)
    # Rounding of float32 a hundred times over: bloch_walk forgets slowly, and its probabilities are differences.
    np.testing.assert_allclose(parallel.beliefs, serial.beliefs, atol=2e-5)
    np.testing.assert_allclose(parallel.log_probabilities, serial.log_probabilities, atol=2e-5)


@pytest.mark.parametrize("name", ["rrxor", "frdn"])
def test_against_the_oracle(name, x64):
    process = CASES[name]()
    tokens = np.asarray(bg.sample(KEY, process, 13).tokens)
    filtered = filter_beliefs_parallel(process, tokens)
    np.testing.assert_allclose(filtered.beliefs, [oracle.belief(process, tokens[:t]) for t in range(14)], atol=1e-12)
    words = [oracle.joint_probability(process, tokens[:t]) for t in range(14)]
    np.testing.assert_allclose(filtered.log_probabilities, np.diff(np.log(words)), atol=1e-12)


@pytest.mark.parametrize("name", some_slow(["mess3", "rrxor", "bloch_walk", "frdn"], ("rrxor", "frdn")))
def test_a_million_tokens(name):
    process = CASES[name]()
    # Under jit the process is a constant, and the serial step one kernel.
    tokens = jax.jit(lambda key: bg.sample(key, process, 1_000_000).tokens)(KEY)
    short = float(jax.jit(lambda word: bg.log_probability(process, word))(tokens))
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), process)
        exact = jax.jit(lambda word: bg.filter_beliefs(wide, word).log_probabilities.sum())(np.asarray(tokens))
    np.testing.assert_allclose(short, float(exact), rtol=1e-6)
    if name == "bloch_walk":
        parallel = filter_beliefs_parallel(process, tokens).log_probabilities
        np.testing.assert_allclose(np.asarray(parallel, np.float64).sum(), float(exact), rtol=1e-6)


@pytest.mark.parametrize("process", [bg.golden_mean(), signed_golden_mean()])
@pytest.mark.parametrize("place", [0, 5, 700])
def test_an_impossible_word_is_undefined_from_there_on(process, place):
    tokens = np.asarray(bg.sample(KEY, process, 1000).tokens).copy()
    tokens[place : place + 3] = [0, 1, 1]
    beliefs, logarithms = filter_beliefs_parallel(process, tokens)
    end = place + 2  # the second one is impossible
    np.testing.assert_allclose(beliefs[: end + 1], bg.filter_beliefs(process, tokens[:end]).beliefs, atol=1e-6)
    assert np.isfinite(logarithms[:end]).all() and np.isneginf(logarithms[end:]).all()
    assert np.isnan(beliefs[end + 1 :]).all()


def test_rows_that_fall_at_different_rates():
    # Three coins nobody swaps; ones are .9, .1 or never. From state 1 alone the word falls by 2^-3000 more than from
    # state 0, and from state 2 it is impossible: neither may hide the belief of an observer who starts in 1 and 2.
    coins = [np.diag([0.1, 0.9, 1.0]), np.diag([0.9, 0.1, 0.0])]
    process = bg.hmm(coins, [0.0, 0.5, 0.5])
    filtered = filter_beliefs_parallel(process, np.ones(1000, int))
    np.testing.assert_allclose(filtered.beliefs[1:], np.broadcast_to([0, 1, 0], (1000, 3)), atol=1e-6)
    np.testing.assert_allclose(filtered.log_probabilities, np.log([0.05] + [0.1] * 999), rtol=1e-6)


def test_tokens_outside_the_vocabulary_and_other_mistakes():
    with pytest.raises(ValueError, match="tokens must lie in 0..2; got -1 at position 1"):
        filter_beliefs_parallel(bg.mess3(), [0, -1])
    with pytest.raises(ValueError, match=r"one sequence \[time\]; got shape \(1, 2\): use jax.vmap"):
        filter_beliefs_parallel(bg.mess3(), [[0, 1]])
    with pytest.raises(TypeError, match="multiplies the matrices of a Process; got Product: use filter_beliefs"):
        filter_beliefs_parallel(product([bg.mess3(), bg.coin()]), [0])
    for process in (bg.mess3(), signed_golden_mean()):
        beliefs, logarithms = jax.jit(filter_beliefs_parallel)(process, jnp.array([0, -1, 0]))
        assert np.isfinite(beliefs[:2]).all() and np.isnan(beliefs[2:]).all()
        assert np.isfinite(logarithms[0]) and np.isnan(logarithms[1:]).all()


@pytest.mark.parametrize("tokens", [[], [1]])
def test_hardly_any_tokens(tokens):
    serial, parallel = bg.filter_beliefs(bg.mess3(), tokens), filter_beliefs_parallel(bg.mess3(), tokens)
    np.testing.assert_allclose(parallel.beliefs, serial.beliefs, atol=1e-6)
    np.testing.assert_allclose(parallel.log_probabilities, serial.log_probabilities, atol=1e-6)


def test_batches_and_compilation():
    chex.clear_trace_counter()
    traced = chex.assert_max_traces(lambda x, word: filter_beliefs_parallel(bg.mess3(x), word), n=1)
    batched = jax.jit(jax.vmap(traced))
    words = jax.random.randint(KEY, (3, 7), 0, 3)
    for xs in (jnp.array([0.05, 0.1, 0.2]), jnp.array([0.01, 0.3, 0.4])):
        together = batched(xs, words)
        for index, (x, word) in enumerate(zip(xs, words, strict=True)):
            alone = bg.filter_beliefs(bg.mess3(float(x)), word)
            np.testing.assert_allclose(together.beliefs[index], alone.beliefs, atol=1e-6)
            np.testing.assert_allclose(together.log_probabilities[index], alone.log_probabilities, atol=1e-6)


@pytest.mark.parametrize("name", some_slow(["rrxor", "signed_golden_mean"], ("rrxor",)))
def test_gradients_by_every_entry(name, x64):
    # Also by the entries that are zero, and through the rows of zeros that they make.
    process = CASES[name]()
    tokens = bg.sample(KEY, process, 60).tokens
    weights = jax.random.normal(KEY, (61, process.n_states))

    def value(transitions, filtering):
        filtered = filtering(eqx.tree_at(lambda p: p.transitions, process, transitions), tokens)
        return (filtered.beliefs * weights).sum() + filtered.log_probabilities.sum()

    gradient = jax.grad(value)
    serial = gradient(process.transitions, bg.filter_beliefs)
    np.testing.assert_allclose(gradient(process.transitions, filter_beliefs_parallel), serial, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("process", [bg.golden_mean(), signed_golden_mean()])
def test_gradients_stay_finite_past_an_impossible_token(process):
    def value(transitions):
        filtered = filter_beliefs_parallel(eqx.tree_at(lambda p: p.transitions, process, transitions), [0, 1, 1, 0, 0])
        return filtered.beliefs[1, 0] + filtered.log_probabilities[:2].sum()

    def direct(transitions):
        vector, first = process.initial @ transitions[0], process.initial @ transitions[0] @ process.readout
        return vector[0] / first + jnp.log(vector @ transitions[1] @ process.readout)

    expected = jax.grad(direct)(process.transitions)
    np.testing.assert_allclose(jax.grad(value)(process.transitions), expected, atol=2e-5)
