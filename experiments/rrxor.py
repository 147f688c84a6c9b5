"""Beliefs beyond the next token: a network that has learnt RRXOR tells apart pasts with equal next-token laws.

Source: Shai, Marzen, Teixeira, Gietelink Oldenziel, Riechers 2024 (2405.15943), figures 6 and 7, and an earlier
write-up of theirs.
The 36 beliefs of RRXOR (random, random, their XOR) are no function of the next-token law: some share one, and the map
from belief to law has rank 2 of 5. Published, of
a network of width 128 after 509M tokens, scored on the data of the fit: distances between probed beliefs against true
ones r2 .95, against next-token laws .31; the error of the probe falls from layer to layer, and lies far lower for all
layers together. With 1,046 distinct prefixes and up to 1,536 activations, an untrained network scores well too: so
every score stands beside the untrained network's, and held out by subtree.
Expected from `default`, two networks of a size: loss 1.5e-4 nats (64 wide) and 9e-5 (128 wide) above the optimum; the
published shape, not its single numbers (128 wide: r2 of distances .98 and .30, error .0018 for all layers together,
published .0035); held out, all layers together, R2 .70 and .71 (untrained .09 and .08). 44 minutes of training and 29
of analysis on one core busy with two other runs.

    python experiments/rrxor.py                    the default preset
    python experiments/rrxor.py quick              a smoke run, under a minute
    python experiments/rrxor.py paper              the published settings: SGD .01, 800,000 steps (hours)
    python experiments/rrxor.py default --sizes 128-wide --seeds 4
    python experiments/rrxor.py default --data words --steps 2000    all words in every step, no sampling noise

Interrupt it and start it again with the same command: it continues. A finished run is drawn again without training.
"""

import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

import jax

import beliefgeo as bg
from beliefgeo import runs_old as runs
from beliefgeo.learning_old import TARGETS, Budget, Learned, learn, read_networks
from beliefgeo.networks.transformer import TransformerConfig
from beliefgeo.plots import layers
from beliefgeo.probes import report
from beliefgeo.probes.controls import shuffle_unseen
from beliefgeo.probes.geometry import compare_distances, principal_components
from beliefgeo.probes.held_out import held_out_folds, permutation_test
from beliefgeo.reading.evaluation import Prefixes, layerwise, prefixes
from beliefgeo.reading.sampled import sampled_loss_gap, words_or_sample
from beliefgeo.runs import command_line as cli
from beliefgeo.runs import outputs

Size = Literal["64-wide", "128-wide"]
# The text of the paper describes the first, its figures were made with the second.
NETWORKS: dict[Size, TransformerConfig] = {
    "64-wide": TransformerConfig(vocab_size=2),
    "128-wide": TransformerConfig(vocab_size=2, width=128, heads=4, head_width=16, mlp_width=512),
}
# Read off the figure: error of the probe of each site, and of all together.
PUBLISHED_ERROR = {
    "embed": 0.0705,
    "layer 1": 0.0415,
    "layer 2": 0.032,
    "layer 3": 0.026,
    "layer 4": 0.0245,
    "final norm": 0.0295,
    "concatenated": 0.0035,
}
PUBLISHED_DISTANCE_R2 = {"true beliefs": 0.95, "next-token laws": 0.31}
TWELVE = "all twelve"
NETS = ("trained", "untrained")
# In-sample fits with as many activations as prefixes: directions below this are the rounding of float32.
RCOND = 1e-5
LISTED = 500  # words; where there are more, sampled ones stand for them
READING = 2**20  # folded into the seed for what networks read: beyond the numbers of seeds, which training folds


class Keys(NamedTuple):
    """The randomness after training."""

    words: jax.Array
    pairs: jax.Array
    """Of distances: one for all sites, networks and the law itself, which are compared on the same pairs."""
    test: jax.Array


@dataclass(frozen=True)
class Config:
    """The networks of the paper, and how to train and probe them."""

    sizes: tuple[Size, ...] = tuple(NETWORKS)
    """Which networks."""
    context: int = 10
    """Tokens read."""
    budget: Budget = field(default_factory=lambda: Budget(steps=12_000, learning_rate=1.5e-3, snapshots=10, seeds=2))
    """How long to train, and how."""
    shuffles: int = 1000
    """Permutations of what the next-token law cannot see; no p-value is below 1 / (shuffles + 1)."""


PRESETS = {
    "quick": Config(sizes=("64-wide",), context=7, budget=Budget(steps=200, chunk=50, snapshots=1), shuffles=19),
    "default": Config(),
    "paper": Config(budget=Budget(steps=800_000, learning_rate=0.01, optimizer="sgd", chunk=1000, snapshots=20)),
}


