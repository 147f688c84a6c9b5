"""Parts of a network: what training changes, what it starts from, and what it leaves as it was."""

from dataclasses import dataclass

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
from beliefgeo.learning.parts import is_part, require_start

TABLES = ("embed", "unembed")


@dataclass(frozen=True)
class Tiny:
    """A network of one block, a mean over the past, that compiles fast."""

    vocab_size: int
    width: int = 4

    def init(self, key, tokens):
        keys = jax.random.split(key, 3)
        sizes = ((self.vocab_size, self.width), (self.width, self.width), (self.width, self.vocab_size))
        embed, block, unembed = (jax.random.normal(one, size) for one, size in zip(keys, sizes, strict=True))
        return {"embed": embed, "block": {"kernel": block, "bias": jnp.zeros(self.width)}, "unembed": unembed}

    def apply(self, params, tokens, edit=None):
        past = jnp.cumsum(params["embed"][tokens], 0) / jnp.arange(1, len(tokens) + 1)[:, None]
        held = jnp.tanh(past @ params["block"]["kernel"] + params["block"]["bias"][None])
        return held @ params["unembed"], {"resid_post": held[None]}


PARAMS = Tiny(2).init(jax.random.key(7), None)


def draw(key, _):
    return Batch(jax.random.bernoulli(key, 0.3, (4, 5)).astype(int), jnp.zeros(()))


def test_names():
    assert is_part(PARAMS, ["block/bias", "embed"]) == {
        "embed": True,
        "block": {"kernel": False, "bias": True},
        "unembed": False,
    }
    layers = eqx.filter(eqx.nn.MLP(2, 2, 4, 1, key=jax.random.key(0)), eqx.is_array)
    left = without(layers, ["layers/0"]).layers
    assert left[0].weight is None and left[1].weight is layers.layers[1].weight


def test_frozen_parts_stay_and_the_others_follow_the_loop_by_hand():
    """Adam with a weight decay and a norm over the gradients that are trained, from given params."""
    made = lambda: optax.chain(optax.clip_by_global_norm(0.1), optax.adamw(1e-2, weight_decay=0.5))
    trainer = training(Tiny(2), train_only(made(), TABLES), draw, steps=3, start=lambda source: source)
    begun = trainer.init(jax.random.key(0), without(PARAMS, ["unembed"]))
    drawn = Tiny(2).init(jax.random.split(jax.random.key(0))[0], None)
    chex.assert_trees_all_equal(begun.params, {**PARAMS, "unembed": drawn["unembed"]})
    state, _ = jax.jit(trainer.advance)(begun)

    optimizer, tables = made(), {name: begun.params[name] for name in TABLES}
    moments = optimizer.init(tables)

    def loss(tables, tokens):
        logits = jax.vmap(Tiny(2).apply, (None, 0))({**PARAMS, **tables}, tokens[:, :-1])[0]
        return optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:]).mean()

    gradient = jax.jit(jax.grad(loss))
    for step in range(3):
        changes, moments = optimizer.update(
            gradient(tables, draw(jax.random.fold_in(begun.key, step), None).tokens), moments, tables
        )
        tables = optax.apply_updates(tables, changes)
    assert abs(tables["embed"] - begun.params["embed"]).max() > 1e-3
    chex.assert_trees_all_close({name: state.params[name] for name in TABLES}, tables, atol=1e-6)
    chex.assert_trees_all_equal(state.params["block"], PARAMS["block"])


def test_learning_starts_from_networks_of_another_vocabulary(tmp_path):
    """Each seed keeps the frozen block of its own start, and the record knows the start."""
    start = without(jax.tree.map(lambda leaf: jnp.stack([leaf, leaf + 1]), PARAMS), TABLES)
    budget = runs.Budget(steps=2, batch=4, chunk=2, seeds=2)
    optimizer = ("adam, tables", train_only(optax.adam(1e-2), TABLES))

    def learn(start):
        options = {"context": 4, "optimizer": optimizer, "start": start, "folder": tmp_path / "run"}
        return runs.learn(jax.random.key(0), bg.mess3(), Tiny(3), budget, **options)

    found = learn(start)
    chex.assert_trees_all_equal(found.trained.params["block"], start["block"])
    assert abs(np.asarray(found.trained.params["embed"] - found.untrained.params["embed"])).max() > 1e-3
    with pytest.raises(ValueError, match="start"):  # of another run
        learn(jax.tree.map(lambda leaf: leaf + 1, start))
    with pytest.raises(ValueError, match=r"must hold block/bias of shape \(2, 4\), seeds first; got \(1, 4\)"):
        learn(jax.tree.map(lambda leaf: leaf[:1], start))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["embd"], "the network has no part 'embd': choose among block, bias, kernel, embed, unembed"),
        ("embed", "parts are given as a list of one name or more, such as ['embed']; got 'embed'"),
        ([], "parts are given as a list of one name or more"),
    ],
)
def test_bad_names(names, message):
    for refused in (lambda: without(PARAMS, names), lambda: train_only(optax.sgd(1), names).init(PARAMS)):
        with pytest.raises(ValueError) as raised:
            refused()
        assert message in str(raised.value)


def test_a_start_of_other_parts():
    with pytest.raises(ValueError, match="start must have the parts of this network, None for each"):
        require_start({"embed": None}, PARAMS, 1)
