from functools import partial

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.reading import (
    beliefs_after,
    rows_of,
    sampled_words,
)
from tests import oracle
from tests.cases import ALL

BOS = 2


@pytest.mark.parametrize("bos", [None, 9])
@pytest.mark.parametrize("name", ["mess3", "rrxor", "mr_name", "signed_golden_mean"])
def test_beliefs_and_laws_are_those_of_what_was_read(name, bos):
    process, words = ALL[name](), bg.words(ALL[name](), 4)
    rows = rows_of(process, words, bos=bos)
    for row in range(len(rows.word)):
        read = rows.tokens[rows.word[row], : rows.position[row] + 1].tolist()
        word = read if bos is None else read[1:]
        assert len(word) == rows.length[row] and (bos is None or read[0] == bos)
        np.testing.assert_allclose(rows.beliefs[row], oracle.belief(process, word), atol=1e-6)
        np.testing.assert_allclose(rows.laws[row], oracle.conditional(process, word), atol=1e-6)
        np.testing.assert_allclose(rows.probabilities[row], oracle.joint_probability(process, word), atol=1e-6)
        assert rows.counts[row] == (words.tokens[:, : len(word)] == word).all(1).sum()
    assert len({tuple(rows.tokens[w, : p + 1]) for w, p in zip(rows.word, rows.position, strict=True)}) == len(
        rows.word
    )


def test_counts_stand_for_every_word_and_position():
    words = bg.words(bg.rrxor(), 10)
    rows = rows_of(bg.rrxor(), words)
    assert len(rows.word) == 1046 and rows.counts.sum() == 4360
    every = words.beliefs[:, 1:].reshape(-1, 5)
    shares = rows.counts[:, None] / rows.counts.sum()
    np.testing.assert_allclose((shares * rows.beliefs).sum(0), every.mean(0), rtol=1e-12)


def test_subtrees():
    rows = rows_of(bg.golden_mean(), bg.words(bg.golden_mean(), 3))
    labels = rows.subtrees(2)
    read = [tuple(rows.tokens[w, : p + 1]) for w, p in zip(rows.word, rows.position, strict=True)]
    expected = {(0, 0): 0, (0, 1): 1, (1, 0): 2}
    assert labels.tolist() == [expected[word[:2]] if len(word) >= 2 else -1 for word in read]
    with_bos = rows_of(bg.golden_mean(), bg.words(bg.golden_mean(), 3), bos=BOS)
    assert with_bos.subtrees(2)[1:].tolist() == labels.tolist()


def test_words_without_prefixes():
    process, none = bg.golden_mean(), bg.words(bg.golden_mean(), 0)
    with pytest.raises(ValueError, match=r"of a token or more unless there is a BOS; got shape \(1, 0\)"):
        rows_of(process, none)
    assert rows_of(process, none, bos=BOS).length.tolist() == [0]
    with pytest.raises(ValueError, match=r"a word or more.*got shape \(0, 2\)"):
        rows_of(process, jax.tree.map(lambda leaf: leaf[:0], bg.words(process, 2)))


def test_repeated_words_are_counted_and_disordered_ones_refused():
    process, words = bg.golden_mean(), bg.words(bg.golden_mean(), 2)
    twice = jax.tree.map(lambda leaf: np.repeat(leaf, [1, 3, 2], axis=0), words)
    rows = rows_of(process, twice._replace(probabilities=np.full(6, 1 / 6)))
    # The words are 00, 01 three times, 10 twice: prefixes 0, 1, 00, 01, 10.
    assert rows.counts.tolist() == [4, 2, 1, 3, 2]
    np.testing.assert_allclose(rows.probabilities, [4 / 6, 2 / 6, 1 / 6, 3 / 6, 2 / 6])
    np.testing.assert_allclose(rows.beliefs, [[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]], atol=1e-7)
    backwards = jax.tree.map(lambda leaf: leaf[::-1], words)
    with pytest.raises(ValueError, match=r"lexicographic order; got \[0, 1\] after \[1, 0\]: take them from"):
        rows_of(process, backwards)


