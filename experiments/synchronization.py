"""The loss along the context falls as the slowest mode of the mixed-state presentation predicts.

Source: Riechers & Crutchfield 2018 (1705.08042, 1706.00883) for the spectrum; Riechers, Bigelow, Alt, Shai 2025
(2505.18373) for the consequence: whoever minimises next-token loss must lose h_L after L tokens, whose excess over the
entropy rate h is a sum of modes lambda^L, the eigenvalues of transient mixed states.
Expected: even |lambda| = 2^(-1/2) and rrxor 2^(-1/3), synchronisation lengths 2.885 and 4.328 tokens; z1r and
golden_mean have zero modes only, and nothing is left to learn after 3 tokens and 1. From `default`, one network each:
gaps of 1e-4 nats or less, 1.6e-3 for rrxor; over the second half of the context the exact loss of even and rrxor falls
e-fold in 2.885 and 4.519 tokens, the networks' in 3.0 and 5.4 (rrxor after 6,000 steps: 4.57, gap 2e-4). Nine minutes
on two busy cores.

    python experiments/synchronization.py                    the default preset
    python experiments/synchronization.py quick              a smoke run, half a minute
    python experiments/synchronization.py default --processes rrxor --steps 6000

Interrupt it and start it again with the same command: it continues. A finished run is drawn again without training.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import jax
import numpy as np
import optax

import beliefgeo as bg
from beliefgeo import runs_old as runs
from beliefgeo.beliefs.mixed_states import (
    MixedStatePresentation,
    myopic_entropies_of,
    spectrum,
    synchronization_length,
    transient_spectrum,
)
from beliefgeo.learning.training import Batch, training
from beliefgeo.networks.transformer import Transformer, TransformerConfig
from beliefgeo.plots import curves, information
from beliefgeo.plots.style import GREEN, PAGE, panels, styled
from beliefgeo.probes.report import loss_report
from beliefgeo.processes.bos import with_bos
from beliefgeo.reading.evaluation import evaluate, prefixes
from beliefgeo.runs import command_line as cli
from beliefgeo.runs import outputs, resumable

Name = Literal["even", "rrxor", "z1r", "golden_mean"]
PROCESSES: dict[Name, Callable[[], bg.Process]] = {
    "even": bg.even,
    "rrxor": bg.rrxor,
    "z1r": bg.z1r,
    "golden_mean": bg.golden_mean,
}


@dataclass(frozen=True)
class Config:
    """A transformer, and how to train it on each process."""

    processes: tuple[Name, ...] = tuple(PROCESSES)
    """Which ones."""
    network: TransformerConfig = field(
        default_factory=lambda: TransformerConfig(vocab_size=3, context=17, layers=3, heads=2)
    )
    """It reads a BOS token, then context - 1 tokens of the process."""
    learning_rate: float = 2e-3
    """Peak learning rate of Nesterov-Adam, which warms up and decays to zero along a cosine."""
    batch: int = 64
    """Sequences in a step, each of `context` predictions."""
    steps: int = 3000
    """Optimiser steps for each process, a multiple of `chunk`."""
    chunk: int = 100
    """Steps in one compiled call; reports and checkpoints fall between them."""
    seeds: int = 1
    """Networks trained side by side in one program."""
    seed: int = 0
    """Seed of them all."""


SMALL = TransformerConfig(vocab_size=3, context=11, layers=2, width=32, mlp_width=128)
PRESETS = {"quick": Config(network=SMALL, steps=300, chunk=50), "default": Config()}


def main(preset: str, config: Config, out: Path) -> None:
    """For each process its spectrum, the exact loss, a network's; then compare, draw."""
    began = time.perf_counter()
    if config.network.vocab_size != 3:
        raise ValueError(f"vocab_size must be 3, two tokens and BOS; got {config.network.vocab_size}")
    folder = runs.open_run(runs.run_folder(out, preset, config), config)
    processes = {name: PROCESSES[name]() for name in config.processes}
    presentations = {name: bg.mixed_state_presentation(process) for name, process in processes.items()}
    losses = {
        name: network_loss(runs.open_run(folder / name, config), process, config) for name, process in processes.items()
    }
    metrics = {
        "preset": preset,
        "config": asdict(config),
        "processes": {
            name: compare(presentations[name], bg.entropy_rate(processes[name]), loss) for name, loss in losses.items()
        },
        "device": outputs.device(),
        "versions": outputs.versions(),
    }
    figures(folder, presentations, metrics["processes"])
    training_seconds = sum(runs.history(folder / name)["seconds"].sum() for name in processes)
    metrics["seconds"] = {"training": training_seconds, "all": time.perf_counter() - began}
    outputs.write_json(folder / "metrics.json", metrics)
    summary(folder, metrics)


