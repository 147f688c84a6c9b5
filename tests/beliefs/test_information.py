import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from tests import oracle
from tests.cases import ALL


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_block_entropies_against_the_oracle(name, precision):
    with jax.enable_x64(precision == "float64"):
        process = ALL[name]()
        exact = [oracle.block_entropy(process, length) for length in range(4)]
        tolerance = {"float32": 1e-5, "float64": 1e-10}[precision]
        np.testing.assert_allclose(bg.block_entropies(process, 3), exact, atol=tolerance)
        np.testing.assert_allclose(bg.myopic_entropies(process, 3), np.diff(exact), atol=tolerance)


def test_optimum_of_the_paper():
    np.testing.assert_allclose(bg.myopic_entropies(bg.mess3(), 11)[1:].mean(), 0.802512, atol=1e-6)
    np.testing.assert_allclose(bg.myopic_entropies(bg.mess3(0.15, 0.6), 11)[1:].mean(), 1.089171, atol=1e-6)
    np.testing.assert_allclose(bg.myopic_entropies(bg.rrxor(), 11)[1:].mean(), 0.578185, atol=1e-6)


def test_short_lengths():
    assert bg.block_entropies(bg.mess3(), 0).tolist() == [0.0]
    assert bg.myopic_entropies(bg.mess3(), 0).shape == (0,)
    np.testing.assert_allclose(bg.myopic_entropies(bg.mess3(), 1), [np.log(3)], rtol=1e-6)
    with pytest.raises(ValueError, match="more than half of this machine's memory"):
        bg.block_entropies(bg.mess3(), 30)
    with pytest.raises(ValueError, match="length must be 0 or more"):
        bg.block_entropies(bg.mess3(), -1)


def test_conditioning_never_raises_entropy():
    assert (np.diff(bg.myopic_entropies(bg.random_hmm(jax.random.key(0), 4, 3), 6)) <= 1e-6).all()


def test_gradients_beside_impossible_words(x64):
    entropy = lambda p: bg.block_entropies(bg.golden_mean(p), 5)[-1]
    numeric = (entropy(0.4 + 1e-6) - entropy(0.4 - 1e-6)) / 2e-6
    np.testing.assert_allclose(jax.grad(entropy)(0.4), numeric, rtol=1e-6)


def test_eager_jit_vmap_and_loop_agree_and_compile_once():
    chex.clear_trace_counter()
    jitted = jax.jit(chex.assert_max_traces(lambda x: bg.block_entropies(bg.mess3(x), 4), n=1))
    xs = jnp.array([0.05, 0.1, 0.3])
    batch = jax.vmap(lambda x: bg.block_entropies(bg.mess3(x), 4))(xs)
    for index, x in enumerate(xs):
        np.testing.assert_allclose(jitted(x), bg.block_entropies(bg.mess3(x), 4), rtol=1e-5)
        np.testing.assert_allclose(jitted(x), batch[index], rtol=1e-5)
