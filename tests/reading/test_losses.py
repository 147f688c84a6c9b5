from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.networks import Transformer, TransformerConfig
from beliefgeo.reading import (
    divergences,
    loss_gap,
    losses,
    optimal_loss,
    rows_of,
    sampled_words,
    token_losses,
)
from tests import oracle
from tests.reading.plain import evaluate

BOS = 2


def test_gap_of_known_predictions():
    process = bg.mess3()
    rows = rows_of(process, bg.words(process, 5))
    np.testing.assert_allclose(loss_gap(rows, jnp.log(rows.laws)), 0, atol=1e-7)
    # Uniform guesses lose ln 3 - h_t after t tokens.
    uniform = jnp.full(rows.laws.shape, -jnp.log(3.0))
    myopic = bg.myopic_entropies(process, 6)[1:]
    np.testing.assert_allclose(loss_gap(rows, uniform), np.log(3) - myopic, atol=1e-6)
    np.testing.assert_allclose(optimal_loss(rows), myopic, atol=1e-6)


def test_gap_of_a_network_is_the_brute_force_loss():
    process = bg.golden_mean()
    network = Transformer(
        TransformerConfig(vocab_size=2, context=3, layers=1, width=8, heads=1, head_width=4, mlp_width=8)
    )
    params = network.init(jax.random.key(0), jnp.zeros(3, int))
    rows = rows_of(process, bg.words(process, 3))
    gap = loss_gap(rows, reading.read(network, params, rows).log_laws)
    for t in range(3):
        loss = 0.0
        for word in oracle.all_words(2, t + 2):
            if (probability := oracle.joint_probability(process, word)) > 1e-9:
                logits = network.apply(params, jnp.array(word[:-1]))[0]
                loss -= probability * float(jax.nn.log_softmax(logits[t])[word[-1]])
        floor = oracle.block_entropy(process, t + 2) - oracle.block_entropy(process, t + 1)
        np.testing.assert_allclose(gap[t], loss - floor, atol=1e-6)


def test_gap_where_a_network_predicts_the_impossible_or_denies_the_possible():
    rows = rows_of(bg.golden_mean(), bg.words(bg.golden_mean(), 1))
    sure_of_zero = jnp.log(jnp.array([[1.0, 0.0], [1.0, 0.0]]))
    assert loss_gap(rows, sure_of_zero)[0] == np.inf
    half = jnp.log(jnp.full((2, 2), 0.5))
    np.testing.assert_allclose(loss_gap(rows, half)[0], np.log(2) / 3, rtol=1e-6)


@pytest.mark.parametrize("bos", [None, BOS])
@pytest.mark.parametrize("shift", [0.0, 3.0, -9.0])
def test_raw_logits_are_no_log_laws(bos, shift):
    """Not even with a BOS, to which a network gives part of its mass: their divergences would be below 0."""
    rows = rows_of(bg.golden_mean(), bg.words(bg.golden_mean(), 3), bos=bos)
    logits = jax.random.normal(jax.random.key(0), (len(rows.length), 2 + (bos is not None))) + shift
    assert (loss_gap(rows, jax.nn.log_softmax(logits)) > 0).all()
    with pytest.raises(ValueError, match=r"rows of log_laws do not normalise: logsumexp.*in row 0: pass jax.nn.log_s"):
        loss_gap(rows, logits)
    nothing = jax.nn.log_softmax(logits).at[1].set(jnp.nan)
    with pytest.raises(ValueError, match="do not normalise.*got nan in row 1"):
        divergences(rows, nothing)


def test_mass_on_tokens_that_the_process_never_emits_is_lost():
    """A network of five tokens, BOS or not: what it gives to the other three adds to its loss."""
    for bos in (None, BOS):
        rows = rows_of(bg.golden_mean(), bg.words(bg.golden_mean(), 3), bos=bos)
        half = lambda tokens: (jnp.zeros((len(tokens), 4)), {"resid_post": jnp.zeros((1, len(tokens), 1))})
        read = evaluate(half, rows).log_laws
        np.testing.assert_allclose(loss_gap(rows, read), np.log(4) - optimal_loss(rows), rtol=1e-6)
    # With a BOS the columns of the process alone will do; without one nobody else can have the mass.
    np.testing.assert_allclose(loss_gap(rows, read[:, :2]), np.log(4) - optimal_loss(rows), rtol=1e-6)
    with pytest.raises(ValueError, match=r"do not normalise.*got -0.693 in row 0"):
        loss_gap(rows_of(bg.golden_mean(), bg.words(bg.golden_mean(), 3)), read[1:, :2])
    with pytest.raises(ValueError, match="do not normalise.*got 0.01 in row 0"):
        loss_gap(rows, read + 0.01)


