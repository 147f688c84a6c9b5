"""Factors in a row, where each factor's token chooses how the next factor moves: a `FactorTree` without branches.

Source: Shai et al. 2602.02385.
"""

from collections.abc import Sequence

from beliefgeo.processes.factor_tree import FactorTree, check_factors
from beliefgeo.processes.process import Observer


def chain(factors: Sequence[Observer | Sequence[Observer]]) -> FactorTree:
    """Factors in a row: at each time step the token of each factor chooses the transitions of the next factor.

    Args:
        factors: an observer, then, for each later factor, one process per token of the factor before. These are alike
            in states, tokens, initial belief and readout (give them the same `initial` if their stationary laws
            differ).

    Raises:
        ValueError: no factors; a later factor with the wrong number of processes, or with processes that are not alike.
        TypeError: a first factor that is not an observer.

    >>> from beliefgeo.processes.classical import coin
    >>> two_coins = chain([coin(0.6), [coin(0.7), coin(0.2)]])
    >>> two_coins.predict(two_coins.initial).round(4).tolist()
    [0.42, 0.18, 0.08, 0.32]
    """
    if not len(factors):
        raise ValueError("chain needs one factor or more; got none")
    parents = tuple(range(-1, len(factors) - 1))
    return FactorTree(check_factors("chain", factors, parents, "token of the factor before"), parents)
