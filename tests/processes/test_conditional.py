"""Factors that read one another's tokens: against the joint built by hand, and against sums over hidden paths."""

import itertools
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.processes.conditional import conditional_transitions, fully_conditional
from beliefgeo.processes.quantum import bloch_walk
from tests import oracle
from tests.processes.against_joint import (
    assert_batched,
    assert_differentiable,
    assert_same,
    assert_unknown_tokens_are_refused,
    by_hand,
)


def family(seed, vocab_size, n_states, count, *, emissions=None):
    """Random processes of one initial law, all with the emissions given, if any."""
    rng = np.random.default_rng(seed)
    law = lambda size: rng.dirichlet(np.ones(size), n_states)
    start = rng.dirichlet(np.ones(n_states))
    return [
        bg.from_moore(start, law(n_states), law(vocab_size) if emissions is None else emissions) for _ in range(count)
    ]


def two_and_three(shared):
    """Of two factors with 2 and 3 tokens: 3 processes and 2."""
    return [
        family(0, 2, 2, 3, emissions=[[0.9, 0.1], [0.3, 0.7]] if shared else None),
        family(1, 3, 2, 2, emissions=[[0.2, 0.3, 0.5], [0.6, 0.4, 0.0]] if shared else None),
    ]


def three_of_two(shared):
    """Of three factors with 2 tokens each: 4 processes, per tokens of the others."""
    emissions = [[[0.9, 0.1], [0.3, 0.7]], [[0.5, 0.5], [0.0, 1.0]], [[0.2, 0.8], [0.6, 0.4]]]
    return [family(n, 2, 2, 4, emissions=emissions[n] if shared else None) for n in range(3)]


def turned(angle):
    """bloch_walk in whose x-z plane a rotation follows every token: the same emissions, other moves."""
    walk = bloch_walk(1, 3)
    c, s = np.cos(angle), np.sin(angle)
    rotation = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    return bg.ghmm(oracle.matrices(walk) @ rotation, [1.0, 0, 0], [1.0, 0, 0])


def one_generalised(shared):
    walks = [turned(angle) for angle in (0.0, 1.0)] if shared else [bloch_walk(1, 3), bloch_walk(2, 1)]
    return [family(0, 2, 2, 4, emissions=[[0.9, 0.1], [0.3, 0.7]] if shared else None), walks]


def number_among_others(digits, sizes, n):
    rest = [m for m in range(len(sizes)) if m != n]
    return int(np.ravel_multi_index([digits[m] for m in rest], [sizes[m] for m in rest]))


def matrices_of(factors, digits):
    """T_n^(x_n | x_-n) of each factor at the tokens of one time step."""
    sizes = [processes[0].vocab_size for processes in factors]
    return [
        oracle.matrices(processes[number_among_others(digits, sizes, n)])[digits[n]]
        for n, processes in enumerate(factors)
    ]


def joint_by_hand(factors):
    sizes = [processes[0].vocab_size for processes in factors]
    kron = lambda arrays: reduce(np.kron, arrays)
    transitions = [kron(matrices_of(factors, digits)) for digits in itertools.product(*map(range, sizes))]
    parts = [[np.asarray(getattr(f[0], name), np.float64) for f in factors] for name in ("initial", "readout")]
    return by_hand(np.array(transitions), *map(kron, parts))


@pytest.mark.parametrize(
    "build",
    [
        two_and_three,
        pytest.param(three_of_two, marks=pytest.mark.slow),
        pytest.param(one_generalised, marks=pytest.mark.slow),
    ],
)
def test_conditional_transitions_are_their_joint(build, x64):
    factors = build(True)
    assert_same(conditional_transitions(factors), joint_by_hand(factors))


def test_emission_is_independent_and_beliefs_stay_a_product(x64):
    factors = three_of_two(True)
    process, word = conditional_transitions(factors), [3, 6, 1, 5]
    belief = bg.filter_beliefs(process, word).beliefs[-1]
    parts = process.split_belief(belief)
    whole = oracle.belief(joint_by_hand(factors), word)
    np.testing.assert_allclose(np.einsum("i,j,k->ijk", *parts).ravel(), whole, atol=1e-13)
    laws = [processes[3].predict(part) for processes, part in zip(factors, parts, strict=True)]  # any of them
    np.testing.assert_allclose(process.predict(belief), np.einsum("a,b,c->abc", *laws).ravel(), atol=1e-14)


