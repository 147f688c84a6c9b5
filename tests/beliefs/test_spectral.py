import jax
import numpy as np
import pytest
from scipy.stats import binom

import beliefgeo as bg
from beliefgeo.beliefs.spectral import spectral_learn
from beliefgeo.processes.quantum import bloch_walk, frdn
from tests import oracle
from tests.cases import some_slow

# Process, lengths of histories and futures, linear dimension.
CASES = {
    "bloch_walk": (lambda: bloch_walk(1.0, np.sqrt(51)), 2, 3),
    "frdn": (lambda: frdn(2000.0, 0.49), 5, 4),
    "rrxor": (bg.rrxor, 4, 5),
    "z1r": (bg.z1r, 3, 3),
    "even": (bg.even, 3, 2),
}


def draw(process, length, seed=0):
    return np.asarray(bg.sample(jax.random.key(seed), process, length).tokens)


def word_probabilities(process, length):
    words = oracle.all_words(process.vocab_size, length)
    return np.array([oracle.joint_probability(process, word) for word in words])


def word_frequencies(tokens, vocab_size, length):
    codes = sum(tokens[t : len(tokens) - length + 1 + t] * vocab_size ** (length - 1 - t) for t in range(length))
    return np.bincount(codes, minlength=vocab_size**length) / len(codes)


