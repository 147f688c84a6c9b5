"""What one attention layer can know: each token's evidence, carried on by the mean dynamics, and summed."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import ArrayLike, concrete, contract
from beliefgeo.processes.factored import Product
from beliefgeo.processes.given import check_tokens
from beliefgeo.processes.opaque import as_pytree
from beliefgeo.processes.process import Observer, Process, vocabulary


def constrained_beliefs(process: Observer, tokens: ArrayLike) -> Float[Array, "time_plus_1 state"]:
    """The constrained beliefs along one sequence, r_d = p_d + sum_{s <= d} (update(p_{s-1}, z_s) - p_s) T^(d - s).

    p_s is the belief of an observer who has read nothing, p_0 = initial and p_s = p_{s-1} T. If the initial belief is
    stationary, all p_s = pi, and this is the formula of the paper: r_d = pi + sum_s evidence[z_s] T^(d - s). From
    another start the paper's sum would grow with d; here the evidence is measured against p_s, as a layer that knows
    the position could do. r_0 and r_1 are exact beliefs. A later r_d is affine in the tokens: it may leave the simplex,
    and it does not notice a word that only the order of its tokens forbids. Evidence never fades if T has other
    eigenvalues of magnitude 1, as in a periodic process: r_d is then a random walk.

    T is `mean_belief`. It is linear in the belief of a `Process` and of a `Product`, where each factor alone carries
    its evidence. For another observer (a `FactorTree`) T may not be linear: then its derivative at p_s carries the
    evidence.

    Args:
        process: the process that is observed.
        tokens: `[time]` integers.

    Returns:
        `[time + 1, state]`, r_d after d tokens; NaN from the first token that p_s does not allow.

    Raises:
        ValueError: a token outside the vocabulary (NaN where traced).

    Source: Piotrowski et al., "Constrained belief updates explain geometric structures in transformer
    representations" (2502.01954).

    >>> from beliefgeo.processes.classical import golden_mean
    >>> constrained_beliefs(golden_mean(), [1, 0]).round(4).tolist()
    [[0.6667, 0.3333], [0.0, 1.0], [1.3333, -0.3333]]
    """
    process = as_pytree(process)
    tokens = check_tokens(process, tokens)
    if tokens.ndim != 1:
        raise ValueError(f"tokens must be one sequence [time]; got shape {tokens.shape}: use jax.vmap for a batch")
    return _constrained_beliefs(process, tokens)


@eqx.filter_jit
def _constrained_beliefs(process: Observer, tokens: Int[Array, " time"]) -> Float[Array, "time_plus_1 state"]:
    mean = lambda belief: mean_belief(process, belief)

    def step(carry, token):
        prior, deviation = carry
        following, carried = jax.jvp(mean, (prior,), (deviation,))
        deviation = carried + process.update(prior, token) - following
        return (following, deviation), following + deviation

    _, beliefs = jax.lax.scan(step, (process.initial, jnp.zeros_like(process.initial)), tokens)
    return jnp.concatenate([process.initial[None], beliefs])


def evidence(process: Observer) -> Float[Array, "token state"]:
    """What each token alone tells: update(initial, token) - initial T, the values of an ideal attention head.

    The rows average to zero under the law of a token; NaN for a token that cannot come first.

    >>> from beliefgeo.processes.classical import mess3
    >>> evidence(mess3())[0].round(4).tolist()
    [0.5167, -0.2583, -0.2583]
    """
    process = as_pytree(process)
    update = jax.vmap(process.update, (None, 0))
    return update(process.initial, jnp.arange(vocabulary(process))) - mean_belief(process, process.initial)[None]


def mean_belief(process: Observer, belief: ArrayLike) -> Float[Array, " state"]:
    """The belief expected after one more token, belief T = sum_x P(x | belief) update(belief, x).

    It is divided by its mass, which is 1 up to rounding, so that neither it nor its derivative drifts over many steps.
    Raises ValueError for a belief of a process that is not normalised or has another length, unless it is traced. A
    belief outside the simplex, such as a constrained belief, is allowed: the mean is linear.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> mean_belief(golden_mean(), [1.0, 0.0]).tolist()
    [0.5, 0.5]
    """
    process = as_pytree(process)
    belief = jnp.asarray(belief, process.initial.dtype)
    if isinstance(process, Process):
        _require_normalised(process, belief)
        moved = contract("i,xij->j", belief, process.transitions)
        return moved / contract("i,i->", moved, process.readout)
    if isinstance(process, Product):
        parts = zip(process.factors, process.split_belief(belief), strict=True)
        return jnp.concatenate([mean_belief(factor, part) for factor, part in parts])
    law = process.predict(belief)
    updated = jax.vmap(process.update, (None, 0))(belief, jnp.arange(len(law)))
    possible = jnp.where((law > 0)[:, None], updated, 0)  # an impossible token, of weight 0, gives NaN
    return contract("x,xi->i", law, possible) / law.sum()


def _require_normalised(process: Process, belief: Float[Array, " _"]) -> None:
    if belief.shape != process.initial.shape:
        raise ValueError(f"a belief of this process has {process.n_states} entries, one a state; got {belief.shape}")
    mass, size = concrete(contract("i,i->", belief, process.readout)), concrete(abs(belief).sum())
    if mass is not None and size is not None and abs(mass - 1) > 1e-5 * max(1, size):
        raise ValueError(
            f"a belief must be normalised, belief @ readout == 1 (a sum for an HMM); got {mass:.6g}: divide by it"
        )
