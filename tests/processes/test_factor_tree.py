"""Trees of factors against their joint, built entry by entry."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.processes.chain import chain
from beliefgeo.processes.factor_tree import factor_tree
from beliefgeo.processes.quantum import bloch_walk
from tests import oracle
from tests.processes.against_joint import (
    assert_batched,
    assert_differentiable,
    assert_same,
    assert_unknown_tokens_are_refused,
    by_hand,
)


def golden(*parameters):
    return [bg.hmm(bg.golden_mean(p).transitions, [0.7, 0.3]) for p in parameters]


TREES = {
    "siblings": lambda: ([bg.even(0.4), golden(0.3, 0.6), [bloch_walk(1, 3), bloch_walk(2, 1)]], [None, 0, 0]),
    "two roots": lambda: ([bg.coin(0.3), bg.mess3(0.1, 0.8), golden(0.2, 0.5, 0.9), golden(0.3, 0.6)], [-1, -1, 1, 0]),
    "a composite child": lambda: (
        [bg.coin(0.3), [bg.product([bg.coin(p), bg.golden_mean()]) for p in (0.2, 0.6)]],
        [None, 0],
    ),
}


def joint_by_hand(factors, parents):
    """T^(x) = kron_n T_n^(x_parent(n) x_n) in loops over tokens and factors."""
    alternatives = [[f] if not isinstance(f, list) else [bg.joint(one) for one in f] for f in factors]
    sizes = [len(oracle.matrices(some[0])) for some in alternatives]
    transitions = []
    for digits in itertools.product(*map(range, sizes)):
        matrix = np.ones((1, 1))
        for n, (some, parent) in enumerate(zip(alternatives, parents, strict=True)):
            chosen = some[0] if parent in (None, -1) else some[digits[parent]]
            matrix = np.kron(matrix, oracle.matrices(chosen)[digits[n]])
        transitions.append(matrix)
    initial, readout = np.ones(1), np.ones(1)
    for some in alternatives:
        initial, readout = np.kron(initial, some[0].initial), np.kron(readout, some[0].readout)
    return by_hand(np.array(transitions), initial, readout)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n != "siblings" else n for n in TREES])
def test_the_joint_is_the_same_process(name, x64):
    factors, parents = TREES[name]()
    assert_same(factor_tree(factors, parents), joint_by_hand(factors, parents))


def test_beliefs_stay_a_product_given_the_tokens(x64):
    factors, parents = TREES["siblings"]()
    process, word = factor_tree(factors, parents), [9, 14, 0, 6]
    parts = process.split_belief(bg.filter_beliefs(process, word).beliefs[-1])
    whole = oracle.belief(joint_by_hand(factors, parents), word)
    np.testing.assert_allclose(np.einsum("i,j,k->ijk", *parts).ravel(), whole, atol=1e-12)


def test_a_chain_is_a_tree_and_so_are_independent_factors(x64):
    factors = [bg.even(0.4), golden(0.3, 0.6), golden(0.2, 0.9)]
    a, b = chain(factors), factor_tree(factors, [None, 0, 1])
    assert a.parents == b.parents and a.vocab_sizes == (2, 2, 2)
    belief = bg.filter_beliefs(b, [1, 4, 3]).beliefs[-1]
    np.testing.assert_array_equal(a.predict(belief), b.predict(belief))
    apart = factor_tree([bg.mess3(), bg.golden_mean()], [None, None])
    side_by_side = bg.product([bg.mess3(), bg.golden_mean()])
    np.testing.assert_allclose(apart.joint().transitions, side_by_side.joint().transitions, atol=1e-16)


def test_tokens_split_join_and_outside():
    process = factor_tree(*TREES["two roots"]())
    digits = process.split_token(jnp.arange(process.vocab_size))
    np.testing.assert_array_equal(np.stack(digits), np.unravel_index(np.arange(24), (2, 3, 2, 2)))
    np.testing.assert_array_equal(process.join_tokens(digits), np.arange(24))
    assert_unknown_tokens_are_refused(process, process.initial)
    # Two ones in a row are impossible in the last factor: all of the belief is undefined.
    filtered = bg.filter_beliefs(process, [1, 1, 0])
    assert np.isnan(filtered.beliefs[2:]).all() and np.isneginf(filtered.log_probabilities[1:]).all()


def test_gradients_and_batches(x64):
    build = lambda p: factor_tree([bg.coin(p), [bg.coin(p / 2), bg.coin(0.7)], golden(p, 0.5)], [None, 0, 0])
    words = jnp.array([[0, 7, 2, 4], [1, 6, 5, 0]])
    assert_differentiable(lambda p: bg.log_probability(build(p), words[0]), 0.4)
    assert_batched(build(0.4), words)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: factor_tree([], []),
            ValueError,
            "needs one factor or more, and a parent for each; got 0 factors and 0",
        ),
        (lambda: factor_tree([bg.coin()], []), ValueError, "a parent for each; got 1 factors and 0 parents"),
        (
            lambda: factor_tree([bg.coin(), golden(0.3, 0.6)], [None, 1]),
            ValueError,
            "the parent of factor 1 of factor_tree must be a factor before it, or None for a root; got 1",
        ),
        (
            lambda: factor_tree([golden(0.3, 0.6)], [None]),
            TypeError,
            "factor 0 of factor_tree must be an observer.*; got list",
        ),
        (
            lambda: factor_tree([bg.mess3(), golden(0.3, 0.6)], [None, 0]),
            ValueError,
            "factor 1 of factor_tree needs a sequence of 3 processes, one per token of its parent; got 2",
        ),
        (
            lambda: factor_tree([bg.coin(), [bg.golden_mean(0.5), bg.golden_mean(0.25)]], [None, 0]),
            ValueError,
            "factor 1 of factor_tree must share their initial; process 1 has .*: give them one",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
