"""Factors in a row, the token of each choosing how the next one moves: still no joint, still one belief per factor.

At tokens x_0, x_1, ... of one time step factor n moves by T_n^(x_(n-1) x_n). The tokens couple the factors, yet once
they are known the factors' beliefs stay a product. Source: Shai et al. 2602.02385.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from beliefgeo.processes.factored import (
    assemble_joint,
    join_beliefs,
    join_tokens,
    joint,
    require_observer,
    split_belief,
    split_token,
)
from beliefgeo.processes.process import ArrayLike, Observer, Process, concrete, contract, take, vocabulary


class Chain(eqx.Module):
    """Factors in a row; construct with `chain`."""

    first: Observer
    later: tuple[tuple[Process, ...], ...]

    @property
    def factors(self) -> tuple[Observer | tuple[Process, ...], ...]:
        """The first factor, then for each later one its process after each token of the factor before."""
        return (self.first, *self.later)

    @property
    def initial(self) -> Float[Array, " state"]:
        """The factors' initial beliefs, one after the other."""
        return jnp.concatenate([self.first.initial, *[processes[0].initial for processes in self.later]])

    @property
    def vocab_sizes(self) -> tuple[int, ...]:
        """The number of tokens of each factor."""
        return (vocabulary(self.first), *[processes[0].vocab_size for processes in self.later])

    @property
    def vocab_size(self) -> int:
        """The number of composite tokens."""
        return math.prod(self.vocab_sizes)

    def predict(self, belief: Float[Array, " state"]) -> Float[Array, " token"]:
        """P(x | belief) = P_0(x_0 | belief_0) prod_n P_n(x_n | belief_n, x_(n-1))."""
        first, *rest = self.split_belief(belief)
        law = self.first.predict(first)[None]  # [tokens before the last, last token]
        for processes, b in zip(self.later, rest, strict=True):
            given_last = jax.vmap(Process.predict, (0, None))(_stack(processes), b)
            law = (law[:, :, None] * given_last[None]).reshape(-1, given_last.shape[1])
        return law.ravel()

    def update(self, belief: Float[Array, " state"], token: Int[Array, ""]) -> Float[Array, " state"]:
        """Each factor's belief moved by its own token and the one before; NaN throughout where one is impossible."""
        (first, *rest), digits = self.split_belief(belief), self.split_token(token)
        moved = [self.first.update(first, digits[0])]
        for processes, b, (before, digit) in zip(self.later, rest, pairwise(digits), strict=True):
            moved.append(_choose(processes, before).update(b, digit))
        return join_beliefs(moved)

    def split_belief(self, belief: ArrayLike) -> list[Float[Array, "*batch _"]]:
        """The factors' beliefs, cut from the last axis of `[..., state]`."""
        return split_belief(belief, [len(self.first.initial), *[processes[0].n_states for processes in self.later]])

    def split_token(self, token: ArrayLike) -> list[Int[Array, "*batch"]]:
        """The factors' tokens, each of the shape of `token`; -1 each where that is outside the vocabulary."""
        return split_token(token, self.vocab_sizes)

    def join_tokens(self, tokens: ArrayLike) -> Int[Array, "*batch"]:
        """The composite token of the factors' tokens `[factor, ...]`."""
        return join_tokens(tokens, self.vocab_sizes)

    def joint(self) -> Process:
        """One process on the product of the factors' states: T^(x) = T_0^(x_0) (x) T_1^(x_0 x_1) (x) ..."""
        first = joint(self.first)
        joined = first.transitions[None]  # [tokens before the last, last token, state, next_state]
        for processes in self.later:
            pairs = contract("pxij,xykl->pxyikjl", joined, _stack(processes).transitions)
            before, last, token, *states = pairs.shape
            joined = pairs.reshape(before * last, token, states[0] * states[1], states[2] * states[3])
        parts = [first, *[processes[0] for processes in self.later]]
        return assemble_joint(joined.reshape(-1, *joined.shape[2:]), parts)


def chain(factors: Sequence[Observer | Sequence[Process]]) -> Chain:
    """Factors in a row: at each time step the token of each chooses the transitions of the next.

    Args:
        factors: an observer, then for each later factor one process per token of the factor before, alike in states,
            tokens, initial belief and readout (give them one `initial` where their stationary laws differ).

    Raises:
        ValueError: no factors; a later factor with the wrong number of processes, or with processes not alike.
        TypeError: a first factor that is no observer.

    >>> from beliefgeo.processes.classical import coin
    >>> two_coins = chain([coin(0.6), [coin(0.7), coin(0.2)]])
    >>> two_coins.predict(two_coins.initial).round(4).tolist()
    [0.42, 0.18, 0.08, 0.32]
    """
    if not len(factors):
        raise ValueError("chain needs one factor or more; got none")
    first = require_observer("chain", 0, factors[0])
    before, later = vocabulary(first), []
    for index, processes in enumerate(factors[1:], 1):
        later.append(_check_factor(index, processes, before))
        before = later[-1][0].vocab_size
    return Chain(first, tuple(later))


def _check_factor(index: int, processes: Observer | Sequence[Process], before: int) -> tuple[Process, ...]:
    """The processes of one factor, all generalised where one is, so that they stack."""
    if isinstance(processes, Observer) or len(processes) != before:
        got = "a single process" if isinstance(processes, Observer) else len(processes)
        raise ValueError(
            f"factor {index} of chain needs a sequence of {before} processes, one per token of the factor before; "
            f"got {got}"
        )
    for token, process in enumerate(processes):
        _check_alike(f"of factor {index}, process {token}", process, processes[0])
    generalised = any(process.generalised for process in processes)
    return tuple(Process(p.transitions, p.initial, p.readout, generalised) for p in processes)


def _check_alike(which: str, process: Process, first: Process) -> None:
    if process.transitions.shape != first.transitions.shape:
        raise ValueError(
            "the processes of a factor of chain must have the same tokens and states; transitions "
            f"{which} have shape {process.transitions.shape}, of process 0 {first.transitions.shape}"
        )
    for name, ours, theirs in (
        ("initial", concrete(process.initial), concrete(first.initial)),
        ("readout", concrete(process.readout), concrete(first.readout)),
    ):
        if ours is not None and theirs is not None and not abs(ours - theirs).max() <= 1e-5:
            raise ValueError(
                f"the processes of a factor of chain must share their {name}; {which} has {ours.round(6).tolist()}, "
                f"process 0 {theirs.round(6).tolist()}"
            )


def _stack(processes: tuple[Process, ...]) -> Process:
    """Processes alike as one with a leading axis, the token of the factor before."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *processes)


def _choose(processes: tuple[Process, ...], before: Int[Array, ""]) -> Process:
    return jax.tree.map(lambda leaf: take(leaf, before), _stack(processes))
