import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.networks import Transformer, TransformerConfig
from beliefgeo.reading import (
    beliefs_after,
    by_layer,
    concatenated,
    loss_gap,
    of_arrays,
    read_words,
    rows_of,
    token_losses,
)
from tests.reading.plain import evaluate

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
    rows = rows_of(process, bg.words(process, length))
    read = evaluate(reads_everything(2), rows).features["last"][:, 0].tolist()
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
    rows = rows_of(process, bg.words(process, length), bos=BOS)
    read = evaluate(reads_everything(3), rows)
    expected = [(12, (2 / 3, 1 / 3), (2 / 3, 1 / 3)), (120, (1, 0), (0.5, 0.5)), (121, (0, 1), (1, 0))]
    if length == 2:
        expected += [(1200, (1, 0), (0.5, 0.5)), (1201, (0, 1), (1, 0)), (1210, (1, 0), (0.5, 0.5))]
    assert read.features["last"][:, 0].tolist() == [spelled for spelled, _, _ in expected]
    np.testing.assert_allclose(rows.beliefs, [belief for _, belief, _ in expected], atol=1e-7)
    np.testing.assert_allclose(rows.laws, [law for _, _, law in expected], atol=1e-7)
    assert read.log_laws.shape == (len(expected), 3)  # the network may predict a BOS, too


def test_activations_without_time_first_are_refused():
    """A gather past the end would take the last row again and again."""
    rows = rows_of(bg.golden_mean(), bg.words(bg.golden_mean(), 3))
    apply = lambda tokens: (jnp.zeros((3, 2)), {"resid_post": jnp.zeros((2, 3, 4))})
    with pytest.raises(
        ValueError, match=r"activations \[time, width\], 3 tokens first; got shape \(2, 3, 4\): take one"
    ):
        evaluate(apply, rows, lambda sites: sites["resid_post"])
    with pytest.raises(ValueError, match="over the process's 2 tokens or more, those first; got shape"):
        evaluate(lambda tokens: (jnp.zeros((3, 1)), {"resid_post": jnp.zeros((2, 3, 4))}), rows)
    for logits in (jnp.zeros((2, 2)), jnp.zeros(3)):
        with pytest.raises(ValueError, match="logits .time, vocab. for the 3 tokens read"):
            evaluate(lambda tokens, logits=logits: (logits, {"resid_post": jnp.zeros((2, 3, 4))}), rows)
    with pytest.raises(ValueError, match=r"one more than tokens; got shape \(3, 2\)"):
        beliefs_after(lambda word: jnp.zeros((3, 2)), rows)
    with pytest.raises(ValueError, match="words must be tokens, 0 or more; got -1: cut the padding off"):
        token_losses(apply, np.array([[0, 1, -1, -1]]))


def test_select_may_be_a_tree_and_is_aligned_alike():
    process = bg.mess3()
    network = Transformer(TransformerConfig(context=3, layers=2, width=8, heads=1, head_width=4, mlp_width=8))
    params = network.init(jax.random.key(0), jnp.zeros(3, int))
    rows = rows_of(process, bg.words(process, 3))
    read = reading.read(network, params, rows, lambda sites: {k: sites[k] for k in ("embed", "final_norm")})
    for row in (0, 2, 5, 20, 38):
        tokens = jnp.asarray(rows.tokens[rows.word[row], : rows.position[row] + 1])
        logits, sites = network.apply(params, tokens)
        for name in ("embed", "final_norm"):
            np.testing.assert_allclose(read.features[name][row], sites[name][-1], atol=1e-5)
        np.testing.assert_allclose(read.log_laws[row], jax.nn.log_softmax(logits[-1]), atol=1e-5)


