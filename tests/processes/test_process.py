import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from tests import oracle
from tests.cases import signed_golden_mean

GHMM = [
    [[0.697224362268, 0.116204060378], [0.348612181134, 0.0]],
    [[0.0, 0.232408120756], [0.116204060378, 0.464816241512]],
]


@pytest.mark.parametrize(
    ("transitions", "initial", "message"),
    [
        ([[[0.5, 0.5], [1.5, -0.5]]], None, r"nonnegative; entry \[0, 1, 1\] is -0.5.*use ghmm"),
        ([[[0.5, 0.5], [0.5, 0.43]]], None, r"transitions must sum to 1 .* for each state; state 1 sums to 0.93"),
        ([[0.5, 0.5], [0.5, 0.5]], None, r"shape \[token, state, next_state\].*got \(2, 2\)"),
        ([[[0.5, 0.5]]], None, r"shape \[token, state, next_state\].*got \(1, 1, 2\)"),
        ([[[0.5, np.nan], [0.5, 0.5]]], None, r"finite; entry \[0, 0, 1\] is nan"),
        ([[[1.0, 0.0], [0.0, 1.0]]], None, r"not unique: the chain is reducible, with 2 closed classes; pass initial"),
        ([[[0.5, 0.5], [0.5, 0.5]]], [0.5, 0.3, 0.2], r"one entry per state \(2\); got shape \(3,\)"),
        ([[[0.5, 0.5], [0.5, 0.5]]], [0.5, 0.4], r"initial must be normalised.*got 0.9"),
        ([[[0.5, 0.5], [0.5, 0.5]]], [1.5, -0.5], r"initial must be nonnegative; got -0.5 at state 1"),
        ([[[0.5, 0.5], [0.5, 0.5]]], [np.nan, 0.5], r"initial must be normalised.*got nan"),
    ],
)
def test_hmm_says_what_is_wrong(transitions, initial, message):
    with pytest.raises(ValueError, match=message):
        bg.hmm(transitions, initial)


def test_ghmm_says_what_is_wrong():
    with pytest.raises(ValueError, match="spectral radius 1; got 1.1"):
        bg.ghmm([[[1.1]]])
    with pytest.raises(ValueError, match="right unit eigenvector"):
        bg.ghmm(GHMM, readout=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"readout must have one entry per state \(2\)"):
        bg.ghmm(GHMM, readout=[1.0])


def test_from_moore_says_what_is_wrong():
    with pytest.raises(ValueError, match=r"same number of states; got shapes \(2, 2\) and \(3, 2\)"):
        bg.from_moore(None, np.full((2, 2), 0.5), np.full((3, 2), 0.5))


def test_ghmm_reference_values():
    process = bg.ghmm(GHMM)
    np.testing.assert_allclose(process.initial * process.readout.sum() / process.readout.sum(), process.initial)
    # The reference's pi sums to 1; ours has pi @ w == 1.
    np.testing.assert_allclose(process.initial / process.initial.sum(), [0.60555128, 0.39444872], rtol=1e-6)
    np.testing.assert_allclose(jnp.exp(bg.log_probability(process, [0, 1])), 0.1577442038, rtol=1e-6)


def test_readout_convention():
    process = signed_golden_mean()
    assert abs(process.readout).max() == process.readout.max() == 1
    np.testing.assert_allclose(process.transitions.sum(0) @ process.readout, process.readout, atol=1e-6)
    np.testing.assert_allclose(process.initial @ process.readout, 1, rtol=1e-6)
    # A readout given at any scale is the same process.
    again = bg.ghmm(process.transitions, readout=-3 * process.readout)
    np.testing.assert_allclose(again.readout, process.readout, rtol=1e-6)
    np.testing.assert_allclose(again.initial, process.initial, rtol=1e-5)


def test_from_moore_emits_then_moves():
    moves, emissions = np.array([[0.1, 0.9], [0.6, 0.4]]), np.array([[0.2, 0.8], [0.7, 0.3]])
    process = bg.from_moore([0.25, 0.75], moves, emissions)
    for token in range(2):
        for i in range(2):
            for j in range(2):
                expected = emissions[i, token] * moves[i, j]
                np.testing.assert_allclose(process.transitions[token, i, j], expected, rtol=1e-6)
    np.testing.assert_allclose(process.predict(process.initial), [0.25 * 0.2 + 0.75 * 0.7, 0.425], rtol=1e-6)


