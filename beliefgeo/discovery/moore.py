"""The hidden Markov model behind a process whose tokens tell the state alone: the Moore form, where there is one."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from beliefgeo.discovery.models import arrays64
from beliefgeo.processes.construct import from_moore
from beliefgeo.processes.factored import require_process
from beliefgeo.processes.process import Observer, Process

# Beyond this condition number of the mean dynamics its inverse tells nothing.
_CONDITION = 1e6


class MooreForm(NamedTuple):
    """Jointly diagonal matrices T^-1 T^(x), and what they say."""

    commutator: float
    """The largest |AB - BA| / (|A| |B|) of two of the matrices: 0 in a Moore form; always 0 with two tokens."""
    condition: float
    """The condition number of T: the larger, the less its inverse tells."""
    transition_matrix: Float[np.ndarray, "state next_state"] | None
    """None where the matrices have no real joint eigenvectors."""
    emission_probs: Float[np.ndarray, "state token"] | None
    """Of each state, in decreasing order of the probability of token 0."""
    process: Process | None
    """The HMM, if the numbers are probabilities to within the tolerance; else None."""
    vertices: Float[np.ndarray, "state coordinate"] | None
    """Each state in the coordinates of the process given: the corners of a simplex that holds the points."""


def moore_form(process: Observer, *, tolerance: float = 0.02) -> MooreForm:
    """The HMM whose states emit by themselves, T^(x) = T diag(B[:, x]), in which a generalised process can be written.

    Then T^-1 T^(x) = P diag(B[:, x]) P^-1 for all tokens x. P comes from the eigenvectors of a mixture of these
    matrices. Whether the token belongs to the state before or after the move does not matter: both have the same
    transition matrix and emissions. An HMM that emits on its edges has no such form in general, and is one of a
    continuum of equal processes.

    Args:
        process: such as `discover_process(futures).process`.
        tolerance: how far entries may lie outside 0 to 1, and the commutator above 0, for the form to count as an HMM.

    >>> from beliefgeo.processes.classical import mess3
    >>> form = moore_form(mess3())
    >>> form.transition_matrix.round(3).tolist()[0], form.emission_probs.round(3).tolist()[0]
    ([0.9, 0.05, 0.05], [0.85, 0.075, 0.075])
    """
    matrices, _, readout = arrays64(require_process("moore_form", process))
    total = matrices.sum(0)
    condition = float(np.linalg.cond(total))
    if condition > _CONDITION:
        return MooreForm(float("nan"), condition, None, None, None, None)
    diagonal = np.linalg.solve(total, matrices)
    commutator = _commutator(diagonal)
    # A mixture in which no two tokens weigh the same separates the states that emit differently.
    mixture = np.einsum("x,xij->ij", np.sqrt(np.arange(1, len(matrices) + 1)), diagonal)
    vectors = np.asarray(np.linalg.eig(mixture)[1])
    if abs(np.imag(vectors)).max() > 1e-6 or np.linalg.cond(vectors) > _CONDITION:
        return MooreForm(commutator, condition, None, None, None, None)
    vectors = np.real(vectors)
    # Columns scaled so that the readout becomes ones, P @ ones = w.
    vectors = vectors * np.linalg.solve(vectors, readout)
    if np.linalg.cond(vectors) > _CONDITION:
        return MooreForm(commutator, condition, None, None, None, None)
    turn = lambda matrix: np.linalg.solve(vectors, matrix @ vectors)
    moves, emissions = turn(total), np.stack([np.diagonal(turn(one)) for one in diagonal], 1)
    order = np.lexsort([*(-emissions.T.round(6))[::-1]])
    moves, emissions = moves[order][:, order], emissions[order]
    vertices = np.linalg.inv(vectors)[order]
    hidden = None
    least = min(moves.min(), emissions.min())
    if least >= -tolerance and commutator <= tolerance:
        moves_p, emissions_p = (_probabilities(part) for part in (moves, emissions))
        hidden = from_moore(_stationary(moves_p), moves_p, emissions_p)
    return MooreForm(commutator, condition, moves, emissions, hidden, vertices)


def _commutator(matrices: np.ndarray) -> float:
    norm = np.linalg.norm
    pairs = [(one, other) for at, one in enumerate(matrices) for other in matrices[:at]]
    sizes = [norm(one @ other - other @ one) / (norm(one) * norm(other)) for one, other in pairs]
    return float(max(sizes, default=0.0))


def _probabilities(matrix: np.ndarray) -> np.ndarray:
    positive = np.maximum(matrix, 0)
    return positive / positive.sum(1, keepdims=True)


def _stationary(moves: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eig(moves.T)
    found = np.real(vectors[:, abs(values - 1).argmin()])
    return found / found.sum()
