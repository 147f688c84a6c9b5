"""How often are the beliefs about a random process a fractal? Over the numbers of states and tokens.

Source: a question asked by readers of 2405.15943; the dimension is that of Jurgens & Crutchfield 2102.10487.
Four kinds of processes. Where every edge is possible (`bg.random_hmm`, each state's probabilities drawn from a
Dirichlet law) every token contracts the simplex into its inside and different words almost surely leave different
beliefs: the presentation is never finite, and only whether it is a fractal or fills the simplex is open. Where each
state keeps a few edges (placed at random, every state reaching every other, all tokens in use) it may be finite, or
infinite of dimension 0 because some word makes all that came before it irrelevant (countably many beliefs).
Verdicts: finite, where the presentation closes with as many beliefs at tolerance 1e-9 as at 1e-12 (strongly contracting
maps close too, but with a number that grows); fractal, where 0 < dimension < states - 1. With overlapping images the
formula is an upper bound (2105.07294): "fills" may be too much said, and of a fractal the dimension.
Expected from `default`: with every edge all processes of 3 states or more are fractals, of 2 states 72% to 100% (the
others fill the segment); the mean dimension at concentration 1 goes from 0.44 (2 states, 2 tokens) to 1.3 (6 states, 5
tokens) and hardly depends on the number of states beyond 3. With three edges a state and two tokens half to two thirds
are fractals; with more tokens, or two edges, none. Nine minutes on two busy cores.

    python experiments/random_hmms.py                  the default preset
    python experiments/random_hmms.py quick            a smoke run, half a minute
    python experiments/random_hmms.py default --states 3 --processes 1000
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.stats import binomtest

import beliefgeo as bg
from beliefgeo import runs_old as runs
from beliefgeo.beliefs.causal_states import is_unifilar
from beliefgeo.beliefs.dimension import information_dimension, kaplan_yorke, lyapunov_exponents
from beliefgeo.beliefs.mixed_states import blackwell_samples
from beliefgeo.plots import random_hmms as plots
from beliefgeo.probes.geometry import simplex_coordinates
from beliefgeo.runs import command_line as cli
from beliefgeo.runs import outputs

VERDICTS = ("finite", "dimension 0", "fractal", "fills the simplex")


class Family(NamedTuple):
    """How processes are drawn."""

    concentration: float
    edges: int | None = None  # of each state; None: all


FAMILIES = {
    "every edge, concentration 1": Family(1.0),
    "every edge, concentration 0.1": Family(0.1),
    "three edges a state": Family(1.0, 3),
    "two edges a state": Family(1.0, 2),
}


class Judgement(NamedTuple):
    """One of the verdicts, the dimension, and whether it may as well be the neighbouring one (within two errors)."""

    verdict: str
    dimension: float
    near: bool


@dataclass(frozen=True)
class Config:
    """How many processes of which sizes, and how closely each is looked at."""

    states: tuple[int, ...] = (2, 3, 4, 5, 6)
    """Numbers of hidden states."""
    vocab_sizes: tuple[int, ...] = (2, 3, 4, 5)
    """Numbers of tokens."""
    processes: int = 60
    """Drawn for each family, number of states and number of tokens."""
    length: int = 500
    """Tokens of each sampled chain."""
    chains: int = 16
    """Chains over which Lyapunov exponents are averaged."""
    max_states: int = 1000
    """A presentation with more beliefs counts as infinite."""
    checked: int = 10
    """Of each family of 3 states and some number of tokens, infinite ones: dimension measured from samples too."""
    points: int = 200_000
    """Beliefs sampled of each of these."""
    seed: int = 0
    """Seed of everything."""


PRESETS = {"quick": Config((2, 3), (2,), 20, 200, checked=5, points=20_000), "default": Config()}


def main(preset: str, config: Config, out: Path) -> None:
    """Draw processes, judge them, count, check some dimensions on samples, draw."""
    began = time.perf_counter()
    folder = runs.open_run(runs.run_folder(out, preset, config), config)
    cells, clouds = [], []
    sizes = [
        (name, family, n_states, vocab_size)
        for n_states in config.states
        for vocab_size in config.vocab_sizes
        for name, family in FAMILIES.items()
        if family.edges is None or family.edges * n_states >= vocab_size  # an edge for every token
    ]
    for index, (name, family, n_states, vocab_size) in enumerate(sizes):
        keys = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), index), (config.processes, 3))
        processes = [draw(key, family, n_states, vocab_size) for key in keys[:, 0]]
        judged = [judge(key, process, config) for key, process in zip(keys[:, 1], processes, strict=True)]
        cells.append({"family": name, "states": n_states, "tokens": vocab_size, **count(judged)})
        if n_states == 3:
            infinite = [drawn for drawn in zip(keys[:, 2], processes, judged, strict=True) if drawn[2].dimension > 0]
            clouds += [cloud(*drawn, config) for drawn in infinite[: config.checked]]
    metrics = {
        "preset": preset,
        "config": asdict(config),
        "cells": cells,
        "checks": [{name: value for name, value in one.items() if name != "beliefs"} for one in clouds],
        "device": outputs.device(),
        "versions": outputs.versions(),
        "seconds": time.perf_counter() - began,
    }
    figures(folder, cells, clouds, config)
    outputs.write_json(folder / "metrics.json", metrics)
    summary(folder, cells)


def draw(key: jax.Array, family: Family, n_states: int, vocab_size: int) -> bg.Process:
    """A random process of the family; redrawn until each state is reached from each other and every token is used."""
    if family.edges is None:
        return bg.random_hmm(key, n_states, vocab_size, family.concentration)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    while True:
        rows = np.zeros((n_states, vocab_size * n_states))
        for row in rows:
            row[rng.choice(len(row), family.edges, replace=False)] = rng.dirichlet(
                [family.concentration] * family.edges
            )
        transitions = rows.reshape(n_states, vocab_size, n_states).swapaxes(0, 1)
        classes = connected_components(transitions.sum(0) > 0, connection="strong")[0]
        if classes == 1 and transitions.any((1, 2)).all():
            return bg.hmm(transitions)


def judge(key: jax.Array, process: bg.Process, config: Config) -> Judgement:
    """What kind of set the beliefs are, and its dimension."""
    close = lambda tolerance: bg.mixed_state_presentation(process, max_states=config.max_states, tolerance=tolerance)
    coarse = close(1e-9)
    if not coarse.truncated and len(close(1e-12).beliefs) == len(coarse.beliefs):
        return Judgement("finite", 0.0, False)
    if is_unifilar(process):  # the observer learns the state only in the limit, where the formula does not hold
        return Judgement("dimension 0", 0.0, False)
    rates, exponents = lyapunov_exponents(key, process, config.length, chains=config.chains)
    room = rates + exponents.sum(1)  # how fast words multiply beyond how fast volume shrinks
    error = room.std(ddof=1) / np.sqrt(len(room)) if np.isfinite(room).all() else 0.0
    dimension = kaplan_yorke(rates.mean(), exponents.mean(0))
    # Positive matrices erase nothing, though they may contract by more than float64 resolves.
    erasing = dimension == 0 and (np.asarray(process.transitions) == 0).any()
    verdict = VERDICTS[1 if erasing else 3 if room.mean() >= 0 else 2]
    return Judgement(verdict, dimension, bool(abs(room.mean()) < 2 * error))


def count(judged: list[Judgement]) -> dict:
    """The share of each verdict with its 95% interval (Wilson), and the spread of the dimensions."""
    shares = {}
    for verdict in VERDICTS:
        counted = binomtest(sum(one.verdict == verdict for one in judged), len(judged))
        shares[verdict] = {"share": counted.statistic, "interval": [*counted.proportion_ci(method="wilson")]}
    dimensions = [one.dimension for one in judged]
    return {
        "shares": shares,
        "fractal or filling: too near to tell": sum(one.near for one in judged) / len(judged),
        "dimension, mean": np.mean(dimensions),
        "dimension, quartiles": np.quantile(dimensions, [0.25, 0.5, 0.75]),
    }


def cloud(key: jax.Array, process: bg.Process, judged: Judgement, config: Config) -> dict:
    """Beliefs along one long trajectory, and their information dimension beside the formula's."""
    beliefs = np.asarray(blackwell_samples(key, process, config.points))
    measured = information_dimension(simplex_coordinates(beliefs))
    return {
        "tokens": process.vocab_size,
        "formula": judged.dimension,
        "sampled": measured.value,
        "error": measured.error,
        "beliefs": beliefs,
    }


