"""In-context learning is synchronisation: the loss along the context is the myopic entropy of the process.

Source: Riechers, Bigelow, Alt, Shai 2025 (2505.18373). Whoever predicts best loses h_L nats on the token after L: the
observer learns, within the context, where in the process it is (ergodic sources: h_L falls exponentially, or at once)
or which process it is (mixtures: as a power law, while many candidates remain). Coins of unknown bias: only the numbers
of heads and tails matter. A mixture of two texts that differ in one name: the name costs ln 2 when first seen, and
nothing afterwards, once a network has learnt to look back: a sharp step in its training.
Published, after 51M tokens: loss on the name at its first four sightings 1.05, .0079, .0023, .0018 (exact first .992).
Expected from `default`: see docs/pages/results/in_context.md.

    python experiments/in_context.py                    the default preset
    python experiments/in_context.py quick              a smoke run, under a minute
    python experiments/in_context.py paper              the published batch and number of tokens (hours on two cores)
    python experiments/in_context.py default --sources even coins --networks gru

Interrupt it and start it again with the same command: it continues. A finished run is drawn again without training.
"""

import time
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import numpy as np
import scipy.stats

import beliefgeo as bg
from beliefgeo import cli, runs
from beliefgeo.analysis import report
from beliefgeo.analysis.evaluation import Prefixes, prefixes, token_losses
from beliefgeo.analysis.sampled import sampled_loss_gap, words_or_sample
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
    budget: Budget = field(
        default_factory=lambda: Budget(steps=7000, batch=16, learning_rate=1e-2, snapshots=16, seeds=2)
    )
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


class Source(NamedTuple):
    """A process, and the loss that remains when everything about it has been learnt in the context."""

    process: bg.Process
    rate: float


def source(name: SourceName, biases: tuple[float, ...]) -> Source:
    """The process of a name; of a mixture the rate is the mean of its components'."""
    if name in ("golden_mean", "even"):
        process = {"golden_mean": bg.golden_mean, "even": bg.even}[name]()
        return Source(process, float(bg.entropy_rate(process)))
    if name == "coins":
        parts, vocabularies = [bg.coin(bias) for bias in biases], None
    else:
        parts, vocabularies = [bg.mr_name()] * 2, [[0, 1, 2, token] for token in NAME]
    rate = np.mean([float(bg.entropy_rate(part)) for part in parts])
    return Source(bg.mixture(parts, np.full(len(parts), 1 / len(parts)), vocabularies), float(rate))


def main(preset: str, config: Config, out: Path) -> None:
    """For each source its exact loss; for each network train, loss along the context, fits, controls; draw."""
    began = time.perf_counter()
    folder = runs.open_run(runs.run_folder(out, preset, config), config)
    results, seconds = {}, {}
    for name in config.sources:
        origin = source(name, config.biases)
        presentation = bg.mixed_state_presentation(origin.process, max_depth=config.context)
        exact = myopic_entropies_of(presentation, config.context)
        drawn, _ = words_or_sample(jax.random.key(1), origin.process, config.context - 1, config.words)
        rows = prefixes(origin.process, drawn, bos=origin.process.vocab_size)
        results[name] = {
            "mixed states": len(presentation.beliefs),
            "entropy rate": origin.rate,
            "exact": exact,
            "fits": fits(exact - origin.rate, exact - origin.rate),
            "networks": {},
        }
        for kind in config.networks:
            learned = train(folder / f"{name}-{kind}", origin, name, kind, config)
            results[name]["networks"][kind] = study(learned, origin, name, rows, exact)
            seconds[f"{name}, {kind}"] = learned.history["seconds"].sum()
    metrics = {
        "preset": preset,
        "config": asdict(config),
        "sources": results,
        "device": runs.device(),
        "versions": runs.versions(),
    }
    figures(folder, results)
    metrics["seconds"] = {"training": seconds, "all": time.perf_counter() - began}
    runs.write_json(folder / "metrics.json", metrics)
    summary(folder, metrics)


