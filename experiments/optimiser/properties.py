"""What one network is besides its loss: how well it holds the belief, and what might predict that it does."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from descent import kinds
from jaxtyping import Array, Float, PRNGKeyArray
from soap import as_matrix

from beliefgeo import probes, reading
from beliefgeo.networks.network import Network
from beliefgeo.reading import Reading, Rows
from beliefgeo.reading.sites import concatenated

# The steps of power iteration for the sharpness.
_ITERATIONS = 15
# Words on which the curvature is taken, at most.
WORDS = 64


class Properties(NamedTuple):
    """A network at a moment of its training; numbers, or `Seeds` of them.

    Attributes:
        gap: The exact loss above the optimum, nats a token.
        unexplained: The share of the variance of beliefs that a held-out linear probe of all sites leaves, by
            probability, as the loss counts.
        window: The number of last tokens of which the best function leaves as much.
        features: The participation ratio of the activations: (sum of variances)^2 / sum of squares, a soft rank.
        weights: The mean over matrices between layers of the same ratio of their squared singular values.
        norm: The length of all matrices between layers as one vector.
        sharpness: The largest eigenvalue of the Hessian of the exact loss.
    """

    gap: Any
    unexplained: Any
    window: Any
    features: Any
    weights: Any
    norm: Any
    sharpness: Any


PREDICTORS = ("features", "weights", "norm", "sharpness")


def of_network(network: Network, seen: Reading, rows: Rows, few: Rows) -> Properties:
    """The properties of one network.

    Args:
        network: without its params.
        seen: its reading, with params.
        rows: the rows that were read.
        few: the words on which the curvature is taken.
    """
    features = concatenated(seen.features)
    held = probes.held_out(features, rows, rows.probabilities)
    matrices = [
        np.asarray(as_matrix(param), np.float64)
        for kind, param in zip(jax.tree.leaves(kinds(seen.params)), jax.tree.leaves(seen.params), strict=True)
        if kind == "matrix"
    ]
    return Properties(
        float(reading.loss_gap(rows, seen.log_laws).mean()),
        held.unexplained,
        held.window,
        participation(_covariance(np.asarray(features, np.float64), rows.probabilities)),
        np.mean([participation(matrix.T @ matrix) for matrix in matrices]),
        np.sqrt(sum((matrix**2).sum() for matrix in matrices)),
        float(_sharpness(network, seen.params, *_targets(few))),
    )


def participation(squares: Float[np.ndarray, "column column"]) -> float:
    """(sum of eigenvalues)^2 / sum of their squares = trace^2 / |C|^2: n if n are equal and the others 0."""
    return float(np.trace(squares) ** 2 / (squares**2).sum())


def _covariance(features: Float[np.ndarray, "row feature"], weights: Float[np.ndarray, " row"]) -> np.ndarray:
    shares = weights / weights.sum()
    centred = features - shares @ features
    return (shares[:, None] * centred).T @ centred


def shuffled(key: PRNGKeyArray, seen: Reading, rows: Rows) -> float:
    """The held-out R2 of beliefs after other words of the same length."""
    targets = probes.shuffle_beliefs(key, rows.beliefs, rows.length)
    return probes.held_out(concatenated(seen.features), rows, rows.probabilities, targets=targets).r2


def _targets(rows: Rows) -> tuple[Any, ...]:
    weights = rows.probabilities / rows.tokens.shape[1]
    return jnp.asarray(rows.tokens), rows.word, rows.position, jnp.asarray(rows.laws, jnp.float32), weights


@jax.jit(static_argnums=0)
def _sharpness(
    network: Network, params: Any, tokens: Array, word: Array, position: Array, laws: Array, weights: Array
) -> Float[Array, ""]:
    """Power iteration: v <- H v / |H v|, from the gradient's direction; the last v . H v."""

    def loss(params: Any) -> Float[Array, ""]:
        logits, _ = jax.vmap(network.apply, (None, 0))(params, tokens)
        return weights @ optax.softmax_cross_entropy(logits[word, position], laws)

    slope = jax.grad(loss)
    unit = lambda tree: jax.tree.map(lambda leaf: leaf / optax.tree.norm(tree), tree)
    curved = lambda along: jax.jvp(slope, (params,), (along,))[1]
    along = jax.lax.fori_loop(0, _ITERATIONS, lambda _, along: unit(curved(along)), unit(slope(params)))
    return jnp.asarray(optax.tree.vdot(along, curved(along)))
