"""Which axis is that of seeds: the one place that tells, so that no analysis guesses it."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from beliefgeo.reading.evaluation import Evaluation, Prefixes

# Evaluations of trained networks and of the same networks untrained, seeds on a leading axis of every leaf; or of one
# network each, as `evaluate` gives it, without that axis.
Networks = Mapping[str, Evaluation]


def with_seeds(network: Evaluation, prefixes: Prefixes) -> Evaluation:
    """An evaluation of one network or of several seeds, with seeds first in every leaf: the one place that tells which.

    Raises:
        ValueError: log_laws that are neither `[seed, row, token]` nor `[row, token]`, or a feature of other seeds or
            rows.

    >>> from beliefgeo.reading.evaluation import prefixes
    >>> from beliefgeo.beliefs.trees import words
    >>> from beliefgeo.processes.classical import coin
    >>> rows = prefixes(coin(0.5), words(coin(0.5), 2))
    >>> with_seeds(Evaluation(jnp.log(rows.laws), None), rows).log_laws.shape
    (1, 6, 2)
    """
    rows, tokens = prefixes.laws.shape
    if jnp.ndim(network.log_laws) == 2:
        network = jax.tree.map(lambda leaf: leaf[None], network)
    shape = jnp.shape(network.log_laws)
    if len(shape) != 3 or shape[1] != rows or shape[2] < tokens or not shape[0]:
        raise ValueError(
            f"log_laws must be [seed, row, token], or [row, token] of one network, for {rows} prefixes and {tokens} "
            f"tokens or more; got shape {shape}: evaluate the network on these prefixes"
        )
    for leaf in jax.tree.leaves(network.features):
        if jnp.shape(leaf)[:2] != shape[:2]:
            raise ValueError(f"features must be [seed, row, ...] like log_laws, {shape[:2]}; got {jnp.shape(leaf)}")
    return network
