"""A causal transformer on one sequence of tokens; batches and seeds by `jax.vmap`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from beliefgeo.networks.network import Activations, Edit, edited, nan_outside_vocabulary
from beliefgeo.networks.norm import LayerNorm

# What a block does at its sites: (site, value) -> value.
_AtSite = Callable[[str, Array], Array]


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of a decoder-only transformer, with pre-LayerNorm or none; the defaults are from Shai et al. 2405.15943.

    Attributes:
        vocab_size: The number of tokens that the network reads and predicts.
        context: The longest sequence that the network reads (positions are learned).
        layers: The number of blocks.
        width: The width of the residual stream.
        heads: The number of attention heads in each block.
        head_width: The width of each head, independent of the model's width.
        mlp_width: The hidden width of each block's MLP; 0 for blocks of attention only.
        activation: The nonlinearity of the MLP.
        layer_norm: Whether the inputs of each attention, each MLP and the unembedding are normalised; else they are the
            residual.
        detached: What the loss at a position does not train at the positions that it attends to, besides itself
            (myopic training, Wu et al. 2404.00859); logits and activations are the same, only gradients differ. None:
            it trains all. "residual": not what they compute, but how it reads this: the maps from their residuals to
            keys and values. "keys and values": nor these maps, which then learn from attention to oneself alone.
    """

    vocab_size: int = 3
    context: int = 10
    layers: int = 4
    width: int = 64
    heads: int = 1
    head_width: int = 8
    mlp_width: int = 256
    activation: Literal["relu", "gelu"] = "relu"
    layer_norm: bool = True
    detached: Literal["residual", "keys and values"] | None = None


class Past(NamedTuple):
    """What each position follows, where the tokens are not one sequence but prefixes that branch.

    Attributes:
        place: The number of tokens before it.
        seen: Whether it sees another position: those before it on its branch, and itself.
    """

    place: Int[Array, " time"]
    seen: Bool[Array, "time time"]


class Transformer(nn.Module):
    """Tokens `[time]` to `(logits [time, vocab], activations)`.

    Activations by site: `embed [time, width]`; `resid_pre`, `resid_mid`, `resid_post [layer, time, width]`;
    `attn_pattern [layer, head, time, time]` (row: the position that attends, column: the position attended to);
    `final_norm [time, width]`. Under jit, sites that a caller does not use are never computed. In blocks without an MLP
    `resid_post` is `resid_mid`; without LayerNorm `final_norm` is the last `resid_post`.

    >>> network = Transformer(TransformerConfig())
    >>> tokens = jnp.array([0, 1, 2])
    >>> logits, activations = network.apply(network.init(jax.random.key(0), tokens), tokens)
    >>> logits.shape, activations["resid_post"].shape
    ((3, 3), (4, 3, 64))

    Attributes:
        config: Its sizes.
    """

    config: TransformerConfig

    @nn.compact
    def __call__(
        self, tokens: Int[Array, "..."], edit: Edit | None = None, past: Past | None = None
    ) -> tuple[Float[Array, "time vocab"], Activations]:
        """Read one sequence; a traced token outside the vocabulary makes every logit of the sequence NaN.

        Args:
            tokens: no more tokens than the context.
            edit: called at every site above: at `embed` and `final_norm` with layer None, at the other sites once for
                each layer with the layer's value, such as `[time, width]`. What follows gets the value it returns.
            past: what each position follows; default: all tokens before it.

        Raises:
            ValueError: tokens is not one sequence, or is longer than the context; (concrete tokens only) a token
                outside the vocabulary; an edit that changes a shape.
        """
        config = self.config
        if tokens.ndim != 1 or (past is None and len(tokens) > config.context):
            raise ValueError(
                f"the transformer reads one sequence of at most {config.context} tokens (its context); got shape "
                f"{tokens.shape}: shorten it, or use jax.vmap for a batch"
            )
        if past is None:
            past = Past(jnp.arange(len(tokens)), jnp.tril(jnp.ones((len(tokens), len(tokens)), bool)))
        embed = nn.Embed(config.vocab_size, config.width, name="embed")(tokens)
        positions = nn.Embed(config.context, config.width, name="positions")(past.place)
        embed = nan_outside_vocabulary(tokens, embed + positions, config.vocab_size)
        residual = embed = edited(edit, None, "embed", embed)
        sites = []
        for layer in range(config.layers):
            residual, site = _Block(config, name=f"block_{layer}")(residual, past.seen, partial(edited, edit, layer))
            sites.append(site)
        final_norm = edited(edit, None, "final_norm", _norm(config, "final_norm")(residual))
        logits = nn.Dense(config.vocab_size, name="unembed")(final_norm)
        by_layer = jax.tree.map(lambda *layers: jnp.stack(layers), *sites)
        return logits, {"embed": embed, **by_layer, "final_norm": final_norm}


