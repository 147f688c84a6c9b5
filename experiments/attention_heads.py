"""How many attention heads one layer needs for two independent factors whose evidence fades at different rates.

Source: a prediction registered by A. Shai, on the theory of Piotrowski et al. (2502.01954): a layer sums what each
token tells of a factor, faded by zeta^lag. Factors `bg.mess` with eigenvalues (.7, .7) ask for one head, of pattern
.7^lag; (.7, .3) for two; (.7, -.3) for three; (.7, -.7) and (.5, -.5) for two, of even and odd lags.
Our own, by linear algebra: two positive patterns span any two of which one is positive, so (.7, -.3) asks for two.
Expected, from `default` (excess loss over the optimum, in 1e-5 nats, of 1, 2, 3, 4 heads):
    .7, .7    5.7 6.4 6.0 5.7     one head: holds, and so does its pattern
    .7, .3    5.4 5.0 4.2 4.1     3 heads, predicted 2; a matter of 1e-5 nats
    .7, -.3   11.8 6.5 5.0 4.8    3 by the share of the loss, 2 by significance
    .5, -.5   40.5 5.7 6.4 6.5    2: holds, but not as an even and an odd head
    .7, -.7   2.9 2.1 2.0 2.2     one head does nearly all, predicted 2: its attention moves with the words
About 25 minutes on one busy core, 15 of them training.

    python experiments/attention_heads.py                    the default preset
    python experiments/attention_heads.py quick              a smoke run, a minute
    python experiments/attention_heads.py default --cases ".7, -.7" --seeds 8

Interrupt it and start it again with the same command: it continues. A finished run is drawn again without training.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.optimize import linear_sum_assignment

import beliefgeo as bg
from beliefgeo import cli, runs
from beliefgeo.analysis.attention import (
    attention_rows,
    effective_attention,
    evidence_modes,
    fit_decay,
    head_values,
    last_row_by_lag,
    layer_norm,
    mean_pattern,
)
from beliefgeo.analysis.evaluation import Evaluation, Prefixes, beliefs_after, loss_gap, optimal_loss, prefixes
from beliefgeo.analysis.report import over_seeds
from beliefgeo.analysis.sampled import sampled_loss_gap, sampled_words, words_or_sample
from beliefgeo.beliefs.constrained import constrained_beliefs, evidence
from beliefgeo.learning import Budget, learn, read_networks
from beliefgeo.networks.transformer import TransformerConfig
from beliefgeo.plots import heads as plots
from beliefgeo.processes.factored import Product

Name = Literal[".7, .7", ".7, .3", ".7, -.3", ".5, -.5", ".7, -.7"]


class Case(NamedTuple):
    """Two independent factors `bg.mess`, one for each zeta."""

    zetas: tuple[float, float]
    """Eigenvalues of the factors' mean dynamics: what a token tells weighs zeta^lag."""
    states: int = 3
    """States, and tokens, of each factor."""
    alpha: float = 0.6
    """Probability that a state emits its own token."""

    @property
    def factors(self) -> list[bg.Process]:
        """x = (1 - zeta) / states."""
        return [bg.mess((1 - zeta) / self.states, self.alpha, self.states) for zeta in self.zetas]


# Two states of alpha .7 emit as three of .6 do: both emission matrices have the eigenvalue .4.
CASES: dict[Name, Case] = {
    ".7, .7": Case((0.7, 0.7)),
    ".7, .3": Case((0.7, 0.3)),
    ".7, -.3": Case((0.7, -0.3)),
    ".5, -.5": Case((0.5, -0.5)),
    ".7, -.7": Case((0.7, -0.7), 2, 0.7),
}

# The rules of the verdicts.
SHARE = 0.2  # a number of heads suffices if it lacks at most this share of what the most heads gain over one
NO_GAIN = 0.02  # an ideal layer gains nothing that is less than this share of what one head leaves
NEAR = 0.1  # how far a fitted zeta may lie from the true one
ALIKE = 0.95  # the least cosine of an attention pattern with the predicted one


@dataclass(frozen=True)
class Config:
    """The networks, and how to train them."""

    cases: tuple[Name, ...] = tuple(CASES)
    """Which pairs of zeta."""
    head_counts: tuple[int, ...] = (1, 2, 3, 4)
    """Numbers of heads, ascending from 1."""
    network: TransformerConfig = field(default_factory=lambda: TransformerConfig(9, 8, 1, 32, mlp_width=128))
    """One layer; its vocab_size and heads follow from the case."""
    words: int = 4096
    """At most so many words are read: all, or sampled ones where there are more."""
    ideal_steps: int = 400
    """Optimiser steps for the ideal layer."""
    budget: Budget = field(default_factory=lambda: Budget(3000, 64, 1e-2, data="laws", seeds=4))