@pytest.mark.parametrize("bos", [None, 9])
def test_beliefs_of_another_observer(bos):
    process, other = bg.mess3(), bg.markov_approximation(bg.mess3(), 2)
    rows = rows_of(process, bg.words(process, 4), bos=bos)
    believed = beliefs_after(other, rows)
    constrained = beliefs_after(partial(bg.constrained_beliefs, process), rows)
    for row in range(0, len(rows.word), 7):
        word = rows.words[rows.word[row], : rows.length[row]].tolist()
        np.testing.assert_allclose(believed[row], oracle.belief(other, word), atol=1e-6)
        expected = bg.constrained_beliefs(process, np.array(word, int))[-1]
        np.testing.assert_allclose(constrained[row], expected, atol=1e-6)
    np.testing.assert_allclose(beliefs_after(process, rows), rows.beliefs, atol=1e-12)


def test_an_observer_who_thinks_a_word_impossible():
    rows = rows_of(bg.coin(0.5), bg.words(bg.coin(0.5), 3))
    with pytest.raises(ValueError, match=r"4 of 14 prefixes are impossible to this observer, the first \[1, 1\]"):
        beliefs_after(bg.golden_mean(), rows)


@pytest.mark.parametrize("make", [bg.rrxor, bg.frdn, lambda: bg.product([bg.coin(0.3), bg.golden_mean()])])
def test_sampled_words_are_in_order_and_have_the_beliefs_of_enumerated_ones(make):
    process = make()
    drawn, every = sampled_words(jax.random.key(0), process, 60, 4), bg.words(process, 4)
    assert drawn.tokens.tolist() == sorted(drawn.tokens.tolist())
    number = {tuple(word): index for index, word in enumerate(every.tokens.tolist())}
    index = [number[tuple(word)] for word in drawn.tokens.tolist()]
    np.testing.assert_allclose(drawn.beliefs, every.beliefs[index], atol=1e-12)


def test_shares_approach_probabilities():
    process = bg.golden_mean()
    rows = rows_of(process, sampled_words(jax.random.key(1), process, 20_000, 3), bos=2)
    assert rows.counts.sum() == 4 * 20_000
    for row in range(len(rows.word)):
        exact = oracle.joint_probability(process, rows.words[rows.word[row], : rows.length[row]])
        np.testing.assert_allclose(rows.probabilities[row], exact, atol=0.02)  # 5 standard errors


def test_rows_are_listed_below_the_limit_and_drawn_above():
    key = jax.random.key(0)
    every = reading.rows(key, bg.rrxor(), 10, most=436)
    assert not every.sampled and every.tokens.shape == (436, 10)
    np.testing.assert_array_equal(every.beliefs, rows_of(bg.rrxor(), bg.words(bg.rrxor(), 10)).beliefs)
    some = reading.rows(key, bg.rrxor(), 10, most=435)
    assert some.sampled and some.tokens.shape == (435, 10)
    assert reading.rows(key, bg.frdn(), 4, most=15).sampled
    with pytest.raises(ValueError, match="count of 2 or more.*got 1"):
        reading.rows(key, bg.rrxor(), 4, most=1)
    with pytest.raises(ValueError, match="at most 1,000,000 prefixes .* 500 words of length 5,000 have 2,500,000: low"):
        reading.rows(key, bg.rrxor(), 5000, most=500)
    with pytest.raises(ValueError, match="a context of 1 or more; got 0"):
        reading.rows(key, bg.rrxor(), 0)


def test_a_bos_takes_one_position_of_the_context():
    with_bos = reading.rows(jax.random.key(0), bg.golden_mean(), 3, bos=2)
    expected = rows_of(bg.golden_mean(), bg.words(bg.golden_mean(), 2), bos=2)
    assert with_bos.tokens.shape == (3, 3)
    for found, known in zip(with_bos, expected, strict=True):
        np.testing.assert_array_equal(found, known)
