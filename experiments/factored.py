"""Transformers learn factored representations: one subspace a factor, not one for the joint belief.

Source: Shai et al. 2026 (2602.02385). Five independent factors, three mess3(.15, .6) and two bloch_walk(1, 3), are
seen as one of 432 tokens. The belief about all of them at once needs 242 dimensions (95% of its variance: 140), the
factors' own beliefs side by side 10. The network is asked which of the two it keeps.
The map from belief to next-token law has rank 3 of 3 for each factor, 243 of 243 for the joint belief: beliefs are
affine images of laws. And the exact log-laws, sums over factors, fill as few components as the factored beliefs (9, in
12 dimensions): by its dimensions, a network that writes its logits and no beliefs would count as factored too.
Published, after 1.1e9 drawn tokens: principal components for 95% of the variance about 62 at the start, 3 near step
200, 11 at step 5,000; RMSE of the factors' beliefs from .203 to .06 (mess3), .167 to .075 (bloch_walk); dimensions
found by varying one factor 330 in all and 70 of their union at the start, 14 (2, 2, 2, 4, 4) and 12 at the end; overlap
of two factors' leading directions from .5 to 6e-4. Tokens replaced at random with probability 0, .1, .2, .3, .5: 11,
13, 19, 24, 38 dimensions. Factors in a chain: 11 dimensions, where the joint belief needs 148.
Expected from `default`, one network, 8.6M tokens with exact-law targets: 66 components, then 4, then 12; RMSE .021
(mess3) and .057 (bloch_walk); vary-one sum 17, union 14; overlap 3e-3. 18 minutes of training and two of analysis on
one busy core.

    python experiments/factored.py                    the default preset
    python experiments/factored.py quick              a smoke run of two factors, under a minute
    python experiments/factored.py paper              the published budget, 1.1e9 tokens (days on two cores)
    python experiments/factored.py default --noise 0.2
    python experiments/factored.py default --chain

432^8 words cannot be listed: 1,500 sampled ones stand for them, with standard errors where they are means over words.
Interrupt it and start it again with the same command: it continues. A finished run is drawn again without training.
"""

import time
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

import beliefgeo as bg
from beliefgeo import runs_old as runs
from beliefgeo.learning_old import TARGETS, Budget, learn, read_networks, read_positions
from beliefgeo.networks.transformer import TransformerConfig
from beliefgeo.plots import factored as plots
from beliefgeo.probes import report
from beliefgeo.probes.controls import shuffle_beliefs
from beliefgeo.probes.geometry import simplex_coordinates
from beliefgeo.probes.held_out import held_out_folds
from beliefgeo.probes.nested import cross_validate_probe
from beliefgeo.probes.subspaces import effective_dimension, subspace_report, vary_one
from beliefgeo.processes.factor_tree import FactorTree
from beliefgeo.processes.factored import Product
from beliefgeo.processes.noisy_product import NoisyProduct
from beliefgeo.processes.process import vocabulary
from beliefgeo.reading.evaluation import Prefixes, optimal_loss, prefixes
from beliefgeo.reading.sampled import sampled_loss_gap, sampled_words
from beliefgeo.runs import command_line as cli
from beliefgeo.runs import outputs

FactorName = Literal["mess3", "bloch_walk"]
READING = 2**20  # folded into the seed for what networks read: beyond the numbers of seeds, which training folds
PUBLISHED = {
    "dimensions": (62, 11),
    "joint dimensions": 140,
    "factored dimensions": 10,
    "rmse": {"mess3": (0.203, 0.06), "bloch_walk": (0.167, 0.075)},
    "vary-one sum": (330, 14),
    "vary-one union": (70, 12),
    "overlap": (0.5, 6e-4),
}


@dataclass(frozen=True)
class Config:
    """Factors, a transformer, how to train it and how to look at it."""

    factors: tuple[FactorName, ...] = ("mess3", "mess3", "mess3", "bloch_walk", "bloch_walk")
    """mess3(.15, .6), 3 tokens each, and bloch_walk(1, 3), 4 tokens each."""
    noise: float = 0.0
    """Probability that the token seen, of all factors together, is replaced by a uniform one."""
    chain: bool = False
    """The token of each factor chooses how the next one moves; else they are independent."""
    network: TransformerConfig = TransformerConfig(
        vocab_size=433, context=9, layers=4, width=120, heads=3, head_width=40, mlp_width=480
    )
    """It reads BOS and context - 1 tokens; vocab_size: the product of the factors' tokens, and BOS."""
    budget: Budget = Budget(steps=30_000, batch=32, data="laws", chunk=100, snapshots=14)
    """How long to train, and how."""
    words: int = 1500
    """Sampled words on which the network is read."""
    contexts: int = 16
    """Words in each of which all factors but one are frozen, at every position."""
    varied: int = 64
    """Words of the factor that varies, in each of them."""