def test_layers_by_name():
    network = Transformer(TransformerConfig(context=3, layers=2, width=8, heads=1, head_width=4, mlp_width=8))
    tokens = jnp.array([0, 2, 1])
    _, sites = network.apply(network.init(jax.random.key(0), tokens), tokens)
    four = by_layer(sites)
    assert list(four) == ["embed", "layer 1", "layer 2", "final norm"]
    np.testing.assert_array_equal(four["layer 2"], sites["resid_post"][1])
    np.testing.assert_array_equal(concatenated(four)[:, 8:16], sites["resid_post"][0])
    panel = by_layer(sites, ("resid_pre", "resid_mid", "resid_post"))
    assert list(panel) == ["layer 1 pre", "layer 2 pre", "layer 1 mid", "layer 2 mid", "layer 1", "layer 2"]
    np.testing.assert_array_equal(panel["layer 2 mid"], sites["resid_mid"][1])
    # Of a stranger's network all that has these axes.
    own = {"hidden": jnp.zeros((3, 5)), "blocks": jnp.zeros((2, 3, 4)), "scores": jnp.zeros((1, 1, 3, 3))}
    assert list(by_layer(own)) == ["hidden", "blocks 1", "blocks 2"]


def arrays_of(network, params, rows):
    """What a program in another framework gives: everything, for all words at once."""
    return jax.vmap(lambda tokens: network.apply(params, tokens))(jnp.asarray(rows.tokens))


@pytest.mark.parametrize("bos", [None, 3])
def test_arrays_of_another_framework_are_read_as_the_network_is(bos):
    process = bg.mess3()
    config = TransformerConfig(vocab_size=4, context=3, layers=2, width=8, heads=1, head_width=4, mlp_width=8)
    network = Transformer(config)
    params = network.init(jax.random.key(0), jnp.zeros(3, int))
    rows = reading.rows(jax.random.key(0), process, 3, bos=bos)
    logits, sites = arrays_of(network, params, rows)
    given = {"last": np.asarray(sites["resid_post"][:, -1]), "pattern": np.moveaxis(sites["attn_pattern"], -2, 1)}
    found = of_arrays(rows, np.asarray(logits), given)
    direct = reading.read(network, params, rows)
    np.testing.assert_allclose(found.log_laws, direct.log_laws, atol=1e-5)
    np.testing.assert_allclose(found.features["last"], direct.features["layer 2"], atol=1e-5)
    assert found.features["pattern"].shape == (len(rows.word), 2, 1, 3)
    np.testing.assert_allclose(loss_gap(rows, found.log_laws), loss_gap(rows, direct.log_laws), atol=1e-5)
    # Laws do as well as logits, for they are normalised.
    again = of_arrays(rows, jax.nn.log_softmax(logits), given)
    np.testing.assert_allclose(again.log_laws, direct.log_laws, atol=1e-5)


def test_arrays_that_do_not_fit_are_refused():
    rows = reading.rows(jax.random.key(0), bg.golden_mean(), 3)
    fine, site = np.zeros((5, 3, 2)), {"hidden": np.zeros((5, 3, 4))}
    assert of_arrays(rows, fine, site).features["hidden"].shape == (10, 4)
    for logits in (fine[:4], fine[:, :2], fine[0], fine[..., 0]):
        with pytest.raises(ValueError, match=r"logits must be .word, time, vocab. for rows.tokens, \(5, 3\).*run the"):
            of_arrays(rows, logits, site)
    with pytest.raises(ValueError, match=r"activations\['hidden'\] must be .word, time, .... for rows.tokens"):
        of_arrays(rows, fine, {"hidden": np.zeros((5, 4, 4))})
    with pytest.raises(ValueError, match="over the process's 2 tokens or more, those first"):
        of_arrays(rows, fine[..., :1], site)
    with pytest.raises(ValueError, match="activations.'hidden'. must be finite"):
        of_arrays(rows, fine, {"hidden": np.full((5, 3, 4), np.nan)})
    # A token that a network rules out has the logit -inf.
    assert of_arrays(rows, np.where(np.arange(2) == 1, -np.inf, fine), site).log_laws[0].tolist() == [0, -np.inf]


def test_words_that_share_no_prefixes():
    network = Transformer(TransformerConfig(context=3, layers=2, width=8, heads=1, head_width=4, mlp_width=8))
    params = network.init(jax.random.key(0), jnp.zeros(3, int))
    words = jax.random.randint(jax.random.key(1), (2, 5, 3), 0, 3)
    found = read_words(network, params, words)
    np.testing.assert_allclose(found[1, 2], network.apply(params, words[1, 2])[1]["resid_post"][-1], atol=1e-6)
