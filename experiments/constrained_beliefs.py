"""One attention layer holds constrained beliefs: each token's evidence, faded by its lag; more layers repair them.

Source: Piotrowski, Riechers, Filan, Shai 2025 (2502.01954), on Mess3, where evidence fades by zeta = 1 - 3x a step.
Published: attention .46 .29 .15 .10 by lag at (x, alpha) = (.15, .6), zeta = .55; at (.5, .6), zeta = -.5, one head of
even and one of odd lags; the table of explained variance below; attention alone gains 98% of what an ideal observer
gains at (.15, .6), 85% (one head) and 92% (two) at (.5, .6).
Expected from `default`, two networks of a kind: at (.15, .6) a fading of .46 to .53, values parallel to the evidence
(cosine above .99), constrained beliefs read better than true ones after the attention; at (.5, .6) an odd and an even
head; with attention alone 96%, 92% and 95%. The variances of the processes that tell least (alpha = .2) are not the
published ones. 22 minutes of training on one busy core, five of analysis.

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
from beliefgeo import cli, runs
from beliefgeo.analysis.attention import (
    attention_rows,
    effective_attention,
    evidence_cosines,
    evidence_modes,
    fit_decay,
    head_values,
    last_row_by_lag,
    layer_norm,
    mean_pattern,
)
from beliefgeo.analysis.cross_validation import cross_validate_probe
from beliefgeo.analysis.evaluation import Evaluation, Prefixes, loss_gap, optimal_loss, prefixes
from beliefgeo.analysis.geometry import PrincipalComponents, principal_components, simplex_coordinates
from beliefgeo.analysis.held_out import held_out_folds
from beliefgeo.analysis.probes import Probe, score_predictions
from beliefgeo.analysis.report import over_seeds
from beliefgeo.analysis.sampled import sampled_loss_gap, words_or_sample
from beliefgeo.beliefs.constrained import evidence
from beliefgeo.learning import Budget, learn, read_networks
from beliefgeo.networks.transformer import TransformerConfig
from beliefgeo.plots import constrained as plots
from beliefgeo.plots import simplex

Setting = tuple[float, float]
Name = Literal["one head", "two heads", "four layers", "attention only, one head", "attention only, two heads"]

# Published (2502.01954). Cumulative explained variance of components 1 to 4, mid and final, of the network of one head.
PUBLISHED_VARIANCE: dict[Setting, dict[str, list[float]]] = {
    (0.15, 0.2): {"mid": [0.541, 0.877, 0.967, 0.975], "output": [0.962, 0.983, 0.994, 0.996]},
    (0.15, 0.6): {"mid": [0.465, 0.889, 0.986, 0.990], "output": [0.495, 0.768, 0.981, 0.990]},
    (0.5, 0.6): {"mid": [0.407, 0.803, 0.891, 0.946], "output": [0.460, 0.710, 0.886, 0.919]},
    (0.5, 0.2): {"mid": [0.527, 0.852, 0.917, 0.965], "output": [0.650, 0.859, 0.969, 0.976]},
}
# Attention by lag: (network, setting) -> lag -> attention.
PUBLISHED_ATTENTION: dict[tuple[Name, Setting], dict[int, float]] = {
    ("one head", (0.15, 0.6)): {0: 0.46, 1: 0.29, 2: 0.15, 3: 0.10},
    ("two heads", (0.5, 0.6)): {0: 0.68, 1: 0.745, 2: 0.24, 3: 0.19, 4: 0.05, 5: 0.035},
}
# The share of what reading gains an ideal observer, over knowing only how frequent tokens are.
PUBLISHED_SHARE: dict[tuple[Name, Setting], float] = {
    ("attention only, one head", (0.15, 0.6)): 0.98,
    ("attention only, one head", (0.5, 0.6)): 0.85,
    ("attention only, two heads", (0.5, 0.6)): 0.92,
}


class Kind(NamedTuple):
    """On which processes, x and alpha of Mess3, a kind of network is trained, and how it differs from one head."""

    settings: tuple[Setting, ...]
    changes: dict[str, Any]


# At most so many words are read, sampled ones where there are more.
WORDS = 200_000

POSITIVE, NEGATIVE = (0.15, 0.6), (0.5, 0.6)  # zeta = .55 and -.5: the two studied most closely
BARE = {"mlp_width": 0, "layer_norm": False}
KINDS: dict[Name, Kind] = {
    "one head": Kind(tuple(PUBLISHED_VARIANCE), {}),
    "two heads": Kind((NEGATIVE,), {"heads": 2}),
    "attention only, one head": Kind((POSITIVE, NEGATIVE), BARE),
    "attention only, two heads": Kind((POSITIVE, NEGATIVE), {**BARE, "heads": 2}),
    "four layers": Kind((POSITIVE,), {"layers": 4}),
}


@dataclass(frozen=True)
class Config:
    """The networks, and how to train them."""

    networks: tuple[Name, ...] = tuple(KINDS)
    """Which kinds of networks."""
    network: TransformerConfig = field(default_factory=lambda: TransformerConfig(layers=1))
    """The one of one head; the others differ from it as their names say."""
    components: int = 3
    """Principal components from which beliefs are read."""
    deeper_steps: int = 10_000
    """Optimiser steps of the network of four layers."""
    budget: Budget = field(default_factory=lambda: Budget(steps=10_000, batch=64, seeds=3))


SMALL = TransformerConfig(layers=1, context=7)
PRESETS = {
    "quick": Config(("two heads",), SMALL, budget=Budget(steps=200, chunk=50)),
    "default": Config(),
    "paper": Config(budget=Budget(11_700, 128, 1e-4, "adam", seeds=2), deeper_steps=11_700),
}


def main(preset: str, config: Config, out: Path) -> None:
    """Train each network on its processes, read it on all words, score, draw."""
    began = time.perf_counter()
    if config.network.layers != 1 or config.network.context < 7:
        got = f"layers {config.network.layers}, context {config.network.context}"
        raise ValueError(f"the claim is about one layer and lags up to 6: give layers 1, context 7 or more; got {got}")
    folder = runs.open_run(runs.run_folder(out, preset, config), config)
    found: dict[tuple[Name, Setting], dict] = {}
    clouds, seconds = {}, {}
    for name in config.networks:
        kind, budget = KINDS[name], config.budget
        if name == "four layers":
            budget = replace(budget, steps=config.deeper_steps)
        network = replace(config.network, **kind.changes)
        processes, context = [bg.mess3(*setting) for setting in kind.settings], network.context
        learned = learn(
            folder / name, processes, network, budget, context=context, data=f"mess3, (x, a) in {kind.settings}"
        )
        seconds[name] = learned.history["seconds"].sum()
        for index, (setting, process) in enumerate(zip(kind.settings, processes, strict=True)):
            words, sampled = words_or_sample(jax.random.key(config.budget.seed), process, context, WORDS)
            rows = prefixes(process, words)
            setting_of = lambda params, index=index: jax.tree.map(lambda leaf: leaf[index], params)
            params = {"trained": setting_of(learned.trained), "untrained": setting_of(learned.untrained)}
            networks = read_networks(learned.network, params, rows, sites)
            along = jax.vmap(partial(bg.constrained_beliefs, process))(jnp.asarray(rows.tokens))
            beliefs = {"constrained": np.asarray(along)[rows.word, rows.length], "true": rows.beliefs}
            long = rows.length >= context - 1
            probes, clouds[name, setting] = read_beliefs(networks, beliefs, long, rows, config.components)
            found[name, setting] = {
                "zeta": 1 - 3 * setting[0],
                "words": f"{len(words.tokens)}, {'sampled' if sampled else 'all'}",
                "loss": losses(process, networks, rows, beliefs["constrained"], sampled),
                "explained variance": {
                    "trained": variances(networks["trained"], rows, 4),
                    "untrained": variances(networks["untrained"], rows, 1),
                },
                "probes": probes,
                "attention": attention(process, networks["trained"], params["trained"], beliefs, rows),
            }
    metrics = {
        "preset": preset,
        "config": asdict(config),
        "training_tokens": config.budget.steps * config.budget.batch * config.network.context,
        "networks": {f"{name}, x={x:g}, a={a:g}": one for (name, (x, a)), one in found.items()},
        "published": {
            "explained variance": {f"x={x:g}, a={a:g}": one for (x, a), one in PUBLISHED_VARIANCE.items()},
            "attention by lag": {f"{name}, x={x:g}, a={a:g}": p for (name, (x, a)), p in PUBLISHED_ATTENTION.items()},
            "share": {f"{name}, x={x:g}, a={a:g}": p for (name, (x, a)), p in PUBLISHED_SHARE.items()},
        },
        "device": runs.device(),
        "versions": runs.versions(),
        "seconds": {"training": seconds, "all": time.perf_counter() - began},
    }
    figures(folder, found, clouds)
    runs.write_json(folder / "metrics.json", metrics)
    summary(folder, metrics, found)


def sites(activations: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """After the first attention, at the end (before and after its norm), and the attention."""
    return {
        "mid": activations["resid_mid"][0],
        "output": activations["resid_post"][-1],
        "final_norm": activations["final_norm"],
        "pattern": attention_rows(activations),
    }


def losses(
    process: bg.Process, networks: dict[str, Evaluation], rows: Prefixes, constrained: np.ndarray, sampled: bool
) -> dict:
    """Gaps over the optimum after 1..context - 1 tokens, and as shares of what an ideal observer gains by reading."""
    optimum = optimal_loss(rows)[:-1].mean()
    first = np.asarray(bg.predict_next_token(process, process.initial), float)
    gain = -(first * np.log(first)).sum() - optimum
    gap = lambda log_laws: loss_gap(rows, log_laws)[:-1].mean()
    gaps = {kind: np.array([gap(one) for one in network.log_laws]) for kind, network in networks.items()}
    emissions = np.asarray(process.transitions).sum(2).T
    # Bounds the standard error of the mean over positions, whose errors go together.
    error = lambda log_laws: sampled_loss_gap(rows, log_laws).error[:-1].mean() if sampled else 0.0
    return {
        "optimum": optimum,
        "gain of an ideal observer": gain,
        "gap": {kind: over_seeds(gap) for kind, gap in gaps.items()},
        "standard error of the gap, from sampled words": error(networks["trained"].log_laws[0]),
        "share of the gain": {kind: over_seeds(1 - gap / gain) for kind, gap in gaps.items()},
        "share of the gain by constrained beliefs, read exactly": 1 - gap(jnp.log(constrained @ emissions)) / gain,
    }


def variances(evaluation: Evaluation, rows: Prefixes, ways: int) -> dict:
    """Cumulative explained variance of components 1 to 5 at each site, prefixes counted in up to four ways."""
    last = rows.length.max()
    near = rows.length >= last - 1
    countings = {
        f"words of length {last - 1} and {last}, equally": near * 1.0,
        f"words of length {last - 1} and {last}, by probability": near * rows.probabilities,
        f"words of length {last}, equally": (rows.length == last) * 1.0,
        "every prefix, equally": np.ones(len(near)),
    }
    cumulative = lambda features, weights: np.asarray(principal_components(features, weights).cumulative[:5])
    return {
        counting: {
            site: over_seeds(np.array([cumulative(one, weights) for one in evaluation.features[site]]))
            for site in ("mid", "output", "final_norm")
        }
        for counting, weights in list(countings.items())[:ways]
    }


class Reader(NamedTuple):
    """The affine fit from the first principal components of some features to targets, as a probe of the features."""

    probe: Probe
    components: jax.Array


def reader(principal: PrincipalComponents, features: jax.Array, targets: np.ndarray, components: int) -> Reader:
    """Fit it."""
    read = principal(features)[:, :components]
    probe = bg.fit_probe(read, targets)
    kernel = principal.directions[:components].T @ probe.kernel
    return Reader(Probe(kernel, probe.bias - principal.mean @ kernel), read)


def read_beliefs(
    networks: dict[str, Evaluation], beliefs: dict[str, np.ndarray], long: np.ndarray, rows: Prefixes, components: int
) -> tuple[dict, dict]:
    """R2 of constrained and of true beliefs from the first components of each site over the longest words; pictures."""
    folds, scores, clouds = held_out_folds(rows)[long], {}, {}
    for kind, network in networks.items():
        for site in ("mid", "output"):
            activations = [one[long] for one in network.features[site]]
            principals = [principal_components(one) for one in activations]
            for target, values in beliefs.items():
                inside, outside = [], []
                for features, principal in zip(activations, principals, strict=True):
                    probe, read = reader(principal, features, values[long], components)
                    inside.append(bg.score_probe(probe, features, values[long]).r2)
                    held_out = cross_validate_probe(read, values[long], folds).predictions
                    outside.append(score_predictions(held_out, values[long], np.ones(len(folds))).r2)
                    if kind == "trained":
                        clouds.setdefault((site, target), simplex_coordinates(probe(features)))  # of the first seed
                scores.setdefault(kind, {})[f"{target} beliefs from {site}"] = {
                    "r2": over_seeds(np.array(inside)),
                    "r2, held out": over_seeds(np.array(outside)),
                }
    exact = {target: simplex_coordinates(values[long]) for target, values in beliefs.items()}
    return scores, {"exact": exact, "read": clouds, "colors": simplex.belief_colors(rows.beliefs[long])}


def attention(process: bg.Process, evaluation: Evaluation, params: Any, beliefs: dict, rows: Prefixes) -> dict:
    """Each head of the first layer by lag, its fading, its values beside the evidence, and what evidence weighs in all.

    What a head adds is seen through the probe from all of the residual after attention to the constrained beliefs.
    Heads are ordered by their attention to even lags, the most first.
    """
    law = bg.predict_next_token(process, process.initial)
    told = evidence(process)
    modes = evidence_modes(process.transitions.sum(0))
    zeta = modes.zeta[0]
    long = rows.length >= rows.length.max() - 1
    each = []
    for seed, mid in enumerate(evaluation.features["mid"]):
        pattern = mean_pattern(evaluation.features["pattern"][seed], rows)[0]
        order = np.argsort(-np.asarray(last_row_by_lag(pattern))[:, ::2].sum(1))
        by_lag, short = last_row_by_lag(pattern)[order], last_row_by_lag(pattern[:, :4, :4])[order]
        values, embedding = token_vectors(jax.tree.map(lambda leaf, seed=seed: leaf[seed], params)["params"])
        values, kernel = values[:, order], bg.fit_probe(mid[long], beliefs["constrained"][long]).kernel
        seen = jnp.einsum("zhw,wi->hzi", values, kernel)
        # Of two heads for a negative zeta one reads even lags, one odd ones.
        lags = ((2, 4, 6), (1, 3, 5)) if zeta < 0 and len(by_lag) == 2 else (range(1, 5),) * len(by_lag)
        fits = [fit_decay(head, fitted) for head, fitted in zip(by_lag, lags, strict=True)]
        each.append(
            {
                "by lag": by_lag,
                "by lag, words of length 4": short,
                "decay": np.array([fit.zeta for fit in fits]),
                "decay, error of the fit": np.array([fit.error for fit in fits]),
                "values": seen - seen.mean(1, keepdims=True),
                "cosine of values and evidence": jnp.stack(
                    [evidence_cosines(values[:, head], kernel, told, law).mean() for head in range(len(by_lag))]
                ),
                "weight of evidence by lag": effective_attention(
                    by_lag, values, embedding, kernel, told, modes.directions, law
                ).mean(0),
            }
        )
    return {name: over_seeds(np.array([one[name] for one in each])) for name in each[0]}


def token_vectors(params: Any) -> tuple[jax.Array, jax.Array]:
    """What each head of the first layer writes for each token `[token, head, width]`, and the token's embedding."""
    block, embedding = params["block_0"], params["embed"]["embedding"]
    at_each = embedding[:, None] + params["positions"]["embedding"][None]
    norm = block.get("attention_norm")
    read = (layer_norm(at_each, norm["scale"], norm["bias"]) if norm else at_each).mean(1)
    weights = block["attention"]
    value = weights["value"]
    return head_values(read, value["kernel"], value["bias"], weights["output"]["kernel"]), embedding


