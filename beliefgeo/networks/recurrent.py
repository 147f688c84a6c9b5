"""Recurrent networks on one sequence of tokens, with the transformer's signature; batches and seeds by `jax.vmap`."""

from dataclasses import dataclass
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from beliefgeo.networks.network import Activations, Edit, edited, nan_outside_vocabulary

_CELLS = {"rnn": nn.SimpleCell, "gru": nn.GRUCell, "lstm": nn.OptimizedLSTMCell}


@dataclass(frozen=True)
class RecurrentConfig:
    """Sizes of a stack of recurrent layers; the defaults are from Riechers, Elliott, Shai 2507.07432.

    Attributes:
        vocab_size: The number of tokens that the network reads, as one-hot vectors, and predicts.
        cell: A vanilla RNN (tanh), a gated recurrent unit, or long short-term memory.
        layers: The number of layers; each takes the outputs of the layer below.
        width: The hidden width of each layer.
    """

    vocab_size: int = 3
    cell: Literal["rnn", "gru", "lstm"] = "lstm"
    layers: int = 4
    width: int = 64


class Recurrent(nn.Module):
    """Tokens `[time]`, any number of them, to `(logits [time, vocab], activations)`.

    Activations have the transformer's site names, so that every analysis accepts them: `embed [time, vocab]`, the
    one-hot tokens; `resid_post [layer, time, width]`, the hidden outputs of each layer (an LSTM's h, not its cell);
    `final_norm [time, width]`, the input of the unembedding: the last layer's output, which is not normalised.

    >>> network = Recurrent(RecurrentConfig(cell="gru"))
    >>> tokens = jnp.array([0, 1, 2])
    >>> logits, activations = network.apply(network.init(jax.random.key(0), tokens), tokens)
    >>> logits.shape, activations["resid_post"].shape
    ((3, 3), (4, 3, 64))

    Attributes:
        config: Its sizes.
    """

    config: RecurrentConfig

    @nn.compact
    def __call__(
        self, tokens: Int[Array, "..."], edit: Edit | None = None
    ) -> tuple[Float[Array, "time vocab"], Activations]:
        """Read one sequence; a traced token outside the vocabulary gives NaN from there on.

        Args:
            tokens: any number.
            edit: called at every site above: at `resid_post` once for each layer, with the layer's outputs
                `[time, width]`; at the other sites with layer None. It changes the input of the next layer; it does not
                change the recurrence inside a layer, from one token to the next.

        Raises:
            ValueError: tokens is not one sequence; (concrete tokens only) a token outside the vocabulary; an edit that
                changes a shape.
        """
        config = self.config
        if tokens.ndim != 1:
            raise ValueError(
                f"the network reads one sequence of tokens; got shape {tokens.shape}: use jax.vmap for a batch"
            )
        one_hot = nan_outside_vocabulary(tokens, jax.nn.one_hot(tokens, config.vocab_size), config.vocab_size)
        hidden = embed = edited(edit, None, "embed", one_hot)
        layers = []
        for layer in range(config.layers):
            cell = _CELLS[config.cell](config.width, parent=None)
            hidden = jnp.asarray(nn.RNN(cell, name=f"layer_{layer}")(hidden))
            hidden = edited(edit, layer, "resid_post", hidden)
            layers.append(hidden)
        final = edited(edit, None, "final_norm", hidden)
        logits = nn.Dense(config.vocab_size, name="unembed")(final)
        return logits, {"embed": embed, "resid_post": jnp.stack(layers), "final_norm": final}
