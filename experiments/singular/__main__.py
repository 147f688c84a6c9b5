"""The local learning coefficient beside the geometry: exploratory, no headline.

Singular learning theory counts how degenerate a network is by n beta (E[L] - L*), the mean of the loss L under
exp(-n beta L), held near the network by a Gaussian (Lau et al. 2308.12108; Watanabe 2009). Here the loss is exact, the
mean over all words, so that SGLD has no noise but its own, and Metropolis can correct it. The estimate is a curve over
n beta along training, beside the exact loss above the optimum, the held-out R2 of the beliefs, and what a quadratic
loss of the same curvature would give. Away from a minimum the coefficient is not defined: what is drawn there is
relative. The sampler is checked on losses whose coefficient is known before networks are looked at.
Expected from `default`: trained, .26, 1.3, 5.7 and 14 at n beta 10^2 to 10^5 (a quadratic loss .19, 1.3, 5.6 and 16),
and R2 .999; no plateau. Seven minutes of processor time.

    python experiments/singular                     the default preset
    python experiments/singular quick               a smoke run, under a minute
    python experiments/singular default --nbetas 1e3 3e3 1e4 --draws 3000
"""

from dataclasses import dataclass
from functools import partial

import figures
import jax
import known
import measures
import numpy as np
from claims import CLAIMS

import beliefgeo as bg
from beliefgeo import reading, runs
from beliefgeo.networks import TransformerConfig
from beliefgeo.reading import Seeds


@dataclass(frozen=True)
class Config:
    """The networks, how they learn, and the chains."""

    network: TransformerConfig = TransformerConfig(
        context=4, layers=2, width=16, head_width=8, mlp_width=32, layer_norm=False
    )
    """Its sizes; words are a token longer than the context."""
    steps: int = 1000
    """The number of training steps, each on all words."""
    seeds: int = 5
    """The number of networks."""
    snapshots: int = 20
    """The approximate number of log-spaced moments, the first steps one by one."""
    nbetas: tuple[float, ...] = measures.NBETAS
    """Inverse temperatures n beta, n in tokens."""
    gamma: float = 1000.0
    """How strongly a chain is held at its network."""
    step: float = 0.1
    """The size of the chains' steps, in units of the curvature."""
    burn: int = 60
    """The number of steps of a chain before the first draw."""
    draws: int = 240
    """The number of steps of a chain that count."""
    seed: int = 0
    """The seed of the whole run."""


QUICK = Config(steps=60, seeds=2, snapshots=3, nbetas=(1e3, 1e4), burn=20, draws=40)
PRESETS = {"quick": QUICK, "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """Check the sampler; learn; the geometry, the curve over temperature and its checks."""
    measures.check(config)
    cases = {name: known.check(run.key(name), make()) for name, make in known.CASES.items()}
    process, context, nbetas = bg.mess3(0.15, 0.6), config.network.context, config.nbetas
    rows = reading.rows(run.key("words"), process, context)
    options = {"data": "words", "chunk": 1, "snapshots": config.snapshots, "seeds": config.seeds}
    budget = runs.Budget(config.steps, 1, 1e-2, "muon", **options)
    learned = run.learn(process, config.network, budget, context=context)
    measure = partial(measures.geometry, rows=rows, key=run.key("shuffle"))
    geometry = reading.each(learned.checkpoints, rows, measure, measures.last)
    study = measures.Study(learned.network, measures.prefixes(rows), config.burn, config.draws)
    usual = measures.Settings(config.gamma, config.step)
    curves = [study.curve(run.key(f"{one.tokens}"), one.params, usual, nbetas) for one in learned.checkpoints]
    path = {name: np.stack([one[name] for one in curves], 1) for name in curves[0]}
    steps = [one.tokens * config.steps // learned.trained.tokens for one in learned.checkpoints]
    return {
        "known": cases,
        "known and right": sum(case["right"] for case in cases.values()),
        "parameters": sum(leaf[0].size for leaf in jax.tree.leaves(learned.trained.params)),
        "steps": steps,
        "nbetas": nbetas,
        "geometry": geometry,
        "path": {name: Seeds(array) for name, array in path.items()},
        "moments": measures.moments(steps, geometry, path, nbetas),
        "growth": measures.growth(path["coefficient"][:, -1], nbetas),
        "checks": study.checks(run.key("checks"), learned.trained.params, usual, nbetas),
    }


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
