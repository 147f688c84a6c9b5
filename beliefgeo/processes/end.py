"""A last token that says "here it ends", after any observer."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import Number, as_floats, contract, require_between
from beliefgeo.processes.factored import joint, require_observer, require_range
from beliefgeo.processes.process import Observer, Process, normalise, vocabulary


class WithEnd(eqx.Module):
    """An observer of sequences that may have ended; its belief is ((1 - e) inner belief, e), e = P(it has ended).

    Attributes:
        inner: The observer of the tokens before the end.
        p: The probability that a token is the last.
    """

    inner: Observer
    p: Float[Array, ""]

    @property
    def initial(self) -> Float[Array, " state"]:
        """The inner initial belief, with e = 0."""
        return jnp.concatenate([self.inner.initial, jnp.zeros_like(self.inner.initial, shape=1)])

    @property
    def vocab_size(self) -> int:
        """The number of tokens, the last one included."""
        return vocabulary(self.inner) + 1

    def predict(self, belief: Float[Array, " state"]) -> Float[Array, " token"]:
        """The inner law if the sequence has not ended, else the last token."""
        going, ended = self.inner.predict(self._inner_belief(belief)), belief[-1]
        return jnp.append((1 - ended) * going, ended)

    def update(self, belief: Float[Array, " state"], token: Int[Array, ""]) -> Float[Array, " state"]:
        """After the last token the sequence has ended; after another token it ends with probability p."""
        over, ended = token == self.vocab_size - 1, belief[-1]
        # The inner observer has no such last token; another token in its place keeps NaN out of the gradient.
        moved = self.inner.update(self._inner_belief(belief), jnp.where(over, 0, token))
        going = jnp.append((1 - self.p) * moved, self.p)
        possible = jnp.where(over, ended > 0, (ended < 1) & ~jnp.isnan(moved).any())
        after = jnp.where(over, jnp.zeros_like(belief).at[-1].set(1), going)
        return jnp.where(possible, after, jnp.nan)

    def joint(self) -> Process:
        """The same observer as a `Process`."""
        return _end_state(joint(self.inner), self.p)

    def _inner_belief(self, belief: Float[Array, " state"]) -> Float[Array, " inner"]:
        """The inner belief given that the sequence has not ended; any finite belief if it has certainly ended."""
        inner, going = belief[:-1], 1 - belief[-1]
        return jnp.where(going > 0, normalise(inner, going), self.inner.initial)


def with_end(process: Observer, p: Number) -> Process | WithEnd:
    """Each token is the last with probability p; after the last token comes token V, and then only V.

    Sequences have at least one token, and 1/p tokens on average. Because V repeats, the probabilities of the words of
    each length still sum to 1. The belief has one more entry, the last, P(it has ended): 0 at first, p after a token, 1
    after V. The other entries are the old belief times the probability of going on. A `Process` stays a `Process`, with
    one more state that is never left; any other observer is wrapped. To add a first token too, use
    `with_bos(with_end(process, p))`; in the opposite order an empty sentence has probability p.

    Raises:
        TypeError: an object that is not an observer.
        ValueError: p out of range.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> sentences = with_end(golden_mean(), 0.25)
    >>> sentences.predict(sentences.update(sentences.initial, jnp.int32(1))).tolist()
    [0.75, 0.0, 0.25]
    """
    observer = require_observer("what with_end ends", process)
    require_between("with_end", "p", p, 0, 1)
    share = as_floats(p).astype(observer.initial.dtype)
    return _end_state(observer, share) if isinstance(observer, Process) else WithEnd(observer, share)


def _end_state(process: Process, p: Float[Array, ""]) -> Process:
    require_range("with_end", [process.transitions, jnp.stack([p, 1 - p])])
    last = p * contract("xij,j->xi", process.transitions, process.readout)
    transitions = jnp.pad((1 - p) * process.transitions, ((0, 1), (0, 1), (0, 1)))
    transitions = transitions.at[:-1, :-1, -1].set(last).at[-1, -1, -1].set(1)
    initial, readout = jnp.append(process.initial, 0), jnp.append(process.readout, 1)
    return Process(transitions, initial, readout, process.generalised)
