import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.trees import count_words
from beliefgeo.processes.bos import with_bos
from tests import oracle
from tests.cases import ALL, CLASSICAL, signed_golden_mean


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_word_tree_against_the_oracle(name, precision):
    with jax.enable_x64(precision == "float64"):
        process = ALL[name]()
        tolerance = {"float32": 1e-5, "float64": 1e-10}[precision]
        tree = bg.word_tree(process, 3)
        expected = oracle.all_words(process.vocab_size, 3)
        np.testing.assert_array_equal(tree.tokens, expected)
        exact = np.array([oracle.joint_probability(process, word) for word in expected])
        np.testing.assert_allclose(tree.probabilities, exact, atol=tolerance)
        assert (np.asarray(tree.probabilities)[abs(exact) < 1e-9] == 0).all()
        for row in np.flatnonzero(exact > 1e-9)[:: max(1, len(exact) // 40)]:
            for t in range(4):
                np.testing.assert_allclose(
                    tree.beliefs[row, t], oracle.belief(process, expected[row][:t]), atol=tolerance
                )
        assert np.isnan(np.asarray(tree.beliefs)[abs(exact) < 1e-9, -1]).all()


@pytest.mark.parametrize("name", ALL)
def test_words_are_the_allowed_ones(name):
    process = ALL[name]()
    words, tree = bg.words(process, 3), bg.word_tree(process, 3)
    allowed = np.asarray(tree.probabilities) > 0
    np.testing.assert_array_equal(words.tokens, np.asarray(tree.tokens)[allowed])
    np.testing.assert_allclose(words.probabilities, tree.probabilities[allowed], atol=1e-6)
    np.testing.assert_allclose(words.beliefs, tree.beliefs[allowed], atol=1e-5)
    assert words.probabilities.dtype == words.beliefs.dtype == np.float64
    if name in CLASSICAL:
        assert count_words(process, 3) == len(words.tokens)
        np.testing.assert_allclose(words.probabilities.sum(), 1, rtol=1e-13)


def test_rrxor_has_436_words_and_1046_prefixes():
    words = bg.words(bg.rrxor(), 10)
    assert words.tokens.shape == (436, 10)
    assert sum(len(np.unique(words.tokens[:, :t], axis=0)) for t in range(1, 11)) == 1046


def test_belief_variances_of_the_reference():
    # Mean over coordinates; all words of length 10, positions 1..10.
    for process, unweighted, by_probability in [
        (bg.mess3(), 0.111151, 0.161140),
        (bg.mess3(0.15, 0.6), 0.040214, 0.044580),
        (bg.rrxor(), 0.082742, 0.074563),
    ]:
        words = bg.words(process, 10)
        beliefs = words.beliefs[:, 1:]
        np.testing.assert_allclose(beliefs.var((0, 1)).mean(), unweighted, atol=2e-6)
        shares = words.probabilities[:, None, None] / 10
        mean = (shares * beliefs).sum((0, 1))
        np.testing.assert_allclose((shares * (beliefs - mean) ** 2).sum((0, 1)).mean(), by_probability, atol=2e-6)


def test_no_length():
    words, tree = bg.words(bg.mess3(), 0), bg.word_tree(bg.mess3(), 0)
    assert words.tokens.shape == tree.tokens.shape == (1, 0)
    np.testing.assert_allclose(words.beliefs[0, 0], tree.beliefs[0, 0], rtol=1e-6)


def test_too_many_words_are_refused_before_they_are_made():
    for enumerate_words in (bg.words, bg.word_tree):
        with pytest.raises(
            ValueError, match=r"would hold 205,891,132,094,649 words, .* use a shorter length, or sample"
        ):
            enumerate_words(bg.mess3(), 30)
    # Also where the count is not known beforehand: a generalised process with long words.
    with pytest.raises(ValueError, match=r"at least [0-9,]+ words"):
        bg.words(signed_golden_mean(), 3_000_000)
    with pytest.raises(ValueError, match="length must be 0 or more; got -2"):
        bg.words(bg.mess3(), -2)


def test_long_words_where_few_are_allowed():
    assert bg.words(bg.cycle(2, 1.0), 60).tokens.shape == (2, 60)


def test_expand_is_one_update_of_each():
    process = bg.mess3()
    beliefs = bg.words(process, 2).beliefs[:, -1]
    expanded = bg.expand_beliefs(process, beliefs)
    for n in range(9):
        for token in range(3):
            expected = bg.update_belief(process, beliefs[n], token)
            np.testing.assert_allclose(expanded.beliefs[n, token], expected, atol=1e-6)
        np.testing.assert_allclose(expanded.probabilities[n], bg.predict_next_token(process, beliefs[n]), atol=1e-6)
    jitted = jax.jit(bg.expand_beliefs)(process, jnp.asarray(beliefs, jnp.float32))
    np.testing.assert_allclose(jitted.beliefs, expanded.beliefs, atol=1e-6)
    batched = jax.vmap(bg.expand_beliefs, (None, 0))(process, jnp.asarray(beliefs, jnp.float32)[:, None])
    np.testing.assert_allclose(batched.beliefs[:, 0], expanded.beliefs, atol=1e-6)


def test_tree_eager_jit_and_vmap_agree_and_compile_once():
    chex.clear_trace_counter()
    tree = chex.assert_max_traces(lambda x: bg.word_tree(bg.mess3(x), 4), n=1)
    jitted = jax.jit(tree)
    xs = jnp.array([0.05, 0.1, 0.3])
    batch = jax.vmap(lambda x: bg.word_tree(bg.mess3(x), 4))(xs)
    for index, x in enumerate(xs):
        eager, compiled = bg.word_tree(bg.mess3(x), 4), jitted(x)
        np.testing.assert_allclose(compiled.probabilities, eager.probabilities, rtol=1e-5)
        np.testing.assert_allclose(compiled.beliefs, eager.beliefs, atol=1e-6)
        np.testing.assert_allclose(compiled.probabilities, batch.probabilities[index], rtol=1e-5)
        np.testing.assert_allclose(compiled.beliefs, batch.beliefs[index], atol=1e-6)


def test_tree_gradients_are_finite_beside_impossible_words(x64):
    moment = lambda p: jnp.nansum(bg.word_tree(bg.golden_mean(p), 4).beliefs[..., 0] ** 2)
    numeric = (moment(0.4 + 1e-6) - moment(0.4 - 1e-6)) / 2e-6
    np.testing.assert_allclose(jax.grad(moment)(0.4), numeric, rtol=1e-6)


def test_words_of_compositions_are_counted():
    factors = [bg.golden_mean(), bg.rrxor(), bg.coin(0.3)]
    assert count_words(bg.product(factors), 4) == np.prod([count_words(factor, 4) for factor in factors])
    assert count_words(with_bos(bg.product(factors[:1])), 4) == count_words(bg.golden_mean(), 3)
    with pytest.raises(ValueError, match="count_words needs an HMM; got a generalised process"):
        count_words(bg.bloch_walk(), 3)