PRESETS = {
    "quick": Config(
        (".7, -.7",), (1, 2), words=1024, ideal_steps=100, budget=Budget(200, 32, 1e-2, data="laws", seeds=2, chunk=50)
    ),
    "default": Config(),
}


def main(preset: str, config: Config, out: Path) -> None:
    """Train every number of heads on every case, read the networks, compare with the predictions, draw."""
    began = time.perf_counter()
    check(config)
    folder = runs.open_run(runs.run_folder(out, preset, config), config)
    key, context = jax.random.key(config.budget.seed), config.network.context
    found, seconds = {}, 0.0
    for states in sorted({CASES[name].states for name in config.cases}, reverse=True):
        names = [name for name in config.cases if CASES[name].states == states]
        processes = {name: bg.product(CASES[name].factors) for name in names}
        rows = {}
        for name, process in processes.items():
            words, sampled = words_or_sample(key, process, context, config.words)
            rows[name] = prefixes(process, words), sampled
            ideal = {heads: ideal_layer(key, CASES[name].factors, heads, config) for heads in config.head_counts}
            count = f"{len(words.tokens)}, {'sampled' if sampled else 'all'}"
            found[name] = {"words": count, "ideal layer": ideal, "heads": {}, "curves": {}}
        for heads in config.head_counts:
            network = replace(config.network, vocab_size=states**2, heads=heads)
            data = f"two factors of {states} states: {', '.join(names)}"
            where = folder / f"{states}_states_{heads}_heads"
            learned = learn(where, list(processes.values()), network, config.budget, context=context, data=data)
            seconds += learned.history["seconds"].sum()
            curves = learned.history["excess"].reshape(-1, len(names), config.budget.seeds)
            for index, (name, process) in enumerate(processes.items()):
                params = {
                    kind: jax.tree.map(lambda leaf, index=index: leaf[index], every)
                    for kind, every in (("trained", learned.trained), ("untrained", learned.untrained))
                }
                networks = read_networks(learned.network, params, rows[name][0], sites)
                found[name]["heads"][heads] = {
                    kind: measure(process, networks[kind], params[kind], *rows[name]) for kind in networks
                }
                found[name]["curves"][heads] = learned.history["tokens"], curves[:, index]
        for name, process in processes.items():
            found[name] |= losses(process, rows[name][0]) | verdicts(CASES[name], found[name])
    curves = {name: one.pop("curves") for name, one in found.items()}
    metrics = {
        "preset": preset,
        "config": asdict(config),
        "rules": {"share": SHARE, "no gain": NO_GAIN, "near": NEAR, "alike": ALIKE},
        "training_tokens": config.budget.steps * config.budget.batch * context,
        "cases": found,
        "device": runs.device(),
        "versions": runs.versions(),
        "seconds": {"training": seconds, "all": time.perf_counter() - began},
    }
    figures(folder, found, curves)
    runs.write_json(folder / "metrics.json", metrics)
    summary(folder, metrics)


def check(config: Config) -> None:
    """Refuse what the claim is not about."""
    if config.network.layers != 1 or config.network.context < 6:
        got = f"layers {config.network.layers}, context {config.network.context}"
        raise ValueError(f"the claim is about one layer and lags up to 5: give layers 1, context 6 or more; got {got}")
    counts = list(config.head_counts)
    if counts != sorted(set(counts)) or counts[:1] != [1] or len(counts) < 2:
        raise ValueError(f"head_counts must ascend from 1, two or more, such as 1 2 3; got {counts}")
    if not config.cases or config.budget.seeds < 2:
        got = f"{len(config.cases)} cases, {config.budget.seeds} seeds"
        raise ValueError(f"verdicts need a case and the spread of 2 seeds or more; got {got}")


