"""The process read off a network, without being told: dimension, process, causal states, entropy rate and geometry.

A network's own laws of the next token, chained over words, tell what it expects of the future after each prefix. The
directions in which these expectations differ are the dimensions that its predictions use; one matrix for each token
maps them on, and that is a process. The rule for the number of dimensions, the last that lowers the divergence from the
network fivefold, or 0, comes from five processes (mess3, golden_mean, z1r, rrxor, bloch_walk) and was committed before
networks were trained on the other four (even, frdn, strata, a random HMM). Two floors came after all nine, and were
committed before networks were trained on wing, and of other seeds: a model whose past tells less than .001 nats a token
has no dimension, and none is looked for in a last ten-thousandth.
Source: asked for by readers of Shai et al. 2405.15943; the method is that of observable operator models (Jaeger 2000),
read from a network's laws in place of counts.
Expected from `default`, three networks of a kind on drawn tokens: the dimension right in all networks on 8 of 9
processes, 0 for untrained networks; mess3 found within a third of the network's own divergence, bloch_walk within a
twentieth; on exact-law targets 3, 7, 36 mixed and 2, 3, 5 causal states of golden_mean, z1r, rrxor over a decade of
tolerances.

    python experiments/discovery                     the default preset
    python experiments/discovery quick               a smoke run, under a minute
    python experiments/discovery default --data laws targets: the exact laws of the next token
"""

from dataclasses import dataclass
from typing import Literal

import figures
import measures
from claims import CLAIMS, NAMES

from beliefgeo import runs
from beliefgeo.runs.recipes import Kind, Name


@dataclass(frozen=True)
class Config:
    """The networks of the recipes."""

    processes: tuple[Name, ...] = NAMES
    """What networks learn."""
    kinds: tuple[Kind, ...] = ("transformer", "lstm")
    """The networks."""
    data: Literal["samples", "quasirandom", "laws"] = "quasirandom"
    """What they learn from."""
    machines: tuple[Name, ...] = ("golden_mean", "z1r", "rrxor")
    """Processes of finitely many causal states, learnt from exact laws as well."""
    steps: int | None = None
    """The number of training steps; default: the recipe's."""
    seeds: int = 3
    """The number of networks of each process and kind."""
    seed: int = 0
    """The seed of the whole run."""


PRESETS = {"quick": Config(("golden_mean",), ("lstm",), machines=(), steps=200, seeds=1), "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """Process, learn; read the futures, find, compare; the same from tokens."""
    found = {}
    for name in config.processes:
        kinds = [(kind, kind, config.data) for kind in config.kinds]
        laws = ("transformer on exact laws", "transformer", "laws")
        found[name] = {}
        for label, kind, data in [*kinds, *([laws] if name in config.machines else [])]:
            recipe = runs.recipe(name, kind, data=data, steps=config.steps, seeds=config.seeds)
            learned = run.learn(recipe.process, recipe.network, recipe.budget, context=recipe.context)
            study = measures.Study(recipe.process, learned.network, run.key("geometry"))
            found[name][label] = {
                "trained": measures.told([study.measure(params) for params in learned.trained.seeds]),
                "untrained": measures.told([study.scores(params) for params in learned.untrained.seeds]),
            }
            if label == config.kinds[0]:
                found[name] |= measures.once(run, study, learned)
    return found | {"right": {kind: measures.right_in_all(found, kind) for kind in config.kinds}}


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
