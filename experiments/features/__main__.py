"""Are the latents of a sparse autoencoder belief states or features? And do they fall apart into the factors, unasked?

Top-k autoencoders of the last layer. One process: each latent is explained by the belief, by the last tokens and by the
position, held out. Five factors, the toy of Levinson 2026 (2604.02685), 3 mess3 and 2 bloch_walk: latents are grouped
by how they vary together, blind to the factors, and each group's part of the reconstruction is probed for the belief
about each factor.
Published: blind R2 of the five factors .893 .719 .314 .551 .577, mean .611, nulls of other sizes.
Expected from `default`, three networks of each kind: binned R2 of the latents given the belief >= .8 on mess3(.15, .6),
<= .35 in untrained networks; mean blind R2 of the factors >= .8, random groups of the same sizes below.
The default sizes were settled on another network of the toy; the second command below has a wider grid.
Controls: untrained networks; random directions that are active as often; beliefs shuffled within positions; random
groups of the same sizes. Everything blind is chosen without beliefs: the best of several starts by its loss, the
sizes by the clearest eigengap.

    python experiments/features                     the default preset
    python experiments/features quick               a smoke run, under a minute
    python experiments/features --processes factors --sizes 12 16 24 32 --actives 3 4 5 6 8 --draws 5
"""

from dataclasses import dataclass
from typing import Literal

import figures
import measures
import tasks
from published import CLAIMS

from beliefgeo import probes, reading, runs

Name = Literal["mess3", "rrxor", "factors"]


@dataclass(frozen=True)
class Config:
    """The networks, and the autoencoders of their last layer."""

    processes: tuple[Name, ...] = ("mess3", "rrxor", "factors")
    """What networks learn: mess3(.15, .6), rrxor, or the five factors side by side."""
    data: Literal["samples", "quasirandom", "laws"] = "quasirandom"
    """What the networks of one process learn from; those of the five factors learn exact laws."""
    steps: int | None = None
    """The number of training steps; default: the recipe's, and 2000 for the five factors."""
    seeds: int = 3
    """The number of networks of each kind."""
    latents: int = 32
    """The latents of an autoencoder of one process."""
    sizes: tuple[int, ...] = (16, 20, 24)
    """The numbers of latents tried on the five factors."""
    actives: tuple[int, ...] = (4, 5, 6)
    """The numbers of active latents tried on the five factors."""
    starts: int = 3
    """The random starts of each autoencoder; the start with the least loss is kept."""
    fitting: int = 2000
    """The steps of an autoencoder."""
    words: int = 3000
    """The number of sampled words on which networks of five factors are read."""
    draws: int = 10
    """The number of random groupings of the same sizes."""
    seed: int = 0
    """The seed of the whole run."""


QUICK = Config(processes=("mess3",), steps=200, seeds=1, starts=2, fitting=200)
PRESETS = {"quick": QUICK, "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """Process, learn, rows, read; autoencoders, their latents, and groups of latents."""
    found = {}
    for name in config.processes:
        task = tasks.task(name, config.data, config.steps, config.seeds)
        learned = run.learn(task.process, task.network, task.budget, context=task.context, bos=task.bos is not None)
        most = config.words if name == "factors" else None
        rows = reading.rows(run.key("words"), task.process, task.read, most=most, bos=task.bos)
        moved = rows._replace(beliefs=probes.shuffle_beliefs(run.key("shuffle"), rows.beliefs, rows.length).__array__())
        fit = measures.Fit(run.key(f"autoencoders of {name}"), config.starts, config.fitting)
        if name == "factors":
            study = measures.Factors(fit, rows, moved, task.process, config.sizes, config.actives, config.draws)
        else:
            study = measures.Single(fit, rows, moved, config.latents, tasks.ACTIVE[name])
        found[name] = {
            "windows": probes.window_curve(rows, rows.probabilities)[1:4],
            "trained": reading.each(learned.trained, rows, study, tasks.last_block),
            "untrained": reading.each(learned.untrained, rows, study, tasks.last_block),
        }
    return found


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
