"""One attention layer holds constrained beliefs: each token's evidence, faded by its lag; more layers repair them.

Source: Piotrowski, Riechers, Filan, Shai 2025 (2502.01954), on Mess3, where evidence fades by zeta = 1 - 3x a step.
Published: attention .46 .29 .15 .10 by lag at (x, alpha) = (.15, .6), zeta = .55; at (.5, .6), zeta = -.5, one head of
even and one of odd lags; the table of explained variance below; attention alone gains 98% of what an ideal observer
gains at (.15, .6), 85% (one head) and 92% (two) at (.5, .6).
Expected from `default`, three networks of a kind: at (.15, .6) a fading of .51 (four layers: .53), values parallel to
the evidence (cosine above .99), after attention R2 .99 of constrained and .95 of true beliefs, at the output of four
layers .98 and .99; at (.5, .6) an odd and an even head; with attention alone 96%, 93% and 95%. Explained variance is
off the published by at most .086 at (.15, .6) and up to .255 at the other settings. 25 minutes of training and seven
of analysis on one busy core.
The map from belief to next-token law has rank 3 of 3 at all settings: a belief that is read may be the law of the next
token, of which it is an affine image. Constrained beliefs are one of another law, which sums evidence.

    python experiments/constrained_beliefs.py                 the default preset
    python experiments/constrained_beliefs.py quick           a smoke run
    python experiments/constrained_beliefs.py paper           the published optimiser: Adam 1e-4, 15M tokens each
    python experiments/constrained_beliefs.py default --networks "one head" --seeds 4

Interrupt it and start it again with the same command: it continues. A finished run is drawn again without training.
"""

import time
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import beliefgeo as bg
from beliefgeo import runs_old as runs
from beliefgeo.beliefs.constrained import constrained_beliefs, evidence
from beliefgeo.learning_old import TARGETS, Budget, Learned, learn, read_networks, unstack
from beliefgeo.mechanisms.attention import attention_rows, ideal_heads
from beliefgeo.mechanisms.one_layer import heads_report
from beliefgeo.networks.transformer import TransformerConfig
from beliefgeo.plots import constrained as plots
from beliefgeo.probes import report
from beliefgeo.probes.geometry import principal_components, simplex_coordinates
from beliefgeo.probes.held_out import held_out_folds
from beliefgeo.probes.in_sample import Reading, read_components
from beliefgeo.probes.report import over_seeds, seeds_report
from beliefgeo.reading.evaluation import Evaluation, Prefixes, beliefs_after, loss_gap, optimal_loss, prefixes
from beliefgeo.reading.sampled import sampled_loss_gap, words_or_sample
from beliefgeo.runs import command_line as cli
from beliefgeo.runs import outputs

Setting = tuple[float, float]
Name = Literal["one head", "two heads", "four layers", "attention only, one head", "attention only, two heads"]

PUBLISHED = {
    # Cumulative, of components 1 to 4, of the network of one head.
    "explained variance": {
        "x=0.15, a=0.2": {"mid": [0.541, 0.877, 0.967, 0.975], "output": [0.962, 0.983, 0.994, 0.996]},
        "x=0.15, a=0.6": {"mid": [0.465, 0.889, 0.986, 0.990], "output": [0.495, 0.768, 0.981, 0.990]},
        "x=0.5, a=0.6": {"mid": [0.407, 0.803, 0.891, 0.946], "output": [0.460, 0.710, 0.886, 0.919]},
        "x=0.5, a=0.2": {"mid": [0.527, 0.852, 0.917, 0.965], "output": [0.650, 0.859, 0.969, 0.976]},
    },
    "attention by lag": {
        "one head, x=0.15, a=0.6": {0: 0.46, 1: 0.29, 2: 0.15, 3: 0.10},
        "two heads, x=0.5, a=0.6": {0: 0.68, 1: 0.745, 2: 0.24, 3: 0.19, 4: 0.05, 5: 0.035},
    },
    # Of what reading gains an ideal observer, over knowing only how frequent tokens are.
    "share": {
        "attention only, one head, x=0.15, a=0.6": 0.98,
        "attention only, one head, x=0.5, a=0.6": 0.85,
        "attention only, two heads, x=0.5, a=0.6": 0.92,
    },
}


class Kind(NamedTuple):
    """On which processes, x and alpha of Mess3, a kind of network is trained, and how it differs from one head."""

    settings: tuple[Setting, ...]
    changes: dict[str, Any]


