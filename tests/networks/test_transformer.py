import jax
import jax.numpy as jnp
import numpy as np
import pytest

from beliefgeo.networks.transformer import Transformer, TransformerConfig

CONFIG = TransformerConfig(vocab_size=4, context=6, layers=2, width=12, heads=3, head_width=5, mlp_width=20)
TOKENS = jnp.array([0, 3, 1, 1, 2])


@pytest.fixture(scope="module")
def built():
    network = Transformer(CONFIG)
    return network, network.init(jax.random.key(0), TOKENS)


def test_sites_and_their_relations(built):
    network, params = built
    logits, sites = network.apply(params, TOKENS)
    assert logits.shape == (5, 4)
    shapes = {name: site.shape for name, site in sites.items()}
    layered = dict.fromkeys(("resid_pre", "resid_mid", "resid_post"), (2, 5, 12))
    assert shapes == layered | {"embed": (5, 12), "final_norm": (5, 12), "attn_pattern": (2, 3, 5, 5)}
    np.testing.assert_array_equal(sites["resid_pre"][0], sites["embed"])
    np.testing.assert_array_equal(sites["resid_pre"][1], sites["resid_post"][0])
    np.testing.assert_allclose(sites["attn_pattern"].sum(-1), 1, rtol=1e-5)
    assert (np.triu(sites["attn_pattern"], 1) == 0).all()
    unembed = params["params"]["unembed"]
    np.testing.assert_allclose(
        sites["final_norm"] @ unembed["kernel"] + unembed["bias"][None], logits, rtol=1e-5, atol=1e-6
    )


def test_by_hand_in_numpy(built):
    """The whole forward pass, written out with loops over heads and time."""
    network, params = built
    weights = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["params"])

    def norm(x, p):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * p["scale"] + p["bias"]

    x = weights["embed"]["embedding"][np.asarray(TOKENS)] + weights["positions"]["embedding"][:5]
    for layer in range(2):
        block = weights[f"block_{layer}"]
        normed, attention = norm(x, block["attention_norm"]), block["attention"]
        mixed = np.zeros((5, 3, 5))
        for head in range(3):
            q, k, v = (
                normed @ attention[n]["kernel"][:, head] + attention[n]["bias"][head] for n in ("query", "key", "value")
            )
            for t in range(5):
                scores = np.exp([q[t] @ k[s] / np.sqrt(5) for s in range(t + 1)])
                mixed[t, head] = sum(scores[s] / scores.sum() * v[s] for s in range(t + 1))
        x = x + np.einsum("thw,hwd->td", mixed, attention["output"]["kernel"]) + attention["output"]["bias"]
        hidden = norm(x, block["mlp_norm"]) @ block["mlp_in"]["kernel"] + block["mlp_in"]["bias"]
        x = x + np.maximum(hidden, 0) @ block["mlp_out"]["kernel"] + block["mlp_out"]["bias"]
    final = norm(x, weights["final_norm"])
    logits, sites = network.apply(params, TOKENS)
    np.testing.assert_allclose(sites["resid_post"][1], x, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logits, final @ weights["unembed"]["kernel"] + weights["unembed"]["bias"], atol=1e-5)


def test_causality_by_gradients(built):
    """The prediction at t depends on the embedding of every token up to t, and of none after it."""
    network, params = built

    def logits(embedding):
        changed = jax.tree.map(lambda leaf: leaf, params)
        changed["params"]["embed"]["embedding"] = embedding
        return network.apply(changed, jnp.arange(4))[0]

    jacobian = jax.jacobian(logits)(params["params"]["embed"]["embedding"])
    influence = np.abs(np.asarray(jacobian)).sum((1, 3))  # [time, token = the time it is read]
    assert (influence[np.tril_indices(4)] > 1e-6).all()
    assert (influence[np.triu_indices(4, 1)] == 0).all()


def test_a_prefix_has_the_same_activations_whatever_follows(built):
    network, params = built
    _, whole = network.apply(params, TOKENS)
    _, prefix = network.apply(params, TOKENS[:3])
    np.testing.assert_allclose(whole["resid_post"][:, :3], prefix["resid_post"], atol=1e-6)