def train(folder: Path, origin: Source, name: SourceName, kind: NetworkName, config: Config) -> Learned:
    """A small transformer or GRU on BOS and the tokens of one source."""
    vocab_size = origin.process.vocab_size + 1
    sizes = {
        "transformer": TransformerConfig(
            vocab_size, config.context, layers=2, width=16, heads=4, head_width=4, mlp_width=64
        ),
        "gru": RecurrentConfig(vocab_size, cell="gru", layers=2, width=16),
    }[kind]
    data = f"{name} {config.biases}" if name == "coins" else name
    return learn(folder, origin.process, sizes, config.budget, context=config.context, data=data, bos=True)


def study(learned: Learned, origin: Source, name: SourceName, rows: Prefixes, exact: np.ndarray) -> dict:
    """Loss along the context above the optimum, how it falls; order of coins; sightings of the name."""
    networks = read_networks(
        learned.network,
        {"trained": learned.trained, "untrained": learned.untrained},
        rows,
        lambda sites: sites["final_norm"][:, :1],  # the predictions are enough
    )
    gaps = {net: [sampled_loss_gap(rows, laws) for laws in read.log_laws] for net, read in networks.items()}
    over_seeds = lambda values: report.over_seeds(np.array(values))
    found = {
        "training_tokens": max(learned.snapshots),
        "gap": {net: over_seeds([one.mean for one in each]) for net, each in gaps.items()},
        "gap, standard error between words": [one.mean_error for one in gaps["trained"]],
        "gap_per_position": {net: over_seeds([one.gap for one in each]) for net, each in gaps.items()},
        "fits": [fits(exact - origin.rate + one.gap, exact - origin.rate) for one in gaps["trained"]],
    }
    if name == "coins":
        found["explained by heads and tails"] = {
            net: over_seeds([explained_by_counts(laws, rows) for laws in read.log_laws])
            for net, read in networks.items()
        }
    if name == "names":
        found["sightings"] = sightings(learned, origin, rows)
    return found


def fits(excess: np.ndarray, exact: np.ndarray) -> dict:
    """Lines through log excess against L, e^(-L / length), and against log L, L^(-exponent), with 95% intervals.

    After 2 tokens and on, while the exact excess is above 2e-3 nats: below it the network's own error shows.
    """
    read = np.arange(len(excess))
    shown = (read >= 2) & (exact > 2e-3) & (excess > 0)
    if shown.sum() < 4:
        return {"falls": "at once"}
    lines = {
        name: scipy.stats.linregress(x[shown], np.log(excess[shown]))
        for name, x in (("exponential", read), ("power law", np.log(np.maximum(read, 1))))
    }
    width = scipy.stats.t.ppf(0.975, shown.sum() - 2)
    return {
        "positions": [int(read[shown].min()), int(read[shown].max())],
        **{
            name: {
                "slope": line.slope,
                "interval": [line.slope - width * line.stderr, line.slope + width * line.stderr],
                "intercept": line.intercept,
                "r2": line.rvalue**2,
            }
            for name, line in lines.items()
        },
        "falls": max(lines, key=lambda name: lines[name].rvalue ** 2),
    }


def explained_by_counts(log_laws: jax.Array, rows: Prefixes) -> float:
    """The share of the variance of the predicted probability that the numbers of heads and tails explain."""
    ones = np.array([rows.words[word, :length].sum() for word, length in zip(rows.word, rows.length, strict=True)])
    _, group = np.unique(rows.length * (rows.length.max() + 1) + ones, return_inverse=True)
    shares, predicted = rows.counts / rows.counts.sum(), np.exp(np.asarray(log_laws, np.float64))[:, 1]
    means = (np.bincount(group, shares * predicted) / np.bincount(group, shares))[group]
    return float(1 - shares @ (predicted - means) ** 2 / (shares @ (predicted - shares @ predicted) ** 2))