def network_loss(folder: Path, process: bg.Process, config: Config) -> dict:
    """Train on one process; the exact loss after 0, 1, 2, ... tokens, `analysis.report.loss_report`."""
    network, context, started = Transformer(config.network), config.network.context, with_bos(process)
    plan = resumable.Plan(config.steps, config.chunk, config.batch * context, 2, config.seeds)
    rows = prefixes(process, bg.words(process, context - 1), bos=process.vocab_size)

    def draw(key, _):
        keys = jax.random.split(key, config.batch)
        drawn = jax.vmap(bg.sample, (0, None, None))(keys, started, context + 1)
        return Batch(drawn.tokens, -drawn.log_probabilities[:, 1:].mean())

    warm = optax.warmup_cosine_decay_schedule(0, config.learning_rate, config.steps // 20, config.steps)
    trainer, key = training(network, optax.nadam(warm), draw, steps=config.chunk), jax.random.key(config.seed)
    resumable.train(folder, trainer, key, plan)
    params = dict(resumable.snapshots(folder, trainer, key, plan))
    read = lambda one, rows: evaluate(partial(network.apply, one), rows)
    # The rows as an argument: XLA spends seconds on folding large constants.
    read_seeds = jax.jit(lambda every, rows: jax.lax.map(lambda one: read(one, rows), every))
    networks = {net: read_seeds(params[step], rows) for net, step in (("trained", config.steps), ("untrained", 0))}
    return loss_report(networks, rows)


def compare(presentation: MixedStatePresentation, rate: float, loss: dict) -> dict:
    """The exact excess h_L - h, each network's, and how fast both fall beside the slowest mode. Nats."""
    optimal = loss["optimal_per_position"]
    exact = myopic_entropies_of(presentation, len(optimal)) - rate
    excess = optimal - rate + loss["gap_per_position"]["trained"]["seeds"]
    modes = transient_spectrum(presentation)
    slowest = modes[abs(abs(modes) - abs(modes[0])) < 1e-9]
    period = len(np.unique(slowest.round(6)))  # modes of one modulus interfere with this period
    rates = {}
    if abs(modes[0]) > 0:
        rates = {"exact": decay_rate(exact, period), "network": [decay_rate(one, period) for one in excess]}
    return {
        "entropy_rate": rate,
        "modulus of the slowest mode": abs(modes[0]),
        "synchronization_length": synchronization_length(presentation),
        "period": period,
        "decay rate": rates,
        "exact excess": exact,
        "network excess": excess,
        "loss": loss,
    }


def decay_rate(excess: np.ndarray, period: int) -> float:
    """The mean of ln(e_L / e_(L + period)) / period over the second half of the context."""
    late = excess[len(excess) // 2 :]
    return float(np.log(late[:-period] / late[period:]).mean() / period)


@styled
def spectra(presentations: dict, results: dict):
    """One row a process: the eigenvalues, and h_L - h, exact and of the network."""
    figure, axes = panels(len(results), 2, PAGE, 2.6 * len(results))
    for (name, found), left, right in zip(results.items(), axes[::2], axes[1::2], strict=True):
        modulus, excess = found["modulus of the slowest mode"], found["network excess"].mean(0)
        information.spectrum_panel(left, spectrum(presentations[name]))
        myopic = found["exact excess"] + found["entropy_rate"]
        information.decay_panel(right, myopic, found["entropy_rate"], [modulus] if modulus > 0 else [], bits=False)
        right.plot(excess, "x-", color=GREEN, markersize=4, linewidth=0.6, label="loss of the network - h")
        right.set(ylim=(excess.min() / 3, 3 * excess.max()), title=f"{name}: loss above the entropy rate")
        right.legend(loc="upper right")
        left.set_title(f"{name}: eigenvalues")
    return figure


def figures(folder: Path, presentations: dict, results: dict) -> None:
    """Draw the spectra with the loss, and the gap of each network along the context."""
    outputs.save_figure(folder / "synchronization.png", spectra(presentations, results))
    gaps = {
        f"{kind}: nats above the optimum": {
            name: found["loss"]["gap_per_position"][kind]["seeds"] for name, found in results.items()
        }
        for kind in ("trained", "untrained")
    }
    length = np.arange(len(next(iter(results.values()))["exact excess"]))
    figure = curves.per_position(length, gaps)
    figure.axes[1].set(yscale="linear", ylim=(0, None))
    outputs.save_figure(folder / "per_position.png", figure)


def summary(folder: Path, metrics: dict) -> None:
    """Rates and gaps, on the terminal."""
    lines = []
    for name, found in metrics["processes"].items():
        sync, rates, gap = found["synchronization_length"], found["decay rate"], found["loss"]["gap"]
        falls = (f"{1 / rates['exact']:.3f}", f"{1 / np.mean(rates['network']):.3f}") if rates else ("at once",) * 2
        lines.append((name, f"{sync:.3f}", *falls, *(f"{gap[net]['mean']:.1e}" for net in ("trained", "untrained"))))
    columns = ("", "sync. length", "exact loss falls in", "network's loss in", "gap (nats)", "untrained")
    seconds = " / ".join(f"{value:.0f}" for value in metrics["seconds"].values())
    outputs.print_table(f"{folder}: metrics.json, figures; {seconds} s training / call", columns, lines)


if __name__ == "__main__":
    cli.run_experiment(main, PRESETS, out="runs/synchronization", description=__doc__)
