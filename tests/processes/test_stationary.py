"""Stationary laws of chains that hardly move, hardly mix, or leave states for good."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.processes.stationary import chain_law, chain_law_float64, left_unit_vector
from tests import oracle


def pair(p, q):
    return np.array([[1 - p, p], [q, 1 - q]])


def walk(n, up=0.3, down=0.3):
    moves = up * np.eye(n, k=1) + down * np.eye(n, k=-1)
    return moves + np.diag(1 - moves.sum(1))


def ring(n):
    return 0.9 * np.roll(np.eye(n), 1, 1) + 0.1 * np.eye(n)


CASES = {
    "1e-6": (pair(1e-6, 2e-6), [2 / 3, 1 / 3]),
    "3e-7": (pair(3e-7, 9e-7), [3 / 4, 1 / 4]),
    "1e-30": (pair(1e-30, 3e-30), [3 / 4, 1 / 4]),
    "a walk of 150 states": (walk(150), np.full(150, 1 / 150)),
    "a ring of 600 states": (ring(600), np.full(600, 1 / 600)),
    "uphill": (walk(30, 0.6, 0.3), 2.0 ** np.arange(30) / (2.0**30 - 1)),
    "nearly periodic": (np.roll(np.eye(7), 1, 1) * (1 - 1e-6) + 1e-6 * np.eye(7), np.full(7, 1 / 7)),
    "transient": (np.eye(5)[[1, 2, 3, 4, 2]], [0, 0, 1 / 3, 1 / 3, 1 / 3]),
    "transient, last": (np.eye(5)[[1, 2, 0, 4, 0]], [1 / 3, 1 / 3, 1 / 3, 0, 0]),
    "absorbed": (np.array([[0.5, 0.25, 0.25], [0, 1.0, 0], [1e-8, 0.5, 0.5]]), [0, 1, 0]),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("traced", [False, True])
def test_chains(name, traced):
    moves, exact = CASES[name]
    law = jax.jit(lambda matrix: bg.hmm(matrix).initial)(moves[None]) if traced else bg.hmm(moves[None]).initial
    np.testing.assert_allclose(law, exact, rtol=2e-5 if traced else 2e-7)
    assert (np.asarray(law)[np.array(exact) == 0] == 0).all()


def test_each_state_its_own_token():
    """0 -> 1 -> 2 -> 3 -> 4 -> 2: the library's own default is accepted, and a transient token impossible."""
    transitions = np.eye(5)[[1, 2, 3, 4, 2]][None] * np.eye(5)[:, :, None]
    process = bg.hmm(transitions)
    np.testing.assert_array_equal(bg.hmm(transitions, process.initial).initial, process.initial)
    assert bg.log_probability(process, [0]) == -np.inf == bg.log_probability(process, [1, 2])
    np.testing.assert_allclose(bg.log_probability(process, [2, 3, 4]), np.log(1 / 3), rtol=1e-6)


def test_names_at_their_bounds():
    process = bg.mr_name(1.0, 0.0)
    assert process.initial.tolist() == [0, 0.5, 0.5, 0]
    assert bg.log_probability(bg.mr_name(0.2, 0), [3]) == -np.inf
    for made in (
        bg.mixture([process, bg.coin()], [0.5, 0.5], [range(4), range(2)]),
        bg.noisy(process, 0.1),
        bg.relabel(process, [0, 1, 1, 2]),
        bg.with_bos(process),
        bg.markov_approximation(process, 2),
    ):
        assert (np.asarray(made.initial) >= 0).all()


@pytest.mark.parametrize("count", [2, 3])
def test_several_closed_classes(count):
    blocks = np.kron(np.eye(count), pair(0.1, 1e-6))
    moves = np.pad(blocks, ((1, 0), (1, 0)))
    moves[0, 1:] = 1 / (2 * count)
    with pytest.raises(ValueError, match=f"reducible, with {count} closed classes; pass initial"):
        bg.hmm(moves[None])
    assert np.isnan(jax.jit(lambda matrix: bg.hmm(matrix).initial)(moves[None])).all()


def test_a_law_below_the_range_of_the_precision():
    with pytest.raises(ValueError, match="the stationary distribution must be 0 or at least 1.18e-38.*use float64"):
        bg.hmm(walk(200, 0.3, 0.6)[None])
    with jax.enable_x64(True):
        np.testing.assert_allclose(bg.hmm(walk(200, 0.3, 0.6)[None]).initial[::-1][:2], 2.0**-200 * np.array([1, 2]))


@pytest.mark.parametrize("seed", range(5))
def test_derivatives(seed, x64):
    rng = np.random.default_rng(seed)
    moves = jnp.asarray(rng.dirichlet(np.ones(4), 4))
    weights, change = jnp.asarray(rng.normal(size=4)), rng.normal(size=(4, 4))
    value = lambda step: weights @ chain_law(moves + step * (change - change.mean(1, keepdims=True)))[0]
    np.testing.assert_allclose(jax.grad(value)(0.0), (value(1e-6) - value(-1e-6)) / 2e-6, rtol=1e-5)


def test_against_the_oracle(x64):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        moves = rng.random((9, 9)) ** 8 * (rng.random((9, 9)) < 0.3) + np.diag(rng.random(9)) + 1e-9 * np.eye(9)[::-1]
        moves /= moves.sum(1, keepdims=True)
        classes = oracle.closed_classes(moves)
        for law, count in (chain_law(jnp.asarray(moves)), chain_law_float64(moves)):
            assert count == len(classes)
            if len(classes) == 1:
                np.testing.assert_allclose(law, oracle.stationary_law(moves, *classes), rtol=1e-12)
            else:
                assert np.isnan(law).all()


def test_of_a_generalised_process():
    transitions = np.eye(5)[[1, 2, 3, 4, 2]][None] * np.eye(5)[:, :, None]
    process = bg.ghmm(transitions)
    assert process.generalised and (np.asarray(process.initial[:2]) == 0).all()
    np.testing.assert_allclose(process.initial[2:], 1 / 3, rtol=1e-6)
    assert bg.log_probability(process, [0]) == -np.inf
    with pytest.raises(ValueError, match="not unique: the eigenvalue 1 has 2 eigenvectors.*pass initial"):
        bg.stationary_distribution(bg.mixture([bg.bloch_walk(), bg.bloch_walk(1, 3)], [0.5, 0.5]))
    vector, count = left_unit_vector(np.diag([1.0, 0.5, 0.25]) + np.eye(3, k=1) * [0, 0.5, 0.75], 2e-16)
    assert count == 1 and vector[0] == 1


def test_of_a_composition():
    both = bg.product([bg.golden_mean(), bg.coin(0.3)])
    np.testing.assert_allclose(bg.stationary_distribution(both), [2 / 3, 1 / 3], rtol=1e-6)
