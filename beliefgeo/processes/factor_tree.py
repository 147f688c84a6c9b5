"""A tree of factors, where a factor's token chooses how its children move: no joint, but one belief per factor.

At tokens x_0, x_1, ... of one time step factor n moves by T_n^(x_p x_n), p its parent. The tokens couple the factors,
but given the tokens the factors' beliefs stay a product. Source: Shai et al. 2602.02385 (with a `chain`).
"""

import math
from collections.abc import Sequence
from functools import reduce
from operator import mul

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import ArrayLike
from beliefgeo.processes.alternatives import Alternatives, alternatives, choose, stack
from beliefgeo.processes.factored import (
    assemble_joint,
    join_beliefs,
    join_tokens,
    require_observer,
    require_process,
    split_belief,
    split_token,
)
from beliefgeo.processes.process import Observer, Process, vocabulary


class FactorTree(eqx.Module):
    """Factors whose moves depend on their parents' tokens; construct with `factor_tree` or `chain`.

    Attributes:
        factors: A root is an observer; any other factor has its process after each token of its parent.
        parents: The number of each factor's parent, which comes before the factor; -1 for a root.
    """

    factors: tuple[Observer | Alternatives, ...]
    parents: tuple[int, ...] = eqx.field(static=True)

    @property
    def initial(self) -> Float[Array, " state"]:
        """The factors' initial beliefs, one after the other."""
        return jnp.concatenate([factor.initial for factor in self._examples()])

    @property
    def vocab_sizes(self) -> tuple[int, ...]:
        """The number of tokens of each factor."""
        return tuple(vocabulary(factor) for factor in self._examples())

    @property
    def vocab_size(self) -> int:
        """The number of composite tokens."""
        return math.prod(self.vocab_sizes)

    def predict(self, belief: Float[Array, " state"]) -> Float[Array, " token"]:
        """P(x | belief) = prod_n P_n(x_n | belief_n, x_parent(n)), as a tensor with an axis for each factor."""
        beliefs, sizes = self.split_belief(belief), self.vocab_sizes
        laws = []
        for n, (factor, parent, b) in enumerate(zip(self.factors, self.parents, beliefs, strict=True)):
            is_root = isinstance(factor, Observer)
            law = factor.predict(b) if is_root else jax.vmap(Process.predict, (0, None))(stack(factor), b)
            laws.append(law.reshape([size if axis in (parent, n) else 1 for axis, size in enumerate(sizes)]))
        return reduce(mul, laws).ravel()

    def update(self, belief: Float[Array, " state"], token: Int[Array, ""]) -> Float[Array, " state"]:
        """Each factor's belief moved by its own token and its parent's; NaN throughout where one is impossible."""
        digits, moved = self.split_token(token), []
        for factor, parent, b, digit in zip(self.factors, self.parents, self.split_belief(belief), digits, strict=True):
            chosen = factor if isinstance(factor, Observer) else choose(factor, digits[parent])
            moved.append(chosen.update(b, digit))
        return join_beliefs(moved)

    def split_belief(self, belief: ArrayLike) -> list[Float[Array, "*batch _"]]:
        """The factors' beliefs, cut from the last axis of `[..., state]`."""
        return split_belief(belief, [len(factor.initial) for factor in self._examples()])

    def split_token(self, token: ArrayLike) -> list[Int[Array, "*batch"]]:
        """The factors' tokens, each of the shape of `token`; -1 each where that is outside the vocabulary."""
        return split_token(token, self.vocab_sizes)

    def join_tokens(self, tokens: ArrayLike) -> Int[Array, "*batch"]:
        """The composite token of the factors' tokens `[factor, ...]`."""
        return join_tokens(tokens, self.vocab_sizes)

    def apart(self, tokens: Int[Array, " time"]) -> list[tuple[Observer, Int[Array, " time"]]]:
        """Each factor as an observer by itself, and its tokens: beliefs move as here, and log-probabilities add.

        The process of a factor with a parent has a token for each pair of tokens, with the parent's most significant.
        """
        digits, parts = self.split_token(tokens), []
        for factor, parent, digit in zip(self.factors, self.parents, digits, strict=True):
            if not isinstance(factor, tuple):
                parts.append((factor, digit))
                continue
            every, first = stack(factor).transitions, factor[0]
            pairs = jnp.where(digit < 0, -1, digits[parent] * every.shape[1] + digit)
            by_pair = every.reshape(-1, *every.shape[2:])
            parts.append((Process(by_pair, first.initial, first.readout, first.generalised), pairs))
        return parts

    def joint(self) -> Process:
        """One process on the product of the factors' states: T^(x) = kron_n T_n^(x_parent(n) x_n)."""
        parts = [require_process("joint", factor) for factor in self._examples()]
        digits = self.split_token(jnp.arange(self.vocab_size))

        def matrices(n: int) -> Array:
            if isinstance(factor := self.factors[n], Observer):
                return parts[n].transitions[digits[n]]
            return stack(factor).transitions[digits[self.parents[n]], digits[n]]

        return assemble_joint(parts, self.vocab_size, matrices)

    def _examples(self) -> list[Observer]:
        """An observer for each factor, with the states, tokens, initial belief and readout of all its processes."""
        return [factor if isinstance(factor, Observer) else factor[0] for factor in self.factors]


