"""LayerNorm whose means are matrix products."""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float


class LayerNorm(nn.Module):
    """(x - mean) / sqrt(variance + 1e-6) * scale + bias, over the width.

    Means, and their broadcast back to the width, are products with a column and with a row. Otherwise a gradient needs
    sums over the width, which take a fifth of a training step on CPUs.

    >>> import jax
    >>> x = jnp.array([[1.0, 3.0]])
    >>> LayerNorm().apply(LayerNorm().init(jax.random.key(0), x), x).round(3).tolist()
    [[-1.0, 1.0]]
    """

    @nn.compact
    def __call__(self, residual: Float[Array, "time width"]) -> Float[Array, "time width"]:
        """Normalise each row."""
        width = residual.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (width,))
        bias = self.param("bias", nn.initializers.zeros, (width,))
        product = partial(jnp.matmul, precision="highest")
        column, row = jnp.full((width, 1), 1 / width, residual.dtype), jnp.ones((1, width), residual.dtype)
        centred = residual - product(product(residual, column), row)
        deviation = jnp.sqrt(product(jnp.square(centred), column) + 1e-6)
        return centred * product(1 / deviation, row) * scale[None] + bias[None]
