"""How often are the beliefs about a random process a fractal, for several numbers of states and tokens?

Source: a question asked by readers of 2405.15943; the dimension is defined by Jurgens & Crutchfield 2102.10487.
There are four kinds of processes. If every edge is possible (`bg.random_hmm`, each state's probabilities drawn from a
Dirichlet law), every token contracts the simplex into its inside, and different words almost surely leave different
beliefs: the presentation is never finite, and the only question is whether it is a fractal or fills the simplex. If
each state keeps a few edges (placed at random, every state reaching every other, all tokens in use), it may be finite,
or infinite of dimension 0 because some word makes everything before it irrelevant (countably many beliefs).
Verdicts: finite, if the presentation closes with as many beliefs at tolerance 1e-9 as at 1e-12 (strongly contracting
maps close too, but with a number that grows); fractal, if 0 < dimension < states - 1. With overlapping images the
formula is an upper bound (2105.07294): "fills" may say too much, and so may the dimension of a fractal.
Expected from `default`: with every edge all processes of 3 states or more are fractals, of 2 states 72% to 100% (the
others fill the segment); the mean dimension at concentration 1 goes from 0.44 (2 states, 2 tokens) to 1.3 (6 states, 5
tokens) and hardly depends on the number of states beyond 3. With three edges a state and two tokens half to two thirds
are fractals; with more tokens, or two edges, none are. Nine minutes on two busy cores.

    python experiments/random_hmms                  the default preset
    python experiments/random_hmms quick            a smoke run, half a minute
    python experiments/random_hmms default --states 3 --processes 1000
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import figures
import jax
import numpy as np
from verdicts import VERDICTS, Family, Judgement, count, draw_process, judge

import beliefgeo as bg
from beliefgeo import runs
from beliefgeo.beliefs.dimension import information_dimension
from beliefgeo.beliefs.mixed_states import blackwell_samples
from beliefgeo.probes import simplex_coordinates

FAMILIES = {
    "every edge, concentration 1": Family(1.0),
    "every edge, concentration 0.1": Family(0.1),
    "three edges a state": Family(1.0, 3),
    "two edges a state": Family(1.0, 2),
}
FIRST, LAST = (f"every edge, concentration 1, {size}" for size in ("2 states, 2 tokens", "6 states, 5 tokens"))
CLAIMS = [
    *(runs.Claim(f"{name}: shares of {', '.join(VERDICTS)}", f"shares/{name}", form=".3f") for name in FAMILIES),
    *(runs.Claim(f"{size}: mean dimension", f"cells/{size}/dimension", form=".2f") for size in (FIRST, LAST)),
]


@dataclass(frozen=True)
class Config:
    """How many processes of which sizes to draw, and how closely to look at each."""

    states: tuple[int, ...] = (2, 3, 4, 5, 6)
    """The numbers of hidden states."""
    vocab_sizes: tuple[int, ...] = (2, 3, 4, 5)
    """The numbers of tokens."""
    processes: int = 60
    """The number of processes drawn for each family, number of states and number of tokens."""
    length: int = 500
    """The number of tokens of each sampled chain."""
    chains: int = 16
    """The number of chains over which Lyapunov exponents are averaged."""
    max_states: int = 1000
    """A presentation with more beliefs counts as infinite."""
    checked: int = 10
    """The number of infinite processes of each 3-state family and vocabulary whose samples also give a dimension."""
    points: int = 200_000
    """The number of beliefs sampled of each of these."""
    seed: int = 0
    """The seed of the whole run."""


PRESETS = {"quick": Config((2, 3), (2,), 20, 200, checked=5, points=20_000), "default": Config()}


class Check(NamedTuple):
    """The dimension of the beliefs about one process by the formula, and from samples, with its error."""

    tokens: int
    formula: float
    sampled: float
    error: float


def main(run: runs.Run, config: Config) -> dict[str, Any]:
    """Draw processes, judge them, count, check some dimensions on samples."""
    sizes = [(name, states, tokens) for states in config.states for tokens in config.vocab_sizes for name in FAMILIES]
    cells, clouds = {}, []
    for name, states, tokens in sizes:
        if (edges := FAMILIES[name].edges) and edges * states < tokens:
            continue  # no edge for every token
        size = f"{name}, {states} states, {tokens} tokens"
        keys = jax.random.split(run.key(size), (config.processes, 3))
        processes = [draw_process(key, FAMILIES[name], states, tokens) for key in keys[:, 0]]
        options = {"max_states": config.max_states, "length": config.length, "chains": config.chains}
        judged = [judge(key, process, **options) for key, process in zip(keys[:, 1], processes, strict=True)]
        cells[size] = count(name, states, tokens, judged)
        infinite = [one for one in zip(keys[:, 2], processes, judged, strict=True) if one[2].dimension > 0]
        clouds += [check(*one, config.points) for one in infinite[: config.checked] if states == 3]
    shares = lambda name: [
        [one.share for one in cell.shares.values()] for cell in cells.values() if cell.family == name
    ]
    return {
        "cells": cells,
        "shares": {name: np.mean(found, 0) for name in FAMILIES if (found := shares(name))},
        "checks": [found for found, _ in clouds],
        "gallery": figures.choose(clouds),
    }


def check(key: jax.Array, process: bg.Process, judged: Judgement, points: int) -> tuple[Check, np.ndarray]:
    """Beliefs along one long trajectory, and their information dimension beside the formula's."""
    beliefs = np.asarray(blackwell_samples(key, process, points), np.float32)
    found = information_dimension(simplex_coordinates(beliefs))
    return Check(process.vocab_size, judged.dimension, float(found.value), float(found.error)), beliefs


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
