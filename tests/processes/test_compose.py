import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.processes.bos import with_bos
from beliefgeo.processes.compose import markov_approximation, mixture, noisy, relabel, transduce
from beliefgeo.processes.quantum import bloch_walk, moon
from beliefgeo.processes.word_probabilities import allowed_words
from tests import oracle
from tests.cases import signed_golden_mean


def word_probabilities(process, length):
    """Of all V^length words, as an array with one axis per token."""
    vectors = np.asarray(process.initial, np.float64)
    for _ in range(length):
        vectors = np.einsum("...i,xij->...xj", vectors, oracle.matrices(process))
    return vectors @ np.asarray(process.readout, np.float64)


def test_mixture_of_two_coins_knows_the_number_of_heads(x64):
    biases, weights = np.array([0.6, 0.2]), np.array([0.3, 0.7])
    process = mixture([bg.coin(p) for p in biases], weights)
    for length, myopic in enumerate(bg.myopic_entropies(process, 7)):
        exact = 0.0
        for heads in range(length + 1):
            evidence = weights * biases**heads * (1 - biases) ** (length - heads)
            chance = math.comb(length, heads) * evidence.sum()
            p = evidence @ biases / evidence.sum()
            exact -= chance * (p * math.log(p) + (1 - p) * math.log(1 - p))
        np.testing.assert_allclose(myopic, exact, rtol=1e-12)
    # The belief is the posterior of the coin, whatever the order of heads and tails.
    beliefs = bg.filter_beliefs(process, [0, 1, 0]).beliefs[-1]
    evidence = weights * biases**2 * (1 - biases)
    np.testing.assert_allclose(beliefs, evidence / evidence.sum(), rtol=1e-12)
    np.testing.assert_allclose(bg.filter_beliefs(process, [1, 0, 0]).beliefs[-1], beliefs, rtol=1e-12)


def test_mixture_is_the_weighted_sum_of_its_components(x64):
    parts, weights = [bg.golden_mean(), signed_golden_mean(), bloch_walk()], [0.5, 0.3, 0.2]
    maps = [[0, 1], [3, 1], [2, 1, 0, 3]]
    process = mixture(parts, weights, maps)
    expected = np.zeros((4,) * 4)
    for part, weight, tokens in zip(parts, weights, maps, strict=True):
        expected[np.ix_(*[tokens] * 4)] += weight * word_probabilities(part, 4)
    np.testing.assert_allclose(word_probabilities(process, 4), expected, atol=1e-15)
    # Posterior of each component = mass of its block; the readout's largest entry stays +1.
    belief = oracle.belief(process, (0, 0)) * np.asarray(process.readout)
    posterior = [0.5 * word_probabilities(parts[0], 2)[0, 0], 0.0, 0.2 * word_probabilities(parts[2], 2)[2, 2]]
    np.testing.assert_allclose([b.sum() for b in np.split(belief, [2, 4])], posterior / np.sum(posterior), atol=1e-14)
    assert process.generalised and max(abs(process.readout)) == 1
    assert not mixture([bg.mess3(), bg.z1r()], [0.5, 0.5], [range(3), range(2)]).generalised


def test_noisy_replaces_tokens(x64):
    process, eps = bg.mess3(), 0.3
    channel = (1 - eps) * np.eye(3) + eps / 3
    expected = np.einsum("abc,ax,by,cz->xyz", word_probabilities(process, 3), channel, channel, channel)
    np.testing.assert_allclose(word_probabilities(noisy(process, eps), 3), expected, atol=1e-15)
    np.testing.assert_array_equal(noisy(process, 0.0).transitions, process.transitions)
    np.testing.assert_allclose(word_probabilities(noisy(moon(), 1.0), 3), 1 / 27, rtol=1e-12)


