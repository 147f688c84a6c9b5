"""In-context learning is synchronisation: the loss along the context is the myopic entropy of the process.

Source: Riechers, Bigelow, Alt, Shai 2025 (2505.18373). Whoever predicts best loses h_L nats on the token after L: the
observer learns, within the context, where in the process it is (ergodic sources: h_L falls exponentially, or at once)
or which process it is (mixtures: as a power law, while many candidates remain). Coins of unknown bias: only the numbers
of heads and tails matter. A mixture of two texts that differ in one name: the name costs ln 2 when first seen, and
nothing afterwards, once a network has learnt to look back: a sharp step in its training.
Published, after 51M tokens: loss on the name at its first four sightings 1.05, .0079, .0023, .0018 (exact first .992).
Expected from `default`, after 11M tokens: within 1.5e-4 nats of exact on average, within .004 at each position beyond
3; the loss falls e-fold in 2.9 (even) and 3.5 tokens (names), as L^-0.89 (coins); second sighting below 1e-4.
14 minutes of training and three of analysis on one core.

    python experiments/in_context.py                    the default preset
    python experiments/in_context.py quick              a smoke run, under a minute
    python experiments/in_context.py paper              the published batch and number of tokens (hours on two cores)
    python experiments/in_context.py default --sources even coins --networks gru

Interrupt it and start it again with the same command: it continues. A finished run is drawn again without training.
"""

import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

import beliefgeo as bg
from beliefgeo import cli, outputs, runs
from beliefgeo.analysis import report
from beliefgeo.analysis.controls import explained_by
from beliefgeo.analysis.decay import decay_report, describe_decay
from beliefgeo.analysis.evaluation import Evaluation, Prefixes, prefixes, token_losses
from beliefgeo.analysis.sampled import sampled_loss_gap, sampled_words
from beliefgeo.beliefs.mixed_states import myopic_entropies_of
from beliefgeo.learning import Budget, Learned, learn, read_networks
from beliefgeo.networks.recurrent import RecurrentConfig
from beliefgeo.networks.transformer import TransformerConfig
from beliefgeo.plots import in_context as plots

SourceName = Literal["golden_mean", "even", "coins", "names"]
NetworkName = Literal["transformer", "gru"]
NAME = (3, 4)  # the tokens by which the two texts of the mixture differ
PUBLISHED_SIGHTINGS = (51.2e6, (1.05, 0.0079, 0.0023, 0.0018))


@dataclass(frozen=True)
class Config:
    """Sources, networks, and how to train and read them."""

    sources: tuple[SourceName, ...] = ("golden_mean", "even", "coins", "names")
    """What is predicted: two ergodic processes, coins of unknown bias, two texts that differ in a name."""
    networks: tuple[NetworkName, ...] = ("transformer", "gru")
    """Two blocks, or two layers, of width 16."""
    context: int = 100
    """Predictions in a sequence, the first after BOS alone."""
    biases: tuple[float, ...] = (0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95)
    """Probability of heads of each coin; all are equally likely."""
    budget: Budget = Budget(steps=7000, batch=16, learning_rate=1e-2, data="laws", snapshots=16, seeds=2)
    """How long to train, and how."""
    words: int = 1000
    """Sampled words on which the networks are read."""


PRESETS = {
    "quick": Config(
        context=20, budget=Budget(steps=60, batch=32, learning_rate=1e-2, chunk=20, snapshots=3), words=100
    ),
    "default": Config(),
    "paper": Config(budget=Budget(steps=1000, batch=512, learning_rate=1e-3, optimizer="adam", snapshots=14, seeds=4)),
}


def main(preset: str, config: Config, out: Path) -> None:
    """For each source its exact loss; for each network train, loss along the context, fits, controls; draw."""
    began = time.perf_counter()
    if config.context < 5:
        raise ValueError(f"the curves are read beyond position 3: context must be 5 or more; got {config.context}")
    folder = runs.open_run(runs.run_folder(out, preset, config), config)
    results, seconds = {}, {}
    for name in config.sources:
        process, rate = source(name, config.biases)
        drawn = sampled_words(jax.random.key(1), process, config.words, config.context - 1)
        rows = prefixes(process, drawn, bos=process.vocab_size)
        presentation = bg.mixed_state_presentation(process, max_depth=config.context)
        exact = myopic_entropies_of(presentation, config.context)
        # Below 2e-3 nats the network's own error shows.
        judged = (np.arange(config.context) >= 2) & (exact - rate > 2e-3)
        networks = {}
        for kind in config.networks:
            learned = train(folder / f"{name}-{kind}", process, name, kind, config)
            params = {"trained": learned.trained, "untrained": learned.untrained}
            # The predictions are enough: of the activations next to nothing is kept.
            read = read_networks(learned.network, params, rows, lambda sites: sites["final_norm"][:, :1])
            networks[kind] = losses(learned, read, rows, exact - rate, judged)
            if name == "coins":
                networks[kind]["explained by heads and tails"] = {
                    net: over_seeds([explained_by_counts(laws, rows) for laws in each.log_laws])
                    for net, each in read.items()
                }
            if name == "names":
                networks[kind]["sightings"] = sightings(learned, process, rows)
            seconds[f"{name}, {kind}"] = learned.history["seconds"].sum()
        results[name] = {
            "mixed states": len(presentation.beliefs),
            "entropy rate": rate,
            "exact": exact,
            "fits": decay_report(exact - rate, judged),
            "networks": networks,
        }
    metrics = {
        "preset": preset,
        "config": asdict(config),
        "sources": results,
        "device": outputs.device(),
        "versions": outputs.versions(),
    }
    outputs.save_figure(folder / "loss.png", plots.excess_panels(results))
    outputs.save_figure(folder / "gap.png", plots.gap_panels(results))
    if "names" in results:
        outputs.save_figure(
            folder / "sightings.png", plots.sightings_panels(results["names"]["networks"], PUBLISHED_SIGHTINGS)
        )
    metrics["seconds"] = {"training": seconds, "all": time.perf_counter() - began}
    outputs.write_json(folder / "metrics.json", metrics)
    summary(folder, metrics)


