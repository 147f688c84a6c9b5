"""The contract, and networks of other libraries beside the same formula called directly."""

import subprocess
import sys

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import beliefgeo as bg
from beliefgeo.learning.sharding import spread
from beliefgeo.learning.training import Batch, training
from beliefgeo.networks.network import Network, from_equinox, from_nnx, predicted_tokens
from beliefgeo.networks.recurrent import Recurrent, RecurrentConfig
from beliefgeo.networks.transformer import Transformer, TransformerConfig

TOKENS = jnp.array([0, 1, 1, 0, 1])


class EquinoxNet(eqx.Module):
    """A token and the one before it; an integer array, a function and a name are no params."""

    embed: eqx.nn.Embedding
    mlp: eqx.nn.MLP
    order: jax.Array
    name: str

    def __init__(self, key):
        first, second = jax.random.split(key)
        self.embed = eqx.nn.Embedding(2, 8, key=first)
        self.mlp = eqx.nn.MLP(16, 2, 16, 1, key=second)
        self.order = jnp.array([1, 0])
        self.name = "two tokens"

    def __call__(self, tokens, edit=None):
        embed = jax.vmap(self.embed)(self.order[tokens])
        embed = embed if edit is None else edit("embed", None, embed)
        before = jnp.pad(embed, ((1, 0), (0, 0)))[:-1]
        return jax.vmap(self.mlp)(jnp.concatenate([embed, before], 1)), {"embed": embed}


class NNXNet(nnx.Module):
    """The same, with dropout that never drops: its random state is no param."""

    def __init__(self, rngs):
        self.embed = nnx.Embed(2, 8, rngs=rngs)
        self.hidden = nnx.Linear(16, 16, rngs=rngs)
        self.out = nnx.Linear(16, 2, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, deterministic=True, rngs=rngs)

    def __call__(self, tokens, edit=None):
        embed = self.embed(tokens)
        embed = embed if edit is None else edit("embed", None, embed)
        before = jnp.pad(embed, ((1, 0), (0, 0)))[:-1]
        hidden = self.dropout(jax.nn.relu(self.hidden(jnp.concatenate([embed, before], 1))))
        return self.out(hidden), {"embed": embed}


class LogitsOnly(eqx.Module):
    """Whatever function of its table and the tokens: by default a Bigram."""

    table: jax.Array
    function: object = eqx.field(static=True)

    def __call__(self, tokens):
        return self.function(self.table, tokens)


def logits_only(function=lambda table, tokens: table[tokens]):
    return from_equinox(lambda key: LogitsOnly(jax.random.normal(key, (2, 2)), function))


class NNXLogitsOnly(nnx.Module):
    def __init__(self, rngs):
        self.table = nnx.Param(jax.random.normal(rngs.params(), (2, 2)))

    def __call__(self, tokens):
        return self.table[tokens]


EQUINOX, NNX = from_equinox(EquinoxNet), from_nnx(NNXNet)
both = pytest.mark.parametrize("network", [EQUINOX, NNX], ids=["equinox", "nnx"])
DIRECT = {EQUINOX: lambda key: EquinoxNet(key), NNX: lambda key: NNXNet(nnx.Rngs(key))}


def draw(key, _):
    drawn = jax.vmap(bg.sample, (0, None, None))(jax.random.split(key, 64), bg.golden_mean(), 6)
    return Batch(drawn.tokens, -drawn.log_probabilities[:, 1:].mean())


