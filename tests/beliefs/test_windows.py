import jax.numpy as jnp
import numpy as np
import pytest

from beliefgeo.beliefs.windows import check_sequences, count_futures, window_codes


@pytest.mark.parametrize(
    "tokens",
    [[0, 1, 1], (0, 1, 1), np.array([0, 1, 1], np.uint8), jnp.array([0, 1, 1]), [np.int32(0), 1, 1]],
)
def test_whatever_holds_integers(tokens):
    sequences = check_sequences(tokens)
    assert sequences.dtype == np.int64 and sequences.tolist() == [[0, 1, 1]]


@pytest.mark.parametrize("tokens", [[0, 2], [1, 2], [3] * 4, [0, 4, 8], [0, 300], [5, 7, 9]])
def test_labels_that_never_occur_are_harmless(tokens):
    assert check_sequences(tokens).tolist() == [tokens]


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
    assert check_sequences(np.unique(tokens, return_inverse=True)[1]).max() == len(np.unique(tokens)) - 1


def test_labels_that_make_the_table_too_large():
    """The labels 0 and 5000 are two, which a table of their words would hold once they are numbered."""
    with pytest.raises(ValueError, match=r"got other labels, 2 in all \(0, 5000\): np.unique"):
        window_codes(np.array([[0, 5000] * 10]), 4)
    with pytest.raises(ValueError, match=r"windows of 30 tokens from a vocabulary of 2 make 2\^30 words.*: shorten"):
        window_codes(np.array([[0, 1] * 40]), 30)


@pytest.mark.parametrize(
    ("tokens", "kind"),
    [("0110", "<U4"), (["a", "b"], "<U1"), ([True, False], "bool"), ([0.0, 1.0], "float64"), ([0, None], "object")],
)
def test_what_is_no_integer(tokens, kind):
    with pytest.raises(TypeError, match=rf"tokens must be integers; got {kind}: np.unique\(list\(tokens\), return_inv"):
        check_sequences(tokens)


def test_the_advice_numbers_any_values():
    for tokens in ("0110", ["a", "b", "b", "a"], [False, True, True, False], [0.5, 1.5, 1.5, 0.5]):
        assert check_sequences(np.unique(list(tokens), return_inverse=True)[1]).tolist() == [[0, 1, 1, 0]]


@pytest.mark.parametrize(
    "tokens", [[[0, 1], [0]], [np.array([0, 1]), np.array([0])], np.array([[0, 1], [0]], object), [[0, 1], 0]]
)
def test_ragged(tokens):
    with pytest.raises(
        ValueError, match="got sequences of several lengths: cut them to one length, or give one at a t"
    ):
        check_sequences(tokens)


def test_futures_counted_by_hand():
    """Of 0 1 1 0 1 1 ... every window of 3: 011, 110 and 101; the tables of histories of 0 and 1 token."""
    empty, one = count_futures(np.tile([0, 1, 1], 11)[None], 1, 2)
    np.testing.assert_array_equal(one, [[[0, 0], [0, 11]], [[0, 10], [10, 0]]])
    np.testing.assert_array_equal(empty, [[[0, 10], [10, 11]]])
