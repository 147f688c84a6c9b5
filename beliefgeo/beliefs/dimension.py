"""How many dimensions the beliefs of a process fill: a fractal dimension if there are infinitely many beliefs."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PRNGKeyArray

from beliefgeo.arrays import ArrayLike, contract
from beliefgeo.beliefs.causal_states import is_unifilar, merge_states, require_ergodic
from beliefgeo.beliefs.estimates import Estimate, interval
from beliefgeo.processes.process import Process
from beliefgeo.processes.sampling import sample

# A direction that shrinks below this in one token is lost, not contracted.
_LOST = 1e-13


class FittedDimension(NamedTuple):
    """The slope over scales with its standard error, and the points of the fit.

    Attributes:
        value: The slope.
        error: Its standard error.
        log_inverse_scales: ln of 1 / scale at each point of the fit.
        log_counts: What is fitted at each: ln of the number of boxes, or the information in nats.
    """

    value: float
    error: float
    log_inverse_scales: Float[np.ndarray, " scale"]
    log_counts: Float[np.ndarray, " scale"]


def lyapunov_exponents(
    key: PRNGKeyArray, process: Process, length: int = 5000, *, chains: int = 16
) -> tuple[Float[np.ndarray, " chain"], Float[np.ndarray, "chain exponent"]]:
    """The entropy rate and the S - 1 exponents of the belief maps along sampled trajectories, largest first.

    The growth rates mu_0 > mu_1 > .. of products of T^(x) give the entropy rate, -mu_0, and the rates mu_i - mu_0 at
    which the maps belief -> belief T^(x) / P(x | belief) contract; -inf where a token erases a direction.
    Jurgens & Crutchfield 2102.10487.

    Raises ValueError for a process that is not ergodic, or no tokens.
    """
    if length < 1 or chains < 1:
        raise ValueError(f"lyapunov_exponents needs length >= 1 and chains >= 1; got {length} and {chains}")
    wide = require_ergodic(process, "lyapunov_exponents")
    with jax.enable_x64(True):
        rates = np.asarray(_growth_rates(jax.random.split(key, chains), wide, length))
    return -rates[:, 0], rates[:, 1:] - rates[:, :1]


@eqx.filter_jit
def _growth_rates(keys: Key[Array, " chain"], process: Process, length: int) -> Float[Array, "chain state"]:
    """The mean log stretching of a moving orthonormal frame, which is orthonormalised again at every token."""

    def step(frame, token):
        frame, stretch = jnp.linalg.qr(contract("ji,jk->ik", process.transitions[token], frame))
        size = abs(jnp.diagonal(stretch))
        return frame, jnp.where(size > _LOST, jnp.log(size), -jnp.inf)

    # The first vector is a belief, which no token that occurs can erase.
    eye = jnp.eye(process.n_states, dtype=process.initial.dtype)
    frame = jnp.linalg.qr(jnp.concatenate([process.initial[:, None], eye], 1))[0]

    def one(key):
        return jax.lax.scan(step, frame, sample(key, process, length).tokens)[1].mean(0)

    return jax.vmap(one)(keys)


def statistical_complexity_dimension(
    key: PRNGKeyArray, process: Process, length: int = 5000, *, chains: int = 16
) -> Estimate:
    """The rate at which memory diverges with resolution, d = k + (h + sum_{i<=k} lambda_i) / |lambda_{k+1}|.

    k is the largest number of exponents that keeps the numerator nonnegative. The 95% interval is over chains. d is 0
    if the causal states are finitely many; if the images of the belief maps overlap, d is an upper bound (2105.07294).

    >>> from beliefgeo.processes.classical import mess3, z1r
    >>> statistical_complexity_dimension(jax.random.key(0), z1r(), 100).value
    0.0
    >>> bool(1 < statistical_complexity_dimension(jax.random.key(0), mess3(0.15, 0.6), 200).value <= 2)
    True
    """
    wide = require_ergodic(process, "statistical_complexity_dimension")
    if not wide.generalised and is_unifilar(merge_states(process)):  # also if an observer never synchronises
        return Estimate(0.0, 0.0, 0.0)
    rates, exponents = lyapunov_exponents(key, process, length, chains=chains)
    return interval(np.array([kaplan_yorke(*pair) for pair in zip(rates, exponents, strict=True)]))


def kaplan_yorke(entropy_rate: float, exponents: Float[np.ndarray, " exponent"]) -> float:
    """The formula of `statistical_complexity_dimension`, from an entropy rate and exponents in decreasing order.

    >>> kaplan_yorke(0.5, np.array([-0.25, -0.5]))
    1.5
    """
    remaining = entropy_rate + np.concatenate([[0], np.cumsum(exponents)])
    count = int((remaining >= 0).sum()) - 1  # the sums decrease, because every exponent is negative
    return float(count if count == len(exponents) else count + remaining[count] / -exponents[count])


def box_dimension(points: ArrayLike, scales: ArrayLike | None = None) -> FittedDimension:
    """The slope of ln N(s) against ln 1/s, N the number of boxes of side s that hold a point.

    Args:
        points: `[row, coordinate]`, such as `blackwell_samples` or simplex coordinates.
        scales: sides of the boxes as shares of the largest extent; default: powers of 1/2 down to boxes that hold ten
            points.

    Raises ValueError for fewer than 100 points, which show no scales, points that are NaN or infinite, or scales that
    are not shares.
    """
    return _slope(points, scales, lambda counts: np.log(len(counts)))


def information_dimension(points: ArrayLike, scales: ArrayLike | None = None) -> FittedDimension:
    """The slope of the entropy of the boxes' shares of points against ln 1/s; at most the box dimension.

    It has the arguments and errors of `box_dimension`. Boxes with one point bias the entropy, by (N - 1) / 2n to first
    order (Miller & Madow); this is corrected.

    >>> segment = np.random.default_rng(0).uniform(size=(10_000, 1))
    >>> round(information_dimension(segment).value, 1)
    1.0
    """
    entropy = lambda counts: -(counts / counts.sum()) @ np.log(counts / counts.sum())
    return _slope(points, scales, lambda counts: entropy(counts) + (len(counts) - 1) / (2 * counts.sum()))


def _slope(points: ArrayLike, scales: ArrayLike | None, measure) -> FittedDimension:
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or len(points) < 100:
        raise ValueError(f"a dimension needs points [row, coordinate], 100 or more; got shape {points.shape}")
    if wrong := int((~np.isfinite(points).all(1)).sum()):
        raise ValueError(f"points must be finite; {wrong} of {len(points)} rows are not: leave them out")
    extent = np.ptp(points, axis=0).max()
    if extent < 1e-9:
        return FittedDimension(0.0, 0.0, np.zeros(0), np.zeros(0))
    unit = (points - points.min(0)) / extent
    shares = 2.0 ** -np.arange(2, 24) if scales is None else np.asarray(scales, np.float64)
    if not ((shares > 0) & (shares <= 1)).all():
        raise ValueError(f"scales must be shares of the largest extent, above 0 and up to 1; got {scales}")
    measured = []
    for share in shares:
        counts = np.unique(np.floor(unit / share).astype(np.int64), axis=0, return_counts=True)[1]
        if scales is None and len(counts) > len(points) / 10:
            break
        measured.append((-np.log(share), measure(counts)))
    x, y = np.array(measured).reshape(-1, 2).T
    if len(x) < 3:
        raise ValueError(f"a dimension needs three scales or more; {len(points)} points resolve {len(x)}: sample more")
    centred = x - x.mean()
    slope = centred @ y / (centred @ centred)
    residual = y - y.mean() - slope * centred
    error = np.sqrt(residual @ residual / (len(x) - 2) / (centred @ centred))
    return FittedDimension(float(slope), float(error), x, y)
