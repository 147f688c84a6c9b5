"""The hidden Markov model behind a process whose tokens tell the state alone: the Moore form, where there is one."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from beliefgeo.discovery.models import arrays64
from beliefgeo.processes.construct import from_moore
from beliefgeo.processes.factored import require_process
from beliefgeo.processes.process import Observer, Process

# Beyond this condition number an inverse tells nothing.
_CONDITION = 1e6
# The number of mixtures of tokens whose eigenvectors are tried: in one mixture two states may weigh the same by chance.
_MIXTURES = 8


class MooreForm(NamedTuple):
    """Jointly diagonal matrices T^-1 T^(x), and what they say.

    Attributes:
        commutator: The largest |AB - BA| / (|A| |B|) of two of the matrices: 0 in a Moore form; always 0 with two
            tokens. NaN if T is singular.
        condition: The condition number of T: the larger, the less its inverse tells.
        off_diagonal: The share of the matrices off the diagonal in the best joint eigenvectors; NaN without real
            eigenvectors.
        transition_matrix: None if the matrices have no real joint eigenvectors, or if two states emit alike, which no
            token tells apart.
        emission_probs: Of each state, in decreasing order of the probability of token 0.
        process: The HMM, if the numbers are probabilities to within the tolerance; else None.
        vertices: Each state in the coordinates of the process given, with readout 1: the corners of a simplex that
            holds its beliefs.
    """

    commutator: float
    condition: float
    off_diagonal: float
    transition_matrix: Float[np.ndarray, "state next_state"] | None
    emission_probs: Float[np.ndarray, "state token"] | None
    process: Process | None
    vertices: Float[np.ndarray, "state coordinate"] | None


def moore_form(process: Observer, *, tolerance: float = 0.02) -> MooreForm:
    """The HMM whose states emit by themselves, T^(x) = T diag(B[:, x]), in which a generalised process can be written.

    Then T^-1 T^(x) = P diag(B[:, x]) P^-1 for all tokens x. P comes from the eigenvectors of a mixture of these
    matrices. Whether the token belongs to the state before or after the move does not matter: both have the same
    transition matrix and emissions. An HMM that emits on its edges has no such form in general, and is one of a
    continuum of equal processes.

    Args:
        process: such as `discover_process(futures).process`.
        tolerance: how far entries may lie outside 0 to 1, and the commutator and the share off the diagonal above 0,
            for the form to count as an HMM; states whose emissions are nearer to each other are not told apart.

    Raises:
        TypeError: a composition of processes that has no joint matrices.

    Source: joint diagonalisation, Anandkumar, Hsu & Kakade 2012 (1203.0683).

    >>> from beliefgeo.processes.classical import mess3
    >>> form = moore_form(mess3())
    >>> form.transition_matrix.round(3).tolist()[0], form.emission_probs.round(3).tolist()[0]
    ([0.9, 0.05, 0.05], [0.85, 0.075, 0.075])
    """
    matrices, initial, readout = arrays64(require_process("moore_form", process))
    total = matrices.sum(0)
    condition = float(np.linalg.cond(total))
    none = MooreForm(np.nan, condition, np.nan, None, None, None, None)
    if condition > _CONDITION:
        return none
    diagonal = np.linalg.solve(total, matrices)
    none = none._replace(commutator=_commutator(diagonal))
    vectors, off = _joint_eigenvectors(diagonal, readout)
    if vectors is None:
        return none
    turn = lambda matrix: np.linalg.solve(vectors, matrix @ vectors)
    moves, emissions = turn(total), np.stack([np.diagonal(turn(one)) for one in diagonal], 1)
    order = np.lexsort([*(-emissions.T.round(6))[::-1]])
    moves, emissions = moves[order][:, order], emissions[order]
    if _nearest(emissions) < tolerance:
        return none._replace(off_diagonal=off, emission_probs=emissions)
    vertices = np.linalg.inv(vectors)[order]
    hidden = None
    if min(moves.min(), emissions.min()) >= -tolerance and max(none.commutator, off) <= tolerance:
        moves_p, emissions_p = (_probabilities(part) for part in (moves, emissions))
        # In these coordinates a state moves first and then emits: the state that emits first has moved once.
        begun = _probabilities((initial @ vectors)[None, order] @ moves)[0]
        hidden = from_moore(begun, moves_p, emissions_p)
    return MooreForm(none.commutator, condition, off, moves, emissions, hidden, vertices)


def _joint_eigenvectors(matrices: np.ndarray, readout: np.ndarray) -> tuple[np.ndarray | None, float]:
    """Columns P with P @ ones = readout, the best of several mixtures, and the share off the diagonal."""
    mixtures = np.random.default_rng(0).normal(size=(_MIXTURES, len(matrices)))
    best, least = None, np.inf
    for mixture in mixtures:
        vectors = np.asarray(np.linalg.eig(np.einsum("x,xij->ij", mixture, matrices))[1])
        if abs(np.imag(vectors)).max() > 1e-6 or np.linalg.cond(vectors) > _CONDITION:
            continue
        vectors = np.real(vectors)
        vectors = vectors * np.linalg.solve(vectors, readout)
        if np.linalg.cond(vectors) > _CONDITION:
            continue
        turned = np.linalg.solve(vectors, matrices @ vectors)
        off = turned * (1 - np.eye(len(readout)))
        share = float(np.linalg.norm(off) / np.linalg.norm(turned))
        if share < least:
            best, least = vectors, share
    return best, least if best is not None else np.nan


def _commutator(matrices: np.ndarray) -> float:
    norm = np.linalg.norm
    pairs = [(one, other) for at, one in enumerate(matrices) for other in matrices[:at]]
    sizes = [norm(one @ other - other @ one) / (norm(one) * norm(other)) for one, other in pairs]
    return float(max(sizes, default=0.0))


def _nearest(emissions: np.ndarray) -> float:
    """The largest difference of any token's probability, between the two states that emit most alike."""
    apart = abs(emissions[:, None] - emissions).max(-1) + np.where(np.eye(len(emissions)), np.inf, 0)
    return float(apart.min())


def _probabilities(matrix: np.ndarray) -> np.ndarray:
    positive = np.maximum(matrix, 0)
    return positive / positive.sum(1, keepdims=True)
