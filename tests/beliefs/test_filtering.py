import itertools

import chex
import equinox as eqx
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs import filtering
from beliefgeo.beliefs.parallel import filter_beliefs_parallel
from beliefgeo.processes.scalars import ScalarProcess
from tests import oracle
from tests.cases import ALL, signed_golden_mean, some_slow

KEY = jax.random.key(11)


def test_hand_worked_golden_mean():
    # Stationary (2, 1)/3. Token 1 is possible from state 0 only, and leads to state 1, where only 0 may follow.
    filtered = bg.filter_beliefs(bg.golden_mean(), [0, 1, 0])
    np.testing.assert_allclose(
        filtered.beliefs, [[2 / 3, 1 / 3], [1 / 2 / 1 * 1 + 1 / 2, 0], [0, 1], [1, 0]], atol=1e-6
    )
    np.testing.assert_allclose(jnp.exp(filtered.log_probabilities), [2 / 3, 1 / 2, 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "precision"),
    some_slow(
        itertools.product(ALL, ("float32", "float64")),
        [(name, "float32") for name in ALL if name not in ("mess3", "rrxor", "signed_golden_mean", "moon")]
        + [
            (name, "float64")
            for name in ("mess2", "mess4", "rrxor_biased", "leaky_rrxor", "coin", "cycle", "even", "sns")
        ],
    ),
)
def test_against_the_oracle(name, precision):
    with jax.enable_x64(precision == "float64"):
        process = ALL[name]()
        tolerance = {"float32": 1e-5, "float64": 1e-10}[precision]
        tokens = np.asarray(bg.sample(KEY, process, 12).tokens)
        filtered = bg.filter_beliefs(process, tokens)
        for t in range(13):
            np.testing.assert_allclose(filtered.beliefs[t], oracle.belief(process, tokens[:t]), atol=tolerance)
            # The law of the next token is the brute-force conditional after exactly t tokens.
            law = bg.predict_next_token(process, filtered.beliefs[t])
            np.testing.assert_allclose(law, oracle.conditional(process, tokens[:t]), atol=tolerance)
        exact = np.log(oracle.joint_probability(process, tokens))
        np.testing.assert_allclose(bg.log_probability(process, tokens), exact, rtol=20 * tolerance)


def test_against_a_sum_over_hidden_paths():
    process, word = bg.random_hmm(jax.random.key(5), 3, 2), (0, 1, 1, 0)
    exact = oracle.hidden_path_probability(process, word)
    np.testing.assert_allclose(jnp.exp(bg.log_probability(process, word)), exact, rtol=1e-5)


@pytest.mark.parametrize("name", ["mess3", "rrxor", "signed_golden_mean", "golden_mean"])
def test_scalar_and_vector_forms_agree(name):
    process = ALL[name]()
    tokens = bg.sample(KEY, process, 100).tokens
    for one, other in zip(
        filtering._filter_vectors(process, tokens),
        filtering._filter_scalars(ScalarProcess(process), tokens)[0],
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=2e-6)


@pytest.mark.parametrize("process", [bg.golden_mean(), signed_golden_mean()])
def test_an_impossible_word_is_undefined(process):
    filtered = bg.filter_beliefs(process, [0, 1, 1, 0])
    assert np.isfinite(filtered.beliefs[:3]).all() and np.isnan(filtered.beliefs[3:]).all()
    assert np.isfinite(filtered.log_probabilities[:2]).all() and np.isneginf(filtered.log_probabilities[2:]).all()
    assert bg.log_probability(process, [0, 1, 1, 0]) == -jnp.inf


def test_a_probability_below_zero_is_impossible():
    # What errors of earlier tokens can leave of an impossible one: too large for rounding, and told by its sign.
    process = signed_golden_mean()
    belief = bg.filter_beliefs(process, [1]).beliefs[1]
    sideways = jnp.array([process.readout[1], -process.readout[0]])
    sideways = -1e-4 * sideways * jnp.sign(sideways @ process.transitions[1] @ process.readout)
    belief = belief + sideways
    assert belief @ process.transitions[1] @ process.readout < -1e-5
    assert bg.predict_next_token(process, belief)[1] == 0
    started = eqx.tree_at(lambda p: p.initial, process, belief)
    for beliefs, log_probabilities in (bg.filter_beliefs(started, [1, 0]), filter_beliefs_parallel(started, [1, 0])):
        assert np.isnan(beliefs[1:]).all() and np.isneginf(log_probabilities).all()


def test_two_improbable_tokens_in_a_row():
    # Each is far from underflowing, their product is not.
    filtered = bg.filter_beliefs(bg.hmm([[[1e-30]], [[1.0]]]), [0, 0, 0, 1])
    np.testing.assert_allclose(filtered.log_probabilities, np.log([1e-30] * 3 + [1]), rtol=1e-6)
    np.testing.assert_array_equal(filtered.beliefs, np.ones((5, 1)))


