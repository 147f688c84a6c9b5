import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32

import beliefgeo as bg
from beliefgeo.processes import sampling
from beliefgeo.processes.scalars import ScalarProcess
from tests import oracle
from tests.cases import ALL, signed_golden_mean

KEY = jax.random.key(7)


@pytest.mark.parametrize("name", ALL)
def test_beliefs_and_log_probabilities_are_those_of_the_tokens(name):
    process = ALL[name]()
    drawn = bg.sample(KEY, process, 30)
    tokens = np.asarray(drawn.tokens)
    assert tokens.min() >= 0 and tokens.max() < process.vocab_size
    np.testing.assert_array_equal(drawn.beliefs[0], process.initial)
    for t in (1, 2, 13, 30):
        np.testing.assert_allclose(drawn.beliefs[t], oracle.belief(process, tokens[:t]), atol=1e-5)
    exact = [np.log(oracle.conditional(process, tokens[:t])[tokens[t]]) for t in range(30)]
    np.testing.assert_allclose(drawn.log_probabilities, exact, atol=1e-5)


@pytest.mark.parametrize("name", ["mess3", "golden_mean", "signed_golden_mean", "leaky_rrxor"])
def test_scalar_and_vector_forms_agree(name):
    process = ALL[name]()
    noise = jax.random.uniform(KEY, (200,))
    vectors = sampling._sample_vectors(process, noise, process.initial)
    scalars = sampling._sample_scalars(ScalarProcess(process), noise, process.initial)
    np.testing.assert_array_equal(vectors.tokens, scalars.tokens)
    np.testing.assert_allclose(vectors.beliefs, scalars.beliefs, atol=2e-6)
    np.testing.assert_allclose(vectors.log_probabilities, scalars.log_probabilities, atol=2e-6)


@pytest.mark.parametrize("length", [0, 1, 2, 11, 128])
def test_uniform_numbers_are_those_of_jax(length):
    bits = threefry_2x32(jax.random.key_data(KEY), jnp.arange(length, dtype=jnp.uint32))
    expected = np.asarray(bits >> 8, np.float32) * 2.0**-24
    np.testing.assert_array_equal(sampling._uniforms(KEY, length, jnp.dtype("float32")), expected)


def test_large_processes_take_the_vector_form():
    assert ScalarProcess.of(bg.mess3()) is not None
    assert ScalarProcess.of(bg.days_of_week()) is None


@pytest.mark.parametrize("name", ["mess3", "rrxor", "signed_golden_mean", "days_of_week"])
def test_frequencies_of_words(name):
    process, n = ALL[name](), 40_000
    tokens = jax.vmap(lambda key: bg.sample(key, process, 3).tokens)(jax.random.split(KEY, n))
    index = np.asarray(tokens) @ (process.vocab_size ** np.arange(3)[::-1])
    counts = np.bincount(index, minlength=process.vocab_size**3)
    exact = np.array([oracle.joint_probability(process, w) for w in oracle.all_words(process.vocab_size, 3)])
    assert (counts[exact < 1e-9] == 0).all()
    possible = exact > 1e-9
    chi2 = ((counts - n * exact)[possible] ** 2 / (n * exact[possible])).sum()
    freedom = possible.sum() - 1
    assert chi2 < freedom + 5 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("u", [0.0, 1 - 2.0**-24])
def test_the_ends_of_the_unit_interval_never_draw_an_impossible_token(u):
    # Token 0 and the last are impossible from the second state of this process.
    process = bg.hmm([[[0, 0.1], [0, 0]], [[0, 0.2], [0.7, 0]], [[0, 0.3], [0.3, 0]], [[0, 0.4], [0, 0]]])
    noise = jnp.full(50, u)
    for drawn in (
        sampling._sample_vectors(process, noise, process.initial),
        sampling._sample_scalars(ScalarProcess(process), noise, process.initial),
    ):
        assert np.isfinite(drawn.log_probabilities).all() and np.isfinite(drawn.beliefs).all()


@pytest.mark.parametrize("length", [0, 1, 2])
def test_short_lengths(length):
    for process in (bg.mess3(), bg.days_of_week()):
        drawn = bg.sample(KEY, process, length)
        assert drawn.tokens.shape == drawn.log_probabilities.shape == (length,)
        assert drawn.beliefs.shape == (length + 1, process.n_states)
        np.testing.assert_array_equal(drawn.beliefs[0], process.initial)


def test_negative_length():
    with pytest.raises(ValueError, match="length must be 0 or more; got -1"):
        bg.sample(KEY, bg.mess3(), -1)


def test_eager_jit_vmap_and_loop_agree():
    for process in (bg.mess3(), bg.days_of_week()):
        keys = jax.random.split(KEY, 3)
        loop = [bg.sample(key, process, 9) for key in keys]
        jitted = jax.jit(bg.sample, static_argnums=2)
        batch = jax.jit(jax.vmap(bg.sample, (0, None, None)), static_argnums=2)(keys, process, 9)
        for index, key in enumerate(keys):
            np.testing.assert_array_equal(loop[index].tokens, jitted(key, process, 9).tokens)
            np.testing.assert_array_equal(loop[index].tokens, batch.tokens[index])
            np.testing.assert_allclose(loop[index].beliefs, batch.beliefs[index], atol=1e-6)


def test_new_values_do_not_recompile():
    chex.clear_trace_counter()
    traced = jax.jit(chex.assert_max_traces(lambda key, x: bg.sample(key, bg.mess3(x), 5).log_probabilities, n=1))
    for seed, x in enumerate((0.05, 0.1, 0.2)):
        traced(jax.random.key(seed), x)


def test_float64(x64):
    drawn = bg.sample(KEY, bg.mess3(), 40)
    tokens = np.asarray(drawn.tokens)
    np.testing.assert_allclose(drawn.beliefs[-1], oracle.belief(bg.mess3(), tokens), rtol=1e-12)


def test_gradient_of_the_likelihood_of_what_was_drawn(x64):
    # With the noise fixed tokens do not move under a small step, so the derivative is that of the log-probability.
    total = lambda x: bg.sample(KEY, bg.mess3(x), 12).log_probabilities.sum()
    numeric = (total(0.05 + 1e-6) - total(0.05 - 1e-6)) / 2e-6
    np.testing.assert_allclose(jax.grad(total)(0.05), numeric, rtol=1e-6)


def test_a_plain_observer_can_be_sampled():
    class Alternating:
        initial = jnp.array([1.0])

        def predict(self, belief):
            return jnp.where(belief[0] > 0, jnp.array([0.0, 1.0]), jnp.array([1.0, 0.0]))

        def update(self, belief, token):
            return -belief

    np.testing.assert_array_equal(bg.sample(KEY, Alternating(), 4).tokens, [1, 0, 1, 0])
    np.testing.assert_array_equal(bg.filter_beliefs(Alternating(), [1, 0]).beliefs[:, 0], [1, -1, 1])


def test_generalised_sampling_avoids_impossible_words():
    tokens = np.asarray(bg.sample(KEY, signed_golden_mean(), 5000).tokens)
    assert not (tokens[1:] & tokens[:-1]).any()
