import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.constrained import constrained_beliefs, evidence, mean_belief
from beliefgeo.processes.bos import with_bos
from beliefgeo.processes.chain import chain
from beliefgeo.processes.factored import product
from beliefgeo.processes.quantum import bloch_walk, frdn
from tests import oracle
from tests.cases import ALL

KEY = jax.random.key(21)
CASES = {name: ALL[name] for name in ("mess3", "rrxor", "signed_golden_mean")} | {
    "bloch_walk": bloch_walk,
    "frdn": frdn,
}


def closed_form(process, word):
    """pi + sum_s (pi T^(z_s) / P(z_s) T^(d-s) - pi), each term by its own matrix power (stationary initial)."""
    pi, total = np.asarray(process.initial, np.float64), oracle.matrices(process).sum(0)
    alone = lambda z, lag: oracle.belief(process, (z,)) @ np.linalg.matrix_power(total, lag)
    terms = [alone(z, len(word) - 1 - s) - pi for s, z in enumerate(word)]
    return pi + sum(terms, np.zeros_like(pi))


@pytest.mark.parametrize(
    ("name", "precision"), [*((name, "float32") for name in CASES), ("rrxor", "float64"), ("bloch_walk", "float64")]
)
def test_against_the_closed_form(name, precision):
    with jax.enable_x64(precision == "float64"):
        process = CASES[name]()
        word = np.asarray(bg.sample(KEY, process, 12).tokens)
        beliefs = constrained_beliefs(process, word)
        exact = [closed_form(process, word[:d]) for d in range(13)]
        np.testing.assert_allclose(beliefs, exact, atol={"float32": 1e-5, "float64": 1e-11}[precision])
        np.testing.assert_allclose(beliefs @ process.readout, 1, atol=1e-5)
        # With nothing and with one token read there is nothing to combine: the layer knows all there is to know.
        np.testing.assert_allclose(beliefs[:2], bg.filter_beliefs(process, word[:1]).beliefs, atol=1e-6)


def test_mess3_evidence_fades_by_its_one_eigenvalue():
    process, word = bg.mess3(0.05, 0.85), np.array([0, 2, 1, 1, 0])
    # After one token o the state o has belief .85, as it has emitted o with that probability.
    np.testing.assert_allclose(evidence(process), 0.775 * np.eye(3) - 0.775 / 3, atol=1e-6)
    attention = 0.85 ** np.arange(4, -1, -1)
    expected = 1 / 3 + attention @ np.asarray(evidence(process))[word]
    np.testing.assert_allclose(constrained_beliefs(process, word)[-1], expected, atol=1e-6)


def test_without_memory_only_the_last_token_counts():
    # x = 1/3: the next state is uniform whatever this one is, and the last token o alone tells: a at o, b elsewhere.
    word = np.array([2, 0, 1, 1])
    expected = np.where(np.arange(3) == word[:, None], 0.6, 0.2)
    np.testing.assert_allclose(constrained_beliefs(bg.mess3(1 / 3, 0.6), word)[1:], expected, atol=1e-6)


def test_a_negative_eigenvalue_alternates():
    process = bg.mess(0.85, 0.6, 2)  # two states that mostly swap
    # Two words that differ in their first token alone differ by its evidence, one lag old.
    once = constrained_beliefs(process, [0, 0])[2] - constrained_beliefs(process, [1, 0])[2]
    apart = evidence(process)[0] - evidence(process)[1]
    np.testing.assert_allclose(once, -0.7 * apart, atol=1e-6)


def test_evidence_averages_to_nothing():
    for process in (bg.rrxor(0.3, 0.6), bloch_walk(), bg.hmm(bg.mess3().transitions, [0.5, 0.3, 0.2])):
        law = np.asarray(process.predict(process.initial))
        np.testing.assert_allclose(law @ np.asarray(evidence(process)), 0, atol=1e-6)


def test_from_another_start_evidence_is_measured_against_the_prior_of_its_time():
    process = bg.hmm(bg.mess3().transitions, [0.9, 0.1, 0.0])
    word, total = (1, 0, 0, 2), oracle.matrices(process).sum(0)
    priors = [np.asarray(process.initial, np.float64) @ np.linalg.matrix_power(total, s) for s in range(5)]
    expected = priors[4]
    for s, token in enumerate(word):
        joint = priors[s] @ oracle.matrices(process)[token]
        expected = expected + (joint / joint.sum() - priors[s + 1]) @ np.linalg.matrix_power(total, 3 - s)
    np.testing.assert_allclose(constrained_beliefs(process, word)[-1], expected, atol=1e-6)


def test_a_beginning_of_sequence_token_changes_nothing():
    process, word = bg.rrxor(), np.array([0, 1, 1, 0])
    begun = with_bos(process)
    padded = constrained_beliefs(begun, np.array([2, *word]))[1:, : len(process.initial)]
    np.testing.assert_allclose(padded, constrained_beliefs(process, word), atol=1e-6)


