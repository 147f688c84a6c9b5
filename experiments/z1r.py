"""The introductory example: what an ideal observer of Z1R (zero, one, random) knows, and what a network learns.

Source: Shai, Marzen, Teixeira, Gietelink Oldenziel, Riechers 2024 (2405.15943), where Z1R introduces the mixed-state
presentation; the exact values follow by hand.
Expected: 7 mixed states, 3 of them recurrent; h = 1/3, E = C_mu = 1.5850, T = S = 2.8366 bits; nothing left to learn
after three tokens. Seven beliefs, five next-token laws: the map from belief to law has rank 2 of 3, and the law alone
explains R2 .485 of the beliefs. From `default`, three networks: loss 1e-4 to 2e-4 nats above the optimum; R2 of the
beliefs in the last block .96 to .98 (untrained .41 to .46), in both blocks together .985 to .995 (.59 to .65). Four
minutes on two busy cores.

    python experiments/z1r.py                    the default preset
    python experiments/z1r.py quick              a smoke run, half a minute
    python experiments/z1r.py default --seeds 8

Interrupt it and start it again with the same command: it continues. A finished run is drawn again without training.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

import beliefgeo as bg
from beliefgeo import runs_old as runs
from beliefgeo.beliefs.information import entropy
from beliefgeo.beliefs.mixed_states import MixedStatePresentation
from beliefgeo.learning.training import Batch, training
from beliefgeo.networks.transformer import Transformer, TransformerConfig
from beliefgeo.plots import curves, information, simplex, spaces
from beliefgeo.probes import report
from beliefgeo.probes.controls import shuffle_words
from beliefgeo.probes.geometry import simplex_coordinates
from beliefgeo.processes.bos import with_bos
from beliefgeo.reading.evaluation import Evaluation, Prefixes, evaluate, prefixes
from beliefgeo.runs import command_line as cli
from beliefgeo.runs import outputs, resumable

PUBLISHED = {
    "mixed states": 7,
    "recurrent mixed states": 3,
    "entropy rate h (bits)": 1 / 3,
    "statistical complexity C_mu (bits)": np.log2(3),
    "excess entropy E (bits)": np.log2(3),
    "transient information T (bits)": 2 * np.log2(3) - 1 / 3,
    "synchronisation information S (bits)": 2 * np.log2(3) - 1 / 3,
    "crypticity (bits)": 0.0,
}
LAST, BOTH = "last block", "all blocks"


@dataclass(frozen=True)
class Config:
    """A small transformer, and how to train it on Z1R."""

    network: TransformerConfig = field(
        default_factory=lambda: TransformerConfig(vocab_size=3, context=16, layers=2, width=32, mlp_width=128)
    )
    """It reads a BOS token, then context - 1 tokens: without one no network could show the belief before any token."""
    learning_rate: float = 2e-3
    """Peak learning rate of Nesterov-Adam, which warms up and decays to zero along a cosine."""
    batch: int = 64
    """Sequences in a step, each of `context` predictions."""
    steps: int = 3000
    """Optimiser steps, a multiple of `chunk`."""
    chunk: int = 100
    """Steps in one compiled call; reports and checkpoints fall between them."""
    seeds: int = 3
    """Networks trained side by side in one program."""
    seed: int = 0
    """Seed of them all."""
    shuffles: int = 20
    """Random permutations of the beliefs in the shuffled control."""


SMALL = TransformerConfig(vocab_size=3, context=10, layers=2, width=16, mlp_width=64)
PRESETS = {"quick": Config(network=SMALL, steps=300, chunk=50, seeds=1, shuffles=2), "default": Config()}


def main(preset: str, config: Config, out: Path) -> None:
    """Process, mixed states, measures, train, activations, probe, score, draw."""
    began = time.perf_counter()
    process, network, context = bg.z1r(), Transformer(config.network), config.network.context
    bos, started = process.vocab_size, with_bos(process)
    if config.network.vocab_size != started.vocab_size:
        raise ValueError(f"vocab_size must be Z1R's with BOS, {started.vocab_size}; got {config.network.vocab_size}")
    presentation = bg.mixed_state_presentation(process)
    rows = prefixes(process, bg.words(process, context - 1), bos=bos)
    plan = resumable.Plan(config.steps, config.chunk, config.batch * context, 2, config.seeds)

    def draw(key, _):
        keys = jax.random.split(key, config.batch)
        drawn = jax.vmap(bg.sample, (0, None, None))(keys, started, context + 1)
        return Batch(drawn.tokens, -drawn.log_probabilities[:, 1:].mean())

    warm = optax.warmup_cosine_decay_schedule(0, config.learning_rate, config.steps // 20, config.steps)
    trainer = training(network, optax.nadam(warm), draw, steps=config.chunk)
    # The published shuffle is one for all sites, and the one that is drawn.
    train_key, in_sample_key, held_out_key = jax.random.split(jax.random.key(config.seed), 3)
    folder = runs.open_run(runs.run_folder(out, preset, config), config)
    resumable.train(folder, trainer, train_key, plan)
    params = dict(resumable.snapshots(folder, trainer, train_key, plan))

    sites = lambda found: {LAST: found["resid_post"][-1], BOTH: jnp.concatenate([*found["resid_post"]], -1)}
    read = lambda one, rows: evaluate(partial(network.apply, one), rows, sites)
    # The rows as an argument: XLA spends seconds on folding large constants.
    read_seeds = jax.jit(lambda every, rows: jax.lax.map(lambda one: read(one, rows), every))
    networks = {net: read_seeds(params[step], rows) for net, step in (("trained", config.steps), ("untrained", 0))}
    known = (rows.beliefs, rows.counts)
    probed = {name: probe_beliefs(net, rows) for name, net in networks.items()}
    metrics = {
        "preset": preset,
        "config": asdict(config),
        "exact": {name: {"published": PUBLISHED[name], "ours": ours} for name, ours in exact(process, presentation)},
        "distinct": {name: len(np.unique(getattr(rows, name).round(9), axis=0)) for name in ("beliefs", "laws")},
        "rank of the next-token law": report.law_rank(rows.beliefs, rows.laws),
        "training_tokens": config.steps * plan.tokens_per_step,
        "loss": report.loss_report(networks, rows),
        "in_sample": {site: report.in_sample_report(in_sample_key, networks, rows, site) for site in (LAST, BOTH)},
        "next-token law alone": bg.score_probe(bg.fit_probe(rows.laws, *known), rows.laws, *known).r2,
        "each belief": each_belief(probed, presentation, rows),
        "held_out": report.held_out_report(held_out_key, networks, rows, rows.probabilities, shuffles=config.shuffles),
        "device": outputs.device(),
        "versions": outputs.versions(),
    }
    entries, beliefs = shuffle_words(in_sample_key, rows)
    features = networks["trained"].features[LAST][0]
    shuffled = bg.fit_probe(features[entries], beliefs)(features)
    figures(folder, process, presentation, metrics, probed | {"shuffled": shuffled[None]}, rows)
    metrics["seconds"] = {"training": runs.history(folder)["seconds"].sum(), "all": time.perf_counter() - began}
    outputs.write_json(folder / "metrics.json", metrics)
    summary(folder, metrics)


def exact(process: bg.Process, presentation: MixedStatePresentation) -> Iterator[tuple[str, float]]:
    """Name and value of each measure, in bits."""
    yield "mixed states", len(presentation.beliefs)
    yield "recurrent mixed states", int(presentation.recurrent.sum())
    measures = (
        bg.entropy_rate,
        bg.statistical_complexity,
        bg.excess_entropy,
        bg.transient_information,
        bg.synchronization_information,
        bg.crypticity,
    )
    for name, measure in zip(list(PUBLISHED)[2:], measures, strict=True):
        yield name, float(measure(process) / np.log(2))


def probe_beliefs(evaluation: Evaluation, rows: Prefixes) -> np.ndarray:
    """The beliefs an affine probe of the last block's output sees, `[seed, row, state]`."""
    features = evaluation.features[LAST]
    return np.array([bg.fit_probe(one, rows.beliefs, rows.counts)(one) for one in features])


