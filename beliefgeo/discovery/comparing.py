"""A process that was found beside the true process: their words, their matrices, their spectra."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex

from beliefgeo.beliefs.causal_states import reduce_process
from beliefgeo.discovery.asking import require_memory
from beliefgeo.discovery.models import arrays64
from beliefgeo.discovery.operators import divergence
from beliefgeo.processes.factored import require_process
from beliefgeo.processes.process import Observer, Process

# The directions of the futures by which states are matched, as a share of the largest.
_RCOND = 1e-7


class Comparison(NamedTuple):
    """How far a process is from the true process.

    Attributes:
        divergence: KL from the words of the true process to those of the other, nats a token.
        total_variation: Of the words.
        most_negative: The least probability that the process found gives to any word of the length or shorter.
        operators: |S^-1 T_found S - T| / |T| with S the map of states by which both predict the same; None if the
            dimensions differ or S is singular.
        eigenvalues: Of the mean dynamics found, largest modulus first, of equal moduli the largest angle.
        true_eigenvalues: Of the true process, in its minimal linear dimension.
    """

    divergence: float
    total_variation: float
    most_negative: float
    operators: float | None
    eigenvalues: Complex[np.ndarray, " found"]
    true_eigenvalues: Complex[np.ndarray, " state"]


def compare_processes(process: Observer, found: Observer, length: int) -> Comparison:
    """Compare the words of two processes, and their matrices up to a change of coordinates.

    A word that the process found gives no positive probability counts as 1e-9 of its true probability.

    Args:
        process: the true process.
        found: of as many tokens, such as `discover_process(futures).process`.
        length: the number of tokens of the words; all V^length are compared.

    Raises:
        TypeError: a composition of processes that has no joint matrices.
        ValueError: processes of different vocabularies; a length below 1, or so long that words do not fit into memory.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> compared = compare_processes(golden_mean(0.5), golden_mean(0.6), 4)
    >>> round(compared.divergence, 4), round(compared.total_variation, 4)
    (0.0111, 0.1233)
    """
    true, other = require_process("compare_processes", process), require_process("compare_processes", found)
    if true.vocab_size != other.vocab_size or length < 1:
        raise ValueError(
            f"compare_processes needs processes of one vocabulary, and words of 1 token or more; got {true.vocab_size} "
            f"and {other.vocab_size} tokens and length={length}"
        )
    require_memory(f"all words of {length} tokens", true.vocab_size**length * max(true.n_states, other.n_states))
    least, words = 1.0, []
    for one in (true, other):
        matrices, start, readout = arrays64(one)
        vectors = start[None]
        for _ in range(length):
            vectors = np.einsum("ni,xij->nxj", vectors, matrices).reshape(-1, matrices.shape[1])
            least = min(least, float((vectors @ readout).min())) if one is other else least
        words.append(vectors @ readout)
    truth, guess = words
    mean = lambda one: _sorted(np.linalg.eigvals(np.asarray(one.transitions, np.float64).sum(0)))
    minimal = reduce_process(true)
    return Comparison(
        divergence(np.maximum(truth, 0), guess) / length,
        float(abs(truth - guess).sum() / 2),
        least,
        _operator_error(true if minimal.n_states == true.n_states else minimal, other),
        mean(other),
        mean(minimal),
    )


def _operator_error(true: Process, found: Process) -> float | None:
    """A state predicts by its futures F[state, u] = (T^(u) w)[state]: F_found = S F_true gives S."""
    (matrices, _, readout), (others, _, read) = arrays64(true), arrays64(found)
    if matrices.shape != others.shape:
        return None
    size = len(readout)
    both = np.concatenate([readout, read])[:, None]
    seen = [both]
    for _ in range(size - 1):
        moved = [
            np.einsum("xij,jn->ixn", maps, part).reshape(size, -1)
            for maps, part in zip((matrices, others), np.split(both, 2), strict=True)
        ]
        # As many columns as the futures of both span, scaled alike.
        left, values, _ = np.linalg.svd(np.concatenate(moved), full_matrices=False)
        both = left[:, values > _RCOND * values[0]] * values[values > _RCOND * values[0]]
        seen.append(both)
    true_futures, found_futures = np.split(np.concatenate(seen, 1), 2)
    turned = found_futures @ np.linalg.pinv(true_futures, rcond=_RCOND)
    if np.linalg.cond(turned) > 1 / _RCOND:
        return None
    return float(np.linalg.norm(np.linalg.solve(turned, others @ turned) - matrices) / np.linalg.norm(matrices))


def _sorted(values: np.ndarray) -> Complex[np.ndarray, " state"]:
    return values[np.lexsort([-np.angle(values).round(6), -abs(values).round(6)])].astype(complex)
