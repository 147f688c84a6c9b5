"""A process is one matrix per token: `transitions[token, state, next_state]` = P(token, next_state | state)."""

from collections.abc import Sequence
from fractions import Fraction
from os import PathLike
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from beliefgeo.processes.stationary import chain_law, left_unit_vector, nearest_unit_vector

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

    def save(self, path: str | PathLike) -> None:
        """Write the process to a file of plain arrays (NumPy's npz), for `beliefgeo.load_process`.

        Raises:
            TypeError: a traced process.
        """
        from beliefgeo.processes.saved import save_process  # which needs a Process

        save_process(self, path)


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
        transitions: `[token, state, next_state]`, nonnegative, each state's entries summing to 1 within 1e-5, by which
            they are divided.
        initial: `[state]`, the hidden state's law before the first token, divided by its sum in the same way; default:
            the stationary distribution.

    Raises:
        ValueError: (concrete values only) wrong rank, NaN, a negative entry, one too small for the precision, a state
            that does not sum to 1, an initial law of the wrong length or sum, no initial law where the stationary one
            is not unique.

    >>> coin = hmm([[[0.25]], [[0.75]]])
    >>> coin.predict(coin.initial).tolist()
    [0.25, 0.75]
    """
    matrices = _check_transitions(transitions)
    dtype = as_floats(transitions).dtype
    if matrices is None:
        rows = as_floats(transitions)
        rows = rows / rows.sum((0, 2))[None, :, None]
    else:
        _check_probabilities("transitions", matrices, dtype)
        _check_rows(matrices)
        rows = _normalise_rows(matrices, dtype)
    readout = jnp.ones(rows.shape[1], dtype)
    if initial is None:
        return Process(rows, _chain_law(rows), readout, generalised=False)
    if (law := concrete(initial)) is not None:
        if (law < 0).any():
            raise ValueError(f"initial must be nonnegative; got {law.min():g} at state {law.argmin()}")
        _check_probabilities("initial", law, dtype)
    return Process(rows, _normalise_initial(initial, readout), readout, generalised=False)


def ghmm(transitions: ArrayLike, initial: ArrayLike | None = None, readout: ArrayLike | None = None) -> Process:
    """A generalised hidden Markov process: entries may be negative, the probabilities of words may not.

    Args:
        transitions: `[token, state, next_state]`, whose sum over tokens T has spectral radius 1 within 1e-5, by which
            they are divided.
        initial: `[state]` with initial @ readout == 1 within 1e-5, by which it is divided; default: the left unit
            eigenvector of T, right to the rounding of T over the gap between its eigenvalue 1 and the next.
        readout: `[state]`, the right unit eigenvector of T within 1e-5; the nearest exact one is taken. Default:
            computed, largest entry +1. One given at another scale is brought to this one, and initial with it.

    Raises:
        ValueError: (concrete values only) wrong rank, NaN, spectral radius other than 1, a readout that is not a
            right unit eigenvector, an initial vector of the wrong length or normalisation, or not unique, a word of
            up to 8 tokens with a negative probability (fewer where words are very many).

    >>> process = ghmm([[[0.7, 0.0], [0.0, 0.2]], [[0.3, 0.0], [0.0, 0.5]]], initial=[1.0, 0.0])
    >>> process.readout.tolist()
    [1.0, 0.0]
    """
    values = _check_transitions(transitions)
    matrices = as_floats(transitions)
    if values is not None:
        radius = abs(np.linalg.eigvals(values.sum(0))).max()
        if abs(radius - 1) > 1e-5:
            raise ValueError(
                f"the sum of transitions over tokens must have spectral radius 1; got {radius:.6g}: divide "
                "transitions by it"
            )
        if abs(radius - 1) > jnp.finfo(matrices.dtype).eps / 2:
            matrices = jnp.asarray(values / radius, matrices.dtype)
    if initial is not None and readout is not None:
        given = as_floats(readout)
        initial = as_floats(initial) * given[jnp.argmax(abs(given))]
    vector = _readout(matrices.sum(0), readout)
    if initial is None:
        start = _left_unit_eigenvector(matrices.sum(0), vector)
    else:
        start = _normalise_initial(initial, vector)
    process = Process(matrices, start, vector, generalised=True)
    if not is_traced(process):
        from beliefgeo.processes.word_probabilities import check_word_probabilities  # which needs a Process

        check_word_probabilities(process)
    return process


def from_moore(initial: ArrayLike | None, transition_matrix: ArrayLike, emission_probs: ArrayLike) -> Process:
    """The current state emits, then moves: T^(x)[i, j] = B[i, x] A[i, j].

    Args:
        initial: `[state]`, or None for the stationary distribution.
        transition_matrix: A `[state, next_state]`, rows summing to 1.
        emission_probs: B `[state, token]`, rows summing to 1.

    Raises:
        ValueError: see `hmm`; also where A and B do not have the same number of states, or rows of one do not sum to 1.

    >>> from_moore([1.0, 0.0], [[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]).transitions[0].tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    moves, emissions = as_floats(transition_matrix), as_floats(emission_probs)
    if moves.ndim != 2 or emissions.ndim != 2 or moves.shape != (emissions.shape[0],) * 2:
        raise ValueError(
            "from_moore needs transition_matrix [state, next_state] and emission_probs [state, token] with the same "
            f"number of states; got shapes {moves.shape} and {emissions.shape}"
        )
    if is_traced((moves, emissions)):
        return hmm(jnp.einsum("ix,ij->xij", emissions, moves), initial)
    parts = {
        "emission_probs": np.asarray(emission_probs, float),
        "transition_matrix": np.asarray(transition_matrix, float),
    }
    for name, part in parts.items():
        _check_probabilities(name, part, moves.dtype)
        if (off := abs(part.sum(1) - 1)).max() > 1e-5:
            raise ValueError(
                f"{name} must have rows that sum to 1; row {off.argmax()} sums to {part[off.argmax()].sum():.6g}"
            )
    emitted, moved = (part / part.sum(1, keepdims=True) for part in parts.values())
    dtype = jnp.result_type(moves, emissions)
    product = emitted.T[:, :, None] * moved[None]  # in float64: a product may be below what the precision holds
    _check_probabilities("transitions", product, dtype)
    return hmm(jnp.asarray(_normalise_rows(product, dtype)), initial)


def stationary_distribution(process: "Process | Observer") -> Float[Array, " state"]:
    """The left unit eigenvector pi T = pi with pi @ w == 1; exactly 0 at transient states, periodic chains too.

    Of an HMM every entry is right to a few roundings, however rarely the chain moves (`stationary.chain_law`); of a
    generalised process, to the rounding of T over the gap between its eigenvalue 1 and the next. Of a composition of
    processes it is that of its `joint`.

    Raises:
        ValueError: (concrete values only; else NaN) where it is not unique, as for a chain with several closed classes.
        TypeError: an observer that is neither a process nor made of processes.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> stationary_distribution(golden_mean(0.5)).round(4).tolist()
    [0.6667, 0.3333]
    """
    if not isinstance(process, Process):
        from beliefgeo.processes.factored import joint  # which needs a Process

        process = joint(process)
    if process.generalised:
        return _left_unit_eigenvector(process.transitions.sum(0), process.readout)
    return _chain_law(process.transitions)


def _chain_law(transitions: Float[Array, "token state next_state"]) -> Float[Array, " state"]:
    if (values := concrete(transitions)) is None:
        return chain_law(transitions.sum(0))[0]
    with jax.enable_x64(True):
        law, classes = (np.asarray(part) for part in chain_law(jnp.asarray(values.sum(0))))
    if classes != 1:
        raise ValueError(
            f"the stationary distribution is not unique: the chain is reducible, with {classes} closed classes; pass "
            "initial, the law of the hidden state before the first token"
        )
    _check_probabilities("the stationary distribution", law, transitions.dtype)
    return jnp.asarray(law, transitions.dtype)


def _left_unit_eigenvector(total: Float[Array, "state state"], readout: Float[Array, " state"]) -> Array:
    """Pi (I - T + w w^T) = w^T has pi as its only solution exactly when the eigenvalue 1 of T is simple."""
    if is_traced((total, readout)):
        system = jnp.eye(len(readout), dtype=total.dtype) - total + jnp.outer(readout, readout)
        return jnp.linalg.solve(system.T, readout)
    vector, dimension = left_unit_vector(np.asarray(total, np.float64), float(jnp.finfo(total.dtype).eps))
    if dimension > 1 or not abs(mass := vector @ np.asarray(readout, np.float64)) > jnp.finfo(total.dtype).eps:
        raise ValueError(
            f"the stationary distribution is not unique: the eigenvalue 1 has {dimension} eigenvectors, one for each "
            "closed class; pass initial, the belief before the first token"
        )
    return jnp.asarray(vector / mass, total.dtype)


def _readout(total: Float[Array, "state state"], readout: ArrayLike | None) -> Float[Array, " state"]:
    """The right unit eigenvector, largest entry +1; of one that is given, within 1e-5, the nearest exact one."""
    if readout is None:
        vector = _null_direction(total)
    else:
        vector = as_floats(readout).astype(total.dtype)
        if vector.shape != total.shape[:1]:
            raise ValueError(f"readout must have one entry per state ({total.shape[0]}); got shape {vector.shape}")
    vector = _scale_to_largest(vector)
    if (error := concrete(total @ vector - vector)) is not None:
        if abs(error).max() > 1e-5:
            raise ValueError(
                "readout must be a right unit eigenvector of the sum of transitions over tokens; T @ readout differs "
                f"from readout by {abs(error).max():.2g}: leave it out to have it computed"
            )
        if abs(error).max() > len(vector) * jnp.finfo(total.dtype).eps:
            exact = nearest_unit_vector(np.asarray(total, np.float64), np.asarray(vector, np.float64))
            vector = jnp.asarray(exact / exact[abs(exact).argmax()], total.dtype)
    return vector


@jax.jit  # here and below: compiled operation by operation, a process would take half a second the first time
def _null_direction(total: Float[Array, "state state"]) -> Float[Array, " state"]:
    return jnp.linalg.svd(total - jnp.eye(len(total), dtype=total.dtype))[2][-1]


@jax.jit
def _scale_to_largest(vector: Float[Array, " state"]) -> Float[Array, " state"]:
    largest = jnp.argmax(abs(vector))
    return (vector / vector[largest]).at[largest].set(1)  # XLA's v / v may be 1 - 1e-7


def _normalise_rows(matrices: np.ndarray, dtype: Any) -> Array:
    """Rows divided by their sums, those apart that are 1 to the rounding of their precision: they stay as they are."""
    sums = matrices.sum((0, 2))
    sums = np.where(abs(sums - 1) <= jnp.finfo(dtype).eps / 2, 1, sums)
    return jnp.asarray(matrices / sums[None, :, None], dtype)


def _normalise_initial(initial: ArrayLike, readout: Float[Array, " state"]) -> Float[Array, " state"]:
    """Initial / (initial @ readout), which must be 1 within 1e-5."""
    vector = as_floats(initial).astype(readout.dtype)
    if vector.shape != readout.shape:
        raise ValueError(f"initial must have one entry per state ({len(readout)}); got shape {vector.shape}")
    mass = vector @ readout
    if (value := concrete(mass)) is not None:
        if not abs(value - 1) <= 1e-5:
            raise ValueError(f"initial must be normalised, initial @ readout == 1 (a sum for an HMM); got {value:.6g}")
        if abs(value - 1) <= len(readout) * jnp.finfo(readout.dtype).eps / 2:
            return vector
    return vector / mass


def as_floats(values: ArrayLike) -> Array:
    """Any array-like as a floating array of its own precision (the default one for integers and lists)."""
    array = jnp.asarray(values)
    return array.astype(jnp.result_type(array.dtype, float))


def as_integers(name: str, values: ArrayLike) -> Array | np.ndarray:
    """An array of integers as it is given, not yet cast: int32 would read 2^32 + 1 as 1.

    Raises:
        ValueError: ragged lists.
        TypeError: anything but integers; an empty list passes.
    """
    if isinstance(values, jax.Array):
        array = values
    else:
        try:
            array = np.asarray(values)
        except ValueError as error:
            raise ValueError(
                f"{name} must be an array; got rows of different lengths: pad them to one length and give lengths"
            ) from error
    if not jnp.issubdtype(array.dtype, jnp.integer) and array.size:
        raise TypeError(f"{name} must be integers; got {array.dtype}")
    return array


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


def _check_probabilities(name: str, values: np.ndarray, dtype: Any) -> None:
    """Raise for a negative probability, and for one that counts as 0 in its precision."""
    least = float(jnp.finfo(dtype).tiny)
    if (wrong := np.argwhere((values < 0) | ((values > 0) & (values < least)))).size:
        where = wrong[0].tolist()
        entry, value = where if len(where) > 1 else where[0], values[tuple(where)]
        if value < 0:
            raise ValueError(
                f"{name} must be nonnegative; entry {entry} is {value:g}: for a generalised process use ghmm"
            )
        raise ValueError(
            f"{name} must be 0 or at least {least:.3g}, the least {jnp.dtype(dtype).name}; entry {entry} is "
            f"{value:.3g}: make it 0, or use float64 (jax.enable_x64)"
        )


def _check_rows(matrices: np.ndarray) -> None:
    sums = matrices.sum((0, 2))
    state = abs(sums - 1).argmax()
    if abs(sums[state] - 1) > 1e-5:
        raise ValueError(
            "transitions must sum to 1 over (token, next_state) for each state; "
            f"state {state} sums to {sums[state]:.6g}"
        )