def figures(folder: Path, found: dict, clouds: dict) -> None:
    """Draw the run."""
    save = lambda name, figure: figure.savefig(folder / f"{name}.png")
    title = lambda name, setting: f"{name}\nx = {setting[0]:g}, α = {setting[1]:g}, ζ = {1 - 3 * setting[0]:.2f}"
    heads, weights, arrows = {}, {}, {}
    for (name, setting), one in found.items():
        drawn, zeta = one["attention"], one["zeta"]
        measured = drawn["by lag"]["seeds"]
        published = PUBLISHED_ATTENTION.get((name, setting), {})
        ideal = ideal_heads(zeta, *measured.shape[1:])
        heads[title(name, setting)] = plots.Heads(measured, ideal, published)
        weights[title(name, setting)] = (
            drawn["weight of evidence by lag"]["seeds"],
            zeta ** np.arange(measured.shape[2]),
        )
        evidence_of = simplex_coordinates(evidence(bg.mess3(*setting)) + 1 / 3)
        arrows[title(name, setting)] = simplex_coordinates(drawn["values"]["seeds"][0] + 1 / 3), evidence_of
    save("attention", plots.attention_by_lag(heads))
    save("weights", plots.weights_by_lag(weights))
    save("values", plots.value_arrows(arrows))
    shown = {
        title(name, setting).split("\n")[1]: {
            site: (curves["seeds"], PUBLISHED_VARIANCE[setting][site])
            for site, curves in next(iter(one["explained variance"]["trained"].values())).items()
            if site in PUBLISHED_VARIANCE[setting]
        }
        for (name, setting), one in found.items()
        if name == "one head"
    }
    if shown:
        save("explained_variance", plots.explained_variance(shown))
    for name, setting in (("one head", POSITIVE), ("two heads", NEGATIVE), ("four layers", POSITIVE)):
        if (name, setting) in clouds:
            cloud, r2 = clouds[name, setting], found[name, setting]["probes"]["trained"]
            label = lambda target, site, r2=r2: f"R$^2$ = {r2[f'{target} beliefs from {site}']['r2']['seeds'][0]:.4f}"
            panels = {}
            for target in ("constrained", "true"):
                panels[f"{target} beliefs\nexact"] = cloud["exact"][target]
                for site, where in (("mid", "after attention"), ("output", "at the output")):
                    panels[f"{target}, read {where}\n{label(target, site)}"] = cloud["read"][site, target]
            file = "clouds_" + name.replace(" ", "_")
            save(file, simplex.simplex_panels(panels, cloud["colors"], columns=3))


