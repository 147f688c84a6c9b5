from types import SimpleNamespace

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.causal_states import (
    epsilon_machine,
    is_minimal,
    is_same_process,
    is_unifilar,
    linear_dimension,
    merge_states,
    reduce_process,
    topological_machine,
)
from beliefgeo.processes.float64 import as_float64
from tests import oracle
from tests.cases import CLASSICAL, signed_golden_mean


def relabelling(machine, other):
    """The order of `other`'s states in which it is `machine`, by following tokens from every start; None if none."""
    ours, theirs = np.asarray(machine.transitions), np.asarray(other.transitions)
    for start in range(len(ours[0])):
        order, queue = {0: start}, [0]
        for state in queue:
            for token in range(len(ours)):
                here, there = np.flatnonzero(ours[token, state]), np.flatnonzero(theirs[token, order[state]])
                if len(here) != len(there):
                    break
                if len(here) and here[0] not in order:
                    order[here[0]] = there[0]
                    queue.append(here[0])
        place = [order.get(state, 0) for state in range(len(ours[0]))]
        if sorted(place) == list(range(len(place))) and np.allclose(ours, theirs[:, place][:, :, place], atol=1e-6):
            return place
    return None


def with_random_probabilities(rng, machine):
    edges = np.asarray(machine.transitions) > 0
    weights = edges * rng.uniform(0.1, 1, edges.shape[:2])[:, :, None]
    return weights / weights.sum((0, 2))[None, :, None]


def with_split_states(rng, transitions):
    """Each state as 1 to 3 copies, what enters it dealt out at random, in random order."""
    owner = np.repeat(np.arange(transitions.shape[1]), rng.integers(1, 4, transitions.shape[1]))
    share = rng.exponential(size=(len(transitions), len(owner), len(owner)))
    for state in range(transitions.shape[1]):
        share[:, :, owner == state] /= share[:, :, owner == state].sum(2, keepdims=True)
    order = rng.permutation(len(owner))
    return (transitions[:, owner][:, :, owner] * share)[:, order][:, :, order]


def test_two_identical_coins_are_one_causal_state():
    machine = epsilon_machine(bg.hmm([[[0.25, 0.25], [0.25, 0.25]]] * 2))
    assert machine.n_states == 1
    np.testing.assert_allclose(machine.transitions, [[[0.5]], [[0.5]]])