def test_independent_factors_are_constrained_one_by_one():
    factors = [bg.mess3(0.1, 0.7), bg.golden_mean(), bloch_walk()]
    both = product(factors)
    word = np.asarray(bg.sample(KEY, both, 9).tokens)
    digits = both.split_token(jnp.asarray(word))
    apart = [constrained_beliefs(factor, tokens) for factor, tokens in zip(factors, digits, strict=True)]
    np.testing.assert_allclose(constrained_beliefs(both, word), np.concatenate(apart, 1), atol=1e-6)


def test_the_mean_of_any_observer():
    # A chain whose later factor moves alike after every token is a product, but its mean is summed over all tokens.
    factors = bg.mess3(0.1, 0.7), bg.golden_mean(0.3)
    independent, linked = product(factors), chain([factors[0], [factors[1]] * 3])
    np.testing.assert_allclose(mean_belief(linked, linked.initial), independent.initial, atol=1e-6)
    word = np.asarray(bg.sample(KEY, independent, 9).tokens)
    np.testing.assert_allclose(constrained_beliefs(linked, word), constrained_beliefs(independent, word), atol=1e-5)


def test_no_drift_over_many_tokens():
    process = bg.mess3()
    word = bg.sample(KEY, process, 20_000).tokens
    short = constrained_beliefs(process, word)
    with jax.enable_x64(True):
        exact = constrained_beliefs(bg.mess3(), np.asarray(word))
    np.testing.assert_allclose(short, exact, atol=5e-6)


def test_impossible_tokens():
    never = bg.hmm([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]], [1.0, 0.0])  # only zeros come
    beliefs = constrained_beliefs(never, [0, 1, 0])
    assert np.isfinite(beliefs[:2]).all() and np.isnan(beliefs[2:]).all()
    assert np.isnan(evidence(never)[1]).all()
    # 1 1 is forbidden by its order alone, which a sum over tokens cannot see. By hand: pi = (2, 1)/3, the evidence of 1
    # is e = (-2, 2)/3, e T = (1, -1)/3, and r_2 = pi + e + e T.
    np.testing.assert_allclose(constrained_beliefs(bg.golden_mean(), [1, 1])[2], [1 / 3, 2 / 3], atol=1e-6)


def test_mistakes():
    with pytest.raises(ValueError, match=r"tokens must lie in 0..2; got 3 at position 1"):
        constrained_beliefs(bg.mess3(), [0, 3])
    with pytest.raises(ValueError, match=r"one sequence \[time\]; got shape \(1, 2\): use jax.vmap"):
        constrained_beliefs(bg.mess3(), [[0, 1]])
    traced = jax.jit(constrained_beliefs)(bg.mess3(), jnp.array([0, 3, 0]))
    assert np.isfinite(traced[:2]).all() and np.isnan(traced[2:]).all()
    assert constrained_beliefs(bg.mess3(), []).shape == (1, 3)


def test_the_mean_of_what_is_no_belief():
    for belief, message in (
        ([2.0, 0.0, 0.0], "normalised, belief @ readout == 1 .a sum for an HMM.; got 2: divide by it"),
        ([0.5, 0.5], r"has 3 entries, one a state; got \(2,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            mean_belief(bg.mess3(), belief)
    # Constrained beliefs leave the simplex, and their mean is that of the formula.
    outside = np.array([1.3, -0.2, -0.1])
    expected = outside @ oracle.matrices(bg.mess3()).sum(0)
    np.testing.assert_allclose(mean_belief(bg.mess3(), outside), expected, atol=1e-6)
    assert np.isnan(mean_belief(bg.mess3(), [np.nan] * 3)).all()


def test_batches_and_compilation():
    chex.clear_trace_counter()
    traced = chex.assert_max_traces(lambda x, word: constrained_beliefs(bg.mess3(x), word), n=1)
    batched = jax.jit(jax.vmap(traced))
    words = jax.random.randint(KEY, (3, 5), 0, 3)
    for xs in (jnp.array([0.05, 0.1, 0.2]), jnp.array([0.01, 0.3, 0.4])):
        together = batched(xs, words)
        for x, word, beliefs in zip(xs, words, together, strict=True):
            np.testing.assert_allclose(beliefs, constrained_beliefs(bg.mess3(float(x)), word), atol=1e-6)


def test_gradients_match_finite_differences(x64):
    word = jnp.array([0, 1, 1, 2, 0])
    value = lambda x, alpha: constrained_beliefs(bg.mess3(x, alpha), word)[-1, 0]
    for argument, (dx, da) in enumerate(((1e-6, 0.0), (0.0, 1e-6))):
        numeric = (value(0.07 + dx, 0.8 + da) - value(0.07 - dx, 0.8 - da)) / 2e-6
        np.testing.assert_allclose(jax.grad(value, argument)(0.07, 0.8), numeric, rtol=1e-6)
    # Where a token is impossible its belief is NaN, and the gradient of the rest is not.
    finite = jax.grad(lambda p: constrained_beliefs(bg.golden_mean(p), jnp.array([0, 1, 1]))[-1, 0])(0.4)
    assert np.isfinite(finite)
