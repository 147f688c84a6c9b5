"""Transformers learn factored representations: a subspace for each factor, not a subspace for the joint belief.

Source: Shai et al. 2026 (2602.02385). The network sees the tokens of five independent factors, three mess3(.15, .6) and
two bloch_walk(1, 3), as one of 432 tokens. The joint belief needs 242 dimensions (95% of its variance: 140); the
factors' own beliefs side by side need 10. The question is which of the two the network keeps.
The map from belief to next-token law has rank 3 of 3 for each factor, 243 of 243 for the joint belief: beliefs are
affine images of laws. And the exact log-laws, sums over factors, fill as few components as the factored beliefs (9, in
12 dimensions): by its dimensions, a network that writes its logits and no beliefs would count as factored too.
Published, after 1.1e9 drawn tokens: principal components for 95% of the variance about 62 at the start, 3 near step
200, 11 at step 5,000; RMSE of the factors' beliefs from .203 to .06 (mess3), .167 to .075 (bloch_walk); dimensions
found by varying one factor 330 in all and 70 of their union at the start, 14 (2, 2, 2, 4, 4) and 12 at the end; overlap
of two factors' leading directions from .5 to 6e-4. Tokens replaced at random with probability 0, .1, .2, .3, .5: 11,
13, 19, 24, 38 dimensions. Factors in a chain: 11 dimensions, where the joint belief needs 148.
Expected from `default`, one network, 8.6M tokens with exact-law targets: 65 components, then 4, then 14; RMSE .019
(mess3) and .058 (bloch_walk); vary-one sum 20, union 15; overlap 1e-3. Fourteen minutes on one
core.

    python experiments/factored                    the default preset
    python experiments/factored quick              a smoke run of two factors, under a minute
    python experiments/factored paper              the published budget, 1.1e9 tokens (days on two cores)
    python experiments/factored default --noise 0.2
    python experiments/factored default --chain

432^8 words cannot be listed: 1,500 sampled words stand for them, and means over words have standard errors.
"""

from dataclasses import dataclass

import figures
import jax
import jax.numpy as jnp
import measures
import numpy as np
from factors import FactorName, factor_rank, process_of
from published import CLAIMS, FIVE, PUBLISHED, kind_of

from beliefgeo import probes, reading, runs
from beliefgeo.networks import TransformerConfig
from beliefgeo.probes.subspaces import vary_one
from beliefgeo.reading import Seeds

SITE = "last block"


@dataclass(frozen=True)
class Config:
    """Factors, a transformer, how to train it and how to look at it."""

    factors: tuple[FactorName, ...] = FIVE
    """mess3(.15, .6), 3 tokens each, and bloch_walk(1, 3), 4 tokens each."""
    noise: float = 0.0
    """The probability that a uniform token replaces the composite token of all factors."""
    chain: bool = False
    """Whether the token of each factor chooses how the next factor moves; else the factors are independent."""
    network: TransformerConfig = TransformerConfig(
        vocab_size=433, context=9, layers=4, width=120, heads=3, head_width=40, mlp_width=480
    )
    """The network reads a BOS and context - 1 tokens; vocab_size is the product of the factors' tokens, plus a BOS."""
    budget: runs.Budget = runs.Budget(steps=30_000, batch=32, data="laws", chunk=100, snapshots=14)
    """How long to train, and how."""
    words: int = 1500
    """The number of sampled words on which the network is read."""
    contexts: int = 16
    """The number of words in which all factors but one are frozen, at every position."""
    varied: int = 64
    """The number of words of the varying factor, for each frozen word."""
    seed: int = 0
    """The seed of the whole run."""


SMALL = TransformerConfig(vocab_size=13, context=6, layers=2, width=32, heads=2, head_width=16, mlp_width=64)
SHORT = runs.Budget(steps=200, data="laws", chunk=50, snapshots=3)
LONG = runs.Budget(steps=5000, batch=25_000, learning_rate=5e-4, optimizer="adamw", chunk=10, snapshots=30)
QUICK = Config(("mess3", "bloch_walk"), network=SMALL, budget=SHORT, words=200, contexts=4, varied=32)
PRESETS = {"quick": QUICK, "default": Config(), "paper": Config(budget=LONG)}


def main(run: runs.Run, config: Config) -> dict:
    """Process, rows, learn; at every snapshot loss, dimensions, factors' beliefs, vary-one subspaces; controls."""
    process, context = process_of(config.factors, config.noise, config.chain), config.network.context
    bos = process.vocab_size
    rows = reading.rows(run.key("words"), process, context, most=config.words, bos=bos)
    beliefs = process.split_belief(rows.beliefs)
    truth = measures.side_by_side(rows, beliefs)
    moved = truth._replace(beliefs=np.asarray(probes.shuffle_beliefs(run.key("shuffle"), truth.beliefs, rows.length)))
    digits = vary_one(run.key("varied words"), process.split_token(rows.words), config.contexts, config.varied)
    words = jnp.pad(process.join_tokens(digits), [(0, 0)] * 3 + [(1, 0)], constant_values=bos)
    learned = run.learn(process, config.network, config.budget, context=context, bos=True)

    def study(network: reading.Reading) -> measures.Snapshot:
        varied = reading.read_words(learned.network, network.params, words)
        return measures.study(network, network.features[SITE], varied, truth)

    judge = lambda network: measures.judge(network.features[SITE], truth, moved)
    shots = reading.each(learned.checkpoints, rows, study, last_block)
    trained = reading.each(learned.trained, rows, judge, last_block)
    untrained = reading.each(learned.untrained, rows, judge, last_block)
    found = {
        "factors": config.factors,
        "tokens": [shot.tokens for shot in learned.checkpoints],
        "optimum": measures.optimum(None if config.noise or config.chain else process.factors, rows),
        "ranks": {name: factor_rank(name) for name in dict.fromkeys(config.factors)},
        "components": measures.components(truth, None if config.noise else beliefs),
        "shots": shots,
        "fewest": Seeds(shots.dimensions.values.min(1)),
        "errors": measures.errors(config.factors, shots, trained, untrained, truth),
        "clouds": {"exact": truth.beliefs, "trained": trained.seen.values[0], "untrained": untrained.seen.values[0]},
        "entries": truth.factor,
        "counts": rows.counts,
    }
    return {(kind := kind_of(config.factors, config.noise, config.chain)): found | {"published": PUBLISHED[kind]}}


def last_block(activations: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The site that is probed."""
    return {SITE: activations["resid_post"][-1]}


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
