"""On however many devices there are: one here, eight in `tests/test_scale.py`."""

import os
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import beliefgeo as bg
from beliefgeo.learning.sharding import _rows, _slices, mesh, spread
from beliefgeo.learning.training import Batch, training
from beliefgeo.networks.transformer import Transformer, TransformerConfig

NETWORK = TransformerConfig(vocab_size=2, context=4, layers=1, width=8, heads=1, head_width=4, mlp_width=16)
STEPS = 10


def trainer(batch):
    def draw(key, source):
        keys, process = jax.random.split(key, batch), bg.golden_mean() if source is None else source
        drawn = jax.vmap(bg.sample, (0, None, None))(keys, process, 5)
        return Batch(drawn.tokens, -drawn.log_probabilities[:, 1:].mean())

    return training(Transformer(NETWORK), optax.sgd(0.3, momentum=0.9), draw, steps=STEPS)


# Seeds, sequences in a step, parameters in slices. Eight devices: all for a batch that they do not divide; four for
# each of two seeds; one for each of seven seeds, and one to spare.
CASES = {"uneven batch": (3, 12, False), "parameters": (2, 8, True), "a place to spare": (7, 4, False)}


def compare(name):
    """Losses of ten steps spread over the devices and on one; and the parameters after them."""
    seeds, batch, shard_params = CASES[name]
    keys, trained = jax.random.split(jax.random.key(0), seeds), trainer(batch)
    spread_out = spread(trained, keys, shard_params=shard_params)
    state, metrics = spread_out.advance(spread_out.init(keys, None))
    alone, expected = jax.jit(jax.vmap(trained.advance))(jax.jit(jax.vmap(trained.init))(keys))
    return state, metrics, alone, expected


@pytest.mark.slow
def test_on_one_device_each_seed_is_bit_for_bit_what_it_is_alone():
    if jax.device_count() > 1:
        pytest.skip("several devices sum in another order")
    keys, trained = jax.random.split(jax.random.key(0), 3), trainer(12)
    spread_out = spread(trained, keys)
    state, metrics = spread_out.advance(spread_out.init(keys, None))
    for seed, key in enumerate(keys):
        alone = spread(trained, key[None])
        expected = alone.advance(alone.init(key[None], None))
        ours = jax.tree.map(lambda leaf: leaf[seed], (state.params, metrics))  # noqa: B023
        chex.assert_trees_all_equal(ours, jax.tree.map(lambda leaf: leaf[0], (expected[0].params, expected[1])))


def test_the_mesh_holds_every_device_once():
    for seeds in (1, 2, 3, 8):
        devices = mesh(seeds)
        assert devices.axis_names == ("seed", "batch") and seeds % devices.shape["seed"] == 0
        assert {device.id for device in devices.devices.flat} == {device.id for device in jax.devices()}


@pytest.mark.parametrize(
    ("seeds", "devices", "even", "rows"),
    [(5, 2, False, 2), (5, 2, True, 1), (1, 2, False, 1), (4, 2, True, 2), (6, 4, True, 2), (7, 8, False, 8)],
)
def test_networks_have_a_device_each_where_that_costs_less_than_to_share_one_step(seeds, devices, even, rows):
    assert _rows(seeds, devices, even) == rows


@pytest.mark.parametrize(
    ("shape", "count", "expected"),
    [
        ((64, 256), 8, [None, "batch"]),
        ((256, 64), 8, ["batch"]),
        ((3, 64), 8, [None, "batch"]),
        ((3, 5), 8, []),
        ((), 8, []),
        ((64, 256), 1, []),
    ],
)
def test_the_widest_axis_that_divides_evenly_is_sliced(shape, count, expected):
    assert _slices(shape, count) == expected


@pytest.mark.slow
def test_sources_of_their_own():
    """Two seeds that draw from two processes learn what they would alone."""
    keys = jax.random.split(jax.random.key(0), 2)
    sources = jax.tree.map(lambda *leaves: jnp.stack(leaves), bg.golden_mean(), bg.golden_mean(0.2))
    trained = trainer(8)
    spread_out = spread(trained, keys, sources)
    _, metrics = spread_out.advance(spread_out.init(keys, sources))
    one = jax.jit(lambda key, source: trained.advance(trained.init(key, source))[1])
    for seed, process in enumerate((bg.golden_mean(), bg.golden_mean(0.2))):
        np.testing.assert_allclose(metrics.loss[seed], one(keys[seed], process).loss, rtol=1e-5)
    assert abs(metrics.loss[0] - metrics.loss[1]).min() > 1e-3


def test_several_lstms_begin_on_two_cores():
    """In one batch their orthogonal kernels wait for ever on two cores: the program would not end."""
    program = """
import jax, beliefgeo as bg
from beliefgeo.learning.sharding import spread
from beliefgeo.learning import Batch, training
from beliefgeo.networks import Recurrent, RecurrentConfig
import optax
draw = lambda key, _: Batch(jax.random.randint(key, (8, 6), 0, 2), 0.0)
learner = training(Recurrent(RecurrentConfig(2, layers=2)), optax.adam(1e-3), draw, steps=1)
state = spread(learner, jax.random.split(jax.random.key(0), 5)).init(jax.random.split(jax.random.key(0), 5), None)
print(len(jax.tree.leaves(jax.block_until_ready(state))))
"""
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "2"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, timeout=120, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
