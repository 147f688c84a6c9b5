import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from tests.cases import CLASSICAL, some_slow


@pytest.mark.parametrize("name", CLASSICAL)
def test_rows_sum_to_one_and_initial_is_stationary(name):
    process = CLASSICAL[name]()
    total = np.asarray(process.transitions, np.float64).sum(0)
    np.testing.assert_allclose(total.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(process.initial @ total, process.initial, atol=1e-6)
    assert (np.asarray(process.transitions) >= 0).all()


def test_mess3_entries_of_the_paper():
    transitions = bg.mess3().transitions
    expected = [[0.765, 0.00375, 0.00375], [0.0425, 0.0675, 0.00375], [0.0425, 0.00375, 0.0675]]
    np.testing.assert_allclose(transitions[0], expected, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.eigvalsh(transitions.sum(0)), [0.85, 0.85, 1], rtol=1e-6)
    np.testing.assert_allclose(bg.mess(0.05, 0.85, 3).transitions, transitions)


def test_rrxor_third_token_is_the_xor():
    tokens = np.asarray(bg.sample(jax.random.key(0), bg.rrxor(), 3000).tokens)
    agreement = [(tokens[k:-2:3] ^ tokens[k + 1 : -1 : 3] == tokens[k + 2 :: 3]).mean() for k in range(3)]
    assert sum(a == 1 for a in agreement) == 1


def test_checksum_of_two_bits_is_rrxor():
    checksum, rrxor = bg.checksum([[0.5, 0.5], [0.5, 0.5]]), bg.rrxor()
    for length in (3, 7):
        np.testing.assert_allclose(
            bg.word_tree(checksum, length).probabilities, bg.word_tree(rrxor, length).probabilities, rtol=1e-5
        )


def test_checksum_stationary_distribution():
    probs = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    sums = [probs[0], [sum(probs[0, a] * probs[1, (r - a) % 3] for a in range(3)) for r in range(3)]]
    expected = np.concatenate([[1], *sums]) / 3
    np.testing.assert_allclose(bg.checksum(probs).initial, expected, rtol=1e-5)


def test_z1r_reference_values():
    process = bg.z1r()
    np.testing.assert_allclose(bg.predict_next_token(process, [0.3, 0.1, 0.6]), [0.6, 0.4], rtol=1e-6)
    np.testing.assert_allclose(bg.update_belief(process, [0.3, 0.1, 0.6], 0), [0.5, 0.5, 0], atol=1e-7)
    np.testing.assert_allclose(jnp.exp(bg.log_probability(process, [1, 0, 0, 1, 1, 0])), 1 / 12, rtol=1e-5)


def test_mr_name_entropy_rate():
    process = bg.mr_name()
    # The token is the state, so the entropy rate is that of one step from a known state.
    np.testing.assert_allclose(bg.myopic_entropies(process, 3)[1:], 0.835876, rtol=1e-5)


def test_mess3_optimal_losses():
    paper = [1.098612, 0.857719, 0.813356, 0.798118, 0.794740, 0.793783, 0.793543, 0.793480, 0.793463, 0.793459, 0.793458]  # fmt: skip  # noqa: E501
    np.testing.assert_allclose(bg.myopic_entropies(bg.mess3(), 11), paper, atol=1e-6)
    tutorial = [1.098612, 1.091068, 1.089391, 1.089004, 1.088915, 1.088894, 1.088890, 1.088889, 1.088888]
    np.testing.assert_allclose(bg.myopic_entropies(bg.mess3(0.15, 0.6), 9), tutorial, atol=1e-6)


def test_rrxor_optimal_losses():
    expected = [np.log(2), np.log(2), 0.636514, 0.628487, 0.598679, 0.577623, 0.561458, 0.539847, 0.526940, 0.515819, 0.503337]  # fmt: skip  # noqa: E501
    np.testing.assert_allclose(bg.myopic_entropies(bg.rrxor(), 11), expected, atol=1e-6)


def test_composite_mess3_without_switching_is_a_mixture():
    a, b = bg.mess3(0.05, 0.85), bg.mess3(0.15, 0.6)
    both = bg.composite_mess3(0.05, 0.85, 0.15, 0.6, 0.0)
    trees = [bg.word_tree(process, 4).probabilities for process in (a, b, both)]
    np.testing.assert_allclose((trees[0] + trees[1]) / 2, trees[2], rtol=1e-5)


def test_leaky_rrxor_interpolates():
    np.testing.assert_allclose(bg.leaky_rrxor(0.5, 0.5, 0.0).transitions, bg.rrxor().transitions)
    np.testing.assert_allclose(bg.leaky_rrxor(0.5, 0.5, 1.0).transitions, np.full((2, 5, 5), 0.1))


def test_matching_parens_never_closes_what_is_not_open():
    tokens = np.asarray(bg.sample(jax.random.key(1), bg.matching_parens([1.0, 0.6, 0.3]), 2000).tokens)
    depth = np.cumsum(1 - 2 * tokens)
    assert depth.max() - depth.min() <= 3


NUMBERS = {"float": float, "float32": np.float32, "float64": np.float64, "jax": jnp.float32}

CORNERS = {
    "coin": [(0,), (1,)],
    "rrxor": list(itertools.product((0, 1), repeat=2)),
    "leaky_rrxor": list(itertools.product((0, 1), repeat=3)),
    "z1r": [(0,), (1,)],
    "even": [(0,), (1,)],
    "golden_mean": [(0,), (1,)],
    "sns": [(0, 1), (1, 0), (1, 1)],
    "mr_name": [(0, 0), (0, 0.5), (0, 1), (1, 0), (0.9, 0.1), (0.7, 0.3), (0.2, 0)],
    "mess3": list(itertools.product((0, 1 / 2), (0, 1))),
    "composite_mess3": list(itertools.product((0, 1 / 2), (0, 1), (1 / 2,), (0, 1), (0, 1))),
}


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", CORNERS)
def test_bounds_give_exact_zeros(name, number):
    for values in CORNERS[name]:
        process = getattr(bg, name)(*map(NUMBERS[number], values))
        transitions, initial = np.asarray(process.transitions, np.float64), np.asarray(process.initial, np.float64)
        total = transitions.sum(0)
        assert not ((transitions < 0) | ((transitions > 0) & (transitions < 1e-3))).any(), values
        assert (initial >= 0).all()
        np.testing.assert_allclose(total.sum(1), 1, rtol=1e-6)
        np.testing.assert_allclose(initial @ total, initial, atol=1e-6)


@pytest.mark.parametrize("number", NUMBERS)
def test_what_is_left_of_all_is_nothing(number):
    cast = NUMBERS[number]
    for hundredth in range(0, 101, 3 if number == "jax" else 1):
        process = bg.mr_name(cast(hundredth / 100), cast((100 - hundredth) / 100))
        assert process.transitions.sum(0)[1, 1] == 0, hundredth
    for n_states in (2, 3, 6, 26, 39, 50):  # of 1/5, 1/25, 1/38, 1/49 the nearest float is below or above
        process = bg.mess(cast(1 / (n_states - 1)), cast(0.85), n_states)
        assert (np.diagonal(process.transitions.sum(0)) == 0).all(), n_states
    # Where something is left, it is what it is.
    assert bg.mr_name(0.5, 0.4999999).transitions.sum(0)[1, 1] == np.float32(1 - 0.5 - 0.4999999)


def test_the_derivative_at_a_bound():
    stay = lambda p: bg.mr_name(p, 0.25).transitions.sum(0)[1, 1]
    np.testing.assert_allclose(jax.jit(jax.value_and_grad(stay))(0.75), (0, -1), atol=1e-6)


def test_rows_of_checksum_are_normalised(x64):
    process = bg.checksum([[0.333333, 0.333333, 0.333333], [0.500004, 0.25, 0.25]])
    np.testing.assert_allclose(np.asarray(process.transitions).sum((0, 2)), 1, rtol=1e-15)
    np.testing.assert_allclose(process.transitions[:, 0].sum(1), 1 / 3, rtol=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bg.mess3(x=0.9), r"mess3 needs 0 <= x <= 1/2; got x=0.9"),
        (lambda: bg.mess3(alpha=-0.1), r"mess3 needs 0 <= alpha <= 1; got alpha=-0.1"),
        (lambda: bg.mess3(x=float("nan")), r"mess3 needs 0 <= x <= 1/2; got x=nan"),
        (lambda: bg.mess(0.4, 0.5, 4), r"mess needs 0 <= x <= 1/3; got x=0.4"),
        (lambda: bg.coin(2), r"coin needs 0 <= p <= 1; got p=2"),
        (lambda: bg.mr_name(0.7, 0.7), r"mr_name needs 0 <= p \+ q <= 1"),
        (lambda: bg.checksum([0.5, 0.5]), r"checksum needs probs \[letters, alphabet\]; got shape \(2,\)"),
        (lambda: bg.checksum(np.zeros((0, 2))), r"checksum needs probs .*; got shape \(0, 2\): a row for each letter"),
        (lambda: bg.checksum([[]]), r"checksum needs probs .*; got shape \(1, 0\)"),
        (lambda: bg.checksum([[0.5, 0.6]]), r"each row of probs to sum to 1; got sums \[1.1\]"),
        (lambda: bg.matching_parens([0.5]), r"o_0 = 1; got \[0.5\]"),
        (lambda: bg.matching_parens([]), r"matching_parens needs open_probs \[o_0, o_1, ...\] with o_0 = 1; got \[\]"),
        (lambda: bg.matching_parens(1.0), r"o_0 = 1; got 1.0"),
        (lambda: bg.checksum([[1.5, -0.5]]), "checksum needs probs of 0 or more; got -0.5"),
        (lambda: bg.sns(0, 0), "sns needs p > 0 or q > 0, .*; got p=0, q=0"),
        (lambda: bg.random_hmm(jax.random.key(0), 0, 2), r"random_hmm needs 1 <= n_states"),
        (lambda: bg.cycle(1), r"cycle needs 2 <= n"),
    ],
)
def test_parameters_out_of_range(call, message):
    with pytest.raises(ValueError, match=message):
        call()


