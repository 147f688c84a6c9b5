"""The headline claim: a transformer trained on Mess3 writes the fractal of belief states linearly in its activations.

Source: Shai, Marzen, Teixeira, Gietelink Oldenziel, Riechers 2024 (2405.15943), figures 3-5.
Published: loss 1.6e-4 nats above the optimum and a probe error of 3.86e-4 (R2 .9965) after 640M tokens.
Expected from `default` after 7.9M tokens: a gap of 1.2e-4 to 2.1e-4 and an error of 2.0e-4 to 3.2e-4, in two to three
minutes on two cores. The map from belief to next-token law has rank 3 of 3: the belief is an affine image of the law,
and no probe can tell the two apart here (rrxor can).

    python experiments/mess3                  the default preset; also --seeds 4 --learning-rate 1e-3
    python experiments/mess3 fast             quasirandom sequences, 4.0M tokens; 2 minutes
    python experiments/mess3 quick            a smoke run, half a minute
    python experiments/mess3 paper            the published settings: SGD .01, 1M steps (hours)
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import figures
import jax
import numpy as np

import beliefgeo as bg
from beliefgeo import probes, reading, runs
from beliefgeo.networks import TransformerConfig
from beliefgeo.reading import Seeds

SITE = "last block"
EQUALLY, LIKELY = (f"trained/sites/{SITE}/{weighting}" for weighting in ("by_count", "by_probability"))
CLAIMS = [
    runs.Claim("rank of the map from belief to next-token law", "rank"),
    runs.Claim("loss above the optimum (nats)", "trained/losses/gap", "1.6e-4", ".2e"),
    runs.Claim("probe error as published (MSE)", f"{EQUALLY}/mse", "3.86e-4", ".2e"),
    runs.Claim("probe error, untrained network", f"untrained/{SITE}/by_count/mse", form=".2e"),
    runs.Claim("probe error, shuffled beliefs", "shuffled words/mse", "1.11e-1", ".2e"),
    runs.Claim("held out, every word and position equally: R2", f"{EQUALLY}/held_out", form=".5f"),
    runs.Claim("equivalent window (tokens)", f"{EQUALLY}/held_out_window", form=".2f"),
    runs.Claim("equivalent window, untrained", f"untrained/{SITE}/by_count/held_out_window", form=".2f"),
    runs.Claim("unexplained variance, untrained / trained", "unexplained, untrained ÷ trained/at 0", form=".1f"),
    runs.Claim("held out, by probability: R2", f"{LIKELY}/held_out", form=".5f"),
    runs.Claim("equivalent window, by probability", f"{LIKELY}/held_out_window", form=".2f"),
    runs.Claim("unexplained variance, by probability", "unexplained, untrained ÷ trained/at 1", form=".1f"),
    runs.Claim("held out, shuffled beliefs: R2", "trained/shuffled/r2", form=".4f"),
    runs.Claim("r2 of distances, probed and true beliefs (first seed)", "distances", form=".4f"),
]


@dataclass(frozen=True)
class Config:
    """Mess3, a transformer, and how to train it."""

    x: float = 0.05
    """Mess3: the probability of moving to each other state."""
    alpha: float = 0.85
    """Mess3: the probability that a state emits its own token."""
    network: TransformerConfig = field(default_factory=TransformerConfig)
    budget: runs.Budget = runs.Budget(steps=12_400, learning_rate=1.5e-3, snapshots=14)
    """How long to train, and how."""
    shuffles: int = 20
    """The number of random permutations of the beliefs in the shuffled control."""
    seed: int = 0


SMALL = runs.Budget(steps=600, learning_rate=1.5e-3, chunk=50, snapshots=5)
PRESETS = {
    "quick": Config(network=TransformerConfig(context=6), budget=SMALL, shuffles=3),
    "default": Config(),
    "fast": Config(budget=runs.Budget(steps=6200, data="quasirandom", snapshots=14)),
    "paper": Config(budget=runs.Budget(steps=1_000_000, learning_rate=0.01, optimizer="sgd", chunk=1000, snapshots=24)),
}


def main(run: runs.Run, config: Config) -> dict:
    """Process, learn, rows, read, measure."""
    process, context = bg.mess3(config.x, config.alpha), config.network.context
    rows = reading.rows(run.key("words"), process, context)
    learned = run.learn(process, config.network, config.budget, context=context)

    def emergence(network: reading.Reading) -> dict[str, Any]:
        seen = bg.fit_probe(network.features[SITE], rows.beliefs, rows.counts)(network.features[SITE])
        score = probes.score_predictions(seen, rows.beliefs, rows.counts)
        return {"gap": reading.losses(network, rows).gap, "mse": score.mse, "r2": score.r2, "seen": seen}

    score = partial(probes.scorecard, rows=rows, key=run.key("shuffles"), shuffles=config.shuffles)
    trained = reading.each(learned.trained, rows, score, last_block)
    untrained = reading.each(learned.untrained, rows, partial(probes.score_sites, rows=rows), last_block)
    emerged = reading.each(learned.checkpoints, rows, emergence, last_block)
    seen = emerged.pop("seen").values[0]
    first = next(reading.readings(learned.trained, rows, last_block)).features[SITE]
    entries, beliefs = probes.shuffle_words(run.key("shuffled words"), rows)
    shuffled = bg.fit_probe(first[entries], beliefs)
    return {
        "tokens": [shot.tokens for shot in learned.checkpoints],
        "rank": probes.law_rank(rows),
        "trained": trained,
        "untrained": untrained,
        "unexplained, untrained ÷ trained": Seeds(left(untrained) / left(trained.sites)),
        "shuffled words": bg.score_probe(shuffled, first[entries], beliefs),
        "distances": probes.compare_distances(run.key("pairs"), seen[-1], rows.beliefs, weights=rows.counts),
        "explained variance": probes.principal_components(first, rows.counts).cumulative[:8],
        "emergence": emerged,
        "windows": probes.window_curves(rows),
        "clouds": figures.Clouds(rows.beliefs, rows.counts, seen, np.asarray(shuffled(first))),
    }


def last_block(activations: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The site that is probed."""
    return {SITE: activations["resid_post"][-1]}


def left(sites: Any) -> np.ndarray:
    """The variance that held-out probes leave, `[seed, weighting]`."""
    return np.stack([1 - scores.held_out.values for scores in sites[SITE]], 1)


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
