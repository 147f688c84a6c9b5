"""Does a transformer prepare at earlier positions what later positions need?

A position may compute features for later positions (pre-caching), or compute what its own next token needs, and later
positions read that (breadcrumbs). Myopic training tells them apart: the loss at a position does not train what other
positions compute. Three trainings of the same networks: ordinary; myopic, where the maps from other positions'
residuals to keys and values still learn; strict, where these maps learn from attention to oneself alone, which may harm
networks whether or not they prepare.
Processes: RRXOR and Mess3; a tally, whose last token is the number of equal pairs among the bits before it, while
no token before depends on which pairs are equal, so that it pays to prepare; and a tally with tips, where the token
after a pair leans on whether the pair was equal, so that positions need for themselves what the end needs.
Source: Wu, Morris, Levine 2404.00859, on language and synthetic data; exact losses and both tallies are ours.
Expected, five networks of a kind: myopic training loses .53 of what the context teaches on the tally (pre-caching),
nothing on the tipped tally, .0006 on RRXOR, .0001 on Mess3 (breadcrumbs). 12 minutes of two cores.

    python experiments/planning                     the default preset
    python experiments/planning quick               a smoke run, under a minute
    python experiments/planning default --processes tally --pairs 4
"""

from dataclasses import dataclass
from typing import Literal, get_args

import figures
import measures
import tasks

from beliefgeo import reading, runs
from beliefgeo.networks import TransformerConfig

Kind = Literal["ordinary", "myopic", "strict"]
DETACHED = {"ordinary": None, "myopic": "residual", "strict": "keys and values"}
NETS = (*get_args(Kind), "untrained")
SCORES = {
    "the beliefs": "beliefs",
    "what the law cannot see": "unseen",
    "whether a pair is equal": "equal",
    "shuffled beliefs": "shuffled",
}
CLAIMS = [
    claim
    for name in get_args(tasks.Name)
    for claim in (
        runs.Claim(f"{name}: verdict", f"{name}/verdict"),
        runs.Claim(f"{name}: what the context teaches (nats)", f"{name}/taught"),
        *(runs.Claim(f"{name}, {net}: loss above the optimum (nats)", f"{name}/{net}/gap", form=".2e") for net in NETS),
        *(
            runs.Claim(f"{name}: {kind} training loses, as a share of that", f"{name}/lost/{kind}/share", form=".4f")
            for kind in ("myopic", "strict")
        ),
        *(
            runs.Claim(f"{name}, {net}: held-out R2 of {of}", f"{name}/{net}/together/{part}", form=".3f")
            for of, part in SCORES.items()
            for net in NETS
            if (part != "equal" or "tally" in name) and (part != "unseen" or name != "mess3")
        ),
    )
]


@dataclass(frozen=True)
class Config:
    """The processes, and how networks learn them."""

    processes: tuple[tasks.Name, ...] = get_args(tasks.Name)
    """What networks learn."""
    kinds: tuple[Kind, ...] = get_args(Kind)
    """How they are trained; a verdict compares the first two."""
    data: Literal["samples", "laws"] = "laws"
    """What they learn from."""
    steps: int | None = None
    """The number of training steps, a multiple of 100; default: enough for each process."""
    seeds: int = 5
    """The number of networks of each kind."""
    pairs: int = 6
    """The number of pairs of a tally."""
    tip: float = 0.25
    """What the token after a pair of the tipped tally tells about the pair, 0 to 1/2."""
    seed: int = 0
    """The seed of the whole run."""


PRESETS = {"quick": Config(("tipped tally",), ("ordinary", "myopic"), steps=200, seeds=1, pairs=2), "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """Process, learn in three ways, rows, read, measure, judge."""
    found = {}
    for name in config.processes:
        task = tasks.task_of(name, config.pairs, config.tip)
        rows = reading.rows(run.key("words"), task.process, task.context)
        study = measures.Study(rows, run.key("shuffle"), config.pairs if "tally" in name else None)
        options = {"weight_decay": task.weight_decay, "data": config.data, "seeds": config.seeds}
        budget = runs.Budget(config.steps or task.steps, task.batch, task.rate, "muon", **options)
        learned = {}
        for kind in config.kinds:
            sizes = {"layers": task.layers, "width": 32, "heads": 2, "mlp_width": 128, "detached": DETACHED[kind]}
            network = TransformerConfig(task.process.vocab_size, task.context, **sizes)
            learned[kind] = run.learn(task.process, network, budget, context=task.context)
        shots = {kind: one.trained for kind, one in learned.items()} | {"untrained": learned[config.kinds[0]].untrained}
        nets = {net: reading.each(shot, rows, study.measure, measures.layers_of) for net, shot in shots.items()}
        found[name] = nets | measures.compared(nets, study.taught)
    return found


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
