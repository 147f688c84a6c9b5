"""From data to the machine that made them: how many tokens does it take to recover a process exactly?

Source: the question of Shalizi & Klinkner 2004 (cs/0406011), asked of `infer_causal_states` (it tells histories apart
by their next three tokens, or by the next token only) and of `spectral_learn` (linear dimension). They get the tokens
and nothing else; their words are as long as the number of tokens allows. A process is recovered if the result has the
same number of states with the same moves, or the same dimension.
Expected from `default`, for 19 samples of 20: golden_mean, even and z1r from 316 tokens on, rrxor from 31,623. By the
next token only, neither z1r nor rrxor is recovered from 10^6 tokens, because observers who believe different things
expect the same next token. The dimension of rrxor is recovered from 3,162 tokens, of bloch_walk from 100,000, of frdn
from 31,623. Five minutes on two busy cores.

    python experiments/inference                    the default preset
    python experiments/inference quick              a smoke run, half a minute
    python experiments/inference default --seeds 100
"""

from dataclasses import dataclass

import figures
import jax
import measures
import numpy as np
from measures import Recovery
from scipy.stats import binomtest

import beliefgeo as bg
from beliefgeo import runs
from beliefgeo.beliefs.windows import window_codes

CLASSICAL = {"golden_mean": bg.golden_mean, "even": bg.even, "z1r": bg.z1r, "rrxor": bg.rrxor}
PROCESSES = {**CLASSICAL, "bloch_walk": bg.bloch_walk, "frdn": bg.frdn}
DIMENSIONS = {"golden_mean": 2, "even": 2, "z1r": 3, "rrxor": 5, "bloch_walk": 3, "frdn": 4}
MACHINE, NEXT, SPECTRAL = "causal states", "causal states, next token only", "spectral: dimension"
METHODS = {name: (MACHINE, NEXT, SPECTRAL) if name in CLASSICAL else (SPECTRAL,) for name in PROCESSES}
CLAIMS = [
    runs.Claim(f"tokens for {name}, {method}", f"needed/{name}/{method}")
    for name, methods in METHODS.items()
    for method in methods
]


@dataclass(frozen=True)
class Config:
    """How much data to use, and how often."""

    least: float = 100
    """The number of tokens of the shortest samples."""
    most: float = 1e6
    """The number of tokens of the longest samples."""
    sizes: int = 9
    """The number of log-spaced lengths of samples; a shorter sample is the beginning of a longer sample."""
    seeds: int = 20
    """The number of samples of each process."""
    word_length: int = 6
    """The length of the words whose probabilities are compared."""
    seed: int = 0
    """The seed of the whole run."""


PRESETS = {"quick": Config(most=1e5, sizes=4, seeds=3), "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """Sample, infer, compare."""
    sizes = np.geomspace(config.least, config.most, config.sizes).round().astype(int)
    found = {name: study(run.key(name), name, sizes, config) for name in PROCESSES}
    needed = {name: {method: measures.tokens_needed(each) for method, each in of.items()} for name, of in found.items()}
    return {"processes": found, "needed": needed}


def study(key: jax.Array, name: str, sizes: np.ndarray, config: Config) -> dict[str, list[Recovery]]:
    """Method -> how well it recovers the process from samples, for each number of tokens."""
    process = PROCESSES[name]()
    draw = jax.jit(lambda one: bg.sample(one, process, int(sizes[-1])).tokens)
    samples = [np.asarray(draw(one)) for one in jax.random.split(key, config.seeds)]
    score = lambda method, size: recovery(name, process, method, [one[:size] for one in samples], config.word_length)
    return {method: [score(method, size) for size in sizes] for method in METHODS[name]}


def recovery(name: str, process: bg.Process, method: str, samples: list[np.ndarray], word_length: int) -> Recovery:
    """How often the process is recovered, and how well its words are known."""
    learnt = [learn(method, tokens, process.vocab_size) for tokens in samples]
    models = [one for one in learnt if one is not None]
    same = lambda one: one.n_states == DIMENSIONS[name] if method == SPECTRAL else measures.same_moves(one, process)
    counted = binomtest(sum(same(one) for one in models), len(samples))
    truth = measures.word_law(process, word_length)
    distance = lambda law: abs(law - truth).sum() / 2
    counts = [np.bincount(window_codes(tokens[None], word_length)[0], minlength=len(truth)) for tokens in samples]
    return Recovery(
        len(samples[0]),
        float(counted.statistic),
        (*counted.proportion_ci(method="wilson"),),
        len(samples) - len(models),
        np.median([distance(measures.word_law(one, word_length)) for one in models]) if models else None,
        np.median([distance(one / one.sum()) for one in counts]),
    )


def learn(method: str, tokens: np.ndarray, vocab_size: int) -> bg.Process | None:
    """The process that a method learns from the tokens; None if it refuses."""
    longest = lambda n_words: int(np.log(n_words) / np.log(vocab_size) + 1e-9)
    try:
        if method == SPECTRAL:  # a window for each entry of the Hankel matrix
            length = min(4, longest(len(tokens) ** 0.5))
            return bg.spectral_learn(tokens, length, length).process
        # Each history must occur ten times; rrxor needs 6 tokens.
        future_length = 3 if method == MACHINE else 1
        return bg.infer_causal_states(tokens, min(9, longest(len(tokens) / 11)), future_length=future_length).process
    except ValueError:
        return None


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
