import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.processes.bos import with_bos
from beliefgeo.processes.float64 import as_float64, expand_float64, initial_float64
from tests import oracle
from tests.cases import ALL, CLASSICAL


@pytest.mark.parametrize("name", ALL)
def test_what_float32_rounded_is_put_right(name):
    process = ALL[name]()
    wide = as_float64(process)
    transitions, initial, readout = (np.asarray(leaf) for leaf in (wide.transitions, wide.initial, wide.readout))
    total = transitions.sum(0)
    np.testing.assert_allclose(total @ readout, readout, atol=1e-14)
    np.testing.assert_allclose(initial @ total, initial, atol=1e-14)  # every case starts stationary
    np.testing.assert_allclose(initial @ readout, 1, rtol=1e-14)
    np.testing.assert_allclose(transitions, process.transitions, atol=3e-7)


def test_an_initial_law_that_is_not_stationary_is_kept():
    process = bg.hmm(bg.even(0.3).transitions, [0.1, 0.9])
    np.testing.assert_allclose(as_float64(process).initial, [0.1, 0.9], atol=1e-8)


def test_components_keep_their_weights():
    """Of a reducible chain every mixture is stationary; the one given is kept."""
    process = bg.hmm([[[0.25, 0], [0, 0.5]], [[0.75, 0], [0, 0.5]]], [0.3, 0.7])
    np.testing.assert_allclose(as_float64(process).initial, [0.3, 0.7], rtol=1e-7)


@pytest.mark.parametrize("name", ALL)
def test_expansion_against_the_oracle(name, x64):
    process = as_float64(ALL[name]())
    successors, probabilities = expand_float64(process, np.asarray(process.initial)[None])
    for token in range(process.vocab_size):
        expected = oracle.joint_probability(process, [token])
        np.testing.assert_allclose(probabilities[0, token], expected, atol=1e-12)
        if expected > 1e-12:
            np.testing.assert_allclose(successors[0, token], oracle.belief(process, [token]), atol=1e-12)
        else:
            assert probabilities[0, token] == 0


class Renamed:
    """An observer that is no Process: the same through predict and update alone."""

    def __init__(self, process):
        self.process, self.initial = process, process.initial

    def predict(self, belief):
        return self.process.predict(belief)

    def update(self, belief, token):
        return self.process.update(belief, token)


@pytest.mark.parametrize("name", ["mess3", "rrxor"])
def test_any_observer_expands_as_a_process_does(name):
    process = as_float64(CLASSICAL[name]())
    beliefs = np.random.default_rng(0).dirichlet(np.ones(process.n_states), 5)
    mine, laws = expand_float64(process, beliefs)
    theirs, same = expand_float64(Renamed(process), beliefs)
    np.testing.assert_allclose(same, laws, atol=1e-14)
    np.testing.assert_allclose(theirs[laws > 0], mine[laws > 0], atol=1e-14)


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_a_certain_start_stays_certain_where_it_is_nearly_stationary(precision):
    """State 0 is left with probability 1e-7 a token: from there the others are impossible at the start, not 1e-7."""
    leak = 1e-7
    with jax.enable_x64(precision == np.float64):
        matrices = np.array([[[1 - leak, 0], [0.3, 0.2]], [[0, leak], [0.5, 0]]], precision)
        process = bg.hmm(matrices, np.array([1, 0], precision))
    np.testing.assert_array_equal(as_float64(process).initial, [1, 0])


@pytest.mark.parametrize(("p", "q"), [(1e-6, 2e-6), (3e-7, 9e-7)])
def test_the_stationary_law_of_a_slow_chain(p, q):
    """A singular value would say that it never moves; the law is that of what float32 made of p and q."""
    process = bg.hmm([[[1 - p, 0], [0, 1 - q]], [[0, p], [q, 0]]])
    wide = as_float64(process)
    total = np.asarray(wide.transitions).sum(0)
    exact = np.array([total[1, 0], total[0, 1]]) / (total[1, 0] + total[0, 1])
    np.testing.assert_allclose(wide.initial, exact, rtol=1e-13)
    np.testing.assert_allclose(wide.initial, [q / (p + q), p / (p + q)], rtol=1e-6)


def test_compositions_outside_float64():
    """A belief put together from factors' in float64 while the session is in float32."""
    for observer in (with_bos(bg.product([bg.coin(0.3)])), bg.noisy_product([bg.coin(0.3)], 0.2)):
        wide = as_float64(observer)
        assert initial_float64(wide).dtype == np.float64
        np.testing.assert_allclose(bg.words(observer, 2).probabilities.sum(), 1, rtol=1e-14)
