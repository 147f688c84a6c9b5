"""Processes from matrices: `hmm`, `ghmm` and `from_moore` check their arguments and normalise what they accept."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from beliefgeo.arrays import ArrayLike, as_floats, concrete, is_traced
from beliefgeo.processes.process import Process
from beliefgeo.processes.stationary import chain_law, chain_law_float64, left_unit_vector, nearest_unit_vector
from beliefgeo.processes.word_probabilities import check_word_probabilities


def hmm(transitions: ArrayLike, initial: ArrayLike | None = None) -> Process:
    """A hidden Markov process from `transitions[token, state, next_state]` = P(token, next_state | state).

    Args:
        transitions: `[token, state, next_state]`, nonnegative. The sum of each state's entries is 1 within 1e-5, and
            the entries are divided by it.
        initial: `[state]`, the hidden state's law before the first token, divided by its sum in the same way; default:
            the stationary distribution.

    Raises:
        ValueError: (concrete values only) wrong rank, NaN, a negative entry, an entry too small for the precision, a
            state that does not sum to 1, an initial law of the wrong length or sum, no initial law if the stationary
            law is not unique.

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
        return Process(rows, chain_law_of(rows), readout, generalised=False)
    if (law := concrete(initial)) is not None:
        if (law < 0).any():
            raise ValueError(f"initial must be nonnegative; got {law.min():g} at state {law.argmin()}")
        _check_probabilities("initial", law, dtype)
    return Process(rows, _normalise_initial(initial, readout), readout, generalised=False)


def ghmm(transitions: ArrayLike, initial: ArrayLike | None = None, readout: ArrayLike | None = None) -> Process:
    """A generalised hidden Markov process: its entries may be negative, but not the probabilities of its words.

    Args:
        transitions: `[token, state, next_state]`. The sum T over tokens has spectral radius 1 within 1e-5, and the
            transitions are divided by that radius.
        initial: `[state]` with initial @ readout == 1 within 1e-5; it is divided by that product. Default: the left
            unit eigenvector of T, right to the rounding of T over the gap between its eigenvalue 1 and the next.
        readout: `[state]`, the right unit eigenvector of T within 1e-5; the nearest exact eigenvector is used. Default:
            it is computed, with largest entry +1. A readout of another scale is rescaled to this, and initial with it.

    Raises:
        ValueError: (concrete values only) wrong rank, NaN, spectral radius other than 1, a readout that is not a
            right unit eigenvector, an initial vector of the wrong length or normalisation, no initial vector if it is
            not unique, a word of up to 8 tokens with a negative probability (fewer tokens if words are very many).

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
        start = left_unit_eigenvector(matrices.sum(0), vector)
    else:
        start = _normalise_initial(initial, vector)
    process = Process(matrices, start, vector, generalised=True)
    if not is_traced(process):
        check_word_probabilities(process)
    return process


def from_moore(initial: ArrayLike | None, transition_matrix: ArrayLike, emission_probs: ArrayLike) -> Process:
    """The current state emits, then moves: T^(x)[i, j] = B[i, x] A[i, j].

    Args:
        initial: `[state]`, or None for the stationary distribution.
        transition_matrix: A `[state, next_state]`, rows summing to 1.
        emission_probs: B `[state, token]`, rows summing to 1.

    Raises:
        ValueError: see `hmm`; also if A and B have different numbers of states, or if rows of A or B do not sum to 1.

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
    product = emitted.T[:, :, None] * moved[None]  # in float64: a product may be too small for the precision
    _check_probabilities("transitions", product, dtype)
    return hmm(jnp.asarray(_normalise_rows(product, dtype)), initial)


def check_numbers(process: Process) -> None:
    """Raise unless the numbers are those of a process; nothing is normalised or changed.

    They are finite, and initial @ readout is 1. In an HMM probabilities are not negative, sum to 1 for each state, and
    the readout is all ones. A generalised process may be one that was learnt, whose longer words are not probabilities.

    Raises:
        ValueError: numbers that the constructors refuse.
    """
    transitions, initial, readout = (
        np.asarray(leaf, np.float64) for leaf in (process.transitions, process.initial, process.readout)
    )
    _check_transitions(transitions)
    for name, vector in (("initial", initial), ("readout", readout)):
        if not np.isfinite(vector).all():
            raise ValueError(f"{name} must be finite; got {vector.tolist()}")
    if not process.generalised:
        _check_probabilities("transitions", transitions, np.float64)
        _check_probabilities("initial", initial, np.float64)
        _check_rows(transitions)
        if abs(readout - 1).max() > 1e-5:
            raise ValueError(f"the readout of an HMM must be all ones; got {readout.tolist()}")
    _normalise_initial(initial, jnp.asarray(readout))


def chain_law_of(transitions: Float[Array, "token state next_state"]) -> Float[Array, " state"]:
    """The stationary law of an HMM's hidden chain; raises ValueError if a concrete chain has several."""
    if (values := concrete(transitions)) is None:
        return chain_law(transitions.sum(0))[0]
    law, classes = chain_law_float64(values.sum(0))
    if classes != 1:
        raise ValueError(
            f"the stationary distribution is not unique: the chain is reducible, with {classes} closed classes; pass "
            "initial, the law of the hidden state before the first token"
        )
    _check_probabilities("the stationary distribution", law, transitions.dtype)
    return jnp.asarray(law, transitions.dtype)


def left_unit_eigenvector(total: Float[Array, "state state"], readout: Float[Array, " state"]) -> Array:
    """The solution pi of pi (I - T + w w^T) = w^T, which is unique exactly when the eigenvalue 1 of T is simple."""
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
    """The right unit eigenvector with largest entry +1; for a given readout the nearest exact one, within 1e-5."""
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


@jax.jit  # here and below: compiled operation by operation, the first process would take half a second
def _null_direction(total: Float[Array, "state state"]) -> Float[Array, " state"]:
    return jnp.linalg.svd(total - jnp.eye(len(total), dtype=total.dtype))[2][-1]


@jax.jit
def _scale_to_largest(vector: Float[Array, " state"]) -> Float[Array, " state"]:
    largest = jnp.argmax(abs(vector))
    return (vector / vector[largest]).at[largest].set(1)  # XLA's v / v may be 1 - 1e-7


def _normalise_rows(matrices: np.ndarray, dtype: Any) -> Array:
    """Rows divided by their sums; a row stays as it is if its sum is 1 to the rounding of its precision."""
    sums = matrices.sum((0, 2))
    sums = np.where(abs(sums - 1) <= jnp.finfo(dtype).eps / 2, 1, sums)
    return jnp.asarray(matrices / sums[None, :, None], dtype)


def _normalise_initial(initial: ArrayLike, readout: Float[Array, " state"]) -> Float[Array, " state"]:
    """initial / (initial @ readout); the product must be 1 within 1e-5."""
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
    """Raise for a negative probability, and for a positive probability that counts as 0 in its precision."""
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
