"""Packed words give what words one by one give."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.networks import Transformer, TransformerConfig
from beliefgeo.networks.transformer import Past
from beliefgeo.reading.packs import pack
from beliefgeo.reading.read import _read_packs


def everything(activations):
    """All sites, the attention pattern too, and one that mixes positions."""
    pattern = jnp.moveaxis(activations["attn_pattern"], 2, 0)
    mixed = jnp.cumsum(activations["resid_mid"][0], 0)
    return {"embed": activations["embed"], "last": activations["resid_post"][-1], "pattern": pattern, "mixed": mixed}


def network_of(vocab_size, context, **sizes):
    network = Transformer(TransformerConfig(vocab_size, context, layers=2, width=8, heads=2, mlp_width=8, **sizes))
    return network, network.init(jax.random.key(0), jnp.zeros(context, int))


def word_by_word(network, params, rows):
    logits, activations = jax.vmap(lambda word: network.apply(params, word))(jnp.asarray(rows.tokens))
    selected = jax.vmap(everything)(activations)
    at = lambda values: values[rows.word, rows.position]
    return jax.nn.log_softmax(at(logits)), {site: at(values) for site, values in selected.items()}


@pytest.mark.parametrize("bos", [None, 3], ids=["no BOS", "BOS"])
@pytest.mark.parametrize("most", [None, 40], ids=["all", "drawn"])
def test_packs_are_words(bos, most):
    rows = reading.rows(jax.random.key(1), bg.mess3(), 6, bos=bos, most=most)
    network, params = network_of(4, 6)
    packs = pack(rows.tokens, many=0)
    assert packs.tokens.size * 2 <= rows.tokens.size
    found = _read_packs(network.apply, everything, params, packs, rows.word, rows.position)
    log_laws, features = word_by_word(network, params, rows)
    np.testing.assert_allclose(found.log_laws, log_laws, atol=2e-6)
    for site, values in features.items():
        np.testing.assert_allclose(found.features[site], values, atol=5e-6, err_msg=site)


def test_packs_of_any_words():
    """Subtrees of different sizes, words that come twice, words out of order: every path spells its word."""
    words = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
    words = np.repeat(words, 9, 0)
    packs = pack(words, many=0)
    for word, spelt in enumerate(words):
        path = packs.paths[packs.pack[word], packs.member[word]]
        np.testing.assert_array_equal(packs.tokens[packs.pack[word], path], spelt)
        np.testing.assert_array_equal(packs.place[packs.pack[word], path], np.arange(4))
        seen = packs.seen[packs.pack[word]]
        for time, node in enumerate(path):
            assert set(np.flatnonzero(seen[node])) == set(path[: time + 1])


def test_many_words_are_read_in_packs():
    rows = reading.rows(jax.random.key(0), bg.mess3(), 9)
    network, params = network_of(3, 9)
    assert pack(rows.tokens) is not None
    some = np.linspace(0, len(rows.word) - 1, 200).astype(int)
    found = reading.read(network, params, rows, lambda activations: {"last": activations["resid_post"][-1]})
    few = rows._replace(word=rows.word[some], position=rows.position[some])
    np.testing.assert_allclose(found.features["last"][some], word_by_word(network, params, few)[1]["last"], atol=5e-6)


def test_words_longer_than_the_context_are_refused_in_packs_too():
    rows = reading.rows(jax.random.key(0), bg.mess3(), 9)
    with pytest.raises(ValueError, match="at most 8 tokens"):
        reading.read(*network_of(3, 8), rows)


def test_words_without_common_prefixes_are_not_packed():
    assert pack(np.array([[0, 1, 1], [1, 0, 0]]), many=0) is None


def test_a_past_of_all_tokens_before_is_the_default():
    network, params = network_of(3, 5)
    tokens = jnp.array([0, 2, 1, 1, 0])
    plain = network.apply(params, tokens)[0]
    past = Past(jnp.arange(5), jnp.tril(jnp.ones((5, 5), bool)))
    np.testing.assert_array_equal(network.apply(params, tokens, past=past)[0], plain)
    order = jnp.array([3, 0, 4, 2, 1])  # positions need not come in order
    moved = Past(past.place[order], past.seen[order][:, order])
    np.testing.assert_allclose(network.apply(params, tokens[order], past=moved)[0], plain[order], atol=1e-6)