def sightings(learned: Learned, origin: Source, rows: Prefixes) -> dict:
    """Loss on the name at its first four sightings, exact and of the network, at each snapshot of the training."""
    seen = np.isin(rows.words, NAME)
    order = np.where(seen, seen.cumsum(1), 0)
    mean = lambda losses: [float(np.asarray(losses)[order == k].mean()) for k in range(1, 5)]
    exact = jax.vmap(lambda word: -bg.filter_beliefs(origin.process, word).log_probabilities)(rows.words)
    bos = origin.process.vocab_size

    def lost(params):
        of_seed = lambda one: token_losses(partial(learned.network.apply, one), rows.words, bos=bos)
        return report.over_seeds(np.array([mean(losses) for losses in jax.lax.map(of_seed, params)]))

    return {"exact": mean(exact), "network": {tokens: lost(params) for tokens, params in learned.snapshots.items()}}


def figures(folder: Path, results: dict) -> None:
    """Draw the loss along the context, how far from the optimum it stays, and the sightings of the name."""
    save = lambda name, figure: figure.savefig(folder / f"{name}.png")
    gaps = {
        name: {kind: net["gap_per_position"]["trained"]["seeds"] for kind, net in found["networks"].items()}
        for name, found in results.items()
    }
    save(
        "loss",
        plots.excess_panels({n: (found["exact"], found["entropy rate"], gaps[n]) for n, found in results.items()}),
    )
    save("gap", plots.gap_panels(gaps))
    if "names" in results:
        found = {kind: net["sightings"] for kind, net in results["names"]["networks"].items()}
        save("sightings", plots.sightings_panels(found, PUBLISHED_SIGHTINGS))


def summary(folder: Path, metrics: dict) -> None:
    """Gaps and laws of decay of the networks beside the exact ones; sightings beside the published; on the terminal."""
    lines = []
    for name, found in metrics["sources"].items():
        lines.append((name, "exact", "", "", fall(found["fits"])))
        for kind, net in found["networks"].items():
            worst = np.mean(net["gap_per_position"]["trained"]["seeds"], 0)[4:].max()
            lines.append(("", kind, f"{net['gap']['trained']['mean']:.1e}", f"{worst:.1e}", fall(net["fits"][0])))
    seconds = sum(metrics["seconds"]["training"].values())
    title = f"{folder}: metrics.json, figures; {seconds:.0f} / {metrics['seconds']['all']:.0f} s training / all"
    runs.print_table(title, ("", "", "gap (nats)", "worst beyond 3", "excess falls (first seed)"), lines)
    if "names" in metrics["sources"]:
        nets = {kind: net["sightings"] for kind, net in metrics["sources"]["names"]["networks"].items()}
        show = lambda values: [f"{value:.4f}" for value in values]
        seen = [("published", *show(PUBLISHED_SIGHTINGS[1])), ("exact", *show(next(iter(nets.values()))["exact"]))]
        seen += [(kind, *show(list(found["network"].values())[-1]["mean"])) for kind, found in nets.items()]
        runs.print_table("loss on the name (nats)", ("", *(f"sighting {k}" for k in range(1, 5))), seen)


def fall(fit: dict) -> str:
    """The better of the two laws in words, with its interval."""
    if fit["falls"] == "at once":
        return "at once"
    line = fit[fit["falls"]]
    if fit["falls"] == "power law":
        return f"L^{line['slope']:.2f} [{line['interval'][0]:.2f}, {line['interval'][1]:.2f}]"
    lengths = [-1 / slope for slope in (line["slope"], *line["interval"])]
    return f"e-fold in {lengths[0]:.2f} tokens [{lengths[1]:.2f}, {lengths[2]:.2f}]"


if __name__ == "__main__":
    cli.run_experiment(main, PRESETS, out="runs/in_context", description=__doc__)
