"""The published network in PyTorch and in TransformerLens, and their steps of Adam."""

from collections.abc import Callable

import numpy as np
import torch

from beliefgeo.networks import TransformerConfig

CONFIG, RATE = TransformerConfig(), 1e-3


class Block(torch.nn.Module):
    """Pre-LayerNorm attention and MLP."""

    def __init__(self):
        """As CONFIG says."""
        super().__init__()
        inner = CONFIG.heads * CONFIG.head_width
        self.attention_norm, self.mlp_norm = torch.nn.LayerNorm(CONFIG.width), torch.nn.LayerNorm(CONFIG.width)
        self.query_key_value, self.output = (
            torch.nn.Linear(CONFIG.width, 3 * inner),
            torch.nn.Linear(inner, CONFIG.width),
        )
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(CONFIG.width, CONFIG.mlp_width),
            torch.nn.ReLU(),
            torch.nn.Linear(CONFIG.mlp_width, CONFIG.width),
        )

    def forward(self, residual):
        """Read `[batch, time, width]`."""
        split = lambda entries: entries.unflatten(-1, (CONFIG.heads, CONFIG.head_width)).transpose(1, 2)
        query, key, value = map(split, self.query_key_value(self.attention_norm(residual)).chunk(3, -1))
        mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        residual = residual + self.output(mixed.transpose(1, 2).flatten(2))
        return residual + self.mlp(self.mlp_norm(residual))


class TorchTransformer(torch.nn.Module):
    """The network of CONFIG, written in PyTorch."""

    def __init__(self):
        """As CONFIG says."""
        super().__init__()
        self.embed = torch.nn.Embedding(CONFIG.vocab_size, CONFIG.width)
        self.positions = torch.nn.Embedding(CONFIG.context, CONFIG.width)
        self.blocks = torch.nn.Sequential(*[Block() for _ in range(CONFIG.layers)])
        self.final_norm, self.unembed = (
            torch.nn.LayerNorm(CONFIG.width),
            torch.nn.Linear(CONFIG.width, CONFIG.vocab_size),
        )

    def forward(self, tokens):
        """Logits of `[batch, time]` tokens."""
        residual = self.embed(tokens) + self.positions.weight[: tokens.shape[1]]
        return self.unembed(self.final_norm(self.blocks(residual)))


def torch_steps(network: torch.nn.Module, tokens: np.ndarray, count: int) -> Callable[[], None]:
    """`count` steps of Adam on one batch."""
    held = torch.as_tensor(tokens.astype(np.int64))
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)

    def steps():
        loss = torch.zeros(())
        for _ in range(count):
            optimizer.zero_grad(set_to_none=True)
            logits = network(held[:, :-1])
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), held[:, 1:].flatten())
            loss.backward()
            optimizer.step()
        loss.item()

    return steps


def transformer_lens() -> torch.nn.Module:
    """The same network in TransformerLens."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig  # pyright: ignore[reportMissingImports]

    return HookedTransformer(
        HookedTransformerConfig(
            d_model=CONFIG.width,
            n_layers=CONFIG.layers,
            n_heads=CONFIG.heads,
            d_head=CONFIG.head_width,
            d_mlp=CONFIG.mlp_width,
            n_ctx=CONFIG.context,
            d_vocab=CONFIG.vocab_size,
            act_fn="relu",
            normalization_type="LN",
            device="cpu",
        )
    )
