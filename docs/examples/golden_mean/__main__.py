"""A transformer trained on the golden mean process, no two ones in a row, predicts nearly as well as can be.

Source: by hand. After a 1 comes a 0, after a 0 a fair coin, and two tokens of three are 0: h = 2/3 ln 2 = .4621 nats.
Expected from `default`: a loss 2e-4 nats above that, half a minute on two cores. The belief is the last token: an
untrained network holds it too, and the score of a probe says nothing of training here.

    python docs/examples/golden_mean            the default preset
    python docs/examples/golden_mean quick      a smoke run
"""

from dataclasses import dataclass
from functools import partial

import beliefgeo as bg
from beliefgeo import probes, reading, runs
from beliefgeo.networks import TransformerConfig

CLAIMS = [
    runs.Claim("loss of the network (nats)", "loss", "0.4621", ".4f"),
    runs.Claim("beliefs held out: R2", "trained/sites/block/by_count/held_out", "1", ".4f"),
    runs.Claim("  untrained network", "untrained/block/by_count/held_out", form=".4f"),
    runs.Claim("  shuffled beliefs", "trained/shuffled/r2", form=".4f"),
    runs.Claim("rank of the map from belief to next-token law", "rank", "2 of 2"),
]


@dataclass(frozen=True)
class Config:
    """A small transformer, and how to train it."""

    network: TransformerConfig = TransformerConfig(vocab_size=2, context=6, layers=1, width=16, heads=1, mlp_width=32)
    """It reads 6 tokens, without a BOS."""
    budget: runs.Budget = runs.Budget(steps=1500, learning_rate=5e-3)
    """How long to train, and how."""
    seed: int = 0
    """Of everything."""


PRESETS = {"quick": Config(budget=runs.Budget(steps=300, learning_rate=5e-3)), "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """Process, learn, rows, read, measure."""
    process, context = bg.golden_mean(), config.network.context
    learned = run.learn(process, config.network, config.budget, context=context)
    rows = reading.rows(run.key("words"), process, context)
    block = lambda activations: {"block": activations["resid_post"][-1]}
    score = partial(probes.scorecard, rows=rows, key=run.key("shuffles"))
    trained = reading.each(learned.trained, rows, score, block)
    return {
        "loss": reading.Seeds(reading.optimal_loss(rows).mean() + trained.losses.gap.values),
        "rank": probes.law_rank(rows),
        "trained": trained,
        "untrained": reading.each(learned.untrained, rows, partial(probes.score_sites, rows=rows), block),
    }


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS)
