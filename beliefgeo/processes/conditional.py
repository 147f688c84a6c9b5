"""Factors that depend on one another's tokens: these choose how a factor moves, and in one composition what it emits.

At the tokens x = (x_0, x_1, ...) of a time step factor n moves by T_n^(x_n | x_-n), x_-n the tokens of all other
factors. Given the tokens, the factors' beliefs stay a product, so no joint is built. The two compositions differ in the
law of the tokens: in `conditional_transitions` each factor emits by itself; in `fully_conditional` the law is a
normalised product of conditionals. Source: the structures of these names in github.com/Astera-org/simplexity.
"""

import math
from collections.abc import Sequence
from functools import reduce
from operator import mul

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import ArrayLike, concrete, contract
from beliefgeo.processes.alternatives import Alternatives, alternatives, choose, stack
from beliefgeo.processes.factored import assemble_joint, join_beliefs, join_tokens, split_belief, split_token
from beliefgeo.processes.process import Observer, Process, normalise, vocabulary

_PER = "combination of the others' tokens"


class ConditionalTransitions(eqx.Module):
    """Factors that emit by themselves and move by the tokens of all; construct with `conditional_transitions`.

    Attributes:
        factors: For each factor, its process after each combination of the others' tokens; these processes emit alike.
    """

    factors: tuple[Alternatives, ...]

    @property
    def initial(self) -> Float[Array, " state"]:
        """The factors' initial beliefs, one after the other."""
        return jnp.concatenate([processes[0].initial for processes in self.factors])

    @property
    def vocab_sizes(self) -> tuple[int, ...]:
        """The number of tokens of each factor."""
        return tuple(processes[0].vocab_size for processes in self.factors)

    @property
    def vocab_size(self) -> int:
        """The number of composite tokens."""
        return math.prod(self.vocab_sizes)

    def predict(self, belief: Float[Array, " state"]) -> Float[Array, " token"]:
        """P(x | belief) = prod_n P_n(x_n | belief_n)."""
        parts = zip(self.factors, self.split_belief(belief), strict=True)
        return reduce(jnp.kron, [processes[0].predict(b) for processes, b in parts])

    def update(self, belief: Float[Array, " state"], token: Int[Array, ""]) -> Float[Array, " state"]:
        """Each factor's belief moved by its own token and the others'; NaN throughout where one is impossible."""
        return _update(self.factors, self.split_belief(belief), self.split_token(token))

    def split_belief(self, belief: ArrayLike) -> list[Float[Array, "*batch _"]]:
        """The factors' beliefs, cut from the last axis of `[..., state]`."""
        return split_belief(belief, [processes[0].n_states for processes in self.factors])

    def split_token(self, token: ArrayLike) -> list[Int[Array, "*batch"]]:
        """The factors' tokens, each of the shape of `token`; -1 each where that is outside the vocabulary."""
        return split_token(token, self.vocab_sizes)

    def join_tokens(self, tokens: ArrayLike) -> Int[Array, "*batch"]:
        """The composite token of the factors' tokens `[factor, ...]`."""
        return join_tokens(tokens, self.vocab_sizes)

    def apart(self, tokens: Int[Array, " time"]) -> list[tuple[Process, Int[Array, " time"]]]:
        """Each factor as a process by itself, and its tokens: beliefs move as here, and log-probabilities add.

        A factor's process has a token for each combination of all tokens, with the others' tokens most significant.
        """
        return _apart(self.factors, self.split_token(tokens))

    def joint(self) -> Process:
        """One process on the product of the factors' states: T^(x) = kron_n T_n^(x_n | x_-n)."""
        digits = self.split_token(jnp.arange(self.vocab_size))
        matrices = lambda n: stack(self.factors[n]).transitions[_others(digits, self.vocab_sizes, n), digits[n]]
        return assemble_joint([processes[0] for processes in self.factors], self.vocab_size, matrices)


