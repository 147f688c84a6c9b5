"""The ledger of training records: how few tokens, and seconds, a network needs to reach a goal.

A goal is a process, a network and numbers to reach, in one of two tracks: `samples`, where the network learns from
drawn tokens (quasirandom ones included), and `laws`, where it learns from the exact law of the next token. Everything
else is free: optimiser, rates, batches. The rules:

* Five networks, of a seed that no choice was made by; the median of each number must reach the goal.
* Tokens are those that one network reads: steps x sequences x context.
* Seconds are those of the training of one network, compiled and alone on the machine: the median of the five.
* Every entry is a line of `records/training.jsonl`, an attempt that falls short too; the recipe is in the line.

    python experiments/benchmarks/speedrun.py paper laws             the record, run again, without an entry
    python experiments/benchmarks/speedrun.py paper laws --enter     with an entry in the ledger
    python experiments/benchmarks/speedrun.py paper laws --steps 500 --seed 1 --seeds 2      to choose by

Choose by any seed but 0, which is for entries.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import report
import tyro

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.learning import Budget, batches, training
from beliefgeo.learning.optimizers import optimizer_of
from beliefgeo.networks import Transformer, TransformerConfig
from beliefgeo.probes.scorecard import ALL, score_sites
from beliefgeo.processes.process import Process
from beliefgeo.runs import outputs
from beliefgeo.runs.run import named_key

LEDGER, PAGE = (report.HOME / "records" / name for name in ("training.jsonl", "training.md"))
Track = Literal["samples", "laws"]
Name = Literal["paper", "window 6", "window 7", "window 8", "rrxor .75", "rrxor .80", "rrxor .85"]
Numbers = dict[str, float]


class Goal(NamedTuple):
    """What a network must reach: numbers of `measure`, at most or at least as large."""

    process: Callable[[], Process]
    network: TransformerConfig
    measure: Callable[[reading.Reading, reading.Rows], Numbers]
    at_most: Numbers = {}
    at_least: Numbers = {}

    def reached(self, numbers: Numbers) -> bool:
        """Whether every number reaches the goal."""
        low = all(numbers[name] <= most for name, most in self.at_most.items())
        return low and all(numbers[name] >= least for name, least in self.at_least.items())


def of_last_block(seen: reading.Reading, rows: reading.Rows) -> Numbers:
    """Loss above the optimum; of the last block the probe's error as published, and the held-out window."""
    last = seen._replace(features={"last block": seen.features["layer 4"]})
    score = score_sites(last, rows)["last block"].by_count
    return {"gap": reading.losses(seen, rows).gap, "MSE": score.mse, "window": score.held_out_window}


def of_all_blocks(seen: reading.Reading, rows: reading.Rows) -> Numbers:
    """Loss above the optimum, and the held-out R2 of all layers together."""
    return {"gap": reading.losses(seen, rows).gap, "R2": score_sites(seen, rows)[ALL].by_count.held_out}


