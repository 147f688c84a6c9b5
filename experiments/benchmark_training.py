"""How fast a network trains, beside the same network in PyTorch and TransformerLens, measured side by side in one run.

The published network (4 layers, 1 head of 8, width 64, MLP 256, context 10; 2405.15943), Adam, one step on 64 and on
1024 sequences. Ours draws its sequences inside the step; the others are given one batch, drawn beforehand. Floor: the
step's matrix products at the speed of one large product, 2048 x 2048 x 2048 in float32. Repetitions are interleaved, so
that a slow moment of the machine hits all alike; medians and quartiles are compared. TransformerLens is measured where
it is installed, the compiled PyTorch where there is a C++ compiler.

    pip install -e ".[bench]" && python experiments/benchmark_training.py
    pip install "transformer-lens<4" && python experiments/benchmark_training.py
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

import beliefgeo as bg
from beliefgeo.learning.sharding import spread
from beliefgeo.learning.training import Batch, training
from beliefgeo.networks.transformer import Transformer, TransformerConfig
from beliefgeo.runs import command_line as cli
from beliefgeo.runs import outputs
from beliefgeo.runs.timing import interleaved_seconds

CONFIG, RATE, STEPS, REPETITIONS = TransformerConfig(), 1e-3, 20, 15
SEEDS, MICROBATCH = 16, 32
# Seeds of what ours draws inside the step, and of the batch that the others are given.
DRAWN, GIVEN = 0, 1


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
    """The network of CONFIG as one would write it in PyTorch."""

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


def torch_steps(network: torch.nn.Module, tokens: np.ndarray) -> Callable[[], None]:
    """STEPS steps of Adam on one batch."""
    held = torch.as_tensor(tokens.astype(np.int64))
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)

    def steps():
        for _ in range(STEPS):
            optimizer.zero_grad(set_to_none=True)
            logits = network(held[:, :-1])
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), held[:, 1:].flatten())
            loss.backward()
            optimizer.step()
        loss.item()

    return steps


def transformer_lens() -> torch.nn.Module:
    """The same network in TransformerLens."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig

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


def our_steps(batch: int, seeds: int = 1) -> Callable[[], None]:
    """STEPS steps of Adam of each seed on batches drawn inside, on a device a core."""

    def draw(key, _):
        drawn = jax.vmap(bg.sample, (0, None, None))(jax.random.split(key, batch), bg.mess3(), CONFIG.context + 1)
        return Batch(drawn.tokens, -drawn.log_probabilities[:, 1:].mean())

    trained = training(Transformer(CONFIG), optax.adam(RATE), draw, steps=STEPS, microbatch=MICROBATCH)
    keys = jax.random.split(jax.random.key(DRAWN), seeds)
    init, advance, _ = spread(trained, keys)
    state = init(keys, None)
    return lambda: jax.block_until_ready(advance(state))


def seeds_together() -> dict[str, float]:
    """Seconds of a step of SEEDS networks in one program, beside as many runs one after the other."""
    together, alone = our_steps(64, SEEDS), our_steps(64)
    calls = {"one after the other": lambda: [alone() for _ in range(SEEDS)], "one program": together}
    seconds = {name: float(np.median(values)) for name, values in interleaved_seconds(calls, 5).items()}
    ratio = seconds["one after the other"] / seconds["one program"]
    rows = [(name, f"{1e3 * value / STEPS:.1f}") for name, value in seconds.items()]
    outputs.print_table(f"{SEEDS} seeds: one program {ratio:.2f} times faster", ("", "milliseconds a step"), rows)
    return {**seconds, "times faster": ratio}


def product_flops(batch: int) -> float:
    """Floating-point operations of a step's matrix products: forward, and twice that backward."""
    inner = CONFIG.heads * CONFIG.head_width
    weights = CONFIG.layers * CONFIG.width * (4 * inner + 2 * CONFIG.mlp_width) + CONFIG.width * CONFIG.vocab_size
    attention = 2 * CONFIG.layers * inner * CONFIG.context
    return 3 * 2 * batch * CONFIG.context * (weights + attention)


def product(size: int = 2048) -> Callable[[], None]:
    """One large matrix product, the peak of the device."""
    square, multiply = jnp.ones((size, size)), jax.jit(jnp.matmul)
    return lambda: jax.block_until_ready(multiply(square, square))


def main() -> None:
    """Measure, print the ratios, and keep them."""
    cli.one_device_per_core()
    results = {}
    for batch in (64, 1024):
        keys = jax.random.split(jax.random.key(GIVEN), batch)
        tokens = np.asarray(jax.vmap(bg.sample, (0, None, None))(keys, bg.mess3(), CONFIG.context + 1).tokens)
        calls = {
            "PyTorch, eager": torch_steps(TorchTransformer(), tokens),
            "PyTorch, compiled": torch_steps(torch.compile(TorchTransformer()), tokens),
            "beliefgeo": our_steps(batch),
            "one large product": product(),
        }
        if importlib.util.find_spec("transformer_lens"):
            calls["TransformerLens"] = torch_steps(transformer_lens(), tokens)
        seconds = interleaved_seconds(calls, REPETITIONS)
        peak = 2 * 2048**3 / np.median(seconds.pop("one large product"))
        ours = np.median(seconds["beliefgeo"])
        group = f"{batch} sequences; peak {peak / 1e9:.0f} GFLOP/s"
        results[group] = {
            name: {
                "milliseconds a step": (1e3 * np.quantile(values, (0.5, 0.25, 0.75)) / STEPS).tolist(),
                "beliefgeo is times faster": float(np.median(values) / ours),
                "share of the peak": float(product_flops(batch) * STEPS / np.median(values) / peak),
            }
            for name, values in seconds.items()
        }
        rows = [
            (
                name,
                "{:.2f} ({:.2f} to {:.2f})".format(*measured["milliseconds a step"]),
                f"{measured['beliefgeo is times faster']:.2f}",
                f"{measured['share of the peak']:.0%}",
            )
            for name, measured in results[group].items()
        ]
        outputs.print_table(group, ("", "milliseconds a step (quartiles)", "beliefgeo is", "of the peak"), rows)
    results[f"{SEEDS} seeds"] = seeds_together()
    folder = Path(__file__).parent / "results" / "benchmark_training"
    folder.mkdir(parents=True, exist_ok=True)
    about = {"torch": torch.__version__, **outputs.versions()}
    outputs.write_json(folder / "metrics.json", {"results": results, "device": outputs.device(), "versions": about})


if __name__ == "__main__":
    main()
