"""Edits of both networks: steering, patching and ablation by value, and that none costs nothing."""

import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from beliefgeo.networks.recurrent import Recurrent, RecurrentConfig
from beliefgeo.networks.transformer import Transformer, TransformerConfig

TOKENS = jnp.array([0, 3, 1, 1, 2])
OTHER = jnp.array([2, 0, 1, 3, 3])
SIZES = TransformerConfig(vocab_size=4, context=6, layers=2, width=12, heads=3, head_width=5, mlp_width=20)
TRANSFORMER = Transformer(SIZES)
BARE = Transformer(TransformerConfig(**{**vars(SIZES), "layer_norm": False, "mlp_width": 0}))
GRU = Recurrent(RecurrentConfig(vocab_size=4, cell="gru", layers=2, width=12))
NETWORKS = [TRANSFORMER, BARE, GRU]
each_network = pytest.mark.parametrize("network", NETWORKS, ids=["transformer", "bare", "gru"])


def params_of(network):
    return network.init(jax.random.key(0), TOKENS)


def at(site, layer, change):
    """The edit that changes one site of one layer."""
    return lambda where, which, value: change(value) if (where, which) == (site, layer) else value


def unembed(params, final):
    weights = params["params"]["unembed"]
    return final @ weights["kernel"] + weights["bias"][None]


@each_network
def test_no_edit_and_the_identity_are_one_program(network):
    params = params_of(network)
    programs = [
        lambda params, tokens: network.apply(params, tokens),
        lambda params, tokens: network.apply(params, tokens, None),
        lambda params, tokens: network.apply(params, tokens, edit=lambda site, layer, value: value),
    ]
    lowered = [jax.jit(program).lower(params, TOKENS) for program in programs]
    assert lowered[0].as_text() == lowered[1].as_text() == lowered[2].as_text()
    where_written = re.compile(
        r", metadata=\{[^}]*\}|^(FileNames|FunctionNames|FileLocations|StackFrames)\n(.+\n)*", re.M
    )
    compiled = [where_written.sub("", program.compile().as_text()) for program in lowered]
    assert compiled[0] == compiled[1] == compiled[2] and "ENTRY" in compiled[0]
    outputs = [jax.jit(program)(params, TOKENS) for program in programs]
    chex.assert_trees_all_equal(*outputs)


@each_network
def test_every_site_is_offered_once_a_layer_and_holds_what_the_edit_gives(network):
    """Add a number of its own to each site: the activations hold each site as it was given plus that number."""
    given = {}

    def edit(site, layer, value):
        assert (site, layer) not in given
        given[site, layer] = value
        return value + len(given)

    _, activations = network.apply(params_of(network), TOKENS, edit)
    layered = {site for site, layer in given if layer is not None}
    assert set(activations) == {site for site, _ in given} and layered == set(activations) - {"embed", "final_norm"}
    assert len(given) == 2 + 2 * len(layered)
    for number, ((site, layer), value) in enumerate(given.items(), 1):
        held = activations[site] if layer is None else activations[site][layer]
        np.testing.assert_array_equal(held, value + number)


@each_network
def test_edits_at_init_are_not_needed_for_the_same_params(network):
    chex.assert_trees_all_equal(params_of(network), network.init(jax.random.key(0), OTHER))


@pytest.mark.parametrize("network", [BARE, GRU], ids=["bare", "gru"])
def test_steering_the_last_layer_is_unembedding_the_shifted_residual(network):
    """The vector may differ between calls of one compiled program."""
    params = params_of(network)
    steered = jax.jit(lambda vector: network.apply(params, TOKENS, at("resid_post", 1, lambda value: value + vector)))
    _, plain = network.apply(params, TOKENS)
    for key in jax.random.split(jax.random.key(1), 2):
        vector = jax.random.normal(key, (1, 12))
        logits, activations = steered(vector)
        np.testing.assert_allclose(activations["resid_post"][1], plain["resid_post"][1] + vector, atol=1e-6)
        np.testing.assert_allclose(logits, unembed(params, plain["resid_post"][1] + vector), rtol=1e-5, atol=1e-5)


