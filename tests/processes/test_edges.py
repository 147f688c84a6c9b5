import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from tests import oracle

EVEN = [("A", "0", "A", 0.5), ("A", "1", "B", 0.5), ("B", "1", "A", 1.0)]
WEATHER = [
    ("high", "sun", "high", 0.6),
    ("high", "rain", "low", 0.4),
    ("low", "rain", "low", 0.7),
    ("low", "snow", "low", 0.1),
    ("low", "sun", "high", 0.2),
]


def test_the_same_process_by_hand():
    process = bg.from_edges(WEATHER)
    assert process.state_names == ("high", "low") and process.token_names == ("rain", "snow", "sun")
    by_hand = bg.hmm([[[0, 0.4], [0, 0.7]], [[0, 0], [0, 0.1]], [[0.6, 0], [0.2, 0]]])
    for one, other in zip(jax.tree.leaves(process), jax.tree.leaves(by_hand), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not process.generalised and by_hand.state_names is None
    np.testing.assert_allclose(process.initial, [1 / 3, 2 / 3], rtol=1e-6)


def test_every_word_has_its_probability():
    process = bg.from_edges(EVEN)
    for word in itertools.product("01", repeat=4):
        expected = oracle.joint_probability(bg.even(0.5), [int(token) for token in word])
        np.testing.assert_allclose(np.exp(bg.log_probability(process, "".join(word))), expected, rtol=1e-5)


def test_names_of_any_kind_in_order():
    process = bg.from_edges([((0, "x"), None, 7, 1.0), (7, "a", (0, "x"), 1)])
    assert process.state_names == ((0, "x"), 7) and process.token_names == (None, "a")  # which cannot be sorted
    assert bg.log_probability(process, [None, "a", None]) == pytest.approx(np.log(0.5))
    numbered = bg.from_edges([("A", np.int64(1), "A", 0.25), ("A", 0, "A", np.float32(0.75))])
    assert numbered.token_names == (0, 1) and {type(name) for name in numbered.token_names} == {int}
    assert bg.log_probability(numbered, [1, 0]) == pytest.approx(np.log(0.25 * 0.75))


@pytest.mark.parametrize(
    ("initial", "law"),
    [("B", [0, 1]), ({"A": 0.25, "B": 0.75}, [0.25, 0.75]), ({"B": 1}, [0, 1]), ([0.5, 0.5], [0.5, 0.5])]
    + [(None, [2 / 3, 1 / 3]), (np.array([1.0, 0.0]), [1, 0])],
)
def test_where_it_starts(initial, law):
    np.testing.assert_allclose(bg.from_edges(EVEN, initial).initial, law, rtol=1e-6)


def test_derivatives_by_a_probability(x64):
    coin = lambda p: bg.from_edges([("A", "H", "A", p), ("A", "T", "A", 1 - p)])
    slope = jax.grad(lambda p: bg.log_probability(coin(p), "HHT"))(0.3)
    np.testing.assert_allclose(slope, 2 / 0.3 - 1 / 0.7, rtol=1e-12)


def test_names_stay():
    process = bg.from_edges(EVEN)
    moved = dataclasses.replace(process, initial=jnp.array([1.0, 0.0]))
    for kept in (moved, jax.jit(lambda p: p)(process), bg.noisy(process, 0.1)):
        assert kept.state_names == ("A", "B") and kept.token_names == ("0", "1")
    relabelled = bg.relabel(process, [1, 0])
    assert relabelled.state_names == ("A", "B") and relabelled.token_names is None
    assert bg.log_probability(relabelled, "0101") == bg.log_probability(process, "1010")
    chain = bg.markov_approximation(process, 1)
    assert chain.token_names == ("0", "1") and chain.state_names is None
    machine = bg.epsilon_machine(process)
    assert machine.token_names == ("0", "1") and machine.state_names is None
    for other in (bg.with_bos(process), bg.with_end(process, 0.1), bg.mixture([process, process], [0.5, 0.5])):
        assert other.state_names is None and other.token_names is None


@pytest.mark.parametrize(
    ("edges", "initial", "message"),
    [
        ([], None, "needs one edge .* or more; got none"),
        ([*EVEN, ("A", "0", "A", 0.1)], None, r"the edge \('A', '0', 'A'\) was given twice: add"),
        (EVEN[:2], None, "every state needs an edge that leaves it; state 'B' has none"),
        ([*EVEN[:2], ("B", "1", "A", 0.93)], None, "leave a state must sum to 1; those of 'B' sum to 0.93"),
        ([("A", "0", "A", -0.5)], None, r"must lie in 0..1; got -0.5 for \('A', '0', 'A'\)"),
        ([("A", "0", "A", "half")], None, r"must lie in 0..1; got 'half' for"),
        ([("A", "0", "A", np.nan)], None, r"must lie in 0..1; got nan for"),
        ([EVEN[0], ("A", "1", 0.5)], None, r"edge 1 is \('A', '1', 0.5\)"),
        ([("A", ["1"], "A", 1.0)], None, r"its names hashable; edge 0 is"),
        ([("A", 1, "A", 0.5), ("A", 2, "A", 0.5)], None, r"own numbers, and must be 0..1; got 1, 2: name them by str"),
        (EVEN, "C", "initial must be a state, 'A', 'B'; got 'C'"),
        (EVEN, {"C": 1.0}, "initial must give laws to the states 'A', 'B'; got 'C'"),
        (EVEN, {"A": 0.5}, r"initial must be normalised.*; got 0.5"),
        ([("A", "0", "A", 1.0), ("B", "0", "B", 1.0)], None, "2 closed classes; pass initial"),
    ],
)
def test_mistakes(edges, initial, message):
    with pytest.raises(ValueError, match=message):
        bg.from_edges(edges, initial)
