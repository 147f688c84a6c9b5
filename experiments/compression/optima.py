"""The best that any network can do whose last layer has few numbers: found by optimisation, in float64.

The logits of a network are an affine map of the `rank` numbers that reach its unembedding. These numbers may be any
function of the past. So the least loss at this width is that of the best laws

    Q(. | past) = softmax(code(past) @ readout + bias),    code [past, rank] free,

whatever the layers below: the softmax bottleneck of Yang et al. 1711.03953. A code that is linear in the belief is a
special case, and a worse one: the logarithm of a law is not linear in the belief.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import minimize

# L-BFGS stops where a step lowers the loss by less than about this (nats), or where the gradient is this small.
_OPTIONS = {"maxcor": 40, "maxiter": 2000, "maxfun": 3000, "ftol": 1e-13, "gtol": 1e-8}

# Newton's method for the code of each past: the most steps, and the step (in nats of loss still to gain) that ends it.
_STEPS, _ENOUGH = 60, 1e-14


class Optimum(NamedTuple):
    """The best laws found, in nats above the entropy of the true laws, and the code that gives them.

    Attributes:
        gap: The mean of KL(law || best law).
        code: What is kept of each past; it has fewer columns than the rank where fewer are enough for a gap of 0.
        gaps: The gap at the end of each search.
    """

    gap: float
    code: Float[np.ndarray, "row rank"]
    gaps: Float[np.ndarray, " start"]


def best_codes(
    laws: Float[np.ndarray, "row token"],
    weights: Float[np.ndarray, " row"],
    ranks: tuple[int, ...],
    *,
    starts: int = 3,
    seed: int = 0,
) -> dict[int, Optimum]:
    """The least mean KL(law || softmax(code @ readout + bias)) over codes `[row, rank]` and readouts, for each rank.

    For a given readout the best code of each past is found by Newton's method: that problem is convex. What is left, a
    function of the readout alone, is minimised by L-BFGS. It is not convex, so there are several starts: the singular
    vectors of the log-laws, the best readout of the rank before with one direction more, and random directions. The
    lowest end is kept: the least gap found, and certainly the least where it is 0.

    Args:
        laws: positive everywhere; each sums to 1.
        weights: of the rows, at any scale.
        ranks: increasing.
        starts: the number of random starts.
        seed: draws them.

    Raises:
        ValueError: ranks that are not increasing and 0 or more; laws that are not positive.
    """
    if not ranks or min(ranks) < 0 or any(np.diff(ranks) <= 0):
        raise ValueError(f"ranks must increase from 0 or more; got {ranks}")
    if not (laws > 0).all():
        raise ValueError(
            f"laws must be positive, else the best logits are infinite; got {int((laws <= 0).sum())} entries of 0: "
            "take a process whose tokens are always possible"
        )
    shares, random, found = weights / weights.sum(), np.random.default_rng(seed), {}
    bias, directions = _singular(laws, shares)
    before = directions[:0]
    for rank in ranks:
        own = directions[:rank]
        begin = [own]
        if rank < len(directions):  # else the singular vectors give the laws themselves
            begin += [np.concatenate([before, own[len(before) :]])] if len(before) else []
            begin += [random.normal(size=own.shape) for _ in range(starts if rank else 0)]
        ends = [_search(laws, shares, np.concatenate([one, bias[None]])) for one in begin]
        gaps = np.array([gap for gap, _, _ in ends])
        gap, code, readout = ends[gaps.argmin()]
        found[rank], before = Optimum(gap, code, gaps), readout[:-1]
    return found


def readout_gap(
    laws: Float[np.ndarray, "row token"], weights: Float[np.ndarray, " row"], code: Float[np.ndarray, "row rank"]
) -> float:
    """The least mean KL(law || softmax(code @ readout + bias)) for this code: convex, so no search is better."""
    shares = weights / weights.sum()
    code = _white(code, shares)
    bias = np.log(shares @ laws)
    begin = np.concatenate([np.zeros((code.shape[1], len(bias))), bias[None]])
    with jax.enable_x64(True):
        given = [jnp.asarray(one) for one in (laws, shares, code)]
        loss = lambda flat: _readout_loss(flat.reshape(begin.shape), *given)
        end = _minimise(loss, begin)
    return float(end.fun) - _entropy(laws, shares)


def _search(laws: np.ndarray, shares: np.ndarray, begin: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Gap, code and readout at the end of the search that begins with this readout, its bias last."""
    if len(begin) == 1:
        return readout_gap(laws, shares, np.zeros((len(laws), 0))), np.zeros((len(laws), 0)), begin
    log_laws = np.log(laws) - begin[-1]
    code = (log_laws - log_laws.mean(1, keepdims=True)) @ np.linalg.pinv(begin[:-1] - begin[:-1].mean(1, keepdims=True))
    with jax.enable_x64(True):
        target, weight, state = jnp.asarray(laws), jnp.asarray(shares), jnp.asarray(code)

        def loss(flat: np.ndarray) -> tuple[Array, Array]:
            nonlocal state  # Newton's method begins at the codes of the readout before: it then takes few steps
            readout = jnp.asarray(flat.reshape(begin.shape))
            state = _codes(readout, target, state)
            return _readout_loss(readout, target, weight, state)

        end = _minimise(loss, begin)
        loss(end.x)
    return float(end.fun) - _entropy(laws, shares), np.asarray(state), end.x.reshape(begin.shape)


