"""A small process written out, with a scalar for each state and token.

Under `vmap` an array `[state]` becomes rows of a few numbers; a scalar becomes one long contiguous vector, and the same
arithmetic runs several times faster. This pays only if V S^2 is small: the compiled code grows with it.
"""

from collections.abc import Sequence
from functools import reduce
from operator import add

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Int8, UInt

from beliefgeo.processes.process import Observer, Process, zero_below_rounding

_MOST_ENTRIES = 64

Scalars = tuple[Float[Array, ""], ...]


class ScalarProcess:
    """`Process` with beliefs and laws as tuples of scalars.

    The loop carries a belief before its last division, as `joint` = belief x the probability of its last token. A
    kernel of few operations then stays on one thread, which is faster than two threads for a few microseconds of work.
    """

    def __init__(self, process: Process):
        """Split the matrices of `process` into scalars."""
        self.generalised = process.generalised
        self.initial: Scalars = tuple(process.initial)
        self.readout: Scalars = tuple(process.readout)
        self.transitions = [[list(row) for row in matrix] for matrix in process.transitions]
        self.evidence = [list(row) for row in process.transitions @ process.readout]
        self.evidence_sizes = [list(row) for row in abs(process.transitions) @ abs(process.readout)]

    @classmethod
    def of(cls, process: Observer) -> "ScalarProcess | None":
        """The scalar form if it pays, else None."""
        if isinstance(process, Process) and process.transitions.size <= _MOST_ENTRIES:
            return cls(process)
        return None

    def predict(self, joint: Scalars) -> Scalars:
        """P(token | belief) x mass(joint), as `Process.predict`."""
        if not self.generalised:
            return tuple(_dot(joint, evidence) for evidence in self.evidence)
        magnitudes = [abs(entry) for entry in joint]
        return tuple(
            zero_below_rounding(_dot(joint, evidence), _dot(magnitudes, size), len(joint))
            for evidence, size in zip(self.evidence, self.evidence_sizes, strict=True)
        )

    def narrow(self, tokens: Int[Array, "*time"]) -> Int8[Array, "*time"]:
        """Tokens in one byte each, -1 outside the vocabulary: a loop waits for the memory that it moves."""
        in_vocabulary = (tokens >= 0) & (tokens < len(self.transitions))
        return jnp.where(in_vocabulary, tokens, -1).astype(jnp.int8)

    def advance(self, joint: Scalars, token: Int8[Array, ""]) -> Scalars:
        """The next joint, belief T^(token): zeros from an impossible token on, NaN from an unknown token on."""
        mass = self.mass(joint)
        divisor = jnp.where(mass == 0, 1, mass)
        column = lambda j: [_pick(token, [matrix[i][j] for matrix in self.transitions]) for i in range(len(joint))]
        if self.generalised:
            moved = tuple(_dot(joint, column(j)) / divisor for j in range(len(joint)))
            sizes = [_pick(token, list(row)) for row in zip(*self.evidence_sizes, strict=True)]
            size = _dot([abs(entry) for entry in joint], sizes) / abs(divisor)
            moved = tuple(jnp.where(zero_below_rounding(self.mass(moved), size, len(joint)) == 0, 0, x) for x in moved)
        else:  # divided first: two tokens of probability 1e-30 in a row would leave 1e-60, too small for float32
            belief = [entry / divisor for entry in joint]
            moved = tuple(_dot(belief, column(j)) for j in range(len(joint)))
        return (jnp.where(token >= 0, moved[0], jnp.nan), *moved[1:])

    def mass(self, joint: Scalars) -> Float[Array, ""]:
        """joint @ readout, the probability of the last token."""
        return _dot(joint, self.readout)

    def belief_and_log_probability(self, joint: Scalars) -> tuple[Float[Array, " state"], Float[Array, ""]]:
        """The belief joint / mass, and ln mass of the last token, which a loop over time emits.

        After an impossible token 0 / 0 is NaN. The loop writes rows of states. So a batch of beliefs is transposed from
        time first to batch first by rows and not by single numbers; one division makes the row cheap.
        """
        mass = self.mass(joint)
        inverse = 1 / mass
        return jnp.stack([entry * inverse for entry in joint]), jnp.log(mass)

    def least(self, joint: Scalars) -> UInt[Array, ""]:
        """The `size_order` of the least entry of joint / mass that is not 0."""
        inverse = 1 / self.mass(joint)
        return reduce(jnp.minimum, [size_order(entry * inverse) for entry in joint])


def size_order(values: Float[Array, "*batch"]) -> UInt[Array, "*batch"]:
    """Whole numbers in the order of |values|, with 0 last: the bits minus one. Their minimum costs almost nothing."""
    whole = jnp.dtype(f"uint{jnp.finfo(values.dtype).bits}")
    return jax.lax.bitcast_convert_type(abs(values), whole) - jnp.ones((), whole)


def _pick(token: Int8[Array, ""], values: list) -> Array:
    """values[token], or the last value outside the vocabulary: selects vectorise, and a gather does not."""
    chosen = values[-1]
    for index, value in reversed(list(enumerate(values[:-1]))):
        chosen = jnp.where(token == index, value, chosen)
    return chosen


def _dot(left: Sequence[Array], right: Sequence[Array]) -> Array:
    return reduce(add, [a * b for a, b in zip(left, right, strict=True)])
