import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.mixed_states import (
    blackwell_samples,
    closed_classes,
    mixed_state_presentation,
    myopic_entropies_of,
    next_token_entropies,
    spectrum,
    synchronization_length,
    transient_spectrum,
    transition_matrix,
)
from beliefgeo.processes.float64 import as_float64
from tests import oracle
from tests.cases import signed_golden_mean

# (process, mixed states, recurrent ones): section 4 of the exact values; mr_name by hand: 4 names and the start.
FINITE = {
    "golden_mean": (bg.golden_mean, 3, 2),
    "even": (bg.even, 4, 2),
    "z1r": (bg.z1r, 7, 3),
    "rrxor": (bg.rrxor, 36, 5),
    "mr_name": (bg.mr_name, 5, 4),
    "coin": (bg.coin, 1, 1),
    "signed_golden_mean": (signed_golden_mean, 3, 2),
}


def queue_presentation(process, max_depth, digits=9):
    """One belief at a time, merged by rounding: beliefs in order of discovery, and the moves."""
    process = as_float64(process)
    beliefs, numbers, queue, moves = [], {}, [(np.asarray(process.initial), 0)], {}
    numbers[tuple(np.round(queue[0][0], digits) + 0.0)] = 0
    beliefs.append(queue[0][0])
    for belief, depth in queue:
        here = numbers[tuple(np.round(belief, digits) + 0.0)]
        for token, matrix in enumerate(oracle.matrices(process)):
            mass = belief @ matrix @ np.asarray(process.readout)
            if mass < 1e-12:
                moves[here, token] = -1
            elif depth == max_depth:
                moves[here, token] = -2
            else:
                after = belief @ matrix / mass
                key = tuple(np.round(after, digits) + 0.0)
                if key not in numbers:
                    numbers[key] = len(beliefs)
                    beliefs.append(after)
                    queue.append((after, depth + 1))
                moves[here, token] = numbers[key]
    return np.array(beliefs), moves


@pytest.mark.parametrize("name", FINITE)
@pytest.mark.parametrize("tolerance", [1e-11, 1e-10, 1e-9, 1e-8])
def test_counts_do_not_depend_on_the_tolerance(name, tolerance):
    build, count, recurrent = FINITE[name]
    with jax.enable_x64(name == "signed_golden_mean"):  # in float32 the signs cancel to 1e-8 only
        presentation = mixed_state_presentation(build(), tolerance=tolerance)
    assert (len(presentation.beliefs), presentation.recurrent.sum()) == (count, recurrent)
    assert not presentation.truncated


@pytest.mark.parametrize("name", ["rrxor", "z1r", "mess3"])
def test_against_one_belief_at_a_time(name):
    process, depth = getattr(bg, name)(), 5
    presentation = mixed_state_presentation(process, max_depth=depth)
    beliefs, moves = queue_presentation(process, depth)
    np.testing.assert_allclose(presentation.beliefs, beliefs, atol=1e-12)
    complete = presentation.depth < depth
    for (state, token), move in moves.items():
        if complete[state]:
            assert presentation.successors[state, token] == move


def test_beliefs_and_moves_are_those_of_every_word():
    process = as_float64(bg.rrxor())
    presentation = mixed_state_presentation(process)
    for word in oracle.all_words(2, 6):
        state = 0
        for token in word:
            state = presentation.successors[state, token] if state >= 0 else -1
        probability = oracle.joint_probability(process, word)
        if state < 0:
            assert probability < 1e-15
        else:
            np.testing.assert_allclose(presentation.beliefs[state], oracle.belief(process, word), atol=1e-12)


def test_mess3_to_depth_ten():
    presentation = mixed_state_presentation(bg.mess3(), max_depth=10)
    assert len(presentation.beliefs) == 88_573 == sum(3**k for k in range(11))
    assert presentation.truncated and not presentation.recurrent.any()
    # Beyond the cut but for the few beliefs that one more of the same token moves by less than the tolerance.
    source, token = np.nonzero(presentation.successors >= 0)
    near = presentation.depth[source] == 10
    assert 0 < near.sum() < 100
    moved = oracle.matrices(as_float64(bg.mess3()))[token[near]]
    after = np.einsum("ni,nij->nj", presentation.beliefs[source[near]], moved)
    after /= after.sum(1, keepdims=True)
    expected = presentation.beliefs[presentation.successors[source, token][near]]
    np.testing.assert_allclose(after, expected, atol=1e-9)
    np.testing.assert_array_equal(np.bincount(presentation.depth), 3 ** np.arange(11))


def test_a_depth_at_which_nothing_is_missing_is_not_a_cut():
    assert not mixed_state_presentation(bg.rrxor(), max_depth=6).truncated
    assert mixed_state_presentation(bg.rrxor(), max_depth=5).truncated