def sites(activations: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The residual after attention, and the attention."""
    return {"mid": activations["resid_mid"][0], "pattern": attention_rows(activations)}


def losses(process: Product, rows: Prefixes) -> dict[str, float]:
    """What an ideal observer gains by reading, and the gap of one who holds constrained beliefs; means, in nats."""
    first = np.asarray(process.predict(process.initial), float)
    constrained = beliefs_after(lambda word: constrained_beliefs(process, word), rows)
    laws = jnp.log(jax.jit(jax.vmap(process.predict))(jnp.asarray(constrained, jnp.float32)))
    return {
        "gain of an ideal observer": -(first * np.log(first)).sum() - optimal_loss(rows).mean(),
        "gap of constrained beliefs": loss_gap(rows, laws).mean(),
    }


def measure(process: Product, evaluation: Evaluation, params: Any, rows: Prefixes, sampled: bool) -> dict[str, Any]:
    """Excess loss, attention by lag, and how evidence about each factor fades; heads with the shortest lags first.

    What evidence weighs at each lag is found twice: in theory, from the mean attention, the values and the embedding;
    and as measured, by regression of the residual after attention on the evidence of the tokens. Both are read along
    the factor's modes through the best affine probe of constrained beliefs.
    """
    last = rows.length == rows.length.max()
    words, share = rows.tokens[rows.word[last]], rows.probabilities[last]
    target = beliefs_after(lambda word: constrained_beliefs(process, word), rows)[last]
    parts = [evidence_modes(factor.transitions.sum(0)) for factor in process.factors]
    directions = jax.scipy.linalg.block_diag(*[part.directions for part in parts])
    told, law = evidence(process), process.predict(process.initial)
    tokens = jnp.moveaxis((told @ directions)[words[:, ::-1]], 2, 0)  # [mode, word, lag]
    by_factor = lambda weights: np.asarray(weights).reshape(len(parts), -1, words.shape[1]).mean(1)
    each = []
    for seed, mid in enumerate(evaluation.features["mid"]):
        pattern = evaluation.features["pattern"][seed]
        by_lag, moving = last_row_by_lag(mean_pattern(pattern, rows)[0]), pattern[last][:, 0, :, ::-1]
        order = np.argsort(np.asarray(by_lag @ jnp.arange(by_lag.shape[1])))
        probe = bg.fit_probe(mid[last], target, share)
        one_params = jax.tree.map(lambda leaf, seed=seed: leaf[seed], params)["params"]
        see = lambda *layer, seen=probe.kernel: effective_attention(*layer, seen, told, directions, law)
        theory = by_factor(by_mean_attention(one_params, by_lag, see))
        read = mid[last] @ probe.kernel @ directions
        measured = by_factor([bg.fit_probe(one, read[:, [m]], share).kernel[:, 0] for m, one in enumerate(tokens)])
        each.append(
            {
                "attention by lag": by_lag[order],
                "attention that moves with the words": (share @ abs(moving - by_lag[None]).sum(-1) / 2)[order],
                "r2 of constrained beliefs": bg.score_probe(probe, mid[last], target, share).r2,
                "weight of evidence": measured,
                "weight of evidence, by mean attention": theory,
                "zeta": faded(measured),
                "zeta, by mean attention": faded(theory),
            }
        )
    return {
        "gap": over_seeds(np.array([loss_gap(rows, laws).mean() for laws in evaluation.log_laws])),
        # Of each seed alike: all read the same words, so that differences between networks have far less.
        "standard error of the gap": sampled_loss_gap(rows, evaluation.log_laws[0]).mean_error if sampled else 0.0,
    } | {name: over_seeds(np.array([one[name] for one in each])) for name in each[0]}


def faded(weights: np.ndarray) -> np.ndarray:
    """zeta of each factor, fitted from lag 1, as lag 0 has the token itself, to the last but one."""
    return np.array([fit_decay(one, range(1, len(one) - 1)).zeta for one in weights])


def by_mean_attention(params: Any, by_lag: jax.Array, see: Callable[..., jax.Array]) -> jax.Array:
    """`effective_attention` `[mode, lag]` of the last position, each token with its values at the position it has."""
    block, embedding = params["block_0"], params["embed"]["embedding"]
    value, output = block["attention"]["value"], block["attention"]["output"]
    columns = []
    for lag, position in enumerate(params["positions"]["embedding"][::-1]):
        read = layer_norm(embedding + position[None], **block["attention_norm"])
        values = head_values(read, value["kernel"], value["bias"], output["kernel"])
        columns.append(see(by_lag, values, embedding)[:, lag])
    return jnp.stack(columns, 1)


def predicted_patterns(zetas: tuple[float, ...], lags: int) -> dict[str, np.ndarray]:
    """The registered prediction: a pattern for each zeta; for a negative one even and odd lags apart.

    Those two also make up the pattern of the positive zeta of the same size.
    """
    lag, patterns = np.arange(lags), {}
    for zeta in dict.fromkeys(zetas):
        size = f"{abs(zeta):g}".lstrip("0")
        if zeta < 0:
            for parity, which in enumerate(("even", "odd")):
                patterns[f"{size}^lag, {which}"] = abs(zeta) ** lag * (lag % 2 == parity)
        elif -zeta not in zetas:
            patterns[f"{size}^lag"] = zeta**lag
    return patterns


def verdicts(case: Case, found: dict) -> dict[str, Any]:
    """What follows for the prediction from the losses, the patterns and the fading, by the rules above."""
    gaps = {heads: one["trained"]["gap"]["seeds"] for heads, one in found["heads"].items()}
    by_lag = {heads: one["trained"]["attention by lag"]["seeds"] for heads, one in found["heads"].items()}
    patterns = predicted_patterns(case.zetas, next(iter(by_lag.values())).shape[2])
    loss = needed_heads(gaps, found["ideal layer"])
    result = {"predicted heads": len(patterns), "patterns": patterns, "needed": loss}
    told = loss["by share"]
    result["heads"] = "not resolved" if told is None else "holds" if told == len(patterns) else f"fails: {told}"
    if len(patterns) in by_lag:
        trained = found["heads"][len(patterns)]["trained"]
        near = lambda which: abs(trained[which]["mean"] - np.array(case.zetas)).max() <= NEAR
        alike = np.array([matches(seed, [*patterns.values()]) for seed in by_lag[len(patterns)]])
        result["cosines of patterns"] = over_seeds(alike)
        result["attention"] = "holds" if alike.min(1).mean() >= ALIKE else "fails"
        result["fading"] = "holds" if near("zeta") else "fails"
        result["fading, by mean attention"] = "holds" if near("zeta, by mean attention") else "fails"
    return {"verdict": result}


def needed_heads(gaps: Mapping[int, np.ndarray], ideal: Mapping[int, float]) -> dict[str, Any]:
    """The smallest number of heads that suffices, by two rules for the networks and by the first for the ideal layer.

    By share: what the most heads gain over one is tested on pairs of networks that saw the same data; if it is not
    above zero, one head suffices, or, where the ideal layer gains less than the test can see, it is not resolved
    (None). If it is, the fewest heads that lack at most `SHARE` of it. By significance: the fewest heads that no larger
    number of heads beats, at 95%, two-sided.
    """
    few, *_, most = sorted(gaps)
    drop = over_seeds(gaps[few] - gaps[most])
    share = lambda mean: min(h for h in mean if mean[h] - mean[most] <= SHARE * (mean[few] - mean[most]))
    gain = ideal[few] - ideal[most]
    gain = gain if gain > NO_GAIN * ideal[few] else 0.0
    by_share = share({heads: seeds.mean() for heads, seeds in gaps.items()})
    if drop["interval"][0] <= 0:
        by_share = None if 0 < gain < drop["interval"][1] - drop["mean"] else few
    beaten = {h: any(over_seeds(gaps[h] - gaps[more])["interval"][0] > 0 for more in gaps if more > h) for h in gaps}
    return {
        "by share": by_share,
        "by significance": min(heads for heads in beaten if not beaten[heads]),
        "ideal layer": share(ideal) if gain else few,
        "gain of the most heads": drop,
        "gain of the most heads, ideal layer": gain,
    }


def matches(attention: np.ndarray, patterns: list[np.ndarray]) -> np.ndarray:
    """The cosine of each pattern with the head that takes its part, from lag 1 on: the residual carries lag 0 too."""
    unit = lambda rows: np.asarray(rows)[:, 1:] / np.linalg.norm(np.asarray(rows)[:, 1:], axis=1, keepdims=True)
    cosines = unit(patterns) @ unit(attention).T
    return cosines[linear_sum_assignment(-cosines)]


def ideal_layer(key: jax.Array, factors: list[bg.Process], heads: int, config: Config) -> float:
    """The least gap of a layer whose sums are read linearly: patterns free but positive, gains free, no MLP.

    The belief about factor i is pi_i + sum_s w_i(t - s) evidence_i[z_s], w_i = sum_h gain_hi pattern_h + (lag 0) own_i,
    as the token itself reaches the sum past the heads; the factors' losses add. With w_i = zeta_i^lag these are the
    constrained beliefs. Fitted on sampled words of each factor: a few per cent of noise, common to all head counts.
    """
    context = config.network.context
    tables = []
    for factor in factors:
        rows = sampled_words(key, factor, 500, context)
        laws = jnp.einsum("nti,xij->ntx", jnp.asarray(rows.beliefs[:, 1:], jnp.float32), factor.transitions)
        tables.append((evidence(factor)[rows.tokens], laws, factor.initial, factor.transitions.sum(2).T))
    return float(_fit_ideal(key, jax.tree.map(lambda *leaves: jnp.stack(leaves), *tables), heads, config.ideal_steps))


@jax.jit(static_argnames=("heads", "steps"))
def _fit_ideal(key: jax.Array, tables: Any, heads: int, steps: int) -> jax.Array:
    context = tables[0].shape[2]
    lag = jnp.arange(context)[:, None] - jnp.arange(context)[None]

    def gap(weights, table):
        told, laws, initial, emissions = table
        belief = initial[None, None] + jnp.einsum("ts,nsi->nti", jnp.where(lag >= 0, weights[lag], 0), told)
        predicted = jnp.maximum(belief @ emissions, 1e-6)  # a sum may leave the simplex
        return (laws * (jnp.log(laws) - jnp.log(predicted))).sum(2).mean()

    def loss(layer):
        weights = layer["gains"] @ jax.nn.softmax(layer["scores"], -1)
        return jax.vmap(gap)(weights.at[:, 0].add(layer["own"]), tables).sum()

    def fit(key):
        scores, gains = jax.random.split(key)
        start = {
            "scores": jax.random.normal(scores, (heads, context)),
            "gains": 1 + jax.random.normal(gains, (2, heads)),
            "own": jnp.zeros(2),
        }
        optimizer = optax.adam(optax.cosine_decay_schedule(0.1, steps))

        def step(state, _):
            changes, rest = optimizer.update(jax.grad(loss)(state[0]), state[1])
            return (optax.apply_updates(state[0], changes), rest), None

        (layer, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), length=steps)
        return loss(layer)

    return jax.lax.map(fit, jax.random.split(key, 2)).min()


def figures(folder: Path, found: dict, curves: dict) -> None:
    """Draw the run."""
    save = lambda name, figure: figure.savefig(folder / f"{name}.png")
    title = lambda name: "$\\zeta$ = " + name.replace("-", "\u2212")
    excess, attention, weights = {}, {}, {}
    for name, one in found.items():
        verdict, zetas = one["verdict"], CASES[name].zetas
        gaps = {heads: each["trained"]["gap"] for heads, each in one["heads"].items()}
        excess[title(name)] = plots.Excess(gaps, one["ideal layer"], verdict["predicted heads"])
        shown = one["heads"].get(verdict["predicted heads"])
        if shown:
            trained = shown["trained"]
            attention[title(name)] = trained["attention by lag"]["seeds"], verdict["patterns"]
            kinds = ("weight of evidence", "weight of evidence, by mean attention")
            weights[title(name)] = plots.Weights(*(trained[kind]["seeds"] for kind in kinds), zetas)
    save("excess", plots.excess_by_heads(excess))
    if attention:
        save("attention", plots.attention_patterns(attention))
        save("weights", plots.factor_weights(weights))
    save("learning", plots.learning_curves({title(name): one for name, one in curves.items()}))


def summary(folder: Path, metrics: dict) -> None:
    """Predicted and found, on the terminal."""
    many = lambda values, form: " ".join(format(float(value), form) for value in values)
    lines = []
    for name, one in metrics["cases"].items():
        verdict, needed = one["verdict"], one["verdict"]["needed"]
        count = verdict["predicted heads"]
        gaps = [1e4 * each["trained"]["gap"]["mean"] for each in one["heads"].values()]
        lines += [
            (f"zeta {name}: heads by share of the loss", str(count), f"{needed['by share']} ({verdict['heads']})"),
            ("  by significance; of an ideal layer", "", f"{needed['by significance']}; {needed['ideal layer']}"),
            ("  1e-4 nats above the optimum by heads", "", many(gaps, ".2f")),
            ("  the same of an ideal layer", "", many((1e4 * gap for gap in one["ideal layer"].values()), ".2f")),
        ]
        if "fading" in verdict:
            trained, cosines = one["heads"][count]["trained"], verdict["cosines of patterns"]["mean"]
            moving, true = trained["attention that moves with the words"]["mean"], many(CASES[name].zetas, "g")
            for kind in ("", ", by mean attention"):
                fitted = f"{many(trained[f'zeta{kind}']['mean'], '.2f')} ({verdict[f'fading{kind}']})"
                lines.append((f"  fading, heads: {count}{kind}", true, fitted))
            lines += [
                ("  cosine of heads and patterns", "1", f"{many(cosines, '.3f')} ({verdict['attention']})"),
                ("  attention that moves with the words", "0", many(moving, ".3f")),
            ]
    lines.append(("seconds, training / all", "", " / ".join(f"{value:.0f}" for value in metrics["seconds"].values())))
    runs.print_table(f"{folder}: metrics.json, figures", ("", "predicted", "ours"), lines)


if __name__ == "__main__":
    cli.run_experiment(main, PRESETS, out="runs/attention_heads", description=__doc__)