def source(name: SourceName, biases: tuple[float, ...]) -> tuple[bg.Process, float]:
    """The process of a name, and the loss that remains when all about it has been learnt in the context.

    Of an ergodic process that is its entropy rate, of a mixture the mean of its components'.
    """
    if name in ("golden_mean", "even"):
        process = {"golden_mean": bg.golden_mean, "even": bg.even}[name]()
        return process, float(bg.entropy_rate(process))
    if name == "coins":
        parts, vocabularies = [bg.coin(bias) for bias in biases], None
    else:
        parts, vocabularies = [bg.mr_name()] * 2, [[0, 1, 2, token] for token in NAME]
    rate = np.mean([float(bg.entropy_rate(part)) for part in parts])
    return bg.mixture(parts, np.full(len(parts), 1 / len(parts)), vocabularies), float(rate)


def train(folder: Path, process: bg.Process, name: SourceName, kind: NetworkName, config: Config) -> Learned:
    """A small transformer or GRU on BOS and the tokens of one source."""
    vocab_size = process.vocab_size + 1
    sizes = {
        "transformer": TransformerConfig(
            vocab_size, config.context, layers=2, width=16, heads=4, head_width=4, mlp_width=64
        ),
        "gru": RecurrentConfig(vocab_size, cell="gru", layers=2, width=16),
    }[kind]
    data = f"{name} {config.biases}" if name == "coins" else name
    return learn(folder, process, sizes, config.budget, context=config.context, data=data, bos=True)


def losses(
    learned: Learned, read: dict[str, Evaluation], rows: Prefixes, excess: np.ndarray, judged: np.ndarray
) -> dict[str, Any]:
    """Loss above the optimum along the context, and how the loss falls towards the entropy rate."""
    gaps = {net: [sampled_loss_gap(rows, laws) for laws in each.log_laws] for net, each in read.items()}
    return {
        "training_tokens": max(learned.snapshots),
        "gap": {net: over_seeds([one.mean for one in each]) for net, each in gaps.items()},
        "gap, standard error between words": [one.mean_error for one in gaps["trained"]],
        "gap_per_position": {net: over_seeds([one.gap for one in each]) for net, each in gaps.items()},
        "fits": [decay_report(excess + one.gap, judged) for one in gaps["trained"]],
    }


def over_seeds(each: list[Any]) -> dict[str, Any]:
    """`report.over_seeds` of a list."""
    return report.over_seeds(np.array(each))


def explained_by_counts(log_laws: jax.Array, rows: Prefixes) -> float:
    """The share of the variance of the predicted probability that the numbers of heads and tails explain."""
    heads = np.pad(rows.words.cumsum(1), ((0, 0), (1, 0)))[rows.word, rows.length]
    _, group = np.unique(np.stack([rows.length, heads], 1), axis=0, return_inverse=True)
    return explained_by(group, np.exp(np.asarray(log_laws, np.float64))[:, 1], rows.counts)


def sightings(learned: Learned, process: bg.Process, rows: Prefixes) -> dict[str, Any]:
    """Loss on the name at its first four sightings, exact and of the network, at each snapshot of the training."""
    seen = np.isin(rows.words, NAME)
    order = np.where(seen, seen.cumsum(1), 0)
    mean = lambda losses: [float(np.asarray(losses)[order == k].mean()) for k in range(1, 5)]
    exact = jax.vmap(lambda word: -bg.filter_beliefs(process, word).log_probabilities)(rows.words)

    def lost(params):
        of_seed = lambda one: token_losses(partial(learned.network.apply, one), rows.words, bos=process.vocab_size)
        return over_seeds([mean(losses) for losses in jax.lax.map(of_seed, params)])

    return {"exact": mean(exact), "network": {tokens: lost(params) for tokens, params in learned.snapshots.items()}}


def summary(folder: Path, metrics: dict) -> None:
    """Gaps and laws of decay of the networks beside the exact ones; sightings beside the published; on the terminal."""
    lines = []
    for name, found in metrics["sources"].items():
        lines.append((name, "exact", "", "", describe_decay(found["fits"])))
        for kind, net in found["networks"].items():
            gap, worst = net["gap"]["trained"]["mean"], net["gap_per_position"]["trained"]["seeds"][:, 4:].max()
            lines.append(("", kind, f"{gap:.1e}", f"{worst:.1e}", describe_decay(net["fits"][0])))
    seconds = sum(metrics["seconds"]["training"].values())
    title = f"{folder}: metrics.json, figures; {seconds:.0f} / {metrics['seconds']['all']:.0f} s training / call"
    outputs.print_table(title, ("", "", "gap (nats)", "worst beyond 3", "excess falls (first seed)"), lines)
    if "names" in metrics["sources"]:
        nets = {kind: net["sightings"] for kind, net in metrics["sources"]["names"]["networks"].items()}
        seen = {"published": PUBLISHED_SIGHTINGS[1], "exact": next(iter(nets.values()))["exact"]}
        seen |= {kind: list(found["network"].values())[-1]["mean"] for kind, found in nets.items()}
        lines = [(who, *(f"{loss:.4f}" for loss in each)) for who, each in seen.items()]
        outputs.print_table("loss on the name (nats)", ("", *(f"sighting {k}" for k in range(1, 5))), lines)


if __name__ == "__main__":
    cli.run_experiment(main, PRESETS, out="runs/in_context", description=__doc__)
