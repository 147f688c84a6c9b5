"""Is a limited network on the curve of predictive rate-distortion: does what it keeps of the past tell most?

A memory of rate I[past; memory] can tell no more of the future than the curve allows (Still, Crutchfield & Ellison
0708.1580; Marzen & Crutchfield 1412.2859). Transformers of width 2 to 16, at every moment of training, are set beside
the exact curve. What is measured is their law, not their activations: the memory of a network is the best code of its
own laws at a resolution, the same for all; so no point can lie above the curve, and the exact laws lie on it.
Source: the curve is theirs; that networks lie on it has not been tested; the definition is ours.

    python experiments/near_optimal                     the default preset
    python experiments/near_optimal quick               a smoke run, under a minute
    python experiments/near_optimal default --data samples    networks that learn from drawn tokens
"""

from dataclasses import dataclass, replace

import figures
import measures
import numpy as np

from beliefgeo import runs
from beliefgeo.networks import TransformerConfig
from beliefgeo.reading import Seeds

WIDTHS = (2, 3, 4, 8, 16)
CLAIMS = [
    claim
    for name in measures.TASKS
    for claim in (
        runs.Claim(f"{name}: what the past tells (nats)", f"{name}/total", form=".4f"),
        *(
            runs.Claim(f"{name}, width {width}: {label}", f"{name}/widths/{width}/{path}", form=form)
            for width in WIDTHS
            for label, path, form in (
                ("memory (nats)", "trained/rate", ".3f"),
                ("share of what the curve allows", "trained/share", ".3f"),
                ("verdict", "verdict", ""),
                ("share at the coarse resolution", "coarse/share", ".3f"),
                ("share, next token alone", "next token/share", ".3f"),
                ("share, untrained", "untrained/share", ".3f"),
                ("share, laws of the wrong pasts", "shuffled/share", ".3f"),
            )
        ),
    )
]


@dataclass(frozen=True)
class Config:
    """The networks, and how to train them."""

    processes: tuple[measures.Name, ...] = ("rrxor", "z1r", "mess3")
    """What networks learn."""
    widths: tuple[int, ...] = WIDTHS
    """The widths of the residual stream."""
    network: TransformerConfig = TransformerConfig(layers=2, mlp_width=64)
    """Its other sizes; vocab_size, context and width follow."""
    budget: runs.Budget = runs.Budget(2000, 64, 5e-3, data="laws", chunk=200, snapshots=8, seeds=5)
    """How long to train, what from, and how."""
    seed: int = 0
    """The seed of the whole run."""


QUICK = Config(("z1r",), (2, 4), budget=runs.Budget(100, 16, 1e-2, data="laws", chunk=50, snapshots=1, seeds=2))
PRESETS = {"quick": QUICK, "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """For each process the curve; for each width networks, their laws, and where the laws lie."""
    if not config.widths or min(config.widths) < 2:
        raise ValueError(
            f"widths must be 2 or more, since a normalised stream of one number is constant; got {config.widths}"
        )
    found = {}
    for name in config.processes:
        task = measures.TASKS[name]
        truth, alone = measures.exact(task, task.future), measures.exact(task, 1)
        found[name] = {"total": truth.curve.total, "curve": truth.curve, "resolutions": truth.resolutions, "widths": {}}
        found[name]["exact laws"] = measures.points(truth, truth.laws[None])
        for width in config.widths:
            learned = learn(run, task, width, config)
            laws = [measures.laws_of(one, task) for one in learned.checkpoints]
            path = [measures.points(truth, one) for one in laws]
            wrong = measures.shuffled(run.key(f"{name} {width}"), laws[-1])
            next_token = measures.points(alone, measures.next_token(laws[-1], task.process().vocab_size))
            found[name]["widths"][width] = {
                "trained": seeds(path[-1]),
                "untrained": seeds(path[0]),
                "shuffled": seeds(measures.points(truth, wrong)),
                "coarse": seeds(measures.points(truth, laws[-1], "coarse")),
                "next token": seeds(next_token),
                "path": seeds(measures.Point(*(np.stack(one, 1) for one in zip(*path, strict=True)))),
                "tokens": [one.tokens for one in learned.checkpoints],
                "verdict": measures.verdict(Seeds(path[-1].share)),
            }
    return found


def learn(run: runs.Run, task: measures.Task, width: int, config: Config) -> runs.Learned:
    """Networks of one width that learn one process."""
    process, context = task.process(), task.past + task.future - 1
    network = replace(config.network, vocab_size=process.vocab_size, context=context, width=width)
    return run.learn(process, network, config.budget, context=context)


def seeds(point: measures.Point) -> dict[str, Seeds]:
    """Each number of a point, of all seeds."""
    return {name: Seeds(values) for name, values in point._asdict().items()}


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