def factor_tree(factors: Sequence[Observer | Sequence[Observer]], parents: Sequence[int | None]) -> FactorTree:
    """Factors in one tree or several: at each time step a factor's token chooses the transitions of its children.

    Args:
        factors: an observer for each root; for each other factor one process per token of its parent. These are alike
            in states, tokens, initial belief and readout (give them the same `initial` if their stationary laws
            differ), and compositions of processes count as their joint.
        parents: the number of each factor's parent, which comes before it in `factors`; None or -1 for a root.

    Raises:
        ValueError: no factors; another number of parents than factors; a parent that does not come before its factor;
            a factor with the wrong number of processes, or with processes that are not alike.
        TypeError: a root that is not an observer; alternatives that are not made of processes.

    >>> from beliefgeo.processes.classical import coin
    >>> siblings = factor_tree([coin(0.6), [coin(0.7), coin(0.2)], [coin(1.0), coin(0.0)]], [None, 0, 0])
    >>> siblings.predict(siblings.initial).round(4).tolist()
    [0.42, 0.0, 0.18, 0.0, 0.0, 0.08, 0.0, 0.32]
    """
    numbers = tuple(-1 if parent is None else int(parent) for parent in parents)
    if not len(factors) or len(numbers) != len(factors):
        raise ValueError(
            f"factor_tree needs one factor or more, and a parent for each; got {len(factors)} factors and "
            f"{len(numbers)} parents"
        )
    for index, parent in enumerate(numbers):
        if not -1 <= parent < index:
            raise ValueError(
                f"the parent of factor {index} of factor_tree must be a factor before it, or None for a root; got "
                f"{parents[index]}"
            )
    return FactorTree(check_factors("factor_tree", factors, numbers, "token of its parent"), numbers)


def check_factors(
    who: str, factors: Sequence[Observer | Sequence[Observer]], parents: Sequence[int], per: str
) -> tuple[Observer | Alternatives, ...]:
    """The factors of a `FactorTree`, each checked against the vocabulary of its parent."""
    checked, sizes = [], []
    for index, (factor, parent) in enumerate(zip(factors, parents, strict=True)):
        if parent < 0:
            checked.append(require_observer(f"factor {index} of {who}", factor))
        else:
            checked.append(alternatives(f"factor {index} of {who}", factor, sizes[parent], per))
        sizes.append(vocabulary(checked[-1] if parent < 0 else checked[-1][0]))
    return tuple(checked)
