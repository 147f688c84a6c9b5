"""Measures of what a process remembers, in nats, from its causal states and the beliefs of an observer over them.

Riechers & Crutchfield, "Spectral simplicity of apparent complexity" I and II (1705.08042, 1706.00883).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.sparse import block_array, eye_array
from scipy.sparse.linalg import spsolve

from beliefgeo.beliefs.causal_states import epsilon_machine_float64
from beliefgeo.beliefs.entropies import entropy_float64
from beliefgeo.beliefs.information import machine_entropy_rate
from beliefgeo.beliefs.mixed_states import (
    MixedStatePresentation,
    next_token_entropies,
    presentation_float64,
    transition_matrix,
)
from beliefgeo.processes.factored import Product
from beliefgeo.processes.float64 import Matrices
from beliefgeo.processes.process import Observer

# Up to this number of mixed states a dense solve is faster than a sparse one.
_DENSE = 300


class Measures(NamedTuple):
    """What `information_measures` returns, in nats; each is explained by the function of its name.

    Attributes:
        entropy_rate: h.
        statistical_complexity: C_mu.
        excess_entropy: E.
        crypticity: C_mu - E.
        transient_information: T.
        synchronization_information: S.
    """

    entropy_rate: float
    statistical_complexity: float
    excess_entropy: float
    crypticity: float
    transient_information: float
    synchronization_information: float


def information_measures(process: Observer) -> Measures:
    """All measures of a process from one epsilon-machine, in the time that one of them takes by itself.

    Raises:
        ValueError: infinitely many causal states, or beliefs over them; a process that is not ergodic.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> (np.array(information_measures(golden_mean())) / np.log(2)).round(4).tolist()
    [0.6667, 0.9183, 0.2516, 0.6667, 0.2516, 0.9183]
    """
    if isinstance(process, Product):
        return Measures(*np.sum([information_measures(factor) for factor in process.factors], 0).tolist())
    machine = epsilon_machine_float64(process)
    presentation = _synchronizing(machine, "information_measures")
    drazin, complexity = _drazin(presentation), _complexity(machine)
    excess = drazin(next_token_entropies(presentation))
    transient, unsynchronized = drazin(excess)[0], drazin(entropy_float64(presentation.beliefs))[0]
    of_memory = complexity, float(excess[0]), complexity - float(excess[0])
    return Measures(machine_entropy_rate(machine), *of_memory, float(transient), float(unsynchronized))


def excess_entropy(process: Observer) -> float:
    """E = I(past; future) = mu_0 D H_x = sum over L >= 0 of (h_L - h).

    D = (I - W + 1 pi_W)^-1 - 1 pi_W, the Drazin inverse of I - W, W the moves between mixed states.

    Raises:
        ValueError: a mixed-state presentation that is not finite: use `excess_entropy_bounds`.

    >>> from beliefgeo.processes.classical import even
    >>> round(float(excess_entropy(even()) / np.log(2)), 4)
    0.9183
    """
    if isinstance(process, Product):
        return sum(excess_entropy(factor) for factor in process.factors)
    presentation = _synchronizing(epsilon_machine_float64(process), "excess_entropy")
    return float(_drazin(presentation)(next_token_entropies(presentation))[0])


def transient_information(process: Observer) -> float:
    """T = mu_0 D^2 H_x = sum over L >= 0 of [E + h L - H(L)]: how much is uncertain before the observer synchronises.

    Raises ValueError as `excess_entropy`.

    >>> from beliefgeo.processes.classical import rrxor
    >>> round(float(transient_information(rrxor()) / np.log(2)), 4)
    12.7431
    """
    if isinstance(process, Product):
        return sum(transient_information(factor) for factor in process.factors)
    presentation = _synchronizing(epsilon_machine_float64(process), "transient_information")
    drazin = _drazin(presentation)
    return float(drazin(drazin(next_token_entropies(presentation)))[0])


def synchronization_information(process: Observer) -> float:
    """S = mu_0 D H_eta = sum over L >= 0 of the mean entropy of the belief over causal states after L tokens.

    Raises ValueError if the observer does not synchronise, as `excess_entropy`.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> round(float(synchronization_information(golden_mean()) / np.log(2)), 4)
    0.9183
    """
    if isinstance(process, Product):
        return sum(synchronization_information(factor) for factor in process.factors)
    presentation = _synchronizing(epsilon_machine_float64(process), "synchronization_information")
    return float(_drazin(presentation)(entropy_float64(presentation.beliefs))[0])


def statistical_complexity(process: Observer) -> float:
    """C_mu, the entropy of the stationary law over causal states: the memory of an ideal observer.

    Raises:
        ValueError: infinitely many causal states: see `statistical_complexity_dimension`.

    >>> from beliefgeo.processes.classical import z1r
    >>> round(float(statistical_complexity(z1r()) / np.log(2)), 4)
    1.585
    """
    if isinstance(process, Product):
        return sum(statistical_complexity(factor) for factor in process.factors)
    return _complexity(epsilon_machine_float64(process))


def crypticity(process: Observer) -> float:
    """C_mu - E, what the causal state remembers that the future never shows.

    Raises ValueError as `statistical_complexity` and `excess_entropy`.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> round(float(crypticity(golden_mean()) / np.log(2)), 4)
    0.6667
    """
    if isinstance(process, Product):
        return sum(crypticity(factor) for factor in process.factors)
    machine = epsilon_machine_float64(process)
    presentation = _synchronizing(machine, "crypticity")
    return _complexity(machine) - float(_drazin(presentation)(next_token_entropies(presentation))[0])


def _complexity(machine: Matrices) -> float:
    return float(entropy_float64(machine.initial[None])[0])


def _synchronizing(machine: Matrices, who: str, max_states: int = 20_000) -> MixedStatePresentation:
    """The mixed states over causal states; raises unless they are finitely many."""
    presentation = presentation_float64(machine, max_states=max_states)
    if presentation.truncated:
        raise ValueError(
            f"{who} needs finitely many beliefs over causal states; {len(presentation.beliefs):,} were reached after "
            f"{presentation.depth.max()} tokens: use block_entropies, excess_entropy_bounds or estimate_entropy_rate"
        )
    return presentation


def _drazin(presentation: MixedStatePresentation) -> Callable[[np.ndarray], Float[np.ndarray, " mixed"]]:
    """v -> D v: the y with (I - W) y = v - 1 pi_W v and pi_W y = 0."""
    ones = np.ones((len(presentation.beliefs), 1))
    if len(ones) <= _DENSE:
        stays = np.eye(len(ones))
        source, token = np.nonzero(presentation.successors >= 0)
        np.subtract.at(
            stays, (source, presentation.successors[source, token]), presentation.probabilities[source, token]
        )
        law = np.linalg.solve(stays.T + 1, ones[:, 0])  # pi (I - W + 1 1^T) = 1^T
        inverse = np.linalg.inv(stays + law)
        return lambda values: inverse @ (values - law @ values)
    stays = eye_array(len(ones)) - transition_matrix(presentation)
    bordered = block_array([[stays, ones], [_stationary(presentation)[None], None]], format="csc")
    return lambda values: np.asarray(spsolve(bordered, np.append(values, 0)))[:-1]


def _stationary(presentation: MixedStatePresentation) -> Float[np.ndarray, " mixed"]:
    """The stationary law over mixed states, on the recurrent states: pi (I - W) = 0, sum pi = 1."""
    recurrent = np.flatnonzero(presentation.recurrent)
    moves = transition_matrix(presentation)[recurrent][:, recurrent]
    ones = np.ones((len(recurrent), 1))
    bordered = block_array([[eye_array(len(recurrent)) - moves.T, ones], [ones.T, None]], format="csc")
    law = np.zeros(len(presentation.beliefs))
    law[recurrent] = np.asarray(spsolve(bordered, np.append(np.zeros(len(recurrent)), 1)))[:-1]
    return law
