"""The stationary law of a process, or of a composition of processes."""

from jaxtyping import Array, Float

from beliefgeo.processes.construct import chain_law_of, left_unit_eigenvector
from beliefgeo.processes.factored import joint
from beliefgeo.processes.process import Observer, Process


def stationary_distribution(process: Process | Observer) -> Float[Array, " state"]:
    """The left unit eigenvector pi T = pi with pi @ w == 1; exactly 0 at transient states; also for periodic chains.

    For an HMM every entry is right to a few roundings, however rarely the chain moves (`stationary.chain_law`). For a
    generalised process it is right to the rounding of T over the gap between its eigenvalue 1 and the next. A
    composition of processes has the stationary law of its `joint`.

    Raises:
        ValueError: (concrete values only; else NaN) a law that is not unique, as for a chain with several closed
        classes. TypeError: an observer that is neither a process nor made of processes.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> stationary_distribution(golden_mean(0.5)).round(4).tolist()
    [0.6667, 0.3333]
    """
    if not isinstance(process, Process):
        process = joint(process)
    if process.generalised:
        return left_unit_eigenvector(process.transitions.sum(0), process.readout)
    return chain_law_of(process.transitions)