def test_stationary_distribution_of_a_periodic_chain():
    np.testing.assert_allclose(bg.stationary_distribution(bg.rrxor()), np.array([2, 1, 1, 1, 1]) / 6, rtol=1e-6)


def test_stationary_distribution_with_transient_states_is_unique():
    process = bg.hmm([[[0.0, 1.0], [0.0, 1.0]]])
    np.testing.assert_allclose(process.initial, [0, 1], atol=1e-7)


def test_stationary_distribution_of_a_reducible_process():
    process = bg.hmm(jnp.eye(3)[None], initial=[1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="3 closed classes; pass initial"):
        bg.stationary_distribution(process)


def test_stationary_distribution_is_differentiable():
    # golden mean: pi = (1, p) / (1 + p), so d pi_0 / dp = -1 / (1 + p)^2
    gradient = jax.grad(lambda p: bg.golden_mean(p).initial[0])(0.5)
    np.testing.assert_allclose(gradient, -1 / 1.5**2, rtol=1e-5)


def test_an_impossible_token_of_a_generalised_process_is_exactly_zero():
    process = signed_golden_mean()
    after_one = bg.update_belief(process, process.initial, 1)
    assert bg.predict_next_token(process, after_one)[1] == 0
    assert np.isnan(bg.update_belief(process, after_one, 1)).all()


def test_tiny_probabilities_of_an_hmm_are_kept():
    process = bg.hmm([[[1e-20]], [[3e-20]], [[1.0]]])
    law = bg.predict_next_token(process, [1.0])
    np.testing.assert_allclose(law[1] / law[0], 3, rtol=1e-6)


def test_float64_is_kept(x64):
    process = bg.mess3()
    assert process.transitions.dtype == jnp.float64
    np.testing.assert_allclose(process.transitions[0, 0, 0], 0.9 * 0.85, rtol=1e-15)
    np.testing.assert_allclose(bg.update_belief(process, process.initial, 0), oracle.belief(process, (0,)), rtol=1e-14)


@pytest.mark.parametrize("half", [jnp.float16, jnp.bfloat16])
def test_half_precision_is_float32_of_the_same_numbers(half):
    """A sum over 1e5 tokens overflows float16 and stalls in bfloat16, and 1 - p keeps 3 digits."""
    fair, rare = jnp.full((2, 1, 1), 0.5, half), jnp.array([[[1 / 256]], [[255 / 256]]], half)
    zeros = np.zeros(100_000, int)
    for build in (bg.hmm, bg.ghmm, jax.jit(bg.hmm)):
        assert build(fair).transitions.dtype == build(fair).initial.dtype == build(fair).readout.dtype == jnp.float32
        np.testing.assert_allclose(bg.log_probability(build(fair), zeros), 1e5 * np.log(0.5), rtol=1e-6)
    moore = bg.from_moore(jnp.ones(1, half), jnp.ones((1, 1), half), fair[:, :, 0].T)
    np.testing.assert_allclose(bg.log_probability(moore, zeros), 1e5 * np.log(0.5), rtol=1e-6)
    drawn = bg.sample(jax.random.key(0), bg.hmm(rare), 200_000).tokens
    assert abs((drawn == 0).mean() * 256 - 1) < 5 * np.sqrt(256 / 200_000)  # 5 standard errors
    p = half(0.3)
    tossed = lambda p: bg.log_probability(bg.coin(p), zeros[:60_000])
    for told in (tossed, jax.jit(tossed)):
        np.testing.assert_allclose(told(p), 60_000 * np.log(float(p)), rtol=1e-6)


@pytest.mark.parametrize("traced", [False, True])
def test_rows_are_divided_by_their_sums(traced):
    """What is accepted within 1e-5 of 1 is 1 afterwards: a million tokens would add up what is missing."""
    build = jax.jit(bg.hmm) if traced else bg.hmm
    one = build(np.array([[[1.000009]]]), np.array([0.999992]))
    assert one.transitions[0, 0, 0] == 1 == one.initial[0]
    assert bg.log_probability(one, np.zeros(1_000_000, int)) == 0
    third = build(np.full((3, 1, 1), 0.33333), np.array([1.0]))
    np.testing.assert_allclose(bg.log_probability(third, np.zeros(100_000, int)), 1e5 * np.log(1 / 3), rtol=1e-7)
    rounded = build(np.round(np.array(bg.mess3().transitions), 6) + 1e-6, np.full(3, 1 / 3))
    np.testing.assert_allclose(rounded.transitions.sum((0, 2)), 1, rtol=2e-7)
    word = [0, 1, 2, 2]
    with jax.enable_x64(True):
        exact = bg.words(rounded, 4)
    index = exact.tokens.tolist().index(word)
    np.testing.assert_allclose(bg.log_probability(rounded, word), np.log(exact.probabilities[index]), rtol=1e-6)


def test_a_process_is_accepted_as_it_is():
    """Rows that sum to 1 up to their rounding are not touched, so a process made of another's arrays is the same."""
    for build in (bg.mess3, bg.rrxor, lambda: bg.random_hmm(jax.random.key(2), 6, 3)):
        once = bg.hmm(build().transitions, build().initial)
        twice = bg.hmm(once.transitions, once.initial)
        np.testing.assert_array_equal(once.transitions, twice.transitions)
        np.testing.assert_array_equal(once.initial, twice.initial)


def test_doors_of_from_moore():
    process = bg.from_moore([1.0], [[1.000008]], [[0.333333, 0.666660]])
    np.testing.assert_allclose(process.transitions[:, 0, 0], np.array([0.333333, 0.666660]) / 0.999993, rtol=1e-7)
    with pytest.raises(ValueError, match="emission_probs must have rows that sum to 1; row 0 sums to 0.9"):
        bg.from_moore([1.0], [[1 / 0.9]], [[0.4, 0.5]])
    with pytest.raises(ValueError, match=r"transition_matrix must be nonnegative; entry \[0, 1\] is -0.5"):
        bg.from_moore(None, [[1.5, -0.5], [0.5, 0.5]], [[1.0], [1.0]])


def test_doors_of_ghmm():
    near = bg.ghmm(np.array(bg.bloch_walk(1, 3).transitions) * 1.000006, readout=[1, 0, 5e-6])
    np.testing.assert_allclose(near.transitions.sum(0) @ near.readout, near.readout, atol=3e-7)
    np.testing.assert_allclose(near.initial @ near.readout, 1, rtol=2e-7)
    np.testing.assert_allclose(near.transitions, bg.bloch_walk(1, 3).transitions, rtol=1e-6, atol=1e-9)
    tokens = bg.sample(jax.random.key(0), bg.bloch_walk(1, 3), 5000).tokens
    exact = bg.log_probability(bg.bloch_walk(1, 3), tokens)
    np.testing.assert_allclose(bg.log_probability(near, tokens), exact, rtol=1e-5)
    off = bg.ghmm(np.array(bg.bloch_walk(1, 3).transitions), [1.000009, 0, 0], [1, 0, 0])
    assert off.initial[0] == 1


@pytest.mark.parametrize("least", [1e-40, 1e-42])
def test_probabilities_below_the_range_of_the_precision(least):
    with pytest.raises(
        ValueError, match=r"transitions must be 0 or at least 1.18e-38.*entry \[0, 0, 0\] is 1e-4.*float64"
    ):
        bg.hmm([[[least]], [[1.0]]])
    with pytest.raises(ValueError, match=r"initial must be 0 or at least 1.18e-38, the least float32; entry 0 is"):
        bg.hmm(np.eye(2)[None], [least, 1.0])
    with pytest.raises(ValueError, match="must be 0 or at least 1.18e-38"):  # or their product
        bg.from_moore([1.0, 0], [[1e-3, 1 - 1e-3], [0.5, 0.5]], [[least * 1e3, 1], [0.5, 0.5]])
    with jax.enable_x64(True):
        np.testing.assert_allclose(bg.log_probability(bg.hmm([[[least]], [[1.0]]]), [0, 0]), 2 * np.log(least))