PARAMETERS = {
    "coin": (bg.coin, (0.3,)),
    "mess3": (bg.mess3, (0.07, 0.8)),
    "composite_mess3": (bg.composite_mess3, (0.05, 0.85, 0.15, 0.6, 0.02)),
    "rrxor": (bg.rrxor, (0.4, 0.6)),
    "leaky_rrxor": (bg.leaky_rrxor, (0.4, 0.6, 0.1)),
    "z1r": (bg.z1r, (0.4,)),
    "cycle": (lambda p: bg.cycle(3, p), (0.6,)),
    "even": (bg.even, (0.4,)),
    "golden_mean": (bg.golden_mean, (0.4,)),
    "sns": (bg.sns, (0.4, 0.3)),
    "mr_name": (bg.mr_name, (0.4, 0.25)),
    "matching_parens": (lambda o: bg.matching_parens(jnp.stack([jnp.ones_like(o), o])), (0.4,)),
    "checksum": (lambda p: bg.checksum(jnp.stack([jnp.stack([p, 1 - p])] * 2)), (0.4,)),
}


@pytest.mark.parametrize("name", some_slow(PARAMETERS, ("coin", "z1r", "even", "golden_mean", "composite_mess3")))
def test_parameters_are_differentiable_under_jit(name, x64):
    build, values = PARAMETERS[name]
    entropy = lambda values: bg.block_entropies(build(*values), 4)[-1]
    gradient = jax.jit(jax.grad(entropy))(values)
    for index, value in enumerate(values):
        moved = lambda step: tuple(v + step * (i == index) for i, v in enumerate(values))  # noqa: B023
        numeric = (entropy(moved(1e-6)) - entropy(moved(-1e-6))) / 2e-6
        np.testing.assert_allclose(gradient[index], numeric, rtol=1e-5, atol=1e-8, err_msg=f"argument {index}: {value}")


@pytest.mark.parametrize("half", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_in_half_precision_are_the_same_numbers(name, half):
    """1 - p of .3 is off by 2e-4 in float16 and by 2e-3 in bfloat16."""
    if name == "checksum":
        pytest.skip("its caller computes 1 - p")
    build, values = PARAMETERS[name]
    halves = [half(value) for value in values]
    wide = build(*map(jnp.float32, halves))
    for process in (build(*halves), jax.jit(build)(*halves)):
        assert process.transitions.dtype == jnp.float32
        np.testing.assert_allclose(process.transitions, wide.transitions, atol=2e-7)