def each_belief(probed: dict, presentation: MixedStatePresentation, rows: Prefixes) -> dict:
    """For each mixed state: the prefixes that lead to it, and how far from it on average a probe sees them."""
    held = np.square(rows.beliefs[:, None] - presentation.beliefs).sum(2).argmin(1)
    prefixes_of = np.bincount(held)
    far = lambda points: np.bincount(held, np.linalg.norm(points - rows.beliefs, axis=1)) / prefixes_of
    distances = {name: report.over_seeds(np.array([far(one) for one in seeds])) for name, seeds in probed.items()}
    return {"beliefs": presentation.beliefs, "prefixes": prefixes_of, "distance": distances}


def figures(
    folder: Path,
    process: bg.Process,
    presentation: MixedStatePresentation,
    metrics: dict,
    probed: dict,
    rows: Prefixes,
) -> None:
    """Draw the process, its measures, the probed beliefs and the loss."""
    save = lambda name, figure: outputs.save_figure(folder / f"{name}.png", figure)
    save("presentation", spaces.presentation_figure(process, presentation))

    blocks, words = bg.block_entropies(process, 8), bg.words(process, 7)
    uncertainty = words.probabilities @ np.asarray(entropy(jnp.asarray(words.beliefs)))
    measures = (bg.entropy_rate(process), bg.excess_entropy(process))
    save("block_entropies", information.block_entropy_figure(blocks, *measures, uncertainty))

    title = lambda kind, name: f"{name}\nR$^2$ = {abs(metrics['in_sample'][LAST][kind]['r2']['seeds'][0]):.4f}"
    clouds = {
        "exact beliefs\n": simplex_coordinates(rows.beliefs),
        title("trained", "probe of the trained network"): simplex_coordinates(probed["trained"][0]),
        title("untrained", "of an untrained network"): simplex_coordinates(probed["untrained"][0]),
        title("shuffled", "of shuffled beliefs"): simplex_coordinates(probed["shuffled"][0]),
    }
    save("beliefs", simplex.simplex_panels(clouds, simplex.belief_colors(rows.beliefs), rows.counts))

    loss = metrics["loss"]
    gaps = {name: gap["seeds"] for name, gap in loss["gap_per_position"].items()}
    optimum = loss["optimal_per_position"]
    losses = {"exact optimum": optimum[None]} | {name: gap + optimum for name, gap in gaps.items()}
    panels = {"loss (nats)": losses, "loss above the optimum (nats)": gaps}
    figure = curves.per_position(np.arange(len(optimum)), panels)
    figure.axes[0].set(yscale="linear", ylim=(0, None))
    save("loss", figure)