def test_relabelled_rrxor_is_the_checksum(x64):
    checksum = bg.checksum([[0.3, 0.7], [0.6, 0.4]])
    np.testing.assert_allclose(word_probabilities(bg.rrxor(0.3, 0.6), 6), word_probabilities(checksum, 6), atol=1e-15)
    swapped = relabel(bg.rrxor(0.3, 0.6), [1, 0])
    expected = word_probabilities(checksum, 6)[(slice(None, None, -1),) * 6]
    np.testing.assert_allclose(word_probabilities(swapped, 6), expected, atol=1e-15)


def test_relabel_merges_and_leaves_gaps(x64):
    merged = relabel(bloch_walk(1, 3), [0, 0, 3, 0])
    full = word_probabilities(bloch_walk(1, 3), 2)
    expected = np.zeros((4, 4))
    for (a, b), p in np.ndenumerate(full):
        expected[[0, 0, 3, 0][a], [0, 0, 3, 0][b]] += p
    np.testing.assert_allclose(word_probabilities(merged, 2), expected, atol=1e-15)
    np.testing.assert_array_equal(merged.initial, bloch_walk(1, 3).initial)


def test_a_channel_without_memory_is_noise(x64):
    eps, process = 0.2, bg.mess3()
    channel = (1 - eps) * np.eye(3) + eps / 3
    driven = transduce(process, channel[:, :, None, None])
    np.testing.assert_allclose(driven.transitions, noisy(process, eps).transitions, atol=1e-16)
    np.testing.assert_allclose(driven.initial, process.initial, atol=1e-15)


def delay(vocab_size):
    """A machine that puts out the token before: its state is the last input."""
    machine = np.zeros((vocab_size,) * 4)
    for before, now in itertools.product(range(vocab_size), repeat=2):
        machine[before, now, before, now] = 1
    return machine


@pytest.mark.parametrize("build", [bg.golden_mean, signed_golden_mean])
def test_a_delay_changes_nothing_once_it_is_stationary(build, x64):
    process = build()
    delayed = transduce(process, delay(2))
    np.testing.assert_allclose(word_probabilities(delayed, 5), word_probabilities(process, 5), atol=1e-14)
    # Started with 1 in store, the first token is 1 and the process follows.
    started = transduce(process, delay(2), initial=[0, 1])
    np.testing.assert_allclose(word_probabilities(started, 5)[1], word_probabilities(process, 4), atol=1e-14)


def test_a_random_machine_against_paths(x64):
    rng = np.random.default_rng(0)
    machine = rng.dirichlet(np.ones(6), (2, 3)).reshape(2, 3, 2, 3).transpose(2, 0, 1, 3)  # [y, x, k, l]
    process, start = bg.even(0.3), np.array([0.5, 0.2, 0.3])
    expected = np.zeros((2,) * 3)
    for outputs in itertools.product(range(2), repeat=3):
        for inputs in itertools.product(range(2), repeat=3):
            law = start
            for y, x in zip(outputs, inputs, strict=True):
                law = law @ machine[y, x]
            expected[outputs] += law.sum() * oracle.joint_probability(process, inputs)
    np.testing.assert_allclose(word_probabilities(transduce(process, machine, start), 3), expected, atol=1e-15)


def test_order_one_is_exact_for_the_golden_mean(x64):
    for process in (bg.golden_mean(0.3), signed_golden_mean()):
        approximation = markov_approximation(process, 1)
        np.testing.assert_allclose(word_probabilities(approximation, 7), word_probabilities(process, 7), atol=1e-14)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("build", [bg.even, moon, bloch_walk])
