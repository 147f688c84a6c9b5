"""Noise on the composite token of a product, against its joint matrices built entry by entry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.processes.factored import factored_mess3_bloch
from beliefgeo.processes.process import Process
from tests import oracle
from tests.cases import signed_golden_mean

EPS = 0.3


def factors():
    return [bg.golden_mean(), signed_golden_mean(), bg.mess3(0.15, 0.6)]


def joint_by_hand(parts, eps):
    """(1 - eps) kron_n T_n^(x_n) + eps / V sum_y kron_n T_n^(y_n), a Process without any check."""
    sizes = [part.vocab_size for part in parts]
    clean = []
    for token in range(np.prod(sizes)):
        matrix = np.ones((1, 1))
        for part, digit in zip(parts, np.unravel_index(token, sizes), strict=True):
            matrix = np.kron(matrix, oracle.matrices(part)[digit])
        clean.append(matrix)
    clean = np.array(clean)
    initial, readout = np.ones(1), np.ones(1)
    for part in parts:
        initial, readout = np.kron(initial, part.initial), np.kron(readout, part.readout)
    transitions = (1 - eps) * clean + eps * clean.mean(0)
    return Process(jnp.asarray(transitions), jnp.asarray(initial), jnp.asarray(readout))


def test_beliefs_and_laws_are_those_of_the_joint(x64):
    process, joint = bg.noisy_product(factors(), EPS), joint_by_hand(factors(), EPS)
    word = [0, 7, 1, 5, 11, 11, 2]  # 11: two ones of the golden mean in a row, possible only by noise
    filtered = bg.filter_beliefs(process, word)
    for t in range(len(word) + 1):
        np.testing.assert_allclose(filtered.beliefs[t], oracle.belief(joint, word[:t]), atol=1e-12)
        law = oracle.conditional(joint, word[:t])
        np.testing.assert_allclose(process.predict(filtered.beliefs[t]), law, atol=1e-12)
    exact = np.log(oracle.joint_probability(joint, word))
    np.testing.assert_allclose(filtered.log_probabilities.sum(), exact, rtol=1e-12)
    np.testing.assert_allclose(bg.joint(process).transitions, joint.transitions, atol=1e-15)
    # Noise couples the factors: the joint belief is not the product of what it says of each.
    apart = process.split_belief(filtered.beliefs[-1])
    assert abs(np.einsum("i,j,k->ijk", *apart).ravel() - filtered.beliefs[-1]).max() > 0.01


def test_sampled_with_the_frequencies_of_the_joint():
    process, joint = bg.noisy_product(factors(), EPS), joint_by_hand(factors(), EPS)
    draw = jax.jit(jax.vmap(lambda key: bg.sample(key, process, 2).tokens))
    tokens = np.asarray(draw(jax.random.split(jax.random.key(0), 40_000)))
    found = np.bincount(tokens[:, 0] * process.vocab_size + tokens[:, 1], minlength=144) / len(tokens)
    exact = np.array([oracle.joint_probability(joint, word) for word in oracle.all_words(process.vocab_size, 2)])
    np.testing.assert_allclose(found, exact, atol=5 * np.sqrt(exact.max() / len(tokens)))  # 5 standard errors


def test_what_it_says_of_each_factor(x64):
    process = bg.noisy_product(factors(), EPS)
    beliefs = np.asarray(bg.filter_beliefs(process, [3, 1, 8]).beliefs).reshape(2, 2, 12)
    w = [np.asarray(factor.readout) for factor in factors()]
    tensors = beliefs.reshape(2, 2, 2, 2, 3)
    for given in (beliefs, beliefs.tolist()):
        first, second, third = process.split_belief(given)
        np.testing.assert_allclose(first, np.einsum("abijk,j,k->abi", tensors, w[1], w[2]), atol=1e-14)
        np.testing.assert_allclose(second, np.einsum("abijk,i,k->abj", tensors, w[0], w[2]), atol=1e-14)
        np.testing.assert_allclose(third, np.einsum("abijk,i,j->abk", tensors, w[0], w[1]), atol=1e-14)
    digits = process.split_token([[0, 7], [11, 12]])
    np.testing.assert_array_equal(digits, [[[0, 1], [1, -1]], [[0, 0], [1, -1]], [[0, 1], [2, -1]]])
    np.testing.assert_array_equal(process.join_tokens(np.array(digits)[:, :, 0]), [0, 11])


def test_little_noise_is_none(x64):
    clean, process = bg.product(factors()), bg.noisy_product(factors(), 1e-13)
    word = [0, 7, 1, 5]
    expected, found = bg.filter_beliefs(clean, word), bg.filter_beliefs(process, word)
    np.testing.assert_allclose(found.log_probabilities, expected.log_probabilities, atol=1e-10)
    alone = jnp.concatenate(process.split_belief(found.beliefs), 1)
    np.testing.assert_allclose(alone, expected.beliefs, atol=1e-10)


def test_the_five_factors_never_build_their_joint():
    process = bg.noisy_product(factored_mess3_bloch().factors, 0.2)
    assert len(process.initial) == 243
    law = process.predict(process.initial)
    clean = factored_mess3_bloch()
    np.testing.assert_allclose(law, 0.8 * clean.predict(clean.initial) + 0.2 / 432, atol=1e-7)
    filtered = bg.filter_beliefs(process, [0, 431, 200])
    np.testing.assert_allclose(filtered.beliefs @ process.readout, 1, atol=1e-6)


def test_a_factor_made_of_factors():
    pair = bg.product([bg.coin(0.3), bg.golden_mean()])
    nested, flat = bg.noisy_product([pair, bg.mess3()], EPS), bg.noisy_product([*pair.factors, bg.mess3()], EPS)
    word = [0, 7, 1, 11, 11]
    np.testing.assert_allclose(
        bg.filter_beliefs(nested, word).beliefs, bg.filter_beliefs(flat, word).beliefs, atol=1e-6
    )


def test_unknown_tokens():
    process = bg.noisy_product(factors(), EPS)
    for outside in (-1, 12):
        with pytest.raises(ValueError, match=f"tokens must lie in 0..11; got {outside}"):
            bg.filter_beliefs(process, [outside])
        assert np.isnan(jax.jit(bg.update_belief)(process, process.initial, jnp.int32(outside))).all()


def test_gradient_by_the_noise(x64):
    surprise = jax.jit(lambda eps: bg.log_probability(bg.noisy_product([bg.coin(0.2), bg.golden_mean()], eps), [0, 3]))
    numeric = (surprise(0.2 + 1e-6) - surprise(0.2 - 1e-6)) / 2e-6
    np.testing.assert_allclose(jax.grad(surprise)(0.2), numeric, rtol=1e-7)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: bg.noisy_product([], 0.1), ValueError, "noisy_product needs one factor or more; got none"),
        (lambda: bg.noisy_product([bg.coin()], 0), ValueError, "needs 0 < eps <= 1; got eps=0: without noise it is"),
        (lambda: bg.noisy_product([bg.coin()], 1.5), ValueError, "needs 0 < eps <= 1; got eps=1.5"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
