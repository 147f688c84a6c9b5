"""A process is one matrix per token: `transitions[token, state, next_state]` = P(token, next_state | state)."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

# What a public function accepts as an array: JAX, NumPy, Python scalars, tracers and nested lists.
ArrayLike = jax.typing.ArrayLike | Sequence[Any]

# A parameter: a Python or NumPy number, an array without axes, or a tracer to differentiate by.
Number = jax.typing.ArrayLike


@runtime_checkable
class Observer(Protocol):
    """What sampling, filtering and trees need of a process; its belief is any vector the process understands."""

    @property
    def initial(self) -> Float[Array, " state"]:
        """The belief before any token."""
        ...

    def predict(self, belief: Float[Array, " state"]) -> Float[Array, " token"]:
        """The law of the next token."""
        ...

    def update(self, belief: Float[Array, " state"], token: Int[Array, ""]) -> Float[Array, " state"]:
        """The belief after the token."""
        ...


class Process(eqx.Module):
    """A classical or generalised hidden Markov process.

    `readout` is the right unit eigenvector w of T = sum_x T^(x), ones for an HMM; a belief b has b @ w == 1.
    `generalised` is False where no entry is negative: nothing cancels then, so nothing is checked for rounding.
    Construct with `hmm`, `ghmm` or `from_moore`, which check what they are given.
    """

    transitions: Float[Array, "token state next_state"]
    initial: Float[Array, " state"]
    readout: Float[Array, " state"]
    generalised: bool = eqx.field(static=True, default=True)

    @property
    def vocab_size(self) -> int:
        """The number of tokens V."""
        return self.transitions.shape[-3]

    @property
    def n_states(self) -> int:
        """The number of hidden states S."""
        return self.transitions.shape[-1]

    def predict(self, belief: Float[Array, " state"]) -> Float[Array, " token"]:
        """P(token | belief) = belief T^(token) w."""
        law = contract("i,xij,j->x", belief, self.transitions, self.readout)
        if not self.generalised:
            return law
        size = contract("i,xij,j->x", abs(belief), abs(self.transitions), abs(self.readout))
        return zero_below_rounding(law, size, self.n_states)

    def update(self, belief: Float[Array, " state"], token: Int[Array, ""]) -> Float[Array, " state"]:
        """belief T^(token) / P(token | belief); NaN where the token is impossible or outside the vocabulary."""
        joint = contract("i,ij->j", belief, take(self.transitions, token))
        return normalise(joint, take(self.predict(belief), token))


def vocabulary(process: Observer) -> int:
    """The number of tokens, from the shape of a prediction."""
    return jax.eval_shape(process.predict, process.initial).shape[0]


def contract(subscripts: str, *operands: Array) -> Array:
    """`einsum` at full precision: the default of an accelerator keeps 3 digits of a float32 product."""
    return jnp.einsum(subscripts, *operands, precision="highest")


def take(array: Array, token: Int[Array, ""]) -> Array:
    """`array[token]`, NaN outside the vocabulary (a plain gather would clamp, or wrap a negative token)."""
    return array.at[token].get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)


def zero_below_rounding(value: Array, size: Array, n_terms: int) -> Array:
    """A probability, 0 where below the rounding error of a sum of terms whose magnitudes add up to `size`.

    A generalised process reaches an impossible token by cancellation, which leaves +-1e-9 instead of 0; where errors of
    earlier tokens add to it, a negative one is told by its sign. Nonnegative terms never cancel (value == size), so an
    HMM's probabilities pass unchanged however small they are.
    """
    return jnp.where(value <= rounding(value, n_terms) * size, 0, value)


def rounding(value: Array, n_terms: int) -> float:
    """The relative rounding error of a sum of products of that many terms."""
    return 2 * n_terms * float(jnp.finfo(value.dtype).eps)


def normalise(joint: Array, probability: Array) -> Array:
    """joint / probability, NaN where that is undefined, with gradients that stay finite elsewhere."""
    possible = probability > 0
    return jnp.where(possible, joint / jnp.where(possible, probability, 1), jnp.nan)


def hmm(transitions: ArrayLike, initial: ArrayLike | None = None) -> Process:
    """A hidden Markov process from `transitions[token, state, next_state]` = P(token, next_state | state).

    Args:
        transitions: `[token, state, next_state]`, nonnegative, each state's entries summing to 1.
        initial: `[state]`, the hidden state's law before the first token; default: the stationary distribution.

    Raises:
        ValueError: (concrete values only) wrong rank, NaN, a negative entry, a state that does not sum to 1, an
            initial law of the wrong length or sum, no initial law where the stationary one is not unique.

    >>> coin = hmm([[[0.25]], [[0.75]]])
    >>> coin.predict(coin.initial).tolist()
    [0.25, 0.75]
    """
    matrices = _check_transitions(transitions)
    if matrices is not None:
        _check_probabilities(matrices)
        _check_rows(matrices)
    ones = lambda total: jnp.ones(total.shape[0], total.dtype)
    process = _assemble(transitions, initial, ones, generalised=False)
    if initial is not None and (values := concrete(initial)) is not None and (values < 0).any():
        raise ValueError(f"initial must be nonnegative; got {values.min():g} at state {values.argmin()}")
    return process


def ghmm(transitions: ArrayLike, initial: ArrayLike | None = None, readout: ArrayLike | None = None) -> Process:
    """A generalised hidden Markov process: entries may be negative, the probabilities of words may not.

    Args:
        transitions: `[token, state, next_state]`, whose sum over tokens T has spectral radius 1.
        initial: `[state]` with initial @ readout == 1; default: the left unit eigenvector of T.
        readout: `[state]`, the right unit eigenvector of T; default: computed, largest entry +1. One given at
            another scale is brought to this one, and initial with it.

    Raises:
        ValueError: (concrete values only) wrong rank, NaN, spectral radius other than 1, a readout that is not a
            right unit eigenvector, an initial vector of the wrong length or normalisation, or not unique, a word of
            up to 8 tokens with a negative probability (fewer where words are very many).

    >>> process = ghmm([[[0.7, 0.0], [0.0, 0.2]], [[0.3, 0.0], [0.0, 0.5]]], initial=[1.0, 0.0])
    >>> process.readout.tolist()
    [1.0, 0.0]
    """
    matrices = _check_transitions(transitions)
    if matrices is not None:
        radius = abs(np.linalg.eigvals(matrices.sum(0))).max()
        if abs(radius - 1) > 1e-5:
            raise ValueError(
                f"the sum of transitions over tokens must have spectral radius 1; got {radius:.6g}: divide "
                "transitions by it"
            )
    if initial is not None and readout is not None:
        given = as_floats(readout)
        initial = as_floats(initial) * given[jnp.argmax(abs(given))]
    process = _assemble(transitions, initial, lambda total: _readout(total, readout), generalised=True)
    if not is_traced(process):
        from beliefgeo.processes.word_probabilities import check_word_probabilities  # which needs a Process

        check_word_probabilities(process)
    return process


def from_moore(initial: ArrayLike | None, transition_matrix: ArrayLike, emission_probs: ArrayLike) -> Process:
    """The current state emits, then moves: T^(x)[i, j] = B[i, x] A[i, j].

    Args:
        initial: `[state]`, or None for the stationary distribution.
        transition_matrix: A `[state, next_state]`.
        emission_probs: B `[state, token]`.

    Raises:
        ValueError: see `hmm`; also where A and B do not have the same number of states.

    >>> from_moore([1.0, 0.0], [[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]).transitions[0].tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    moves, emissions = as_floats(transition_matrix), as_floats(emission_probs)
    if moves.ndim != 2 or emissions.ndim != 2 or moves.shape != (emissions.shape[0],) * 2:
        raise ValueError(
            "from_moore needs transition_matrix [state, next_state] and emission_probs [state, token] with the same "
            f"number of states; got shapes {moves.shape} and {emissions.shape}"
        )
    return hmm(jnp.einsum("ix,ij->xij", emissions, moves), initial)


def stationary_distribution(process: Process) -> Float[Array, " state"]:
    """The left unit eigenvector pi T = pi with pi @ w == 1, by one linear solve (periodic chains too).

    pi (I - T + w w^T) = w^T has pi as its only solution exactly when the eigenvalue 1 of T is simple.

    Raises:
        ValueError: (concrete values only) where it is not unique, as for a chain with several closed classes.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> stationary_distribution(golden_mean(0.5)).round(4).tolist()
    [0.6667, 0.3333]
    """
    total = process.transitions.sum(0)
    if (matrix := concrete(total)) is not None:
        # The entries carry the rounding of their dtype, so smaller singular values cannot be told from zero.
        tolerance = 8 * len(matrix) * jnp.finfo(total.dtype).eps
        rank = np.linalg.matrix_rank(np.eye(len(matrix)) - matrix, tol=tolerance)
        if rank < len(matrix) - 1:
            raise ValueError(
                f"the stationary distribution is not unique: the chain is reducible, with {len(matrix) - rank} "
                "closed classes; pass initial, the law of the hidden state before the first token"
            )
    return _left_unit_eigenvector(total, process.readout)


@jax.jit  # here and below: compiled operation by operation, a process would take half a second the first time
def _left_unit_eigenvector(total: Float[Array, "state state"], readout: Float[Array, " state"]) -> Array:
    system = jnp.eye(len(readout), dtype=total.dtype) - total + jnp.outer(readout, readout)
    return jnp.linalg.solve(system.T, readout)


def _readout(total: Float[Array, "state state"], readout: ArrayLike | None) -> Float[Array, " state"]:
    """The right unit eigenvector: the null direction of T - I, largest entry +1."""
    if readout is None:
        vector = _null_direction(total)
    else:
        vector = as_floats(readout).astype(total.dtype)
        if vector.shape != total.shape[:1]:
            raise ValueError(f"readout must have one entry per state ({total.shape[0]}); got shape {vector.shape}")
    vector = _scale_to_largest(vector)
    if (error := concrete(total @ vector - vector)) is not None and abs(error).max() > 1e-5:
        raise ValueError(
            "readout must be a right unit eigenvector of the sum of transitions over tokens; T @ readout differs from "
            f"readout by {abs(error).max():.2g}: leave it out to have it computed"
        )
    return vector


@jax.jit
def _null_direction(total: Float[Array, "state state"]) -> Float[Array, " state"]:
    return jnp.linalg.svd(total - jnp.eye(len(total), dtype=total.dtype))[2][-1]


@jax.jit
def _scale_to_largest(vector: Float[Array, " state"]) -> Float[Array, " state"]:
    largest = jnp.argmax(abs(vector))
    return (vector / vector[largest]).at[largest].set(1)  # XLA's v / v may be 1 - 1e-7


def _assemble(transitions: ArrayLike, initial: ArrayLike | None, readout_of: Any, *, generalised: bool) -> Process:
    matrices = as_floats(transitions)
    readout = readout_of(matrices.sum(0))
    if initial is None:
        process = Process(matrices, jnp.zeros_like(readout), readout, generalised)
        return Process(matrices, stationary_distribution(process), readout, generalised)
    vector = as_floats(initial).astype(matrices.dtype)
    if vector.shape != readout.shape:
        raise ValueError(f"initial must have one entry per state ({len(readout)}); got shape {vector.shape}")
    if (mass := concrete(vector @ readout)) is not None and not abs(mass - 1) <= 1e-5:
        raise ValueError(f"initial must be normalised, initial @ readout == 1 (a sum for an HMM); got {mass:.6g}")
    return Process(matrices, vector, readout, generalised)


def as_floats(values: ArrayLike) -> Array:
    """Any array-like as a floating array of its own precision (the default one for integers and lists)."""
    array = jnp.asarray(values)
    return array.astype(jnp.result_type(array.dtype, float))


def concrete(values: ArrayLike) -> np.ndarray | None:
    """The values in float64 where they are known now, None while they are traced (and not to be checked)."""
    return None if is_traced(values) else np.asarray(values, np.float64)


def is_traced(values: Any) -> bool:
    """Whether any number of an array-like or process is traced, and so not to be checked."""
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(values))


