"""The entropy rate and excess entropy of a process, in nats: exact, or between bounds that close with the length."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from beliefgeo.arrays import contract
from beliefgeo.beliefs.causal_states import InfiniteStates, epsilon_machine_float64, require_ergodic
from beliefgeo.beliefs.entropies import entropy, entropy_float64, myopic_entropies
from beliefgeo.beliefs.trees import check_tree
from beliefgeo.processes.factored import Product, require_process
from beliefgeo.processes.float64 import Matrices, as_float64
from beliefgeo.processes.process import Observer, Process

# The number of words in a tree that takes about a second.
_AFFORDABLE = 400_000
_GAP = 1e-6

# The largest number of entries in the matrices of these words: half a gigabyte in float64.
_MOST_ENTRIES = 2**26


def entropy_rate(process: Observer) -> float | Float[Array, ""]:
    """H(X_t | X_1..X_{t-1}) as t grows: the least possible loss after a long past.

    It is exact, sum_s pi_s H(X | s) over causal states, if these are finitely many; else it is the midpoint of
    `entropy_rate_bounds` once these are closer than 1e-6. For a traced process, to differentiate by its parameters, it
    is the midpoint of the bounds for the longest words that a second allows; their gap cannot be checked. For a
    `product` it is the sum over the factors, as is every measure below: information adds. For another composition it is
    the entropy rate of its joint.

    Raises:
        TypeError: an observer that is not made of processes: use `estimate_entropy_rate`.
        ValueError: bounds that stay further apart, naming the gap; a process that is not ergodic.

    >>> from beliefgeo.processes.classical import z1r
    >>> round(entropy_rate(z1r()) / jnp.log(2).item(), 4)
    0.3333
    """
    if isinstance(process, Product):
        return sum(entropy_rate(factor) for factor in process.factors)
    process = require_process("entropy_rate", process)
    affordable = min(_AFFORDABLE, _MOST_ENTRIES // process.n_states**2)
    longest = max(1, int(np.log(max(affordable, 1)) / np.log(max(2, process.vocab_size))))
    if isinstance(process.transitions, Tracer):
        return sum(entropy_rate_bounds(process, longest)) / 2
    if (machine := _finite_machine(process)) is not None:
        return machine_entropy_rate(machine)
    return _bracketed_rate(process, longest)


def _bracketed_rate(process: Process, longest: int) -> float:
    if process.generalised:
        raise ValueError(
            "the causal states of this generalised process are not finite and bounds need hidden states: use "
            "estimate_entropy_rate"
        )
    with jax.enable_x64(True):
        wide = as_float64(process)
        assert isinstance(wide, Process)
        for length in (longest // 2, longest):
            lower, upper = (float(bound) for bound in entropy_rate_bounds(wide, length))
            if upper - lower < _GAP:
                return (lower + upper) / 2
    raise ValueError(
        f"the entropy rate is known only to lie in {lower:.8f}..{upper:.8f}, {upper - lower:.1e} apart after words of "
        f"{longest} tokens: ask entropy_rate_bounds for longer ones, or use estimate_entropy_rate"
    )


def _finite_machine(process: Process, max_states: int = 2000) -> Matrices | None:
    try:
        return epsilon_machine_float64(process, max_states, "entropy_rate")
    except InfiniteStates:
        return None


def machine_entropy_rate(machine: Matrices) -> float:
    """sum_s pi_s H(X | s), of an epsilon-machine."""
    return float(machine.initial @ entropy_float64(machine.transitions.sum(2).T))


def entropy_rate_bounds(process: Observer, length: int) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """H(X_{L+1} | X_1..X_L, S_0) <= h <= H(X_{L+1} | X_1..X_L): exact, differentiable, closing with the length.

    It is a kernel for a process started in its stationary law. Cover & Thomas, theorem 4.5.1.

    Raises:
        ValueError: a generalised process, which has no hidden states; a negative length or too many words.

    >>> from beliefgeo.processes.classical import mess3
    >>> [round(float(bound), 4) for bound in entropy_rate_bounds(mess3(), 8)]
    [0.7935, 0.7935]
    """
    if isinstance(process, Product):
        lower, upper = zip(*[entropy_rate_bounds(factor, length) for factor in process.factors], strict=True)
        return jnp.stack(lower).sum(), jnp.stack(upper).sum()
    process = require_process("entropy_rate_bounds", process)
    if process.generalised:
        raise ValueError("entropy_rate_bounds needs the hidden states of an HMM; got a generalised process")
    check_tree(process, length, "entropy_rate_bounds", process.n_states)
    return _bounds(process, length)


@eqx.filter_jit
def _bounds(process: Process, length: int) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The bounds from P(end of the word, word | start) of all words: a few products of matrices, which compile fast."""
    from_state = word_matrices(process.transitions, length)
    upper = _next_entropy(process, contract("i,wij->wj", process.initial, from_state))
    lower = jax.vmap(_next_entropy, (None, 1))(process, from_state)
    return process.initial @ lower, upper