SMALL = TransformerConfig(vocab_size=13, context=6, layers=2, width=32, heads=2, head_width=16, mlp_width=64)
PRESETS = {
    "quick": Config(
        ("mess3", "bloch_walk"),
        network=SMALL,
        budget=Budget(steps=200, data="laws", chunk=50, snapshots=3),
        words=200,
        contexts=4,
        varied=32,
    ),
    "default": Config(),
    "paper": Config(
        budget=Budget(steps=5000, batch=25_000, learning_rate=5e-4, optimizer="adamw", chunk=10, snapshots=30)
    ),
}


class Keys(NamedTuple):
    """The randomness after training."""

    words: Array
    varied: Array
    shuffle: Array


class Truth(NamedTuple):
    """What a probe should see after each prefix: the factors' beliefs side by side, and whose entry each one is."""

    rows: Prefixes
    beliefs: Float[np.ndarray, "row entry"]
    factor: Int[np.ndarray, " entry"]


def main(preset: str, config: Config, out: Path) -> None:
    """Process, train; at every snapshot loss, dimensions, factors' beliefs, vary-one subspaces; draw."""
    began = time.perf_counter()
    process, context = process_of(config), config.network.context
    bos = vocabulary(process)
    folder = runs.open_run(runs.run_folder(out, preset, config), config)
    own = keys(config)
    # Before the training: a number of words that does not do costs nothing here.
    drawn = sampled_words(own.words, process, config.words, context - 1)
    rows = prefixes(process, drawn, bos=bos)
    beliefs = process.split_belief(rows.beliefs)
    truth = Truth(rows, np.concatenate(beliefs, 1), np.repeat(np.arange(len(beliefs)), [b.shape[1] for b in beliefs]))
    shuffled = truth._replace(beliefs=np.asarray(shuffle_beliefs(own.shuffle, truth.beliefs, rows.length)))
    digits = vary_one(own.varied, process.split_token(drawn.tokens), config.contexts, config.varied)
    tokens = jnp.pad(process.join_tokens(digits), [(0, 0)] * 3 + [(1, 0)], constant_values=bos)

    data = f"{'chain of ' * config.chain}{' '.join(config.factors)}, noise {config.noise}"
    learned = learn(folder / "network", process, config.network, config.budget, context=context, data=data, bos=True)
    read = read_networks(learned.network, learned.snapshots, rows)
    varied = read_positions(learned.network, learned.snapshots, tokens)
    features = {"trained": read[max(read)].features, "untrained": read[0].features}
    # Noise makes the factors one process, whose belief is the joint one.
    joint = rows.beliefs if config.noise else jax.vmap(lambda *parts: reduce(jnp.kron, parts))(*beliefs)
    held = lambda net, truth: report.over_seeds(np.array([rmse_held_out(one, truth) for one in features[net]]))
    shots = {
        snapshot: report.seeds_report(
            [study(truth, *seed) for seed in zip(*read[snapshot], varied[snapshot], strict=True)]
        )
        for snapshot in read
    }
    metrics = {
        "preset": preset,
        "config": asdict(config),
        "site": "output of the last block; all positions, every word and position equally",
        "training_tokens": max(shots),
        "optimum": optimum(config, process, rows),
        "rank of the next-token law": {name: factor_rank(name) for name in dict.fromkeys(config.factors)},
        "exact dimensions": {
            "joint": effective_dimension(joint, rows.counts),
            "factored": effective_dimension(truth.beliefs, rows.counts),
            "log-laws": effective_dimension(log_laws(rows), rows.counts),
        },
        "spread": rmse(np.average(truth.beliefs, 0, rows.counts)[None], truth.beliefs, truth.factor, rows.counts),
        "rmse held out": {
            "trained": held("trained", truth),
            "untrained": held("untrained", truth),
            "shuffled beliefs": held("trained", shuffled),
        },
        "snapshots": shots,
        "published": PUBLISHED if as_published(config) else {},
        "device": outputs.device(),
        "versions": outputs.versions(),
    }
    found = over_training(shots)
    figures(folder, metrics, found, {net: probed(each[0], truth) for net, each in features.items()}, truth)
    metrics["seconds"] = {"training": learned.history["seconds"].sum(), "all": time.perf_counter() - began}
    outputs.write_json(folder / "metrics.json", metrics)
    summary(folder, metrics, found)


