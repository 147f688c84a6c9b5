"""A small process written out, one scalar per state and token.

Under `vmap` an array `[state]` becomes rows of three; a scalar becomes one long contiguous vector, and the same
arithmetic runs several times faster. Worth it only where V S^2 is small: the compiled code grows with it.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from beliefgeo.processes.process import Observer, Process, normalise, zero_below_rounding

_MOST_ENTRIES = 64

Scalars = tuple[Float[Array, ""], ...]


class ScalarProcess:
    """`Process` with beliefs and laws as tuples of scalars."""

    def __init__(self, process: Process):
        """Split the matrices of `process` into scalars."""
        self.initial: Scalars = tuple(process.initial)
        self.readout: Scalars = tuple(process.readout)
        self.transitions = [[list(row) for row in matrix] for matrix in process.transitions]
        self.evidence = [list(row) for row in process.transitions @ process.readout]
        self.evidence_sizes = [list(row) for row in abs(process.transitions) @ abs(process.readout)]

    @classmethod
    def of(cls, process: Observer) -> "ScalarProcess | None":
        """The scalar form where it pays, else None."""
        if isinstance(process, Process) and process.transitions.size <= _MOST_ENTRIES:
            return cls(process)
        return None

    def predict(self, belief: Scalars) -> Scalars:
        """P(token | belief), as `Process.predict`."""
        magnitudes = [abs(entry) for entry in belief]
        return tuple(
            zero_below_rounding(_dot(belief, evidence), _dot(magnitudes, size), len(belief))
            for evidence, size in zip(self.evidence, self.evidence_sizes, strict=True)
        )

    def update(self, belief: Scalars, token: Int[Array, ""], probability: Float[Array, ""]) -> Scalars:
        """Belief T^(token) / probability, as `Process.update`, the probability being known."""
        return tuple(normalise(entry, probability) for entry in self.move(belief, token))

    def move(self, belief: Scalars, token: Int[Array, ""]) -> Scalars:
        """Belief T^(token), not normalised; that of the last token outside the vocabulary."""
        states = range(len(belief))
        column = lambda j: [_pick(token, [matrix[i][j] for matrix in self.transitions]) for i in states]
        return tuple(_dot(belief, column(j)) for j in states)

    def mass(self, joint: Scalars) -> Float[Array, ""]:
        """Joint @ readout."""
        return _dot(joint, self.readout)

    def size(self, belief: Scalars, token: Int[Array, ""]) -> Float[Array, ""]:
        """The magnitudes that add up to the token's probability; see `zero_below_rounding`."""
        sizes = [_pick(token, list(column)) for column in zip(*self.evidence_sizes, strict=True)]
        return _dot([abs(entry) for entry in belief], sizes)


def select(token: Int[Array, ""], values: list | tuple) -> Array:
    """values[token], NaN outside the vocabulary: a chain of selects, which vectorises where a gather does not."""
    chosen = jnp.full((), jnp.nan, values[0].dtype)
    for index, value in enumerate(values):
        chosen = jnp.where(token == index, value, chosen)
    return chosen


def _pick(token: Int[Array, ""], values: list) -> Array:
    """values[token], the last one outside the vocabulary."""
    chosen = values[-1]
    for index, value in reversed(list(enumerate(values[:-1]))):
        chosen = jnp.where(token == index, value, chosen)
    return chosen


def interleave(first: Scalars, later: tuple[Float[Array, " time"], ...]) -> Float[Array, "time_plus_1 state"]:
    """Vectors over time from scalars at the start and scalars over time.

    Each state's numbers are spread S apart and added up, which XLA transposes faster under vmap than a stack.
    """
    n_states, length = len(first), len(later[0])
    zero = jnp.zeros((), later[0].dtype)
    spread = [
        jax.lax.pad(entries, zero, [(n_states + state, n_states - 1 - state, n_states - 1)])
        for state, entries in enumerate(later)
    ]
    flat = sum(spread, jax.lax.pad(jnp.stack(first), zero, [(0, n_states * length, 0)]))
    return flat.reshape(length + 1, n_states)


def _dot(left: Scalars | list, right: Scalars | list) -> Array:
    return sum((a * b for a, b in zip(left[1:], right[1:], strict=True)), left[0] * right[0])
