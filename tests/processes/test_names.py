"""Tokens by their names, wherever tokens go."""

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.processes.given import check_token, check_tokens

LETTERS = bg.from_edges([("S", "A", "S", 0.3), ("S", "B", "T", 0.7), ("T", "A", "S", 0.6), ("T", "B", "T", 0.4)])
WORDS = bg.from_edges([("S", "yes", "S", 0.3), ("S", "no", "T", 0.7), ("T", "yes", "S", 1.0)])
PAIRS = bg.from_edges([("S", (0, "a"), "S", 0.3), ("S", (1, "b"), "S", 0.7)])


@pytest.mark.parametrize(
    ("process", "tokens", "numbers"),
    [
        (LETTERS, "ABBA", [0, 1, 1, 0]),
        (LETTERS, "A", [0]),
        (LETTERS, "", []),
        (LETTERS, list("AB"), [0, 1]),
        (LETTERS, ("A", "B"), [0, 1]),
        (LETTERS, np.array(["B", "A"]), [1, 0]),
        (LETTERS, np.array(["B", "A"], object), [1, 0]),
        (LETTERS, ["AB", "BB"], [[0, 1], [1, 1]]),
        (LETTERS, [["A", "B"], "BB"], [[0, 1], [1, 1]]),
        (LETTERS, np.array(["AB", "BB"]), [[0, 1], [1, 1]]),
        (LETTERS, [0, 1], [0, 1]),
        (WORDS, ["yes", "no"], [1, 0]),
        (WORDS, [["yes", "no"], ["no", "no"]], [[1, 0], [0, 0]]),
        (PAIRS, [(1, "b"), (0, "a")], [1, 0]),
        (bg.mess3(), "0212", [0, 2, 1, 2]),
        (bg.mess3(), ["02", "12"], [[0, 2], [1, 2]]),
        (bg.product([bg.coin(), bg.coin()]), "0312", [0, 3, 1, 2]),
    ],
)
def test_numbers_of_names(process, tokens, numbers):
    checked = check_tokens(process, tokens)
    assert checked.dtype == np.int32 and checked.tolist() == numbers


@pytest.mark.parametrize(
    ("process", "tokens", "error", "message"),
    [
        (LETTERS, "ABC", ValueError, "tokens must be among the names 'A', 'B'; got 'C' at position 2"),
        (LETTERS, ["AB", "AC"], ValueError, "got 'C' at position 1, 1"),
        (LETTERS, ["A", 1], ValueError, "got 1 at position 1"),
        (LETTERS, "01", ValueError, "the names 'A', 'B'; got '0' at position 0"),
        (LETTERS, ["AB", "A"], ValueError, "rows of different lengths: give one at a time"),
        (WORDS, ["yes", "yse"], ValueError, "the names 'no', 'yes'; got 'yse' at position 1"),
        (WORDS, "yes", ValueError, "the names 'no', 'yes'; got 'y' at position 0"),
        (bg.mess3(), "013", ValueError, "the names '0', '1', '2'; got '3' at position 2"),
        (bg.product([bg.mess3()] * 3), "012", TypeError, "the 27 tokens of this process have no names; got names"),
        (LETTERS, [0, 2], ValueError, r"tokens must lie in 0..1; got 2 at position 1"),
        (LETTERS, [0.0, 1.0], TypeError, "tokens must be integers; got float64"),
    ],
)
def test_names_that_are_none(process, tokens, error, message):
    with pytest.raises(error, match=message):
        check_tokens(process, tokens)


@pytest.mark.parametrize(
    "call",
    [bg.filter_beliefs, bg.log_probability, bg.filter_beliefs_parallel, bg.smooth_beliefs, bg.likeliest_path]
    + [bg.constrained_beliefs, lambda *given: bg.sample_path(jax.random.key(0), *given)],
)
@pytest.mark.parametrize(("process", "names", "numbers"), [(LETTERS, "ABBA", [0, 1, 1, 0]), (bg.rrxor(), "01", [0, 1])])
def test_wherever_tokens_go(call, process, names, numbers):
    for given in (names, list(names)):
        jax.tree.map(np.testing.assert_array_equal, call(process, given), call(process, numbers))
    with pytest.raises(ValueError, match="got 'X' at position 1"):
        call(process, names[0] + "X")


def test_one_token():
    belief = LETTERS.initial
    np.testing.assert_array_equal(bg.update_belief(LETTERS, belief, "B"), bg.update_belief(LETTERS, belief, 1))
    np.testing.assert_array_equal(bg.update_belief(WORDS, [1.0, 0.0], "yes"), [1, 0])
    np.testing.assert_allclose(bg.update_belief(PAIRS, [1.0], (1, "b")), [1])
    np.testing.assert_array_equal(jax.jit(bg.update_belief)(LETTERS, belief, 1), bg.update_belief(LETTERS, belief, "B"))
    with pytest.raises(ValueError, match="token must be one token; got the 2 of 'AB'"):
        check_token(LETTERS, "AB")
    with pytest.raises(ValueError, match="got 'C' at position 0"):
        check_token(LETTERS, "C")


@pytest.mark.parametrize("call", [bg.filter_beliefs, bg.log_probability, bg.smooth_beliefs, bg.likeliest_path])
def test_what_was_not_observed(call):
    expected = call(LETTERS, [0, -1, 1], missing=-1)
    same = lambda got: jax.tree.map(np.testing.assert_array_equal, got, expected)
    same(call(LETTERS, "A?B", missing="?"))
    same(call(LETTERS, ["A", "gone", "B"], missing="gone"))
    same(call(LETTERS, ["A", -1, "B"], missing=-1))
    same(call(LETTERS, "AAB", observed=[True, False, True]))
    jax.tree.map(
        np.testing.assert_array_equal, call(LETTERS, ["ABB", "BAA"], lengths=[3, 1]),
        call(LETTERS, [[0, 1, 1], [1, 0, 0]], lengths=[3, 1]),
    )  # fmt: skip
    with pytest.raises(ValueError, match="different lengths: pad them to one length and give lengths"):
        call(LETTERS, ["AB", "B"], lengths=[2, 1])
