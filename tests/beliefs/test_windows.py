import jax.numpy as jnp
import numpy as np
import pytest

from beliefgeo.beliefs.windows import check_sequences, count_futures, window_codes


@pytest.mark.parametrize(
    "tokens",
    [[0, 1, 1], (0, 1, 1), np.array([0, 1, 1], np.uint8), jnp.array([0, 1, 1]), [np.int32(0), 1, 1]],
)
def test_whatever_holds_integers(tokens):
    sequences, names = check_sequences(tokens)
    assert names is None and sequences.dtype == np.int64 and sequences.tolist() == [[0, 1, 1]]


@pytest.mark.parametrize("tokens", [[0, 2], [1, 2], [3] * 4, [0, 4, 8], [0, 300], [5, 7, 9]])
def test_labels_that_never_occur_are_harmless(tokens):
    assert check_sequences(tokens).tokens.tolist() == [tokens]


@pytest.mark.parametrize(
    ("tokens", "labels"),
    [
        ([100, 101, 100], r"2 in all \(100, 101\)"),
        ([48, 49, 49], r"2 in all \(48, 49\)"),
        (np.arange(1000, 1009), r"9 in all \(1000, 1001, ..., 1008\)"),
        ([0, 2**40], r"2 in all \(0, 1099511627776\)"),
        (np.array([0, 2**63], np.uint64), r"2 in all \(0, 9223372036854775808\)"),
    ],
)
def test_labels_that_are_no_numbering_from_0(tokens, labels):
    with pytest.raises(ValueError, match=f"must be the labels 0..V-1 of V tokens; got other labels, {labels}: np.uniq"):
        check_sequences(tokens)
    assert check_sequences(np.unique(tokens, return_inverse=True)[1]).tokens.max() == len(np.unique(tokens)) - 1


def test_labels_that_make_the_table_too_large():
    """The labels 0 and 5000 are two, which a table of their words would hold once they are numbered."""
    with pytest.raises(ValueError, match=r"got other labels, 2 in all \(0, 5000\): np.unique"):
        window_codes(np.array([[0, 5000] * 10]), 4)
    with pytest.raises(ValueError, match=r"windows of 30 tokens from a vocabulary of 2 make 2\^30 words.*: shorten"):
        window_codes(np.array([[0, 1] * 40]), 30)


@pytest.mark.parametrize(
    ("tokens", "kind"), [([True, False], "bool"), ([0.0, 1.0], "float64"), ([0, None], "object"), ([0, "a"], "<U21")]
)
def test_what_is_no_integer(tokens, kind):
    with pytest.raises(TypeError, match=rf"tokens must be integers; got {kind}: np.unique\(list\(tokens\), return_inv"):
        check_sequences(tokens)


def test_the_advice_numbers_any_values():
    for tokens in ([False, True, True, False], [0.5, 1.5, 1.5, 0.5]):
        assert check_sequences(np.unique(list(tokens), return_inverse=True)[1]).tokens.tolist() == [[0, 1, 1, 0]]


@pytest.mark.parametrize(
    "tokens", [[[0, 1, 2], [2]], [np.array([0, 1, 2]), np.array([2])], np.array([[0, 1, 2], [2]], object)]
)
def test_different_lengths(tokens):
    assert check_sequences(tokens).tokens.tolist() == [[0, 1, 2], [2, -1, -1]]


@pytest.mark.parametrize(
    ("tokens", "error", "message"),
    [
        ([[0, 1], 0], ValueError, r"got shape \(\) in row 1"),
        ([[0, 1], [-1]], ValueError, "tokens must be 0 or more; got -1 at position 1, 0"),
        ([[0, 1], [0.5]], TypeError, "tokens must be integers; got float64"),
        ([[100, 101], [100]], ValueError, r"2 in all \(100, 101\)"),
        ("", ValueError, r"got shape \(0,\)"),
        ([[], []], ValueError, r"got shape \(2, 0\)"),
    ],
)
def test_sequences_that_are_none(tokens, error, message):
    with pytest.raises(error, match=message):
        check_sequences(tokens)


@pytest.mark.parametrize(
    ("tokens", "numbers", "names"),
    [
        ("BAAB", [[1, 0, 0, 1]], "AB"),
        (list("BAAB"), [[1, 0, 0, 1]], "AB"),
        (np.array(list("BAAB")), [[1, 0, 0, 1]], "AB"),
        ("0110", [[0, 1, 1, 0]], "01"),
        (["BAC", "A"], [[1, 0, 2], [0, -1, -1]], "ABC"),
        (["BA", "", "A"], [[1, 0], [-1, -1], [0, -1]], "AB"),
        ([["B", "A"], "A"], [[1, 0], [0, -1]], "AB"),
        ([["yes", "no"], ["no"]], [[1, 0], [0, -1]], ("no", "yes")),
        (["sun", "rain"] * 10, [[1, 0] * 10], ("rain", "sun")),
        (["ab", "ba"] * 20, [[0, 1], [1, 0]] * 20, "ab"),  # two strings, two letters: sequences
        (["abc", "bca"] * 2, [[0, 1, 2], [1, 2, 0]] * 2, "abc"),  # too few to be names
    ],
)
def test_names_are_numbered_in_their_order(tokens, numbers, names):
    got = check_sequences(tokens)
    assert got.tokens.tolist() == numbers and got.names == tuple(names)


def test_no_window_crosses_an_end():
    sequences = check_sequences(["ABBA", "BA", "B"]).tokens
    assert window_codes(sequences, 2).tolist() == [[1, 3, 2], [2, -1, -1], [-1, -1, -1]]
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 2, length) for length in rng.integers(0, 90, 40)]
    together = count_futures(check_sequences([row.tolist() for row in rows]).tokens, 2, 2)
    for length in range(3):
        expected = np.zeros((2**length, 2, 2), int)
        for row in rows:
            for place in range(2, len(row) - 1):  # histories of all lengths at the same places
                word = int("0" + "".join(map(str, row[place - length : place])), 2)
                expected[word, row[place], row[place + 1]] += 1
        np.testing.assert_array_equal(together[length], expected)


def test_futures_counted_by_hand():
    """Of 0 1 1 0 1 1 ... every window of 3: 011, 110 and 101; the tables of histories of 0 and 1 token."""
    empty, one = count_futures(np.tile([0, 1, 1], 11)[None], 1, 2)
    np.testing.assert_array_equal(one, [[[0, 0], [0, 11]], [[0, 10], [10, 0]]])
    np.testing.assert_array_equal(empty, [[[0, 10], [10, 11]]])