def word_matrices(transitions: Float[Array, "token state next_state"], length: int) -> Float[Array, "word state end"]:
    """T^(x_1) .. T^(x_L) of all words of a length in lexicographic order, by halves.

    >>> word_matrices(jnp.array([[[0.5]], [[0.25]]]), 2)[:, 0, 0].tolist()
    [0.25, 0.125, 0.125, 0.0625]
    """
    if length == 0:
        return jnp.eye(transitions.shape[1], dtype=transitions.dtype)[None]
    half = word_matrices(transitions, length // 2)
    first = half if length % 2 == 0 else _followed(half, transitions)
    return _followed(first, half)


def _followed(first: Float[Array, "word state end"], second: Float[Array, "then state end"]) -> Array:
    return contract("uij,vjk->uvik", first, second).reshape(-1, *first.shape[1:])


def _next_entropy(process: Process, joint: Float[Array, "word state"]) -> Float[Array, ""]:
    """sum over words of P(word) H(next token | word), from joint beliefs P(end, word)."""
    following = contract("wi,xij,j->wx", joint, process.transitions, process.readout)
    mass = following.sum(1)
    entropies = entropy(following / jnp.where(mass > 0, mass, 1)[:, None])
    # About their mean, because the derivatives of the probabilities of all words add up to 0 only nearly in float32.
    mean = jax.lax.stop_gradient(mass @ entropies)
    return mean + mass @ (entropies - mean)


def _started_entropies(process: Process, length: int) -> Float[Array, " time"]:
    """H(X_{t+1} | X_1..X_t, S_0): the myopic entropies of an observer who saw the hidden state at the start."""
    from_state = lambda start: myopic_entropies(eqx.tree_at(lambda p: p.initial, process, start), length)
    return process.initial @ jax.vmap(from_state)(jnp.eye(process.n_states, dtype=process.initial.dtype))


def excess_entropy_bounds(process: Observer, length: int) -> tuple[float, float]:
    """H(L) - L u_L <= E <= H(S_0) - sum over t < L of (l_L - l_t), for an HMM.

    l_t and u_t are the bounds of the entropy rate after t tokens. The upper bound closes only if the future tells the
    hidden state.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> [round(float(bound / np.log(2)), 3) for bound in excess_entropy_bounds(golden_mean(), 4)]
    [0.252, 0.918]
    """
    if isinstance(process, Product):
        lower, upper = zip(*[excess_entropy_bounds(factor, length) for factor in process.factors], strict=True)
        return sum(lower), sum(upper)
    process = require_process("excess_entropy_bounds", process)
    if process.generalised:
        raise ValueError("excess_entropy_bounds needs the hidden states of an HMM; got a generalised process")
    with jax.enable_x64(True):
        wide = require_ergodic(process, "excess_entropy_bounds")
        upper = np.asarray(myopic_entropies(wide, length + 1))
        lower = np.asarray(_started_entropies(wide, length + 1))
        start = float(entropy(wide.initial))
    return float((upper[:-1] - upper[-1]).sum()), float(start - (lower[-1] - lower[:-1]).sum())
