"""What `detached` does to gradients, against gradients written out position by position; activations do not change."""

from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from beliefgeo.networks.transformer import Transformer, TransformerConfig

CONFIG = TransformerConfig(vocab_size=4, context=5, layers=2, width=8, heads=2, head_width=3, mlp_width=10)
TOKENS = jnp.array([0, 3, 1, 1, 2])
TIMES = jnp.arange(len(TOKENS) - 1)
KINDS = {"ordinary": None, "residual": "residual", "keys and values": "keys and values"}


@pytest.fixture(scope="module")
def params():
    return jax.jit(Transformer(CONFIG).init)(jax.random.key(0), TOKENS)


@pytest.fixture(scope="module")
def gradients(params):
    return jax.jit(lambda params: {name: gradient(params, kind) for name, kind in KINDS.items()})(params)


def loss_at(logits, t):
    return optax.softmax_cross_entropy_with_integer_labels(logits[t], TOKENS[t + 1])


def gradient(params, detached):
    network = Transformer(replace(CONFIG, detached=detached))
    total = lambda params: jax.vmap(loss_at, (None, 0))(network.apply(params, TOKENS[:-1])[0], TIMES).sum()
    return jax.grad(total)(params)


def largest_difference(one, other):
    return max(float(abs(a - b).max()) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


def test_activations_are_those_of_the_ordinary_network(params):
    networks = {name: Transformer(replace(CONFIG, detached=kind)) for name, kind in KINDS.items()}
    found = jax.jit(lambda params: {name: one.apply(params, TOKENS) for name, one in networks.items()})(params)
    for name in KINDS:
        jax.tree.map(np.testing.assert_array_equal, found[name], found["ordinary"])


def test_residual_gradient_by_edits(params, gradients):
    """The loss at t, with all residuals but that of position t stopped before every block: a network for each t."""

    def one(params, t):
        only = (TIMES == t)[:, None]
        stopped = lambda value: jnp.where(only, value, jax.lax.stop_gradient(value))
        edit = lambda site, layer, value: stopped(value) if site == "resid_pre" else value
        return loss_at(Transformer(CONFIG).apply(params, TOKENS[:-1], edit)[0], t)

    wanted = jax.jit(jax.grad(lambda params: jax.vmap(one, (None, 0))(params, TIMES).sum()))(params)
    chex.assert_trees_all_close(gradients["residual"], wanted, atol=1e-5)
    assert largest_difference(wanted, gradients["ordinary"]) > 0.05


@pytest.mark.slow
def test_keys_and_values_gradient_by_parameters_of_each_position(params, gradients):
    """The gradient of the loss at t by the parameters that position t uses, if each position has its own.

    These are the diagonal terms of Wu et al. 2404.00859; all terms together are the ordinary gradient.
    """

    def norm(x, p):
        centred = x - x.mean(-1, keepdims=True)
        return centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * p["scale"] + p["bias"]

    def losses(own):  # leaves [position, ...]
        x = own["embed"]["embedding"][TIMES, TOKENS[:-1]] + own["positions"]["embedding"][TIMES, TIMES]
        for layer in range(CONFIG.layers):
            block = own[f"block_{layer}"]
            attention, normed = block["attention"], norm(x, block["attention_norm"])
            query, key, value = (
                jnp.einsum("td,tdhw->thw", normed, attention[name]["kernel"]) + attention[name]["bias"]
                for name in ("query", "key", "value")
            )
            scores = jnp.einsum("thw,shw->hts", query, key) / jnp.sqrt(CONFIG.head_width)
            pattern = jax.nn.softmax(jnp.where((TIMES[:, None] >= TIMES[None])[None], scores, -jnp.inf))
            mixed = jnp.einsum("hts,shw->thw", pattern, value)
            x = x + jnp.einsum("thw,thwd->td", mixed, attention["output"]["kernel"]) + attention["output"]["bias"]
            hidden = jnp.einsum("td,tdm->tm", norm(x, block["mlp_norm"]), block["mlp_in"]["kernel"])
            hidden = jax.nn.relu(hidden + block["mlp_in"]["bias"])
            x = x + jnp.einsum("tm,tmd->td", hidden, block["mlp_out"]["kernel"]) + block["mlp_out"]["bias"]
        final = norm(x, own["final_norm"])
        logits = jnp.einsum("td,tdv->tv", final, own["unembed"]["kernel"]) + own["unembed"]["bias"]
        return jax.vmap(loss_at, (None, 0))(logits, TIMES)

    every = jax.tree.map(lambda leaf: jnp.stack([leaf for _ in TIMES]), params["params"])
    terms = jax.jit(jax.jacrev(losses))(every)  # [loss, position, ...]
    own = jax.tree.map(lambda leaf: jnp.einsum("tt...->...", leaf), terms)
    chex.assert_trees_all_close(gradients["keys and values"]["params"], own, atol=1e-5)
    everything = jax.tree.map(lambda leaf: leaf.sum((0, 1)), terms)
    chex.assert_trees_all_close(gradients["ordinary"]["params"], everything, atol=1e-5)
    assert largest_difference(own, gradients["residual"]["params"]) > 0.05