def main(preset: str, config: Config, out: Path) -> None:
    """Process, words; for each network train, activations, probes, controls; draw."""
    began = time.perf_counter()
    process, drawn = bg.rrxor(), keys(config)
    words, sampled = words_or_sample(drawn.words, process, config.context, LISTED)
    rows = prefixes(process, words)
    held_out_folds(rows)  # refuses a context too short before anything is written
    folder = runs.open_run(runs.run_folder(out, preset, config), config)
    results, pictures, seconds = {}, {}, {}
    for index, size in enumerate(config.sizes):
        network = replace(NETWORKS[size], context=config.context)
        learned = learn(folder / size, process, network, config.budget, context=config.context, data="rrxor")
        own = drawn._replace(test=jax.random.fold_in(drawn.test, index))
        results[size], pictures[size] = study(own, learned, rows, config, sampled=sampled)
        seconds[size] = learned.history["seconds"].sum()
    figures(folder, results, pictures, rows)
    metrics = {
        "preset": preset,
        "config": asdict(config),
        "mixed states": len(bg.mixed_state_presentation(process).beliefs),
        "next-token law": report.law_report(drawn.pairs, rows),
        "networks": results,
        "device": outputs.device(),
        "versions": outputs.versions(),
        "seconds": {"training": seconds, "all": time.perf_counter() - began},
    }
    outputs.write_json(folder / "metrics.json", metrics)
    summary(folder, metrics)


def keys(config: Config) -> Keys:
    """Keys that training does not use."""
    return Keys(*jax.random.split(jax.random.fold_in(jax.random.key(config.budget.seed), READING), 3))