def test_markov_approximations_keep_short_words_only(build, order, x64):
    process = build()
    approximation = markov_approximation(process, order)
    assert not approximation.generalised
    kept = order + 1
    np.testing.assert_allclose(word_probabilities(approximation, kept), word_probabilities(process, kept), atol=1e-14)
    # One token more is the product of conditionals, and differs.
    shorter, longer = word_probabilities(process, kept), word_probabilities(process, kept + 1)
    past = shorter.sum(-1)[None, ..., None]
    expected = np.divide(shorter[..., None] * shorter[None], past, out=np.zeros_like(longer), where=past > 1e-15)
    np.testing.assert_allclose(word_probabilities(approximation, kept + 1), expected, atol=1e-14)
    assert abs(expected - longer).max() > 1e-5
    # Stationary, states in lexicographic order of the allowed words.
    words = next(itertools.islice(allowed_words(process), order, None))
    np.testing.assert_allclose(approximation.initial, words.probabilities, atol=1e-14)
    moved = approximation.initial @ approximation.transitions.sum(0)
    np.testing.assert_allclose(moved, approximation.initial, atol=1e-14)


def test_markov_approximation_starts_stationary():
    process = bg.golden_mean()
    started = bg.hmm(process.transitions, [1.0, 0.0])
    np.testing.assert_allclose(markov_approximation(started, 1).initial, [2 / 3, 1 / 3], rtol=1e-6)
    # The law of a mixture is not the only stationary one, but it is one.
    pair = markov_approximation(mixture([bg.coin(0.6), bg.coin(0.2)], [0.5, 0.5]), 1)
    np.testing.assert_allclose(pair.initial, [0.4, 0.6], rtol=1e-6)


def pair():
    return bg.product([bg.coin(0.6), bg.golden_mean(0.3)])


def row():
    return bg.chain([bg.coin(0.6), [bg.hmm(bg.golden_mean(p).transitions, [0.7, 0.3]) for p in (0.3, 0.8)]])


@pytest.mark.parametrize("build", [pair, row, lambda: with_bos(pair()), lambda: bg.noisy_product([bg.even()], 0.2)])
def test_compositions_of_compositions_are_those_of_the_joint(build, x64):
    observer, joint = build(), bg.joint(build())
    vocab_size = joint.vocab_size
    words = word_probabilities(joint, 3)
    weighted = mixture([bg.coin(0.7), observer], [0.25, 0.75], [range(2), range(vocab_size)])
    expected = 0.75 * words
    expected[:2, :2, :2] += 0.25 * word_probabilities(bg.coin(0.7), 3)
    np.testing.assert_allclose(word_probabilities(weighted, 3), expected, atol=1e-15)
    channel = 0.9 * np.eye(vocab_size) + 0.1 / vocab_size
    seen = np.einsum("abc,ax,by,cz->xyz", words, channel, channel, channel)
    np.testing.assert_allclose(word_probabilities(noisy(observer, 0.1), 3), seen, atol=1e-15)
    backwards = relabel(observer, np.arange(vocab_size)[::-1])
    np.testing.assert_allclose(word_probabilities(backwards, 3), words[::-1, ::-1, ::-1], atol=1e-15)
    driven = transduce(observer, channel[:, :, None, None], initial=[1.0])
    np.testing.assert_allclose(word_probabilities(driven, 3), seen, atol=1e-15)
    short, exact = markov_approximation(observer, 1), markov_approximation(joint, 1)
    np.testing.assert_allclose(short.transitions, exact.transitions, atol=1e-14)


def test_two_coins_as_one_component_of_three(x64):
    """The entries of the issue: a coin against a pair of coins."""
    parts, vocabularies = [bg.coin(0.7), bg.product([bg.coin(0.6), bg.coin(0.4)])], [range(2), range(4)]
    process = mixture(parts, [0.5, 0.5], vocabularies)
    law = process.predict(process.initial)
    np.testing.assert_allclose(law, [0.35 + 0.12, 0.15 + 0.18, 0.08, 0.12], rtol=1e-14)
    np.testing.assert_allclose(noisy(bg.product([bg.coin(0.6), bg.coin(0.4)]), 0.2).transitions[0, 0, 0], 0.192 + 0.05)


