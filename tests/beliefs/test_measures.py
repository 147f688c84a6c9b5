import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs import measures
from beliefgeo.beliefs.measures import Measures
from beliefgeo.beliefs.mixed_states import myopic_entropies_of, transition_matrix
from tests.cases import signed_golden_mean

# Section 4 of the exact values: h, C_mu, E, transient information, in bits; crypticity C_mu - E.
BITS = {
    "golden_mean": (2 / 3, 0.9183, 0.2516, 0.2516),
    "even": (2 / 3, 0.9183, 0.9183, 3.1699),
    "z1r": (1 / 3, 1.5850, 1.5850, 2.8366),
    "rrxor": (2 / 3, 2.2516, 2.2516, 12.7431),
}


@pytest.mark.parametrize("name", BITS)
def test_exact_values_in_float32(name):
    process, (rate, complexity, excess, transient) = getattr(bg, name)(), BITS[name]
    bits = lambda measure: measure(process) / np.log(2)
    np.testing.assert_allclose(bits(bg.entropy_rate), rate, rtol=1e-7)
    np.testing.assert_allclose(bits(bg.statistical_complexity), complexity, atol=5e-5)
    np.testing.assert_allclose(bits(bg.excess_entropy), excess, atol=5e-5)
    np.testing.assert_allclose(bits(bg.transient_information), transient, atol=5e-5)
    np.testing.assert_allclose(bits(bg.crypticity), complexity - excess, atol=1e-4)


FUNCTIONS = [getattr(bg, name) for name in Measures._fields]


@pytest.mark.parametrize("name", [*BITS, "sum_of_two"])
def test_all_at_once_are_those_one_by_one(name):
    process = bg.product([bg.even(), bg.golden_mean()]) if name == "sum_of_two" else getattr(bg, name)()
    each = [float(measure(process)) for measure in FUNCTIONS]
    np.testing.assert_allclose(bg.information_measures(process), each, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["golden_mean", "even", "rrxor"])
def test_measures_are_their_sums_over_lengths(name):
    """E, T and S by adding up enough terms of their series, from the presentation, to 1e-6 relative."""
    process = getattr(bg, name)()
    presentation = bg.mixed_state_presentation(process)
    above = myopic_entropies_of(presentation, 400) - bg.entropy_rate(process)
    np.testing.assert_allclose(bg.excess_entropy(process), above.sum(), rtol=1e-6)
    np.testing.assert_allclose(bg.transient_information(process), (above[::-1].cumsum()).sum(), rtol=1e-6)
    weights, matrix, total = np.eye(len(above))[0][: len(presentation.beliefs)], transition_matrix(presentation), 0.0
    uncertain = -(presentation.beliefs * np.log(np.maximum(presentation.beliefs, 1e-300))).sum(1)
    for _ in range(400):
        total, weights = total + weights @ uncertain, weights @ matrix
    np.testing.assert_allclose(bg.synchronization_information(process), total, rtol=1e-6)


def test_excess_entropy_is_what_block_entropies_approach():
    lengths = 12
    blocks = np.asarray(bg.block_entropies(bg.z1r(), lengths), float)
    approached = blocks[-1] - lengths * bg.entropy_rate(bg.z1r())
    assert -1e-6 < bg.excess_entropy(bg.z1r()) - approached < 0.02  # block entropies in float32


@pytest.mark.parametrize("name", ["even", "rrxor"])
def test_dense_and_sparse_solves_agree(name, monkeypatch):
    process = getattr(bg, name)()
    dense = bg.information_measures(process)
    monkeypatch.setattr(measures, "_DENSE", 0)
    np.testing.assert_allclose(bg.information_measures(process), dense, rtol=1e-9, atol=1e-12)


def test_of_a_generalised_process_and_of_a_wider_model():
    """Both describe the golden mean: one with signed numbers, one with states twice over."""
    narrow = bg.information_measures(bg.golden_mean())
    np.testing.assert_allclose(bg.information_measures(signed_golden_mean()), narrow, atol=1e-6)
    golden = np.asarray(bg.golden_mean().transitions)
    wide = bg.hmm(np.kron(golden, [[0.3, 0.7], [0.6, 0.4]]))
    np.testing.assert_allclose(bg.information_measures(wide), narrow, atol=1e-6)


def test_where_measures_do_not_exist_they_say_what_to_use():
    with pytest.raises(ValueError, match="do not close within max_states.*statistical_complexity_dimension"):
        bg.statistical_complexity(bg.mess3())
    with pytest.raises(ValueError, match="do not close within max_states.*statistical_complexity_dimension"):
        bg.information_measures(bg.mess3())
    with pytest.raises(TypeError, match="call this outside jit"):
        jax.jit(bg.information_measures)(bg.even())