def test_gelu_differs_and_shares_parameters(built):
    network, params = built
    gelu = Transformer(TransformerConfig(**{**vars(CONFIG), "activation": "gelu"}))
    assert jax.tree.structure(gelu.init(jax.random.key(0), TOKENS)) == jax.tree.structure(params)
    assert abs(gelu.apply(params, TOKENS)[0] - network.apply(params, TOKENS)[0]).max() > 1e-4


def test_vmap_is_the_loop(built):
    network, params = built
    batch = jax.random.randint(jax.random.key(1), (3, 6), 0, 4)
    together, _ = jax.vmap(network.apply, (None, 0))(params, batch)
    for index, tokens in enumerate(batch):
        np.testing.assert_allclose(together[index], network.apply(params, tokens)[0], atol=1e-6)


def test_published_size():
    params = Transformer(TransformerConfig()).init(jax.random.key(0), jnp.zeros(10, int))
    # Per block: query, key, value; output; two norms; MLP. Then embeddings, final norm, unembedding.
    block = 3 * (64 * 8 + 8) + 8 * 64 + 64 + 2 * 128 + 64 * 256 + 256 + 256 * 64 + 64
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 4 * block + 13 * 64 + 128 + 64 * 3 + 3


def test_too_long_or_batched_tokens(built):
    network, params = built
    with pytest.raises(ValueError, match=r"at most 6 tokens \(its context\); got shape \(7,\): shorten it"):
        network.apply(params, jnp.zeros(7, int))
    with pytest.raises(ValueError, match=r"got shape \(2, 3\)"):
        network.apply(params, jnp.zeros((2, 3), int))


def test_attention_only_without_layer_norm_is_linear_in_the_values():
    """One head: logits = (embed + pattern embed W_V W_O + biases) W_U, with nothing else in between."""
    config = TransformerConfig(
        vocab_size=4, context=6, layers=1, width=12, heads=1, head_width=5, mlp_width=0, layer_norm=False
    )
    network = Transformer(config)
    params = network.init(jax.random.key(0), TOKENS)
    weights = params["params"]
    assert set(weights) == {"embed", "positions", "block_0", "unembed"} and set(weights["block_0"]) == {"attention"}
    logits, sites = network.apply(params, TOKENS)
    np.testing.assert_array_equal(sites["resid_post"], sites["resid_mid"])
    np.testing.assert_array_equal(sites["final_norm"], sites["resid_post"][0])
    attention, embed = weights["block_0"]["attention"], sites["embed"]
    mixed = sites["attn_pattern"][0, 0] @ embed @ attention["value"]["kernel"][:, 0]
    final = embed + mixed @ attention["output"]["kernel"][0]
    np.testing.assert_allclose(final @ weights["unembed"]["kernel"], logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("token", [4, -1, 100])
def test_a_token_outside_the_vocabulary(built, token):
    network, params = built
    word = TOKENS.at[2].set(token)
    with pytest.raises(ValueError, match=rf"the network reads tokens 0\.\.3; got {token}: set vocab_size, or relabel"):
        network.apply(params, word)
    logits, sites = jax.jit(network.apply)(params, word)
    assert np.isnan(logits).all()
    np.testing.assert_array_equal(np.isnan(sites["embed"]).all(1), [False, False, True, False, False])
    several = jax.vmap(network.apply, (None, 0))(params, jnp.stack([word, TOKENS]))[0]
    np.testing.assert_array_equal(np.isnan(several).all((1, 2)), [True, False])


def test_a_vocabulary_of_one_token():
    """Embeddings of one row are broadcast, without looking at the token."""
    network = Transformer(TransformerConfig(vocab_size=1, context=3, layers=1, width=4, head_width=2, mlp_width=4))
    params = network.init(jax.random.key(0), jnp.zeros(3, int))
    assert not np.isnan(jax.jit(network.apply)(params, jnp.zeros(3, int))[0]).any()
    assert np.isnan(jax.jit(network.apply)(params, jnp.ones(3, int))[0]).all()
