"""A process is one matrix per token: `transitions[token, state, next_state]` = P(token, next_state | state)."""

from collections.abc import Hashable
from os import PathLike
from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import contract, take
from beliefgeo.processes.saved import save_process


@runtime_checkable
class Observer(Protocol):
    """What sampling, filtering and trees need from a process; its belief is any vector that the process understands."""

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

    Construct it with `hmm`, `ghmm` or `from_moore`, which check their arguments, or with `from_edges`, which also names
    states and tokens.

    Attributes:
        transitions: P(token, next state given state).
        initial: The belief before the first token.
        readout: The right unit eigenvector w of T = sum_x T^(x), ones for an HMM; a belief b has b @ w == 1.
        generalised: False if no entry is negative: then nothing cancels, so nothing is checked for rounding.
        state_names: The names of hidden states, if they have any.
        token_names: The names of tokens, if they have any.
    """

    transitions: Float[Array, "token state next_state"]
    initial: Float[Array, " state"]
    readout: Float[Array, " state"]
    generalised: bool = eqx.field(static=True, default=True)
    state_names: tuple[Hashable, ...] | None = eqx.field(static=True, default=None)
    token_names: tuple[Hashable, ...] | None = eqx.field(static=True, default=None)

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
        """Write the process to a file for `beliefgeo.load_process`: readable text if the path ends in `.json`.

        Otherwise the file holds plain arrays (NumPy's npz). Both formats keep every bit, and the names.

        Raises:
            TypeError: a traced process; names that are not strings, numbers or tuples of these.
        """
        save_process(self, path)


def vocabulary(process: Observer) -> int:
    """The number of tokens, from the shape of a prediction."""
    return jax.eval_shape(process.predict, process.initial).shape[0]


def zero_below_rounding(value: Array, size: Array, n_terms: int) -> Array:
    """The probability, or 0 if it is below the rounding error of a sum of terms whose magnitudes add up to `size`.

    In a generalised process the terms of an impossible token cancel, which leaves +-1e-9 instead of 0. Errors of
    earlier tokens may make this residue larger; a negative residue still becomes 0, because of its sign. Nonnegative
    terms never cancel (value == size), so an HMM's probabilities stay unchanged, however small they are.
    """
    return jnp.where(value <= rounding(value, n_terms) * size, 0, value)


def rounding(value: Array, n_terms: int) -> float:
    """The relative rounding error of a sum of products of that many terms."""
    return 2 * n_terms * float(jnp.finfo(value.dtype).eps)


def normalise(joint: Array, probability: Array) -> Array:
    """joint / probability; NaN where the quotient is undefined, with gradients that stay finite elsewhere."""
    possible = probability > 0
    return jnp.where(possible, joint / jnp.where(possible, probability, 1), jnp.nan)