@pytest.mark.parametrize("shape", [(2,), (4, 2), (5, 1), (1, 5, 2), (5, 2, 1)])
def test_log_laws_of_other_shapes(shape):
    rows = rows_of(bg.golden_mean(), bg.words(bg.golden_mean(), 2))
    with pytest.raises(ValueError, match=r"must be \[row, token\], for 5 prefixes and 2 tokens or more; got shape"):
        loss_gap(rows, np.full(shape, -np.log(2)))


def test_half_precision_predictions_are_normalised_in_float32():
    rows = rows_of(bg.mess3(), bg.words(bg.mess3(), 3))
    logits = 3 * jax.random.normal(jax.random.key(0), (3, 3))
    apply = lambda dtype: lambda tokens: ((logits[tokens]).astype(dtype), {"resid_post": logits[None].astype(dtype)})
    half = lambda dtype: lambda tokens: (logits[tokens].astype(dtype).astype(jnp.float32), {"resid_post": logits[None]})
    for dtype in (jnp.float16, jnp.bfloat16):
        found, expected = (loss_gap(rows, evaluate(one(dtype), rows).log_laws) for one in (apply, half))
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        lost = [token_losses(one(dtype), rows.tokens) for one in (apply, half)]
        np.testing.assert_allclose(*lost, rtol=1e-6)


@pytest.mark.parametrize("bos", [None, BOS])
def test_token_losses_are_those_of_the_tokens_that_follow(bos):
    """A network that predicts the token it has just read: the loss is small exactly where a token repeats."""
    repeats = lambda tokens: (20.0 * jax.nn.one_hot(tokens, 3), {})
    words = np.array([[0, 0, 1, 1, 0], [1, 1, 1, 1, 1]])
    lost = token_losses(repeats, words, bos=bos)
    expected = np.array([[0, 20, 0, 20], [0, 0, 0, 0]], float)
    if bos is not None:  # BOS is never followed by BOS
        expected = np.pad(expected, ((0, 0), (1, 0)), constant_values=20)
    np.testing.assert_allclose(lost, expected, atol=1e-6)


def test_the_mean_token_loss_is_the_optimum_and_the_gap():
    process, network = bg.even(), Transformer(TransformerConfig(vocab_size=3, context=8, layers=1, width=8))
    params = network.init(jax.random.key(0), jnp.zeros(8, int))
    words = bg.words(process, 8)
    losses = words.probabilities @ np.asarray(token_losses(partial(network.apply, params), words.tokens, bos=BOS))
    rows = rows_of(process, bg.words(process, 7), bos=BOS)
    gap = loss_gap(rows, reading.read(network, params, rows).log_laws)
    np.testing.assert_allclose(losses, gap + optimal_loss(rows), atol=1e-5)


def test_gap_with_errors_by_hand_and_against_the_exact_one():
    process = bg.mess3()
    exact = rows_of(process, bg.words(process, 3))
    law = lambda rows: jnp.log(jnp.asarray(0.5 * rows.laws + 0.5 * np.array([[0.6, 0.3, 0.1]])))
    sampled = rows_of(process, words := sampled_words(jax.random.key(2), process, 500, 3))._replace(sampled=True)
    found = losses(reading.Reading(law(sampled), {}), sampled)
    listed, truth = losses(reading.Reading(law(exact), {}), exact), loss_gap(exact, law(exact))
    assert listed.error is None and listed.error_per_length is None and listed.gap == pytest.approx(truth.mean())
    np.testing.assert_allclose(found.gap_per_length, loss_gap(sampled, law(sampled)), rtol=1e-6)
    assert (abs(found.gap_per_length - truth) < 4 * found.error_per_length).all()
    assert abs(found.gap - truth.mean()) < 4 * found.error
    per_word = np.empty((500, 3))
    for index, word in enumerate(words.tokens.tolist()):
        for read in (1, 2, 3):
            p = oracle.conditional(process, word[:read])
            per_word[index, read - 1] = p @ np.log(p / (0.5 * p + 0.5 * np.array([0.6, 0.3, 0.1])))
    np.testing.assert_allclose(found.error_per_length, per_word.std(0, ddof=1) / 500**0.5, rtol=1e-4)
    np.testing.assert_allclose(found.error, per_word.mean(1).std(ddof=1) / 500**0.5, rtol=1e-4)


def test_token_losses_of_tokens_that_are_none():
    """2^32 + 1 is not token 1, and a traced -1 is not the last token."""
    law = np.log([0.3, 0.7])
    apply = lambda tokens: (jnp.broadcast_to(jnp.asarray(law), (len(tokens), 2)), {})
    found = token_losses(apply, np.array([[0, 1, 2**32 + 1, 0]]))
    np.testing.assert_allclose(found, [[-law[1], np.nan, -law[0]]], rtol=1e-6)
    traced = jax.jit(lambda words: token_losses(apply, words))(jnp.array([[0, 1, -1, 2]]))
    np.testing.assert_allclose(traced, [[-law[1], np.nan, np.nan]], rtol=1e-6)
