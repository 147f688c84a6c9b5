import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.mechanisms.attention import (
    attention_rows,
    fit_decay,
    ideal_heads,
    last_row_by_lag,
    match_patterns,
    mean_pattern,
    predicted_patterns,
)
from beliefgeo.networks.transformer import Transformer, TransformerConfig
from beliefgeo.reading import read, rows_of

RNG = np.random.default_rng(3)
CONFIG = TransformerConfig(context=4, layers=2, width=8, heads=2, head_width=4, mlp_width=8)


def test_mean_pattern_is_the_average_over_words():
    process, network = bg.mess3(), Transformer(CONFIG)
    words = bg.words(process, 4)
    params = network.init(jax.random.key(0), jnp.zeros(4, int))
    rows = rows_of(process, words)
    found = mean_pattern(read(network, params, rows, attention_rows).features, rows)
    every = jax.vmap(lambda word: network.apply(params, word)[1]["attn_pattern"])(jnp.asarray(words.tokens))
    np.testing.assert_allclose(found, np.tensordot(words.probabilities, every, 1), atol=1e-6)


def test_lags_by_hand():
    pattern = np.array([[1, 0, 0], [0.4, 0.6, 0], [0.1, 0.2, 0.7]])
    np.testing.assert_allclose(last_row_by_lag(jnp.array(pattern)), [0.7, 0.2, 0.1])


def test_decay_and_its_error():
    lags = np.arange(6)
    for zeta in (0.55, -0.5, 0.0, 1.0):
        assert abs(fit_decay(0.4 * zeta**lags, lags).zeta - zeta) < 1e-6
    even = np.where(lags % 2 == 0, 0.7 * 0.5**lags, 0)
    assert abs(fit_decay(even, (0, 2, 4)).zeta - 0.5) < 1e-6
    assert abs(fit_decay(-np.roll(even, 1), (1, 3, 5)).zeta - 0.5) < 1e-6
    # The error is the spread of estimates under noise of the size that the residuals show.
    fits = [fit_decay(0.5**lags + 0.01 * RNG.normal(size=6), lags) for _ in range(300)]
    spread, errors = np.std([fit.zeta for fit in fits]), np.sqrt(np.mean([fit.error**2 for fit in fits]))
    np.testing.assert_allclose(errors, spread, rtol=0.15)
    # Published for Mess3(.15, .6): zeta = .55.
    published = fit_decay([0.46, 0.29, 0.15, 0.10], range(4))
    assert abs(published.zeta - 0.55) < 2 * published.error + 0.05
    with pytest.raises(ValueError, match=r"at least 3 lags.*got \[0, 1\]"):
        fit_decay(even, (0, 1))


def test_decays_that_cannot_be_fitted():
    nothing = fit_decay(np.zeros(6), range(4))  # fades at any rate
    assert np.isnan([nothing.zeta, nothing.error]).all() and nothing.scale == 0
    for lags in ([1, 1, 2], [0, 2]):
        with pytest.raises(ValueError, match="at least 3 lags"):
            fit_decay(np.ones(6), lags)
    for lags in ([0, 1, 6], [-1, 0, 1], [0.0, 1.5, 2.0]):
        with pytest.raises(ValueError, match=r"lags must be integers in 0..5, of weights \[lag\]"):
            fit_decay(np.ones(6), lags)
    with pytest.raises(ValueError, match="weights must be finite at the lags"):
        fit_decay([1.0, np.nan, 0.25, 0.125], range(4))
    assert fit_decay([np.nan, 0.5, 0.25, 0.125], [1, 2, 3]).zeta == pytest.approx(0.5)


def test_a_head_that_reads_nothing_and_rows_of_seeds():
    np.testing.assert_allclose(match_patterns([[1, 0, 0], [0, 1, 0]], [[0, 1, 1]]), [0.5**0.5])
    np.testing.assert_allclose(match_patterns([[1.0, 0, 0]], [[0.0, 1, 1]]), [0])
    with pytest.raises(ValueError, match=r"of the same lags; got shapes \(1, 3\) and \(1, 2\)"):
        match_patterns([[1, 0, 0]], [[0, 1]])
    with pytest.raises(ValueError, match="a lag for each parity; got 2 heads, 1 lags"):
        ideal_heads(-0.5, 2, 1)
    rows = rows_of(bg.golden_mean(), bg.words(bg.golden_mean(), 2))
    for shape in ((2, 5, 1, 2, 2), (4, 1, 2, 2)):
        with pytest.raises(ValueError, match=r"\[row, layer, head, read\] of one network, of 5 prefixes; got shape"):
            mean_pattern(jnp.zeros(shape), rows)


def test_ideal_heads_sum_to_one_and_split_by_parity():
    np.testing.assert_allclose(ideal_heads(0.5, 1, 3), [[4 / 7, 2 / 7, 1 / 7]])
    np.testing.assert_allclose(ideal_heads(-0.5, 2, 4), [[0.8, 0, 0.2, 0], [0, 0.8, 0, 0.2]])
    np.testing.assert_allclose(ideal_heads(0.5, 2, 2), [[2 / 3, 1 / 3]] * 2)
    np.testing.assert_allclose(ideal_heads(-0.5, 1, 2), [[2 / 3, 1 / 3]])


@pytest.mark.parametrize(
    ("zetas", "patterns"),
    [
        ((0.7, 0.7), [[0.7, 0.49, 0.343]]),
        ((0.7, 0.3), [[0.7, 0.49, 0.343], [0.3, 0.09, 0.027]]),
        ((0.7, -0.3), [[0.7, 0.49, 0.343], [0, 0.09, 0], [0.3, 0, 0.027]]),
        ((0.5, -0.5), [[0, 0.25, 0], [0.5, 0, 0.125]]),
        ((0.7, -0.7), [[0, 0.49, 0], [0.7, 0, 0.343]]),
    ],
)
def test_the_registered_patterns(zetas, patterns):
    """1, 2, 3, 2 and 2 heads."""
    found = predicted_patterns(zetas, 4)
    np.testing.assert_allclose([pattern[1:] for pattern in found.values()], patterns, atol=1e-12)


def test_heads_are_matched_in_any_order():
    even, odd = np.array([[1, 0, 0.5, 0, 0.25], [0, 1, 0, 0.5, 0]])
    np.testing.assert_allclose(match_patterns([odd, np.ones(5), even], [even, odd]), 1)
    # (.5, .25) against (1, 1, 1, 1), of which it is one half at lags 2 and 4.
    half = 0.75 / np.hypot(0.5, 0.25) / 2
    np.testing.assert_allclose(match_patterns([np.ones(5), odd], [even, odd]), [half, 1])
    with pytest.raises(ValueError, match="each pattern needs a head; got 2 patterns and 1 heads"):
        match_patterns([even], [even, odd])
