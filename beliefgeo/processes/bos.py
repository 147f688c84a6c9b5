"""A first token that says "here it begins", before any observer."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from beliefgeo.processes.factored import join_beliefs, joint, require_observer
from beliefgeo.processes.process import Observer, Process, vocabulary


class WithBos(eqx.Module):
    """A first token, then an observer.

    Its belief is the inner belief and a last entry: zeros and 1 before the first token, the inner belief and 0 after.

    Attributes:
        inner: The observer of the tokens that follow.
    """

    inner: Observer

    @property
    def initial(self) -> Float[Array, " state"]:
        """Waiting for the first token."""
        return unit_after(self.inner.initial)

    @property
    def vocab_size(self) -> int:
        """The number of tokens, the first one included."""
        return vocabulary(self.inner) + 1

    def predict(self, belief: Float[Array, " state"]) -> Float[Array, " token"]:
        """The first token with probability 1, and the inner law after it."""
        law = self.inner.predict(self._inner_belief(belief))
        return jnp.append(jnp.where(belief[-1] == 1, 0, law), belief[-1])

    def update(self, belief: Float[Array, " state"], token: Int[Array, ""]) -> Float[Array, " state"]:
        """The inner belief: the initial belief after the first token, NaN after another token in its place."""
        waiting, begun = belief[-1] == 1, token == self.vocab_size - 1
        # The inner observer has no such first token; another token in its place keeps NaN out of the gradient.
        moved = self.inner.update(self._inner_belief(belief), jnp.where(begun, 0, token))
        moved = jnp.where(waiting == begun, jnp.where(waiting, self.inner.initial, moved), jnp.nan)
        return join_beliefs([moved, jnp.zeros(1, moved.dtype)])

    def joint(self) -> Process:
        """The same observer as a `Process`."""
        return _start_state(joint(self.inner))

    def _inner_belief(self, belief: Float[Array, " state"]) -> Float[Array, " inner"]:
        return jnp.where(belief[-1] == 1, self.inner.initial, belief[:-1])


def with_bos(process: Observer) -> Process | WithBos:
    """Token V comes first, with probability 1 and never again; then the process starts from its initial belief.

    The belief has one more entry, the last. `beliefs[0]` has all its mass there; `beliefs[t + 1]` is the old
    `beliefs[t]` with a zero appended. A `Process` stays a `Process`, with one more state; any other observer is
    wrapped.

    Raises:
        TypeError: an object that is not an observer.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> with_bos(golden_mean()).initial.tolist(), with_bos(golden_mean()).vocab_size
    ([0.0, 0.0, 1.0], 3)
    """
    observer = require_observer("what follows with_bos", process)
    return _start_state(observer) if isinstance(observer, Process) else WithBos(observer)


def _start_state(process: Process) -> Process:
    transitions = jnp.pad(process.transitions, ((0, 1), (0, 1), (0, 1))).at[-1, -1, :-1].set(process.initial)
    readout = jnp.append(process.readout, 1)
    return Process(transitions, unit_after(process.initial), readout, process.generalised)


def unit_after(belief: Float[Array, " state"]) -> Float[Array, " state_plus_1"]:
    """Zeros for the entries of a belief, then a 1."""
    return jnp.concatenate([jnp.zeros_like(belief), jnp.ones_like(belief, shape=1)])
