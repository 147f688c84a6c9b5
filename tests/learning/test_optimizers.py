"""Muon by name: which arrays it turns, by how much, and what follows Nadam; weight decay where there is one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from beliefgeo.learning.budget import Budget
from beliefgeo.learning.optimizers import follows_steps, numbers_of, optimizer_of
from beliefgeo.networks import Transformer, TransformerConfig

CONFIG = TransformerConfig(3, context=4, layers=1, width=16, heads=2, head_width=4, mlp_width=32)
BUDGET = Budget(steps=40, learning_rate=3e-3, optimizer="muon")


def steps(optimizer, params, gradients, count):
    """The change of the last of some steps with equal gradients."""
    state, changes = optimizer.init(params), None
    for _ in range(count):
        changes, state = optimizer.update(gradients, state, params)
    return changes


@pytest.fixture(scope="module")
def network():
    params = Transformer(CONFIG).init(jax.random.key(0), jnp.zeros(4, int))
    draw = lambda leaf: jax.random.normal(jax.random.key(leaf.size), leaf.shape)
    return params, jax.tree.map(draw, params)


def test_matrices_are_turned_and_tables_follow_nadam(network):
    params, gradients = network
    changes = steps(optimizer_of(BUDGET), params, gradients, 3)["params"]  # at the peak: two steps of warm-up
    block = changes["block_0"]
    matrices = {
        "query": block["attention"]["query"]["kernel"].reshape(16, 8),
        "output": block["attention"]["output"]["kernel"].reshape(8, 16),
        "mlp_in": block["mlp_in"]["kernel"],
    }
    for name, change in matrices.items():
        # An orthogonal matrix times rate * .2 sqrt(larger side); five iterations of Newton-Schulz leave .7 to 1.2.
        sizes = np.linalg.svd(np.asarray(change), compute_uv=False) / (3e-3 * 0.2 * np.sqrt(max(change.shape)))
        assert 0.6 < sizes.min() and sizes.max() < 1.3, name
    slower = Budget(steps=40, learning_rate=2e-3, optimizer="nadam")
    expected = steps(optimizer_of(slower), params, gradients, 3)["params"]
    for path in (("embed", "embedding"), ("positions", "embedding"), ("unembed", "kernel"), ("final_norm", "scale")):
        one, other = (tree[path[0]][path[1]] for tree in (changes, expected))
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-7)


def test_weight_decay_shrinks_matrices_alone(network):
    params, gradients = network
    plain = steps(optimizer_of(BUDGET), params, gradients, 3)["params"]
    decayed = steps(
        optimizer_of(Budget(40, learning_rate=3e-3, optimizer="muon", weight_decay=1.0)), params, gradients, 3
    )
    moved = jax.tree.map(jnp.subtract, decayed["params"], plain)
    kernel = params["params"]["block_0"]["mlp_in"]["kernel"]
    np.testing.assert_allclose(moved["block_0"]["mlp_in"]["kernel"], -3e-3 * kernel, atol=1e-6)
    assert not moved["embed"]["embedding"].any() and not moved["unembed"]["kernel"].any()


def test_adamw_keeps_its_decay_and_others_refuse_one():
    params, gradients = {"a": jnp.array([2.0])}, {"a": jnp.array([0.5])}
    for decay, expected in ((None, optax.adamw(1e-3)), (0.1, optax.adamw(1e-3, weight_decay=0.1))):
        budget = Budget(optimizer="adamw", learning_rate=1e-3, weight_decay=decay)
        np.testing.assert_array_equal(
            steps(optimizer_of(budget), params, gradients, 2)["a"], steps(expected, params, gradients, 2)["a"]
        )
    with pytest.raises(ValueError, match="weight_decay is for adamw and muon; got 0.1 for nadam: leave it out"):
        optimizer_of(Budget(weight_decay=0.1))
    assert [follows_steps(Budget(optimizer=name)) for name in ("muon", "nadam", "sgd")] == [True, True, False]


def test_optimisers_are_told_apart_by_any_number_of_theirs():
    rise = lambda steps: optax.warmup_cosine_decay_schedule(0, 1e-3, 10, steps)
    made = [
        optax.sgd(0.1),
        optax.sgd(10.0),
        optax.sgd(0.1, momentum=0.9),
        optax.adam(rise(100)),
        optax.adam(rise(200)),
        optax.inject_hyperparams(optax.sgd)(learning_rate=0.1),
        optax.inject_hyperparams(optax.sgd)(learning_rate=0.2),
        optax.chain(optax.add_noise(0.1, 0.5, 7), optax.sgd(0.1)),
        optax.chain(optax.add_noise(0.1, 0.5, 8), optax.sgd(0.1)),
        optax.add_noise(0.1, 0.5, jax.random.key(7)),  # held as arrays, not as numbers
        optax.add_noise(0.1, 0.5, jax.random.key(8)),
        optax.sgd(jnp.float32(0.3)),
        optax.sgd(jnp.float32(0.4)),
        optax.scale(1 + 2j),
        optax.scale(1 + 3j),
    ]
    params = {"kernel": jnp.zeros((2, 3)), "bias": jnp.zeros(3)}
    assert len({tuple(numbers_of(one, params)) for one in made}) == len(made)
    assert numbers_of(optax.adam(rise(100)), params) == numbers_of(made[3], params)
