from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.networks.transformer import Transformer, TransformerConfig
from beliefgeo.reading.evaluation import (
    beliefs_after,
    divergences,
    evaluate,
    layerwise,
    loss_gap,
    optimal_loss,
    prefixes,
    token_losses,
)
from tests import oracle
from tests.cases import ALL

BOS = 2


def reads_everything(vocab_size):
    """A "network" whose activation at t spells the tokens read so far, in base 10 after a leading 1."""

    def apply(tokens):
        spelled = [jnp.int32(1)]
        for token in tokens:
            spelled.append(10 * spelled[-1] + token)
        read = jnp.stack(spelled[1:]).astype(jnp.float32)
        return jnp.zeros((len(tokens), vocab_size)), {"resid_post": read[None, :, None]}

    return apply


@pytest.mark.parametrize("length", [1, 2])
def test_alignment_without_bos_by_hand(length):
    process = bg.golden_mean()
    rows = prefixes(process, bg.words(process, length))
    read = evaluate(reads_everything(2), rows).features[:, 0].tolist()
    # After "0" the belief is (1, 0), after "1" it is (0, 1); after "00", "01", "10" it is (1,0), (0,1), (1,0).
    expected = [(10, (1, 0), (0.5, 0.5)), (11, (0, 1), (1, 0))]
    if length == 2:
        expected += [(100, (1, 0), (0.5, 0.5)), (101, (0, 1), (1, 0)), (110, (1, 0), (0.5, 0.5))]
    assert read == [spelled for spelled, _, _ in expected]
    np.testing.assert_allclose(rows.beliefs, [belief for _, belief, _ in expected], atol=1e-7)
    np.testing.assert_allclose(rows.laws, [law for _, _, law in expected], atol=1e-7)
    np.testing.assert_allclose(rows.probabilities[:2], [2 / 3, 1 / 3], rtol=1e-6)
    if length == 2:
        np.testing.assert_allclose(rows.probabilities[2:], [1 / 3, 1 / 3, 1 / 3], rtol=1e-6)
        np.testing.assert_array_equal(rows.counts, [2, 1, 1, 1, 1])


@pytest.mark.parametrize("length", [1, 2])
def test_alignment_with_bos_by_hand(length):
    process = bg.golden_mean()
    rows = prefixes(process, bg.words(process, length), bos=BOS)
    read = evaluate(reads_everything(3), rows)
    expected = [(12, (2 / 3, 1 / 3), (2 / 3, 1 / 3)), (120, (1, 0), (0.5, 0.5)), (121, (0, 1), (1, 0))]
    if length == 2:
        expected += [(1200, (1, 0), (0.5, 0.5)), (1201, (0, 1), (1, 0)), (1210, (1, 0), (0.5, 0.5))]
    assert read.features[:, 0].tolist() == [spelled for spelled, _, _ in expected]
    np.testing.assert_allclose(rows.beliefs, [belief for _, belief, _ in expected], atol=1e-7)
    np.testing.assert_allclose(rows.laws, [law for _, _, law in expected], atol=1e-7)
    assert read.log_laws.shape == (len(expected), 3)  # the network may predict a BOS, too


@pytest.mark.parametrize("bos", [None, 9])
@pytest.mark.parametrize("name", ["mess3", "rrxor", "mr_name", "signed_golden_mean"])
def test_beliefs_and_laws_are_those_of_what_was_read(name, bos):
    process, words = ALL[name](), bg.words(ALL[name](), 4)
    rows = prefixes(process, words, bos=bos)
    for row in range(len(rows.word)):
        read = rows.tokens[rows.word[row], : rows.position[row] + 1].tolist()
        word = read if bos is None else read[1:]
        assert len(word) == rows.length[row] and (bos is None or read[0] == bos)
        np.testing.assert_allclose(rows.beliefs[row], oracle.belief(process, word), atol=1e-6)
        np.testing.assert_allclose(rows.laws[row], oracle.conditional(process, word), atol=1e-6)
        np.testing.assert_allclose(rows.probabilities[row], oracle.joint_probability(process, word), atol=1e-6)
        assert rows.counts[row] == (words.tokens[:, : len(word)] == word).all(1).sum()
    assert len({tuple(rows.tokens[w, : p + 1]) for w, p in zip(rows.word, rows.position, strict=True)}) == len(
        rows.word
    )


