"""An observer against matrices built by hand: words, laws, a long sequence and a sample, in float64 NumPy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

import beliefgeo as bg
from beliefgeo.processes.process import Process
from tests import oracle

KEY = jax.random.key(11)


def by_hand(transitions, initial, readout=None):
    """A Process without any check."""
    ones = np.ones(len(initial))
    return Process(jnp.asarray(transitions), jnp.asarray(initial), jnp.asarray(ones if readout is None else readout))


def assert_same(process, joint, length=2, long=10):
    """In float64: call with the fixture x64."""
    vocab_size = len(oracle.matrices(joint))
    assert process.vocab_size == vocab_size
    exact = [oracle.joint_probability(joint, word) for word in itertools.product(range(vocab_size), repeat=length)]
    words = bg.words(process, length)
    places = words.tokens @ vocab_size ** np.arange(length - 1, -1, -1)
    found = np.zeros(vocab_size**length)
    found[places] = words.probabilities
    np.testing.assert_allclose(found, exact, atol=1e-14)

    drawn = jax.jit(lambda key: bg.sample(key, process, long))(KEY)  # of the tokens the observer's own law allows
    tokens = drawn.tokens.tolist()
    filtered = bg.filter_beliefs(process, tokens)
    np.testing.assert_allclose(drawn.beliefs, filtered.beliefs, atol=1e-12)
    np.testing.assert_allclose(drawn.log_probabilities, filtered.log_probabilities, atol=1e-12)
    exact = np.log(oracle.joint_probability(joint, tokens))
    np.testing.assert_allclose(bg.log_probability(process, tokens), exact, rtol=1e-11)
    for t in (0, 1, long):
        law = process.predict(filtered.beliefs[t])
        np.testing.assert_allclose(law, oracle.conditional(joint, tokens[:t]), atol=1e-12)
    if hasattr(process, "joint"):
        ours = process.joint()
        np.testing.assert_allclose(ours.transitions, joint.transitions, atol=1e-15)
        np.testing.assert_allclose(ours.initial, joint.initial, atol=1e-15)
        np.testing.assert_allclose(ours.readout, joint.readout, atol=1e-15)


def assert_unknown_tokens_are_refused(process, reached):
    """`reached`: a belief to update."""
    for outside in (-1, process.vocab_size):
        with np.testing.assert_raises_regex(
            ValueError, f"tokens must lie in 0..{process.vocab_size - 1}; got {outside}"
        ):
            bg.filter_beliefs(process, [outside])
        assert np.isnan(jax.jit(lambda token: process.update(reached, token))(jnp.int32(outside))).all()


def assert_differentiable(log_probability, at):
    """In float64: the gradient of a function of one parameter against its quotient of differences."""
    compiled = jax.jit(jax.value_and_grad(log_probability))
    numeric = (compiled(at + 1e-6)[0] - compiled(at - 1e-6)[0]) / 2e-6
    np.testing.assert_allclose(compiled(at)[1], numeric, rtol=1e-7)


def assert_batched(process, words):
    """A batch by vmap is each of its sequences."""
    batched = jax.vmap(lambda word: bg.log_probability(process, word))(words)
    np.testing.assert_allclose(batched, [bg.log_probability(process, word) for word in words], rtol=1e-12)