@pytest.mark.parametrize("count", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_random_machines_are_recovered(count):
    rng, recovered = np.random.default_rng(0), 0
    for seed in range(count):
        machine = topological_machine(jax.random.key(seed), int(rng.integers(2, 9)), int(rng.integers(2, 5)))
        truth = bg.hmm(with_random_probabilities(rng, machine))
        found = epsilon_machine(bg.hmm(with_split_states(rng, np.asarray(truth.transitions, np.float64))))
        recovered += found.n_states == truth.n_states and relabelling(found, truth) is not None
    assert recovered == count


def test_a_machine_that_never_synchronises_is_recovered():
    """Every token permutes the states, so that uncertainty about the state never ends."""
    transitions = [[[0.3, 0], [0, 0.6]], [[0, 0.7], [0.4, 0]]]
    presentation = bg.mixed_state_presentation(bg.hmm(transitions), max_depth=20)
    assert presentation.truncated and presentation.beliefs.max() < 1
    machine = epsilon_machine(bg.hmm(with_split_states(np.random.default_rng(1), np.array(transitions))))
    assert relabelling(machine, bg.hmm(transitions)) is not None


@pytest.mark.parametrize("name", ["golden_mean", "even", "z1r", "rrxor", "mr_name", "checksum", "coin"])
def test_unifilar_minimal_processes_are_their_own(name):
    process = CLASSICAL[name]()
    assert is_unifilar(process) and is_minimal(process)
    machine = epsilon_machine(process)
    assert relabelling(machine, process) is not None
    np.testing.assert_allclose(machine.initial @ machine.transitions.sum(0), machine.initial, atol=1e-6)


def test_through_mixed_states_where_hidden_states_are_not_unifilar():
    # Weekends and weekdays leave two and five possible days, and each of these sets can be shifted: 7 + 7 + 7.
    days = bg.days_of_week()
    assert not is_unifilar(days)
    machine = epsilon_machine(days)
    assert machine.n_states == 21 and is_unifilar(machine) and is_minimal(machine)
    for word in ([7, 9, 7], [10, 8, 0, 1], [3]):
        expected = oracle.joint_probability(as_float64(days), word)
        np.testing.assert_allclose(oracle.joint_probability(machine, word), expected, rtol=1e-6)


def test_of_a_generalised_process(x64):
    machine = epsilon_machine(signed_golden_mean())
    assert relabelling(machine, bg.golden_mean()) is not None


def test_infinite_causal_states_say_how_many_were_reached():
    with pytest.raises(ValueError, match="do not close within max_states: 300 were reached after 298 tokens; raise"):
        epsilon_machine(bg.sns(), max_states=300)


def test_a_process_of_two_components_is_refused():
    with pytest.raises(ValueError, match="epsilon_machine needs an ergodic process.*has 2 closed classes"):
        epsilon_machine(bg.hmm([[[0.25, 0], [0, 0.5]], [[0.75, 0], [0, 0.5]]], [0.3, 0.7]))


def test_transient_states_are_dropped():
    machine = merge_states(bg.hmm([[[0.5, 0.2], [0, 0.4]], [[0.1, 0.2], [0, 0.6]]]))
    np.testing.assert_allclose(machine.transitions, [[[0.4]], [[0.6]]], rtol=1e-6)


def test_linear_dimension():
    rng = np.random.default_rng(0)
    assert linear_dimension(bg.mess3()) == 3 and linear_dimension(bg.rrxor()) == 5
    split = bg.hmm(with_split_states(rng, np.asarray(bg.mess3().transitions, np.float64)))
    assert split.n_states > 3 and linear_dimension(split) == 3
    # x = 1/3 forgets the state at once: its tokens are independent.
    assert linear_dimension(bg.mess3(1 / 3, 0.6)) == 1


@pytest.mark.parametrize("name", ["mess3", "rrxor", "many_states", "sns"])
def test_reduced_processes_give_every_word_its_probability(name):  # in float32
    rng = np.random.default_rng(2)
    process = bg.hmm(with_split_states(rng, oracle.matrices(CLASSICAL[name]())))
    reduced = reduce_process(process)
    assert reduced.n_states == linear_dimension(CLASSICAL[name]())
    for word in oracle.all_words(process.vocab_size, 4)[::7]:
        expected = oracle.joint_probability(process, word)
        np.testing.assert_allclose(oracle.joint_probability(reduced, word), expected, rtol=1e-4, atol=1e-7)


def test_equality_of_processes():
    rng = np.random.default_rng(3)
    split = lambda process: bg.hmm(with_split_states(rng, np.asarray(process.transitions, np.float64)))
    assert is_same_process(split(bg.mess3()), bg.mess3())
    assert is_same_process(signed_golden_mean(), bg.golden_mean())
    assert is_same_process(bg.checksum([[0.5, 0.5], [0.5, 0.5]]), bg.rrxor())
    assert not is_same_process(bg.mess3(0.05), bg.mess3(0.0501))
    assert not is_same_process(bg.golden_mean(), bg.even())
    assert not is_same_process(bg.coin(), bg.mess3())


def test_differences_that_only_long_words_show():
    """Two cycles of fair coins but for one biased toss in seven; shorter words have equal probabilities on average."""
    cycle = np.roll(np.eye(7), 1, 1)
    biased = lambda where: np.stack([cycle * np.where(np.arange(7) == where, 0.9, 0.5)[:, None]] * 2) * [[[1]], [[1]]]
    one = biased(3)
    one[1] = cycle - one[0]
    two = biased(3)
    two[1] = cycle - two[0]
    two[:, 5] = two[::-1, 5]  # swaps fair tosses: nothing changes
    assert is_same_process(bg.hmm(one), bg.hmm(two))
    two[:, 3] = two[::-1, 3]
    assert not is_same_process(bg.hmm(one), bg.hmm(two))


@pytest.mark.parametrize("seed", range(5))
def test_topological_machines(seed):
    machine = topological_machine(jax.random.key(seed), 5, 3)
    assert is_unifilar(machine) and is_minimal(machine)
    laws = np.asarray(machine.transitions).sum(2)
    for law in laws.T:
        assert len(set(law[law > 0].tolist())) == 1
    with pytest.raises(ValueError, match="at least 2 tokens"):
        topological_machine(jax.random.key(seed), 2, 1)


def test_minimality():
    assert not is_minimal(bg.hmm([[[0.25, 0.25], [0.25, 0.25]]] * 2))
    assert not is_minimal(bg.hmm([[[0.5, 0.2], [0, 0.4]], [[0.1, 0.2], [0, 0.6]]]))  # a transient state
    assert is_minimal(bg.mess3()) and is_minimal(signed_golden_mean())


def test_compositions_by_their_joint():
    process = bg.product([bg.golden_mean(0.3), bg.coin(0.6)])
    machine, expected = bg.epsilon_machine(process), bg.epsilon_machine(process.joint())
    np.testing.assert_allclose(machine.transitions, expected.transitions, atol=1e-6)
    assert is_unifilar(process) and is_minimal(process) and linear_dimension(process) == 2
    assert is_same_process(process, process.joint()) and not is_same_process(process, bg.product([bg.even()] * 2))
    with pytest.raises(TypeError, match="epsilon_machine needs the matrices of a process .*; got SimpleNamespace"):
        coin = bg.coin(0.3)
        bg.epsilon_machine(SimpleNamespace(initial=coin.initial, predict=coin.predict, update=coin.update))
