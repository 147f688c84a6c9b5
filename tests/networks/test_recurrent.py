import jax
import jax.numpy as jnp
import numpy as np
import pytest

from beliefgeo.networks.recurrent import Recurrent, RecurrentConfig

TOKENS = jnp.array([0, 2, 1, 1, 2, 0])
CELLS = ("rnn", "gru", "lstm")


def build(cell):
    network = Recurrent(RecurrentConfig(vocab_size=3, cell=cell, layers=2, width=5))
    params = network.init(jax.random.key(0), TOKENS)
    # Biases start at zero: move everything, so that a misplaced one is seen.
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    return network, jax.tree.unflatten(
        tree, [x + 0.3 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)]
    )


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(cell, p, x, h, c):
    """One step of each cell as its textbook writes it."""
    through = lambda name, v: v @ p[name]["kernel"] + p[name].get("bias", 0)
    if cell == "rnn":
        return np.tanh(through("i", x) + through("h", h)), c
    if cell == "gru":
        reset = sigmoid(through("ir", x) + through("hr", h))
        update = sigmoid(through("iz", x) + through("hz", h))
        new = np.tanh(through("in", x) + reset * through("hn", h))
        return (1 - update) * new + update * h, c
    gates = {g: through("i" + g, x) + through("h" + g, h) for g in "ifgo"}
    c = sigmoid(gates["f"]) * c + sigmoid(gates["i"]) * np.tanh(gates["g"])
    return sigmoid(gates["o"]) * np.tanh(c), c


@pytest.mark.parametrize("cell", CELLS)
def test_by_hand_in_numpy(cell):
    network, params = build(cell)
    weights = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["params"])
    x = np.eye(3)[np.asarray(TOKENS)]
    logits, sites = network.apply(params, TOKENS)
    np.testing.assert_array_equal(sites["embed"], x)
    for layer in range(2):
        h, c, outputs = np.zeros(5), np.zeros(5), []
        for row in x:
            h, c = step(cell, weights[f"layer_{layer}"]["cell"], row, h, c)
            outputs.append(h)
        x = np.stack(outputs)
        np.testing.assert_allclose(sites["resid_post"][layer], x, atol=1e-5)
    np.testing.assert_array_equal(sites["final_norm"], sites["resid_post"][-1])
    np.testing.assert_allclose(logits, x @ weights["unembed"]["kernel"] + weights["unembed"]["bias"], atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_a_prefix_has_the_same_activations_whatever_follows(cell):
    network, params = build(cell)
    long, short = (network.apply(params, TOKENS[:end])[1]["resid_post"] for end in (6, 4))
    np.testing.assert_allclose(long[:, :4], short, atol=1e-6)
    changed = network.apply(params, TOKENS.at[0].set(1))[1]["resid_post"]
    assert (np.abs(np.asarray(changed - long)).max(-1) > 1e-6).all(), "every later position depends on the first token"


@pytest.mark.parametrize("cell", CELLS)
def test_batches_by_vmap(cell):
    network, params = build(cell)
    batch = jnp.stack([TOKENS, TOKENS[::-1]])
    together, _ = jax.vmap(network.apply, (None, 0))(params, batch)
    for alone, word in zip(together, batch, strict=True):
        np.testing.assert_allclose(alone, network.apply(params, word)[0], atol=1e-6)


def test_mistakes():
    network, params = build("gru")
    with pytest.raises(ValueError, match=r"one sequence of tokens; got shape \(1, 6\): use jax.vmap"):
        network.apply(params, TOKENS[None])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("token", [3, -1])
def test_a_token_outside_the_vocabulary(cell, token):
    network, params = build(cell)
    word = TOKENS.at[2].set(token)
    with pytest.raises(ValueError, match=rf"the network reads tokens 0\.\.2; got {token}: set vocab_size, or relabel"):
        network.apply(params, word)
    logits, sites = jax.jit(network.apply)(params, word)
    np.testing.assert_array_equal(np.isnan(logits).all(1), [False, False, True, True, True, True])
    np.testing.assert_allclose(logits[:2], network.apply(params, TOKENS)[0][:2], atol=1e-6)
    np.testing.assert_array_equal(np.isnan(sites["embed"]).all(1), [False, False, True, False, False, False])
