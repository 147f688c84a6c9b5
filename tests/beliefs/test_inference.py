import itertools

import jax
import numpy as np
import pytest
from scipy.stats import binom, chi2_contingency

import beliefgeo as bg
from beliefgeo.beliefs.inference import infer_causal_states

# Process, its transient causal states (section 4 of the table of exact values: 3, 4, 7, 36 mixed states in all).
MACHINES = {
    "golden_mean": (bg.golden_mean, 1),
    "even": (bg.even, 2),
    "z1r": (bg.z1r, 4),
    "rrxor": (bg.rrxor, 31),
}


def draw(process, length, seed=0):
    return np.asarray(bg.sample(jax.random.key(seed), process, length).tokens)


def relabelled(inferred, truth):
    """The true transitions with states in the inferred order, None where no order has the same moves."""
    truth, transitions = np.asarray(truth.transitions, float), np.asarray(inferred.transitions, float)
    if truth.shape != transitions.shape:
        return None
    orders = [list(order) for order in itertools.permutations(range(truth.shape[1]))]
    moved = [truth[:, order][:, :, order] for order in orders]
    return next((one for one in moved if ((one > 0) == (transitions > 0)).all()), None)


def recovered(found, truth):
    """Same states and moves, every transition within 3 standard errors."""
    exact = relabelled(found.process, truth)
    error = 0 if exact is None else abs(np.asarray(found.process.transitions, float) - exact)
    return exact is not None and bool((error <= 3 * found.standard_errors + 1e-6).all())


