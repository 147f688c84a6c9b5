"""From data to the machine that made them: how many tokens does it take to recover a process exactly?

Source: the question of Shalizi & Klinkner 2004 (cs/0406011), asked of `infer_causal_states` (histories told apart by
their next three tokens, and by the next one only) and of `spectral_learn` (linear dimension). They get the tokens and
nothing else: words as long as the number of tokens bears. Recovered means: as many states with the same moves, or the
same dimension.
Expected from `default`, for 19 samples of 20: golden_mean, even and z1r from 316 tokens on, rrxor from 31,623; by the
next token only neither z1r nor rrxor from 10^6, because observers who believe different things expect the same next
token. The dimension of rrxor from 3,162, bloch_walk from 100,000, frdn from 31,623. Five minutes on two busy cores.

    python experiments/inference.py                    the default preset
    python experiments/inference.py quick              a smoke run, half a minute
    python experiments/inference.py default --seeds 100
"""

import itertools
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
import numpy as np
from scipy.stats import binomtest

import beliefgeo as bg
from beliefgeo import runs_old as runs
from beliefgeo.beliefs.inference import infer_causal_states
from beliefgeo.beliefs.spectral import spectral_learn
from beliefgeo.beliefs.windows import window_codes
from beliefgeo.plots import inference as plots
from beliefgeo.processes.quantum import bloch_walk, frdn
from beliefgeo.runs import command_line as cli
from beliefgeo.runs import outputs

CLASSICAL = {"golden_mean": bg.golden_mean, "even": bg.even, "z1r": bg.z1r, "rrxor": bg.rrxor}
DIMENSIONS = {"golden_mean": 2, "even": 2, "z1r": 3, "rrxor": 5, "bloch_walk": 3, "frdn": 4}
MACHINE, NEXT, SPECTRAL = "causal states", "causal states, next token only", "spectral: dimension"


@dataclass(frozen=True)
class Config:
    """How much data, how often."""

    least: float = 100
    """Tokens of the shortest samples."""
    most: float = 1e6
    """Tokens of the longest samples."""
    sizes: int = 9
    """Log-spaced lengths of samples, the shorter ones being beginnings of the longer."""
    seeds: int = 20
    """Samples of each process."""
    seed: int = 0
    """Seed of them all."""
    word_length: int = 6
    """Tokens of the words whose probabilities are compared."""


PRESETS = {"quick": Config(most=1e5, sizes=4, seeds=3), "default": Config()}


def main(preset: str, config: Config, out: Path) -> None:
    """Sample, infer, compare, draw."""
    began = time.perf_counter()
    folder = runs.open_run(runs.run_folder(out, preset, config), config)
    sizes = np.geomspace(config.least, config.most, config.sizes).round().astype(int)
    results = {name: study(name, sizes, config) for name in DIMENSIONS}
    curve = lambda rows: np.array([[row["share"], *row["interval"]] for row in rows])
    curves = {name: {method: curve(rows) for method, rows in methods.items()} for name, methods in results.items()}
    outputs.save_figure(folder / "recovery.png", plots.recovery_curves(sizes, curves))
    metrics = {
        "preset": preset,
        "config": asdict(config),
        "processes": results,
        "device": outputs.device(),
        "versions": outputs.versions(),
        "seconds": time.perf_counter() - began,
    }
    outputs.write_json(folder / "metrics.json", metrics)
    needed = [(name, method, tokens_needed(rows)) for name in results for method, rows in results[name].items()]
    outputs.print_table(f"{folder}: tokens needed to recover 19 samples of 20", ("process", "method", "tokens"), needed)


def tokens_needed(rows: list[dict]) -> str:
    """The fewest tokens from which on 95% are recovered."""
    missed = [row["tokens"] for row in rows if row["share"] < 0.95]
    enough = [row["tokens"] for row in rows if row["tokens"] > max(missed, default=0)]
    return f"{enough[0]:,}" if enough else f"not with {missed[-1]:,}"


def study(name: str, sizes: np.ndarray, config: Config) -> dict[str, list[dict]]:
    """Method -> for each number of tokens, how often it recovers the process and how well it knows its words."""
    process = CLASSICAL[name]() if name in CLASSICAL else {"bloch_walk": bloch_walk, "frdn": frdn}[name]()
    draw = jax.jit(lambda key: bg.sample(key, process, int(sizes[-1])).tokens)
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    samples = [np.asarray(draw(key)) for key in keys]
    methods = [MACHINE, NEXT, SPECTRAL] if name in CLASSICAL else [SPECTRAL]
    return {
        method: [score(name, process, method, [tokens[:size] for tokens in samples], config) for size in sizes]
        for method in methods
    }


def score(name: str, process: bg.Process, method: str, samples: list[np.ndarray], config: Config) -> dict:
    """The share recovered with its 95% interval (Wilson), and the median distance to the true law of words."""
    learnt = [learn(method, tokens, process.vocab_size) for tokens in samples]
    right = [
        one is not None and (one.n_states == DIMENSIONS[name] if method == SPECTRAL else same_moves(one, process))
        for one in learnt
    ]
    counted = binomtest(sum(right), len(right))
    truth = word_law(process, config.word_length)
    frequencies = [
        np.bincount(window_codes(tokens[None], config.word_length)[0], minlength=len(truth)) for tokens in samples
    ]
    distance = lambda law: abs(law - truth).sum() / 2
    errors = [distance(word_law(one, config.word_length)) for one in learnt if one is not None]
    return {
        "tokens": len(samples[0]),
        "share": counted.statistic,
        "interval": [*counted.proportion_ci(method="wilson")],
        "gave no model": learnt.count(None),
        "word distance, median": np.median(errors) if errors else None,
        "word distance of frequencies, median": np.median([distance(one / one.sum()) for one in frequencies]),
    }


def learn(method: str, tokens: np.ndarray, vocab_size: int) -> bg.Process | None:
    """What a method makes of the tokens, None where it refuses."""
    longest = lambda n_words: int(np.log(n_words) / np.log(vocab_size) + 1e-9)
    try:
        if method == SPECTRAL:  # a window for each entry of the Hankel matrix
            length = min(4, longest(len(tokens) ** 0.5))
            return spectral_learn(tokens, length, length).process
        # Ten sightings of each history; rrxor needs 6 tokens.
        future_length = 3 if method == MACHINE else 1
        return infer_causal_states(tokens, min(9, longest(len(tokens) / 11)), future_length=future_length).process
    except ValueError:
        return None


def same_moves(one: bg.Process, other: bg.Process) -> bool:
    """Whether the states can be renumbered so that the same moves are possible."""
    one, other = np.asarray(one.transitions) > 0, np.asarray(other.transitions) > 0
    orders = itertools.permutations(range(other.shape[1])) if one.shape == other.shape else ()
    return any((other[:, order][:, :, order] == one).all() for order in map(list, orders))


def word_law(process: bg.Process, length: int) -> np.ndarray:
    """The probabilities of all words of a length, in lexicographic order; a learnt model's may be negative."""
    transitions, readout = np.asarray(process.transitions, float), np.asarray(process.readout, float)
    vectors = np.asarray(process.initial, float)[None]
    for _ in range(length):
        vectors = np.einsum("ni,xij->nxj", vectors, transitions).reshape(-1, len(readout))
    return vectors @ readout


if __name__ == "__main__":
    cli.run_experiment(main, PRESETS, out="runs/inference", description=__doc__)
