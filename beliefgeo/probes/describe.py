"""What a process is, in one table: and whether a study of it can tell a belief from a prediction."""

import io
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Complex, Float, Int
from scipy.sparse import csr_array

from beliefgeo.beliefs.information import entropy_rate, entropy_rate_bounds
from beliefgeo.beliefs.mixed_states import closed_classes, mixed_state_presentation, period, synchronization_length
from beliefgeo.probes.controls import Rank, law_rank
from beliefgeo.probes.least_squares import fit_probe, score_probe
from beliefgeo.processes.factored import require_process
from beliefgeo.processes.float64 import as_float64
from beliefgeo.processes.process import Observer, Process
from beliefgeo.reading.losses import optimal_loss
from beliefgeo.reading.rows import Rows, rows

# Presentations with more mixed states than these are told by how they grow.
_MOST_STATES = 10_000
# Eigenvalues of a generalised process nearer to each other than this are one.
_EQUAL = 1e-6
# A law that explains more of the beliefs than this leaves little to find beyond it.
_NEARLY_ALL = 0.95


class Description(NamedTuple):
    """What `describe` finds, which prints as a table. Nats and tokens.

    Attributes:
        states: The number of hidden states.
        tokens: The number of tokens.
        generalised: Whether the process has entries of both signs, as a quantum process has, and no hidden states.
        classes: The number of closed classes: 1 if the process is ergodic.
        period: The period of the hidden chain: it comes back to a state after multiples of so many steps only,
            whichever closed class it is in.
        rank: How many dimensions of the beliefs the next-token law tells, of how many.
        r2_by_count: R2 of the affine map from the next-token law to the belief, every word and position counting
            equally.
        r2_by_probability: The same R2 if prefixes count by their probability.
        revealing: The tokens after which the hidden state is certain. If these are all tokens, the state is observable.
        mixed_states: The number of beliefs an observer can reach; None if they are more than 10,000.
        growth: The number of beliefs first reached after 0, 1, 2, ... tokens.
        entropy_rate: h, where the number of mixed states is known.
        bounds: h lies between these; the lower bound is None for a generalised process.
        optimal_loss: The least expected loss after 1, 2, ... tokens read.
        eigenvalues: The eigenvalues of the mean dynamics T = sum_x T^(x), largest modulus first; the second limits
            every memory.
        synchronization_length: The tokens in which the slowest mode of uncertainty falls e-fold; None if the mixed
            states are not known.
    """

    states: int
    tokens: int
    generalised: bool
    classes: int
    period: int
    rank: Rank
    r2_by_count: float
    r2_by_probability: float
    revealing: list[int]
    mixed_states: int | None
    growth: Int[np.ndarray, " depth"]
    entropy_rate: float | None
    bounds: tuple[float | None, float]
    optimal_loss: Float[np.ndarray, " length"]
    eigenvalues: Complex[np.ndarray, " state"]
    synchronization_length: float | None

    @property
    def can_tell(self) -> str:
        """What a study of networks trained on this process can and cannot tell."""
        dimensions, seen = self.rank.of - 1, self.rank.rank - 1
        if dimensions == 0:
            return "There is one belief only: nothing can be found in a network. Use mess3, rrxor or strata."
        if seen == dimensions:
            return (
                "Belief and next-token law are affinely equivalent: no study of this process can tell a network that "
                "holds beliefs from a network that holds its prediction. Use rrxor, strata, wing or arch for that."
            )
        told = f"The next-token law tells {seen} of the {dimensions} dimensions of the belief"
        share = f"R2 {self.r2_by_count:.3f} of it by counts"
        if self.r2_by_count > _NEARLY_ALL:
            return f"{told}, and {share}: scores say little, so test the part the law cannot see (score_parts)."
        return f"{told}, and {share}: a probe that finds more has found more than the prediction."

    def __str__(self) -> str:
        """A table."""
        return _table(self)


