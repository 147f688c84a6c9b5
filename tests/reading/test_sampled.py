import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.reading.evaluation import loss_gap, prefixes
from beliefgeo.reading.sampled import sampled_loss_gap, sampled_words, words_or_sample
from tests import oracle


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
    rows = prefixes(process, sampled_words(jax.random.key(1), process, 20_000, 3), bos=2)
    assert rows.counts.sum() == 4 * 20_000
    for row in range(len(rows.word)):
        exact = oracle.joint_probability(process, rows.words[rows.word[row], : rows.length[row]])
        np.testing.assert_allclose(rows.probabilities[row], exact, atol=0.02)  # 5 standard errors


def test_gap_with_errors_by_hand_and_against_the_exact_one():
    process = bg.mess3()
    exact = prefixes(process, bg.words(process, 3))
    law = lambda rows: jnp.log(jnp.asarray(0.5 * rows.laws + 0.5 * np.array([[0.6, 0.3, 0.1]])))
    sampled = prefixes(process, words := sampled_words(jax.random.key(2), process, 500, 3))
    found, truth = sampled_loss_gap(sampled, law(sampled)), loss_gap(exact, law(exact))
    np.testing.assert_allclose(found.gap, loss_gap(sampled, law(sampled)), rtol=1e-6)
    assert (abs(found.gap - truth) < 4 * found.error).all() and abs(found.mean - truth.mean()) < 4 * found.mean_error
    per_word = np.empty((500, 3))
    for index, word in enumerate(words.tokens.tolist()):
        for read in (1, 2, 3):
            p = oracle.conditional(process, word[:read])
            per_word[index, read - 1] = p @ np.log(p / (0.5 * p + 0.5 * np.array([0.6, 0.3, 0.1])))
    np.testing.assert_allclose(found.error, per_word.std(0, ddof=1) / 500**0.5, rtol=1e-4)
    np.testing.assert_allclose(found.mean_error, per_word.mean(1).std(ddof=1) / 500**0.5, rtol=1e-4)


def test_enumerates_below_the_limit_and_says_when_it_samples(capsys):
    every, sampled = words_or_sample(jax.random.key(0), bg.rrxor(), 10, 436)
    assert not sampled and every.tokens.shape == (436, 10) and capsys.readouterr().out == ""
    some, sampled = words_or_sample(jax.random.key(0), bg.rrxor(), 10, 435)
    assert sampled and some.tokens.shape == (435, 10)
    assert capsys.readouterr().out.startswith("436 words of length 10 are more than 435: 435 sampled ones stand")
    _, sampled = words_or_sample(jax.random.key(0), bg.frdn(), 4, 15)
    assert sampled and capsys.readouterr().out.startswith("16 words")
    with pytest.raises(ValueError, match="count of 2 or more.*got 1"):
        sampled_words(jax.random.key(0), bg.rrxor(), 1, 4)


def test_contexts_far_too_long_are_refused_in_a_sentence(capsys):
    with pytest.raises(ValueError, match="at most 1,000,000 prefixes .* 500 words of length 5,000 have 2,500,000: low"):
        words_or_sample(jax.random.key(0), bg.rrxor(), 5000, 500)
    assert capsys.readouterr().out.startswith("10^1004 words of length 5,000 are more than 500")


def test_listed_words_are_refused_a_standard_error():
    rows = prefixes(bg.golden_mean(), bg.words(bg.golden_mean(), 4))
    with pytest.raises(ValueError, match="use loss_gap for listed ones"):
        sampled_loss_gap(rows, jnp.log(jnp.asarray(rows.laws)))