def sites(activations: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The six sites of the error bars and their concatenation, and the twelve of the distance panel."""
    twelve = layerwise(activations, ("resid_pre", "resid_mid", "resid_post"))["concatenated"]
    return layerwise(activations) | {TWELVE: twelve}


def study(own: Keys, learned: Learned, rows: Prefixes, config: Config, *, sampled: bool) -> tuple[dict, dict]:
    """Everything about one size of network; and for the figures, the beliefs that probes see, and a test."""
    nets = read_networks(learned.network, {"trained": learned.trained, "untrained": learned.untrained}, rows, sites)
    shots = read_networks(learned.network, learned.snapshots, rows)
    # Beliefs against beliefs whose part invisible to the next-token law is shuffled, held out.
    test = lambda key, one: permutation_test(key, one, rows, rows.counts, shuffle_unseen, count=config.shuffles)
    test_keys = dict(zip(nets, jax.random.split(own.test, (len(nets), config.budget.seeds)), strict=True))
    tests = {net: [*map(test, test_keys[net], read.features["concatenated"])] for net, read in nets.items()}
    tested = lambda one: {"r2": one.r2, "largest shuffled r2": one.shuffled.max(), "p_value": one.p_value}
    result = {
        "training_tokens": max(learned.snapshots),
        "loss": report.loss_report(nets, rows),
        # Between words, of the first network; None where all words were listed and the gap is exact.
        "standard error of the gap": (
            sampled_loss_gap(rows, nets["trained"].log_laws[0]).mean_error if sampled else None
        ),
        "gap while training": {
            tokens: report.over_seeds(report.mean_gaps(shot, rows)) for tokens, shot in shots.items()
        },
        "scores": {
            net: {
                site: report.seeds_report([measure(own.pairs, one, rows) for one in read.features[site]])
                for site in (*PUBLISHED_ERROR, TWELVE)  # the order of reading
            }
            for net, read in nets.items()
        },
        "more than the next-token law": {
            net: report.seeds_report([tested(one) for one in each]) for net, each in tests.items()
        },
    }
    first = {net: read.features[TWELVE][0] for net, read in nets.items()}
    points = {net: fit(features, rows)(features) for net, features in first.items()}
    return result, {"points": points, "test": tests["trained"][0]}


def measure(pairs_key: jax.Array, features: jax.Array, rows: Prefixes) -> dict:
    """One site of one network: a probe on the rows of its fit, as published; held out; and what is told apart."""
    probe = fit(features, rows)
    score = bg.score_probe(probe, features, rows.beliefs, rows.counts)
    distances = lambda truth: compare_distances(pairs_key, probe(features), truth, weights=rows.counts)
    in_sample = {
        "in sample: mse": score.mse,
        "in sample: r2": score.r2,
        "in sample: r2 of distances, true beliefs": distances(rows.beliefs),
        "in sample: r2 of distances, next-token laws": distances(rows.laws),
    }
    return in_sample | report.parts_report(features, rows) | report.distance_report(features, rows)


def fit(features: jax.Array, rows: Prefixes) -> bg.Probe:
    """The probe of the beliefs, every word and position counted equally."""
    return bg.fit_probe(features, rows.beliefs, rows.counts, rcond=RCOND)


def figures(folder: Path, results: dict, pictures: dict, rows: Prefixes) -> None:
    """Draw scores site by site, distances, the beliefs that probes see, the test and the training."""
    save = lambda name, figure: outputs.save_figure(folder / f"{name}.png", figure)
    scores = {size: found["scores"] for size, found in results.items()}
    probes = {
        "mean squared error": {net: (net, "in sample: mse") for net in NETS},
        "R$^2$ of the beliefs": {net: (net, "held out: r2") for net in NETS},
    }
    published = {"128-wide, in sample": PUBLISHED_ERROR}
    save("layers", layers.by_site(scores, probes, titles=("in sample", "held out"), published=published, log=(0,)))
    distinctions = {
        "held-out R$^2$ of the part": {
            "seen by the next-token law": ("trained", "held out: r2 of the part that the next-token law sees"),
            "unseen": ("trained", "held out: r2 of the part that it cannot see"),
        },
        "distance / that of\ndifferent laws": {
            pasts: ("trained", f"distance, {pasts}") for pasts in ("equal law and different belief", "equal belief")
        },
    }
    save("distinctions", layers.by_site(scores, distinctions))

    size = list(results)[-1]
    points = pictures[size]["points"]
    r2 = lambda net, truth: scores[size][net][TWELVE][f"in sample: r2 of distances, {truth}"]["seeds"][0]
    truths = {"true beliefs": rows.beliefs, "next-token laws": rows.laws}
    pairs = {
        f"{net}\n{truth}\nr$^2$ = {r2(net, truth):.3f}": (cloud, points[net])
        for net in NETS
        for truth, cloud in truths.items()
    }
    labels = [("distance of beliefs", "distance of probed beliefs"), ("distance of laws", "")] * 2
    save("distances", layers.distance_panels(pairs, labels))
    flat = principal_components(rows.beliefs, rows.counts)
    clouds = {"exact beliefs": rows.beliefs} | {f"probe of the {net} network": points[net] for net in NETS}
    clouds = {title: flat(cloud) for title, cloud in clouds.items()}
    save("beliefs", layers.colored_clouds(clouds, rows.laws[:, 1], label="probability of a 1 next"))

    tests = {size: (picture["test"].r2, picture["test"].shuffled) for size, picture in pictures.items()}
    save("unseen", layers.against_chance(tests, xlabel="held-out R$^2$ of the beliefs"))
    gaps = {size: found["gap while training"] for size, found in results.items()}
    save("training", layers.learning_curves(gaps, ylabel="loss above the optimum (nats)"))


def summary(folder: Path, metrics: dict) -> None:
    """Ours beside the published numbers, which belong to the wider network, on the terminal."""
    law = metrics["next-token law"]
    rank = "{rank} of {of}".format(**law["rank"])
    lines = [
        ("rank of the map from belief to next-token law", "", rank, ""),
        ("next-token law alone: r2 of distances, true beliefs", "0.287", f"{law['distances']:.3f}", ""),
    ]
    for size, found in metrics["networks"].items():
        lines.append((size, "", "", ""))
        for label, published, by_net in shown(found):
            ours = (f"{float(by_net[net]['mean']):.3g}" for net in NETS)
            lines.append((f"  {label}", published if size == "128-wide" else "", *ours))
    seconds = sum(metrics["seconds"]["training"].values())
    title = f"{folder}: metrics.json, figures; {seconds:.0f} / {metrics['seconds']['all']:.0f} s training / call"
    tokens = next(iter(metrics["networks"].values()))["training_tokens"]
    targets = TARGETS[metrics["config"]["budget"]["data"]].replace(" ", "\n")
    columns = ("", "published:\n509M\ndrawn\ntokens", f"trained:\n{tokens / 1e6:.1f}M\n{targets}", "untrained")
    outputs.print_table(title, columns, lines)


def shown(found: dict) -> list[tuple[str, str, dict]]:
    """What the table says of one size of network: label, published number, report over seeds of either network."""
    at = lambda site, score: {net: found["scores"][net][site][score] for net in NETS}
    p_value = {net: test["p_value"] for net, test in found["more than the next-token law"].items()}
    return [
        ("loss above the optimum (nats)", "", found["loss"]["gap"]),
        *(
            (f"in sample, {site}: MSE", f"{error}", at(site, "in sample: mse"))
            for site, error in PUBLISHED_ERROR.items()
        ),
        *(
            (f"{TWELVE}: r2 of distances, {truth}", f"{r2}", at(TWELVE, f"in sample: r2 of distances, {truth}"))
            for truth, r2 in PUBLISHED_DISTANCE_R2.items()
        ),
        ("held out, concatenated: R2", "", at("concatenated", "held out: r2")),
        ("  equivalent window (tokens)", "", at("concatenated", "held out: window")),
        ("  by probability: R2", "", at("concatenated", "held out, by probability: r2")),
        ("more than the next-token law: p", "", p_value),
    ]


if __name__ == "__main__":
    cli.run_experiment(main, PRESETS, out="runs/rrxor", description=__doc__)
