"""Sampled measures, with 95% intervals, for processes without exact values."""

from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Key, PRNGKeyArray
from scipy.special import stdtrit

from beliefgeo.beliefs.entropies import entropy
from beliefgeo.processes.opaque import as_pytree
from beliefgeo.processes.process import Observer
from beliefgeo.processes.sampling import sample


class Estimate(NamedTuple):
    """A sampled value with its 95% interval.

    Attributes:
        value: The estimate.
        lower: The lower end of the 95% interval.
        upper: Its upper end.
    """

    value: float
    lower: float
    upper: float


def estimate_entropy_rate(
    key: PRNGKeyArray, process: Observer, length: int = 10_000, *, chains: int = 64, burn_in: int = 500
) -> Estimate:
    """The mean of H(X | belief) along sampled trajectories, with a 95% interval from independent chains.

    It works for any observer, finite or not. Raises ValueError for fewer than two chains, which have no interval.

    >>> from beliefgeo.processes.classical import mess3
    >>> estimate = estimate_entropy_rate(jax.random.key(0), mess3(), 100)
    >>> bool(estimate.lower < 0.7935 < estimate.upper)
    True
    """
    process = as_pytree(process)
    means = np.asarray(_mean_uncertainties(jax.random.split(key, chains), process, length, burn_in), np.float64)
    return interval(means)


@eqx.filter_jit
def _mean_uncertainties(
    keys: Key[Array, " chain"], process: Observer, length: int, burn_in: int
) -> Float[Array, " chain"]:
    def one(key):
        beliefs = sample(key, process, burn_in + length).beliefs[burn_in:-1]
        return entropy(jax.vmap(process.predict)(beliefs)).mean()

    return jax.lax.map(one, keys)


def interval(values: Float[np.ndarray, " chain"]) -> Estimate:
    """The mean of independent values and its 95% interval by Student's t; raises ValueError for fewer than two."""
    if len(values) < 2:
        raise ValueError(f"an interval needs two values or more, one a chain; got {len(values)}: raise chains")
    mean, error = values.mean(), values.std(ddof=1) / np.sqrt(len(values))
    reach = stdtrit(len(values) - 1, 0.975) * error
    return Estimate(float(mean), float(mean - reach), float(mean + reach))