class _Block(nn.Module):
    config: TransformerConfig

    @nn.compact
    def __call__(
        self, residual: Float[Array, "time width"], seen: Bool[Array, "time time"], at: _AtSite
    ) -> tuple[Float[Array, "time width"], Activations]:
        config = self.config
        residual = at("resid_pre", residual)
        norm = _norm(config, "attention_norm")
        normed = norm(residual)
        others = norm(jax.lax.stop_gradient(residual)) if config.detached == "residual" else normed
        attended, pattern = _Attention(config, name="attention")(normed, others, seen, at)
        after = middle = at("resid_mid", residual + attended)
        if config.mlp_width:
            hidden = nn.Dense(config.mlp_width, name="mlp_in")(_norm(config, "mlp_norm")(middle))
            nonlinearity = {"relu": nn.relu, "gelu": nn.gelu}[config.activation]
            after = middle + nn.Dense(config.width, name="mlp_out")(nonlinearity(hidden))
        after = at("resid_post", after)
        return after, {"resid_pre": residual, "resid_mid": middle, "resid_post": after, "attn_pattern": pattern}


def _norm(config: TransformerConfig, name: str) -> Callable[[Array], Array]:
    return LayerNorm(name=name) if config.layer_norm else lambda residual: residual


class _Attention(nn.Module):
    config: TransformerConfig

    @nn.compact
    def __call__(
        self,
        normed: Float[Array, "time width"],
        others: Float[Array, "time width"],
        seen: Bool[Array, "time time"],
        at: _AtSite,
    ) -> tuple[Float[Array, "time width"], Float[Array, "head time time"]]:
        """What each position reads, and the pattern; others is the same array as normed, as other positions read it."""
        shape = (self.config.heads, self.config.head_width)
        to_query, to_key, to_value = (nn.DenseGeneral(shape, name=name) for name in ("query", "key", "value"))
        query, key, value = to_query(normed), to_key(normed), to_value(normed)
        read_key, read_value = (key, value) if others is normed else (to_key(others), to_value(others))
        if self.config.detached == "keys and values":
            read_key, read_value = jax.lax.stop_gradient((key, value))
        scores = jnp.einsum("thw,shw->hts", query, read_key)
        if self.config.detached:
            # A position reads itself with all gradients: the difference is 0, its gradient is not.
            own = jnp.einsum("thw,thw->ht", query, key - read_key)
            scores = scores + jnp.eye(len(normed))[None] * own[:, :, None]
        pattern = at(
            "attn_pattern", nn.softmax(jnp.where(seen[None], scores / jnp.sqrt(self.config.head_width), -jnp.inf))
        )
        mixed = jnp.einsum("hts,shw->thw", pattern, read_value)
        if self.config.detached:
            mixed = mixed + jnp.einsum("htt->th", pattern)[:, :, None] * (value - read_value)
        return nn.DenseGeneral(self.config.width, axis=(-2, -1), name="output")(mixed), pattern
