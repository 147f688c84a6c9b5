import jax
import jax.numpy as jnp
import numpy as np

from beliefgeo.networks.norm import LayerNorm


def test_value_and_gradient_are_those_of_the_formula():
    keys = jax.random.split(jax.random.key(0), 3)
    x = 3 + jax.random.normal(keys[0], (5, 12))
    params = {"params": {"scale": jax.random.normal(keys[1], (12,)), "bias": jax.random.normal(keys[2], (12,))}}

    def formula(params, x):
        centred = x - x.mean(-1, keepdims=True)
        normed = centred / jnp.sqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-6)
        return normed * params["params"]["scale"][None] + params["params"]["bias"][None]

    np.testing.assert_allclose(LayerNorm().apply(params, x), formula(params, x), atol=1e-5)
    weights = jnp.arange(60.0).reshape(5, 12) / 60
    ours, expected = (
        jax.grad(lambda params, x: (weights * f(params, x)).sum(), (0, 1))(params, x)  # noqa: B023
        for f in (LayerNorm().apply, formula)
    )
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_starts_as_a_plain_norm():
    params = LayerNorm().init(jax.random.key(0), jnp.ones((2, 3)))["params"]
    np.testing.assert_array_equal(params["scale"], [1, 1, 1])
    np.testing.assert_array_equal(params["bias"], [0, 0, 0])
