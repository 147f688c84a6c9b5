import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.processes.quantum import bloch_walk, frdn, from_kraus, moon, quantum_rrxor
from beliefgeo.processes.word_probabilities import allowed_words, check_word_probabilities
from tests import oracle

QUANTUM = {
    "bloch_walk": lambda: bloch_walk(),
    "bloch_walk_factored": lambda: bloch_walk(1.0, 3.0),
    "frdn": lambda: frdn(),
    "frdn_half": lambda: frdn(1.0, 0.5),
    "moon": lambda: moon(),
    "moon_other": lambda: moon(1.5, 0.3),
    "quantum_rrxor": lambda: quantum_rrxor(0.7, 0.9),
    "damped_qubit": lambda: from_kraus(damped_qubit()),
    "qutrit": lambda: from_kraus(random_instrument(3, 3, 2)),
}


def damped_qubit():
    """A qubit that is turned, and decays: token 1 is the photon."""
    turn = np.array([[math.cos(0.4), -math.sin(0.4)], [math.sin(0.4), math.cos(0.4)]])
    return np.array([np.diag([1, 0.8]), [[0, 0.6], [0, 0]]]) @ turn


def random_instrument(d, vocab_size, n_kraus):
    """Blocks of a random isometry, so that K^+ K sums to the identity."""
    rng = np.random.default_rng(0)
    size = (vocab_size * n_kraus * d, d)
    isometry = np.linalg.qr(rng.normal(size=size) + 1j * rng.normal(size=size))[0]
    return isometry.reshape(vocab_size, n_kraus, d, d)


