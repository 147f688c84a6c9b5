"""How many attention heads one layer needs for two independent factors whose evidence fades at different rates.

Source: a prediction registered by A. Shai, on the theory of Piotrowski et al. (2502.01954): a layer sums what each
token tells of a factor, faded by zeta^lag. Factors `bg.mess` with eigenvalues (.7, .7) ask for one head, of pattern
.7^lag; (.7, .3) for two; (.7, -.3) for three; (.7, -.7) and (.5, -.5) for two, of even and odd lags.
Our own, by linear algebra: two positive patterns span any two of which one is positive, so (.7, -.3) asks for two.
Expected, from `default` (excess loss over the optimum, in 1e-5 nats, of 1, 2, 3, 4 heads):
    .7, .7    5.7 6.3 6.0 5.7     one head by both rules: holds
    .7, .3    5.4 5.0 4.3 4.1     3 heads by both, predicted 2; a matter of 1e-5 nats
    .7, -.3   11.8 6.4 5.0 4.7    3 by the share of the loss, 2 by significance
    .5, -.5   40.9 5.7 6.4 6.5    2 by both: holds, but not as an even and an odd head
    .7, -.7   2.9 2.1 2.0 2.3     1 by share, 2 by significance: attention of one head moves with the words
The fitted zetas come near those of the theory and not on them: of (.7, .7) both are .63, 10% too fast, and their
intervals exclude .7. A cosine of .95 is a weak test of a pattern: that of .7^lag with .5^lag is .954.
About 17 minutes on one busy core, 14 of them training.

    python experiments/attention_heads.py                    the default preset
    python experiments/attention_heads.py quick              a smoke run, a minute
    python experiments/attention_heads.py default --cases ".7, -.7" --seeds 8

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
from beliefgeo.beliefs.constrained import constrained_beliefs
from beliefgeo.learning_old import Budget, learn, read_networks, unstack
from beliefgeo.mechanisms.attention import attention_rows, match_patterns, predicted_patterns
from beliefgeo.mechanisms.heads import ideal_layer_gap, needed_heads
from beliefgeo.mechanisms.one_layer import factors_report
from beliefgeo.networks.transformer import TransformerConfig
from beliefgeo.plots import heads as plots
from beliefgeo.probes.report import mean_gaps, over_seeds, seeds_report
from beliefgeo.processes.factored import Product
from beliefgeo.reading.evaluation import Evaluation, Prefixes, beliefs_after, loss_gap, optimal_loss, prefixes
from beliefgeo.reading.sampled import sampled_loss_gap, words_or_sample
from beliefgeo.runs import command_line as cli
from beliefgeo.runs import outputs

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
ALIKE = 0.95  # the least cosine of an attention pattern with the predicted one: a weak test, see `rival_cosine`

READING = 2**20  # folded into the seed for what networks read: beyond the numbers of lanes, which training folds


class Text(NamedTuple):
    """What the networks of a case read."""

    process: Product
    rows: Prefixes
    constrained: np.ndarray
    """Constrained beliefs after each prefix."""
    sampled: bool
    """Not all words, but some drawn."""


class Keys(NamedTuple):
    """The randomness of a case after training."""

    words: jax.Array
    ideal: jax.Array


@dataclass(frozen=True)
class Config:
    """The networks, and how to train them."""

    cases: tuple[Name, ...] = tuple(CASES)
    """Which pairs of zeta."""
    head_counts: tuple[int, ...] = (1, 2, 3, 4)
    """Numbers of heads, ascending from 1, six at most."""
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
    context, found, curves, seconds = config.network.context, {}, {}, 0.0
    for states in sorted({CASES[name].states for name in config.cases}, reverse=True):
        names = [name for name in config.cases if CASES[name].states == states]
        texts = [words_to_read(CASES[name], config) for name in names]
        processes = [text.process for text in texts]
        data = f"two factors of {states} states: {', '.join(names)}"
        by_heads = {name: {} for name in names}
        for heads in config.head_counts:
            network = replace(config.network, vocab_size=states**2, heads=heads)
            where = folder / f"{states}_states_{heads}_heads"
            learned = learn(where, processes, network, config.budget, context=context, data=data)
            seconds += learned.history["seconds"].sum()
            excess = learned.history["excess"].reshape(-1, len(names), config.budget.seeds)
            every = {"trained": learned.trained, "untrained": learned.untrained}
            for index, (name, text) in enumerate(zip(names, texts, strict=True)):
                params = jax.tree.map(lambda leaf, index=index: leaf[index], every)
                networks = read_networks(learned.network, params, text.rows, sites)
                by_heads[name][heads] = {net: measure(networks[net], params[net], text) for net in networks}
                curves.setdefault(name, {})[heads] = learned.history["tokens"], excess[:, index]
        for name, text in zip(names, texts, strict=True):
            found[name] = compare(CASES[name], text, by_heads[name], config)
    metrics = {
        "preset": preset,
        "config": asdict(config),
        "rules": {"share": SHARE, "no gain": NO_GAIN, "near": NEAR, "alike": ALIKE},
        "cosine of .7^lag and .5^lag": rival_cosine(0.7, 0.5, context),
        "training_tokens": config.budget.steps * config.budget.batch * context,
        "cases": found,
        "device": outputs.device(),
        "versions": outputs.versions(),
        "seconds": {"training": seconds, "all": time.perf_counter() - began},
    }
    figures(folder, found, curves)
    outputs.write_json(folder / "metrics.json", metrics)
    summary(folder, metrics)


def check(config: Config) -> None:
    """Refuse what the claim is not about."""
    if config.network.layers != 1 or config.network.context < 6:
        got = f"layers {config.network.layers}, context {config.network.context}"
        raise ValueError(f"the claim is about one layer and lags up to 5: give layers 1, context 6 or more; got {got}")
    if config.network.heads != 1:
        raise ValueError(f"heads follow from head_counts, such as --head-counts 1 2; got heads {config.network.heads}")
    counts = list(config.head_counts)
    if counts != sorted(set(counts)) or counts[:1] != [1] or not 2 <= len(counts) <= 6:
        raise ValueError(f"head_counts must ascend from 1, two to six of them, such as 1 2 3; got {counts}")
    if not config.cases or config.budget.seeds < 2:
        got = f"{len(config.cases)} cases, {config.budget.seeds} seeds"
        raise ValueError(f"verdicts need a case and the spread of 2 seeds or more; got {got}")


def sites(activations: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The residual after attention, and the attention."""
    return {"mid": activations["resid_mid"][0], "pattern": attention_rows(activations)}


