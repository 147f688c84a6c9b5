"""One attention layer holds constrained beliefs: each token's evidence, faded by its lag; more layers repair them.

Source: Piotrowski, Riechers, Filan, Shai 2025 (2502.01954), on Mess3, where evidence fades by zeta = 1 - 3x a step.
Published: attention .46 .29 .15 .10 by lag at (x, alpha) = (.15, .6), zeta = .55; at (.5, .6), zeta = -.5, a head of
even and a head of odd lags; a table of explained variance; attention alone gains 98% of what an ideal observer gains at
(.15, .6), 85% (one head) and 92% (two heads) at (.5, .6).
Expected from `default`, three networks of a kind: at (.15, .6) a fading of .51 (four layers: .53), values parallel to
the evidence (cosine above .99), after attention R2 .98 of constrained and .93 of true beliefs, at the output of four
layers .98 and .99; at (.5, .6) an odd and an even head; with attention alone 96%, 93% and 95%. Explained variance is
off the published by at most .075 at (.15, .6) and up to .280 at the other settings. 25 minutes of training and seven
of analysis on one busy core.
The map from belief to next-token law has rank 3 of 3 at all settings: a probed belief may be the law of the next token,
of which it is an affine image. Constrained beliefs are an affine image of another law, which sums evidence.

    python experiments/constrained_beliefs                 the default preset
    python experiments/constrained_beliefs quick           a smoke run
    python experiments/constrained_beliefs paper           the published optimiser: Adam 1e-4, 15M tokens each
    python experiments/constrained_beliefs default --networks "one head" --seeds 4

Interrupt it and start it again with the same command: it continues. A finished run is drawn again without training.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import figures
import measures
import numpy as np
from claims import CLAIMS
from kinds import DRAWN, KINDS, PUBLISHED, Name, Setting, fading, label

import beliefgeo as bg
from beliefgeo import probes, reading, runs
from beliefgeo.beliefs.constrained import constrained_beliefs, evidence
from beliefgeo.mechanisms.one_layer import heads_of_layer
from beliefgeo.networks import TransformerConfig

# The largest number of words to read; if there are more, the words are sampled.
WORDS = 200_000


@dataclass(frozen=True)
class Config:
    """The networks, and how to train them."""

    networks: tuple[Name, ...] = tuple(KINDS)
    """The kinds of networks."""
    network: TransformerConfig = field(default_factory=lambda: TransformerConfig(layers=1))
    """The network of one head; the others differ from it as their names say."""
    components: int = 3
    """The number of principal components from which beliefs are probed."""
    budget: runs.Budget = runs.Budget(steps=10_000, batch=64, seeds=3)
    """How long to train, and how."""
    seed: int = 0
    """The seed of the whole run."""


SMALL = TransformerConfig(layers=1, context=7)
PRESETS = {
    "quick": Config(("two heads",), SMALL, budget=runs.Budget(steps=200, chunk=50)),
    "default": Config(),
    "paper": Config(budget=runs.Budget(11_700, 128, 1e-4, "adam", seeds=2)),
}


def main(run: runs.Run, config: Config) -> dict[str, Any]:
    """Let each kind of network learn its processes in one program; then study each."""
    measures.check(config.network)
    found = {}
    for name in config.networks:
        (settings, changes), processes = KINDS[name], [bg.mess3(*setting) for setting in KINDS[name].settings]
        network = replace(config.network, **changes)
        learned = run.learn_several(processes, network, config.budget, context=network.context)
        for setting, process, own in zip(settings, processes, learned, strict=True):
            found[label(name, setting)] = study(run, name, setting, process, own, config)
    tokens = config.budget.steps * config.budget.batch * config.network.context
    return {"tokens": tokens, "networks": found, "published": PUBLISHED}


def study(
    run: runs.Run, name: Name, setting: Setting, process: bg.Process, learned: runs.Learned, config: Config
) -> dict[str, Any]:
    """Rows, read, measure: one kind of network on one process."""
    zeta = fading(setting)
    rows = reading.rows(run.key(f"words of {setting}"), process, config.network.context, most=WORDS)
    constrained = reading.beliefs_after(partial(constrained_beliefs, process), rows)
    beliefs, gain = {"constrained": constrained, "true": rows.beliefs}, measures.observer_gain(process, rows)
    seen = lambda network: measures.read_beliefs(network.features, beliefs, rows, config.components)
    measure = lambda network: {
        "loss": measures.network_loss(network, rows, gain.gain),
        "explained variance": measures.variances(network, rows),
        "probes": measures.scores(seen(network)),
    }
    heads = lambda network: {"heads": heads_of_layer(network, rows, process, constrained)}
    read = lambda networks, measure: reading.each(networks, rows, measure, measures.sites)
    trained = read(learned.trained, lambda network: measure(network) | heads(network))
    ours, published = trained["explained variance"][measures.OF_THE_PAPER], PUBLISHED["explained variance"]
    drawn = next(reading.readings(learned.trained, rows, measures.sites)) if DRAWN.get(name) == setting else None
    exact = {kind: values[measures.longest(rows)] for kind, values in beliefs.items()}
    return {
        "setting": setting,
        "zeta": zeta,
        "words": f"{len(rows.tokens)}, {'sampled' if rows.sampled else 'all'}",
        "rank": probes.law_rank(rows),
        "ideal observer": gain,
        "share of constrained beliefs": measures.constrained_share(process, rows, constrained, gain.gain),
        "trained": trained,
        "untrained": read(learned.untrained, measure),
        "attention by lag": measures.asked_lags(trained["heads"], zeta, 4 if name == "one head" and zeta > 0 else 6),
        "weight of evidence": reading.Seeds(trained["heads"].weight_by_lag.values[:, :5]),
        "compared variance": ours,
        "distances": measures.distances(ours, published.get(label(name, setting), {})),
        "evidence": np.asarray(evidence(process)),
        "clouds": drawn and exact | {which: np.asarray(one.seen) for which, one in seen(drawn).items()},
    }


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