def test_counts_stand_for_every_word_and_position():
    words = bg.words(bg.rrxor(), 10)
    rows = prefixes(bg.rrxor(), words)
    assert len(rows.word) == 1046 and rows.counts.sum() == 4360
    every = words.beliefs[:, 1:].reshape(-1, 5)
    shares = rows.counts[:, None] / rows.counts.sum()
    np.testing.assert_allclose((shares * rows.beliefs).sum(0), every.mean(0), rtol=1e-12)


def test_subtrees():
    rows = prefixes(bg.golden_mean(), bg.words(bg.golden_mean(), 3))
    labels = rows.subtrees(2)
    read = [tuple(rows.tokens[w, : p + 1]) for w, p in zip(rows.word, rows.position, strict=True)]
    expected = {(0, 0): 0, (0, 1): 1, (1, 0): 2}
    assert labels.tolist() == [expected[word[:2]] if len(word) >= 2 else -1 for word in read]
    with_bos = prefixes(bg.golden_mean(), bg.words(bg.golden_mean(), 3), bos=BOS)
    assert with_bos.subtrees(2)[1:].tolist() == labels.tolist()


def test_gap_of_known_predictions():
    process = bg.mess3()
    rows = prefixes(process, bg.words(process, 5))
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
    rows = prefixes(process, bg.words(process, 3))
    gap = loss_gap(rows, evaluate(partial(network.apply, params), rows).log_laws)
    for t in range(3):
        loss = 0.0
        for word in oracle.all_words(2, t + 2):
            if (probability := oracle.joint_probability(process, word)) > 1e-9:
                logits = network.apply(params, jnp.array(word[:-1]))[0]
                loss -= probability * float(jax.nn.log_softmax(logits[t])[word[-1]])
        floor = oracle.block_entropy(process, t + 2) - oracle.block_entropy(process, t + 1)
        np.testing.assert_allclose(gap[t], loss - floor, atol=1e-6)


def test_gap_where_a_network_predicts_the_impossible_or_denies_the_possible():
    rows = prefixes(bg.golden_mean(), bg.words(bg.golden_mean(), 1))
    sure_of_zero = jnp.log(jnp.array([[1.0, 0.0], [1.0, 0.0]]))
    assert loss_gap(rows, sure_of_zero)[0] == np.inf
    half = jnp.log(jnp.full((2, 2), 0.5))
    np.testing.assert_allclose(loss_gap(rows, half)[0], np.log(2) / 3, rtol=1e-6)


@pytest.mark.parametrize("bos", [None, BOS])
@pytest.mark.parametrize("shift", [0.0, 3.0, -9.0])
def test_raw_logits_are_no_log_laws(bos, shift):
    """Not even with a BOS, to which a network gives part of its mass: their divergences would be below 0."""
    rows = prefixes(bg.golden_mean(), bg.words(bg.golden_mean(), 3), bos=bos)
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
        rows = prefixes(bg.golden_mean(), bg.words(bg.golden_mean(), 3), bos=bos)
        half = lambda tokens: (jnp.zeros((len(tokens), 4)), {"resid_post": jnp.zeros((1, len(tokens), 1))})
        read = evaluate(half, rows).log_laws
        np.testing.assert_allclose(loss_gap(rows, read), np.log(4) - optimal_loss(rows), rtol=1e-6)
    # With a BOS the columns of the process alone will do; without one nobody else can have the mass.
    np.testing.assert_allclose(loss_gap(rows, read[:, :2]), np.log(4) - optimal_loss(rows), rtol=1e-6)
    with pytest.raises(ValueError, match=r"do not normalise.*got -0.693 in row 0"):
        loss_gap(prefixes(bg.golden_mean(), bg.words(bg.golden_mean(), 3)), read[1:, :2])
    with pytest.raises(ValueError, match="do not normalise.*got 0.01 in row 0"):
        loss_gap(rows, read + 0.01)