def keys(case: Case, config: Config) -> Keys:
    """Of each case its own, and none that training uses."""
    index = READING + list(CASES.values()).index(case)
    return Keys(*jax.random.split(jax.random.fold_in(jax.random.key(config.budget.seed), index)))


def words_to_read(case: Case, config: Config) -> Text:
    """All words of a case or sampled ones, and its beliefs after their prefixes."""
    process = bg.product(case.factors)
    words, sampled = words_or_sample(keys(case, config).words, process, config.network.context, config.words)
    rows = prefixes(process, words)
    return Text(process, rows, beliefs_after(partial(constrained_beliefs, process), rows), sampled)


def measure(network: Evaluation, params: Any, text: Text) -> dict[str, Any]:
    """Excess loss, attention by lag, and how evidence about each factor fades."""
    process, rows, constrained, sampled = text
    each = zip(unstack(network.features), unstack(params["params"]), strict=True)
    return {
        "gap": over_seeds(mean_gaps(network, rows)),
        # Of each seed alike: all read the same words, so that differences between networks have far less. None where
        # these are all words: the gap is exact.
        "standard error of the gap": sampled_loss_gap(rows, network.log_laws[0]).mean_error if sampled else None,
        **seeds_report([factors_report(process, features, own, constrained, rows) for features, own in each]),
    }


def compare(case: Case, text: Text, by_heads: dict[int, dict], config: Config) -> dict[str, Any]:
    """The networks of a case beside the ideal layer, constrained beliefs, and the prediction."""
    key, context = keys(case, config).ideal, config.network.context
    ideal = {
        heads: ideal_layer_gap(key, case.factors, heads, context=context, steps=config.ideal_steps)
        for heads in config.head_counts
    }
    return {
        "words": f"{len(text.rows.tokens)}, {'sampled' if text.sampled else 'all'}",
        "ideal layer": ideal,
        "heads": by_heads,
        **losses(text),
        "verdict": verdict(case, by_heads, ideal),
    }


def losses(text: Text) -> dict[str, float]:
    """What an ideal observer gains by reading, and the gap of one who holds constrained beliefs; means, in nats."""
    first = np.asarray(text.process.predict(text.process.initial), float)
    laws = jax.jit(jax.vmap(text.process.predict))(jnp.asarray(text.constrained))
    return {
        "gain of an ideal observer": -(first * np.log(first)).sum() - optimal_loss(text.rows).mean(),
        "gap of constrained beliefs": loss_gap(text.rows, jnp.log(laws)).mean(),
    }


def verdict(case: Case, by_heads: dict[int, dict], ideal: dict[int, float]) -> dict[str, Any]:
    """What follows for the prediction from the losses, the patterns and the fading, by the rules above."""
    trained = {heads: nets["trained"] for heads, nets in by_heads.items()}
    patterns = predicted_patterns(case.zetas, trained[1]["attention by lag"]["mean"].shape[1])
    predicted = len(patterns)
    gaps = {heads: one["gap"]["seeds"] for heads, one in trained.items()}
    needed = needed_heads(gaps, ideal, share=SHARE, no_gain=NO_GAIN)
    told = lambda count: "not resolved" if count is None else "holds" if count == predicted else f"fails: {count}"
    result = {
        "predicted heads": predicted,
        "patterns": patterns,
        "needed": needed,
        "heads": told(needed["by share"]),
        "heads, by significance": told(needed["by significance"]),
    }
    return result | attention_verdict(case, by_heads[predicted], patterns) if predicted in by_heads else result