def keys(config: Config) -> Keys:
    """Keys that training does not use."""
    return Keys(*jax.random.split(jax.random.fold_in(jax.random.key(config.budget.seed), READING), 3))


def as_published(config: Config) -> bool:
    """Whether the published numbers are of this process."""
    return config.factors == Config().factors and not config.noise and not config.chain


def process_of(config: Config) -> Product | NoisyProduct | FactorTree:
    """The process that the configuration names.

    Raises:
        ValueError: fewer than two factors; noise outside 0 to 1; noise in a chain.
    """
    if len(config.factors) < 2:
        raise ValueError(f"factors must be two or more, else nothing is factored; got {len(config.factors)}")
    if not 0 <= config.noise < 1:
        raise ValueError(f"noise must be a probability, 0 <= noise < 1; got {config.noise}")
    if config.noise and config.chain:
        raise ValueError(f"noise in a chain is not offered: choose --chain or --noise {config.noise}")
    factors = [family(name)[1] for name in config.factors]
    if not config.chain:
        return bg.noisy_product(factors, config.noise) if config.noise else bg.product(factors)
    # Each token of a factor chooses another member of the next one's family (the paper's choice is not ours).
    before = zip(config.factors[1:], factors, strict=False)
    return bg.chain([factors[0], *[family(name)[: factor.vocab_size] for name, factor in before]])


def family(name: FactorName) -> list[bg.Process]:
    """Members that share their stationary law; the published factor is the second."""
    if name == "mess3":
        return [bg.mess3(x, 0.6) for x in (0.05, 0.15, 0.3, 0.4)]
    return [bg.bloch_walk(1, beta) for beta in (2, 3, 4, 5)]


def factor_rank(name: FactorName) -> dict[str, int]:
    """Of how many dimensions of the published factor's belief its own next-token law tells."""
    factor = family(name)[1]
    rows = prefixes(factor, bg.words(factor, 4))
    return report.law_rank(rows.beliefs, rows.laws)


def log_laws(rows: Prefixes) -> Float[np.ndarray, "row token"]:
    """The logits of who predicts exactly, about their mean: a shift of all changes no prediction."""
    logits = np.log(rows.laws)
    return logits - logits.mean(1, keepdims=True)


def study(truth: Truth, log_laws: Array, features: Array, varied: Array) -> dict[str, Any]:
    """All numbers of one network."""
    counts, gap = truth.rows.counts, sampled_loss_gap(truth.rows, log_laws)
    return {
        "gap": {"mean": gap.mean, "standard error": gap.mean_error, "per_position": gap.gap},
        "dimensions": effective_dimension(features, counts),
        "rmse": rmse(probed(features, truth), truth.beliefs, truth.factor, counts),
        "vary-one": subspace_report(varied),
    }


def probed(features: Array, truth: Truth) -> np.ndarray:
    """The factors' beliefs as one affine probe sees them, fitted to all these prefixes."""
    return np.asarray(bg.fit_probe(features, truth.beliefs, truth.rows.counts)(features))


def rmse(
    seen: np.ndarray, beliefs: np.ndarray, factor: np.ndarray, weights: np.ndarray
) -> Float[np.ndarray, " factor"]:
    """Root of the mean squared error of an entry of each factor's belief; the trace of a Bloch vector is no entry."""
    squared = np.average((seen.astype(float) - beliefs) ** 2, 0, weights)
    moves = beliefs.std(0) > 1e-6
    return np.sqrt(np.bincount(factor[moves], squared[moves]) / np.bincount(factor[moves]))


def rmse_held_out(features: Array, truth: Truth) -> Float[np.ndarray, " factor"]:
    """The same after three tokens or more, of probes that never saw a word with these first three tokens."""
    folds = held_out_folds(truth.rows)
    seen = np.asarray(cross_validate_probe(features, truth.beliefs, folds, truth.rows.counts).predictions)
    judged = folds >= 0
    return rmse(seen[judged], truth.beliefs[judged], truth.factor, truth.rows.counts[judged])


def optimum(config: Config, process: Product | NoisyProduct | FactorTree, rows: Prefixes) -> dict[str, Any]:
    """The least possible loss: exact where factors are independent, for entropies add; over the sampled words. Nats."""
    over_words = {"over the sampled words": optimal_loss(rows).mean()}
    if config.noise or config.chain:
        return over_words
    exact = sum(np.asarray(bg.myopic_entropies(part, config.network.context)) for part in process.factors)
    means = {"after 0..7 tokens, exact": exact[:-1].mean(), "after 0..8 tokens, exact": exact.mean()}
    return means | {"per_position": exact} | over_words


