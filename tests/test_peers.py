"""The same numbers from other packages where they are right, and what they give where they are not.

Needs the `bench` extra; each test is skipped where its package is not installed.
"""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from tests import oracle
from tests.generated import Recipe, recipes

# Of imports, and of logarithms and quotients of 0.
pytestmark = pytest.mark.filterwarnings("ignore")

MOORE = recipes(["moore"], [(2, 2), (3, 3), (8, 7)])
TYPICAL = MOORE.filter(lambda recipe: recipe.walk == "typical")


def moore(recipe: Recipe):
    """Initial law, transition matrix, emission probabilities [state, token]."""
    transitions, initial, _ = recipe.model()
    return initial, transitions.sum(0), transitions.sum(2).T


def bound(recipe: Recipe, word):
    """The oracle's errors of float64 allowed to both sides, and 1e-13 for what a peer adds to its probabilities."""
    truth = oracle.filter_truth(*recipe.model()[:2], word, np.float64)
    hypothesis.assume((truth.probabilities > 1e-6).all())
    return 2 * truth.errors.max() + 1e-13, 2 * truth.doubts.sum() + 1e-13


@hypothesis.given(recipe=TYPICAL)
def test_dynamax_filters_a_moore_process(recipe):
    dynamax = pytest.importorskip("dynamax.hidden_markov_model")
    initial, moves, emissions = moore(recipe)
    word = recipe.word()
    of_beliefs, of_probability = bound(recipe, word)
    with jax.enable_x64(True):
        filtered = bg.filter_beliefs(recipe.process(), word)
        total = bg.log_probability(recipe.process(), word)
        theirs = dynamax.hmm_filter(
            jnp.asarray(initial), jnp.asarray(moves), jnp.log(jnp.asarray(emissions[:, word].T))
        )
    # Their prediction at t is our belief after t tokens; conditioned on token t and moved, the next.
    np.testing.assert_allclose(theirs.predicted_probs, filtered.beliefs[:-1], atol=of_beliefs)
    np.testing.assert_allclose(np.asarray(theirs.filtered_probs) @ moves, filtered.beliefs[1:], atol=of_beliefs)
    np.testing.assert_allclose(theirs.marginal_loglik, total, rtol=1e-14, atol=of_probability)


def test_dynamax_makes_small_odds_even():
    """Probabilities below 1e-15 are raised to it: after a token that rules out the likely state, 1 : 3 becomes even."""
    dynamax = pytest.importorskip("dynamax.hidden_markov_model")
    initial, emissions = np.array([1e-20, 3e-20, 1]), np.array([[0.5, 0.5], [0.5, 0.5], [1, 0]])
    word = np.array([1])
    theirs = dynamax.hmm_filter(jnp.asarray(initial), jnp.eye(3), jnp.log(jnp.asarray(emissions[:, word].T)))
    np.testing.assert_allclose(theirs.filtered_probs, [[0.5, 0.5, 0]])
    np.testing.assert_allclose(theirs.marginal_loglik, np.log(1e-15), rtol=1e-6)
    filtered = bg.filter_beliefs(bg.from_moore(initial, np.eye(3), emissions), word)
    np.testing.assert_allclose(filtered.beliefs[1], [0.25, 0.75, 0], rtol=1e-6)
    np.testing.assert_allclose(filtered.log_probabilities, [np.log(2e-20)], rtol=1e-6)


def test_dynamax_gives_an_impossible_word_probability_one():
    """A normaliser of 0 is taken for 1: beliefs of zeros, log-likelihood 0; the word has probability 0."""
    dynamax = pytest.importorskip("dynamax.hidden_markov_model")
    initial, word = np.array([1.0, 0]), np.array([1])
    theirs = dynamax.hmm_filter(jnp.asarray(initial), jnp.eye(2), jnp.log(jnp.eye(2)[:, word].T))
    assert theirs.marginal_loglik == 0 and (theirs.filtered_probs == 0).all()
    filtered = bg.filter_beliefs(bg.from_moore(initial, np.eye(2), np.eye(2)), word)
    assert np.isneginf(filtered.log_probabilities).all() and np.isnan(filtered.beliefs[1]).all()


def categorical(initial, moves, emissions, implementation):
    """Hmmlearn's model; "log" is its default, "scaling" the other forward pass."""
    model = pytest.importorskip("hmmlearn.hmm").CategoricalHMM(len(initial), implementation=implementation)
    model.startprob_, model.transmat_, model.emissionprob_ = initial, moves, emissions
    return model


@pytest.mark.parametrize("implementation", ["log", "scaling"])
@hypothesis.given(recipe=TYPICAL)
def test_hmmlearn_filters_a_moore_process(recipe, implementation):
    initial, moves, emissions = moore(recipe)
    model, word = categorical(initial, moves, emissions, implementation), recipe.word()
    of_beliefs, of_probability = bound(recipe, word)
    with jax.enable_x64(True):
        filtered = jax.tree.map(np.asarray, bg.filter_beliefs(recipe.process(), word))
    for t in (1, 2, len(word)):
        # Of the state that emitted the last token: one move before our belief.
        score, posteriors = model.score_samples(word[:t, None])
        np.testing.assert_allclose(posteriors[-1] @ moves, filtered.beliefs[t], atol=of_beliefs + 1e-12)
        np.testing.assert_allclose(score, filtered.log_probabilities[:t].sum(), rtol=1e-13, atol=of_probability)