@pytest.mark.parametrize("name", QUANTUM)
def test_words_to_length_8_have_probabilities(name, x64):
    process = QUANTUM[name]()
    # Every word, allowed or not.
    vectors = np.asarray(process.initial)[None]
    for _ in range(8):
        vectors = np.einsum("ni,xij->nxj", vectors, oracle.matrices(process)).reshape(-1, process.n_states)
    probabilities = vectors @ np.asarray(process.readout)
    assert probabilities.min() > -1e-15
    np.testing.assert_allclose(probabilities.sum(), 1, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", QUANTUM)
def test_initial_and_readout(name):
    for precision, tolerance in (("float32", 1e-6), ("float64", 1e-13)):
        with jax.enable_x64(precision == "float64"):
            process = QUANTUM[name]()
            total = oracle.matrices(process).sum(0)
            np.testing.assert_allclose(total @ process.readout, process.readout, atol=tolerance)
            np.testing.assert_allclose(process.initial @ total, process.initial, atol=tolerance)
            np.testing.assert_allclose(process.initial @ process.readout, 1, atol=tolerance)
            assert process.readout[np.argmax(abs(process.readout))] == 1
            check_word_probabilities(process)


@pytest.mark.parametrize("name", ["bloch_walk", "frdn", "moon", "damped_qubit", "qutrit"])
def test_sampled_beliefs_in_float32(name):
    process = QUANTUM[name]()
    drawn = bg.sample(jax.random.key(0), process, 40)
    np.testing.assert_allclose(drawn.beliefs @ process.readout, 1, atol=1e-6)
    tokens = np.asarray(drawn.tokens)
    for t in (1, 5, 40):
        np.testing.assert_allclose(drawn.beliefs[t], oracle.belief(process, tokens[:t]), atol=1e-5)
        last = oracle.conditional(process, tokens[: t - 1])[tokens[t - 1]]
        np.testing.assert_allclose(drawn.log_probabilities[t - 1], np.log(last), atol=1e-5)


@pytest.mark.parametrize(
    ("process", "first", "optimum"),
    [(bloch_walk, 1.386294, 1.381143), (frdn, 0.692420, 0.655374), (moon, 0.727331, 0.702509)],
)
def test_optima_of_the_paper(process, first, optimum, x64):
    entropies = bg.myopic_entropies(process(), 9)
    np.testing.assert_allclose(entropies[0], first, rtol=0, atol=1e-6)
    np.testing.assert_allclose(entropies[1:].mean(), optimum, rtol=0, atol=1e-6)


def test_moon_scale_and_weights(x64):
    process = moon()
    np.testing.assert_allclose(1 / process.transitions[0, 0, 0], 3.828537, rtol=0, atol=1e-6)
    # A word 0 u 0 weighs r - 1 - ln r, r = alpha^n beta^m; in particular 0 never follows itself.
    weight = lambda n, m: math.e**n / 2**m - 1 - math.log(math.e**n / 2**m)
    assert abs(oracle.joint_probability(process, (0, 0))) < 1e-17
    one, two, three = (oracle.joint_probability(process, word) for word in ((0, 1, 0), (0, 2, 0), (0, 1, 2, 0)))
    np.testing.assert_allclose(two / one, weight(0, 1) / weight(1, 0), rtol=1e-12)
    np.testing.assert_allclose(three / one, weight(1, 1) / weight(1, 0) * process.transitions[0, 0, 0], rtol=1e-12)


def test_frdn_restarts_at_token_0_and_spirals(x64):
    alpha, lam = 2000.0, 0.49
    process = frdn(alpha, lam)
    size = 1 - 2 * lam * math.cos(alpha) + lam**2
    plus, minus = ((1 - lam * math.cos(alpha) + s * lam * math.sin(alpha)) / size for s in (1, -1))
    restart = [1 - 1 / (2 * (1 - lam)) + (plus + minus) / 4, 1 / (2 * (1 - lam)), -plus / 4, -minus / 4]
    beliefs = bg.filter_beliefs(process, [1, 0, 1, 1, 0, 0]).beliefs
    for t in (2, 5, 6):
        np.testing.assert_allclose(beliefs[t], restart, rtol=1e-13)
    # After 0 1^k the last two entries have turned by k alpha.
    beliefs = np.asarray(bg.filter_beliefs(process, [0, 1, 1, 1]).beliefs)
    angle = lambda belief: np.arctan2(-belief[3], belief[2])  # row vectors turn clockwise
    turned = (angle(beliefs[4]) - angle(beliefs[1]) - 3 * alpha) / (2 * math.pi)
    np.testing.assert_allclose(turned, round(turned), atol=1e-9)


def test_2000_radians_in_float32():
    with jax.enable_x64(True):
        exact = frdn(1999.7)
    np.testing.assert_allclose(frdn(1999.7).transitions, exact.transitions, rtol=0, atol=2e-7)


def test_bloch_walk_is_its_kraus_operators(x64):
    alpha, beta = 1.3, 2.2
    sigma = {"z": np.diag([1, -1]), "x": np.array([[0, 1], [1, 0]])}
    operators = [alpha * np.eye(2) + sign * beta * sigma[axis] for axis in "zx" for sign in (1, -1)]
    full = from_kraus(np.array(operators) / (2 * math.hypot(alpha, beta)))
    plane = np.asarray(full.transitions)[:, [0, 1, 3]][:, :, [0, 1, 3]]
    np.testing.assert_allclose(plane, bloch_walk(alpha, beta).transitions, atol=1e-14)
    np.testing.assert_allclose(full.transitions[:, [0, 1, 3], 2], 0, atol=1e-14)  # b_y stays where it is: at 0


@pytest.mark.parametrize("d", [2, 3, 4])
def test_from_kraus_against_density_matrices(d, x64):
    operators = random_instrument(d, 3, 2)
    process = from_kraus(operators)
    for word in [(0,), (2, 1), (1, 0, 2, 2, 1)]:
        # The stationary state as the fixed point of the channel, by iteration.
        state = np.eye(d) / d
        for _ in range(200):
            state = sum(k @ state @ k.conj().T for k in operators.reshape(-1, d, d))
        for token in word:
            state = sum(k @ state @ k.conj().T for k in operators[token])
        np.testing.assert_allclose(oracle.joint_probability(process, word), np.trace(state).real, rtol=1e-12)
        # Purity of the conditional state from the Bloch vector: tr rho^2 = (1 + (d-1) |b|^2) / d.
        belief = oracle.belief(process, word)
        state = state / np.trace(state)
        purity = (1 + (d - 1) * (belief[1:] ** 2).sum()) / d
        np.testing.assert_allclose(purity, np.trace(state @ state).real, rtol=1e-12)


def test_pure_states_have_bloch_length_one(x64):
    for d in (2, 3):
        rng = np.random.default_rng(d)
        ket = rng.normal(size=d) + 1j * rng.normal(size=d)
        ket /= np.linalg.norm(ket)
        process = from_kraus(random_instrument(d, 2, 1), initial=np.outer(ket, ket.conj()))
        np.testing.assert_allclose(np.linalg.norm(process.initial[1:]), 1, rtol=1e-12)
    # sigma_x, sigma_y, sigma_z in this order for a qubit: the state with <sigma_y> = 1.
    state = from_kraus(random_instrument(2, 2, 1), initial=[[0.5, -0.5j], [0.5j, 0.5]]).initial
    np.testing.assert_allclose(state, [1, 0, 1, 0], atol=1e-15)


@pytest.mark.parametrize("name", ["bloch_walk", "bloch_walk_factored", "quantum_rrxor", "damped_qubit", "qutrit"])
def test_states_stay_positive(name, x64):
    process = QUANTUM[name]()
    beliefs = bg.sample(jax.random.key(1), process, 500).beliefs
    assert np.linalg.norm(beliefs[:, 1:], axis=1).max() <= 1 + 1e-12


def test_quantum_rrxor_at_a_right_angle_is_a_fair_coin(x64):
    words = list(itertools.islice(allowed_words(quantum_rrxor(0.7)), 7))[-1]
    np.testing.assert_allclose(words.probabilities, 1 / 64, rtol=1e-12)
    # A projective measurement at theta = 0 repeats itself where nothing turns the qubit in between.
    words = list(itertools.islice(allowed_words(quantum_rrxor(0.0, 0.0)), 5))[-1]
    np.testing.assert_array_equal(words.tokens, [[0, 0, 0, 0], [1, 1, 1, 1]])


PARAMETERS = {
    "bloch_walk": (bloch_walk, (1.2, 2.5)),
    "frdn": (frdn, (20.0, 0.4)),
    "moon": (moon, (2.2, 0.6)),
    "quantum_rrxor": (quantum_rrxor, (0.7, 0.9)),
    "from_kraus": (lambda p: from_kraus(_damping(p)), (0.3,)),
}


def _damping(p):
    turn = jnp.array([[math.cos(0.4), -math.sin(0.4)], [math.sin(0.4), math.cos(0.4)]])
    return jnp.array([[[1, 0], [0, jnp.sqrt(1 - p)]], [[0, jnp.sqrt(p)], [0, 0]]]) @ turn


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_differentiable_under_jit(name, x64):
    build, values = PARAMETERS[name]

    @jax.jit
    def log_probability(*values):
        process = build(*values)
        zero, one = process.transitions[:2]
        return jnp.log(process.initial @ zero @ one @ one @ zero @ process.readout)

    for index, value in enumerate(values):
        moved = lambda step: log_probability(*values[:index], value + step, *values[index + 1 :])  # noqa: B023
        gradient = jax.jit(jax.grad(log_probability, index))(*values)
        np.testing.assert_allclose(gradient, (moved(1e-5) - moved(-1e-5)) / 2e-5, rtol=1e-7, atol=1e-9)


def test_a_process_of_negative_probabilities_is_refused_with_the_word():
    # T^(1) undoes more than T^(0) leaves: from the second state word 1 1 comes out negative.
    transitions = jnp.array([[[0.6, 0.5], [0.2, 0.1]], [[0.2, -0.3], [0.2, 0.5]]])
    unchecked = lambda initial: bg.Process(transitions, initial, jnp.ones(2))
    process = unchecked(bg.stationary_distribution(unchecked(jnp.zeros(2))))
    exact = oracle.joint_probability(process, (1, 1))
    assert exact < 0
    message = rf"word \[1, 1\] has probability {exact:.3g}; .*check transitions"
    with pytest.raises(ValueError, match=message):
        check_word_probabilities(process)
    with pytest.raises(ValueError, match=message):
        bg.ghmm(transitions, readout=[1, 1])
    check_word_probabilities(process, 1)
    # A Bloch walk with Kraus operators that do not fit: stronger than a state can bear, seen after two tokens.
    strong = bloch_walk(1.0, 1.0).transitions.at[0, 2, 0].mul(4).at[1, 2, 0].mul(4)
    with pytest.raises(ValueError, match=r"word \[0, 1\] has probability -0.188;"):
        bg.ghmm(strong, readout=[1, 0, 0])


def test_the_check_lets_impossible_words_and_large_vocabularies_pass():
    from tests.cases import signed_golden_mean

    check_word_probabilities(signed_golden_mean())
    check_word_probabilities(bg.golden_mean(), 20)
    check_word_probabilities(bg.hmm(np.full((300, 2, 2), 1 / 600)), 8)
    words = list(itertools.islice(allowed_words(bg.rrxor()), 11))[-1]
    assert words.tokens.shape == (436, 10)
    np.testing.assert_allclose(words.probabilities, bg.words(bg.rrxor(), 10).probabilities, rtol=1e-6)
    np.testing.assert_array_equal(words.tokens, bg.words(bg.rrxor(), 10).tokens)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bloch_walk(0, 0), r"bloch_walk needs alpha and beta not both 0; got alpha=0, beta=0"),
        (lambda: frdn(2000, 0.6), r"frdn needs 0 < lam <= 1/2; got lam=0.6"),
        (lambda: frdn(2000, 0.0), r"frdn needs 0 < lam <= 1/2; got lam=0.0"),
        (lambda: moon(0.9, 0.5), r"moon needs alpha > 1 > beta > 0; got alpha=0.9, beta=0.5"),
        (lambda: moon(2.0, 0.0), r"moon needs alpha > 1 > beta > 0; got alpha=2.0, beta=0.0"),
        (lambda: from_kraus(np.eye(2)), r"operators \[token, d, d\] or .*; got shape \(2, 2\)"),
        (lambda: from_kraus(np.ones((2, 2, 3))), r"operators \[token, d, d\] or .*; got shape \(2, 2, 3\)"),
        (lambda: from_kraus([np.eye(2), np.eye(2)]), r"sum to the identity .*; the sum differs from it by 1"),
        (lambda: from_kraus([[[1, 0], [0, 0]], [[0, 0], [0, 1]]]), r"not unique.* pass initial"),
        (lambda: from_kraus([np.eye(2)], np.eye(3)), r"density matrix of shape \(2, 2\); got shape \(3, 3\)"),
        (lambda: from_kraus([np.eye(2)], np.diag([1.5, -0.5])), r"density matrix.* lowest eigenvalue -0.5"),
        (lambda: from_kraus([np.eye(2)], np.eye(2)), r"density matrix.* got trace 2"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
