"""The dynamics of belief in a network, and the process read off it without being told.

If activations hold beliefs, the belief probed after a prefix and the next token must give the belief probed after both,
by Bayes' map. And without knowing the process: points that are linear in beliefs, such as the network's own next-token
laws, obey q(x | w) z(wx) = z(w) T^(x) with one matrix for each token. Least squares finds these matrices, which are a
process, and its words are compared with the words of the true process. Beside it: what the network writes by itself,
and what it holds after words that the process never emits.
Source: asked for by readers of Shai et al. 2405.15943; the measures are ours.
Expected from `default`, six networks of a process, Mess3: a process read off the laws alone within 2e-4 nats a token
of the true process, eigenvalues within .01 of 1, .85, .85; untrained networks fail by more than .1 nats.

    python experiments/dynamics                     the default preset
    python experiments/dynamics quick               a smoke run, under a minute
    python experiments/dynamics default --data laws targets: the exact laws of the next token
"""

from dataclasses import dataclass
from typing import Literal

import figures
import measures

from beliefgeo import reading, runs

Name = Literal["mess3", "rrxor"]
NETS = ("trained", "untrained")
SCORES = [
    ("loss above the optimum (nats)", "gap", ".2e"),
    ("next probed belief, by the exact map: R2", "steps/exact", ".4f"),
    ("next probed belief, by the best projective map: R2", "steps/projective", ".4f"),
    ("next probed belief, by the best affine map: R2", "steps/affine", ".4f"),
    ("next probed belief, by the token alone: R2", "steps/token", ".4f"),
    ("three steps of the exact map: R2", "rollouts/at 2", ".4f"),
    ("process read from the laws: KL a token (nats)", "from laws/divergence", ".2e"),
    ("process read from the laws: moduli of eigenvalues", "from laws/moduli", ".4f"),
    ("process read from the laws: error of the matrices", "from laws/matrices", ".4f"),
    ("process read from probed beliefs: KL a token (nats)", "from beliefs/divergence", ".2e"),
    ("process read from probed beliefs: moduli of eigenvalues", "from beliefs/moduli", ".4f"),
    ("process read from probed beliefs: error of the matrices", "from beliefs/matrices", ".4f"),
    ("own words: KL a token (nats)", "words/divergence", ".2e"),
    ("own words: total variation", "words/total_variation", ".4f"),
    ("own words: mass of impossible words", "words/impossible", ".2e"),
]
CLAIMS = [
    *(
        runs.Claim(f"{name}, {net}: {label}", f"{name}/{net}/{path}", form=form)
        for name in ("mess3", "rrxor")
        for label, path, form in SCORES
        for net in NETS
        if name == "rrxor" or "impossible" not in path  # Mess3 emits every word
    ),
    *(
        runs.Claim(f"rrxor, {net}, impossible words, {guess}: {label}", f"rrxor/{net}/impossible/{guess}/{field}")
        for guess in measures.GUESSES
        for label, field in (("total variation of laws", "variation"), ("R2 of the probe", "r2"))
        for net in NETS
    ),
    *(
        runs.Claim(f"rrxor: networks whose laws are nearest to {guess}", f"rrxor/nearest/{guess}", form=".0f")
        for guess in measures.GUESSES
    ),
]


@dataclass(frozen=True)
class Config:
    """The networks of the recipes."""

    processes: tuple[Name, ...] = ("mess3", "rrxor")
    """What networks learn."""
    data: Literal["samples", "quasirandom", "laws"] = "quasirandom"
    """What they learn from."""
    steps: int | None = None
    """The number of training steps; default: the recipe's."""
    seeds: int = 6
    """The number of networks of each process."""
    seed: int = 0
    """The seed of the whole run."""


PRESETS = {"quick": Config(processes=("rrxor",), steps=200, seeds=1), "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """Process, learn, rows, read, compare."""
    found = {}
    for name in config.processes:
        recipe = runs.recipe(name, data=config.data, steps=config.steps, seeds=config.seeds)
        learned = run.learn(recipe.process, recipe.network, recipe.budget, context=recipe.context)
        rows = reading.rows(run.key("words"), recipe.process, recipe.context)
        study = measures.Study(recipe.process, learned.network, rows)
        shots = {"trained": learned.trained, "untrained": learned.untrained}
        found[name] = {net: reading.each(shot, rows, study.measure) for net, shot in shots.items()}
        if name == "rrxor":
            found[name]["nearest"] = measures.nearest(found[name]["trained"]["impossible"])
    return found


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
