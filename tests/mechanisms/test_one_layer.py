"""Reports on layers known by hand."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.constrained import constrained_beliefs, evidence
from beliefgeo.mechanisms.one_layer import factors_of_layer, heads_of_layer, layer_sites
from beliefgeo.networks import Transformer, TransformerConfig
from beliefgeo.processes.factored import product
from beliefgeo.reading import Reading, beliefs_after, read, rows_of


def test_a_layer_of_an_even_and_an_odd_head_is_recognised():
    """Mess3(.5, .6), and one attention layer that writes constrained beliefs."""
    process = bg.mess3(0.5, 0.6)
    rows = rows_of(process, bg.words(process, 7))
    constrained = beliefs_after(partial(constrained_beliefs, process), rows)
    weights = 0.5 ** np.arange(7)
    even, odd = (weights * (np.arange(7) % 2 == parity) for parity in (0, 1))
    heads = np.stack([odd / odd.sum(), even / even.sum()])  # the odd one first: the report puts it second
    pattern = np.zeros((len(rows.length), 1, 2, 7))
    for row, length in enumerate(rows.length):
        pattern[row, 0, :, :length] = heads[:, :length][:, ::-1]
    # Width 3: an embedding of evidence, values as wide as the simplex, the sign of zeta^lag in the odd head's output.
    output = jnp.stack([-odd.sum() * jnp.eye(3), even.sum() * jnp.eye(3)])
    params = layer(jnp.asarray(evidence(process)), jnp.zeros((7, 3)), output)
    # Here the residual after attention is the belief itself, so the probe is the identity on the plane of the simplex.
    features = {"mid": jnp.asarray(constrained), "pattern": jnp.asarray(pattern)}
    found = heads_of_layer(Reading(None, features, {"params": params}), rows, process, constrained)
    np.testing.assert_allclose(found.by_lag, heads[::-1], atol=1e-5)
    np.testing.assert_allclose(found.decay, [0.5, 0.5], atol=1e-3)
    np.testing.assert_allclose(found.decay_error, 0, atol=1e-3)
    np.testing.assert_allclose(found.cosine, [1, -1], atol=1e-3)
    told = np.asarray(evidence(process))
    np.testing.assert_allclose(found.values, [even.sum() * told, -odd.sum() * told], atol=1e-3)
    # The residual given is the belief; embedding and heads would add each token's evidence once more at lag 0.
    weight = (-0.5) ** np.arange(7)
    np.testing.assert_allclose(found.weight_by_lag, weight, atol=2e-3)
    expected = weight + (np.arange(7) == 0)
    np.testing.assert_allclose(found.weight_by_mean_attention, expected, atol=2e-3)
    # Words of length 4 read the first 4 lags of these patterns.
    np.testing.assert_allclose(found.by_lag_of_4, heads[::-1, :4], atol=1e-5)


def test_a_layer_of_constrained_beliefs_is_recognised():
    """Its residual weighs evidence with zeta^lag whatever its attention, here uniform, would say."""
    process = product([bg.mess((1 - zeta) / 2, 0.7, 2) for zeta in (0.7, -0.7)])
    rows = rows_of(process, bg.words(process, 6))
    constrained = beliefs_after(partial(constrained_beliefs, process), rows)
    pattern = np.zeros((len(constrained), 1, 2, 6))
    for row, length in enumerate(rows.length):
        pattern[row, ..., :length] = 1 / length
    told = jnp.asarray(evidence(process))
    params = layer(told, jnp.zeros((6, 4)), jnp.stack([jnp.eye(4)] * 2))
    features = {"mid": jnp.asarray(constrained), "pattern": jnp.asarray(pattern)}
    found = factors_of_layer(Reading(None, features, {"params": params}), rows, process, constrained)
    np.testing.assert_allclose(found.weight, np.array([[0.7], [-0.7]]) ** np.arange(6), atol=1e-3)
    np.testing.assert_allclose(found.zeta, [0.7, -0.7], atol=1e-3)
    # Two heads that read each token with 1/6, and the embedding.
    expected = 1 / 3 + (np.arange(6) == 0)
    np.testing.assert_allclose(found.weight_by_mean_attention, [expected] * 2, atol=1e-3)
    np.testing.assert_allclose(found.zeta_by_mean_attention, [1, 1], atol=1e-3)
    np.testing.assert_allclose(found.by_lag, 1 / 6, atol=1e-6)
    np.testing.assert_allclose(found.moves, 0, atol=1e-6)
    assert found.constrained_r2 > 0.9999


def test_a_transformer_is_read_at_the_sites_of_its_layer():
    process = bg.mess3(0.5, 0.6)
    network = Transformer(TransformerConfig(context=7, layers=1, width=8, heads=2, head_width=4, mlp_width=8))
    params = network.init(jax.random.key(0), jnp.zeros(7, int))
    rows = rows_of(process, bg.words(process, 7))
    constrained = beliefs_after(partial(constrained_beliefs, process), rows)
    reading = read(network, params, rows, layer_sites)
    found = heads_of_layer(reading, rows, process, constrained)
    last = rows.length == 7
    pattern = np.tensordot(rows.probabilities[last], reading.features["pattern"][last][:, 0], 1)[:, ::-1]
    order = np.argsort(-pattern[:, ::2].sum(1))
    np.testing.assert_allclose(found.by_lag, pattern[order], atol=1e-6)
    with pytest.raises(ValueError, match="a reading without them: take it by reading.read"):
        heads_of_layer(reading._replace(params=None), rows, process, constrained)


def test_features_of_seeds_or_of_other_prefixes_are_refused():
    process = bg.mess3(0.5, 0.6)
    rows, reports = (
        rows_of(process, bg.words(process, 3)),
        ((heads_of_layer, process), (factors_of_layer, product([process]))),
    )
    pattern, mid = jnp.zeros((len(rows.length), 1, 2, 3)), jnp.zeros((len(rows.length), 4))
    for features in (
        {"pattern": pattern[None], "mid": mid[None]},
        {"pattern": pattern, "mid": mid[1:]},
        {"pattern": pattern[:, 0], "mid": mid},
    ):
        for reported, process in reports:
            with pytest.raises(ValueError, match="one network's features must be pattern .* for 39 rows; got shapes"):
                reported(Reading(None, features, {"params": {}}), rows, process, rows.beliefs)


def layer(embedding, positions, output):
    """Two heads that write what they read, without norm."""
    width = embedding.shape[1]
    value = {"kernel": jnp.stack([jnp.eye(width)] * 2, 1), "bias": jnp.zeros((2, width))}
    block = {"attention": {"value": value, "output": {"kernel": output}}}
    return {"embed": {"embedding": embedding}, "positions": {"embedding": positions}, "block_0": block}