def numbers(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def test_what_is_a_network():
    ours = [Transformer(TransformerConfig()), Recurrent(RecurrentConfig()), EQUINOX, NNX, logits_only()]
    assert all(isinstance(network, Network) for network in ours)
    assert not isinstance(EquinoxNet(jax.random.key(0)), Network) and not isinstance("a name", Network)


@pytest.mark.parametrize(
    ("network", "expected"),
    [(Transformer(TransformerConfig(vocab_size=7)), 7), (Recurrent(RecurrentConfig(vocab_size=4)), 4), (NNX, 2)],
    ids=["transformer", "recurrent", "nnx"],
)
def test_predicted_tokens(network, expected):
    params = network.init(jax.random.key(0), TOKENS)
    assert predicted_tokens(network, params, TOKENS) == expected
    assert predicted_tokens(network, params, jax.ShapeDtypeStruct((3,), jnp.int32)) == expected


@both
def test_values_are_those_of_the_module(network):
    key = jax.random.key(3)
    params = network.init(key, TOKENS)
    expected = DIRECT[network](key)(TOKENS)
    for read in (network.apply, jax.jit(network.apply)):
        logits, activations = read(params, TOKENS)
        np.testing.assert_allclose(logits, expected[0], atol=1e-6)
        np.testing.assert_allclose(activations["embed"], expected[1]["embed"], atol=1e-6)


@both
def test_params_are_the_floating_arrays_alone(network):
    leaves = numbers(network.init(jax.random.key(0), TOKENS))
    assert all(leaf.dtype == np.float32 for leaf in leaves)
    assert sum(leaf.size for leaf in leaves) == 2 * 8 + (16 * 16 + 16) + (16 * 2 + 2)


@both
def test_seeds_and_words_by_vmap_are_each_alone(network):
    keys, words = jax.random.split(jax.random.key(0), 3), jnp.stack([TOKENS, 1 - TOKENS])
    params = jax.jit(jax.vmap(network.init, (0, None)))(keys, TOKENS)
    logits = jax.jit(jax.vmap(jax.vmap(network.apply, (None, 0)), (0, None)))(params, words)[0]
    for seed, key in enumerate(keys):
        module = DIRECT[network](key)
        for word, tokens in enumerate(words):
            np.testing.assert_allclose(logits[seed, word], module(tokens)[0], atol=1e-5)


@both
def test_the_gradient_is_the_directional_derivative(network):
    params = network.init(jax.random.key(0), TOKENS)
    total = lambda params: (network.apply(params, TOKENS)[0] ** 2).sum()
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    step = [1e-2 * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)]
    move = lambda sign: jax.tree.unflatten(tree, [x + sign * s for x, s in zip(leaves, step, strict=True)])
    gradient = jax.tree.leaves(jax.jit(jax.grad(total))(params))
    expected = sum(float((g * s).sum()) for g, s in zip(gradient, step, strict=True))
    np.testing.assert_allclose((total(move(1)) - total(move(-1))) / 2, expected, rtol=5e-2)


@both
def test_two_seeds_learn(network):
    """Golden mean's loss falls from about ln 2 towards its entropy; each seed as it would alone."""
    init, advance = training(network, optax.lion(1e-2), draw, steps=60)
    keys = jax.random.split(jax.random.key(0), 2)
    state, metrics = jax.jit(jax.vmap(advance))(jax.jit(jax.vmap(init))(keys))
    first, last = metrics.excess[:, :5].mean(1), metrics.excess[:, -5:].mean(1)
    assert (first > 0.1).all() and (last < 0.05).all(), (first, last)
    for before, after in zip(numbers(jax.vmap(init)(keys).params), numbers(state.params), strict=True):
        assert (before != after).any() and not np.array_equal(after[0], after[1])
    alone, losses = jax.jit(advance)(init(keys[1]))
    np.testing.assert_allclose(metrics.loss[1, :20], losses.loss[:20], rtol=1e-3)


