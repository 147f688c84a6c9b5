"""Canonical correlations, neurons shuffled within classes, and losses of short windows: values by hand."""

import jax
import numpy as np
import pytest
from scipy.special import entr

import beliefgeo as bg
from beliefgeo import probes, reading

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def rows():
    return reading.rows(jax.random.key(0), bg.rrxor(), 5)


def test_canonical_correlations_of_known_sets():
    shared, own, noise = RNG.normal(size=(3, 4000, 1))
    left = np.concatenate([shared, own], 1) @ [[1.0, 2.0], [0.5, -1.0]]
    right = np.concatenate([shared + noise, RNG.normal(size=(4000, 1))], 1)
    found = probes.canonical_correlations(left, right)
    assert found[0] == pytest.approx(np.sqrt(0.5), abs=0.03) and found[1] < 0.05
    # Affine images correlate fully, and a column that repeats another adds no direction.
    np.testing.assert_allclose(probes.canonical_correlations(left, left @ [[3.0, 1.0], [0.0, 2.0]] + 5), 1, atol=1e-6)
    assert len(probes.canonical_correlations(np.concatenate([shared, 2 * shared], 1), right)) == 1
    # Rows of no weight count for nothing.
    weights = np.r_[np.ones(4000), 0]
    odd = np.concatenate([left, [[1e3, -1e3]]]), np.concatenate([right, [[-1e3, 1e3]]])
    np.testing.assert_allclose(probes.canonical_correlations(*odd, weights), found, atol=1e-4)
    for scale in (1e-9, 1e-5, 1e9):  # the unit of a column does not matter
        scaled = probes.canonical_correlations(left * [1, scale], right)
        np.testing.assert_allclose(scaled, found, atol=1e-5)


@pytest.mark.parametrize("x64", [False, True])
def test_constant_columns_correlate_with_nothing(x64):
    constants, rng = [np.full((500, 1), value) for value in (0.7, 123.456)], np.random.default_rng(2)
    weights, varied = rng.uniform(0.1, 1, 500), rng.normal(size=(500, 1))
    with jax.enable_x64(x64):
        assert probes.canonical_correlations(*constants, weights).tolist() == []
        both = [np.concatenate([constant, varied], 1) for constant in constants]
        np.testing.assert_allclose(probes.canonical_correlations(*both, weights), [1], atol=1e-6)


def test_neurons_keep_their_values_within_a_class(rows):
    classes = probes.belief_classes(rows)
    for label in np.unique(classes):
        members = classes == label
        assert len(np.unique(rows.length[members])) == 1
        assert np.ptp(rows.beliefs[members], axis=0).max() < 1e-6
    features = RNG.normal(size=(len(classes), 4)).astype(np.float32)
    shuffled = np.asarray(probes.shuffle_within(jax.random.key(1), features, classes))
    for label in np.unique(classes):
        members = classes == label
        np.testing.assert_array_equal(np.sort(shuffled[members], 0), np.sort(features[members], 0))
    assert (shuffled != features).any() and not (np.argsort(shuffled[:, 0]) == np.argsort(shuffled[:, 1])).all()
    # What is a function of the class survives.
    np.testing.assert_array_equal(
        probes.shuffle_within(jax.random.key(2), classes[:, None] * 1.0, classes)[:, 0], classes
    )
    with pytest.raises(ValueError, match="group must be"):
        probes.shuffle_within(jax.random.key(0), features, classes[:-1])


def test_losses_of_windows_by_brute_force(rows):
    gaps = probes.window_gaps(rows)
    assert gaps[-1] == pytest.approx(0, abs=1e-12) and (np.diff(gaps) < 1e-12).all()
    # A predictor of two tokens: the law of the next token given the last two and the number of tokens read.
    lost = []
    for length in range(1, 6):
        words = bg.words(bg.rrxor(), length + 1)
        of = {}
        for word, chance in zip(words.tokens.tolist(), words.probabilities, strict=True):
            law = of.setdefault(tuple(word[:-1][-2:]), np.zeros(2))
            law[word[-1]] += chance
        lost.append(sum(law.sum() * entr(law / law.sum()).sum() for law in of.values()))
    optimum = reading.optimal_loss(rows)
    assert gaps[2] == pytest.approx(np.mean(lost) - optimum.mean(), abs=1e-6)