class FullyConditional(eqx.Module):
    """Factors whose laws and moves both depend on the others' tokens; construct with `fully_conditional`.

    Attributes:
        factors: For each factor, its process after each combination of the others' tokens.
    """

    factors: tuple[Alternatives, ...]

    @property
    def initial(self) -> Float[Array, " state"]:
        """The factors' initial beliefs, one after the other."""
        return jnp.concatenate([processes[0].initial for processes in self.factors])

    @property
    def vocab_sizes(self) -> tuple[int, ...]:
        """The number of tokens of each factor."""
        return tuple(processes[0].vocab_size for processes in self.factors)

    @property
    def vocab_size(self) -> int:
        """The number of composite tokens."""
        return math.prod(self.vocab_sizes)

    def predict(self, belief: Float[Array, " state"]) -> Float[Array, " token"]:
        """P(x | belief) = prod_n P_n(x_n | belief_n, x_-n) / Z(belief); NaN where the conditionals exclude every x."""
        weights = self._weights(belief)
        return normalise(weights, weights.sum())

    def total(self, belief: Float[Array, " state"]) -> Float[Array, ""]:
        """Z(belief), the sum over x of prod_n P_n(x_n | belief_n, x_-n)."""
        return self._weights(belief).sum()

    def _weights(self, belief: Float[Array, " state"]) -> Float[Array, " token"]:
        sizes, laws = self.vocab_sizes, []
        for n, (processes, b) in enumerate(zip(self.factors, self.split_belief(belief), strict=True)):
            given_others = jax.vmap(Process.predict, (0, None))(stack(processes), b)
            laws.append(jnp.moveaxis(given_others.reshape(*sizes[:n], *sizes[n + 1 :], sizes[n]), -1, n))
        return reduce(mul, laws).ravel()

    def update(self, belief: Float[Array, " state"], token: Int[Array, ""]) -> Float[Array, " state"]:
        """Each factor's belief moved by its own token and the others'; NaN throughout where one is impossible."""
        return _update(self.factors, self.split_belief(belief), self.split_token(token))

    def split_belief(self, belief: ArrayLike) -> list[Float[Array, "*batch _"]]:
        """The factors' beliefs, cut from the last axis of `[..., state]`."""
        return split_belief(belief, [processes[0].n_states for processes in self.factors])

    def split_token(self, token: ArrayLike) -> list[Int[Array, "*batch"]]:
        """The factors' tokens, each of the shape of `token`; -1 each where that is outside the vocabulary."""
        return split_token(token, self.vocab_sizes)

    def join_tokens(self, tokens: ArrayLike) -> Int[Array, "*batch"]:
        """The composite token of the factors' tokens `[factor, ...]`."""
        return join_tokens(tokens, self.vocab_sizes)

    def apart(self, tokens: Int[Array, " time"]) -> list[tuple[Process, Int[Array, " time"]]]:
        """Each factor as a process by itself, and its tokens: beliefs move as here, and weights multiply.

        A factor's process has a token for each combination of all tokens, with the others' tokens most significant.
        """
        return _apart(self.factors, self.split_token(tokens))


def conditional_transitions(factors: Sequence[Sequence[Observer]]) -> ConditionalTransitions:
    """Factors that emit independently, then move by their own token and the tokens of all other factors.

        P(x | states) = prod_n P_n(x_n | state_n),    T^(x) = kron_n T_n^(x_n | x_-n),

    a hidden Markov process on the product of the factors' states; in its belief the factors stay independent. This
    needs P_n(x_n | state_n) = T_n^(x_n | x_-n) w to be the same after all x_-n: the others' tokens choose where a
    factor goes, not what it emits. `from_moore` with one emission matrix and several transition matrices gives these
    processes.

    Args:
        factors: two factors or more. A factor is one process per combination of the others' tokens, in mixed radix as
            in `product` without the factor itself (for two factors: per token of the other). These processes are alike
            in states, tokens, initial belief, readout and emission; compositions count as their joint.

    Raises:
        ValueError: fewer than two factors; a factor with the wrong number of processes, or processes that are not
        alike. TypeError: what is neither a process nor made of processes.

    >>> from beliefgeo.processes.construct import from_moore
    >>> stay, swap, emissions = [[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0.9, 0.1], [0.2, 0.8]]
    >>> pair = [from_moore([1, 0], moves, emissions) for moves in (stay, swap)]
    >>> coupled = conditional_transitions([pair, pair])  # a token 1 of each moves the other
    >>> coupled.update(coupled.initial, jnp.int32(1)).tolist(), coupled.predict(coupled.initial).round(4).tolist()
    ([0.0, 1.0, 1.0, 0.0], [0.81, 0.09, 0.09, 0.01])
    """
    checked = _check_factors("conditional_transitions", factors)
    return ConditionalTransitions(tuple(_share_emission(n, processes) for n, processes in enumerate(checked)))


