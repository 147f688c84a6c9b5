"""Equal beliefs, equal future behaviour? On all pairs of words, on the network's own words, and on words never seen.

Source: 
"""

from dataclasses import dataclass

import bias
import figures
import futures
import left_out
import tasks
from claims import CLAIMS, judge

from beliefgeo import runs


@dataclass(frozen=True)
class Config:
    """The networks, and how to train them."""

    processes: tuple[tasks.Name, ...] = ("z1r", "rrxor")
    """The processes."""
    context: int = 12
    """The number of positions that the networks read, a BOS first."""
    layers: int = 2
    """The number of blocks."""
    width: int = 32
    """The width of the residual."""
    steps: tuple[int, ...] = (1000, 2000)
    """The number of steps for each process, multiples of 100."""
    batch: int = 32
    """The number of words of a step."""
    rate: float = 3e-3
    """The peak learning rate."""
    weight_decay: float = 0.0
    """The decoupled weight decay."""
    snapshots: int = 6
    """The number of moments of the training that are read, besides the untrained networks."""
    shown: tuple[int, ...] = (4, 16)
    """The number of words of another law that are shown to the networks of each process."""
    draws: int = 4
    """The number of draws of each new law."""
    seeds: int = 5
    """The number of networks of a kind."""
    seed: int = 0
    """The seed of the whole run."""


PRESETS = {
    "default": Config(),
    "quick": Config(context=8, layers=1, width=16, steps=(100, 100), snapshots=1, shown=(4, 8), draws=1, seeds=2),
}


def main(run: runs.Run, config: Config) -> dict:
    """Words, networks; the three questions of each process."""
    words = {name: tasks.task_of(name, config.context) for name in config.processes}
    networks = {
        name: tasks.learn(run, words[name], config, steps)
        for name, steps in zip(config.processes, config.steps, strict=True)
    }
    found = {}
    for index, (name, task) in enumerate(words.items()):
        own = networks[name].checkpoints["nothing"]
        others = [networks[other].checkpoints["nothing"][-1] for other in words if other != name]
        nets = {"trained": own[-1], "untrained": own[0]} | {"another process": other for other in others}
        found[name] = {
            "laws": futures.compare(run.key(f"shuffled classes of {name}"), task, own),
            "bias": bias.probe(run, task, nets, config, config.shown[index]),
            "left out": {
                left: left_out.measure(run.key(f"shuffled beliefs of {name}"), task, networks[name], left)
                for left in networks[name].checkpoints
                if left != "nothing"
            },
        }
        found[name]["verdict"] = judge(found[name])
    return found


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
