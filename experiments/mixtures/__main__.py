"""Several processes in one network: does it hold which process it reads apart from where the process is?

A mixture of K Mess3 processes is not ergodic: the component is drawn once, and 16 tokens do not tell it. A joint belief
needs 3K - 1 dimensions. The posterior of the component and one belief about the state, side by side, need K + 1.
Second half: a coin is shown, needed two tokens later and never again. Its next-token law and the belief of the process
forget it. Does the network (super-sufficiency)?
Source: the mixture is the exercise of newcomers to the field; public write-ups find overlaps .011 .065 .934 of the
subspaces of component and belief for K = 2, 4, 8, and 5 to 6 dimensions at any width. The spent coin: a public
repository of 2026, 1.00 decodable, at most .03 nats to remove it, .69 where it is in use. Components of K = 2, 4, 8 and
the coins are ours.
Expected from `default`, five networks a kind, exact-law targets: gaps of 2e-5 (K = 2, 3) to 1.3e-4 (K = 8); R2 of the
joint belief beyond component and state .94 .92 .94 .76 (last layer); overlap .03 .05 .11 .77, of random planes .41 .36
.40 .74; spent coins decodable at .99 at width 64, untrained 1.00 too. Eleven minutes beside another
program on two cores.

    python experiments/mixtures                     the default preset
    python experiments/mixtures quick               a smoke run, under a minute
    python experiments/mixtures default --data quasirandom --batch 64 --mixtures 3    drawn tokens in place of laws
"""

from dataclasses import dataclass
from typing import Literal

import coins
import figures
import subspaces
from table import CLAIMS

from beliefgeo import reading, runs
from beliefgeo.networks import TransformerConfig

CONTEXT = 15  # words of 16 tokens: the last token is predicted and not read


@dataclass(frozen=True)
class Config:
    """The mixtures, the networks and how to train them."""

    mixtures: tuple[int, ...] = (2, 3, 4, 8)
    """The numbers K of components."""
    data: Literal["samples", "quasirandom", "laws"] = "laws"
    """What networks of mixtures learn from; those of coins learn from laws."""
    steps: int = 1500
    """The number of training steps."""
    batch: int = 16
    """The number of sequences in a step."""
    seeds: int = 5
    """The number of networks of each kind."""
    words: int = 1000
    """The number of sampled words of a mixture; those of coins are listed."""
    widths: tuple[int, ...] = (64, 8, 4)
    """The widths of the networks that read coins."""
    epochs: int = 6
    """The number of coins in a word."""
    seed: int = 0
    """The seed of the whole run."""


PRESETS = {"quick": Config((2,), steps=100, seeds=1, words=200, widths=(8,), epochs=4), "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """Mixtures: process, rows, learn, read, measure. Coins: the same."""
    budget = runs.Budget(config.steps, config.batch, 3e-3, "muon", data=config.data, snapshots=2, seeds=config.seeds)
    found = {}
    for count in config.mixtures:
        parts, process = subspaces.mixture_of(count)
        network = TransformerConfig(3, CONTEXT, layers=2, width=64, heads=2, head_width=16, mlp_width=128)
        rows = reading.rows(run.key("words"), process, CONTEXT, most=config.words)
        learned = run.learn(process, network, budget, context=CONTEXT)
        study = subspaces.Study(parts, rows, run.key("controls"))
        found[f"{count}"] = study.exact() | {
            "trained": reading.each(learned.trained, rows, study.measure),
            "untrained": reading.each(learned.untrained, rows, study.measure),
        }
    return {"mixtures": found, "coins": {f"{width}": spent(run, config, width) for width in config.widths}}


def spent(run: runs.Run, config: Config, width: int) -> dict:
    """Networks of one width on coins: what they hold of spent coins, and what it costs to remove them."""
    process, context = coins.process(), coins.EPOCH * config.epochs
    network = TransformerConfig(2, context, layers=2, width=width, heads=2, head_width=16, mlp_width=2 * width)
    budget = runs.Budget(config.steps, 16, 3e-3, "muon", data="laws", snapshots=2, seeds=config.seeds)
    rows = reading.rows(run.key("coins"), process, context)
    learned = run.learn(process, network, budget, context=context)
    some = reading.rows(run.key("fewer coins"), process, context, most=coins.WORDS)
    study = coins.Study(learned.network, rows, some, run.key("random directions"))
    return study.exact() | {
        "trained": reading.each(learned.trained, rows, study.held),
        "untrained": reading.each(learned.untrained, rows, study.held),
        "costs": reading.each(learned.trained, some, study.costs),
    }


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
