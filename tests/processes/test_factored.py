"""Products, chains and a first token against their joint, built by hand."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.processes.bos import WithBos, with_bos
from beliefgeo.processes.chain import chain
from beliefgeo.processes.factored import factored_mess3_bloch, joint, product, require_observer
from beliefgeo.processes.quantum import bloch_walk
from tests import oracle
from tests.cases import signed_golden_mean

KEY = jax.random.key(3)


def small_product():
    return product([bg.golden_mean(), signed_golden_mean(), bg.mess3()])


def small_chain():
    middle = [bg.hmm(bg.golden_mean(p).transitions, [0.7, 0.3]) for p in (0.3, 0.6)]
    return chain([bg.even(0.4), middle, [bloch_walk(1, 3), bloch_walk(2, 1)]])


def nested():
    return product([small_chain(), product([bg.coin(0.3), bg.golden_mean()])])


COMPOSED = {
    "product": small_product,
    "chain": small_chain,
    "nested": nested,
    "with_bos": lambda: with_bos(small_product()),
}


def paths_by_factor(process, word):
    """Unnormalised factor beliefs after a word of factor tokens, and the readouts, in NumPy loops."""
    first, *later = process.factors
    chained = hasattr(process, "parents")
    vectors, readouts = [], []
    for n, factor in enumerate([first, *later]):
        alternatives = factor if isinstance(factor, tuple) else (factor,)
        vector = np.asarray(alternatives[0].initial, np.float64)
        for tokens in word:
            chosen = alternatives[tokens[n - 1] if chained and n else 0]
            vector = vector @ oracle.matrices(chosen)[tokens[n]]
        vectors.append(vector)
        readouts.append(np.asarray(alternatives[0].readout, np.float64))
    return vectors, readouts


@pytest.mark.parametrize("build", [small_product, small_chain])
def test_beliefs_and_probabilities_factor_by_factor(build, x64):
    process = build()
    sizes = process.vocab_sizes
    tree = bg.words(process, 2)
    probabilities = dict(zip(map(tuple, tree.tokens.tolist()), tree.probabilities, strict=True))
    beliefs = dict(zip(map(tuple, tree.tokens.tolist()), tree.beliefs[:, -1], strict=True))
    for word in itertools.product(range(process.vocab_size), repeat=2):
        digits = [np.unravel_index(token, sizes) for token in word]
        vectors, readouts = paths_by_factor(process, digits)
        masses = [v @ w for v, w in zip(vectors, readouts, strict=True)]
        if np.prod(masses) < 1e-13:
            assert word not in probabilities
            continue
        np.testing.assert_allclose(probabilities[word], np.prod(masses), rtol=1e-12)
        expected = np.concatenate([v / m for v, m in zip(vectors, masses, strict=True)])
        np.testing.assert_allclose(beliefs[word], expected, atol=1e-12)
    np.testing.assert_allclose(tree.probabilities.sum(), 1, rtol=1e-12)


@pytest.mark.parametrize("name", COMPOSED)
def test_the_joint_is_the_same_process(name, x64):
    process = COMPOSED[name]()
    whole = joint(process)
    assert whole.vocab_size == process.vocab_size and joint(whole) is whole
    rng, tokens = np.random.default_rng(0), []
    for _ in range(12):
        tokens.append(int(rng.choice(whole.vocab_size, p=abs(oracle.conditional(whole, tokens)))))
    filtered = bg.filter_beliefs(process, tokens)
    for t in (0, 1, 2, 12):
        law = process.predict(filtered.beliefs[t])
        np.testing.assert_allclose(law, oracle.conditional(whole, tokens[:t]), atol=1e-12)
    exact = np.log(oracle.joint_probability(whole, tokens))
    np.testing.assert_allclose(filtered.log_probabilities.sum(), exact, rtol=1e-12)


def test_the_joint_belief_is_the_product_of_the_factors_beliefs(x64):
    process = small_product()
    belief, word = process.initial, (0, 7, 1, 5)
    for token in word:
        belief = process.update(belief, jnp.array(token))
    a, b, c = process.split_belief(belief)
    whole = oracle.belief(process.joint(), word)
    np.testing.assert_allclose(np.einsum("i,j,k->ijk", a, b, c).ravel(), whole, atol=1e-12)
    assert not joint(product([bg.coin(), bg.z1r()])).generalised


def test_two_coins_of_the_reference():
    process = chain([bg.coin(0.6), [bg.coin(0.7), bg.coin(0.2)]])
    np.testing.assert_allclose(process.predict(process.initial), [0.42, 0.18, 0.08, 0.32], atol=1e-7)


def test_a_chain_whose_processes_are_all_one_is_a_product(x64):
    chained, side_by_side = chain([bg.z1r(), [bg.mess3()] * 2]), product([bg.z1r(), bg.mess3()])
    np.testing.assert_allclose(chained.joint().transitions, side_by_side.joint().transitions, atol=1e-15)


def test_tokens_split_and_join():
    for process in (small_product(), small_chain()):
        tokens = jnp.arange(process.vocab_size).reshape(2, -1)
        digits = process.split_token(tokens)
        np.testing.assert_array_equal(np.stack(digits), np.unravel_index(tokens, process.vocab_sizes))
        np.testing.assert_array_equal(process.join_tokens(digits), tokens)
        for outside in (-1, process.vocab_size):
            assert [int(digit) for digit in process.split_token(jnp.array(outside))] == [-1, -1, -1]
        # Lists and NumPy arrays are read like JAX ones, under jit too.
        lists = [np.asarray(digit).tolist() for digit in process.split_token(np.asarray(tokens).tolist())]
        assert lists == [
            np.asarray(digit).tolist() for digit in jax.jit(lambda x, process=process: process.split_token(x))(tokens)
        ]
        np.testing.assert_array_equal(process.join_tokens(lists), tokens)
        np.testing.assert_array_equal(process.join_tokens(np.array(lists)), tokens)


def test_beliefs_split():
    process = small_product()
    beliefs = np.arange(14.0).reshape(2, 7)  # of 2, 2 and 3 states
    for given in (beliefs, beliefs.tolist(), jnp.asarray(beliefs)):
        first, second, third = process.split_belief(given)
        assert first.tolist() == [[0, 1], [7, 8]] and second.tolist() == [[2, 3], [9, 10]]
        assert third.tolist() == [[4, 5, 6], [11, 12, 13]]


@pytest.mark.parametrize("name", ["product", "chain", "with_bos"])
def test_impossible_and_unknown_tokens(name):
    process = COMPOSED[name]()
    start = process.initial if name != "with_bos" else process.update(process.initial, jnp.array(12))
    for outside in (-1, process.vocab_size):
        with pytest.raises(ValueError, match=rf"tokens must lie in 0..{process.vocab_size - 1}; got {outside}"):
            bg.filter_beliefs(process, [outside])
        assert np.isnan(jax.jit(bg.update_belief)(process, start, jnp.int32(outside))).all()
    # Two ones in a row are impossible in the golden mean factor: all of the belief is undefined.
    word = {"product": [6, 6], "chain": [6, 6], "with_bos": [12, 6, 6]}[name]
    filtered = bg.filter_beliefs(process, [*word, 0])
    assert np.isfinite(filtered.beliefs[len(word) - 1]).all() and np.isfinite(filtered.log_probabilities[0])
    assert np.isnan(filtered.beliefs[len(word) :]).all()
    assert np.isneginf(filtered.log_probabilities[len(word) - 1 :]).all()
    assert bg.log_probability(process, [*word, 0]) == -jnp.inf


@pytest.mark.parametrize("build", [signed_golden_mean, small_product])
def test_a_first_token_shifts_by_one(build, x64):
    process, begun = build(), with_bos(build())
    bos, word = begun.vocab_size - 1, [0, 1, 0]
    shifted = bg.filter_beliefs(begun, [bos, *word])
    assert shifted.beliefs[0].tolist() == [0] * len(process.initial) + [1]
    plain = bg.filter_beliefs(process, word)
    np.testing.assert_allclose(shifted.beliefs[1:, :-1], plain.beliefs, atol=1e-14)
    np.testing.assert_array_equal(shifted.beliefs[1:, -1], 0)
    np.testing.assert_allclose(shifted.log_probabilities, np.append(0, plain.log_probabilities), atol=1e-14)
    np.testing.assert_array_equal(begun.predict(begun.initial), np.eye(begun.vocab_size)[bos])
    # Nothing but the first token may come first, and it never comes again.
    for t, impossible in ((0, [*word, 0]), (1, [bos, bos, 0, 0]), (3, [bos, 0, 0, bos])):
        filtered = bg.filter_beliefs(begun, impossible)
        assert np.isneginf(filtered.log_probabilities).tolist() == [s >= t for s in range(4)]
        assert np.isnan(filtered.beliefs).all(1).tolist() == [s > t for s in range(5)]


def test_the_wrapped_and_the_widened_process_are_one(x64):
    for process in (bg.golden_mean(), signed_golden_mean()):
        tree, wrapped = bg.words(with_bos(process), 4), bg.words(WithBos(process), 4)
        np.testing.assert_array_equal(tree.tokens, wrapped.tokens)
        np.testing.assert_allclose(tree.probabilities, wrapped.probabilities, atol=1e-14)
        np.testing.assert_allclose(tree.beliefs, wrapped.beliefs, atol=1e-13)


def test_the_five_factors_optimum(x64):
    process = factored_mess3_bloch()
    assert process.vocab_sizes == (3, 3, 3, 4, 4)
    by_factor = sum(bg.myopic_entropies(factor, 8) for factor in (bg.mess3(0.15, 0.6), bloch_walk(1, 3)) for _ in "ab")
    by_factor = by_factor + bg.myopic_entropies(bg.mess3(0.15, 0.6), 8)
    np.testing.assert_allclose(by_factor.mean(), 5.9256, rtol=0, atol=5e-5)
    np.testing.assert_allclose(bg.myopic_entropies(process, 2), by_factor[:2], rtol=1e-12)


def test_the_five_factors_sample_filter_and_enumerate():
    process = factored_mess3_bloch()
    keys = jax.random.split(KEY, 16)
    drawn = jax.jit(jax.vmap(lambda key: bg.sample(key, process, 12)))(keys)
    filtered = jax.jit(jax.vmap(lambda tokens: bg.filter_beliefs(process, tokens)))(drawn.tokens)
    np.testing.assert_allclose(filtered.beliefs, drawn.beliefs, atol=1e-5)
    np.testing.assert_allclose(filtered.log_probabilities, drawn.log_probabilities, atol=1e-5)
    # Each factor's beliefs and probabilities are those of the factor alone, in the oracle.
    for row in range(3):
        digits = [np.asarray(digit) for digit in process.split_token(drawn.tokens[row])]
        for factor, belief, word in zip(process.factors, process.split_belief(drawn.beliefs[row]), digits, strict=True):
            np.testing.assert_allclose(belief[-1], oracle.belief(factor, word), atol=1e-5)
        exact = sum(
            np.log(oracle.joint_probability(factor, word)) for factor, word in zip(process.factors, digits, strict=True)
        )
        np.testing.assert_allclose(drawn.log_probabilities[row].sum(), exact, atol=1e-4)
    words = bg.words(process, 1)
    np.testing.assert_array_equal(words.tokens[:, 0], np.arange(432))
    np.testing.assert_allclose(words.probabilities.sum(), 1, rtol=1e-6)


def test_gradients_by_the_parameters_of_the_factors(x64):
    side_by_side = lambda p: product([bg.golden_mean(p), bg.coin(p)])
    in_a_row = lambda p: chain([bg.coin(p), [bg.mess3(0.1, p), bg.mess3(p / 4, 0.7)]])
    begun = lambda p: with_bos(side_by_side(p))
    for build, length in ((in_a_row, 2), (begun, 3)):  # also beside impossible words
        entropy = jax.jit(lambda p, build=build, length=length: bg.block_entropies(build(p), length)[-1])
        numeric = (entropy(0.4 + 1e-6) - entropy(0.4 - 1e-6)) / 2e-6
        np.testing.assert_allclose(jax.jit(jax.grad(entropy))(0.4), numeric, rtol=1e-7)


class Bystander:
    """An observer that is no composition of processes."""

    initial = jnp.ones(1)

    def predict(self, belief):
        return jnp.array([0.5, 0.5])

    def update(self, belief, token):
        return belief


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: product([]), ValueError, "product needs one factor or more; got none"),
        (
            lambda: require_observer("factor 1 of product", 3),
            TypeError,
            "factor 1 of product must be an observer, .*; got int",
        ),
        (lambda: chain([]), ValueError, "chain needs one factor or more; got none"),
        (lambda: chain([[bg.coin()]]), TypeError, "factor 0 of chain must be an observer, .*; got list"),
        (
            lambda: chain([bg.coin(), bg.coin()]),
            ValueError,
            "factor 1 of chain needs a sequence of 2 processes.*; got a single process",
        ),
        (lambda: chain([bg.coin(), [bg.coin()]]), ValueError, "factor 1 of chain needs a sequence of 2 .*; got 1"),
        (
            lambda: chain([bg.coin(), [bg.coin(), bg.golden_mean()]]),
            ValueError,
            r"factor 1 of chain must have the same .*of process 1 have shape \(2, 2, 2\), of process 0 \(2, 1, 1\)",
        ),
        (
            lambda: chain([bg.coin(), [bg.golden_mean(0.5), bg.golden_mean(0.25)]]),
            ValueError,
            r"factor 1 of chain must share their initial; process 1 has \[0.8, 0.2\], process 0 \[0.666667, 0.333333\]",
        ),
        (
            lambda: joint(Bystander()),
            TypeError,
            "joint needs the matrices of a process or of a composition .*; got Bystander",
        ),
        (lambda: product([Bystander()]).joint(), TypeError, "got Bystander, which only predicts and updates"),
        (
            lambda: product([bg.mess3()] * 9).joint(),
            ValueError,
            r"hold 19,683 matrices of 19,683 x 19,683 numbers, 28,407.6 GiB, more than a quarter of this machine's",
        ),
        (
            lambda: product([bg.coin(1e-20)] * 2).joint(),
            ValueError,
            r"hold products of probabilities as small as 1e-40.*float32 ends at 1.18e-38: use float64",
        ),
        (lambda: small_product().split_belief(np.ones(6)), ValueError, "a belief has the 7 entries of .*; got 6"),
        (lambda: small_chain().join_tokens([0, 1]), ValueError, r"join_tokens needs one token a factor \(3\); got 2"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_any_observer_is_a_factor():
    process = product([Bystander(), bg.coin(0.25)])
    np.testing.assert_allclose(process.predict(process.initial), [0.125, 0.375, 0.125, 0.375])
