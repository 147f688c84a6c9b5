import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.estimates import estimate_entropy_rate
from beliefgeo.beliefs.information import excess_entropy_bounds
from beliefgeo.beliefs.mixed_states import myopic_entropies_of
from beliefgeo.processes.bos import with_bos
from tests import oracle
from tests.cases import ALL, signed_golden_mean


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_block_entropies_against_the_oracle(name, precision):
    with jax.enable_x64(precision == "float64"):
        process = ALL[name]()
        exact = [oracle.block_entropy(process, length) for length in range(4)]
        tolerance = {"float32": 1e-5, "float64": 1e-10}[precision]
        np.testing.assert_allclose(bg.block_entropies(process, 3), exact, atol=tolerance)
        np.testing.assert_allclose(bg.myopic_entropies(process, 3), np.diff(exact), atol=tolerance)


def test_optimum_of_the_paper():
    np.testing.assert_allclose(bg.myopic_entropies(bg.mess3(), 11)[1:].mean(), 0.802512, atol=1e-6)
    np.testing.assert_allclose(bg.myopic_entropies(bg.mess3(0.15, 0.6), 11)[1:].mean(), 1.089171, atol=1e-6)
    np.testing.assert_allclose(bg.myopic_entropies(bg.rrxor(), 11)[1:].mean(), 0.578185, atol=1e-6)


def test_short_lengths():
    assert bg.block_entropies(bg.mess3(), 0).tolist() == [0.0]
    assert bg.myopic_entropies(bg.mess3(), 0).shape == (0,)
    np.testing.assert_allclose(bg.myopic_entropies(bg.mess3(), 1), [np.log(3)], rtol=1e-6)
    with pytest.raises(ValueError, match="more than half of this machine's memory"):
        bg.block_entropies(bg.mess3(), 30)
    with pytest.raises(ValueError, match="length must be 0 or more"):
        bg.block_entropies(bg.mess3(), -1)


def test_conditioning_never_raises_entropy():
    assert (np.diff(bg.myopic_entropies(bg.random_hmm(jax.random.key(0), 4, 3), 6)) <= 1e-6).all()


def test_gradients_beside_impossible_words(x64):
    entropy = lambda p: bg.block_entropies(bg.golden_mean(p), 5)[-1]
    numeric = (entropy(0.4 + 1e-6) - entropy(0.4 - 1e-6)) / 2e-6
    np.testing.assert_allclose(jax.grad(entropy)(0.4), numeric, rtol=1e-6)


def test_eager_jit_vmap_and_loop_agree_and_compile_once():
    chex.clear_trace_counter()
    jitted = jax.jit(chex.assert_max_traces(lambda x: bg.block_entropies(bg.mess3(x), 4), n=1))
    xs = jnp.array([0.05, 0.1, 0.3])
    batch = jax.vmap(lambda x: bg.block_entropies(bg.mess3(x), 4))(xs)
    for index, x in enumerate(xs):
        np.testing.assert_allclose(jitted(x), bg.block_entropies(bg.mess3(x), 4), rtol=1e-5)
        np.testing.assert_allclose(jitted(x), batch[index], rtol=1e-5)


def test_entropy_rate_of_mess3_inside_its_bounds():
    lower, upper = bg.entropy_rate_bounds(bg.mess3(), 9)
    assert 0 < upper - lower < 1e-5
    assert lower < bg.entropy_rate(bg.mess3()) < upper
    np.testing.assert_allclose(bg.entropy_rate(bg.mess3()) / np.log(2), 1.14472, atol=5e-6)


def test_bounds_against_the_oracle():
    """H(X_3 | X_1 X_2 S_0) by summing over every start and word."""
    process = bg.random_hmm(jax.random.key(3), 3, 2)
    lower = 0.0
    for state, weight in enumerate(np.asarray(process.initial)):
        started = bg.hmm(process.transitions, np.eye(3)[state])
        lower += weight * (oracle.block_entropy(started, 3) - oracle.block_entropy(started, 2))
    upper = oracle.block_entropy(process, 3) - oracle.block_entropy(process, 2)
    np.testing.assert_allclose(bg.entropy_rate_bounds(process, 2), [lower, upper], atol=1e-5)


def test_entropy_rate_of_an_unsynchronisable_machine_is_exact():
    """Every token permutes the states, so the presentation is infinite, but the hidden states are causal states."""
    machine = bg.hmm([[[0.3, 0], [0, 0.6]], [[0, 0.7], [0.4, 0]]])
    binary = lambda p: -p * np.log(p) - (1 - p) * np.log(1 - p)
    np.testing.assert_allclose(bg.entropy_rate(machine), 4 / 11 * binary(0.3) + 7 / 11 * binary(0.6), rtol=1e-6)


def test_the_entropy_rate_is_differentiable():
    rate = lambda alpha: bg.entropy_rate(bg.mess3(0.05, alpha))
    with jax.enable_x64(True):
        numeric = (rate(0.85 + 1e-4) - rate(0.85 - 1e-4)) / 2e-4
    np.testing.assert_allclose(jax.grad(rate)(0.85), numeric, rtol=1e-4)


def test_an_entropy_rate_that_bounds_do_not_fix_names_the_gap():
    slow = bg.random_hmm(jax.random.key(0), 3, 40, concentration=0.2)
    with pytest.raises(ValueError, match="known only to lie in .* apart after words of 3 tokens"):
        bg.entropy_rate(slow)


def test_sampled_estimates_cover_the_entropy_rate():
    exact = bg.entropy_rate(bg.mess3())
    covered = 0
    for seed in range(100):
        estimate = estimate_entropy_rate(jax.random.key(seed), bg.mess3(), 300, chains=32, burn_in=50)
        covered += estimate.lower <= exact <= estimate.upper
    assert covered >= 90


