"""Recurrent networks on one sequence of tokens, with the transformer's signature; batches and seeds by `jax.vmap`."""

from dataclasses import dataclass
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from beliefgeo.networks.transformer import Activations

_CELLS = {"rnn": nn.SimpleCell, "gru": nn.GRUCell, "lstm": nn.OptimizedLSTMCell}


@dataclass(frozen=True)
class RecurrentConfig:
    """Sizes of a stack of recurrent layers; the defaults are those of Riechers, Elliott, Shai 2507.07432."""

    vocab_size: int = 3
    """Number of tokens it reads, one-hot, and predicts."""
    cell: Literal["rnn", "gru", "lstm"] = "lstm"
    """A vanilla RNN (tanh), a gated recurrent unit, or long short-term memory."""
    layers: int = 4
    """Layers, each reading the outputs of the one below."""
    width: int = 64
    """Hidden width of each layer."""


class Recurrent(nn.Module):
    """Tokens `[time]`, any number of them, to `(logits [time, vocab], activations)`.

    Activations by site, named as the transformer's so that every analysis reads them: `embed [time, vocab]`, the
    one-hot tokens; `resid_post [layer, time, width]`, the hidden outputs of each layer (an LSTM's h, not its cell);
    `final_norm [time, width]`, what the unembedding reads: the last layer's output, which is not normalised.

    >>> network = Recurrent(RecurrentConfig(cell="gru"))
    >>> tokens = jnp.array([0, 1, 2])
    >>> logits, activations = network.apply(network.init(jax.random.key(0), tokens), tokens)
    >>> logits.shape, activations["resid_post"].shape
    ((3, 3), (4, 3, 64))
    """

    config: RecurrentConfig

    @nn.compact
    def __call__(self, tokens: Int[Array, "..."]) -> tuple[Float[Array, "time vocab"], Activations]:
        """Read one sequence.

        Raises:
            ValueError: tokens is not one sequence.
        """
        config = self.config
        if tokens.ndim != 1:
            raise ValueError(
                f"the network reads one sequence of tokens; got shape {tokens.shape}: use jax.vmap for a batch"
            )
        hidden = embed = jax.nn.one_hot(tokens, config.vocab_size)
        layers = []
        for layer in range(config.layers):
            cell = _CELLS[config.cell](config.width, parent=None)
            hidden = jnp.asarray(nn.RNN(cell, name=f"layer_{layer}")(hidden))
            layers.append(hidden)
        logits = nn.Dense(config.vocab_size, name="unembed")(hidden)
        return logits, {"embed": embed, "resid_post": jnp.stack(layers), "final_norm": hidden}