def summary(folder: Path, metrics: dict) -> None:
    """Ours beside the exact values, on the terminal."""
    lines = [(name, f"{row['published']:.4f}", f"{row['ours']:z.4f}") for name, row in metrics["exact"].items()]
    show = lambda value, form: format(float(value["mean"]), form)
    for net in ("trained", "untrained"):
        lines.append((f"{net}: loss above the optimum (nats)", "0", show(metrics["loss"]["gap"][net], ".2e")))
        for site in (LAST, BOTH):
            held = metrics["held_out"]["probes"][f"{site}, affine"][net]
            lines.append((f"  {site}: R2, in sample", "1", show(metrics["in_sample"][site][net]["r2"], ".4f")))
            lines.append(("    held out by subtree", "1", show(held["r2"], ".4f")))
    lines.append(
        ("rank of the next-token law", "2 of 3", "{rank} of {of}".format(**metrics["rank of the next-token law"]))
    )
    lines.append(("next-token law alone: R2", "", f"{float(metrics['next-token law alone']):.4f}"))
    lines.append(("shuffled beliefs: R2, in sample", "0", show(metrics["in_sample"][LAST]["shuffled"]["r2"], ".4f")))
    lines.append(("seconds, training / call", "", " / ".join(f"{value:.0f}" for value in metrics["seconds"].values())))
    outputs.print_table(f"{folder}: metrics.json, figures", ("", "exact", "ours"), lines)


if __name__ == "__main__":
    cli.run_experiment(main, PRESETS, out="runs/z1r", description=__doc__)
