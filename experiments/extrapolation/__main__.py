"""Equal beliefs, equal future behaviour? On all pairs of words, on the network's own words, and on words never seen.

Source:
"""

from dataclasses import dataclass

import bias
import figures
import futures
import left_out
import tasks
from claims import CLAIMS, check, judge

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
    steps: int = 1000
    """The number of steps of Z1R, a multiple of 100; RRXOR takes twice as many."""
    batch: int = 32
    """The number of words of a step."""
    rate: float = 3e-3
    """The peak learning rate."""
    weight_decay: float = 1.0
    """The decoupled weight decay."""
    snapshots: int = 6
    """The number of moments of the training that are read, besides the untrained networks."""
    draws: int = 4
    """The number of draws of each new law."""
    seeds: int = 5
    """The number of networks of a kind."""
    seed: int = 0
    """The seed of the whole run."""


PRESETS = {
    "default": Config(),
    "quick": Config(("rrxor",), context=8, layers=1, width=16, steps=100, snapshots=1, draws=1, seeds=2),
}


def main(run: runs.Run, config: Config) -> dict:
    """Words and networks of all processes; then the three questions of each."""
    check(config)
    words = {name: tasks.task_of(name, config.context) for name in config.processes}
    networks = {name: tasks.learn(run, task, config, config.steps * tasks.LONGER[name]) for name, task in words.items()}
    return {name: answer(run, config, name, words, networks) for name in words}


def answer(run: runs.Run, config: Config, name: tasks.Name, words: dict, networks: dict) -> dict:
    """Laws after words of equal belief, another law learnt from a few words, and words left out; of one process."""
    task, own = words[name], networks[name].checkpoints["nothing"]
    others = [networks[other].checkpoints["nothing"][-1] for other in words if other != name]
    nets = {"trained": own[-1], "untrained": own[0]} | dict(zip(["another process"], others, strict=False))
    found = {
        "laws": futures.compare(run.key(f"shuffled classes of {name}"), task, own),
        "bias": bias.probe(run, task, nets, config, bias.SHOWN[name]),
        "left out": {
            left: left_out.measure(run.key(f"shuffled beliefs of {name}"), task, networks[name], left)
            for left in tasks.LEFT_OUT
        },
    }
    return found | {"verdict": judge(found)}


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