def _minimise(loss: Callable[[np.ndarray], tuple[Array, Array]], begin: np.ndarray):
    numbers = lambda flat: tuple(np.asarray(one, np.float64).reshape(-1).squeeze() for one in loss(flat))
    return minimize(numbers, begin.ravel(), jac=True, method="L-BFGS-B", options=_OPTIONS)


@jax.jit
@jax.value_and_grad
def _readout_loss(readout: Array, laws: Array, shares: Array, code: Array) -> Array:
    """The mean cross-entropy. At the best codes its gradient is that of the loss of the readout alone (envelope)."""
    return -shares @ (laws * jax.nn.log_softmax(code @ readout[:-1] + readout[-1][None])).sum(1)


@jax.jit
def _codes(
    readout: Float[Array, "rank_plus_1 token"], laws: Float[Array, "row token"], code: Float[Array, "row rank"]
) -> Float[Array, "row rank"]:
    """The best code of each past for this readout, by damped Newton steps from the given codes."""
    kernel, bias = readout[:-1], readout[-1]
    tiny = 1e-12 * jnp.eye(len(kernel)) * jnp.square(kernel).sum()

    def step(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        code, _, count = state
        found = jax.nn.softmax(code @ kernel + bias[None])
        slope = (found - laws) @ kernel.T
        mean = found @ kernel.T
        bend = jnp.einsum("rt,it,jt->rij", found, kernel, kernel) - mean[:, :, None] * mean[:, None] + tiny[None]
        move = jnp.linalg.solve(bend, slope[..., None])[..., 0]
        gain = (move * slope).sum(1)
        # Far from the optimum a whole step overshoots; the damped step always descends, and tends to a whole step.
        span = abs(move @ kernel).max(1)
        return code - move / (1 + span)[:, None], gain.max(), count + 1

    return jax.lax.while_loop(
        lambda state: (state[1] > _ENOUGH) & (state[2] < _STEPS), step, (code, jnp.float64(1), jnp.int32(0))
    )[0]


def _entropy(laws: np.ndarray, shares: np.ndarray) -> float:
    return float(-(shares @ (laws * np.log(laws)).sum(1)))


def _singular(laws: np.ndarray, shares: np.ndarray) -> tuple[Float[np.ndarray, " token"], np.ndarray]:
    """The mean log-law, and the directions in which log-laws vary, in units of their spread, widest first."""
    log_laws = np.log(laws)
    centred = log_laws - log_laws.mean(1, keepdims=True)
    bias = shares @ centred
    _, sizes, directions = np.linalg.svd(np.sqrt(shares)[:, None] * (centred - bias), full_matrices=False)
    kept = sizes > 1e-9 * sizes.max()
    return bias, directions[kept]


def _white(code: Float[np.ndarray, "row rank"], shares: np.ndarray) -> Float[np.ndarray, "row rank"]:
    """The code in uncorrelated coordinates of variance 1, without those that do not vary."""
    if not code.shape[1]:
        return code
    centred = code - shares @ code
    _, sizes, directions = np.linalg.svd(np.sqrt(shares)[:, None] * centred, full_matrices=False)
    kept = sizes > 1e-7 * max(sizes.max(), 1e-300)
    return centred @ directions[kept].T / sizes[kept]
