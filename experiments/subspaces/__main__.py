"""How much of the residual stream is belief: keep only a subspace and remove only it, against planes of equal size.

Of a layer's activations only a few dimensions are kept, or only they are removed, the rest of the network runs on, and
the exact loss is compared with predictors of the last 0, 1, 2, ... tokens. The answer depends on the projection: rows
of the probe, kept orthogonally, hold almost nothing of it, while the oblique projection of LEACE and the span of the
cross-covariance hold almost all. The first principal components do as well, so this is no discovery of the probe's.
Beside it, questions of readers: does the probe need its offset, is it the unembedding in disguise, is the belief in
single neurons?
Source: asked for by readers of Shai et al. 2405.15943; LEACE: Belrose et al. 2306.03819; the measures are ours.
Expected from `default`, six networks of a process, Mess3, last layer, two dimensions: kept by LEACE a gap below 1e-2
nats where knowing nothing costs .29, removed by it a gap of .29; random planes in between.

    python experiments/subspaces                     the default preset
    python experiments/subspaces quick               a smoke run, under a minute
    python experiments/subspaces default --data laws targets: the exact laws of the next token
"""

from dataclasses import dataclass
from typing import Literal

import figures
import planes

from beliefgeo import probes, reading, runs

Name = Literal["mess3", "rrxor"]
CLAIMS = [
    claim
    for name in planes.SHORT
    for claim in (
        runs.Claim(f"{name}: loss above the optimum (nats)", f"{name}/trained/gap"),
        runs.Claim(f"{name}: the same of knowing nothing, the last 1, 2, 3 tokens", f"{name}/windows"),
        *(
            runs.Claim(f"{name}, last layer, {planes.NAMES[plane]}: {side}", f"{name}/trained/last/{plane}/at {index}")
            for plane in planes.NAMES
            for index, side in enumerate(("kept alone", "removed"))
        ),
        runs.Claim(f"{name}, last layer, random planes: kept alone, mean", f"{name}/trained/random/kept"),
        runs.Claim(f"{name}, last layer, random planes: kept alone, best", f"{name}/trained/random/best kept"),
        runs.Claim(f"{name}, last layer, random planes: removed, mean", f"{name}/trained/random/removed"),
        runs.Claim(f"{name}, last layer, random planes: removed, worst", f"{name}/trained/random/worst removed"),
        *(
            runs.Claim(f"{name}, {net}: {label}", f"{name}/{net}/disguise/{field}", form=".4f")
            for label, field in (
                ("held-out R2, affine", "affine"),
                ("held-out R2, linear", "linear"),
                ("canonical correlations of beliefs and logits", "correlations"),
                ("held-out R2 from the logits alone", "from_logits"),
                ("held-out R2 after erasing the logits", "without_logits"),
                ("R2 in sample, beliefs that eight prefixes share", "unshuffled"),
                ("  neurons shuffled within beliefs, refitted", "refitted"),
                ("  the same, neurons of a rotated basis", "rotated"),
                ("  neurons shuffled within beliefs, same probe", "same_probe"),
                ("  neurons shuffled within random classes, refitted", "random_classes"),
            )
            for net in ("trained", "untrained")
        ),
    )
]


@dataclass(frozen=True)
class Config:
    """The networks of the recipes, and how to project them."""

    processes: tuple[Name, ...] = ("mess3", "rrxor")
    """What networks learn."""
    data: Literal["samples", "quasirandom", "laws"] = "quasirandom"
    """What they learn from."""
    steps: int | None = None
    """The number of training steps; default: the recipe's."""
    seeds: int = 6
    """The number of networks of each process."""
    draws: int = 100
    """The number of random planes."""
    seed: int = 0
    """The seed of the whole run."""


PRESETS = {"quick": Config(processes=("mess3",), steps=200, seeds=1, draws=3), "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """Process, learn, rows, read, project."""
    found = {}
    for name in config.processes:
        recipe = runs.recipe(name, data=config.data, steps=config.steps, seeds=config.seeds)
        learned = run.learn(recipe.process, recipe.network, recipe.budget, context=recipe.context)
        rows, short = (
            reading.rows(run.key("words"), recipe.process, length) for length in (planes.READ[name], planes.SHORT[name])
        )
        study = planes.Study(learned.network, rows, short, run.key(name), config.draws)
        found[name] = {
            "dimensions": recipe.process.n_states - 1,
            "windows": probes.window_gaps(short)[:4],
            "trained": reading.each(learned.trained, rows, study.with_random_planes),
            "untrained": reading.each(learned.untrained, rows, study.without),
        }
    return found


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