def test_what_is_accepted_is_normalised(x64):
    weights = np.array([0.333333, 0.333333, 0.333333])
    process = mixture([bg.coin(0.6), bg.coin(0.2), signed_golden_mean()], weights)
    np.testing.assert_allclose(process.initial @ process.readout, 1, rtol=1e-15)
    np.testing.assert_allclose(process.initial[:2], 1 / 3, rtol=1e-15)
    traced = jax.jit(lambda weights: mixture([bg.coin(0.6), bg.coin(0.2)], weights).initial)(weights[:2] * 1.500001)
    np.testing.assert_allclose(traced, 0.5, rtol=1e-15)
    leaky = np.array([[[[0.599996]], [[0.3]]], [[[0.4]], [[0.700006]]]])
    for inputs in (bg.golden_mean(), signed_golden_mean()):  # whose matrices a spectral radius would not put right
        driven = transduce(inputs, leaky, [1.0])
        fair = transduce(inputs, leaky / leaky.sum((0, 3), keepdims=True), [1.0])
        np.testing.assert_allclose(driven.transitions, fair.transitions, atol=1e-15)
        np.testing.assert_allclose(driven.transitions.sum(0) @ driven.readout, driven.readout, atol=1e-15)


@pytest.mark.parametrize("build", [lambda: bg.mr_name(1.0, 0.0), lambda: bg.mr_name(0.7, 0.3)])
def test_parameters_at_their_bounds_compose(build):
    process = build()
    assert (np.asarray(process.initial) >= 0).all()
    for composed in (
        mixture([process, bg.coin(0.5)], [0.5, 0.5], [range(4), range(2)]),
        noisy(process, 0.1),
        relabel(process, [0, 1, 2, 1]),
        with_bos(process),
        markov_approximation(process, 1),
    ):
        np.testing.assert_allclose(np.asarray(composed.transitions).sum((0, 2)), 1, rtol=1e-6)
        assert (np.asarray(composed.initial) >= 0).all()
    assert bg.log_probability(bg.mr_name(0.2, 0), [3]) == -np.inf


@pytest.mark.parametrize("p", [1e-3, 1e-6])
def test_a_slow_chain_is_started_in_its_stationary_law(p):
    """Every law of a chain that hardly moves is nearly invariant, and none but one is."""
    process = bg.hmm([[[1 - p, 0], [0, 1 - 2 * p]], [[0, p], [2 * p, 0]]], [1.0, 0.0])
    np.testing.assert_allclose(markov_approximation(process, 1).initial[1], 4 / 3 * p, rtol=1e-4)


