"""How fast a network trains, beside the same network in PyTorch and TransformerLens, measured side by side in one run.

The published network (4 layers, 1 head of 8, width 64, MLP 256, context 10; 2405.15943), Adam, one step on 64 and on
1024 sequences. Our step draws its sequences inside and reads 32 at a time on a device; the others get one batch, drawn
beforehand. The floor is the step's matrix products at the speed of one large product, 2048 x 2048 x 2048 in float32.
Repetitions are interleaved, so that a slow moment of the machine hits all alike; medians and quartiles are compared.
TransformerLens is measured if it is installed, and the compiled PyTorch if there is a C++ compiler.

    pip install -e ".[bench]" && python experiments/benchmarks/training.py
    pip install "transformer-lens<4" && python experiments/benchmarks/training.py
"""

import importlib.metadata
import importlib.util
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import report
import torch
import tyro
from peers import CONFIG, RATE, TorchTransformer, torch_steps, transformer_lens

import beliefgeo as bg
from beliefgeo.learning import Budget, batches, training
from beliefgeo.learning.sharding import spread
from beliefgeo.networks import Transformer
from beliefgeo.runs.devices import one_device_per_core
from beliefgeo.runs.timing import interleaved_seconds

BATCHES, STEPS, REPETITIONS = (64, 1024), 20, 15
SEEDS, MICROBATCH, OURS = 16, 32, "beliefgeo"
# The seeds of the data that our step draws inside, and of the batch that the others get.
DRAWN, GIVEN = 0, 1


def our_steps(batch: int, seeds: int = 1) -> Callable[[], None]:
    """STEPS steps of Adam for each seed on batches drawn inside the step, with a device for each core."""
    draw = batches(bg.mess3(), Budget(batch=batch), context=CONFIG.context)
    adam = optax.adam(RATE)
    network = Transformer(CONFIG)
    trained = training(network, adam, draw, steps=STEPS, microbatch=MICROBATCH, numbered=True)  # pyright: ignore[reportArgumentType]
    keys = jax.random.split(jax.random.key(DRAWN), seeds)
    init, advance, _ = spread(trained, keys)
    state = init(keys, None)
    return lambda: jax.block_until_ready(advance(state))


def seeds_together() -> report.Compared:
    """A step of SEEDS networks in one program, beside the same number of runs one after the other."""
    together, alone = our_steps(64, SEEDS), our_steps(64)
    calls = {"one after the other": lambda: [alone() for _ in range(SEEDS)], "one program": together}
    step = {name: 1e3 * float(np.median(each)) / STEPS for name, each in interleaved_seconds(calls, 5).items()}
    return report.Compared({"one after the other": step.pop("one after the other")}, step)


def product_flops(batch: int) -> float:
    """The floating-point operations of a step's matrix products: forward, and twice as many backward."""
    inner = CONFIG.heads * CONFIG.head_width
    weights = CONFIG.layers * CONFIG.width * (4 * inner + 2 * CONFIG.mlp_width) + CONFIG.width * CONFIG.vocab_size
    attention = 2 * CONFIG.layers * inner * CONFIG.context
    return 3 * 2 * batch * CONFIG.context * (weights + attention)


def product(size: int = 2048) -> Callable[[], None]:
    """One large matrix product, the peak of the device."""
    square, multiply = jnp.ones((size, size)), jax.jit(jnp.matmul)
    return lambda: jax.block_until_ready(multiply(square, square))


def side_by_side(batch: int) -> report.Compared:
    """A step on a batch, by us and by the others; prints quartiles too."""
    keys = jax.random.split(jax.random.key(GIVEN), batch)
    tokens = np.asarray(jax.vmap(bg.sample, (0, None, None))(keys, bg.mess3(), CONFIG.context + 1).tokens)
    calls = {
        "PyTorch, eager": torch_steps(TorchTransformer(), tokens, STEPS),
        "PyTorch, compiled": torch_steps(torch.compile(TorchTransformer()), tokens, STEPS),  # pyright: ignore[reportArgumentType]
        OURS: our_steps(batch),
        "one large product": product(),
    }
    if importlib.util.find_spec("transformer_lens"):
        calls["TransformerLens"] = torch_steps(transformer_lens(), tokens, STEPS)
    seconds = interleaved_seconds(calls, REPETITIONS)
    peak = 2 * 2048**3 / np.median(seconds.pop("one large product"))
    floor = 1e3 * product_flops(batch) / peak
    quartiles = {name: 1e3 * np.quantile(each, (0.5, 0.25, 0.75)) / STEPS for name, each in seconds.items()}
    medians = {name: float(each[0]) for name, each in quartiles.items()}
    rows = [
        (
            name,
            "{:.2f} ({:.2f} to {:.2f})".format(*quartiles[name]),
            f"{median / medians[OURS]:.2f}",
            f"{floor / median:.0%}",
        )
        for name, median in medians.items()
    ]
    title = f"{batch} sequences; peak {peak / 1e9:.0f} GFLOP/s"
    report.print_table(title, ("", "milliseconds a step (quartiles)", f"{OURS} is", "of the peak"), rows)
    ours = {OURS: medians.pop(OURS)}
    return report.Compared({**medians, "floor: matrix products at the peak": floor}, ours)


def main(history: Path = report.HISTORY) -> None:
    """Measure, print the ratios, and keep them.

    Args:
        history: the file that gets a new line.
    """
    one_device_per_core()
    groups = {f"{batch} sequences": side_by_side(batch) for batch in BATCHES}
    seeds = f"{SEEDS} seeds"
    groups[seeds] = seeds_together()
    report.print_compared(f"{seeds}, a step of all", groups[seeds])
    installed = [name for name in ("torch", "transformer-lens") if importlib.util.find_spec(name.replace("-", "_"))]
    versions = {name: importlib.metadata.version(name) for name in installed}
    report.append(history, "training", report.numbers(groups), versions)


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
