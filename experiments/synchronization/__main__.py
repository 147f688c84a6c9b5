"""The loss along the context falls as the slowest mode of the mixed-state presentation predicts.

Source: Riechers & Crutchfield 2018 (1705.08042, 1706.00883) for the spectrum; Riechers, Bigelow, Alt, Shai 2025
(2505.18373) for the consequence: a predictor that minimises next-token loss must lose h_L after L tokens. The excess of
h_L over the entropy rate h is a sum of modes lambda^L, the eigenvalues of transient mixed states.
Expected: even |lambda| = 2^(-1/2) and rrxor 2^(-1/3), synchronisation lengths 2.885 and 4.328 tokens; z1r and
golden_mean have zero modes only, and nothing is left to learn after 3 tokens and 1. From `default`, one network each:
gaps of 1e-4 nats or less, 1.6e-3 for rrxor; over the second half of the context the exact loss of even and rrxor falls
e-fold in 2.885 and 4.519 tokens, the networks' in 3.0 and 5.4 (rrxor after 6,000 steps: 4.57, gap 2e-4; other seeds
after 3,000: 4.8 to 15.8, gaps 6e-4 to 1.1e-2). Nine minutes on two busy cores.

    python experiments/synchronization                    the default preset
    python experiments/synchronization quick              a smoke run, half a minute
    python experiments/synchronization --processes rrxor --steps 6000

Interrupt it and start it again with the same command: it continues. A finished run is drawn again without training.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

import figures
import numpy as np

import beliefgeo as bg
from beliefgeo import reading, runs
from beliefgeo.beliefs.mixed_states import myopic_entropies_of, spectrum, synchronization_length, transient_spectrum
from beliefgeo.networks import TransformerConfig

Name = Literal["even", "rrxor", "z1r", "golden_mean"]
PROCESSES = {"even": bg.even, "rrxor": bg.rrxor, "z1r": bg.z1r, "golden_mean": bg.golden_mean}
CLAIMS = [
    claim
    for name in PROCESSES
    for claim in (
        runs.Claim(f"{name}: synchronisation length (tokens)", f"{name}/synchronization length", form=".3f"),
        runs.Claim(f"{name}: exact loss falls e-fold in (tokens)", f"{name}/exact/falls in", form=".3f"),
        runs.Claim(f"{name}: network's loss falls e-fold in", f"{name}/trained/falls_in", form=".3f"),
        runs.Claim(f"{name}: loss above the optimum (nats)", f"{name}/trained/gap", form=".1e"),
        runs.Claim(f"{name}: loss above the optimum, untrained", f"{name}/untrained/gap", form=".1e"),
    )
]


@dataclass(frozen=True)
class Config:
    """A transformer, and how to train it on each process."""

    processes: tuple[Name, ...] = get_args(Name)
    """The processes."""
    network: TransformerConfig = field(default_factory=lambda: TransformerConfig(3, context=17, layers=3, heads=2))
    """The network reads a BOS token, then context - 1 tokens of the process."""
    budget: runs.Budget = runs.Budget(steps=3000)
    """How long to train, and how."""
    seed: int = 0
    """The seed of the whole run."""


SMALL = TransformerConfig(3, context=11, layers=2, width=32, mlp_width=128)
PRESETS = {"quick": Config(network=SMALL, budget=runs.Budget(steps=300, chunk=50)), "default": Config()}


class Excess(NamedTuple):
    """The loss of a network, and how fast it falls over the second half of the context. Nats, tokens."""

    gap: float
    gap_per_length: np.ndarray
    excess: np.ndarray
    """The loss above the entropy rate, after each number of tokens read."""
    falls_in: float | None
    """The number of tokens in which the excess falls e-fold; None if nothing is left to learn after a few tokens."""


def main(run: runs.Run, config: Config) -> dict[str, dict]:
    """The modes of each process, its exact excess h_L - h, and the excess of networks."""
    return {name: synchronize(run, PROCESSES[name](), config) for name in config.processes}


def synchronize(run: runs.Run, process: bg.Process, config: Config) -> dict:
    """Process, learn, rows, read, measure."""
    context, rate, presentation = config.network.context, bg.entropy_rate(process), bg.mixed_state_presentation(process)
    modes = transient_spectrum(presentation)
    learned = run.learn(process, config.network, config.budget, context=context, bos=True)
    rows = reading.rows(run.key("words"), process, context, bos=process.vocab_size)
    # Modes of equal modulus interfere with a period.
    period = len(np.unique(modes[abs(abs(modes) - abs(modes[0])) < 1e-9].round(6)))
    falls_in = lambda excess: e_folding(excess, period) if abs(modes[0]) > 0 else None
    exact = myopic_entropies_of(presentation, context) - rate

    def measure(network: reading.Reading) -> Excess:
        gap, per_length, *_ = reading.losses(network, rows)
        excess = reading.optimal_loss(rows) - rate + per_length
        return Excess(gap, per_length, excess, falls_in(excess))

    return {
        "entropy rate": rate,
        "eigenvalues": spectrum(presentation).view(float).reshape(-1, 2),
        "slowest modulus": abs(modes[0]),
        "synchronization length": synchronization_length(presentation),
        "period": period,
        "exact": {"excess": exact, "falls in": falls_in(exact)},
        "trained": reading.each(learned.trained, rows, measure, no_sites),
        "untrained": reading.each(learned.untrained, rows, measure, no_sites),
    }


def no_sites(activations: dict) -> dict:
    """No sites: only predictions are studied."""
    return {}


def e_folding(excess: np.ndarray, period: int) -> float:
    """The inverse of the mean of ln(e_L / e_(L + period)) / period over the second half of the context."""
    late = excess[len(excess) // 2 :]
    return float(period / np.log(late[:-period] / late[period:]).mean())


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
