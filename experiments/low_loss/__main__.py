"""Does a low loss bring the geometry? Exact laws against drawn tokens, at equal steps and equal loss.

Networks that learn from the exact law of the next token end nearer to the optimum than networks that learn from drawn
tokens. In RRXOR, frdn and constrained beliefs a few of them seemed to hold less of the belief: these claims asked
whether a low loss alone brings the geometry. Here eight networks on a side take equal steps of equal batches.
Measured: on RRXOR and frdn, where the next-token law has fewer dimensions than the belief (2 of 5, 2 of 4), R2 of the
belief from the last block, held out by subtree; on Mess3(.15, .6), R2 of the constrained belief from the first three
components after the attention of one layer. Verdict: "yes" if exact laws give a lower loss and a lower R2, each with
p <= .05 / 3 over all ways to swap the two networks that began alike; "no" if a lower loss and a higher R2.
Source: the question is that of the claims rrxor, quantum and constrained_beliefs.
Found: yes on RRXOR and frdn; R2 .46 against .54, .81 against .94, and .84 against .95. 31 minutes on two slow cores.

    python experiments/low_loss                     the default preset
    python experiments/low_loss quick               a smoke run, under a minute
    python experiments/low_loss default --processes rrxor --seeds 16
"""

from dataclasses import dataclass, replace
from typing import get_args

import figures
import measures
import tasks

from beliefgeo import probes, reading, runs

DATA = ("laws", "samples")
CLAIMS = [
    claim
    for name in get_args(tasks.Name)
    for claim in (
        runs.Claim(f"{name}: a lower loss and less geometry?", f"{name}/verdict"),
        runs.Claim(f"{name}: rank of the map from belief to law", f"{name}/rank"),
        *(
            runs.Claim(f"{name}, {words}: {label}", f"{name}/{path}/{data}", form=form)
            for label, path, form in (
                ("loss above the optimum (nats)", "gap", ".2e"),
                ("R2", "r2", ".3f"),
                ("R2 at equal loss", "equal/r2", ".3f"),
            )
            for data, words in zip(DATA, ("exact laws", "drawn tokens"), strict=True)
        ),
        *(
            runs.Claim(f"{name}: p of the difference of {label}", f"{name}/{path}/p", form=".4f")
            for label, path in (("losses", "gap"), ("R2", "r2"), ("R2 at equal loss", "equal/r2"))
        ),
        runs.Claim(f"{name}: the equal loss (nats)", f"{name}/equal/gap", form=".2e"),
        runs.Claim(f"{name}, untrained: R2", f"{name}/untrained/r2", form=".3f"),
        *(
            runs.Claim(f"{name}, {words}: R2 of shuffled beliefs", f"{name}/shuffled/{data}", form=".3f")
            for data, words in zip(DATA, ("exact laws", "drawn tokens"), strict=True)
        ),
    )
]


@dataclass(frozen=True)
class Config:
    """The processes, and how networks learn them."""

    processes: tuple[tasks.Name, ...] = get_args(tasks.Name)
    """What networks learn."""
    steps: int = 3000
    """The number of training steps, a multiple of 100."""
    batch: int = 64
    """The number of sequences in a step."""
    snapshots: int = 8
    """The approximate number of log-spaced moments at which networks are read."""
    seeds: int = 8
    """The number of networks on a side."""
    seed: int = 0
    """The seed of the whole run."""


PRESETS = {"quick": Config(("constrained beliefs",), steps=200, snapshots=2, seeds=2), "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """Process, rows; learn from both, read, measure, compare."""
    if config.seeds < 2:
        raise ValueError(f"seeds must be 2 or more, to compare groups of networks; got {config.seeds}")
    return {name: of_process(run, name, config) for name in config.processes}


def of_process(run: runs.Run, name: tasks.Name, config: Config) -> dict:
    """One process: both groups, their controls, and the verdict."""
    task = tasks.task(name)
    rows = reading.rows(run.key(f"{name}, words"), task.process, task.network.context, most=10_000)
    held, shuffled = task.study(run.key(f"{name}, shuffle"), rows)
    measure = lambda seen: measures.Measured(float(reading.losses(seen, rows).gap), held(seen))
    budget = runs.Budget(config.steps, config.batch, task.rate, snapshots=config.snapshots, seeds=config.seeds)
    learn = lambda data: run.learn(task.process, task.network, replace(budget, data=data), context=task.network.context)
    learned = {data: learn(data) for data in DATA}
    read = lambda shots, how: reading.each(shots, rows, how, tasks.sites)
    paths = {data: read(one.checkpoints, measure) for data, one in learned.items()}
    last = {data: measures.Measured(*(part.values[:, -1] for part in path)) for data, path in paths.items()}
    gap, r2 = (measures.compare(*(getattr(last[data], part) for data in DATA)) for part in measures.Measured._fields)
    return {
        "tokens": [shot.tokens for shot in learned["laws"].checkpoints],
        "rank": probes.law_rank(rows),
        "paths": paths,
        "gap": gap,
        "r2": r2,
        "equal": measures.at_equal_loss(*(paths[data] for data in DATA)),
        "untrained": read(learned["laws"].untrained, measure),
        "shuffled": {data: read(one.trained, shuffled) for data, one in learned.items()},
        "verdict": measures.judge(gap, r2),
    }


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
