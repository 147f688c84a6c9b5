"""Tokens checked before they are cast, and beliefs that are none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.processes.given import check_belief, check_tokens


@pytest.mark.parametrize(
    ("tokens", "error", "message"),
    [
        (np.array([0, 2**32 + 1]), ValueError, r"tokens must lie in 0..1; got 4294967297 at position 1"),
        (np.array([0, -(2**32)]), ValueError, r"tokens must lie in 0..1; got -4294967296 at position 1"),
        ([0, 2**40], ValueError, r"tokens must lie in 0..1; got 1099511627776 at position 1"),
        (
            np.array([2**63 + 5], np.uint64),
            ValueError,
            r"tokens must lie in 0..1; got 9223372036854775813 at position 0",
        ),
        ([2**70], TypeError, "tokens must be integers; got object"),
        ([[0, 1], [1]], ValueError, "tokens must be an array; got rows of different lengths: give one at a time"),
        (["0", "2"], ValueError, "tokens must be among the names '0', '1'; got '2' at position 1"),
        ([True, False], TypeError, "tokens must be integers; got bool"),
        ([[0, 1], [1, 2]], ValueError, r"tokens must lie in 0..1; got 2 at position 1, 1"),
    ],
)
def test_tokens_that_are_none(tokens, error, message):
    with pytest.raises(error, match=message):
        check_tokens(bg.coin(), tokens)


@pytest.mark.parametrize("call", [bg.filter_beliefs, bg.log_probability, bg.filter_beliefs_parallel, bg.smooth_beliefs])
def test_no_token_wraps(call):
    with pytest.raises(ValueError, match="got 4294967297 at position 1"):
        call(bg.coin(), np.array([0, 2**32 + 1]))


def test_tokens_of_every_width_are_kept():
    for dtype in (np.uint8, np.int16, np.int64, np.uint64):
        assert check_tokens(bg.mess3(), np.array([0, 2], dtype)).tolist() == [0, 2]


BAD = [
    (lambda: bg.frdn(2000, 0.49), [0.3, 0.1, 0.6, 0], r"every token a probability of 0 or more; got -0.332"),
    (bg.mess3, [0.5, 0.5, 0.5], r"belief @ readout == 1 .*; got 1.5 for \[0.5, 0.5, 0.5\]: divide by it"),
    (bg.mess3, [1.5, -0.5, 0], r"every state a probability of 0 or more; got -0.5"),
    (bg.bloch_walk, [1, 5.0, 0], "every token a probability of 0 or more"),
    (lambda: bg.product([bg.coin(), bg.golden_mean()]), [2, 0.25, 0.25], "a belief must be normalised"),
    (lambda: bg.product([bg.coin(), bg.golden_mean()]), [1, 1.5, -0.5], "a probability of 0 or more; got -0.5"),
    (lambda: bg.chain([bg.coin(), [bg.coin(), bg.coin()]]), [1, 2], "a belief must be normalised"),
    (bg.mess3, [0.5, 0.5], r"a belief of this process has 3 entries, one a state; got shape \(\d?,? ?2,?\)"),
]


@pytest.mark.parametrize(("build", "belief", "message"), BAD)
def test_beliefs_that_are_none(build, belief, message):
    process = build()
    for call in (
        lambda: bg.predict_next_token(process, belief),
        lambda: bg.update_belief(process, belief, 0),
        lambda: bg.expand_beliefs(process, [belief]),
        lambda: bg.sample(jax.random.key(0), process, 3, start=belief),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(("build", "belief"), [case[:2] for case in BAD[:-1]])
def test_traced_they_give_nan(build, belief):
    process, belief = build(), jnp.array(belief, float)
    assert np.isnan(jax.jit(bg.predict_next_token)(process, belief)).all()
    assert np.isnan(jax.jit(bg.update_belief)(process, belief, 0)).all()
    assert np.isnan(jax.jit(bg.expand_beliefs)(process, belief[None]).probabilities).all()


@pytest.mark.parametrize("build", [bg.mess3, bg.rrxor, bg.bloch_walk, bg.frdn, bg.moon, lambda: bg.quantum_rrxor(0.3)])
def test_beliefs_of_the_library_pass(build):
    process = build()
    beliefs = bg.sample(jax.random.key(0), process, 300).beliefs
    np.testing.assert_array_equal(check_belief(process, beliefs), beliefs)
    assert not np.isnan(jax.jit(jax.vmap(bg.predict_next_token, (None, 0)))(process, beliefs)).any()


def test_what_is_undefined_stays_so():
    assert np.isnan(bg.predict_next_token(bg.golden_mean(), [np.nan, np.nan])).all()


def test_a_sample_goes_on_from_a_belief():
    process = bg.rrxor()
    key, other = jax.random.split(jax.random.key(7))
    first = bg.sample(key, process, 20)
    rest = bg.sample(other, process, 15, start=first.beliefs[-1])
    whole = bg.filter_beliefs(process, [*first.tokens.tolist(), *rest.tokens.tolist()])
    np.testing.assert_allclose(rest.beliefs, whole.beliefs[20:], atol=1e-6)
    np.testing.assert_allclose(rest.log_probabilities, whole.log_probabilities[20:], atol=1e-6)


def test_a_sample_of_factors_goes_on_from_a_belief():
    pair = bg.product([bg.golden_mean(), bg.z1r()])
    # The first factor after a one, the second after its own zero: 0 and then 1 surely.
    drawn = bg.sample(jax.random.key(0), pair, 1, start=[0, 1, 0, 1, 0])
    assert [int(digit[0]) for digit in pair.split_token(drawn.tokens)] == [0, 1]
    assert drawn.log_probabilities[0] == 0


def test_a_sample_from_a_posterior_has_its_law():
    process, belief = bg.mess3(), jnp.array([0.2, 0.7, 0.1])
    keys = jax.random.split(jax.random.key(3), 20_000)
    tokens = jax.vmap(lambda key: bg.sample(key, process, 1, start=belief).tokens[0])(keys)
    shares = np.bincount(np.asarray(tokens), minlength=3) / 20_000
    np.testing.assert_allclose(shares, bg.predict_next_token(process, belief), atol=5 * 0.5 / np.sqrt(20_000))


def test_composite_tokens_are_checked_before_they_are_cast():
    pair = bg.product([bg.coin(), bg.mess3()])
    assert [int(digit) for digit in pair.split_token(np.int64(2**32 + 1))] == [-1, -1]
    assert int(pair.join_tokens([1, 2])) == 5
    for wrong, factor in (([2, 0], 0), ([0, 3], 1), ([0, -2], 1), (np.array([0, 2**32]), 1)):
        with pytest.raises(ValueError, match=f"the tokens of factor {factor} must lie in 0..{2 if factor else 1}; got"):
            pair.join_tokens(wrong)
    assert int(jax.jit(lambda digits: pair.join_tokens(digits))(jnp.array([0, 3]))) == -1
    with pytest.raises(ValueError, match=r"numbered in an int32.*make 4,294,967,296"):
        bg.sample(jax.random.key(0), bg.product([bg.coin()] * 32), 3)


@pytest.mark.parametrize("index", [-1, 2**32, 2**40])
def test_points_of_a_series_do_not_wrap(index):
    with pytest.raises(ValueError, match=f"index must lie in 0..2.32 - 1, the points of a series; got {index}"):
        bg.sample_quasirandom(jax.random.key(0), bg.coin(), 3, index)


COIN = bg.coin(0.3)
READERS = {
    "filter": lambda tokens: bg.log_probability(COIN, tokens),
    "parallel": lambda tokens: bg.filter_beliefs_parallel(COIN, tokens).log_probabilities.sum(),
    "observed": lambda tokens: bg.log_probability(COIN, tokens, lengths=2),
    "smooth": lambda tokens: bg.smooth_beliefs(COIN, tokens).log_probability,
    "likeliest": lambda tokens: bg.likeliest_path(COIN, tokens).log_probability,
    "constrained": lambda tokens: bg.constrained_beliefs(COIN, tokens)[-1],
    "product": lambda tokens: bg.log_probability(bg.product([COIN, COIN]), tokens),
    "update_belief": lambda tokens: bg.update_belief(COIN, COIN.initial, tokens[1]),
    "update": lambda tokens: COIN.update(COIN.initial, tokens[1]),
    "switching": lambda tokens: bg.switching([COIN, COIN]).update(jnp.array([0.5, 0.5]), tokens[1]),
    "noisy_product": lambda tokens: bg.noisy_product([COIN, COIN], 0.1).update(jnp.ones(1), tokens[1]),
    "with_bos": lambda tokens: bg.with_bos(bg.product([COIN])).update(jnp.array([1.0, 0.0]), tokens[1]),
    "with_end": lambda tokens: bg.with_end(bg.product([COIN]), 0.1).update(jnp.array([1.0, 0.0]), tokens[1]),
}


@pytest.mark.parametrize("name", READERS)
def test_traced_tokens_are_compared_before_they_are_cast(name, x64):
    """2^32 + 1 is not token 1, however it is read."""
    read = jax.jit(READERS[name])
    assert np.isnan(read(jnp.array([0, 2**32 + 1]))).any()
    assert np.isfinite(read(jnp.array([0, 1]))).all()


def test_digits_of_arrays_of_both_kinds_are_compared_before_they_are_cast():
    pair = bg.product([bg.coin(), bg.mess3()])
    with pytest.raises(ValueError, match=r"the tokens of factor 1 must lie in 0..2; got 4294967297"):
        pair.join_tokens([jnp.array([0]), np.array([2**32 + 1])])
    assert jax.jit(lambda digit: pair.join_tokens([digit, np.array([2**32 + 1])]))(jnp.array([0])).tolist() == [-1]