def describe(process: Observer, length: int) -> Description:
    """What a process is, from its words of this length: everything is exact.

    Args:
        process: a process of matrices, or a product of them, whose joint is described.
        length: the number of tokens that a network would read; all words of this length are listed.

    Raises:
        ValueError: words that do not fit in memory, or a length below 1.
        TypeError: an observer without matrices.

    >>> from beliefgeo.processes.classical import rrxor
    >>> found = describe(rrxor(), 6)
    >>> str(found.rank), found.mixed_states, found.period, round(float(found.optimal_loss[-1]), 4)
    ('2 of 5', 36, 3, 0.5615)
    """
    process = require_process("describe", process)
    every = rows(jax.random.key(0), process, length)  # the key draws nothing: all words are listed
    presentation = mixed_state_presentation(process, max_states=_MOST_STATES)
    finite = not presentation.truncated
    growth = np.bincount(presentation.depth)
    total = np.asarray(as_float64(process).transitions).sum(0)  # pyright: ignore[reportAttributeAccessIssue]
    values = np.linalg.eigvals(total)
    values = values[np.argsort(-abs(values).round(9), kind="stable")].astype(complex)
    classes, cycle = _of_eigenvalues(values) if process.generalised else _of_moves(total)
    return Description(
        process.n_states,
        process.vocab_size,
        process.generalised,
        classes,
        cycle,
        law_rank(every),
        _law_to_belief(every, every.counts),
        _law_to_belief(every, every.probabilities),
        _revealing(process),
        len(presentation.beliefs) if finite else None,
        growth if finite else growth[:-1],  # the last depth was cut
        float(entropy_rate(process)) if finite and classes == 1 else None,
        _bounds(process, every, length),
        optimal_loss(every),
        values,
        synchronization_length(presentation) if finite else None,
    )


def _of_moves(total: np.ndarray) -> tuple[int, int]:
    """Closed classes and period from which moves are possible: eigenvalues of a rare move are 1 up to its rate."""
    moves = csr_array(total)
    return int(closed_classes(moves).max()) + 1, period(moves)


def _of_eigenvalues(values: np.ndarray) -> tuple[int, int]:
    """The same where entries have both signs, so that no graph tells what is possible."""
    classes = int((abs(values - 1) < _EQUAL).sum())
    return classes, int((abs(abs(values) - 1) < _EQUAL).sum()) // classes


def _law_to_belief(rows: Rows, weights: np.ndarray) -> float:
    probe = fit_probe(rows.laws, rows.beliefs, weights, rcond=1e-6)
    return float(score_probe(probe, rows.laws, rows.beliefs, weights).r2)


def _revealing(process: Process) -> list[int]:
    """The tokens whose matrix leads to one state only."""
    if process.generalised:
        return []
    into = (np.asarray(process.transitions) > 0).any(1).sum(1)
    return np.flatnonzero(into == 1).tolist()


def _bounds(process: Process, rows: Rows, length: int) -> tuple[float | None, float]:
    if process.generalised:
        return None, float(optimal_loss(rows)[-1])
    lower, upper = entropy_rate_bounds(process, length)
    return float(lower), float(upper)


def _table(found: Description) -> str:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False)
    for name, value in _lines(found).items():
        table.add_row(name, value)
    console = Console(width=110, file=io.StringIO())
    with console.capture() as captured:
        console.print(table)
    return f"{captured.get()}{found.can_tell}"


def _lines(found: Description) -> dict[str, str]:
    lower, upper = found.bounds
    length = len(found.optimal_loss)
    ends = f"at most {upper:.6f}" if lower is None else f"{lower:.6f} to {upper:.6f}"
    rate = f"{ends} nats" if found.entropy_rate is None else f"{found.entropy_rate:.6f} nats (bounds: {ends})"
    growth = ", ".join(map(str, found.growth[:9])) + ", ..." * (len(found.growth) > 9 or found.mixed_states is None)
    observable = "after every token" if len(found.revealing) == found.tokens else f"after tokens {found.revealing}"
    second = found.eigenvalues[1] if found.states > 1 else 0
    shown = f"{second.real:.5f}" if abs(second.imag) < _EQUAL else f"{second:.4f} (modulus {abs(second):.4f})"
    many = f"{found.mixed_states}" if found.mixed_states is not None else f"more than {_MOST_STATES:,}"
    synchronizes = found.synchronization_length
    return {
        "states, tokens": f"{found.states}, {found.tokens}" + " (generalised)" * found.generalised,
        "closed classes, period": f"{found.classes}, {found.period}",
        "rank of the map from belief to law": str(found.rank),
        "R2 law -> belief, by counts": f"{found.r2_by_count:.3f}",
        "R2 law -> belief, by probability": f"{found.r2_by_probability:.3f}",
        "the state is observable": observable if found.revealing else "after no token",
        "mixed states": f"{many} (new after 0, 1, 2, ... tokens: {growth})",
        "entropy rate h": rate,
        f"optimum, mean after 1..{length} tokens": f"{found.optimal_loss.mean():.6f} nats",
        "second eigenvalue of T": shown if found.states > 1 else "none",
        "synchronisation length": "not known" if synchronizes is None else f"{synchronizes:.3f} tokens",
    }
