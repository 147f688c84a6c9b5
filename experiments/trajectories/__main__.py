"""Beliefs along a word as a path in the simplex, truth beside probe; and is the fractal there in any case?

A point cloud shows that the probe finds the right set of beliefs. A path shows that it finds the right belief at the
right moment. And a doubt that readers have: the chaos game makes fractals of any maps applied in turn, so would not any
process give one through the same activations? The probe is fitted to three false targets: beliefs of another process
after the same words (random maps), beliefs of Mess3 after the same tokens in random order, and points of a smooth
density. Source: the picture is that of Shai et al. 2405.15943; the paths and the false targets are ours.
Expected from `default`, six networks: probed paths within a tenth of a step of the true ones; held-out R2 .997 for the
true beliefs, .50 in random order, 0 for the smooth density. Beliefs of another process are found too, R2 .97; but their
picture is not Mess3's. Under two minutes.

    python experiments/trajectories                     the default preset
    python experiments/trajectories quick               a smoke run, under a minute
    python experiments/trajectories default --data laws targets: the exact laws of the next token
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import clouds
import figures
import numpy as np

from beliefgeo import reading, runs
from beliefgeo.beliefs.dimension import box_dimension
from beliefgeo.probes import simplex_coordinates

NETS = ("trained", "untrained")
CLAIMS = [
    *(runs.Claim(f"{net}: loss above the optimum (nats)", f"{net}/gap", form=".2e") for net in NETS),
    *(
        runs.Claim(f"{net}: {label}", f"{net}/path/{field}", form=".3f")
        for label, field in (
            ("distance from probed to true belief, in steps", "distance"),
            ("correlation of probed and true steps", "steps"),
        )
        for net in NETS
    ),
    *(
        runs.Claim(f"{net}, target {target}: held-out R2", f"{net}/r2/{target}", form=".3f")
        for target in clouds.TARGETS
        for net in NETS
    ),
    *(runs.Claim(f"box dimension, {name}", f"dimensions/{name}", form=".2f") for name in clouds.SHOWN),
]


@dataclass(frozen=True)
class Config:
    """The networks of the recipe for Mess3, and what to draw."""

    data: Literal["samples", "quasirandom", "laws"] = "quasirandom"
    """What networks learn from."""
    steps: int | None = None
    """The number of training steps; default: the recipe's."""
    seeds: int = 6
    """The number of networks."""
    context: int = 10
    """The length of the words that are drawn; scores are of words of eight tokens."""
    paths: int = 3
    """The number of words whose paths are drawn."""
    seed: int = 0
    """The seed of the whole run."""


PRESETS = {"quick": Config(steps=200, seeds=1, context=8), "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """Process, learn, rows, read; paths, clouds and false targets."""
    if config.context < 8:
        raise ValueError(f"a box dimension needs words of 8 tokens or more; got context {config.context}: raise it")
    recipe = runs.recipe("mess3", data=config.data, steps=config.steps, seeds=config.seeds)
    rows, short = (reading.rows(run.key("words"), recipe.process, length) for length in (config.context, 8))
    targets, false = (clouds.targets(run.key("false"), recipe.process, one) for one in (short, rows))
    learned = run.learn(recipe.process, recipe.network, recipe.budget, context=recipe.context)
    measure = partial(clouds.measure, rows=short, targets=targets)
    shots = {"trained": learned.trained, "untrained": learned.untrained}
    found = {net: reading.each(shot, short, measure, clouds.last) for net, shot in shots.items()}
    first = [next(reading.readings(shot, rows, clouds.last)) for shot in learned.checkpoints]
    seen = [clouds.probed(one, rows) for one in first]
    flat = {f"{name}, exact": one for name, one in false.items()}
    flat |= {f"{name}, probed": clouds.probed(first[-1], rows, one) for name, one in false.items()}
    flat = {name: np.asarray(simplex_coordinates(one), np.float32) for name, one in flat.items()}
    return found | {
        "dimensions": {name: box_dimension(one).value for name, one in flat.items()},
        "paths": clouds.paths(run.key("paths"), rows, seen[-1], config.paths),
        "tokens": [shot.tokens for shot in learned.checkpoints],
        "clouds": flat,
        "frames": np.stack([np.asarray(simplex_coordinates(one), np.float32) for one in seen]),
        "beliefs": rows.beliefs.astype(np.float32),
        "counts": rows.counts,
    }


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
