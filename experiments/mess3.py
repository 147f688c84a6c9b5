"""The headline claim: a transformer trained on Mess3 writes the fractal of belief states linearly in its activations.

Source: Shai, Marzen, Teixeira, Gietelink Oldenziel, Riechers 2024 (2405.15943), figures 3-5.
Published: loss 1.6e-4 nats above the optimum and a probe error of 3.86e-4 (R2 .9965) after 640M tokens.
Expected from `default` after 7.9M tokens, mean of four seeds and its 95% interval: gap 1.6e-4 (1.2e-4 to 2.1e-4),
error 2.6e-4 (2.0e-4 to 3.2e-4). One seed took 134 s on two cores.
The map from belief to next-token law has rank 3 of 3: the belief is an affine image of the law, and no probe can tell
the two apart here (rrxor can).

    python experiments/mess3.py                  the default preset
    python experiments/mess3.py fast             quasirandom sequences, 4.0M tokens; 2 minutes
    python experiments/mess3.py quick            a smoke run, half a minute
    python experiments/mess3.py paper            the published settings: SGD .01, 1M steps (hours)
    python experiments/mess3.py default --seeds 4 --learning-rate 1e-3

Interrupt it and start it again with the same command: it continues. A finished run is drawn again without training.
"""

from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import numpy as np
import optax

import beliefgeo as bg
from beliefgeo import runs_old as runs
from beliefgeo.learning.training import Batch, training
from beliefgeo.networks.transformer import Transformer, TransformerConfig
from beliefgeo.plots import curves, simplex
from beliefgeo.probes import report
from beliefgeo.probes.controls import shuffle_words
from beliefgeo.probes.geometry import compare_distances, principal_components, simplex_coordinates
from beliefgeo.reading.evaluation import Evaluation, Prefixes, evaluate, loss_gap, prefixes
from beliefgeo.runs import command_line as cli
from beliefgeo.runs import outputs, resumable
from beliefgeo.runs.timing import stage

PUBLISHED_GAP = {640e6: 1.6e-4}
PUBLISHED_ERROR = {64e3: 0.0118, 640e3: 0.0084, 3.2e6: 0.0025, 640e6: 0.000386}


@dataclass(frozen=True)
class Config:
    """Mess3, a transformer, and how to train it."""

    x: float = 0.05
    """Mess3: probability of moving to each other state."""
    alpha: float = 0.85
    """Mess3: probability that a state emits its own token."""
    network: TransformerConfig = field(default_factory=TransformerConfig)
    data: Literal["independent", "quasirandom"] = "independent"
    """quasirandom sequences have the same law, and together are spread evenly over the words: less noise."""
    optimizer: Literal["nadam", "sgd"] = "nadam"
    """nadam warms up and decays to zero along a cosine; sgd keeps its rate."""
    learning_rate: float = 1.5e-3
    """Peak learning rate."""
    batch: int = 64
    """Sequences in a step, each of `context` predictions."""
    steps: int = 12_400
    """Optimiser steps, a multiple of `chunk`."""
    chunk: int = 100
    """Steps in one compiled call; reports and checkpoints fall between them."""
    snapshots: int = 14
    """Log-spaced checkpoints to study emergence."""
    seeds: int = 1
    """Networks trained side by side in one program."""
    seed: int = 0
    """Seed of them all."""
    shuffles: int = 20
    """Random permutations of the beliefs in the shuffled control."""


class Keys(NamedTuple):
    """The randomness of a run."""

    train: jax.Array
    in_sample: jax.Array
    """Of the published shuffle: the one that is scored is the one that is drawn."""
    pairs: jax.Array
    """Of the pairs whose distances are compared."""
    held_out: jax.Array
    """Of the held-out shuffles, split by weighting."""


PRESETS = {
    "quick": Config(network=TransformerConfig(context=6), steps=600, chunk=50, snapshots=5, shuffles=3),
    "default": Config(),
    "fast": Config(data="quasirandom", learning_rate=2e-3, steps=6200),
    "paper": Config(optimizer="sgd", learning_rate=0.01, steps=1_000_000, chunk=1000, snapshots=24),
}