POSITIVE, NEGATIVE = (0.15, 0.6), (0.5, 0.6)  # zeta = .55 and -.5: the two studied most closely
BARE = {"mlp_width": 0, "layer_norm": False}
KINDS: dict[Name, Kind] = {
    "one head": Kind(((0.15, 0.2), POSITIVE, NEGATIVE, (0.5, 0.2)), {}),
    "two heads": Kind((NEGATIVE,), {"heads": 2}),
    "attention only, one head": Kind((POSITIVE, NEGATIVE), BARE),
    "attention only, two heads": Kind((POSITIVE, NEGATIVE), {**BARE, "heads": 2}),
    "four layers": Kind((POSITIVE,), {"layers": 4}),
}
# Of these the beliefs are drawn.
DRAWN: dict[Name, Setting] = {"one head": POSITIVE, "two heads": NEGATIVE, "four layers": POSITIVE}
# At most so many words are read, sampled ones where there are more.
WORDS = 200_000
READING = 2**20  # folded into the seed for what networks read: beyond the numbers of lanes, which training folds


@dataclass(frozen=True)
class Config:
    """The networks, and how to train them."""

    networks: tuple[Name, ...] = tuple(KINDS)
    """Which kinds of networks."""
    network: TransformerConfig = field(default_factory=lambda: TransformerConfig(layers=1))
    """The one of one head; the others differ from it as their names say."""
    components: int = 3
    """Principal components from which beliefs are read."""
    budget: Budget = field(default_factory=lambda: Budget(steps=10_000, batch=64, seeds=3))


SMALL = TransformerConfig(layers=1, context=7)
PRESETS = {
    "quick": Config(("two heads",), SMALL, budget=Budget(steps=200, chunk=50)),
    "default": Config(),
    "paper": Config(budget=Budget(11_700, 128, 1e-4, "adam", seeds=2)),
}


def main(preset: str, config: Config, out: Path) -> None:
    """Train each network on its processes, read it on all words, score, draw."""
    began = time.perf_counter()
    base = config.network
    if (base.layers, base.heads, base.layer_norm) != (1, 1, True) or not base.mlp_width or base.context < 7:
        raise ValueError(
            "the claim is about one layer of one head, with LayerNorm and MLP, and lags up to 6: give layers 1, "
            f"heads 1, layer_norm, mlp_width above 0, context 7 or more; got {base}"
        )
    folder = runs.open_run(runs.run_folder(out, preset, config), config)
    found, clouds, seconds = {}, {}, {}
    for name in config.networks:
        settings, changes = KINDS[name]
        network, processes = replace(config.network, **changes), [bg.mess3(*setting) for setting in settings]
        data = f"mess3, (x, a) in {settings}"
        learned = learn(folder / name, processes, network, config.budget, context=network.context, data=data)
        seconds[name] = learned.history["seconds"].sum()
        for index, setting in enumerate(settings):
            found[name, setting], clouds[name, setting] = study(learned, index, setting, config)
    figures(folder, found, clouds)
    metrics = {
        "preset": preset,
        "config": asdict(config),
        "training_tokens": config.budget.steps * config.budget.batch * config.network.context,
        "networks": {f"{name}, {label(setting)}": one for (name, setting), one in found.items()},
        "published": PUBLISHED,
        "device": outputs.device(),
        "versions": outputs.versions(),
        "seconds": {"training": seconds, "all": time.perf_counter() - began},
    }
    outputs.write_json(folder / "metrics.json", metrics)
    summary(folder, metrics)


def label(setting: Setting) -> str:
    """What a process is called in metrics.json and in `PUBLISHED`."""
    return f"x={setting[0]:g}, a={setting[1]:g}"


def keys(config: Config) -> dict[Setting, jax.Array]:
    """The key of each process's words, the same for all networks; training uses none of them."""
    settings = sorted({setting for kind in KINDS.values() for setting in kind.settings})
    reading_key = jax.random.fold_in(jax.random.key(config.budget.seed), READING)
    return dict(zip(settings, jax.random.split(reading_key, len(settings)), strict=True))