def require_between(who: str, name: str, value: ArrayLike, low: float | int, high: float | int) -> None:
    """Raise `who needs low <= name <= high; got name=value` unless it holds or the value is traced."""
    values = concrete(value)
    if values is not None and not np.all((low <= values) & (values <= high)):
        bounds = [Fraction(bound).limit_denominator(1000) if np.isfinite(bound) else bound for bound in (low, high)]
        raise ValueError(f"{who} needs {bounds[0]} <= {name} <= {bounds[1]}; got {name}={value}")


def _check_transitions(transitions: ArrayLike) -> np.ndarray | None:
    shape = jnp.shape(transitions) if not isinstance(transitions, Sequence) else jnp.asarray(transitions).shape
    if len(shape) != 3 or shape[1] != shape[2] or 0 in shape:
        raise ValueError(f"transitions must have shape [token, state, next_state], both states alike; got {shape}")
    matrices = concrete(transitions)
    if matrices is not None and not np.isfinite(matrices).all():
        token, state, next_state = np.argwhere(~np.isfinite(matrices))[0]
        raise ValueError(
            f"transitions must be finite; entry [{token}, {state}, {next_state}] is "
            f"{matrices[token, state, next_state]}"
        )
    return matrices


def _check_probabilities(matrices: np.ndarray) -> None:
    if (matrices < 0).any():
        token, state, next_state = np.argwhere(matrices < 0)[0]
        raise ValueError(
            f"transitions must be nonnegative; entry [{token}, {state}, {next_state}] is "
            f"{matrices[token, state, next_state]:g}: for a generalised process use ghmm"
        )


def _check_rows(matrices: np.ndarray) -> None:
    sums = matrices.sum((0, 2))
    state = abs(sums - 1).argmax()
    if abs(sums[state] - 1) > 1e-5:
        raise ValueError(
            "transitions must sum to 1 over (token, next_state) for each state; "
            f"state {state} sums to {sums[state]:.6g}"
        )