def test_hmmlearn_looks_ahead():
    """Its posteriors are smoothed by later tokens: only the last row is a belief that an observer could have."""
    parts = np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.7, 0.3], [0.4, 0.6]])
    model = categorical(*parts, "log")
    alone, before = model.predict_proba([[0]])[0], model.predict_proba([[0], [1]])[0]
    np.testing.assert_allclose(alone, [7 / 11, 4 / 11])
    assert alone[0] - before[0] > 0.1
    beliefs = bg.filter_beliefs(bg.from_moore(*parts), [0, 1]).beliefs
    np.testing.assert_allclose(beliefs[1], [7 / 11, 4 / 11] @ parts[1], rtol=1e-6)


def test_hmmlearn_forgets_what_came_before_an_impossible_token():
    """By logarithms the posteriors before it are NaN too; by scaling it raises, and calls it underflow."""
    parts = np.array([0.5, 0.5]), np.eye(2), np.array([[1.0, 0], [1, 0]])
    score, posteriors = categorical(*parts, "log").score_samples([[0], [1], [0]])
    assert np.isneginf(score) and np.isnan(posteriors).all()
    with pytest.raises(ValueError, match="underflow"):
        categorical(*parts, "scaling").score([[0], [1], [0]])
    filtered = bg.filter_beliefs(bg.from_moore(*parts), [0, 1, 0])
    np.testing.assert_allclose(filtered.beliefs[:2], [[0.5, 0.5]] * 2)
    assert np.isnan(filtered.beliefs[2:]).all() and np.isneginf(filtered.log_probabilities[1:]).all()


def test_hmmlearn_scales_out_of_range():
    """Its scaling implementation overflows backwards where two tokens have probability 1e-200: NaN for certainty."""
    parts = np.array([1.0, 0]), np.eye(2), np.array([[1, 1e-200], [0.5, 0.5]])
    word = [1, 1, 0]
    score, posteriors = categorical(*parts, "scaling").score_samples(np.array(word)[:, None])
    assert np.isnan(posteriors[0]).all()
    np.testing.assert_allclose(score, 2 * np.log(1e-200))  # the score is right
    with jax.enable_x64(True):
        filtered = jax.tree.map(np.asarray, bg.filter_beliefs(bg.from_moore(*parts), word))
    np.testing.assert_allclose(filtered.beliefs, [[1, 0]] * 4)
    np.testing.assert_allclose(filtered.log_probabilities.sum(), 2 * np.log(1e-200))


def test_hmmlearn_takes_token_minus_one_for_the_last():
    """It indexes from the end; a token outside the vocabulary is an error."""
    parts = np.array([1.0]), np.array([[1.0]]), np.array([[0.7, 0.3]])
    np.testing.assert_allclose(categorical(*parts, "log").score([[-1]]), np.log(0.3))
    with pytest.raises(ValueError, match="tokens must lie in 0..1; got -1"):
        bg.filter_beliefs(bg.from_moore(*parts), [-1])


def given_to_emic(transitions, law):
    """Emic's machine, and its measures in bits, of a unifilar machine and its stationary law, both taken as given."""
    builder = pytest.importorskip("emic").EpsilonMachineBuilder()
    for token, state, following in np.argwhere(transitions > 0).tolist():
        builder.add_transition(str(state), token, str(following), float(transitions[token, state, following]))
    given = {str(state): float(probability) for state, probability in enumerate(law)}
    machine = builder.with_start_state("0").with_stationary_distribution(given).build()
    return machine, pytest.importorskip("emic.analysis")


@hypothesis.given(seed=hypothesis.strategies.integers(0, 2**32 - 1))
def test_emic_measures_a_unifilar_machine(seed):
    rng = np.random.default_rng(seed)
    n_states, vocab_size = rng.integers(1, 5), 2
    # A cycle of states by token 0 makes it ergodic; token 1 leads anywhere. No two laws are alike, so it is minimal.
    transitions = np.zeros((vocab_size, n_states, n_states))
    here, laws = np.arange(n_states), rng.permutation(np.linspace(0.2, 0.8, n_states))
    transitions[0, here, (here + 1) % n_states] = laws
    transitions[1, here, rng.integers(n_states, size=n_states)] = 1 - laws
    machine, emic = given_to_emic(transitions, oracle.stationary_law(transitions.sum(0), here))
    theirs = np.array([emic.entropy_rate(machine), emic.statistical_complexity(machine)]) * np.log(2)
    with jax.enable_x64(True):
        process = bg.hmm(transitions)
        rate, complexity = bg.entropy_rate(process), bg.statistical_complexity(process)
    # Sums of a few terms, and the stationary law by two ways.
    np.testing.assert_allclose([rate, complexity], theirs, atol=1e-12)


def test_emic_stops_before_an_observer_synchronises():
    """Its excess entropy is a sum over 50 tokens; of an even process that hardly ever breaks, most is still to come."""
    with jax.enable_x64(True):
        machine = bg.epsilon_machine(bg.even(0.99))
        exact = float(bg.excess_entropy(bg.even(0.99)) / np.log(2))
        law = np.asarray(machine.initial)
        theirs, emic = given_to_emic(np.asarray(machine.transitions), law)
    np.testing.assert_allclose(emic.excess_entropy(theirs), 0.2222, atol=1e-4)
    np.testing.assert_allclose(exact, -law @ np.log2(law), rtol=1e-12)  # of the even process E is all of C_mu
    assert exact > 0.9999


def test_emic_takes_any_machine_for_minimal():
    """A fair coin written with two states that predict alike: one bit of complexity, where there is none."""
    transitions = np.full((2, 2, 2), 0.5) * np.eye(2)[:, None]
    machine, emic = given_to_emic(transitions, [0.5, 0.5])
    assert emic.statistical_complexity(machine) == 1
    assert bg.statistical_complexity(bg.hmm(transitions)) == 0
