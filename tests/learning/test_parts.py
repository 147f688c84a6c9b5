"""Parts of a network: what training changes, what it starts from, and what it leaves as it was."""

from functools import partial

import chex
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import beliefgeo as bg
from beliefgeo import runs
from beliefgeo.learning import Batch, train_only, training, without
from beliefgeo.learning.parts import is_part
from beliefgeo.networks import TransformerConfig
from beliefgeo.networks.transformer import Transformer

SIZES = TransformerConfig(vocab_size=2, context=4, layers=2, width=8, heads=1, head_width=4, mlp_width=8)
NETWORK, WORD = Transformer(SIZES), jnp.zeros(4, int)
TABLES = ("embed", "unembed")


def draw(key, _):
    return Batch(jax.random.bernoulli(key, 0.3, (4, 5)).astype(int), jnp.zeros(()))


def test_names():
    params = NETWORK.init(jax.random.key(0), WORD)
    mask = is_part(params, ["attention", "block_1/mlp_in"])["params"]
    of = lambda tree: [*dict.fromkeys(jax.tree.leaves(tree))]
    assert of(mask["block_0"]["attention"]) == of(mask["block_1"]["attention"]) == of(mask["block_1"]["mlp_in"])
    assert of(mask["block_1"]["mlp_in"]) == [True]
    assert of(mask["embed"]) == of(mask["block_0"]["mlp_in"]) == of(mask["unembed"]) == [False]
    layers = eqx.nn.MLP(2, 2, 4, 1, key=jax.random.key(0))
    assert without(eqx.filter(layers, eqx.is_array), ["layers/0"]).layers[0].weight is None


def test_frozen_parts_stay_and_the_others_follow_the_loop_by_hand():
    """Adam with a weight decay and a norm over the gradients that are trained, from given params."""
    made = lambda: optax.chain(optax.clip_by_global_norm(0.1), optax.adamw(1e-2, weight_decay=0.5))
    given = jax.tree.map(lambda leaf: leaf + 0.1, NETWORK.init(jax.random.key(7), WORD))
    trainer = training(NETWORK, train_only(made(), TABLES), draw, steps=3, start=lambda source: source)
    begun = trainer.init(jax.random.key(0), without(given, ["unembed"]))
    drawn = NETWORK.init(jax.random.split(jax.random.key(0))[0], WORD)
    chex.assert_trees_all_equal(begun.params["params"]["unembed"], drawn["params"]["unembed"])
    state, _ = jax.jit(trainer.advance)(begun)

    table = {name: begun.params["params"][name] for name in TABLES}
    optimizer = made()
    moments = optimizer.init(table)

    def loss(table, tokens):
        params = {"params": {**given["params"], **table}}
        logits = jax.vmap(partial(NETWORK.apply, params))(tokens[:, :-1])[0]
        return optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:]).mean()

    for step in range(3):
        gradient = jax.jit(jax.grad(loss))(table, draw(jax.random.fold_in(begun.key, step), None).tokens)
        changes, moments = optimizer.update(gradient, moments, table)
        table = optax.apply_updates(table, changes)
    for name, part in state.params["params"].items():
        if name in TABLES:
            chex.assert_trees_all_close(part, table[name], atol=1e-6)
            assert abs(np.asarray(part[next(iter(part))] - begun.params["params"][name][next(iter(part))])).max() > 1e-3
        else:
            chex.assert_trees_all_equal(part, given["params"][name])


def test_learning_starts_from_networks_of_another_vocabulary(tmp_path):
    """Interrupted and continued, each seed keeps the frozen blocks of its own start, and the record knows the start."""
    start = jax.vmap(lambda key: NETWORK.init(key, WORD))(jax.random.split(jax.random.key(3), 2))
    start = without(start, TABLES)
    budget = runs.Budget(steps=4, batch=4, chunk=2, seeds=2)
    optimizer = ("adam, tables", train_only(optax.adam(1e-2), TABLES))
    sizes = TransformerConfig(**{**vars(SIZES), "vocab_size": 3})
    learn = lambda steps, start, folder: runs.learn(
        jax.random.key(0), bg.mess3(), sizes, runs.Budget(**{**vars(budget), "steps": steps}),
        context=4, optimizer=optimizer, start=start, folder=tmp_path / folder,
    )  # fmt: skip
    learn(2, start, "run")
    found = learn(4, start, "run")
    for name, part in found.trained.params["params"].items():
        if name not in TABLES:
            chex.assert_trees_all_equal(part, start["params"][name])
    moved = (
        found.trained.params["params"]["embed"]["embedding"] - found.untrained.params["params"]["embed"]["embedding"]
    )
    assert abs(np.asarray(moved)).max() > 1e-3
    with pytest.raises(ValueError, match="another|other"):
        learn(4, jax.tree.map(lambda leaf: leaf + 1, start), "run")
    with pytest.raises(
        ValueError, match=r"block_0/attention/key/bias of shape \(2, 1, 4\), seeds first; got \(1, 1, 4\)"
    ):
        learn(4, jax.tree.map(lambda leaf: leaf[:1], start), "another")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["embd"], "the network has no part 'embd': choose among params, block_0, attention,"),
        ("embed", "parts are given as a list of one name or more, such as ['embed']; got 'embed'"),
        ([], "parts are given as a list of one name or more"),
    ],
)
def test_bad_names(names, message):
    params = NETWORK.init(jax.random.key(0), WORD)
    for refused in (lambda: without(params, names), lambda: train_only(optax.sgd(1), names).init(params)):
        with pytest.raises(ValueError) as raised:
            refused()
        assert message in str(raised.value)


def test_a_start_of_other_parts():
    from beliefgeo.learning.parts import require_start

    params = NETWORK.init(jax.random.key(0), WORD)
    with pytest.raises(ValueError, match="start must have the parts of this network"):
        require_start({"params": {"embed": None}}, params, 1)
