"""How many attention heads one layer needs for two independent factors whose evidence fades at different rates.

Source: a prediction registered by A. Shai, on the theory of Piotrowski et al. (2502.01954): a layer sums what each
token tells of a factor, faded by zeta^lag. Factors `bg.mess` with eigenvalues (.7, .7) need one head, of pattern
.7^lag; (.7, .3) need two; (.7, -.3) need three; (.7, -.7) and (.5, -.5) need two, of even and odd lags.
Our own, by linear algebra: two positive patterns span any two patterns if one is positive, so (.7, -.3) needs two.
Expected, from `default` (excess loss over the optimum, in 1e-5 nats, of 1, 2, 3, 4 heads):
    .7, .7    5.7 6.4 6.0 5.8     one head by both rules: holds
    .7, .3    5.4 5.0 4.2 4.1     3 heads by both, predicted 2; they differ by 1e-5 nats
    .7, -.3   11.8 6.5 5.0 4.7    3 by the share of the loss, 2 by significance
    .5, -.5   41.0 5.7 6.4 6.6    2 by both: holds, but not as an even and an odd head
    .7, -.7   2.8 2.1 2.0 2.2     1 by share, 2 by significance: attention of one head moves with the words
The fitted zetas come near the theoretical zetas but not on them: for (.7, .7) both are .63, 10% too fast, and their
intervals exclude .7. A cosine of .95 is a weak test of a pattern: the cosine of .7^lag with .5^lag is .954.
Eight minutes on one core.

    python experiments/attention_heads                    the default preset
    python experiments/attention_heads quick              a smoke run, a minute
    python experiments/attention_heads default --cases ".7, -.7" --seeds 8

Interrupt it and start it again with the same command: it continues. A finished run is drawn again without training.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import figures
import jax
import jax.numpy as jnp
import numpy as np
from claims import CLAIMS
from heads import ideal_layer_gap, needed_heads
from verdicts import CASES, NO_GAIN, SHARE, Name, check, judge, rival_cosine

import beliefgeo as bg
from beliefgeo import reading, runs
from beliefgeo.beliefs.constrained import constrained_beliefs
from beliefgeo.mechanisms.one_layer import factors_of_layer, layer_sites
from beliefgeo.networks import TransformerConfig
from beliefgeo.processes.factored import Product


@dataclass(frozen=True)
class Config:
    """The networks, and how to train them."""

    cases: tuple[Name, ...] = tuple(CASES)
    """The pairs of zeta."""
    head_counts: tuple[int, ...] = (1, 2, 3, 4)
    """Numbers of heads, ascending from 1, six at most."""
    network: TransformerConfig = field(default_factory=lambda: TransformerConfig(9, 8, 1, 32, mlp_width=128))
    """One layer; its vocab_size and heads follow from the case."""
    words: int = 4096
    """The largest number of words to read: all words, or, if there are more, sampled words."""
    ideal_steps: int = 400
    """The number of optimiser steps for the ideal layer."""
    budget: runs.Budget = runs.Budget(3000, 64, 1e-2, data="laws", seeds=4)
    """How long to train, and how."""
    seed: int = 0
    """The seed of the whole run."""


SHORT = runs.Budget(200, 32, 1e-2, data="laws", seeds=2, chunk=50)
PRESETS = {"quick": Config((".7, -.7",), (1, 2), words=1024, ideal_steps=100, budget=SHORT), "default": Config()}


def main(run: runs.Run, config: Config) -> dict[str, Any]:
    """Learn processes of one number of states in one program; then compare each with its prediction."""
    check(config.network, config.head_counts, config.cases, config.budget.seeds)
    found = {}
    for states in sorted({CASES[name].states for name in config.cases}, reverse=True):
        names: list[Name] = [name for name in config.cases if CASES[name].states == states]
        processes: list[Product] = [bg.product(CASES[name].factors) for name in names]
        learned = {}
        for heads in config.head_counts:
            network = replace(config.network, vocab_size=states**2, heads=heads)
            learned[heads] = run.learn_several(processes, network, config.budget, context=network.context)
        for index, (name, process) in enumerate(zip(names, processes, strict=True)):
            own = {heads: every[index] for heads, every in learned.items()}
            found[name] = compare(run, name, process, own, config)
    return {"cases": found, "cosine of .7^lag and .5^lag": rival_cosine(0.7, 0.5, config.network.context)}


def compare(run: runs.Run, name: Name, process: Product, learned: dict[int, runs.Learned], config: Config) -> dict:
    """Rows, read, measure: each number of heads beside an ideal layer, constrained beliefs, and the prediction."""
    context, factors = config.network.context, CASES[name].factors
    rows = reading.rows(run.key(f"words of {name}"), process, context, most=config.words)
    constrained = reading.beliefs_after(partial(constrained_beliefs, process), rows)
    measure = lambda network: {
        "losses": reading.losses(network, rows),
        "factors": factors_of_layer(network, rows, process, constrained),
    }
    read = lambda networks: reading.each(networks, rows, measure, layer_sites)
    networks = {
        heads: {"trained": read(one.trained), "untrained": read(one.untrained)} for heads, one in learned.items()
    }
    gaps = {heads: one["trained"]["losses"].gap.values for heads, one in networks.items()}
    layer = partial(ideal_layer_gap, run.key(f"ideal layer of {name}"), factors, context=context)
    ideal = {heads: layer(heads, steps=config.ideal_steps) for heads in gaps}
    needed = needed_heads(gaps, ideal, share=SHARE, no_gain=NO_GAIN)
    first, laws = process.predict(process.initial), jax.vmap(process.predict)(jnp.asarray(constrained))
    return {
        "zetas": CASES[name].zetas,
        "words": f"{len(rows.tokens)}, {'sampled' if rows.sampled else 'all'}",
        "heads": networks,
        "gaps": reading.Seeds(np.stack([*gaps.values()], 1)),
        "ideal layer": np.array([*ideal.values()]),
        "needed": needed,
        "verdict": judge(CASES[name], networks, needed),
        "gain of an ideal observer": float(jax.scipy.special.entr(first).sum()) - reading.optimal_loss(rows).mean(),
        "gap of constrained beliefs": reading.loss_gap(rows, jnp.log(laws)).mean(),
        "learning": {heads: (one.tokens, one.history.excess) for heads, one in learned.items()},
    }


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