@pytest.mark.parametrize("shape", [(2,), (4, 2), (5, 1), (1, 5, 2), (5, 2, 1)])
def test_log_laws_of_other_shapes(shape):
    rows = prefixes(bg.golden_mean(), bg.words(bg.golden_mean(), 2))
    with pytest.raises(ValueError, match=r"must be \[row, token\], for 5 prefixes and 2 tokens or more; got shape"):
        loss_gap(rows, np.full(shape, -np.log(2)))


def test_half_precision_predictions_are_normalised_in_float32():
    rows = prefixes(bg.mess3(), bg.words(bg.mess3(), 3))
    logits = 3 * jax.random.normal(jax.random.key(0), (3, 3))
    apply = lambda dtype: lambda tokens: ((logits[tokens]).astype(dtype), {"resid_post": logits[None].astype(dtype)})
    half = lambda dtype: lambda tokens: (logits[tokens].astype(dtype).astype(jnp.float32), {"resid_post": logits[None]})
    for dtype in (jnp.float16, jnp.bfloat16):
        found, expected = (loss_gap(rows, evaluate(one(dtype), rows).log_laws) for one in (apply, half))
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        lost = [token_losses(one(dtype), rows.tokens) for one in (apply, half)]
        np.testing.assert_allclose(*lost, rtol=1e-6)


def test_activations_without_time_first_are_refused():
    """A gather past the end would take the last row again and again."""
    rows = prefixes(bg.golden_mean(), bg.words(bg.golden_mean(), 3))
    apply = lambda tokens: (jnp.zeros((3, 2)), {"resid_post": jnp.zeros((2, 3, 4))})
    with pytest.raises(
        ValueError, match=r"activations \[time, width\], 3 tokens first; got shape \(2, 3, 4\): take one"
    ):
        evaluate(apply, rows, lambda sites: sites["resid_post"])
    for logits in (jnp.zeros((2, 2)), jnp.zeros((3, 1)), jnp.zeros(3)):
        with pytest.raises(ValueError, match="logits .time, vocab. for the 3 tokens read"):
            evaluate(lambda tokens, logits=logits: (logits, {"resid_post": jnp.zeros((2, 3, 4))}), rows)
    with pytest.raises(ValueError, match=r"one more than tokens; got shape \(3, 2\)"):
        beliefs_after(lambda word: jnp.zeros((3, 2)), rows)
    with pytest.raises(ValueError, match="words must be tokens, 0 or more; got -1: cut the padding off"):
        token_losses(apply, np.array([[0, 1, -1, -1]]))


def test_words_without_prefixes():
    process, none = bg.golden_mean(), bg.words(bg.golden_mean(), 0)
    with pytest.raises(ValueError, match=r"of a token or more unless there is a BOS; got shape \(1, 0\)"):
        prefixes(process, none)
    assert prefixes(process, none, bos=BOS).length.tolist() == [0]
    with pytest.raises(ValueError, match=r"a word or more.*got shape \(0, 2\)"):
        prefixes(process, jax.tree.map(lambda leaf: leaf[:0], bg.words(process, 2)))