def main(preset: str, config: Config, out: Path) -> None:
    """Process, words, train, activations, probe, score, draw."""
    spent = {}
    process, network, context = bg.mess3(config.x, config.alpha), Transformer(config.network), config.network.context
    if config.network.vocab_size != process.vocab_size:
        raise ValueError(f"vocab_size must be Mess3's, {process.vocab_size}; got {config.network.vocab_size}")
    plan = resumable.Plan(config.steps, config.chunk, config.batch * context, config.snapshots, config.seeds)
    with stage(spent, "evaluate"):
        rows = prefixes(process, bg.words(process, context))

    def draw(key, _, step):
        if config.data == "quasirandom":
            index = step * config.batch + jax.numpy.arange(config.batch)
            drawn = jax.vmap(bg.sample_quasirandom, (None, None, None, 0))(key, process, context + 1, index)
        else:
            keys = jax.random.split(jax.random.fold_in(key, step), config.batch)
            drawn = jax.vmap(bg.sample, (0, None, None))(keys, process, context + 1)
        return Batch(drawn.tokens, -drawn.log_probabilities[:, 1:].mean())

    warm = optax.warmup_cosine_decay_schedule(0, config.learning_rate, config.steps // 20, config.steps)
    optimizer = optax.nadam(warm) if config.optimizer == "nadam" else optax.sgd(config.learning_rate)
    trainer = training(network, optimizer, draw, steps=config.chunk, numbered=True)
    keys = Keys(*jax.random.split(jax.random.key(config.seed), 4))
    folder = runs.open_run(runs.run_folder(out, preset, config), config)
    with stage(spent, "train"):
        resumable.train(folder, trainer, keys.train, plan)

    def read(params, rows):
        last = lambda sites: {"resid_post": sites["resid_post"][-1], "final_norm": sites["final_norm"]}
        return evaluate(partial(network.apply, params), rows, last)

    read_seeds = jax.jit(lambda params, rows: jax.lax.map(lambda one: read(one, rows), params))
    with stage(spent, "evaluate"):
        snapshots, networks = [], dict.fromkeys(("trained", "untrained"))
        for step, params in resumable.snapshots(folder, trainer, keys.train, plan):
            evaluation = read_seeds(params, rows)
            networks["trained" if step else "untrained"] = evaluation  # the last one stays
            snapshots.append(emergence(step * plan.tokens_per_step, evaluation, rows))
        metrics = measure(preset, config, keys, snapshots, networks, rows)
    with stage(spent, "draw"):
        figures(folder, metrics, keys, snapshots, networks, rows)
    seconds = {"training": runs.history(folder)["seconds"].sum(), "all": sum(spent.values()), "where": spent}
    outputs.write_json(folder / "metrics.json", metrics | {"seconds": seconds})
    summary(folder, metrics, seconds)


def measure(preset: str, config: Config, keys: Keys, snapshots: list, networks: dict, rows: Prefixes) -> dict:
    """All numbers of a run but its times."""
    held_out = lambda key, weights: report.held_out_report(
        key, networks, rows, getattr(rows, weights), shuffles=config.shuffles
    )
    by_weighting = zip(report.WEIGHTINGS.items(), jax.random.split(keys.held_out), strict=True)
    return {
        "preset": preset,
        "config": asdict(config),
        "training_tokens": snapshots[-1]["tokens"],
        "rank of the next-token law": report.law_rank(rows.beliefs, rows.laws),
        "loss": report.loss_report(networks, rows),
        "as_published": report.in_sample_report(keys.in_sample, networks, rows, "resid_post"),
        "held_out": {name: held_out(key, weights) for (name, weights), key in by_weighting},
        "geometry": geometry(keys.pairs, networks["trained"].features["resid_post"][0], rows),
        "emergence": [
            {"tokens": shot["tokens"], **{name: report.over_seeds(shot[name]) for name in ("gap", "mse", "r2")}}
            for shot in snapshots
        ],
        "device": outputs.device(),
        "versions": outputs.versions(),
    }


def emergence(tokens: int, evaluation: Evaluation, rows: Prefixes) -> dict:
    """Loss gap, published probe score and (first seed) the projection at one snapshot."""
    features = evaluation.features["resid_post"]
    probes = [bg.fit_probe(one, rows.beliefs, rows.counts) for one in features]
    scored = zip(probes, features, strict=True)
    scores = [bg.score_probe(probe, one, rows.beliefs, rows.counts) for probe, one in scored]
    return {
        "tokens": tokens,
        "gap": np.array([loss_gap(rows, laws).mean() for laws in evaluation.log_laws]),
        "mse": np.array([score.mse for score in scores]),
        "r2": np.array([score.r2 for score in scores]),
        "points": simplex_coordinates(probes[0](features[0])),
    }


def geometry(pairs_key: jax.Array, features: jax.Array, rows: Prefixes) -> dict:
    """Dimension and pairwise distances of the first seed's activations, without and with a probe: the same pairs."""
    probed = bg.fit_probe(features, rows.beliefs, rows.counts)(features)
    distances = lambda cloud: compare_distances(pairs_key, cloud, rows.beliefs, weights=rows.counts)
    return {
        "cumulative_explained_variance": principal_components(features, rows.counts).cumulative[:8],
        "distance_r2": {"activations and beliefs": distances(features), "probed and true beliefs": distances(probed)},
    }


def figures(folder: Path, metrics: dict, keys: Keys, snapshots: list, networks: dict, rows: Prefixes) -> None:
    """Draw the run."""
    save = lambda name, figure: outputs.save_figure(folder / f"{name}.png", figure)
    colors, truth = simplex.belief_colors(rows.beliefs), simplex_coordinates(rows.beliefs)
    trained = networks["trained"].features["resid_post"][0]
    entries, shuffled = shuffle_words(keys.in_sample, rows)
    scores = metrics["as_published"]
    title = lambda kind, name: f"{name}\nR$^2$ = {abs(scores[kind]['r2']['seeds'][0]):.4f}"
    clouds = {
        "exact beliefs\n": truth,
        title("trained", "probe of the trained network"): snapshots[-1]["points"],
        title("untrained", "of an untrained network"): snapshots[0]["points"],
        title("shuffled", "of shuffled beliefs"): simplex_coordinates(
            bg.fit_probe(trained[entries], shuffled)(trained)
        ),
    }
    save("geometry", simplex.simplex_panels(clouds, colors, rows.counts))

    label = lambda shot: f"{shot['tokens']:,} tokens\nR$^2$ = {shot['r2'][0]:.4f}"
    shown = [snapshots[i] for i in np.unique(np.linspace(0, len(snapshots) - 1, 8).round().astype(int))]
    save("emergence", simplex.simplex_panels({label(shot): shot["points"] for shot in shown}, colors, rows.counts))
    frames = {label(shot).replace("\n", ", "): shot["points"] for shot in snapshots}
    outputs.save_movie(folder / "emergence", simplex.simplex_movie(frames, colors, rows.counts, truth=truth))

    later = snapshots[1:]
    gap, error = (np.stack([shot[name] for shot in later], 1) for name in ("gap", "mse"))
    published = {"published_gap": PUBLISHED_GAP, "published_error": PUBLISHED_ERROR}
    variance = float(scores["shuffled"]["mse"]["mean"])
    tokens = np.array([shot["tokens"] for shot in later])
    save("training", curves.training_curves(tokens, gap, error, variance=variance, **published))

    held = {name: metrics["held_out"][name]["probes"]["resid_post, affine"] for name in report.WEIGHTINGS}
    length = held["by probability"]["trained"]["length"]["seeds"][0]
    errors = {
        f"held-out probe error\n({name})": {net: held[name][net]["mse_per_length"]["seeds"] for net in networks}
        for name in held
    }
    save("per_position", curves.per_position(length, errors))

    point = lambda score: (score["window"]["mean"], score["unexplained"]["mean"])
    probes = {name: {net: point(held[name][net]) for net in networks} for name in held}
    for name, points in probes.items():
        shuffle = metrics["held_out"][name]["shuffled"]
        points["shuffled"] = (shuffle["window"]["mean"], 1 - shuffle["r2"]["mean"])
    windows = {name: metrics["held_out"][name]["window_curve"] for name in held}
    save("windows", curves.windows_panel(windows, probes))


def summary(folder: Path, metrics: dict, seconds: dict) -> None:
    """The claim's numbers beside the published ones, on the terminal."""
    show = lambda value, form: format(float(value["mean"]), form)
    loss, scores = metrics["loss"], metrics["as_published"]
    lines = [
        (
            "rank of the map from belief to next-token law",
            "",
            "{rank} of {of}".format(**metrics["rank of the next-token law"]),
        ),
        ("loss above the optimum (nats)", "1.6e-4", show(loss["gap"]["trained"], ".2e")),
        ("probe error as published (MSE)", "3.86e-4", show(scores["trained"]["mse"], ".2e")),
        ("  untrained network", "", show(scores["untrained"]["mse"], ".2e")),
        ("  shuffled beliefs", "1.11e-1", show(scores["shuffled"]["mse"], ".2e")),
    ]
    for name, held in metrics["held_out"].items():
        probe, ratios = held["probes"]["resid_post, affine"], held["untrained / trained unexplained"]
        lines += [
            (f"held out, {name}: R2", "", show(probe["trained"]["r2"], ".5f")),
            ("  equivalent window (tokens)", "", show(probe["trained"]["window"], ".2f")),
            ("  untrained network's", "", show(probe["untrained"]["window"], ".2f")),
            ("  unexplained variance, untrained / trained", "", show(ratios["resid_post, affine"], ".1f")),
            ("  shuffled beliefs: R2", "", show(held["shuffled"]["r2"], ".4f")),
        ]
    lines.append(("seconds, training / call", "", f"{seconds['training']:.0f} / {seconds['all']:.0f}"))
    lines += [(f"  {name}", "", f"{spent:.0f}") for name, spent in seconds["where"].items()]
    ours = f"ours:\n{metrics['training_tokens'] / 1e6:.2f}M\n{metrics['config']['data']}\ntokens"
    outputs.print_table(f"{folder}: metrics.json, figures, movie", ("", "published:\n640M\ntokens", ours), lines)


if __name__ == "__main__":
    cli.run_experiment(main, PRESETS, out="runs/mess3", description=__doc__)