def test_the_cap_keeps_the_first_and_tells():
    presentation = mixed_state_presentation(bg.mess3(), max_states=20)
    assert len(presentation.beliefs) == 20 and presentation.truncated
    full = mixed_state_presentation(bg.mess3(), max_depth=3)
    np.testing.assert_array_equal(presentation.beliefs, full.beliefs[:20])
    assert presentation.successors.max() < 20 and (presentation.successors == -2).any()


def test_transition_matrix_is_stochastic_and_gives_the_word_entropies():
    for name, (build, _, _) in FINITE.items():
        with jax.enable_x64(name == "signed_golden_mean"):
            process = build()
            presentation = mixed_state_presentation(process)
            wide = as_float64(process)
        np.testing.assert_allclose(transition_matrix(presentation).sum(1), 1, rtol=1e-12)
        expected = np.diff([oracle.block_entropy(wide, length) for length in range(6)])
        np.testing.assert_allclose(myopic_entropies_of(presentation, 5), expected, atol=1e-10)


def test_predicted_entropies_of_an_infinite_presentation_stop_at_its_depth():
    presentation = mixed_state_presentation(bg.mess3(), max_depth=6)
    published = [1.098612, 0.857719, 0.813356, 0.798118, 0.794740, 0.793783, 0.793543]
    np.testing.assert_allclose(myopic_entropies_of(presentation, 7), published, atol=1e-6)
    with pytest.raises(ValueError, match="complete to depth 6"):
        myopic_entropies_of(presentation, 8)


def test_rrxor_after_many_tokens_reaches_its_entropy_rate():
    entropies = myopic_entropies_of(mixed_state_presentation(bg.rrxor()), 200)
    np.testing.assert_allclose(entropies[-1], 2 / 3 * np.log(2), atol=1e-12)


def test_spectrum_by_hand():
    # even: 1 and -1/2 among the causal states; start and (1/2, 1/2) alternate on ones: +- the root of 2/3 x 3/4.
    values = spectrum(mixed_state_presentation(bg.even()))
    np.testing.assert_allclose(sorted(values.real), sorted([1, -0.5, np.sqrt(1 / 2), -np.sqrt(1 / 2)]), atol=1e-9)
    np.testing.assert_allclose(values.imag, 0, atol=1e-12)
    presentation = mixed_state_presentation(bg.even())
    np.testing.assert_allclose(transient_spectrum(presentation), [np.sqrt(1 / 2), -np.sqrt(1 / 2)], atol=1e-9)
    np.testing.assert_allclose(synchronization_length(presentation), 2 / np.log(2), rtol=1e-9)


def test_finite_markov_order_has_no_modes():
    presentation = mixed_state_presentation(bg.golden_mean())
    assert (transient_spectrum(presentation) == 0).all() and synchronization_length(presentation) == 0


def test_entropies_fall_with_the_slowest_mode():
    presentation = mixed_state_presentation(bg.rrxor())
    excess = myopic_entropies_of(presentation, 61) - 2 / 3 * np.log(2)
    rate = (excess[60] / excess[30]) ** (1 / 30)
    np.testing.assert_allclose(rate, np.exp(-1 / synchronization_length(presentation)), rtol=1e-3)


def test_closed_classes_of_two_sinks():
    graph = transition_matrix(mixed_state_presentation(bg.golden_mean()))
    np.testing.assert_array_equal(closed_classes(graph), [-1, 0, 0])
    two = bg.hmm([[[0.25, 0], [0, 0.5]], [[0.75, 0], [0, 0.5]]], [1.0, 0.0])
    assert mixed_state_presentation(two).recurrent.tolist() == [True]


def test_next_token_entropies():
    presentation = mixed_state_presentation(bg.golden_mean())
    third = 1 / 3
    start = -(third * np.log(third) + 2 * third * np.log(2 * third))
    np.testing.assert_allclose(next_token_entropies(presentation), [start, np.log(2), 0], atol=1e-12)


def test_blackwell_samples_visit_the_recurrent_states_as_often_as_they_should():
    samples = np.asarray(blackwell_samples(jax.random.key(0), bg.golden_mean(), 20_000))
    assert samples.shape == (20_000, 2)
    # Of synchronised beliefs: state 0 has probability 2/3; 5 standard errors of 20,000 correlated draws.
    assert abs((samples[:, 0] == 1).mean() - 2 / 3) < 0.02
    assert set(map(tuple, samples.tolist())) == {(1.0, 0.0), (0.0, 1.0)}


@pytest.mark.parametrize("bad", [{"max_depth": -1}, {"max_states": 0}, {"tolerance": 0.0}])
def test_bad_limits(bad):
    with pytest.raises(ValueError, match="max_depth >= 0, max_states >= 1 and tolerance > 0; got"):
        mixed_state_presentation(bg.even(), **bad)


def test_spectrum_of_the_transient_part_needs_all_of_it():
    with pytest.raises(ValueError, match="was cut at 13 beliefs"):
        transient_spectrum(mixed_state_presentation(bg.mess3(), max_depth=2))