def test_select_may_be_a_tree_and_is_aligned_alike():
    process = bg.mess3()
    network = Transformer(TransformerConfig(context=3, layers=2, width=8, heads=1, head_width=4, mlp_width=8))
    params = network.init(jax.random.key(0), jnp.zeros(3, int))
    rows = prefixes(process, bg.words(process, 3))
    read = evaluate(partial(network.apply, params), rows, lambda sites: {k: sites[k] for k in ("embed", "final_norm")})
    for row in (0, 2, 5, 20, 38):
        tokens = jnp.asarray(rows.tokens[rows.word[row], : rows.position[row] + 1])
        logits, sites = network.apply(params, tokens)
        for name in ("embed", "final_norm"):
            np.testing.assert_allclose(read.features[name][row], sites[name][-1], atol=1e-5)
        np.testing.assert_allclose(read.log_laws[row], jax.nn.log_softmax(logits[-1]), atol=1e-5)


def test_repeated_words_are_counted_and_disordered_ones_refused():
    process, words = bg.golden_mean(), bg.words(bg.golden_mean(), 2)
    twice = jax.tree.map(lambda leaf: np.repeat(leaf, [1, 3, 2], axis=0), words)
    rows = prefixes(process, twice._replace(probabilities=np.full(6, 1 / 6)))
    # The words are 00, 01 three times, 10 twice: prefixes 0, 1, 00, 01, 10.
    assert rows.counts.tolist() == [4, 2, 1, 3, 2]
    np.testing.assert_allclose(rows.probabilities, [4 / 6, 2 / 6, 1 / 6, 3 / 6, 2 / 6])
    np.testing.assert_allclose(rows.beliefs, [[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]], atol=1e-7)
    backwards = jax.tree.map(lambda leaf: leaf[::-1], words)
    with pytest.raises(ValueError, match=r"lexicographic order; got \[0, 1\] after \[1, 0\]: take them from"):
        prefixes(process, backwards)


@pytest.mark.parametrize("bos", [None, 9])
def test_beliefs_of_another_observer(bos):
    process, other = bg.mess3(), bg.markov_approximation(bg.mess3(), 2)
    rows = prefixes(process, bg.words(process, 4), bos=bos)
    believed = beliefs_after(other, rows)
    constrained = beliefs_after(partial(bg.constrained_beliefs, process), rows)
    for row in range(0, len(rows.word), 7):
        word = rows.words[rows.word[row], : rows.length[row]].tolist()
        np.testing.assert_allclose(believed[row], oracle.belief(other, word), atol=1e-6)
        expected = bg.constrained_beliefs(process, np.array(word, int))[-1]
        np.testing.assert_allclose(constrained[row], expected, atol=1e-6)
    np.testing.assert_allclose(beliefs_after(process, rows), rows.beliefs, atol=1e-12)


def test_an_observer_who_thinks_a_word_impossible():
    rows = prefixes(bg.coin(0.5), bg.words(bg.coin(0.5), 3))
    with pytest.raises(ValueError, match=r"4 of 14 prefixes are impossible to this observer, the first \[1, 1\]"):
        beliefs_after(bg.golden_mean(), rows)


def test_layers_by_name():
    network = Transformer(TransformerConfig(context=3, layers=2, width=8, heads=1, head_width=4, mlp_width=8))
    tokens = jnp.array([0, 2, 1])
    _, sites = network.apply(network.init(jax.random.key(0), tokens), tokens)
    six = layerwise(sites)
    assert list(six) == ["embed", "layer 1", "layer 2", "final norm", "concatenated"]
    np.testing.assert_array_equal(six["layer 2"], sites["resid_post"][1])
    np.testing.assert_array_equal(six["concatenated"][:, 8:16], sites["resid_post"][0])
    panel = layerwise(sites, ("resid_pre", "resid_mid", "resid_post"))
    assert list(panel)[:3] == ["layer 1 pre", "layer 2 pre", "layer 1 mid"] and panel["concatenated"].shape == (3, 48)
    np.testing.assert_array_equal(panel["layer 2 mid"], sites["resid_mid"][1])


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
    rows = prefixes(process, bg.words(process, 7), bos=BOS)
    gap = loss_gap(rows, evaluate(partial(network.apply, params), rows).log_laws)
    np.testing.assert_allclose(losses, gap + optimal_loss(rows), atol=1e-5)