def over_training(shots: dict[int, Any]) -> Any:
    """The means over seeds of a nested report, snapshots along their first axis."""
    is_number = lambda part: "seeds" in part
    means = [jax.tree.map(lambda part: part["mean"], shot, is_leaf=is_number) for shot in shots.values()]
    return jax.tree.map(lambda *values: np.stack(values), *means)


def figures(folder: Path, metrics: dict, found: dict, seen: dict[str, np.ndarray], truth: Truth) -> None:
    """Draw dimensions and errors over training, the vary-one subspaces, and the probed beliefs."""
    save = lambda name, figure: outputs.save_figure(folder / f"{name}.png", figure)
    tokens, names = np.array([*metrics["snapshots"]]), metrics["config"]["factors"]
    titles = [f"{name} {1 + names[:n].count(name)}" for n, name in enumerate(names)]
    save("training", plots.training_panels(tokens, found, titles, metrics["exact dimensions"]))
    save("subspaces", plots.subspace_panels(tokens, found["vary-one"], titles))
    angle = np.linspace(0, 2 * np.pi, 200)
    pure = {"mess3": np.eye(3)[[0, 1, 2, 0]], "bloch_walk": np.stack([angle * 0, np.cos(angle), np.sin(angle)], 1)}
    flat = lambda name, beliefs: simplex_coordinates(beliefs) if name == "mess3" else beliefs[:, 1:]
    clouds, outlines = {}, {}
    for n, (name, title) in enumerate(zip(names, titles, strict=True)):
        views = {"exact": truth.beliefs, **seen}
        clouds[title] = {kind: flat(name, beliefs[:, truth.factor == n]) for kind, beliefs in views.items()}
        outlines[title] = flat(name, pure[name])
    save("beliefs", plots.belief_columns(clouds, truth.rows.counts, outlines))


def summary(folder: Path, metrics: dict, found: dict) -> None:
    """Ours beside the published, untrained -> trained, on the terminal."""
    names, exact, held = np.array(metrics["config"]["factors"]), metrics["exact dimensions"], metrics["rmse held out"]
    dimensions, varied = found["dimensions"], found["vary-one"]
    leading = varied["overlap of leading directions"]["mean"]
    show = lambda values: " -> ".join(f"{value:.3g}" for value in values)
    ends = lambda curve: show(curve[[0, -1]])
    ranks = metrics["rank of the next-token law"]
    rows = [
        ("components for 95%: joint / factored beliefs", "140 / 10", f"{exact['joint']} / {exact['factored']}"),
        ("  of the exact log-laws", "", f"{exact['log-laws']}"),
        (
            "components for 95%, network: start, fewest, end",
            "62 -> 3 -> 11",
            show(dimensions[[0, dimensions.argmin(), -1]]),
        ),
        ("vary-one dimensions, sum", show(PUBLISHED["vary-one sum"]), ends(varied["sum"])),
        ("  of each factor at the end", "2, 2, 2, 4, 4", ", ".join(f"{n:.3g}" for n in varied["dimensions"][-1])),
        ("  of their union", show(PUBLISHED["vary-one union"]), ends(varied["union"])),
        ("overlap of leading directions", show(PUBLISHED["overlap"]), ends(leading)),
        ("optimal loss (nats)", "5.9256", f"{next(iter(metrics['optimum'].values())):.4f}"),
        ("loss above the optimum (nats)", "", ends(found["gap"]["mean"])),
    ]
    for name in dict.fromkeys(metrics["config"]["factors"]):
        mine = names == name
        errors = {kind: held[kind]["mean"][mine].mean() for kind in held}
        rows += [
            (
                f"RMSE {name}, rank of its law {'{rank} of {of}'.format(**ranks[name])}",
                show(PUBLISHED["rmse"][name]),
                ends(found["rmse"][:, mine].mean(1)),
            ),
            ("  held out, after 3 tokens or more", "", show([errors["untrained"], errors["trained"]])),
            ("  held out, shuffled beliefs", "", show([errors["shuffled beliefs"]])),
            ("  of the mean belief", "", show([metrics["spread"][mine].mean()])),
        ]
    seconds = " / ".join(f"{value:.0f}" for value in metrics["seconds"].values())
    title = f"{folder}: metrics.json, figures; {seconds} s training / call; {metrics['training_tokens']:,} tokens"
    if not metrics["published"]:
        rows = [(what, "", ours) for what, _, ours in rows]
    targets = TARGETS[metrics["config"]["budget"]["data"]]
    outputs.print_table(title, ("", "published:\ndrawn tokens", "ours:\n" + targets.replace(" ", "\n")), rows)


if __name__ == "__main__":
    cli.run_experiment(main, PRESETS, out="runs/factored", description=__doc__)
