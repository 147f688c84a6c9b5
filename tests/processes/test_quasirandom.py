import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg

SERIES = jax.jit(
    jax.vmap(bg.sample_quasirandom, (None, None, None, 0)),
    static_argnums=2,
)


def shares(tokens, words):
    """The share of each word among the sequences."""
    return np.array([(np.asarray(tokens) == word).all(1).mean() for word in np.asarray(words)])


@pytest.mark.parametrize("process", [bg.mess3(), bg.rrxor(), bg.bloch_walk()], ids=["mess3", "rrxor", "bloch_walk"])
@pytest.mark.parametrize("seed", [0, 1])
def test_shares_of_words_approach_their_probabilities_as_one_over_n(process, seed):
    """Within 6 / N, a fifth of the standard error of a word of probability 1/9 among N = 10,000 independent draws."""
    words = bg.words(process, 3)
    tokens = SERIES(jax.random.key(seed), process, 3, jnp.arange(10_000)).tokens
    found = shares(tokens, words.tokens)
    np.testing.assert_allclose(found, words.probabilities, atol=6e-4)
    np.testing.assert_allclose(found.sum(), 1, atol=1e-9)  # no word that is impossible


def test_one_index_over_all_shifts_has_the_law_of_the_process():
    process, words = bg.mess3(), bg.words(bg.mess3(), 2)
    keys = jax.random.split(jax.random.key(0), 20_000)
    tokens = jax.vmap(bg.sample_quasirandom, (0, None, None, None))(keys, process, 2, 12_345).tokens
    error = 4 * np.sqrt(words.probabilities / 20_000)  # four standard errors of independent draws
    assert (abs(shares(tokens, words.tokens) - words.probabilities) < error).all()


@pytest.mark.parametrize(
    "process", [bg.mess3(), bg.bloch_walk(), bg.product([bg.golden_mean(), bg.even()])], ids=["hmm", "ghmm", "product"]
)
def test_beliefs_and_log_probabilities_are_those_of_the_filter(process):
    drawn = bg.sample_quasirandom(jax.random.key(0), process, 9, 5)
    exact = bg.filter_beliefs(process, drawn.tokens)
    np.testing.assert_allclose(drawn.beliefs, exact.beliefs, atol=1e-5)
    np.testing.assert_allclose(drawn.log_probabilities, exact.log_probabilities, atol=1e-5)


def test_eager_is_jit_is_vmap_is_the_loop_and_compiles_once():
    key, process = jax.random.key(0), bg.mess3()
    chex.clear_trace_counter()
    one = jax.jit(chex.assert_max_traces(lambda index: bg.sample_quasirandom(key, process, 5, index), n=1))
    together = SERIES(key, process, 5, jnp.arange(3))
    for index in range(3):
        alone = bg.sample_quasirandom(key, process, 5, index)
        chex.assert_trees_all_close(one(index), alone, atol=1e-6)
        chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[index], together), alone, atol=1e-6)  # noqa: B023


def test_edges():
    key = jax.random.key(0)
    assert bg.sample_quasirandom(key, bg.mess3(), 0, 0).beliefs.shape == (1, 3)
    far = bg.sample_quasirandom(key, bg.coin(0.5), 3, 4_000_000_000)  # whole numbers modulo 2^32
    assert np.isfinite(far.log_probabilities).all()
    with pytest.raises(ValueError, match="length must be 0 or more; got -1"):
        bg.sample_quasirandom(key, bg.mess3(), -1, 0)
