"""The introductory example: what an ideal observer of Z1R (zero, one, random) knows, and what a network learns.

Source: Shai, Marzen, Teixeira, Gietelink Oldenziel, Riechers 2024 (2405.15943), where Z1R introduces the mixed-state
presentation; the exact values are computed by hand.
Expected: 7 mixed states, 3 of them recurrent; h = 1/3, E = C_mu = 1.5850, T = S = 2.8366 bits; nothing left to learn
after three tokens. Seven beliefs, five next-token laws: the map from belief to law has rank 2 of 3, and the law alone
explains R2 .485 of the beliefs. From `default`, three networks: loss 1e-4 to 2e-4 nats above the optimum; R2 of the
beliefs in the last block .96 to .98 (untrained .41 to .46), in both blocks together .985 to .995 (.59 to .65). Four
minutes on two busy cores.

    python experiments/z1r                    the default preset
    python experiments/z1r quick              a smoke run, half a minute
    python experiments/z1r default --seeds 8
"""

from dataclasses import dataclass

import exact
import figures
import jax
import jax.numpy as jnp
import numpy as np
from figures import BOTH, LAST

import beliefgeo as bg
from beliefgeo import probes, reading, runs
from beliefgeo.networks import TransformerConfig

SCORES = [  # and their values for an ideal observer
    ("loss above the optimum (nats)", "losses/gap", "0", ".2e"),
    (f"{LAST}: R2, in sample", f"r2/{LAST}", "1", ".4f"),
    (f"{LAST}: R2, held out by subtree", f"held out/{LAST}", "1", ".4f"),
    (f"{BOTH}: R2, in sample", f"r2/{BOTH}", "1", ".4f"),
    (f"{BOTH}: R2, held out by subtree", f"held out/{BOTH}", "1", ".4f"),
    (f"{LAST}: R2 of shuffled beliefs, in sample", "shuffled", "0", ".4f"),
    (f"{BOTH}: R2 of shuffled beliefs, held out", "shuffled, held out", "0", ".4f"),
]
CLAIMS = [
    runs.Claim("mixed states", "exact/mixed_states", "7", ".0f"),
    runs.Claim("recurrent mixed states", "exact/recurrent", "3", ".0f"),
    *(
        runs.Claim(f"{name} (bits)", f"exact/bits/{name}", f"{hand:.4f}", "z.4f")
        for name, (_, hand) in exact.MEASURES.items()
    ),
    runs.Claim("rank of the map from belief to next-token law", "rank", "2 of 3"),
    runs.Claim("next-token law alone: R2", "law alone", form=".4f"),
    *(
        runs.Claim(f"{net}, {label}", f"{net}/{path}", known * (net == "trained"), form)
        for net in ("trained", "untrained")
        for label, path, known, form in SCORES
    ),
]


@dataclass(frozen=True)
class Config:
    """A small transformer, and how to train it on Z1R."""

    network: TransformerConfig = TransformerConfig(vocab_size=3, context=16, layers=2, width=32, mlp_width=128)
    """It reads a BOS, then context - 1 tokens: without a BOS no network could show the belief before any token."""
    budget: runs.Budget = runs.Budget(seeds=3)
    """How long to train, and how."""
    shuffles: int = 20
    """The number of random permutations of the beliefs in the shuffled control."""
    seed: int = 0
    """The seed of the whole run."""


SMALL = TransformerConfig(vocab_size=3, context=10, layers=2, width=16, mlp_width=64)
PRESETS = {"quick": Config(SMALL, runs.Budget(steps=300, chunk=50), shuffles=2), "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """Process, mixed states, learn, rows, read, measure."""
    process, context = bg.z1r(), config.network.context
    known = exact.exact(process)
    rows = reading.rows(run.key("words"), process, context, bos=process.vocab_size)
    held = np.square(rows.beliefs[:, None] - known.presentation.beliefs).sum(2).argmin(1)
    entries, permuted = probes.shuffle_words(run.key("shuffled words"), rows)
    chance = probes.Control(probes.shuffle_prefixes, run.key("shuffles"), config.shuffles)
    fit = lambda features: bg.fit_probe(features, rows.beliefs, rows.counts)
    shuffled = lambda features: bg.fit_probe(features[entries], permuted)
    r2 = lambda features: float(bg.score_probe(fit(features), features, rows.beliefs, rows.counts).r2)

    def measure(network: reading.Reading) -> dict:
        last, both = network.features[LAST], network.features[BOTH]
        far = np.linalg.norm(fit(last)(last) - rows.beliefs, axis=1)
        return {
            "losses": reading.losses(network, rows),
            "r2": {site: r2(one) for site, one in network.features.items()},
            "held out": {site: probes.held_out(one, rows, rows.counts).r2 for site, one in network.features.items()},
            "distance of each belief": np.bincount(held, far) / np.bincount(held),
            "shuffled": bg.score_probe(shuffled(last), last[entries], permuted).r2,
            "shuffled, held out": chance.against(both, rows, rows.counts).shuffled.mean(),
        }

    learned = run.learn(process, config.network, config.budget, context=context, bos=True)
    first = [next(reading.readings(one, rows, blocks)).features[LAST] for one in (learned.trained, learned.untrained)]
    seen = [fit(first[0])(first[0]), fit(first[1])(first[1]), shuffled(first[0])(first[0])]
    return {
        "exact": known,
        "rank": probes.law_rank(rows),
        "distinct": {name: len(np.unique(getattr(rows, name).round(9), axis=0)) for name in ("beliefs", "laws")},
        "law alone": r2(rows.laws),
        "prefixes": np.bincount(held),
        "optimum": reading.optimal_loss(rows),
        "trained": reading.each(learned.trained, rows, measure, blocks),
        "untrained": reading.each(learned.untrained, rows, measure, blocks),
        "clouds": figures.Clouds(rows.beliefs, rows.counts, *(np.asarray(cloud) for cloud in seen)),
    }


def blocks(activations: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The last block's output, and all blocks' side by side."""
    outputs = activations["resid_post"]
    return {LAST: outputs[-1], BOTH: jnp.concatenate([*outputs], -1)}


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
