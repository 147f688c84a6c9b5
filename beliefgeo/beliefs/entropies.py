"""Entropies of words, in nats, by growing their tree: differentiable by the parameters of the process."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from beliefgeo.beliefs.trees import check_tree, expand_beliefs, levels
from beliefgeo.processes.opaque import as_pytree
from beliefgeo.processes.process import Observer


def myopic_entropies(process: Observer, length: int) -> Float[Array, " time"]:
    """H(X_{t+1} | X_1..X_t) for t = 0..length-1: the least possible loss after t tokens read.

    The mean over words of the entropy of the observer's prediction, sum_w P(w) H(P(. | belief_w)). A kernel:
    differentiable by the process. A network scored on its predictions after 1..10 tokens has the optimum
    `myopic_entropies(process, 11)[1:].mean()`.

    Raises:
        ValueError: a negative length, or more words than fit in memory.

    >>> from beliefgeo.processes.classical import mess3
    >>> myopic_entropies(mess3(), 3).round(4).tolist()
    [1.0986, 0.8577, 0.8134]
    """
    process = as_pytree(process)
    check_tree(process, length - 1 if length > 0 else length, "myopic_entropies")
    return _myopic_entropies(process, length)


@eqx.filter_jit
def _myopic_entropies(process: Observer, length: int) -> Float[Array, " time"]:
    terms = []
    for beliefs, probabilities in levels(process, length - 1) if length else []:
        possible = probabilities > 0
        laws = expand_beliefs(process, jnp.where(possible[:, None], beliefs, process.initial[None])).probabilities
        terms.append(jnp.sum(jnp.where(possible, probabilities * entropy(laws), 0)))
    return jnp.stack(terms) if terms else jnp.zeros(0, process.initial.dtype)


def block_entropies(process: Observer, length: int) -> Float[Array, " time"]:
    """H(X_1..X_L) for L = 0..length, by the chain rule from the myopic entropies.

    Raises:
        ValueError: a negative length, or more words than fit in memory.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> block_entropies(golden_mean(), 2).round(4).tolist()
    [0.0, 0.6365, 1.0986]
    """
    return jnp.cumulative_sum(myopic_entropies(process, length), include_initial=True)


def entropy(law: Float[Array, "*batch token"]) -> Float[Array, "*batch"]:
    """-sum p ln p over the last axis, with 0 ln 0 = 0 and gradients that stay finite there.

    >>> round(float(entropy(jnp.array([0.5, 0.5, 0.0]))), 4)
    0.6931
    """
    positive = jnp.where(law > 0, law, 1)
    return -jnp.sum(positive * jnp.log(positive), -1)


def entropy_float64(laws: Float[np.ndarray, "row token"]) -> Float[np.ndarray, " row"]:
    """`entropy` in NumPy, without entries that rounding brings below 0."""
    positive = np.where(laws > 0, laws, 1)
    return -np.sum(positive * np.log(positive), -1)