@pytest.mark.parametrize("name", MACHINES)
def test_a_million_tokens_recover_the_machine(name):
    build, n_transient = MACHINES[name]
    found = infer_causal_states(draw(build(), 1_000_000), 9)
    assert recovered(found, build())
    assert found.n_transient == n_transient
    np.testing.assert_allclose(
        found.process.initial @ found.process.transitions.sum(0), found.process.initial, atol=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", MACHINES)
def test_twenty_seeds(name):
    build, _ = MACHINES[name]
    found = [infer_causal_states(draw(build(), 1_000_000, seed), 9) for seed in range(20)]
    right = [recovered(one, build()) for one in found]
    print(name, sum(right))
    assert sum(right) >= 19


@pytest.mark.parametrize("process", [bg.rrxor(0.3, 0.6), bg.mr_name(), bg.even(0.2), bg.golden_mean(0.8)])
def test_unequal_probabilities(process):
    assert recovered(infer_causal_states(draw(process, 300_000), 9), process)


def test_the_next_token_alone_does_not_tell_the_beliefs_of_rrxor_apart():
    """Single tokens of rrxor look fair after every short history, and z1r's beliefs share next-token laws."""
    assert infer_causal_states(draw(bg.rrxor(), 100_000), 9, future_length=1).process.n_states == 1
    assert infer_causal_states(draw(bg.z1r(), 100_000), 9, future_length=1).process.n_states != 3
    with pytest.raises(ValueError, match="no closed set of states.* raise it or future_length"):
        infer_causal_states(draw(bg.rrxor(), 100_000), 9, future_length=2)


def test_a_history_that_never_synchronises_is_no_state():
    found = infer_causal_states(draw(bg.even(), 100_000), 9)
    # Of 9 tokens only 111111111 has met no 0; its share of positions is P(1^9) = (2/3) 2^-5 + (1/3) 2^-4.
    assert np.flatnonzero(found.state_of_history < 0)[-1] == 2**9 - 1
    np.testing.assert_allclose(found.synchronised, 1 - (2 / 3 * 2**-5 + 1 / 3 * 2**-4), atol=0.002)


def test_counts_and_errors_against_a_loop():
    tokens, length = draw(bg.z1r(), 3000), 6
    found = infer_causal_states(tokens, length)
    counts = np.zeros((3, 2), int)
    for t in range(length, len(tokens) - 2):  # a future of 3 tokens must fit
        state = found.state_of_history[int("".join(map(str, tokens[t - length : t])), 2)]
        counts[state, tokens[t]] += state >= 0
    np.testing.assert_array_equal(found.counts, counts)
    transitions = np.asarray(found.process.transitions)
    log_likelihood = 0.0
    for state, token in itertools.product(range(3), range(2)):
        share = counts[state, token] / counts[state].sum()
        error = np.sqrt(share * (1 - share) / counts[state].sum())
        np.testing.assert_allclose(transitions[token, state].sum(), share, rtol=1e-6)
        np.testing.assert_allclose(found.standard_errors[token, state].sum(), error, rtol=1e-12)
        log_likelihood += counts[state, token] * np.log(share) if share else 0
    np.testing.assert_allclose(found.log_likelihood, log_likelihood)


@pytest.mark.parametrize(("process", "n_states"), [(bg.coin(0.3), 1), (bg.golden_mean(), 2)])
def test_states_too_many_are_as_rare_as_promised(process, n_states):
    significance, n_seeds = 0.1, 150
    tokens = np.asarray(
        jax.vmap(bg.sample, (0, None, None))(jax.random.split(jax.random.key(1), n_seeds), process, 4000).tokens
    )
    found = [infer_causal_states(one, 4, significance=significance) for one in tokens]
    wrong = sum(one.process.n_states + one.n_transient > (1 if n_states == 1 else 3) for one in found)
    assert wrong <= binom.isf(1e-3, n_seeds, significance)


def test_sequences_are_not_joined():
    rows = np.array([[0, 1] * 500, [1, 0] * 500])  # joined they would hold 11
    found = infer_causal_states(rows, 3)
    assert found.counts.sum() == 2 * (1000 - 5)
    np.testing.assert_array_equal(sorted(found.counts.max(1)), [995, 995])
    np.testing.assert_array_equal(np.sort(found.process.transitions.sum((1, 2))), [1, 1])
    assert relabelled(found.process, bg.hmm([[[0, 0], [1, 0]], [[0, 1], [0, 0]]])) is not None


def renewal(least, tokens, seed=0):
    """Runs of `least` zeros and then as many as a fair coin says, each ended by a 1."""
    runs = least + np.random.default_rng(seed).geometric(0.5, tokens) - 1
    return np.concatenate([[0] * run + [1] for run in runs])[:tokens]


@pytest.mark.parametrize("least", [0, 1, 4, 8])
def test_renewal_processes(least):
    """least + 1 states: that many 0s since the last 1, or more; with shorter futures the data are refused."""
    tokens = renewal(least, 20_000)
    for future_length in range(1, least + 2):
        try:
            found = infer_causal_states(tokens, 9, future_length=future_length)
        except ValueError as error:
            assert future_length <= least and "raise" in str(error) and "future_length" in str(error)
        else:
            assert future_length >= least and found.process.n_states == least + 1
            assert np.isfinite(bg.log_probability(found.process, tokens))


@pytest.mark.parametrize("history_length", [4, 5, 6])
def test_a_one_in_five_tokens(history_length):
    tokens = (np.arange(7000) % 5 == 0).astype(int)
    with pytest.raises(ValueError, match="raise future_length or history_length"):
        infer_causal_states(tokens, history_length)
    with pytest.raises(ValueError, match=r"token 1 never follows the history \[1\], but 1,398 times others that were"):
        infer_causal_states(tokens, 6)
    found = infer_causal_states(tokens, max(history_length, 5), future_length=4)
    assert found.process.n_states == 5
    np.testing.assert_allclose(bg.log_probability(found.process, tokens), -np.log(5), atol=1e-6)


@pytest.mark.parametrize("word", ["01", "00001", "000110011", "001011101000"])
def test_a_word_repeated_gives_a_cycle_or_is_refused(word):
    period = len(word)
    tokens = np.tile([int(letter) for letter in word], 1200 // period)
    machine = infer_causal_states(tokens, period, future_length=8).process
    assert machine.n_states == period
    np.testing.assert_allclose(bg.log_probability(machine, tokens), -np.log(period), atol=1e-5)
    for future_length in (1, 2, 3):
        try:
            assert infer_causal_states(tokens, period, future_length=future_length).process.n_states == period
        except ValueError as error:
            assert "raise" in str(error) and "future_length" in str(error)


def test_a_repeated_word_too_long_for_the_histories_is_no_chance():
    """000110011 has a 0 and a 1 after 0011, and with futures of 3 each of the other histories is told apart."""
    with pytest.raises(ValueError, match="leave a choice, though the data repeat one word: raise history_length"):
        infer_causal_states(np.tile([0, 0, 0, 1, 1, 0, 0, 1, 1], 200), 4)


def test_rare_transitions():
    """Two states: 0 and 1 at random, and one token in 2000 a 2, after which a 0 is certain."""
    process = bg.hmm([[[0.4995, 0.0], [1.0, 0.0]], [[0.5, 0.0], [0.0, 0.0]], [[0.0, 0.0005], [0.0, 0.0]]])
    for seed in range(5):
        tokens = draw(process, 40_000, seed)
        found = infer_causal_states(tokens, 5)
        assert recovered(found, process) and np.isfinite(bg.log_probability(found.process, tokens))


def test_a_long_stretch_of_one_token():
    tokens = np.concatenate([draw(bg.coin(0.5), 4000), np.zeros(3000, int), draw(bg.coin(0.5), 4000, 1)])
    assert np.isfinite(bg.log_probability(infer_causal_states(tokens, 5).process, tokens))


def test_openings_that_never_return_are_refused():
    """Of 0 1 2 3 4 2 3 4 ... the machine is the cycle of 2, 3, 4, which does not allow 0."""
    tokens = np.concatenate([[0, 1], np.tile([2, 3, 4], 500)])
    with pytest.raises(ValueError, match="none explains token 0 at position 0 after .* the first 3 or last 2 .* leave"):
        infer_causal_states(tokens, 3)
    np.testing.assert_allclose(bg.log_probability(infer_causal_states(tokens[2:], 3).process, tokens[2:]), -np.log(3))


def test_sequences_of_two_processes_are_refused():
    rows = np.stack([np.tile([0, 1], 500), np.full(1000, 2)])
    with pytest.raises(ValueError, match=r"at position \d, \d+ .*sequences of different processes: give them one at a"):
        infer_causal_states(rows, 3)


def test_every_sequence_of_a_batch_is_explained():
    rows = np.stack([draw(bg.even(0.3), 300, seed) for seed in range(40)])
    found = infer_causal_states(rows, 6)
    assert recovered(found, bg.even(0.3))
    assert np.isfinite([bg.log_probability(found.process, row) for row in rows]).all()


def test_agreement_tells_that_the_states_are_too_few():
    """Right machines agree with their histories (20 p values, each times the number of states); merged ones do not."""
    right = [infer_causal_states(draw(bg.even(), 20_000, seed), 8).agreement for seed in range(20)]
    assert min(right) > 1e-3 and np.median(right) > 0.1
    assert infer_causal_states(draw(bg.rrxor(), 100_000), 9, future_length=1).agreement < 1e-12


def test_agreement_against_scipy():
    tokens = draw(bg.golden_mean(0.3), 5000)
    found = infer_causal_states(tokens, 3)
    tables = {state: [] for state in range(2)}
    for history in itertools.product(range(2), repeat=3):
        state = found.state_of_history[history[0] * 4 + history[1] * 2 + history[2]]
        followed = [tokens[t] for t in range(3, len(tokens) - 2) if tuple(tokens[t - 3 : t]) == history]
        if followed:
            tables[state].append(np.bincount(followed, minlength=2))
    p_values = [
        chi2_contingency(np.stack(table), correction=False, lambda_="log-likelihood").pvalue
        for table in tables.values()
        if np.stack(table).any(0).all()
    ]
    np.testing.assert_allclose(found.agreement, min(1, 2 * min(p_values)))


def test_one_token():
    assert infer_causal_states(np.zeros(100, int), 2).process.transitions.tolist() == [[[1.0]]]


def test_a_fractal_gets_as_many_states_as_the_data_can_tell():
    tokens = draw(bg.mess3(), 100_000)
    few, many = infer_causal_states(tokens[:10_000], 5), infer_causal_states(tokens, 6)
    assert few.process.n_states < many.process.n_states
    entropy_rate = 1.14472 * np.log(2)  # published
    np.testing.assert_allclose(-many.log_likelihood / many.counts.sum(), entropy_rate, rtol=0.01)


@pytest.mark.parametrize(
    ("tokens", "arguments", "error", "message"),
    [
        ([0.0, 1.0], (1,), TypeError, "tokens must be integers; got float64"),
        ([100, 101] * 500, (4,), ValueError, r"labels 0..V-1 .* 2 in all \(100, 101\): np.unique"),
        ([[0, 1], [0]], (1,), ValueError, "too little data for history_length 1: 3 tokens hold 0"),
        ([0, 1, -2], (1,), ValueError, "tokens must be 0 or more; got -2 at position 2"),
        ([[[0]]], (1,), ValueError, r"one sequence \[time\] or several \[batch, time\]; got shape \(1, 1, 1\)"),
        ([], (1,), ValueError, r"got shape \(0,\)"),
        ([0, 1], (0,), ValueError, "needs history_length >= 1.*; got 0, 3 and 0.001"),
        ([0, 1] * 500, (22,), ValueError, r"vocabulary of 2 make 2\^25 words.* shorten history_length"),
        ([0, 1], (5,), ValueError, "too little data for history_length 5: 2 tokens hold 0 different histories"),
    ],
)
def test_mistakes(tokens, arguments, error, message):
    with pytest.raises(error, match=message):
        infer_causal_states(tokens, *arguments)


def test_too_little_data_names_the_counts():
    message = (
        r"too little data for history_length 9: 1,000 tokens hold \d+ different histories of that length, \d\.\d of"
    )
    with pytest.raises(ValueError, match=message):
        infer_causal_states(draw(bg.coin(0.5), 1000), 9)


def test_histories_too_short_to_close():
    with pytest.raises(ValueError, match="no closed set of states within history_length 5: .* raise it"):
        infer_causal_states(draw(bg.rrxor(), 100_000), 5)


def test_names_of_tokens():
    tokens = np.asarray(draw(bg.even(), 50_000))
    numbers, letters = infer_causal_states(tokens, 6), infer_causal_states("".join("BA"[token] for token in tokens), 6)
    assert letters.process.token_names == ("A", "B") and numbers.process.token_names is None
    for word in itertools.product((0, 1), repeat=3):  # sorted, A is token 0, which was 1
        spelled = "".join("BA"[token] for token in word)
        expected = bg.log_probability(numbers.process, word)
        np.testing.assert_allclose(bg.log_probability(letters.process, spelled), expected, rtol=1e-5)
    names = infer_causal_states([["tails", "heads"][token] for token in tokens], 6).process
    assert names.token_names == ("heads", "tails")
    np.testing.assert_array_equal(names.transitions, letters.process.transitions)


def test_strings_of_different_lengths_do_not_meet():
    """Each begins and ends within a pair of 1s or without, so that joined they would hold odd runs."""
    tokens = np.asarray(draw(bg.even(), 60_000))
    strings = ["".join(map(str, part)) for part in np.split(tokens, [3, 20_000, 20_011, 20_015, 45_000])]
    found = infer_causal_states(strings, 6)
    assert found.process.n_states == 2
    np.testing.assert_allclose(found.process.transitions, bg.even().transitions, atol=0.02)
    assert all(np.isfinite(bg.log_probability(found.process, string)) for string in strings)
    n_windows = sum(max(0, len(string) - 8) for string in strings)
    assert found.counts.sum() == round(found.synchronised * n_windows)


def test_a_name_in_a_message():
    with pytest.raises(ValueError, match="none explains token 'B' at position 1, 4 after those before it; it is among"):
        infer_causal_states(["AB" * 200, "ABABBABABABABAB"], 8)
