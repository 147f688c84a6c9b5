"""Is a limited network on the curve of predictive rate-distortion: does what it keeps of the past tell most?

A memory of rate I[past; memory] can tell no more of the future than the curve allows (Still, Crutchfield & Ellison
0708.1580; Marzen & Crutchfield 1412.2859). Transformers of width 2 to 16, at every moment of training, are set beside
the exact curve. What is measured is their law, not their activations: the memory of a network is the best code of its
own laws, at a resolution that is the same for all networks of a process. So no point can lie above the curve, and the
exact laws lie on it. Sources: Marzen & Crutchfield 1910.07663 and Dong et al. 1910.09578 set recurrent networks beside
such curves; the measure of laws in place of activations, and the bound that makes the curve exact, are ours.
Expected from `default`, share of what the curve allows at widths 2, 3, 4, 8, 16: RRXOR .47 .60 .71 .87 .95, Z1R 1.00 at
all, Mess3(.15, .6) .96, then 1.00; untrained and laws after the wrong pasts below 0. 25 minutes on a busy core; 70 s
where the networks are trained.

    python experiments/near_optimal                     the default preset
    python experiments/near_optimal quick               a smoke run, under a minute
    python experiments/near_optimal default --data samples    networks that learn from drawn tokens

Interrupt it and start it again with the same command: it continues.
"""

from dataclasses import dataclass, replace

import figures
import measures
import numpy as np
import widths
from claims import CLAIMS, WIDTHS

from beliefgeo import runs
from beliefgeo.networks import TransformerConfig
from beliefgeo.reading import Seeds


@dataclass(frozen=True)
class Config:
    """The networks, and how to train them."""

    processes: tuple[measures.Name, ...] = ("rrxor", "z1r", "mess3")
    """What networks learn."""
    widths: tuple[int, ...] = WIDTHS
    """The widths of the residual stream."""
    network: TransformerConfig = TransformerConfig(layers=2, mlp_width=32, layer_norm=False)
    """Its other sizes; vocab_size, context and width follow."""
    budget: runs.Budget = runs.Budget(4000, 16, 1e-2, "muon", data="laws", chunk=100, snapshots=10, seeds=5)
    """How long to train, and how."""
    seed: int = 0
    """The seed of the whole run."""


SHORT = runs.Budget(200, 16, 1e-2, "muon", data="laws", chunk=100, snapshots=1, seeds=2)
PRESETS = {"quick": Config(("z1r",), (2, 4), budget=SHORT), "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """For each process the curve; networks of all widths; their laws, and where these lie."""
    widths.check(config.widths, config.network)
    return {name: beside_the_curve(run, name, config) for name in config.processes}


def beside_the_curve(run: runs.Run, name: measures.Name, config: Config) -> dict:
    """The curve of one process, and the points of its networks: trained, on their way, and controls."""
    task = measures.TASKS[name]
    process, context = task.process(), task.past + task.future - 1
    truth, alone = measures.exact(task, task.future), measures.exact(task, 1)
    sizes = replace(config.network, vocab_size=process.vocab_size, context=context, width=max(config.widths))
    learned = list(widths.learn(run, process, sizes, config.widths, config.budget))
    found = {}
    for width in config.widths:
        laws = [measures.laws_of(networks[width], task) for _, networks in learned]
        path = [measures.points(truth, one) for one in laws]
        wrong = measures.shuffled(run.key(f"{name}, {width}"), laws[-1])
        points = {
            "trained": path[-1],
            "untrained": path[0],
            "wrong pasts": measures.points(truth, wrong),
            "coarse": measures.points(truth, laws[-1], "coarse"),
            "next token": measures.points(alone, measures.next_token(laws[-1], process.vocab_size)),
            "path": measures.Point(*(np.stack(one, 1) for one in zip(*path, strict=True))),
        }
        found[width] = {kind: measures.seeds(point) for kind, point in points.items()}
        found[width]["verdict"] = measures.verdict(Seeds(path[-1].share))
    return {
        "total": truth.curve.total,
        "curve": truth.curve,
        "curve, next token": alone.curve,
        "resolutions": truth.resolutions,
        "exact laws": measures.points(truth, truth.laws[None]),
        "slack": float((truth.curve.allowed(truth.curve.rates) - truth.curve.predictive).max() / truth.curve.total),
        "rejected": measures.rejected(truth),
        "tokens": [tokens for tokens, _ in learned],
        "widths": found,
    }


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