def attention_verdict(case: Case, networks: dict[str, dict], patterns: dict[str, np.ndarray]) -> dict[str, Any]:
    """Patterns and fading of the networks with as many heads as predicted; patterns of the untrained ones beside."""
    found, zetas = networks["trained"], np.array(case.zetas)
    cosines = {net: pattern_cosines(one, patterns) for net, one in networks.items()}
    near = lambda fitted: abs(found[fitted]["mean"] - zetas).max() <= NEAR
    low, high = found["zeta"]["interval"]
    holds = lambda rule: "holds" if rule else "fails"
    return {
        "cosines of patterns": over_seeds(cosines["trained"]),
        "cosines of patterns, untrained": over_seeds(cosines["untrained"]),
        "attention": holds(np.min(cosines["trained"], 1).mean() >= ALIKE),
        "fading": holds(near("zeta")),
        "fading, by mean attention": holds(near("zeta, by mean attention")),
        "the interval of zeta excludes the theory": (zetas < low) | (zetas > high),
    }


def pattern_cosines(network: dict, patterns: dict[str, np.ndarray]) -> np.ndarray:
    """The cosine of each predicted pattern with the head that takes its part, `[seed, pattern]`."""
    return np.array([match_patterns(seed, [*patterns.values()]) for seed in network["attention by lag"]["seeds"]])


def rival_cosine(zeta: float, other: float, context: int) -> float:
    """The cosine, from lag 1 on, of two fading patterns: a head as alike as that tells neither from the other."""
    lags = np.arange(context)
    return float(match_patterns([other**lags], [zeta**lags])[0])


def figures(folder: Path, found: dict, curves: dict) -> None:
    """Draw the run."""
    save = lambda name, figure: outputs.save_figure(folder / f"{name}.png", figure)
    title = lambda name: "$\\zeta$ = " + name.replace("-", "\u2212")
    excess, attention, weights = {}, {}, {}
    for name, one in found.items():
        predicted, patterns = one["verdict"]["predicted heads"], one["verdict"]["patterns"]
        trained = {heads: nets["trained"] for heads, nets in one["heads"].items()}
        gaps = {heads: each["gap"] for heads, each in trained.items()}
        excess[title(name)] = plots.Excess(gaps, one["ideal layer"], predicted)
        if predicted in trained:
            seeds = lambda which, found=trained[predicted]: found[which]["seeds"]
            measured, expected = seeds("weight of evidence"), seeds("weight of evidence, by mean attention")
            attention[title(name)] = seeds("attention by lag"), patterns
            weights[title(name)] = plots.Weights(measured, expected, CASES[name].zetas)
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
            ("  by significance", str(count), f"{needed['by significance']} ({verdict['heads, by significance']})"),
            ("  of an ideal layer", "", f"{needed['ideal layer']}"),
            ("  1e-4 nats above the optimum by heads", "", many(gaps, ".2f")),
            ("  the same of an ideal layer", "", many((1e4 * gap for gap in one["ideal layer"].values()), ".2f")),
        ]
        if "fading" in verdict:
            trained, cosines = one["heads"][count]["trained"], verdict["cosines of patterns"]["mean"]
            untrained, ranges = (
                verdict["cosines of patterns, untrained"]["mean"],
                np.transpose(trained["zeta"]["interval"]),
            )
            moving, true = trained["attention that moves with the words"]["mean"], many(CASES[name].zetas, "g")
            outside = ["no" if out else "yes" for out in verdict["the interval of zeta excludes the theory"]]
            for kind in ("", ", by mean attention"):
                fitted = f"{many(trained[f'zeta{kind}']['mean'], '.2f')} (within {NEAR}: {verdict[f'fading{kind}']})"
                lines.append((f"  fading, heads: {count}{kind}", true, fitted))
            lines += [
                ("    95% intervals", "", "; ".join("{:.3f} to {:.3f}".format(*interval) for interval in ranges)),
                ("    do they hold the theory's zeta?", "", ", ".join(outside)),
                (
                    "  cosine of heads and patterns",
                    "1",
                    f"{many(cosines, '.3f')} (from {ALIKE}: {verdict['attention']})",
                ),
                ("    untrained", "", many(untrained, ".3f")),
                ("  attention that moves with the words", "0", many(moving, ".3f")),
            ]
    lines.append(("cosine of .7^lag and .5^lag", "", f"{metrics['cosine of .7^lag and .5^lag']:.3f}"))
    lines.append(("seconds, training / call", "", " / ".join(f"{value:.0f}" for value in metrics["seconds"].values())))
    outputs.print_table(f"{folder}: metrics.json, figures", ("", "predicted", "ours"), lines)


if __name__ == "__main__":
    cli.run_experiment(main, PRESETS, out="runs/attention_heads", description=__doc__)