def test_steering_before_the_last_norm_is_normalised():
    params, vector = params_of(TRANSFORMER), jax.random.normal(jax.random.key(1), (1, 12))
    logits, _ = TRANSFORMER.apply(params, TOKENS, at("resid_post", 1, lambda value: value + vector))
    residual = np.asarray(TRANSFORMER.apply(params, TOKENS)[1]["resid_post"][1] + vector, np.float64)
    centred = residual - residual.mean(-1, keepdims=True)  # scale 1 and bias 0 before training
    normed = centred / np.sqrt(centred.var(-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(logits, unembed(params, normed), rtol=1e-4, atol=1e-5)


@each_network
def test_the_embedding_of_another_word_is_that_word(network):
    params = params_of(network)
    expected = network.apply(params, OTHER)
    patched = network.apply(params, TOKENS, at("embed", None, lambda _: expected[1]["embed"]))
    chex.assert_trees_all_equal(patched, expected)


@each_network
def test_patching_one_position_of_one_layer_leaves_what_came_before(network):
    params = params_of(network)
    plain, source = network.apply(params, TOKENS), network.apply(params, OTHER)
    patch = lambda value: value.at[3].set(source[1]["resid_post"][0, 3])
    logits, activations = network.apply(params, TOKENS, at("resid_post", 0, patch))
    np.testing.assert_array_equal(activations["resid_post"][0, 3], source[1]["resid_post"][0, 3])
    np.testing.assert_array_equal(activations["resid_post"][0, 4], plain[1]["resid_post"][0, 4])
    np.testing.assert_allclose(logits[:3], plain[0][:3], atol=1e-6)
    assert (abs(logits[3:] - plain[0][3:]).max(-1) > 1e-5).all()


def test_attention_to_the_diagonal_reads_each_token_alone():
    """Each position then says what it says of its own token and place, whatever the others are."""
    params, diagonal = params_of(TRANSFORMER), jnp.broadcast_to(jnp.eye(5), (3, 5, 5))
    ablate = lambda site, layer, value: diagonal if site == "attn_pattern" else value
    logits, activations = TRANSFORMER.apply(params, TOKENS, ablate)
    np.testing.assert_array_equal(activations["attn_pattern"], jnp.stack([diagonal, diagonal]))
    for position in range(5):
        others = OTHER.at[position].set(TOKENS[position])
        alone, _ = TRANSFORMER.apply(params, others, ablate)
        np.testing.assert_allclose(alone[position], logits[position], atol=1e-6)
        assert abs(TRANSFORMER.apply(params, others)[0] - logits)[position].max() > 1e-4 or position == 0


def test_ablating_attention_of_one_layer_by_hand():
    """One head to the diagonal: the residual gains that token's own value through the output matrix."""
    sizes = TransformerConfig(**{**vars(SIZES), "layer_norm": False, "mlp_width": 0, "layers": 1, "heads": 1})
    network = Transformer(sizes)
    params = network.init(jax.random.key(0), TOKENS)
    logits, activations = network.apply(params, TOKENS, at("attn_pattern", 0, lambda _: jnp.eye(5)[None]))
    attention, embed = params["params"]["block_0"]["attention"], activations["embed"]
    final = embed + embed @ attention["value"]["kernel"][:, 0] @ attention["output"]["kernel"][0]
    np.testing.assert_allclose(logits, unembed(params, final), rtol=1e-4, atol=1e-5)


def test_an_edit_does_not_enter_the_recurrence_of_its_layer():
    params = params_of(GRU)
    _, plain = GRU.apply(params, TOKENS)
    _, cut = GRU.apply(params, TOKENS, at("resid_post", 0, lambda value: value.at[0].set(0)))
    np.testing.assert_array_equal(cut["resid_post"][0, 1:], plain["resid_post"][0, 1:])
    assert abs(cut["resid_post"][1] - plain["resid_post"][1]).max(-1).min() > 1e-5


@each_network
def test_gradients_flow_to_the_edit(network):
    """The gradient by a shift of the last layer's final_norm is the unembedding's column."""
    params = params_of(network)
    shifted = lambda shift: network.apply(params, TOKENS, at("final_norm", None, lambda value: value + shift))[0][2, 1]
    gradient = jax.grad(shifted)(jnp.zeros((1, 12)))[0]
    np.testing.assert_allclose(gradient, params["params"]["unembed"]["kernel"][:, 1], rtol=1e-5)


def test_numbers_of_another_kind_take_the_precision_of_the_site():
    params, zeros = params_of(GRU), np.zeros((5, 12), int)
    logits, activations = GRU.apply(params, TOKENS, at("resid_post", 1, lambda _: zeros))
    assert activations["resid_post"].dtype == jnp.float32
    np.testing.assert_allclose(logits, unembed(params, jnp.zeros((5, 12))), atol=1e-6)


def test_mistakes():
    params = params_of(TRANSFORMER)
    with pytest.raises(
        ValueError, match=r"the shape \(5, 12\) of resid_mid of layer 1; got .* of shape \(12,\): retur"
    ):
        TRANSFORMER.apply(params, TOKENS, at("resid_mid", 1, lambda value: value[0]))
    with pytest.raises(
        ValueError, match=r"shape \(5, 12\) of embed; got NoneType of shape \(\): return the value itse"
    ):
        TRANSFORMER.apply(params, TOKENS, lambda site, layer, value: None)
    with pytest.raises(ValueError, match=r"an edit must keep the shape \(5, 4\) of embed; got .* of shape \(4, 4\)"):
        GRU.apply(params_of(GRU), TOKENS, at("embed", None, lambda value: value[1:]))