def test_the_same_moves_after_all_tokens_are_a_product(x64):
    one, other = bg.mess3(), bg.golden_mean()
    apart = bg.product([one, other]).joint()
    coupled = conditional_transitions([[one] * 2, [other] * 3])
    np.testing.assert_allclose(coupled.joint().transitions, apart.transitions, atol=1e-16)
    law = fully_conditional([[one] * 2, [other] * 3]).predict(coupled.initial)
    np.testing.assert_allclose(law, coupled.predict(coupled.initial), atol=1e-15)


def sum_over_paths(factors, word):
    """P(word) of `fully_conditional` as its docstring has it: prod_t 1 / Z_t, prod_n of sums over hidden paths.

    Z_t from the posterior of each factor's last state, itself a ratio of such sums.
    """
    sizes = [processes[0].vocab_size for processes in factors]
    everything = list(itertools.product(*map(range, sizes)))
    initials = [np.asarray(processes[0].initial) for processes in factors]
    probability = 1.0
    for t, token in enumerate(word):
        past = [everything[before] for before in word[:t]]
        posteriors = []
        for n, initial in enumerate(initials):
            mass = np.zeros(len(initial))
            for path in itertools.product(range(len(initial)), repeat=t + 1):
                steps = [
                    matrices_of(factors, digits)[n][i, j] for digits, i, j in zip(past, path, path[1:], strict=False)
                ]
                mass[path[-1]] += initial[path[0]] * np.prod(steps)
            posteriors.append(mass / mass.sum())
        emitted = lambda digits, beliefs: [b @ m for b, m in zip(beliefs, matrices_of(factors, digits), strict=True)]
        weights = {digits: np.prod([v.sum() for v in emitted(digits, posteriors)]) for digits in everything}
        probability *= weights[everything[token]] / sum(weights.values())
    return probability


@pytest.mark.parametrize(
    ("build", "n_tokens"), [(two_and_three, 6), pytest.param(three_of_two, 8, marks=pytest.mark.slow)]
)
def test_fully_conditional_against_sums_over_hidden_paths(build, n_tokens, x64):
    factors = build(False)
    process = fully_conditional(factors)
    assert process.vocab_size == n_tokens
    words = bg.words(process, 3)
    np.testing.assert_allclose(words.probabilities.sum(), 1, rtol=1e-13)
    for row in range(0, len(words.tokens), 37):
        word = words.tokens[row].tolist()
        np.testing.assert_allclose(words.probabilities[row], sum_over_paths(factors, word), rtol=1e-12)
        np.testing.assert_allclose(bg.log_probability(process, word), np.log(words.probabilities[row]), rtol=1e-12)


def test_each_law_given_the_others_is_the_conditional_of_the_factor(x64):
    """Of two coins each of which follows the other: P(x_0 | x_1) of the law is proportional to P_0 P_1, not to P_0."""
    follow = [bg.coin(0.8), bg.coin(0.2)]
    process = fully_conditional([follow, follow])
    weights = np.array([[0.8 * 0.8, 0.2 * 0.2], [0.2 * 0.2, 0.8 * 0.8]])
    np.testing.assert_allclose(process.predict(process.initial), (weights / weights.sum()).ravel(), rtol=1e-14)


def test_no_joint_on_the_product_of_the_states(x64):
    """The normaliser is not linear in the belief, so words are not those of the normalised matrices."""
    factors = two_and_three(False)
    process = fully_conditional(factors)
    with pytest.raises(TypeError, match="joint needs the matrices of .* got FullyConditional, which only predicts"):
        bg.joint(process)
    joint = joint_by_hand(factors)
    matrices = oracle.matrices(joint)
    by_state = by_hand(matrices / matrices.sum((0, 2))[None, :, None], joint.initial)
    words = bg.words(process, 2)
    other = np.array([oracle.joint_probability(by_state, word) for word in words.tokens])
    assert abs(words.probabilities - other).max() > 1e-4
    # With emissions of their own all normalisers are 1, and the two are one.
    factors = two_and_three(True)
    words = bg.words(fully_conditional(factors), 2)
    exact = [oracle.joint_probability(joint_by_hand(factors), word) for word in words.tokens]
    np.testing.assert_allclose(words.probabilities, exact, rtol=1e-12)


