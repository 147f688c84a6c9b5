"""Do loss and probe error follow the same power laws, in tokens, width, depth and properties of the process?

One axis is changed at a time. At each setting five networks learn, and two numbers are measured: the exact loss above
the optimum, and what a held-out linear probe of the last block misses of the belief, 1 - R2. Both are fitted by power
laws. The axes of the network: tokens (trainings of several lengths, on exact laws and on drawn tokens; and moments of
one training), width, depth; for Mess3, whose next-token law tells the belief, and for two clocks, where it does not: a
hidden mode that moves slowly over a hidden coin that moves fast. The axes of the process: states and tokens of random
HMMs, entropy rate and memory of Mess3 apart from each other, and the ratio of the clocks.
Settings of one shape are trained side by side in one program, by `vmap` over their processes and seeds.
Source: Farrugia-Roberts 2606.01302 reports that loss and probe error are correlated over scales (known to us from its
abstract); axes, power laws and their judge are ours.
Found by `default`: rank correlation .76 over 66 settings; exponents alike on one axis of fifteen, different on five,
no pair elsewhere. 20 minutes of processor time.

    python experiments/scaling                      the default preset
    python experiments/scaling quick                a smoke run, under a minute
    python experiments/scaling default --axes width
"""

from dataclasses import dataclass
from typing import get_args

import figures
import laws
import sweep
from axes import Axis, Name, settings_of
from claims import CLAIMS, check

from beliefgeo import runs
from beliefgeo.networks import TransformerConfig


@dataclass(frozen=True)
class Config:
    """Axes, their values, and networks."""

    axes: tuple[Axis, ...] = get_args(Axis)
    """What is changed, one at a time."""
    processes: tuple[Name, ...] = get_args(Name)
    """What is learnt while the network or its training changes."""
    lengths: tuple[int, ...] = (100, 200, 400, 800, 1600)
    """Numbers of steps of trainings of several lengths, multiples of 100."""
    widths: tuple[int, ...] = (4, 8, 16, 32, 64)
    """Widths of the residual stream."""
    depths: tuple[int, ...] = (1, 2, 3, 4)
    """Numbers of blocks."""
    states: tuple[int, ...] = (3, 5, 8, 12, 20)
    """Numbers of hidden states of random HMMs."""
    vocabularies: tuple[int, ...] = (2, 4, 6, 8)
    """Numbers of tokens of random HMMs."""
    emissions: tuple[float, ...] = (0.98, 0.92, 0.82, 0.7, 0.55)
    """Mess3's emissions where h alone changes, each above 1/3."""
    moves: tuple[float, ...] = (0.01, 0.02, 0.04, 0.08, 0.16)
    """Mess3's moves where the second eigenvalue alone changes, at most .16."""
    ratios: tuple[float, ...] = (1, 2, 4, 8, 16)
    """How many times longer the slow clock remembers than the fast clock; 1 is one clock."""
    network: TransformerConfig = TransformerConfig(layers=2, width=32, mlp_width=64)
    """Its sizes where they do not change; vocab_size and context follow."""
    budget: runs.Budget = runs.Budget(400, 8, 3e-3, "muon", data="laws", chunk=100, snapshots=6, seeds=5)
    """How long to train, and how, where it does not change."""
    seed: int = 0
    """The seed of the whole run."""


PRESETS = {
    "default": Config(),
    "quick": Config(
        ("clocks",),
        ratios=(1, 8),
        network=TransformerConfig(layers=1, width=16, mlp_width=32),
        budget=runs.Budget(100, 8, 3e-3, "muon", data="laws", chunk=50, snapshots=1, seeds=2),
    ),
}


def main(run: runs.Run, config: Config) -> dict:
    """Every axis: its settings, the power laws over them, and how loss and probe error go together."""
    check(config)
    plan = {
        ", ".join(filter(None, (axis, name))): settings
        for axis in config.axes
        for name, settings in settings_of(axis, config).items()
    }
    learned = iter(sweep.train(run, [one for settings in plan.values() for one in settings]))
    found = {}
    for axis, settings in plan.items():
        curve = sweep.along_training if axis.startswith("along") else sweep.over_settings
        found[axis] = laws.study(*curve(run, settings, [next(learned) for _ in settings]))
    return {"axes": found, "all settings": laws.together(found)}


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
