"""What hidden states know beyond the past tokens: exact definitions, and estimates over noise with their errors."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class Sums(NamedTuple):
    """Means over noise paths, from which all measures follow; with a leading axis of groups."""

    joint: tuple[Float[Array, "*group prefix vocab"], ...]
    """For each position, P(prefix, token)."""
    entropies: Float[Array, "*group position"]
    """H(X_t | h_t), nats."""
    squares: Float[Array, "*group position"]
    """E |p(. | h_t)|^2."""


class Knowledge(NamedTuple):
    """What the generator's hidden states know. Nats."""

    divergence: Any
    """KL from the true law of words to the generator's, nats a word."""
    excess: Any
    """H(X_t | past tokens) - H(X_t | h_t), both under the generator's law, mean over the positions of a word."""
    positions: Any
    """The same at each position."""
    explained: Any
    """The share of the variance of p(. | h_t) that is a function of the past tokens; the first position is left out."""
    shuffled_divergence: Any
    """The divergence if the hidden states of each position are shuffled among all words and noise paths."""
    shuffled_excess: Any
    """The excess knowledge of shuffled hidden states."""


def path_sums(log_laws: tuple[Float[Array, "prefix vocab"], ...]) -> Sums:
    """The sums of one noise path."""
    joint, entropies, squares, reached = [], [], [], jnp.zeros(1)
    for laws in log_laws:
        prefix = jnp.exp(reached)
        of_prefix = lambda values, prefix=prefix: (prefix * values).sum()
        entropies.append(of_prefix(-(jnp.exp(laws) * laws).sum(1)))
        squares.append(of_prefix((jnp.exp(laws) ** 2).sum(1)))
        joint.append(jnp.exp(reached[:, None] + laws))
        reached = (reached[:, None] + laws).reshape(-1)
    return Sums(tuple(joint), jnp.stack(entropies), jnp.stack(squares))


def knowledge(sums: Sums, truth: Float[np.ndarray, " word"]) -> Knowledge:
    """All measures, in float64.

    >>> uniform = path_sums((jnp.log(jnp.full((1, 2), 0.5)),) * 2)
    >>> round(float(knowledge(uniform, np.array([0.4, 0.1, 0.1, 0.4])).excess), 6)
    0.0
    """
    joint, entropies, squares = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), sums)
    blocks = np.array([0.0, *(entropy(one) for one in joint)])
    single = [one.sum(0) for one in joint]
    told = [(one**2 / one.sum(1, keepdims=True)).sum() - (law**2).sum() for one, law in zip(joint, single, strict=True)]
    spread = squares - [(law**2).sum() for law in single]
    independent = single[0]
    for law in single[1:]:
        independent = np.outer(independent, law).reshape(-1)
    excess = np.diff(blocks) - entropies
    alone = np.array([entropy(law) for law in single]) - entropies
    return Knowledge(
        _divergence(truth, joint[-1].reshape(-1)),
        excess.mean(),
        excess,
        sum(told[1:]) / spread[1:].sum() if spread[1:].sum() > 1e-9 else np.nan,
        _divergence(truth, independent),
        alone.mean(),
    )


def entropy(law: Float[np.ndarray, "..."]) -> float:
    """In nats."""
    return -float((law * np.log(np.where(law > 0, law, 1))).sum())


def _divergence(law: Float[np.ndarray, " word"], other: Float[np.ndarray, " word"]) -> float:
    return float((law * np.log(np.where(law > 0, law / other, 1))).sum())


def jackknife(groups: Any, measure: Callable[[Any], Any]) -> tuple[Any, Any]:
    """A measure of means over finitely many paths without its bias of first order, and its standard error.

    With theta of all groups and theta_g of all but group g: the value is G theta - (G - 1) mean_g theta_g, the variance
    (G - 1) / G sum_g (theta_g - mean)^2 (Quenouille 1956, Tukey 1958).
    """
    count = len(jax.tree.leaves(groups)[0])
    without = [measure(jax.tree.map(lambda leaf, g=g: np.delete(leaf, g, 0).mean(0), groups)) for g in range(count)]
    others = jax.tree.map(lambda *each: np.stack(each), *without)
    whole = measure(jax.tree.map(lambda leaf: leaf.mean(0), groups))
    value = jax.tree.map(lambda all_, some: count * all_ - (count - 1) * some.mean(0), whole, others)
    error = jax.tree.map(lambda some: np.sqrt((count - 1) * some.var(0)), others)
    return value, error