@pytest.mark.parametrize("build", [bg.mess3, bg.days_of_week])
@pytest.mark.parametrize("outside", [-1, 11])
def test_a_token_outside_the_vocabulary(build, outside):
    process = build()
    message = f"tokens must lie in 0..{process.vocab_size - 1}; got {outside}"
    with pytest.raises(ValueError, match=message + " at position 1"):
        bg.filter_beliefs(process, [0, outside])
    with pytest.raises(ValueError, match=message):
        bg.update_belief(process, process.initial, outside)
    tokens = jnp.array([0, outside, 0])
    traced = jax.jit(bg.filter_beliefs)(process, tokens)
    assert np.isfinite(traced.beliefs[1]).all() and np.isnan(traced.beliefs[2:]).all()
    assert np.isnan(jax.jit(bg.log_probability)(process, tokens))
    assert np.isnan(jax.jit(bg.update_belief)(process, process.initial, jnp.int32(outside))).all()


def test_other_mistakes():
    with pytest.raises(TypeError, match="tokens must be integers; got float64"):
        bg.filter_beliefs(bg.mess3(), [0.0, 1.0])
    with pytest.raises(ValueError, match=r"one sequence \[time\]; got shape \(1, 2\): use jax.vmap"):
        bg.filter_beliefs(bg.mess3(), [[0, 1]])


def test_no_tokens():
    filtered = bg.filter_beliefs(bg.mess3(), [])
    assert filtered.beliefs.shape == (1, 3) and filtered.log_probabilities.shape == (0,)
    assert bg.log_probability(bg.mess3(), jnp.zeros(0, int)) == 0


@pytest.mark.parametrize("name", ["coin", "mess3", "signed_golden_mean"])
def test_a_million_tokens(name):
    process = ALL[name]()
    tokens = bg.sample(KEY, process, 1_000_000).tokens
    short = bg.log_probability(process, tokens)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), process)
        exact = bg.filter_beliefs(wide, np.asarray(tokens)).log_probabilities.sum()
    np.testing.assert_allclose(float(short), float(exact), rtol=1e-4)


def test_eager_jit_vmap_and_loop_agree():
    for process in (bg.mess3(), bg.days_of_week()):
        tokens = jax.random.randint(KEY, (4, 6), 0, 3)
        batch = jax.jit(jax.vmap(bg.filter_beliefs, (None, 0)))(process, tokens)
        jitted = jax.jit(bg.filter_beliefs)
        for index, word in enumerate(tokens):
            eager = bg.filter_beliefs(process, word)
            np.testing.assert_allclose(eager.beliefs, batch.beliefs[index], atol=1e-6)
            np.testing.assert_allclose(eager.beliefs, jitted(process, word).beliefs, atol=1e-6)
            belief = process.initial
            for t, token in enumerate(word):
                belief = bg.update_belief(process, belief, token)
                np.testing.assert_allclose(eager.beliefs[t + 1], belief, atol=1e-6)


def test_new_values_do_not_recompile():
    chex.clear_trace_counter()
    traced = jax.jit(chex.assert_max_traces(lambda x, tokens: bg.log_probability(bg.mess3(x), tokens), n=1))
    for x in (0.05, 0.1, 0.2):
        traced(x, jax.random.randint(jax.random.key(int(100 * x)), (7,), 0, 3))


@pytest.mark.parametrize("quantity", ["log_probability", "belief"])
def test_gradients_match_finite_differences(quantity, x64):
    tokens = jnp.array([0, 1, 1, 2, 0])

    def value(x, alpha):
        process = bg.mess3(x, alpha)
        if quantity == "belief":
            return bg.filter_beliefs(process, tokens).beliefs[-1, 0]
        return bg.log_probability(process, tokens)

    for argument, step in enumerate(((1e-6, 0.0), (0.0, 1e-6))):
        numeric = (value(0.07 + step[0], 0.8 + step[1]) - value(0.07 - step[0], 0.8 - step[1])) / 2e-6
        np.testing.assert_allclose(jax.grad(value, argument)(0.07, 0.8), numeric, rtol=1e-6)


@hypothesis.settings(max_examples=6, deadline=None)
@hypothesis.given(seed=st.integers(0, 2**31 - 1), n_states=st.integers(1, 4), vocab_size=st.integers(1, 3))
def test_invariants_of_random_processes(seed, n_states, vocab_size):
    process = bg.random_hmm(jax.random.key(seed), n_states, vocab_size, 0.5)
    drawn = bg.sample(jax.random.key(seed), process, 8)
    np.testing.assert_allclose(drawn.beliefs @ process.readout, 1, atol=1e-5)
    laws = jax.vmap(process.predict)(drawn.beliefs)
    assert (laws >= 0).all()
    np.testing.assert_allclose(laws.sum(1), 1, atol=1e-5)
    # The mean of the next belief is the belief moved by the mean dynamics.
    expanded = bg.expand_beliefs(process, drawn.beliefs)
    mean = jnp.einsum("nv,nvs->ns", expanded.probabilities, jnp.nan_to_num(expanded.beliefs))
    np.testing.assert_allclose(mean, drawn.beliefs @ process.transitions.sum(0), atol=1e-5)
