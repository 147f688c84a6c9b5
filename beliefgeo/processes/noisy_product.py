"""Independent factors whose composite token may be replaced: the belief is joint, but no joint matrices are built.

An observer does not know which tokens were replaced, so the factors' beliefs are no longer independent. The joint
belief is a tensor with an axis for each factor, flattened with factor 0 most significant. Source: Shai et al.
2602.02385.
"""

import math
from collections.abc import Sequence
from functools import reduce

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import ArrayLike, Number, as_floats, concrete, contract, take
from beliefgeo.processes.compose import noisy
from beliefgeo.processes.factored import join_tokens, product, require_process, split_token
from beliefgeo.processes.process import Observer, Process


class NoisyProduct(eqx.Module):
    """Independent factors whose composite token may be replaced; construct with `noisy_product`.

    Attributes:
        factors: The processes; the first is the most significant digit of the token.
        eps: The probability that the token is replaced.
    """

    factors: tuple[Process, ...]
    eps: Float[Array, ""]

    @property
    def initial(self) -> Float[Array, " state"]:
        """The joint belief before any token."""
        return reduce(jnp.kron, [factor.initial for factor in self.factors])

    @property
    def readout(self) -> Float[Array, " state"]:
        """w, with belief @ w == 1."""
        return reduce(jnp.kron, [factor.readout for factor in self.factors])

    @property
    def vocab_sizes(self) -> tuple[int, ...]:
        """The number of tokens of each factor."""
        return tuple(factor.vocab_size for factor in self.factors)

    @property
    def vocab_size(self) -> int:
        """The number of composite tokens V."""
        return math.prod(self.vocab_sizes)

    def predict(self, belief: Float[Array, " state"]) -> Float[Array, " token"]:
        """(1 - eps) P(x) + eps / V."""
        emissions = [contract("xij,j->xi", factor.transitions, factor.readout) for factor in self.factors]
        law = self._along(belief, emissions)
        return (1 - self.eps) * law + self.eps * law.mean()

    def update(self, belief: Float[Array, " state"], token: Int[Array, ""]) -> Float[Array, " state"]:
        """Bayes' rule: either the token was kept and moves every factor by its own part, or it says nothing."""
        digits = zip(self.factors, self.split_token(token), strict=True)
        kept = self._along(belief, [take(factor.transitions, digit).T for factor, digit in digits])
        replaced = self._along(belief, [factor.transitions.sum(0).T for factor in self.factors]) / self.vocab_size
        moved = (1 - self.eps) * kept + self.eps * replaced
        return moved / (moved @ self.readout)

    def split_belief(self, belief: ArrayLike) -> list[Float[Array, "*batch _"]]:
        """What a joint belief `[..., state]` says of each factor alone: the sum over the others, by their readouts."""
        whole = [jnp.eye(len(factor.initial)) for factor in self.factors]
        rest = [factor.readout[None] for factor in self.factors]
        alone = [[*rest[:n], whole[n], *rest[n + 1 :]] for n in range(len(rest))]
        return [self._along(as_floats(belief), matrices) for matrices in alone]

    def split_token(self, token: ArrayLike) -> list[Int[Array, "*batch"]]:
        """The factors' tokens, each of the shape of `token`; -1 each where that is outside the vocabulary."""
        return split_token(token, self.vocab_sizes)

    def join_tokens(self, tokens: ArrayLike) -> Int[Array, "*batch"]:
        """The composite token of the factors' tokens `[factor, ...]`."""
        return join_tokens(tokens, self.vocab_sizes)

    def joint(self) -> Process:
        """One process on the product of the factors' states, with its matrices built."""
        return noisy(product(self.factors).joint(), self.eps)

    def _along(self, belief: Float[Array, "*batch state"], matrices: Sequence[Array]) -> Float[Array, "*batch out"]:
        """Matrix n `[out, state]` applied to axis n of the joint belief: the Kronecker product of all, never built."""
        sizes, batch = [len(factor.initial) for factor in self.factors], belief.shape[:-1]
        tensor = belief.reshape(*batch, *sizes)
        for axis, matrix in zip(range(-len(sizes), 0), matrices, strict=True):
            tensor = jnp.moveaxis(jnp.tensordot(matrix, tensor, (1, axis), precision="highest"), 0, axis)
        return tensor.reshape(*batch, -1)


def noisy_product(factors: Sequence[Observer], eps: Number) -> NoisyProduct:
    """Independent factors; with probability eps a uniform token replaces their composite token.

    This is the process `noisy(product(factors).joint(), eps)`, but its matrices, 432 x 243 x 243 entries for
    `factored_mess3_bloch`, are never built.

    Args:
        factors: processes; a composition of processes counts as its joint.
        eps: above 0, up to 1.

    Raises:
        ValueError: no factors; eps out of range (0 is out of range: use `product`, which has smaller beliefs).
        TypeError: a factor that is neither a process nor made of processes.

    >>> from beliefgeo.processes.classical import coin
    >>> process = noisy_product([coin(0.25), coin(0.5)], 0.2)
    >>> process.predict(process.initial).round(4).tolist()
    [0.15, 0.15, 0.35, 0.35]
    """
    if not len(factors):
        raise ValueError("noisy_product needs one factor or more; got none")
    if (value := concrete(eps)) is not None and not 0 < value <= 1:
        raise ValueError(f"noisy_product needs 0 < eps <= 1; got eps={eps}: without noise it is product")
    parts = tuple(require_process(f"factor {n} of noisy_product", factor) for n, factor in enumerate(factors))
    return NoisyProduct(parts, as_floats(eps))