def fully_conditional(factors: Sequence[Sequence[Observer]]) -> FullyConditional:
    """Factors whose laws and moves both depend on the tokens of all other factors in the same time step.

        P(x | beliefs) = prod_n P_n(x_n | belief_n, x_-n) / Z,    Z = sum over y of the same product,

    and the beliefs move by T_n^(x_n | x_-n). This law defines the process token by token, so that

        P(x_1 .. x_L) = prod_t 1 / Z_t  prod_n initial_n T_n^(x_1,n | x_1,-n) .. T_n^(x_L,n | x_L,-n) w_n.

    Z_t is a function of x_1 .. x_{t-1} alone, through the beliefs. So, given the tokens, the hidden paths of the
    factors are independent, each weighed by its T_n, and the belief is exactly their posterior. But Z is not linear in
    a belief, so no matrices on the product of the states make these words, and there is no `joint`. To draw the
    factors' states first and normalise for these states would be another process, in which the factors become
    dependent. The two processes are the same only if Z is the same for all beliefs, as in `conditional_transitions`.

    Args:
        factors: two factors or more. A factor is one process per combination of the others' tokens, in mixed radix as
            in `product` without the factor itself (for two factors: per token of the other). These processes are alike
            in states, tokens, initial belief and readout; compositions count as their joint.

    Raises:
        ValueError: fewer than two factors; a factor with the wrong number of processes, or processes that are not
        alike. TypeError: what is neither a process nor made of processes.

    >>> from beliefgeo.processes.classical import coin
    >>> alike = fully_conditional([[coin(0.8), coin(0.2)], [coin(0.8), coin(0.2)]])
    >>> alike.predict(alike.initial).round(4).tolist()
    [0.4706, 0.0294, 0.0294, 0.4706]
    """
    return FullyConditional(_check_factors("fully_conditional", factors))


def _check_factors(who: str, factors: Sequence[Sequence[Observer]]) -> tuple[Alternatives, ...]:
    if len(factors) < 2:
        raise ValueError(f"{who} needs two factors or more, to read one another's tokens; got {len(factors)}")
    for n, processes in enumerate(factors):
        if isinstance(processes, Observer) or not len(processes):
            got = "a single process" if isinstance(processes, Observer) else "none"
            raise ValueError(f"factor {n} of {who} needs a sequence of processes, one per {_PER}; got {got}")
    sizes = [vocabulary(processes[0]) for processes in factors]
    return tuple(
        alternatives(f"factor {n} of {who}", processes, math.prod(sizes) // sizes[n], _PER)
        for n, processes in enumerate(factors)
    )


def _share_emission(n: int, processes: Alternatives) -> Alternatives:
    """The processes, checked to emit alike; the processes of an HMM are scaled to the emission of the first process."""
    laws = [contract("xij,j->xi", process.transitions, process.readout) for process in processes]
    shared = []
    for number, (process, law) in enumerate(zip(processes, laws, strict=True)):
        difference = jnp.where((law > 0) == (laws[0] > 0), law - laws[0], 1)  # 1 if only one of the two forbids a token
        if (off := concrete(difference)) is not None and not abs(off).max() <= 1e-5:
            token, state = divmod(int(abs(off).argmax()), process.n_states)
            raise ValueError(
                f"the processes of factor {n} of conditional_transitions must emit alike; from state {state} token "
                f"{token} has probability {float(law[token, state]):.6g} in process {number}, "
                f"{float(laws[0][token, state]):.6g} in process 0: for laws that depend on the others' tokens use "
                "fully_conditional"
            )
        scale = jnp.where(law > 0, laws[0] / jnp.where(law > 0, law, 1), 0)
        transitions = process.transitions if process.generalised else process.transitions * scale[:, :, None]
        shared.append(Process(transitions, process.initial, process.readout, process.generalised))
    return tuple(shared)


def _update(
    factors: Sequence[Alternatives], beliefs: Sequence[Float[Array, " _"]], digits: Sequence[Int[Array, ""]]
) -> Float[Array, " state"]:
    sizes, moved = [processes[0].vocab_size for processes in factors], []
    for n, (processes, b) in enumerate(zip(factors, beliefs, strict=True)):
        moved.append(choose(processes, _others(digits, sizes, n)).update(b, digits[n]))
    return join_beliefs(moved)


def _apart(
    factors: Sequence[Alternatives], digits: Sequence[Int[Array, " time"]]
) -> list[tuple[Process, Int[Array, " time"]]]:
    sizes, parts = [processes[0].vocab_size for processes in factors], []
    for n, (processes, digit) in enumerate(zip(factors, digits, strict=True)):
        every, first = stack(processes).transitions, processes[0]
        pairs = jnp.where(digit < 0, -1, _others(digits, sizes, n) * sizes[n] + digit)
        by_pair = every.reshape(-1, *every.shape[2:])
        parts.append((Process(by_pair, first.initial, first.readout, first.generalised), pairs))
    return parts


def _others(digits: Sequence[Int[Array, "*batch"]], sizes: Sequence[int], n: int) -> Int[Array, "*batch"]:
    """The composite token of all factors but n; negative where the tokens are -1, which is outside the vocabulary."""
    rest = [m for m in range(len(sizes)) if m != n]
    return join_tokens([digits[m] for m in rest], [sizes[m] for m in rest])