def test_conditionals_that_exclude_everything():
    copies, contradicts = [bg.coin(1.0), bg.coin(0.0)], [bg.coin(0.0), bg.coin(1.0)]
    process = fully_conditional([copies, contradicts])
    assert np.isnan(process.predict(process.initial)).all()
    one_way = fully_conditional([copies, [bg.coin(0.25), bg.coin(0.25)]])
    np.testing.assert_allclose(one_way.predict(one_way.initial), [0.25, 0, 0, 0.75], rtol=1e-6)
    assert np.isnan(one_way.update(one_way.initial, jnp.int32(1))).all()


@pytest.mark.parametrize("construct", [conditional_transitions, fully_conditional])
def test_tokens_sampling_and_unknown_tokens(construct):
    process = construct(two_and_three(construct is conditional_transitions))
    np.testing.assert_array_equal(np.stack(process.split_token(np.arange(6))), np.unravel_index(np.arange(6), (2, 3)))
    np.testing.assert_array_equal(process.join_tokens(process.split_token(np.arange(6))), np.arange(6))
    assert_unknown_tokens_are_refused(process, process.initial)
    draw = jax.jit(jax.vmap(lambda key: bg.sample(key, process, 2).tokens))
    tokens = np.asarray(draw(jax.random.split(jax.random.key(0), 20_000)))
    words = bg.words(process, 2)
    found = np.bincount(tokens @ [6, 1], minlength=36)[words.tokens @ [6, 1]] / len(tokens)
    np.testing.assert_allclose(found, words.probabilities, atol=5 * np.sqrt(words.probabilities.max() / len(tokens)))


@pytest.mark.parametrize(
    "construct", [pytest.param(conditional_transitions, marks=pytest.mark.slow), fully_conditional]
)
def test_gradients_and_batches(construct, x64):
    def build(p):
        moves, emissions = [[1 - p, p], [p, 1 - p]], [[0.9, 0.1], [p, 1 - p]]
        pair = [bg.from_moore([0.6, 0.4], jnp.array(moves)[::order], jnp.array(emissions)) for order in (1, -1)]
        return construct([pair, pair])

    words = jnp.array([[0, 3, 1, 2], [2, 2, 0, 3]])
    each = lambda p: jax.vmap(lambda word: bg.log_probability(build(p), word))(words)
    assert_differentiable(lambda p: each(p) @ jnp.array([1.0, 2.0]), 0.3)
    assert_batched(build(0.3), words)


def test_emissions_that_are_nearly_alike_are_made_alike(x64):
    """Accepted within 1e-5; kept as they are, the rows of the joint would not sum to 1."""
    near = [[0.900008, 0.099992], [0.3, 0.7]]
    pair = [bg.from_moore([0.5, 0.5], [[0.8, 0.2], [0.4, 0.6]], b) for b in ([[0.9, 0.1], [0.3, 0.7]], near)]
    process = conditional_transitions([pair, pair])
    np.testing.assert_allclose(np.asarray(process.joint().transitions).sum((0, 2)), 1, rtol=1e-14)
    certain = [bg.from_moore([0.5, 0.5], [[0.8, 0.2], [0.4, 0.6]], [[1 - p, p], [0.3, 0.7]]) for p in (0, 1e-6)]
    with pytest.raises(
        ValueError, match="must emit alike; from state 0 token 1 has probability 1e-06 in process 1, 0 in"
    ):
        conditional_transitions([certain, certain])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fully_conditional([[bg.coin()]]), "fully_conditional needs two factors or more.*; got 1"),
        (
            lambda: fully_conditional([[], [bg.coin()]]),
            "factor 0 of fully_conditional needs a sequence of processes, .*; got none",
        ),
        (
            lambda: conditional_transitions([[bg.coin()] * 2, [bg.mess3()] * 3]),
            "factor 0 of conditional_transitions needs a sequence of 3 processes, .*; got 2",
        ),
        (
            lambda: conditional_transitions([[bg.coin(0.5), bg.coin(0.25)], [bg.coin()] * 2]),
            "processes of factor 0 of conditional_transitions must emit alike; from state 0 token 0 has probability "
            "0.25 in process 1, 0.5 in process 0: .* use fully_conditional",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
