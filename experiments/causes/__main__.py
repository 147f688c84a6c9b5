"""Beliefs as causes: write another belief at a layer, and the prediction follows Bayes for that belief.

Probes show that a network holds beliefs, not that it acts on them. Here the activations after a prefix are changed so
that they hold another belief b', the rest of the network runs on, and its law is compared with Bayes' law for b' and
for the old belief b: law = a Bayes(b') + c Bayes(b) + constant. A network that acts on its belief has a = 1 and c = 0.
Beside it: edits toward relabelled states, a hundred random directions of the same size, the untrained network, edits of
least norm, and moves between beliefs of one next-token law, which must show two tokens later or nowhere.
Source: asked for by readers of Shai et al. 2405.15943; the covariance-least edit and its controls are ours.
Expected from `default`, six networks of a process, Mess3: a = 1 and c = 0 at every layer, relabelled a = -1/2; the
effect on the tokens after the edited one is small: later positions read the tokens, not the belief before them.

    python experiments/causes                     the default preset
    python experiments/causes quick               a smoke run, under a minute
    python experiments/causes default --data laws targets: the exact laws of the next token
"""

from dataclasses import dataclass
from typing import Literal, get_args

import edits
import figures

from beliefgeo import reading, runs

Name = Literal["mess3", "rrxor"]
Layer = Literal["layer 1", "layer 2", "layer 3", "layer 4"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
EDITED = "covariance-least"
CLAIMS = [
    claim
    for name in edits.LENGTHS
    for claim in (
        runs.Claim(f"{name}: loss above the optimum (nats)", f"{name}/trained/gap"),
        *(
            runs.Claim(f"{name}, {layer}, {label}", f"{name}/trained/layers/{layer}/{path}/at 0", form=".3f")
            for layer in LAYERS
            for label, path in (
                ("belief written: a", f"{EDITED}/a"),
                ("belief written: c", f"{EDITED}/c"),
                ("belief written: KL closed", f"{EDITED}/closed"),
                ("mixtures that no prefix reaches: KL closed", "mixtures/closed"),
                ("least norm, all directions: a", "least norm/a"),
                ("relabelled states: a", "relabelled/a"),
                ("a real prefix patched in: KL closed", "patch/closed"),
                ("along the kernel: the law moves (total variation)", "along the kernel/moved"),
            )
        ),
        *(
            runs.Claim(f"{name}, {layer}, {label}", f"{name}/trained/layers/{layer}/{path}", form=".3f")
            for layer in LAYERS
            for label, path in (
                ("belief written: a, one token later", f"{EDITED}/a/at 1"),
                ("whole past patched: a, one token later", "whole past/a/at 1"),
                ("along the kernel: a, two tokens on", "along the kernel/a/at 1"),
                ("whole past of one law: a, two tokens on", "whole past of one law/a/at 1"),
                ("random directions: mean a", "random/a"),
                ("random directions: largest a", "random/largest_a"),
                ("random directions: largest KL closed", "random/largest_closed"),
            )
        ),
        *(
            runs.Claim(f"{name}, untrained, {layer}: a", f"{name}/untrained/layers/{layer}/{EDITED}/a/at 0", form=".3f")
            for layer in LAYERS
        ),
    )
]


@dataclass(frozen=True)
class Config:
    """The networks of the recipes, and how to edit them."""

    processes: tuple[Name, ...] = ("mess3", "rrxor")
    """What networks learn."""
    data: Literal["samples", "quasirandom", "laws"] = "quasirandom"
    """What they learn from."""
    steps: int | None = None
    """The number of training steps; default: the recipe's."""
    seeds: int = 6
    """The number of networks of each process."""
    layers: tuple[Layer, ...] = LAYERS
    """Where beliefs are written."""
    pairs: int = 4
    """The number of beliefs written after each prefix."""
    draws: int = 100
    """The number of random directions."""
    seed: int = 0
    """The seed of the whole run."""


QUICK = Config(processes=("rrxor",), steps=200, seeds=1, layers=("layer 2", "layer 4"), pairs=1, draws=3)
PRESETS = {"quick": QUICK, "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """Process, learn, rows, read, edit."""
    found = {}
    for name in config.processes:
        recipe = runs.recipe(name, data=config.data, steps=config.steps, seeds=config.seeds)
        learned = run.learn(recipe.process, recipe.network, recipe.budget, context=recipe.context)
        rows = reading.rows(run.key("words"), recipe.process, recipe.context)
        study = edits.Study(recipe.process, learned.network, rows, run.key(name), edits.LENGTHS[name], config)
        found[name] = {
            "trained": reading.each(learned.trained, rows, study.every_edit),
            "untrained": reading.each(learned.untrained, rows, study.one_edit),
        }
    return found


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