def figures(folder: Path, cells: list[dict], clouds: list[dict], config: Config) -> None:
    """Draw the run."""

    def table(quantity):
        found = {(one["family"], one["states"], one["tokens"]): quantity(one) for one in cells}
        rows = lambda name: [[found.get((name, s, v), np.nan) for v in config.vocab_sizes] for s in config.states]
        return {name: np.array(rows(name)) for name in FAMILIES}

    quantities = {f"share {verdict}": table(lambda one, v=verdict: one["shares"][v]["share"]) for verdict in VERDICTS}
    quantities["mean dimension"] = table(lambda one: one["dimension, mean"])
    outputs.save_figure(folder / "shares.png", plots.heat_maps(config.states, config.vocab_sizes, quantities))
    if clouds:
        formula, sampled = (np.array([one[name] for one in clouds]) for name in ("formula", "sampled"))
        outputs.save_figure(folder / "check.png", plots.dimension_check(formula, sampled))
        spread = np.linspace(min(0.3, formula.max()), formula.max(), 6)
        shown = [clouds[abs(formula - dimension).argmin()] for dimension in spread]
        title = lambda one: f"dimension {one['formula']:.2f}\n{one['tokens']} tokens"
        outputs.save_figure(
            folder / "gallery.png", plots.belief_gallery([(title(one), one["beliefs"]) for one in shown])
        )


def summary(folder: Path, cells: list[dict]) -> None:
    """The shares over all sizes, on the terminal."""
    lines = []
    for name in FAMILIES:
        found = [one for one in cells if one["family"] == name]
        shares = [f"{np.mean([one['shares'][verdict]['share'] for one in found]):.2f}" for verdict in VERDICTS]
        lines.append((name, *shares))
    outputs.print_table(f"{folder}: metrics.json, figures; shares, mean over sizes", ("family", *VERDICTS), lines)


if __name__ == "__main__":
    cli.run_experiment(main, PRESETS, out="runs/random_hmms", description=__doc__)