@both
def test_spread_over_devices(network):
    keys = jax.random.split(jax.random.key(0), 2)
    trained = training(network, optax.sgd(0.1), draw, steps=3)
    everywhere = spread(trained, keys)
    state, metrics = everywhere.advance(everywhere.init(keys, None))
    alone, expected = jax.jit(jax.vmap(trained.advance))(jax.vmap(trained.init)(keys))
    np.testing.assert_allclose(metrics.loss, expected.loss, rtol=1e-5)
    for one, other in zip(numbers(state.params), numbers(alone.params), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@both
def test_an_edit_reaches_the_module(network):
    params = network.init(jax.random.key(0), TOKENS)
    expected = network.apply(params, 1 - TOKENS)
    patch = lambda site, layer, value: expected[1]["embed"] if site == "embed" else value
    logits, activations = jax.jit(lambda params: network.apply(params, TOKENS, patch))(params)
    np.testing.assert_allclose(logits, expected[0], atol=1e-6)
    np.testing.assert_array_equal(activations["embed"], expected[1]["embed"])


@pytest.mark.parametrize("network", [logits_only(), from_nnx(NNXLogitsOnly)], ids=["equinox", "nnx"])
def test_logits_alone(network):
    params = network.init(jax.random.key(0), TOKENS)
    logits, activations = network.apply(params, TOKENS)
    np.testing.assert_array_equal(logits, numbers(params)[0][np.asarray(TOKENS)])
    assert activations == {}
    with pytest.raises(ValueError, match=r"LogitsOnly takes no edit: give its __call__ an argument edit=None"):
        network.apply(params, TOKENS, lambda site, layer, value: value)


def test_adapters_of_one_make_are_equal_and_compile_once():
    assert from_equinox(EquinoxNet) == EQUINOX and hash(from_equinox(EquinoxNet)) == hash(EQUINOX)
    assert from_nnx(NNXNet) == NNX and hash(from_nnx(NNXNet)) == hash(NNX)
    assert EQUINOX != NNX and from_nnx(NNXNet) != from_nnx(NNXLogitsOnly)
    traces = []

    def read(network, params):
        traces.append(network)
        return network.apply(params, TOKENS)[0]

    read = jax.jit(read, static_argnums=0)
    for make, adapter in ((EquinoxNet, from_equinox), (NNXNet, from_nnx)):
        for _ in range(3):
            network = adapter(make)
            read(network, network.init(jax.random.key(0), TOKENS))
    assert traces == [EQUINOX, NNX]


def test_calls_of_an_nnx_module_leave_no_trace():
    """A module that counts its calls counts from the start in each."""

    class Counts(nnx.Module):
        def __init__(self, rngs):
            self.calls = nnx.BatchStat(jnp.zeros(()))
            self.table = nnx.Param(jnp.eye(2))

        def __call__(self, tokens):
            self.calls[...] = self.calls[...] + 1
            return self.table[tokens] + self.calls[...]

    network = from_nnx(Counts)
    params = network.init(jax.random.key(0), TOKENS)
    for read in (network.apply, jax.jit(network.apply), jax.jit(network.apply), network.apply):
        np.testing.assert_array_equal(read(params, TOKENS)[0], np.eye(2)[np.asarray(TOKENS)] + 1)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda table, tokens: table[tokens][None],
            r"logits \[time, vocab\], a row for each of the 5 tokens .*\(1, 5, 2\)",
        ),
        (lambda table, tokens: table[tokens][-1], r"a row for each of the 5 tokens read, .* got .* of shape \(2,\)"),
        (lambda table, tokens: table[tokens][:3], r"or \(logits, activations\); got .* of shape \(3, 2\)"),
        (lambda table, tokens: None, r"got NoneType of shape None"),
        (lambda table, tokens: (table[tokens], table[tokens], {}), r"got tuple of shape None"),
        (lambda table, tokens: (table[tokens], table), r"activations by site name; got .*: use a dict"),
        (
            lambda table, tokens: (table[tokens], {"embed": table[0]}),
            r"of the 5 tokens read; got shape \(2,\) at embed",
        ),
        (lambda table, tokens: (table[tokens], {"embed": table}), r"got shape \(2, 2\) at embed"),
    ],
)
def test_a_wrong_return(function, message):
    network = logits_only(function)
    with pytest.raises(ValueError, match="LogitsOnly must give .*" + message):
        network.apply(network.init(jax.random.key(0), TOKENS), TOKENS)


def test_a_wrong_make():
    with pytest.raises(TypeError, match=r"make must give an equinox module .* with tokens \[time\]; got Transformer"):
        from_equinox(lambda key: Transformer(TransformerConfig()))
    with pytest.raises(TypeError, match=r"make must give an nnx module .*; got Dense"):
        from_nnx(lambda rngs: nn.Dense(3))
    with pytest.raises(TypeError, match=r"make must give an equinox module that is called .*; got Process"):
        from_equinox(lambda key: bg.golden_mean())


def test_nnx_is_imported_by_its_adapter_alone():
    code = """if True:
        import sys, beliefgeo, beliefgeo.networks.network, beliefgeo.networks.transformer, beliefgeo.learning.training
        before = "flax.nnx" in sys.modules
        try:
            beliefgeo.networks.network.from_nnx(lambda rngs: None)
        except TypeError:
            print(before, "flax.nnx" in sys.modules)"""
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False True\n"
    )