def errors_of_words(build, length, tokens, rank):
    """Word probabilities of length 6, learnt less true, and their standard errors.

    The errors come from learning twenty times, each time without one twentieth of the data (a delete-block jackknife),
    so they allow for overlapping windows and for how sampling error moves through the learner.
    """
    exact, n_blocks = word_probabilities(build(), 6), 20
    blocks = tokens[: len(tokens) // n_blocks * n_blocks].reshape(n_blocks, -1)
    without = [spectral_learn(np.delete(blocks, j, 0), length, length, rank=rank).process for j in range(n_blocks)]
    without = np.array([word_probabilities(process, 6) for process in without])
    errors = np.sqrt((n_blocks - 1) * without.var(0))
    return word_probabilities(spectral_learn(tokens, length, length).process, 6) - exact, errors


@pytest.mark.parametrize("name", some_slow(CASES, ("rrxor", "even", "bloch_walk")))
def test_a_million_tokens(name):
    build, length, dimension = CASES[name]
    tokens, process = draw(build(), 1_000_000), build()
    learnt = spectral_learn(tokens, length, length)
    assert learnt.process.n_states == dimension
    # Held-out correlations beyond the dimension are 0 within their errors, those before it well above.
    z_score = learnt.held_out[1:] / np.maximum(learnt.held_out_errors[1:], 1e-12)
    assert (z_score[: dimension - 1] > 10).all()
    assert (abs(z_score[dimension - 1 :][learnt.correlations[dimension:] > 1e-9]) < 4.5).all()
    # A model of few parameters errs less than the frequencies of the same data.
    exact = word_probabilities(process, 6)
    counted = word_frequencies(tokens, process.vocab_size, 6)
    assert abs(word_probabilities(learnt.process, 6) - exact).sum() < abs(counted - exact).sum()


def test_a_periodic_process_has_several_correlations_of_one():
    """z1r gives its phase away within 4 tokens; the constant still comes first and is the readout."""
    learnt = spectral_learn(draw(bg.z1r(), 30_000), 4, 4)
    np.testing.assert_allclose(learnt.correlations[:4], [1, 1, 1, 0], atol=0.05)
    np.testing.assert_allclose(learnt.process.transitions.sum(0)[:, 0], [1, 0, 0], atol=2e-7)
    assert abs(word_probabilities(learnt.process, 6) - word_probabilities(bg.z1r(), 6)).sum() < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_twenty_seeds(name):
    build, length, dimension = CASES[name]
    found = [spectral_learn(draw(build(), 1_000_000, s), length, length).process.n_states for s in range(20)]
    print(name, found)
    assert found.count(dimension) >= 19


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bloch_walk", "frdn"])
def test_word_probabilities_within_sampling_error(name):
    build, length, dimension = CASES[name]
    tokens = draw(build(), 1_000_000)
    error, standard_error = errors_of_words(build, length, tokens, dimension)
    z_score = error / standard_error
    # Words move together (few parameters drive them all), hence the wide band for their mean square.
    assert 0.3 < np.sqrt((z_score**2).mean()) < 1.8 and abs(z_score).max() < 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bloch_walk", "frdn"])
def test_word_probabilities_of_twenty_seeds(name):
    build, length, dimension = CASES[name]
    squares = []
    for seed in range(20):
        error, standard_error = errors_of_words(build, length, draw(build(), 1_000_000, seed), dimension)
        squares.append(((error / standard_error) ** 2).mean())
    print(name, np.round(np.sqrt(squares), 2), np.sqrt(np.mean(squares)))
    # Mean square of a standardised error is 1; Student's t with 19 degrees of freedom makes it 19/17.
    assert 0.7 < np.mean(squares) < 1.5


def test_canonical_form():
    """T w = w with w = (1, 0, ...); the singular values are the canonical correlations of past and future words."""
    tokens = draw(frdn(), 50_000)
    learnt = spectral_learn(tokens, 3, 3, rank=4)
    total = np.asarray(learnt.process.transitions.sum(0))
    np.testing.assert_array_equal(learnt.process.readout, np.eye(4)[0])
    np.testing.assert_allclose(total[:, 0], np.eye(4)[0], atol=2e-7)
    np.testing.assert_allclose(learnt.process.initial @ total, learnt.process.initial, atol=1e-6)
    np.testing.assert_allclose(learnt.process.initial[0], 1, atol=1e-6)
    n_windows = len(tokens) - 6  # history, the token between and future
    number = lambda start: sum(tokens[start + t : start + t + n_windows] * 2 ** (2 - t) for t in range(3))
    past, future = (np.linalg.qr(np.eye(8)[number(start)])[0] for start in (0, 3))
    np.testing.assert_allclose(learnt.correlations, np.linalg.svd(past.T @ future)[1], atol=1e-9)


def test_against_unwhitened_equations():
    """With as many dimensions as histories nothing is truncated: T^(x) is similar to H^-1 H_x, by whatever route."""
    tokens = draw(bg.golden_mean(), 20_000)
    learnt = spectral_learn(tokens, 1, 1, rank=2)
    counts = np.zeros((2, 2, 2))
    for word in zip(tokens, tokens[1:], tokens[2:], strict=False):
        counts[word] += 1
    joint, following = counts.sum(2), counts
    operators = [np.linalg.inv(joint) @ following[:, x] for x in range(2)]  # act on functions of the future
    values, vectors = np.linalg.eig(sum(operators).T)
    initial = vectors[:, abs(values - 1).argmin()].real
    readout = np.linalg.solve(joint, joint.sum(1))
    for word in oracle.all_words(2, 5):
        vector = initial / (initial @ readout)
        for token in word:
            vector = vector @ operators[token]
        np.testing.assert_allclose(oracle.joint_probability(learnt.process, word), vector @ readout, atol=1e-6)


def test_negative_probabilities_are_told_not_clipped():
    learnt = spectral_learn(draw(bg.rrxor(), 100_000), 4, 4)
    least = min(word_probabilities(learnt.process, length).min() for length in range(9))
    assert learnt.most_negative < 0
    np.testing.assert_allclose(learnt.most_negative, least, atol=1e-6)
    np.testing.assert_allclose(word_probabilities(learnt.process, 8).sum(), 1, atol=1e-5)
    radius = abs(np.linalg.eigvals(np.asarray(learnt.process.transitions, float).sum(0))).max()
    np.testing.assert_allclose(learnt.spectral_radius, radius, atol=1e-6)


def test_the_likelihood_of_its_own_data():
    """As `log_probability` says, over all sequences; the filter of a learnt process may come to an end."""
    rows = draw(bg.golden_mean(), 40_000).reshape(4, -1)
    learnt = spectral_learn(rows, 2, 2)
    each = [float(bg.log_probability(learnt.process, row)) for row in rows]
    np.testing.assert_allclose(learnt.log_likelihood, sum(each), rtol=1e-5)
    np.testing.assert_allclose(learnt.log_likelihood, -40_000 * 2 / 3 * np.log(2), rtol=0.01)
    # Every word of 4 tokens has a probability above .003, yet the beliefs of bloch_walk leave what the model allows.
    tokens = draw(bloch_walk(1.0, np.sqrt(51)), 100_000)
    learnt = spectral_learn(tokens, 2, 2)
    assert learnt.most_negative > 0.003 and learnt.log_likelihood == -np.inf
    assert bg.log_probability(learnt.process, tokens) == -np.inf
    ones = (np.arange(7000) % 5 == 0).astype(int)
    with pytest.raises(ValueError, match="have 2 stationary laws.* or history_length and future_length are too short"):
        spectral_learn(ones, 2, 2)
    np.testing.assert_allclose(spectral_learn(ones, 4, 4).log_likelihood, -np.log(5), atol=1e-3)


def test_data_that_fall_into_parts():
    for rows in ([[0] * 500, [1] * 500], [[0, 1] * 250, [2] * 500]):
        with pytest.raises(ValueError, match="2 stationary laws: the data fall into parts .* .learn from each alone"):
            spectral_learn(rows, 2, 2)


def test_a_dimension_too_many_is_as_rare_as_promised():
    significance, n_seeds = 0.1, 150
    keys = jax.random.split(jax.random.key(2), n_seeds)
    tokens = np.asarray(jax.vmap(bg.sample, (0, None, None))(keys, bg.golden_mean(), 4000).tokens)
    ranks = [spectral_learn(one, 3, 3, significance=significance).process.n_states for one in tokens]
    assert min(ranks) == 2
    assert sum(rank > 2 for rank in ranks) <= binom.isf(1e-3, n_seeds, significance)


def test_several_sequences_count_as_one_sample():
    tokens = draw(frdn(), 100_000)
    whole, rows = spectral_learn(tokens, 3, 3), spectral_learn(tokens.reshape(10, -1), 3, 3)
    np.testing.assert_allclose(whole.correlations, rows.correlations, atol=1e-3)


def test_a_few_tokens_without_structure_have_one_dimension():
    ranks = [spectral_learn(draw(bg.coin(0.5), 100, seed), 3, 3).process.n_states for seed in range(30)]
    assert ranks == [1] * 30


def test_one_token():
    learnt = spectral_learn(np.zeros(100, int), 2, 2)
    assert learnt.process.transitions.tolist() == [[[1.0]]] and learnt.most_negative == 1


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0, 2), {}, "needs history_length >= 1.*; got 0, 2 and 0.001"),
        ((2, 2), {"rank": 9}, r"rank must lie in 1..2, the rank of the empirical Hankel matrix; got 9"),
        ((2, 2), {"rank": 0}, r"rank must lie in 1..2.*; got 0"),
        ((600, 1), {}, "shorten history_length or future_length"),
    ],
)
def test_mistakes(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        spectral_learn([0, 1] * 500, *arguments, **options)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([100, 101] * 500, r"2 in all \(100, 101\): np.unique"),
        ([[0, 1], [0]], "too little data for these lengths: 3 tok"),
    ],
)
def test_labels_and_short_lists(tokens, message):
    with pytest.raises(ValueError, match=message):
        spectral_learn(tokens, 2, 2)


@pytest.mark.parametrize("tokens", [draw(bg.mess3(), 1000), [0, 1, 2, 1]])
def test_too_little_data_names_the_counts(tokens):
    with pytest.raises(ValueError, match=r"too little data for these lengths: [\d,]+ tokens have [\d,]+ windows for"):
        spectral_learn(tokens, 4, 4)


def test_strings_of_different_lengths(x64):
    tokens = np.asarray(draw(bg.golden_mean(), 40_000))
    cut = np.split(tokens, [9, 10, 5_000, 30_000])
    strings = ["".join("AB"[token] for token in part) for part in cut]
    learnt = spectral_learn(strings, 2, 2)
    numbers = spectral_learn([part.tolist() for part in cut], 2, 2)
    np.testing.assert_array_equal(learnt.process.transitions, numbers.process.transitions)
    assert learnt.process.token_names == ("A", "B") and numbers.process.token_names is None
    total = sum(float(bg.log_probability(learnt.process, string)) for string in strings)
    np.testing.assert_allclose(learnt.log_likelihood, total, rtol=1e-9)
    np.testing.assert_allclose(bg.log_probability(learnt.process, "AB"), np.log(1 / 3), atol=0.02)
