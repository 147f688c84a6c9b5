"""Beliefs beyond the next token: a network that has learnt RRXOR tells apart pasts with equal next-token laws.

Source: Shai, Marzen, Teixeira, Gietelink Oldenziel, Riechers 2024 (2405.15943), figures 6 and 7, and an earlier
write-up of theirs.
The 36 beliefs of RRXOR (random, random, their XOR) are no function of the next-token law: some share one. Published, of
a network of width 128 after 509M tokens, scored on the data of the fit: distances between probed beliefs against true
ones r2 .95, against next-token laws .31; the error of the probe falls from layer to layer, and lies far lower for all
layers together. With 1,046 distinct prefixes and up to 1,536 activations, an untrained network scores well too: so
every score stands beside the untrained network's, and held out by subtree.
Expected from `default`: see docs/pages/results/rrxor.md.

    python experiments/rrxor.py                    the default preset
    python experiments/rrxor.py quick              a smoke run, under a minute
    python experiments/rrxor.py paper              the published settings: SGD .01, 800,000 steps (hours)
    python experiments/rrxor.py default --sizes 128-wide --seeds 4
    python experiments/rrxor.py default --data words --steps 2000    all words in every step, no sampling noise

Interrupt it and start it again with the same command: it continues. A finished run is drawn again without training.
"""

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from scipy.spatial.distance import cdist

import beliefgeo as bg
from beliefgeo import cli, runs
from beliefgeo.analysis import report
from beliefgeo.analysis.controls import equivalent_window, seen_projector, shuffle_unseen, window_curve
from beliefgeo.analysis.cross_validation import cross_validated_r2
from beliefgeo.analysis.evaluation import Prefixes, layerwise, loss_gap, prefixes
from beliefgeo.analysis.geometry import compare_distances, principal_components
from beliefgeo.analysis.held_out import PermutationTest, held_out_folds, permutation_test
from beliefgeo.learning import Budget, Learned, learn, read_networks
from beliefgeo.networks.transformer import TransformerConfig
from beliefgeo.plots import layers

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
TWELVE = "all twelve"
# In-sample fits with as many activations as prefixes: directions below this are the rounding of float32.
RCOND = 1e-5
PUBLISHED_DISTANCE_R2 = {"true beliefs": 0.95, "next-token laws": 0.31}


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
    "quick": Config(sizes=("64-wide",), context=8, budget=Budget(steps=300, chunk=50, snapshots=4), shuffles=99),
    "default": Config(),
    "paper": Config(budget=Budget(steps=800_000, learning_rate=0.01, optimizer="sgd", chunk=1000, snapshots=20)),
}


def main(preset: str, config: Config, out: Path) -> None:
    """Process, words; for each network train, activations, probes, controls; draw."""
    began = time.perf_counter()
    folder = runs.open_run(runs.run_folder(out, preset, config), config)
    process = bg.rrxor()
    rows = prefixes(process, bg.words(process, config.context))
    learned = {
        size: learn(
            folder / size,
            process,
            NETWORKS[size],
            config.budget,
            context=config.context,
            data="rrxor",
        )
        for size in config.sizes
    }
    results, probed = {}, {}
    for size, one in learned.items():
        results[size], probed[size] = study(one, rows, config)
    metrics = {
        "preset": preset,
        "config": asdict(config),
        "mixed states": len(bg.mixed_state_presentation(process).beliefs),
        "next-token law": law_alone(rows),
        "networks": results,
        "device": runs.device(),
        "versions": runs.versions(),
    }
    figures(folder, metrics, probed, rows)
    seconds = {size: one.history["seconds"].sum() for size, one in learned.items()}
    metrics["seconds"] = {"training": seconds, "all": time.perf_counter() - began}
    runs.write_json(folder / "metrics.json", metrics)
    summary(folder, metrics)