def test_excess_entropy_bounds_hold():
    for name in ("golden_mean", "even", "z1r"):
        lower, upper = excess_entropy_bounds(getattr(bg, name)(), 10)
        assert lower - 1e-9 <= bg.excess_entropy(getattr(bg, name)()) <= upper + 1e-9


def test_where_measures_do_not_exist_they_say_what_to_use():
    with pytest.raises(ValueError, match="entropy_rate needs an ergodic process.*2 closed classes"):
        bg.entropy_rate(bg.hmm([[[0.25, 0], [0, 0.5]], [[0.75, 0], [0, 0.5]]], [0.3, 0.7]))
    with pytest.raises(ValueError, match="needs the hidden states of an HMM"):
        bg.entropy_rate_bounds(signed_golden_mean(), 3)


@pytest.mark.parametrize("name", ["even", "mess3"])
def test_long_words_compile(name):
    """Once a chain of twelve levels of products of probabilities was more than XLA would fuse."""
    length = {"even": 16, "mess3": 11}[name]
    process = getattr(bg, name)()
    entropies = np.asarray(bg.myopic_entropies(process, length))
    exact = myopic_entropies_of(bg.mixed_state_presentation(process, max_depth=length), length)
    np.testing.assert_allclose(entropies, exact, atol=2e-6)


@pytest.mark.parametrize("p", [0.3, 0.6])
def test_the_slope_of_the_entropy_rate(p):
    # h = H(p) / (1 + p), so h' = (H'(p) (1 + p) - H(p)) / (1 + p)^2 with H' = ln((1 - p) / p).
    entropy = -p * np.log(p) - (1 - p) * np.log(1 - p)
    exact = (np.log((1 - p) / p) * (1 + p) - entropy) / (1 + p) ** 2
    np.testing.assert_allclose(jax.grad(lambda p: bg.entropy_rate(bg.golden_mean(p)))(p), exact, rtol=1e-4)


def test_bounds_are_conditional_entropies(x64):
    process, length = bg.sns(0.3, 0.6), 5
    lower, upper = bg.entropy_rate_bounds(process, length)
    np.testing.assert_allclose(upper, bg.myopic_entropies(process, length + 1)[-1], rtol=1e-12)
    started = [bg.hmm(process.transitions, start) for start in np.eye(2)]
    each = [oracle.block_entropy(one, length + 1) - oracle.block_entropy(one, length) for one in started]
    np.testing.assert_allclose(lower, process.initial @ np.array(each), rtol=1e-12)


MEASURES = [
    bg.entropy_rate,
    bg.statistical_complexity,
    bg.excess_entropy,
    bg.transient_information,
    bg.synchronization_information,
    bg.crypticity,
]


@pytest.mark.parametrize("measure", MEASURES)
def test_information_of_independent_factors_adds(measure):
    factors = [bg.golden_mean(0.3), bg.z1r(0.4)]  # whose joint has finitely many beliefs too
    process = bg.product(factors)
    total = sum(measure(factor) for factor in factors)
    np.testing.assert_allclose(measure(process), total, rtol=1e-12)
    np.testing.assert_allclose(measure(process.joint()), total, rtol=1e-6)


def test_factors_that_no_joint_has_a_stationary_law_of():
    """Two periodic factors keep the phase between them: the joint is reducible, and information adds all the same."""
    np.testing.assert_allclose(bg.entropy_rate(bg.product([bg.z1r()] * 2)), 2 / 3 * np.log(2), rtol=1e-12)
    with pytest.raises(ValueError, match="entropy_rate needs an ergodic process"):
        bg.entropy_rate(bg.product([bg.z1r()] * 2).joint())


def test_bounds_of_compositions(x64):
    factors = [bg.golden_mean(0.3), bg.sns(0.3, 0.6)]
    for bounds in (bg.entropy_rate_bounds, excess_entropy_bounds):
        each = [bounds(factor, 4) for factor in factors]
        np.testing.assert_allclose(bounds(bg.product(factors), 4), np.sum(each, 0), rtol=1e-12)
    chained = bg.chain([bg.coin(0.6), [bg.hmm(bg.golden_mean(p).transitions, [0.7, 0.3]) for p in (0.3, 0.8)]])
    np.testing.assert_allclose(bg.entropy_rate(chained), bg.entropy_rate(chained.joint()), rtol=1e-12)
    np.testing.assert_allclose(bg.entropy_rate(with_bos(bg.product(factors[:1]))), bg.entropy_rate(factors[0]))


@pytest.mark.parametrize(("p", "q"), [(1e-6, 2e-6), (3e-7, 9e-7)])
def test_a_slow_chain_is_ergodic(p, q):
    process = bg.hmm([[[1 - p, 0], [0, 1 - q]], [[0, p], [q, 0]]])
    entropy = lambda p: -p * np.log(p) - (1 - p) * np.log1p(-p)
    np.testing.assert_allclose(bg.entropy_rate(process), (q * entropy(p) + p * entropy(q)) / (p + q), rtol=1e-6)


def test_observers_without_matrices_have_estimates_only():
    class Bystander:
        initial = jnp.ones(1)
        predict = staticmethod(bg.coin(0.3).predict)
        update = staticmethod(bg.coin(0.3).update)

    for measure in (bg.entropy_rate, lambda one: bg.entropy_rate_bounds(one, 2), bg.statistical_complexity):
        with pytest.raises(
            TypeError, match=r"needs the matrices of a process .*; got Bystander, .*estimate_entropy_rate"
        ):
            measure(Bystander())
    np.testing.assert_allclose(bg.block_entropies(Bystander(), 2), bg.block_entropies(bg.coin(0.3), 2), rtol=1e-6)