def sites(activations: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """After the first attention, at the end (before and after its norm), and the attention."""
    return {
        "mid": activations["resid_mid"][0],
        "output": activations["resid_post"][-1],
        "final_norm": activations["final_norm"],
        "pattern": attention_rows(activations),
    }


def study(learned: Learned, index: int, setting: Setting, config: Config) -> tuple[dict, dict]:
    """All numbers of one kind of network on one process; and beliefs, exact and as read from the first network."""
    process = bg.mess3(*setting)
    words, sampled = words_or_sample(keys(config)[setting], process, config.network.context, WORDS)
    rows = prefixes(process, words)
    beliefs = {"constrained": beliefs_after(partial(constrained_beliefs, process), rows), "true": rows.beliefs}
    params = jax.tree.map(lambda leaf: leaf[index], {"trained": learned.trained, "untrained": learned.untrained})
    nets = read_networks(learned.network, params, rows, sites)
    each = {net: unstack(network) for net, network in nets.items()}
    read = {
        net: [read_beliefs(one.features, beliefs, rows, config.components) for one in networks]
        for net, networks in each.items()
    }
    counted = countings(rows)
    equally, *_ = counted
    trained = zip(each["trained"], unstack(params["trained"]["params"]), strict=True)
    found = {
        "zeta": 1 - 3 * setting[0],
        "words": f"{len(words.tokens)}, {'sampled' if sampled else 'all'}",
        "rank of the next-token law": report.law_rank(rows.beliefs, rows.laws),
        "loss": losses(process, nets, rows, beliefs["constrained"], sampled),
        "explained variance": {
            "trained": {counting: variances(nets["trained"], weights) for counting, weights in counted.items()},
            "untrained": {equally: variances(nets["untrained"], counted[equally])},
        },
        "probes": {net: seeds_report([scores(one) for one in networks]) for net, networks in read.items()},
        "attention": seeds_report(
            [heads_report(process, one.features, own, beliefs["constrained"], rows) for one, own in trained]
        ),
    }
    clouds = {target: values[longest(rows)] for target, values in beliefs.items()}
    return found, clouds | {name: one.seen for name, one in read["trained"][0].items()}


def longest(rows: Prefixes) -> np.ndarray:
    """Words of the full length and one less: those that the paper reads."""
    return rows.length >= rows.length.max() - 1


def losses(
    process: bg.Process, nets: dict[str, Evaluation], rows: Prefixes, constrained: np.ndarray, sampled: bool
) -> dict:
    """Gaps over the optimum after 1..context - 1 tokens, and as shares of what an ideal observer gains by reading."""
    optimum = optimal_loss(rows)[:-1].mean()
    first = np.asarray(process.predict(process.initial), float)
    gain = -(first * np.log(first)).sum() - optimum
    gap = lambda log_laws: loss_gap(rows, log_laws)[:-1].mean()
    gaps = {net: np.array([gap(one) for one in network.log_laws]) for net, network in nets.items()}
    emissions = np.asarray(process.transitions).sum(2).T
    by_constrained = gap(jnp.log(constrained @ emissions))
    # Bounds the standard error of the mean over positions, whose errors go together; None where all words are listed.
    error = lambda log_laws: sampled_loss_gap(rows, log_laws).error[:-1].mean() if sampled else None
    return {
        "optimum": optimum,
        "gain of an ideal observer": gain,
        "gap": {net: over_seeds(gap) for net, gap in gaps.items()},
        "standard error of the gap, at most": error(nets["trained"].log_laws[0]),
        "share of the gain": {net: over_seeds(1 - gap / gain) for net, gap in gaps.items()},
        "share of the gain by constrained beliefs, read exactly": 1 - by_constrained / gain,
    }


def countings(rows: Prefixes) -> dict[str, np.ndarray]:
    """Weights of prefixes: the paper does not say how it counts them."""
    last, near = rows.length.max(), longest(rows)
    return {
        f"words of length {last - 1} and {last}, equally": near * 1.0,
        f"words of length {last - 1} and {last}, by probability": near * rows.probabilities,
        f"words of length {last}, equally": (rows.length == last) * 1.0,
        "every prefix, equally": np.ones(len(near)),
    }


def variances(network: Evaluation, weights: np.ndarray) -> dict:
    """Cumulative explained variance of components 1 to 5 at each site, prefixes counted by weight."""
    cumulative = lambda features: principal_components(features, weights).cumulative[:5]
    at = lambda site: seeds_report([cumulative(features) for features in network.features[site]])
    return {site: at(site) for site in ("mid", "output", "final_norm")}


def read_beliefs(features: dict[str, jax.Array], beliefs: dict, rows: Prefixes, components: int) -> dict[str, Reading]:
    """Both kinds of beliefs from the first principal components of two sites, over the longest words."""
    long = longest(rows)
    folds, targets = held_out_folds(rows)[long], {kind: values[long] for kind, values in beliefs.items()}
    return {
        f"{kind} beliefs from {site}": one
        for site in ("mid", "output")
        for kind, one in read_components(features[site][long], targets, folds, components).items()
    }


def scores(read: dict[str, Reading]) -> dict:
    """R2 on the rows of the fit, as published, and held out by subtree."""
    return {name: {"r2": one.r2, "r2, held out": one.held_out_r2} for name, one in read.items()}


def distances(ours: dict, published: dict[str, list[float]]) -> dict[str, tuple[float, float]]:
    """The largest and the mean distance of the cumulative explained variance of components 1 to 3 to the published."""
    far = {site: abs(np.array(ours[site]["mean"])[:3] - known[:3]) for site, known in published.items()}
    return {site: (float(one.max()), float(one.mean())) for site, one in far.items()}


def figures(folder: Path, found: dict, clouds: dict) -> None:
    """Draw the run."""
    save = lambda name, figure: outputs.save_figure(folder / f"{name}.png", figure)
    heads, weights, arrows, explained = {}, {}, {}, {}
    for (name, setting), one in found.items():
        drawn, zeta = one["attention"], one["zeta"]
        parameters = f"x = {setting[0]:g}, α = {setting[1]:g}, ζ = {zeta:.2f}"
        title = f"{name}\n{parameters}"
        measured = drawn["by lag"]["seeds"]
        published = PUBLISHED["attention by lag"].get(f"{name}, {label(setting)}", {})
        heads[title] = plots.Heads(measured, ideal_heads(zeta, *measured.shape[1:]), published)
        weights[title] = drawn["weight of evidence by lag"]["seeds"], zeta
        told = evidence(bg.mess3(*setting))
        arrows[title] = simplex_coordinates(drawn["values"]["seeds"][0]), simplex_coordinates(told)
        if name == "one head":
            ours, *_ = one["explained variance"]["trained"].values()
            explained[parameters] = ours, PUBLISHED["explained variance"][label(setting)]
    save("attention", plots.attention_by_lag(heads))
    save("weights", plots.weights_by_lag(weights))
    save("values", plots.value_arrows(arrows))
    if explained:
        save("explained_variance", plots.explained_variance(explained))
    for name, setting in DRAWN.items():
        if (name, setting) in clouds:
            cloud, probes = clouds[name, setting], found[name, setting]["probes"]["trained"]
            points = {which: simplex_coordinates(beliefs) for which, beliefs in cloud.items()}
            r2 = {which: one["r2"]["seeds"][0] for which, one in probes.items()}
            save(f"clouds_{name.replace(' ', '_')}", plots.belief_clouds(points, r2, cloud["true"]))


def summary(folder: Path, metrics: dict) -> None:
    """The claim's numbers beside the published ones, on the terminal."""
    many = lambda values, form=".3f": " ".join(format(float(value), form) for value in values)
    lines = []
    for name, one in metrics["networks"].items():
        loss, heads, zeta, probes = one["loss"], one["attention"], one["zeta"], one["probes"]["trained"]
        published = PUBLISHED["attention by lag"].get(name, {})
        share, known_share = loss["share of the gain"]["trained"]["mean"], PUBLISHED["share"].get(name, "")
        lines += [
            (name, "rank of the next-token law", "{rank} of {of}".format(**one["rank of the next-token law"])),
            (f"  loss above {loss['optimum']:.6f}", "", f"{loss['gap']['trained']['mean']:.1e}"),
            ("  share of the gain", f"{known_share}", f"{share:.3f}"),
        ]
        # Of one head the attention was published for words of length 4.
        by_lag = heads["by lag, words of length 4" if name.startswith("one head, x=0.15") else "by lag"]["mean"]
        for head, ideal in zip(by_lag, ideal_heads(zeta, len(by_lag), 6), strict=True):
            lags = np.flatnonzero(ideal[: len(head)])
            known = many(published[lag] for lag in lags if lag in published)
            lines.append((f"  attention at lags {' '.join(map(str, lags))}", known, many(head[lags])))
        lines += [
            ("  fading a step", f"{abs(zeta):.3f} (theory)", many(heads["decay"]["mean"])),
            ("  weight of evidence", many(zeta ** np.arange(5)), many(heads["weight of evidence by lag"]["mean"][:5])),
            ("  cosine, values and evidence", "", many(heads["cosine of values and evidence"]["mean"])),
            *((f"  R2 of {which}", "", f"{score['r2']['mean']:.4f}") for which, score in probes.items()),
        ]
        if name.startswith("one head"):
            ours, known = one["explained variance"]["trained"], PUBLISHED["explained variance"][name.split(", ", 1)[1]]
            far = distances(next(iter(ours.values())), known)
            lines += [(f"  explained variance, {site}: largest, mean distance", "0", many(far[site])) for site in far]
    seconds = metrics["seconds"]
    lines.append(("seconds, training / call", "", f"{sum(seconds['training'].values()):.0f} / {seconds['all']:.0f}"))
    ours = f"ours: {metrics['training_tokens'] / 1e6:.1f}M\n{TARGETS[metrics['config']['budget']['data']]}"
    outputs.print_table(f"{folder}: metrics.json, figures", ("", "published: 15M\ndrawn tokens", ours), lines)


if __name__ == "__main__":
    cli.run_experiment(main, PRESETS, out="runs/constrained_beliefs", description=__doc__)