def sites(activations: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The six sites of the error bars and their concatenation, and the twelve of the distance panel."""
    return layerwise(activations) | {
        TWELVE: layerwise(activations, ("resid_pre", "resid_mid", "resid_post"))["concatenated"]
    }


def study(learned: Learned, rows: Prefixes, config: Config) -> tuple[dict, dict]:
    """Everything about one size of network; and for the figures, the beliefs that probes see, and a test."""
    networks = read_networks(learned.network, {"trained": learned.trained, "untrained": learned.untrained}, rows, sites)
    scores = {
        name: {
            site: over_seeds([measure(one, rows) for one in network.features[site]])
            for site in (*PUBLISHED_ERROR, TWELVE)  # the order of reading
        }
        for name, network in networks.items()
    }
    tests = {
        name: [unseen_test(one, rows, config) for one in network.features["concatenated"]]
        for name, network in networks.items()
    }
    result = {
        "training_tokens": max(learned.snapshots),
        "loss": report.loss_report(networks, rows),
        "gap while training": {tokens: gap(learned, params, rows) for tokens, params in learned.snapshots.items()},
        "scores": scores,
        "more than the next-token law": {
            name: over_seeds(
                [{"r2": t.r2, "largest shuffled r2": t.shuffled.max(), "p_value": t.p_value} for t in each]
            )
            for name, each in tests.items()
        },
    }
    points = {
        name: np.array(bg.fit_probe(one, rows.beliefs, rows.counts, rcond=RCOND)(one))
        for name, one in ((name, network.features[TWELVE][0]) for name, network in networks.items())
    }
    return result, {"points": points, "test": tests["trained"][0]}


def measure(features: jax.Array, rows: Prefixes) -> dict[str, float]:
    """One site of one network: as published, held out, and what it tells apart."""
    key, probe = jax.random.key(0), bg.fit_probe(features, rows.beliefs, rows.counts, rcond=RCOND)
    fitted = bg.score_probe(probe, features, rows.beliefs, rows.counts)
    distances = lambda cloud: compare_distances(key, probe(features), cloud, weights=rows.counts)
    seen = rows.beliefs @ seen_projector(rows.beliefs, rows.laws)
    targets = np.stack([rows.beliefs, seen, rows.beliefs - seen])
    folds = held_out_folds(rows)
    by_count, seen_r2, unseen_r2 = cross_validated_r2(features, targets, folds, rows.counts)
    by_probability = cross_validated_r2(features, targets[:1], folds, rows.probabilities)[0]
    window = lambda r2, weights: equivalent_window(1 - float(r2), window_curve(rows, weights, folds >= 0))
    return {
        "in sample: mse": fitted.mse,
        "in sample: r2": fitted.r2,
        "in sample: r2 of distances, true beliefs": distances(rows.beliefs),
        "in sample: r2 of distances, next-token laws": distances(rows.laws),
        "held out: r2": by_count,
        "held out: window": window(by_count, rows.counts),
        "held out, by probability: r2": by_probability,
        "held out, by probability: window": window(by_probability, rows.probabilities),
        "held out: r2 of the part that the next-token law sees": seen_r2,
        "held out: r2 of the part that it cannot see": unseen_r2,
        **told_apart(features, rows),
    }


def told_apart(features: jax.Array, rows: Prefixes) -> dict[str, float]:
    """Mean distances of activations, as fractions of that between pasts of equal length and different laws.

    Equal law, different belief: near 0 where the two are merged. Equal belief: near 0 if the site holds nothing else.
    """
    near = lambda values: (abs(values[:, None] - values[None]) < 1e-6).all(-1)
    same_law, same_belief = near(rows.laws), near(rows.beliefs)
    pairs = (rows.length[:, None] == rows.length[None]) & ~np.eye(len(rows.length), dtype=bool)
    distance = cdist(features, features)
    mean = lambda chosen: distance[pairs & chosen].mean()
    return {
        "distance, equal belief": mean(same_belief) / mean(~same_law),
        "distance, equal law and different belief": mean(same_law & ~same_belief) / mean(~same_law),
    }


def unseen_test(features: jax.Array, rows: Prefixes, config: Config) -> PermutationTest:
    """Beliefs against beliefs whose part invisible to the next-token law is shuffled, held out."""
    key = jax.random.key(config.budget.seed)
    return permutation_test(key, features, rows, rows.counts, shuffle_unseen, count=config.shuffles)


def gap(learned: Learned, params: Any, rows: Prefixes) -> dict:
    """Exact nats above the optimum, mean over the context."""
    laws = read_networks(learned.network, {"it": params}, rows)["it"].log_laws
    return report.over_seeds(np.array([loss_gap(rows, one).mean() for one in laws]))


def law_alone(rows: Prefixes) -> dict:
    """How far the exact next-token law goes: distinct ones, its affine probe of the beliefs, its distances."""
    probe = bg.fit_probe(rows.laws, rows.beliefs, rows.counts)
    return {
        "distinct beliefs": len(np.unique(rows.beliefs.round(9), axis=0)),
        "distinct laws": len(np.unique(rows.laws.round(9), axis=0)),
        "probe r2": bg.score_probe(probe, rows.laws, rows.beliefs, rows.counts).r2,
        "distances": compare_distances(jax.random.key(0), rows.laws, rows.beliefs, weights=rows.counts),
    }


def over_seeds(each: list[dict[str, Any]]) -> dict[str, Any]:
    """Every number of the dictionaries over seeds."""
    return {name: report.over_seeds(np.array([float(one[name]) for one in each])) for name in each[0]}


def figures(folder: Path, metrics: dict, probed: dict, rows: Prefixes) -> None:
    """Draw scores site by site, distances, the beliefs that probes see, the test and the training."""
    save = lambda name, figure: figure.savefig(folder / f"{name}.png")
    sizes = list(metrics["networks"])
    network = {size: metrics["networks"][size] for size in sizes}
    curve = lambda size, name, score: {
        site: found[score]["seeds"] for site, found in network[size]["scores"][name].items()
    }
    both = lambda size, score: {name: curve(size, name, score) for name in ("trained", "untrained")}
    scored = {f"{size}, in sample": both(size, "in sample: mse") for size in sizes}
    scored |= {f"{size}, held out": both(size, "held out: r2") for size in sizes}
    published = {"128-wide, in sample": PUBLISHED_ERROR}
    labels = ("mean squared error", "R$^2$ of the beliefs")
    save("layers", layers.by_site(scored, columns=len(sizes), labels=labels, published=published, log=(0,)))

    seen, unseen = (f"held out: r2 of the part that {what}" for what in ("the next-token law sees", "it cannot see"))
    merged = ("distance, equal law and different belief", "distance, equal belief")
    told = {
        f"{size}": {
            "seen by the next-token law": curve(size, "trained", seen),
            "unseen": curve(size, "trained", unseen),
        }
        for size in sizes
    }
    told |= {
        f"{size} ": {name.removeprefix("distance, "): curve(size, "trained", name) for name in merged} for size in sizes
    }
    labels = ("held-out R$^2$ of the part", "distance / that of\ndifferent laws")
    save("distinctions", layers.by_site(told, columns=len(sizes), labels=labels))

    size = sizes[-1]
    r2 = lambda name, what: network[size]["scores"][name][TWELVE][f"in sample: r2 of distances, {what}"]["seeds"][0]
    pairs = {
        f"{name}\n{what}\nr$^2$ = {r2(name, what):.3f}": (cloud, probed[size]["points"][name])
        for name in ("trained", "untrained")
        for what, cloud in (("true beliefs", rows.beliefs), ("next-token laws", rows.laws))
    }
    axes = [("distance of beliefs", "distance of probed beliefs"), ("distance of laws", "")] * 2
    save("distances", layers.distance_panels(pairs, axes))

    flat = principal_components(rows.beliefs, rows.counts)
    clouds = {"exact beliefs": flat(rows.beliefs)}
    clouds |= {f"probe of the {name} network": flat(points) for name, points in probed[size]["points"].items()}
    save("beliefs", layers.colored_clouds(clouds, rows.laws[:, 1], label="probability of a 1 next"))

    tests = {size: (probed[size]["test"].r2, probed[size]["test"].shuffled) for size in sizes}
    save("unseen", layers.against_chance(tests, xlabel="held-out R$^2$ of the beliefs"))
    gaps = {
        size: (list(found)[1:], np.array([one["seeds"] for one in found.values()]).T[:, 1:])
        for size, found in ((size, network[size]["gap while training"]) for size in sizes)
    }
    save("training", layers.learning_curves(gaps, ylabel="loss above the optimum (nats)"))


def summary(folder: Path, metrics: dict) -> None:
    """Ours beside the published numbers, on the terminal."""
    law = metrics["next-token law"]
    lines = [("next-token law alone: r2 of distances, true beliefs", ".287", f"{law['distances']:.3f}", "")]
    for size, found in metrics["networks"].items():
        lines += [(size, "", "", ""), *size_lines(found, published=size == "128-wide")]
    seconds = sum(metrics["seconds"]["training"].values())
    title = f"{folder}: metrics.json, figures; {seconds:.0f} / {metrics['seconds']['all']:.0f} s training / all"
    runs.print_table(title, ("", "published", "trained", "untrained"), lines)


def size_lines(found: dict, *, published: bool) -> list[tuple[str, ...]]:
    """One network's rows of the table; the published numbers belong to the wider one."""
    both = lambda of, form: [format(float(of(net)["mean"]), form) for net in ("trained", "untrained")]
    score = lambda site, name, form=".3f": both(lambda net: found["scores"][net][site][name], form)
    known = lambda value: format(value, ".4g") if published else ""
    single = [site for site in PUBLISHED_ERROR if site != "concatenated"]
    best = max(single, key=lambda site: found["scores"]["trained"][site]["held out: r2"]["mean"])
    p_value = lambda net: found["more than the next-token law"][net]["p_value"]
    return [
        ("  loss above the optimum (nats)", "", *both(lambda net: found["loss"]["gap"][net], ".1e")),
        *(
            (f"  in sample, {site}: MSE", known(value), *score(site, "in sample: mse", ".4f"))
            for site, value in PUBLISHED_ERROR.items()
        ),
        *(
            (
                f"  {TWELVE}: r2 of distances, {what}",
                known(value),
                *score(TWELVE, f"in sample: r2 of distances, {what}"),
            )
            for what, value in PUBLISHED_DISTANCE_R2.items()
        ),
        ("  held out, concatenated: R2", "", *score("concatenated", "held out: r2")),
        ("    equivalent window (tokens)", "", *score("concatenated", "held out: window")),
        ("    by probability: R2", "", *score("concatenated", "held out, by probability: r2")),
        (f"  held out, {best}, the best single site: R2", "", *score(best, "held out: r2")),
        ("  more than the next-token law: p", "", *both(p_value, ".4f")),
    ]


if __name__ == "__main__":
    cli.run_experiment(main, PRESETS, out="runs/rrxor", description=__doc__)