MESS3 = (bg.mess3, TransformerConfig(), of_last_block)
RRXOR = (bg.rrxor, TransformerConfig(vocab_size=2), of_all_blocks)
GOALS: dict[Name, Goal] = {
    "paper": Goal(*MESS3, at_most={"gap": 1.6e-4, "MSE": 3.86e-4}),
    "window 6": Goal(*MESS3, at_least={"window": 6}),
    "window 7": Goal(*MESS3, at_least={"window": 7}),
    "window 8": Goal(*MESS3, at_least={"window": 8}),
    "rrxor .75": Goal(*RRXOR, at_least={"R2": 0.75}),
    "rrxor .80": Goal(*RRXOR, at_least={"R2": 0.8}),
    "rrxor .85": Goal(*RRXOR, at_least={"R2": 0.85}),
}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; the rate warms up over a twentieth of the steps and falls to 0 along a cosine."""

    steps: int
    batch: int = 4
    learning_rate: float = 3e-3
    optimizer: Literal["nadam", "muon"] = "muon"
    weight_decay: float | None = None
    data: Literal["samples", "quasirandom", "laws"] = "laws"


# What `speedrun.py goal track` trains by, unless told otherwise.
RECORDS: dict[tuple[Name, Track], Recipe] = {
    ("paper", "laws"): Recipe(500, 16),
    ("paper", "samples"): Recipe(2344, 64, data="quasirandom"),
    ("window 6", "laws"): Recipe(3100, 64),
    ("rrxor .75", "laws"): Recipe(3100, 32, weight_decay=1),
}


class Trained(NamedTuple):
    """What one training took, and what it reached."""

    seconds: float
    numbers: Numbers


def train(goal: Goal, recipe: Recipe, seed: int, seeds: int) -> list[Trained]:
    """Train and measure networks one after the other."""
    process = goal.process()
    network: Any = Transformer(goal.network)  # Linen types its own apply more widely than `Network`
    rows = reading.rows(named_key(seed, "words"), process, goal.network.context)
    budget = Budget(**asdict(recipe))
    draw = batches(process, budget, context=goal.network.context)
    init, advance = training(network, optimizer_of(budget), draw, steps=recipe.steps, numbered=True)
    init, advance = jax.jit(init), jax.jit(advance)
    keys = jax.random.split(named_key(seed, "networks"), seeds)
    advance = advance.lower(init(keys[0])).compile()

    def one(key: Any) -> Trained:
        state = jax.block_until_ready(init(key))
        began = time.perf_counter()
        params = jax.block_until_ready(advance(state))[0].params
        seconds = time.perf_counter() - began
        return Trained(seconds, goal.measure(reading.read(network, params, rows), rows))

    return [one(key) for key in keys]


def line(name: Name, track: Track, recipe: Recipe, found: list[Trained]) -> dict[str, Any]:
    """An entry of the ledger."""
    goal, numbers = GOALS[name], [one.numbers for one in found]
    medians = {key: float(np.median([each[key] for each in numbers])) for key in numbers[0]}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": outputs.commit(report.HOME),
        "device": outputs.device(),
        "versions": outputs.versions(),
        "goal": name,
        "track": track,
        "recipe": asdict(recipe),
        "tokens": recipe.steps * recipe.batch * goal.network.context,
        "seconds": float(np.median([one.seconds for one in found])),
        "reached": goal.reached(medians),
        "medians": medians,
        "networks": [one._asdict() for one in found],
    }


def main(
    goal: tyro.conf.Positional[Name],
    track: tyro.conf.Positional[Track],
    steps: int | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    weight_decay: float | None = None,
    data: Literal["samples", "quasirandom", "laws"] | None = None,
    seed: int = 0,
    seeds: int = 5,
    enter: bool = False,
    ledger: Path = LEDGER,
) -> None:
    """Train by the recipe of the record, changed by the options, and measure.

    Args:
        goal: what to reach.
        track: what networks learn from.
        steps: the number of steps.
        batch: the number of sequences in a step.
        learning_rate: the peak rate.
        weight_decay: the decoupled weight decay of the matrices.
        data: drawn tokens may be independent, or quasirandom.
        seed: 0 is for entries, the others to choose by.
        seeds: the number of networks.
        enter: add a line to the ledger, and make its page again.
        ledger: the file that gets the line.
    """
    given = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "weight_decay": weight_decay, "data": data}
    first = Recipe(3100, 64, data="laws" if track == "laws" else "quasirandom")  # where there is no record yet
    recipe = replace(RECORDS.get((goal, track), first), **{name: one for name, one in given.items() if one is not None})
    if (recipe.data == "laws") != (track == "laws"):
        raise SystemExit(f"the track {track} does not learn from {recipe.data}: choose --data of the track")
    if enter and (seed, seeds) != (0, 5):
        raise SystemExit(f"an entry is of seed 0 and five networks; got seed {seed} and {seeds}: leave both out")
    entry = line(goal, track, recipe, train(GOALS[goal], recipe, seed, seeds))
    each = [{name: f"{number:.3g}" for name, number in one["numbers"].items()} for one in entry["networks"]]
    print(f"{entry['tokens']:,} tokens, {entry['seconds']:.2f} s, medians {entry['medians']}")
    print(*each, "reached" if entry["reached"] else "not reached", sep="\n")
    if enter:
        with ledger.open("a") as file:
            file.write(json.dumps(report.short(entry)) + "\n")
        ledger.with_suffix(".md").write_text(page(report.read(ledger)))


TITLE = """# Records of training

The ledger [`training.jsonl`](training.jsonl), as a table: how few tokens, and seconds, a network needs to reach a
goal. `python experiments/benchmarks/speedrun.py` makes entries, and says the rules. Goals on Mess3 are for the paper's
network (4 layers, 64 wide): *paper*, its loss (1.6e-4 nats above the optimum) and its probe error (3.86e-4), reached
there after 640,000,000 drawn tokens; *window n*, a held-out probe of the last block that explains as much as the last n
tokens. Goals on RRXOR are for the network of 4 layers, 64 wide: held-out R2 of all layers together. Each entry has the
medians of five networks, of a seed that no choice was made by. A law tells more than a token drawn from it: each track
is for itself. **Bold** is the fewest tokens so far.
"""
COLUMNS = ("goal", "track", "tokens", "seconds", "reached", "medians", "recipe", "commit", "date", "device")


def page(lines: list[dict[str, Any]]) -> str:
    """The ledger as a page."""
    best: dict[tuple[str, str], int] = {}
    for one in lines:
        if one["reached"]:
            place = one["goal"], one["track"]
            best[place] = min(best.get(place, one["tokens"]), one["tokens"])
    rows, goals = [COLUMNS, ("---",) * len(COLUMNS)], [*GOALS]
    for one in sorted(lines, key=lambda one: (goals.index(one["goal"]), one["track"], -one["tokens"])):
        is_best = one["reached"] and one["tokens"] == best[one["goal"], one["track"]]
        tokens = f"**{one['tokens']:,}**" if is_best else f"{one['tokens']:,}"
        medians = ", ".join(f"{name} {number:.3g}" for name, number in one["medians"].items())
        recipe = ", ".join(f"{name} {value}" for name, value in one["recipe"].items() if value is not None)
        made = one["commit"] or "", one["date"][:10], one["device"]
        reached = "yes" if one["reached"] else "no"
        rows.append((one["goal"], one["track"], tokens, f"{one['seconds']:.1f}", reached, medians, recipe, *made))
    return TITLE + "\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