def ideal_heads(zeta: float, heads: int, lags: int) -> np.ndarray:
    """|zeta|^lag, summing to 1; of two heads for a negative zeta, the first has the even lags, the second the odd."""
    lag = np.arange(lags)
    weights = abs(zeta) ** lag * np.ones((heads, 1))
    if zeta < 0 and heads == 2:
        weights *= lag % 2 == np.arange(2)[:, None]
    return weights / weights.sum(1, keepdims=True)


def summary(folder: Path, metrics: dict, found: dict) -> None:
    """The claim's numbers beside the published ones, on the terminal."""
    many = lambda values, form="{:.3f}": " ".join(form.format(float(value)) for value in values)
    lines = []
    for (name, setting), one in found.items():
        loss, heads, zeta, r2 = one["loss"], one["attention"], one["zeta"], one["probes"]["trained"]
        split, four = zeta < 0 and len(heads["by lag"]["mean"]) == 2, name == "one head" and zeta > 0
        published = PUBLISHED_ATTENTION.get((name, setting), {})
        lines += [
            (f"{name}, x, a = {setting}", "", ""),
            (f"  loss above {loss['optimum']:.6f}", "", f"{loss['gap']['trained']['mean']:.1e}"),
            (
                "  share of the gain",
                many([PUBLISHED_SHARE[name, setting]] if (name, setting) in PUBLISHED_SHARE else []),
                many([loss["share of the gain"]["trained"]["mean"]]),
            ),
        ]
        for index, head in enumerate(heads["by lag, words of length 4" if four else "by lag"]["mean"]):
            lags = range(index, 6, 2) if split else range(4)
            known = [published[lag] for lag in lags if lag in published]
            lines.append((f"  attention at lags {' '.join(map(str, lags))}", many(known), many(head[list(lags)])))
        ideal = zeta ** np.arange(5)
        explained = {
            site: many(
                (r2[f"{target} beliefs from {site}"]["r2"]["mean"] for target in ("constrained", "true")), "{:.4f}"
            )
            for site in ("mid", "output")
        }
        lines += [
            ("  fading a step", f"{abs(zeta) if split else zeta:.3f} (theory)", many(heads["decay"]["mean"])),
            ("  weight of evidence", many(ideal), many(heads["weight of evidence by lag"]["mean"][:5])),
            ("  cosine, values and evidence", "", many(heads["cosine of values and evidence"]["mean"])),
            ("  R2 of constrained, true: mid", "", explained["mid"]),
            ("  R2 of constrained, true: output", "", explained["output"]),
        ]
        if name == "one head":
            counted = one["explained variance"]["trained"]
            first = next(iter(counted))
            for site in ("mid", "output"):
                ours = many(counted[first][site]["mean"][:4])
                lines.append((f"  variance of PC1..4: {site}", many(PUBLISHED_VARIANCE[setting][site]), ours))
    seconds = metrics["seconds"]
    lines.append(("seconds, training / all", "", f"{sum(seconds['training'].values()):.0f} / {seconds['all']:.0f}"))
    runs.print_table(f"{folder}: metrics.json, figures", ("", "published", "ours"), lines)


if __name__ == "__main__":
    cli.run_experiment(main, PRESETS, out="runs/constrained_beliefs", description=__doc__)
