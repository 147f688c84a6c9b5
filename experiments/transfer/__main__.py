"""Same hidden structure, another vocabulary: do the blocks of a trained network save tokens, and is the geometry kept?

A source network learns a process. In the target each token has become two, whatever the state, and all are numbered
anew: the hidden structure is the same. Embedding and unembedding are drawn anew and trained on exact laws, and all
else is frozen: from the source ("same"), from a network of another process ("another"), from the source before its
training ("random"); or everything is trained ("scratch"). Measured: tokens to a gap of 1e-3 nats; R2 of one linear map
from what the source holds to what the target holds after corresponding words; R2 of the source's probe of beliefs.
Source: our own question; the tasks are RRXOR and Z1R of Shai et al. 2405.15943, and random HMMs.
Expected: of five targets on frozen blocks of the same structure 3 reach 1e-3 on Z1R, 1 on RRXOR and none on three
random HMMs; none on other blocks; 2 to 5 from scratch. Tables copied from the source would leave 4.4e-5 to 9.5e-4.
One map explains R2 .45 to .92 of a target from scratch. 12 minutes of two cores.

    python experiments/transfer                         the default preset
    python experiments/transfer quick                   a smoke run, under a minute
    python experiments/transfer default --processes rrxor
"""

from dataclasses import dataclass, field

import figures
import learners
import measures
import numpy as np
from verdicts import CLAIMS, STARTS, check, judge
from vocabularies import PROCESSES, Name, split, translated

from beliefgeo import reading, runs
from beliefgeo.networks import TransformerConfig


@dataclass(frozen=True)
class Config:
    """The networks, and how to train them."""

    processes: tuple[Name, ...] = ("rrxor", "z1r", "hmm 0", "hmm 1", "hmm 3")
    """The processes."""
    network: TransformerConfig = field(default_factory=lambda: TransformerConfig(0, 10, 2, 32, 2, 8, 128))
    """Its vocab_size follows from the process."""
    source_steps: int = 1600
    """The number of steps of the sources."""
    steps: int = 2000
    """The number of steps of the targets."""
    rate: float = 3e-3
    """The peak learning rate where all is trained."""
    tables: float = 1.5e-2
    """The peak learning rate where embedding and unembedding alone are trained; theirs is two thirds of it."""
    seeds: int = 5
    """The number of networks of a kind; every target has a source of its own."""
    words: int = 512
    """The largest number of words of a source to read: all words, or, if there are more, sampled words."""
    seed: int = 0
    """The seed of the whole run."""


PRESETS = {
    "default": Config(),
    "quick": Config(("rrxor",), TransformerConfig(0, 8, 1, 16, 1, 8, 32), 200, 100, seeds=2, words=128),
}


def main(run: runs.Run, config: Config) -> dict:
    """Learn the sources; learn the targets from four starts; then compare, process by process."""
    check(config)
    sources = learners.sources(run, config)
    targets = learners.targets(run, config, sources)
    return {name: compare(run, config, name, sources, targets[name]) for name in config.processes}


def compare(run: runs.Run, config: Config, name: Name, sources: dict, learned: dict) -> dict:
    """Curves, tokens, ratios and geometry of one process."""
    process, target = PROCESSES[name], split(PROCESSES[name])
    rows = reading.rows(run.key(f"words of {name}"), process, config.network.context, most=config.words)
    words = translated(run.key(f"translation of {name}"), rows, target)
    teachers = learners.teachers(sources, name)
    curves = {kind: measures.learning(one.checkpoints, words) for kind, one in learned.items()}
    final = {kind: reading.Seeds(curve.values[:, -1]) for kind, curve in curves.items()}
    copied = [measures.copied(learned["same"].network, params, words, target) for params in teachers["same"].seeds]
    moments = np.array([shot.tokens for shot in learned["same"].checkpoints])
    needed = {kind: measures.all_tokens_to(moments, curve) for kind, curve in curves.items()}
    ratios = {kind: measures.ratio(needed[kind], needed["same"], moments[-1]) for kind in STARTS[1:]}
    final_ratios = {kind: measures.ratio(final[kind].values, final["same"].values, np.inf) for kind in STARTS[1:]}
    trained = {kind: one.trained for kind, one in learned.items()}
    geometry = measures.geometry(run.key(f"shuffle of {name}"), teachers, trained, rows, words)
    merged = lambda net: reading.over_seeds([measures.merged(params, target.image) for params in net.seeds])
    return {
        "tokens": moments,
        "curves": curves,
        "needed": {kind: measures.told(each) for kind, each in needed.items()},
        "ratios": ratios,
        "source gap": reading.Seeds(measures.learning([teachers["same"]], rows).values[:, 0]),
        "copied": reading.over_seeds(copied),
        "final": final,
        "final ratios": final_ratios,
        "geometry": geometry,
        "merged": {kind: merged(net) for kind, net in trained.items()},
        "verdict": judge(ratios, final_ratios, geometry),
    }


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
