from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import xlogy

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.networks import Transformer, TransformerConfig

NETWORK = Transformer(TransformerConfig(2, 3, layers=1, width=8, heads=1, head_width=4, mlp_width=8))


class Measured(NamedTuple):
    gap: float
    mean: jax.Array


@pytest.fixture(scope="module")
def rows():
    return reading.rows(jax.random.key(0), bg.golden_mean(), 3)


def checkpoint(seed):
    init = lambda key: NETWORK.init(key, jnp.zeros(3, int))
    return reading.Checkpoint(NETWORK, jax.vmap(init)(jax.random.split(jax.random.key(seed), 2)), seed)


def measure(one, rows):
    return Measured(reading.losses(one, rows).gap, one.features["layer 1"].mean(0))


def test_every_seed_and_checkpoint_is_measured_alone(rows):
    shots = [checkpoint(5), checkpoint(6), checkpoint(7)]
    found = reading.each(shots, rows, partial(measure, rows=rows))
    assert found.gap.values.shape == (2, 3) and found.mean.values.shape == (2, 3, 8)
    one = reading.each(shots[1], rows, partial(measure, rows=rows))
    np.testing.assert_array_equal(one.gap.values, found.gap.values[:, 1])
    for seed, params in enumerate(shots[1].seeds):
        alone = measure(reading.read(NETWORK, params, rows), rows)
        assert alone.gap == pytest.approx(found.gap.values[seed, 1])
        np.testing.assert_allclose(alone.mean, found.mean.values[seed, 1], atol=1e-6)
    assert found.gap.interval.shape == (2, 3)


def test_a_reading_knows_the_params_it_was_read_from(rows):
    shot = checkpoint(0)
    for network, params in zip(reading.readings(shot, rows), shot.seeds, strict=True):
        assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), network.params, params))


def test_reading_compiles_once_for_all_seeds(rows):
    from beliefgeo.reading.read import _read

    reading.each(checkpoint(1), rows, partial(measure, rows=rows))
    before = _read._cache_size()
    reading.each([checkpoint(2), checkpoint(3)], rows, partial(measure, rows=rows))
    assert _read._cache_size() == before


def test_sites_keep_their_order(rows):
    select = lambda sites: {"z": sites["embed"], "b": sites["final_norm"], "a": sites["resid_post"][0]}
    found = reading.each(checkpoint(0), rows, lambda network: network.features, select)
    assert [*found] == ["z", "b", "a"]


class Bias:
    """A network whose params look like several seeds: a bias for each token."""

    vocab_size = 2

    def init(self, key, tokens):
        return {"bias": jnp.array([0.3, -0.2])}

    def apply(self, params, tokens, edit=None):
        return jnp.zeros((len(tokens), 2)) + params["bias"][None], {"x": jnp.zeros((len(tokens), 1))}


def uneven(params):
    """Params whose first leaf has one seed and the others two."""
    leaves, structure = jax.tree.flatten(params)
    return jax.tree.unflatten(structure, [leaves[0][:1], *leaves[1:]])


def test_an_axis_of_seeds_is_never_guessed(rows):
    network, bias = Bias(), jnp.array([0.3, -0.2])
    gap = lambda params: reading.each(
        reading.Checkpoint(network, params), rows, lambda one: reading.losses(one, rows).gap, lambda sites: sites
    )
    with pytest.raises(ValueError, match=r"must be \[seed, ...\]; got a leaf of shape \(2,\) where .* \(2,\): for one"):
        gap({"bias": bias})
    with pytest.raises(ValueError, match=r"of as many seeds in every leaf; got \[1, 2\]"):
        list(reading.Checkpoint(NETWORK, uneven(checkpoint(0).params)).seeds)
    found, log_law = gap({"bias": bias[None]}), np.asarray(bias) - np.log(np.exp(bias).sum())
    each = (xlogy(rows.laws, rows.laws) - rows.laws * log_law).sum(1)  # relative entropy of the law after each prefix
    by_length = [np.average(each[rows.length == n], weights=rows.probabilities[rows.length == n]) for n in (1, 2, 3)]
    np.testing.assert_allclose(found.values, [np.mean(by_length)], rtol=1e-5)
    assert found.interval is None