def test_parameters_are_differentiable_under_jit(x64):
    zero = lambda p: [[[1 - p, 0], [0, p]], [[0, p], [p, 0]]]
    one = lambda p: [[[0, p], [1 - p, 0]], [[1 - p, 0], [0, 1 - p]]]
    machine = lambda p: jnp.array([zero(p), one(p)])
    builds = {
        "mixture": lambda p: mixture([bg.golden_mean(p), bg.even(0.4)], jnp.stack([p, 1 - p])),
        "noisy": lambda p: noisy(bg.even(p), p / 2),
        "relabel": lambda p: relabel(bg.mess3(0.1, p), [0, 1, 1]),
        "transduce": lambda p: transduce(bg.golden_mean(p), machine(p), [0.5, 0.5]),
    }
    for name, build in builds.items():

        @jax.jit
        def probability(p, build=build):
            process = build(p)
            zero, one = process.transitions[:2]
            return process.initial @ zero @ one @ zero @ zero @ process.readout

        numeric = (probability(0.4 + 1e-6) - probability(0.4 - 1e-6)) / 2e-6
        np.testing.assert_allclose(jax.grad(probability)(0.4), numeric, rtol=1e-7, err_msg=name)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mixture([bg.coin(), bg.coin()], [0.5, 0.6]), r"weights that sum to 1; got a sum of 1.1"),
        (lambda: mixture([bg.coin(), bg.coin()], [1.5, -0.5]), r"nonnegative weights; got \[1.5, -0.5\]"),
        (lambda: mixture([bg.coin(), bg.coin()], [1.0]), r"one weight per process \(2\); got shape \(1,\)"),
        (lambda: mixture([], []), r"one weight per process \(0\)"),
        (lambda: mixture([bg.coin()], [1.0], [[0, 1], [0, 1]]), r"one vocabulary per process \(1\); got 2"),
        (lambda: mixture([bg.coin()], [1.0], [[0]]), r"vocabulary 0 of mixture must hold one .* 2 tokens"),
        (
            lambda: mixture([bg.mess3(), bg.z1r()], [0.5, 0.5]),
            r"needs vocabularies .*; got components of 3, 2 tokens: pass vocabularies=\[range\(3\), range\(2\)\]",
        ),
        (lambda: bg.stationary_distribution(mixture([bg.coin(), bg.z1r()], [0.5, 0.5])), r"is not unique"),
        (lambda: noisy(bg.coin(), 1.1), r"noisy needs 0 <= eps <= 1; got eps=1.1"),
        (lambda: relabel(bg.mess3(), [0, 1]), r"mapping must hold one new token.* each of the 3 tokens"),
        (lambda: relabel(bg.coin(), [0, -1]), r"mapping must hold .* of 0 or more.*got \[0, -1\]"),
        (lambda: relabel(bg.coin(), [0.0, 1.0]), r"mapping must hold .* an integer"),
        (lambda: transduce(bg.coin(), np.ones((2, 3, 1, 1)) / 2), r"with 2 inputs, .*; got \(2, 3, 1, 1\)"),
        (lambda: transduce(bg.coin(), np.full((1, 2, 1, 1), -1)), r"machine must be nonnegative; got an entry -1"),
        (lambda: transduce(bg.coin(), np.full((1, 2, 1, 1), 0.9)), r"input 0, state 0 sums to 0.9"),
        (lambda: transduce(bg.coin(), delay(2), [1.0]), r"one entry per state of the machine \(2\); got shape \(1,\)"),
        (lambda: transduce(bg.coin(), delay(2), [1.0, 1.0]), r"initial must be normalised"),
        (lambda: markov_approximation(bg.coin(), -1), r"order must be 0 or more; got -1"),
        (
            lambda: noisy(bg.sns(1e-30, 0.5), 1e-20),
            r"noisy would hold products of probabilities as small as 5e-51.*float64",
        ),
        (
            lambda: mixture([bg.product([bg.mess3()] * 9)], [1.0]),
            "the joint would hold 19,683 matrices of 19,683 x 19,683",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_enumeration_cannot_be_traced():
    with pytest.raises(TypeError, match="markov_approximation enumerates words and cannot be traced"):
        jax.jit(lambda p: markov_approximation(bg.golden_mean(p), 1).initial)(0.5)


class Bystander:
    """An observer that is no composition of processes."""

    initial = np.ones(1, np.float32)

    def predict(self, belief):
        return belief.repeat(2) / 2

    def update(self, belief, token):
        return belief


@pytest.mark.parametrize(
    ("who", "compose"),
    [
        ("component 0 of mixture", lambda one: mixture([one], [1.0])),
        ("noisy", lambda one: noisy(one, 0.1)),
        ("relabel", lambda one: relabel(one, [1, 0])),
        ("transduce", lambda one: transduce(one, delay(2))),
        ("markov_approximation", lambda one: markov_approximation(one, 1)),
        ("factor 0 of noisy_product", lambda one: bg.noisy_product([one], 0.1)),
        ("factor 1 of chain", lambda one: bg.chain([bg.coin(), [one, one]])),
    ],
)
def test_observers_without_matrices_are_refused(who, compose):
    with pytest.raises(
        TypeError, match=f"{who} needs the matrices of a process .*; got Bystander, which only predicts"
    ):
        compose(Bystander())
