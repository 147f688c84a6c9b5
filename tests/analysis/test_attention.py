from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.analysis.attention import (
    attention_rows,
    effective_attention,
    evidence_cosines,
    evidence_modes,
    fit_decay,
    head_values,
    last_row_by_lag,
    layer_norm,
    mean_by_lag,
    mean_pattern,
)
from beliefgeo.analysis.evaluation import evaluate, prefixes
from beliefgeo.beliefs.constrained import evidence
from beliefgeo.networks.transformer import Transformer, TransformerConfig

RNG = np.random.default_rng(3)
CONFIG = TransformerConfig(context=4, layers=2, width=8, heads=2, head_width=4, mlp_width=8)


def test_mean_pattern_is_the_average_over_words():
    process, network = bg.mess3(), Transformer(CONFIG)
    words = bg.words(process, 4)
    params = network.init(jax.random.key(0), jnp.zeros(4, int))
    rows = prefixes(process, words)
    found = mean_pattern(evaluate(partial(network.apply, params), rows, attention_rows).features, rows)
    every = jax.vmap(lambda word: network.apply(params, word)[1]["attn_pattern"])(jnp.asarray(words.tokens))
    np.testing.assert_allclose(found, np.tensordot(words.probabilities, every, 1), atol=1e-6)


def test_lags_by_hand():
    pattern = np.array([[1, 0, 0], [0.4, 0.6, 0], [0.1, 0.2, 0.7]])
    np.testing.assert_allclose(last_row_by_lag(jnp.array(pattern)), [0.7, 0.2, 0.1])
    np.testing.assert_allclose(mean_by_lag(jnp.array([pattern]))[0], [2.3 / 3, 0.3, 0.1], rtol=1e-6)


def test_decay_and_its_error():
    lags = np.arange(6)
    for zeta in (0.55, -0.5, 0.0, 1.0):
        assert abs(fit_decay(0.4 * zeta**lags, lags).zeta - zeta) < 1e-6
    even = np.where(lags % 2 == 0, 0.7 * 0.5**lags, 0)
    assert abs(fit_decay(even, (0, 2, 4)).zeta - 0.5) < 1e-6
    assert abs(fit_decay(-np.roll(even, 1), (1, 3, 5)).zeta - 0.5) < 1e-6
    # The error is the spread of estimates under noise of the size that the residuals show.
    fits = [fit_decay(0.5**lags + 0.01 * RNG.normal(size=6), lags) for _ in range(300)]
    spread, errors = np.std([fit.zeta for fit in fits]), np.sqrt(np.mean([fit.error**2 for fit in fits]))
    np.testing.assert_allclose(errors, spread, rtol=0.15)
    # Published for Mess3(.15, .6): zeta = .55.
    published = fit_decay([0.46, 0.29, 0.15, 0.10], range(4))
    assert abs(published.zeta - 0.55) < 2 * published.error + 0.05
    with pytest.raises(ValueError, match=r"at least 3 lags.*got \[0, 1\]"):
        fit_decay(even, (0, 1))


def test_modes_are_those_of_the_mean_dynamics():
    total = np.asarray(bg.rrxor(0.3, 0.6).transitions.sum(0), np.float64)
    symmetric = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.3, 0.6]])
    modes = evidence_modes(symmetric)
    np.testing.assert_allclose(symmetric @ modes.directions, modes.directions * modes.zeta, atol=1e-12)
    assert modes.zeta[0] > modes.zeta[1] and abs(modes.directions.sum(0)).max() < 1e-9
    with pytest.raises(ValueError, match="needs real eigenvalues"):
        evidence_modes(total)


def test_values_are_what_the_network_adds():
    """One token, one block: the attention's output is the sum of the heads' values and the output bias."""
    config = TransformerConfig(context=1, layers=1, width=8, heads=2, head_width=4, mlp_width=8)
    network = Transformer(config)
    params = network.init(jax.random.key(1), jnp.zeros(1, int))
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)
    block = params["params"]["block_0"]
    _, sites = jax.vmap(lambda token: network.apply(params, token[None]))(jnp.arange(3))
    embed = sites["embed"][:, 0]
    read = layer_norm(embed, **block["attention_norm"])
    np.testing.assert_allclose(read, nn.LayerNorm().apply({"params": block["attention_norm"]}, embed), atol=1e-5)
    value, output = (block["attention"][name] for name in ("value", "output"))
    values = head_values(read, value["kernel"], value["bias"], output["kernel"])
    added = sites["resid_mid"][:, 0, 0] - sites["resid_pre"][:, 0, 0]
    np.testing.assert_allclose(values.sum(1) + output["bias"][None], added, atol=1e-5)


def ideal(process, width=7):
    """A probe kernel, and values and modes of a network that writes the evidence so that this probe reads it."""
    told = np.asarray(evidence(process), np.float64)
    kernel = RNG.normal(size=(width, told.shape[1]))
    law = np.asarray(process.predict(process.initial))
    return told, kernel, told @ np.linalg.pinv(kernel), law, evidence_modes(process.transitions.sum(0))


def test_cosines_of_ideal_and_of_turned_values():
    told, kernel, written, law, _ = ideal(bg.mess3(0.15, 0.6))
    np.testing.assert_allclose(evidence_cosines(0.3 * written + 5, kernel, told, law), 1, atol=1e-4)
    # In the plane of the three evidence vectors a turn by 60 degrees has cosine 1/2 with each.
    turned = -np.roll(told, 1, axis=0) @ np.linalg.pinv(kernel)
    np.testing.assert_allclose(evidence_cosines(turned, kernel, told, law), 0.5, atol=1e-4)


def test_effective_attention_of_ideal_heads():
    told, kernel, written, law, modes = ideal(bg.mess3(0.15, 0.6))
    lags = np.arange(5)
    found = effective_attention(
        0.55 ** lags[None], written[:, None] + 3, np.zeros((3, 7)), kernel, told, modes.directions, law
    )
    np.testing.assert_allclose(found, [0.55**lags] * 2, atol=1e-4)
    # The residual carries the token itself past a head that never looks at it.
    past = np.where(lags == 0, 0, 0.55**lags)[None]
    found = effective_attention(past, written[:, None], written, kernel, told, modes.directions, law)
    np.testing.assert_allclose(found, [0.55**lags] * 2, atol=1e-4)


def test_an_even_and_an_odd_head_make_a_negative_zeta():
    told, kernel, written, law, modes = ideal(bg.mess3(0.5, 0.6))
    np.testing.assert_allclose(modes.zeta, -0.5, atol=1e-6)
    lags = np.arange(6)
    heads = np.stack([np.where(lags % 2 == parity, 0.5**lags, 0) for parity in (0, 1)])
    values = np.stack([written, -written], 1)
    found = effective_attention(heads, values, np.zeros((3, 7)), kernel, told, modes.directions, law)
    np.testing.assert_allclose([fit_decay(weights, lags).zeta for weights in found], -0.5, atol=1e-4)
