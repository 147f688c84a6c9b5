from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import beliefgeo as bg
from beliefgeo.learning.training import Batch, training
from beliefgeo.networks.transformer import Transformer, TransformerConfig
from tests.cases import some_slow

NETWORK = Transformer(
    TransformerConfig(vocab_size=2, context=5, layers=1, width=16, heads=1, head_width=4, mlp_width=16)
)


def draw(key, _, batch=32):
    drawn = jax.vmap(bg.sample, (0, None, None))(jax.random.split(key, batch), bg.golden_mean(), 6)
    return Batch(drawn.tokens, -drawn.log_probabilities[:, 1:].mean())


def test_one_advance_is_the_loop_of_its_steps():
    optimizer = optax.sgd(0.3, momentum=0.9)  # Adam's first step is the sign of the gradient: noise where it is 0
    few = partial(draw, batch=4)
    init, advance = training(NETWORK, optimizer, few, steps=3)
    start = init(jax.random.key(0))
    state, metrics = jax.jit(advance)(start)

    params, moments = start.params, start.optimizer
    for step in range(3):
        batch = few(jax.random.fold_in(start.key, step), None)

        def loss(params, tokens=batch.tokens):
            terms = []
            for word in tokens:
                logits, _ = NETWORK.apply(params, word[:-1])
                terms += [-jax.nn.log_softmax(logits[t])[word[t + 1]] for t in range(5)]
            return jnp.stack(terms).mean()

        value, gradient = jax.jit(jax.value_and_grad(loss))(params)
        np.testing.assert_allclose(metrics.loss[step], value, rtol=1e-5)
        np.testing.assert_allclose(metrics.excess[step], value - batch.floor, atol=1e-5)
        changes, moments = optimizer.update(gradient, moments)
        params = optax.apply_updates(params, changes)
    assert int(state.step) == 3
    chex.assert_trees_all_close(state.params, params, atol=1e-5)


def test_one_advance_twice_is_one_of_twice_the_length():
    short, long = (training(NETWORK, optax.adam(1e-2), draw, steps=steps) for steps in (2, 4))
    start = short.init(jax.random.key(0))
    advance = jax.jit(short.advance)
    chex.assert_trees_all_equal(advance(advance(start)[0])[0], jax.jit(long.advance)(start)[0])


@pytest.mark.slow
def test_seeds_by_vmap_are_the_seeds_alone():
    init, advance = training(NETWORK, optax.sgd(0.1), draw, steps=3)
    keys = jax.random.split(jax.random.key(1), 2)
    together, _ = jax.jit(jax.vmap(advance))(jax.vmap(init)(keys))
    for seed, key in enumerate(keys):
        alone, _ = jax.jit(advance)(init(key))
        chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[seed], together.params), alone.params, atol=1e-5)  # noqa: B023


@pytest.mark.parametrize("weights", [None, (0.5, 0.1, 0.1, 0.1, 0.05, 0.1, 0.05)])
@pytest.mark.parametrize("microbatch", some_slow([1, 3, 7, 100], (1, 7)))
def test_a_batch_read_in_pieces_is_the_batch(microbatch, weights):
    """Also where the pieces do not divide its seven sequences."""
    seven = lambda key, source: draw(key, source, batch=7)._replace(weights=weights and jnp.array(weights))
    advance = lambda size: training(NETWORK, optax.sgd(0.3), seven, steps=3, microbatch=size)
    whole, pieces = advance(None), advance(microbatch)
    start = whole.init(jax.random.key(0))
    (expected, losses), (state, metrics) = jax.jit(whole.advance)(start), jax.jit(pieces.advance)(start)
    np.testing.assert_allclose(metrics.loss, losses.loss, rtol=1e-6)
    chex.assert_trees_all_close(state.params, expected.params, atol=1e-6)


def test_numbered_steps_share_one_key():
    def numbered(key, source, step):
        return draw(jax.random.fold_in(key, step), source)

    start = training(NETWORK, optax.sgd(0.3), draw, steps=2).init(jax.random.key(0))
    plain, told = (
        jax.jit(training(NETWORK, optax.sgd(0.3), function, steps=2, numbered=flag).advance)(start)
        for function, flag in ((draw, False), (numbered, True))
    )
    chex.assert_trees_all_equal(plain, told)


@pytest.mark.parametrize("microbatch", [0, -1])
def test_a_microbatch_has_a_sequence(microbatch):
    with pytest.raises(ValueError, match=f"microbatch must be at least 1 sequence; got {microbatch}"):
        training(NETWORK, optax.sgd(0.3), draw, steps=1, microbatch=microbatch)


def test_advance_compiles_once():
    chex.clear_trace_counter()
    init, advance = training(NETWORK, optax.sgd(0.1), draw, steps=2)
    advance = jax.jit(chex.assert_max_traces(advance, n=1))
    state = init(jax.random.key(0))
    for _ in range(3):
        state, _ = advance(state)


def test_init_draws_no_batch_and_gives_the_params_of_the_key():
    drawn = []

    def traced(key, source):
        drawn.append(isinstance(key, jax.core.Tracer))
        return draw(key, source)

    init, _ = training(NETWORK, optax.adam(1e-2), traced, steps=1)
    key = jax.random.key(5)
    params_key, data_key = jax.random.split(key)
    expected = NETWORK.init(params_key, draw(jax.random.fold_in(data_key, 0), None).tokens[0, :-1])
    state = init(key)
    assert drawn == [True]
    chex.assert_trees_all_equal(state.params, expected)
    chex.assert_trees_all_equal(jax.random.key_data(state.key), jax.random.key_data(data_key))


class Bigram(NamedTuple):
    """A pair of functions is a network."""

    init: Callable
    apply: Callable


def test_any_pair_of_init_and_apply_is_trained():
    """The table of log-probabilities of golden mean: after 0 either, after 1 never another 1."""
    network = Bigram(
        lambda key, tokens: {"table": 0.1 * jax.random.normal(key, (2, 2))},
        lambda params, tokens, edit=None: (params["table"][tokens], {}),
    )
    init, advance = training(network, optax.adam(0.3), draw, steps=150)
    states, metrics = jax.jit(jax.vmap(advance))(jax.vmap(init)(jax.random.split(jax.random.key(0), 2)))
    laws = jax.nn.softmax(states.params["table"], -1)
    np.testing.assert_allclose(laws, [[[0.5, 0.5], [1, 0]]] * 2, atol=0.1)


@pytest.mark.slow
def test_learns_golden_mean_to_its_entropy():
    init, advance = training(NETWORK, optax.adam(1e-2), draw, steps=1500)
    _, metrics = jax.jit(advance)(init(jax.random.key(0)))
    assert abs(metrics.excess[-200:].mean()) < 3e-3 < metrics.excess[:5].mean()


def test_the_first_params_know_neither_optimizer_nor_data():
    """Trainings of one network share the program that draws them: nothing else may enter it."""
    key = jax.random.key(3)
    one, _ = training(NETWORK, optax.adam(1e-2), draw, steps=3)
    other, _ = training(NETWORK, optax.sgd(0.3), partial(draw, batch=4), steps=1)
    program = lambda init: jax.jit(init.params).lower(key, None).as_text()
    assert program(one) == program(other)
    chex.assert_trees_all_equal(one(key).params, one.params(key, None))
    chex.assert_trees_all_equal(one(key).params, other(key).params)
