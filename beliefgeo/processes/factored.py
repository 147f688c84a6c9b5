"""Independent factors side by side, whose belief is the concatenation of theirs: no joint is built unless asked.

The composite token is mixed radix, factor 0 most significant: x = (x_0 V_1 + x_1) V_2 + x_2 and so on. With the
observer interface, filtering and trees cost sums over factors where the joint would cost products.
Source: Shai et al. 2602.02385.
"""

import math
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import accumulate

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from beliefgeo.processes.classical import mess3
from beliefgeo.processes.process import ArrayLike, Observer, Process, as_floats, ghmm, hmm, vocabulary
from beliefgeo.processes.quantum import bloch_walk


class Product(eqx.Module):
    """Independent factors; construct with `product`."""

    factors: tuple[Observer, ...]

    @property
    def initial(self) -> Float[Array, " state"]:
        """The factors' initial beliefs, one after the other."""
        return jnp.concatenate([factor.initial for factor in self.factors])

    @property
    def vocab_sizes(self) -> tuple[int, ...]:
        """The number of tokens of each factor."""
        return tuple(vocabulary(factor) for factor in self.factors)

    @property
    def vocab_size(self) -> int:
        """The number of composite tokens."""
        return math.prod(self.vocab_sizes)

    def predict(self, belief: Float[Array, " state"]) -> Float[Array, " token"]:
        """P(x | belief) = prod_n P_n(x_n | belief_n)."""
        laws = [factor.predict(b) for factor, b in zip(self.factors, self.split_belief(belief), strict=True)]
        return reduce(jnp.kron, laws)

    def update(self, belief: Float[Array, " state"], token: Int[Array, ""]) -> Float[Array, " state"]:
        """Each factor's belief moved by its own token; NaN throughout where one of them is impossible."""
        parts = zip(self.factors, self.split_belief(belief), self.split_token(token), strict=True)
        return join_beliefs([factor.update(b, digit) for factor, b, digit in parts])

    def split_belief(self, belief: ArrayLike) -> list[Float[Array, "*batch _"]]:
        """The factors' beliefs, cut from the last axis of `[..., state]`."""
        return split_belief(belief, [len(factor.initial) for factor in self.factors])

    def split_token(self, token: ArrayLike) -> list[Int[Array, "*batch"]]:
        """The factors' tokens, each of the shape of `token`; -1 each where that is outside the vocabulary."""
        return split_token(token, self.vocab_sizes)

    def join_tokens(self, tokens: ArrayLike) -> Int[Array, "*batch"]:
        """The composite token of the factors' tokens `[factor, ...]`."""
        return join_tokens(tokens, self.vocab_sizes)

    def joint(self) -> Process:
        """One process on the product of the factors' states: T^(x) = kron_n T_n^(x_n)."""
        parts = [joint(factor) for factor in self.factors]
        return assemble_joint(reduce(jnp.kron, [part.transitions for part in parts]), parts)


def product(factors: Sequence[Observer]) -> Product:
    """Independent factors side by side; beliefs are concatenated, tokens mixed radix with factor 0 most significant.

    Args:
        factors: any observers; processes or compositions of them where the joint will be asked for.

    Raises:
        ValueError: no factors.
        TypeError: a factor that is no observer.

    >>> from beliefgeo.processes.classical import coin
    >>> product([coin(0.25), coin(0.5)]).predict(jnp.ones(2)).tolist()
    [0.125, 0.125, 0.375, 0.375]
    """
    if not len(factors):
        raise ValueError("product needs one factor or more; got none")
    return Product(tuple(require_observer("product", index, factor) for index, factor in enumerate(factors)))


def factored_mess3_bloch() -> Product:
    """Three mess3(.15, .6) and two bloch_walk(1, 3): 432 tokens, 15 belief entries for 243 joint states.

    The five-factor process of Shai et al. 2602.02385. Entropies add over factors: the optimum after 0..7 tokens
    read is 5.9256 nats.

    >>> factored_mess3_bloch().vocab_size, len(factored_mess3_bloch().initial)
    (432, 15)
    """
    return product([mess3(0.15, 0.6)] * 3 + [bloch_walk(1, 3)] * 2)


def joint(process: Observer) -> Process:
    """The one process that a composition stands for; a `Process` is its own.

    Raises:
        TypeError: an observer that is neither a process nor made of processes.

    >>> from beliefgeo.processes.classical import coin
    >>> joint(product([coin(0.25), coin(0.5)])).transitions[:, 0, 0].tolist()
    [0.125, 0.125, 0.375, 0.375]
    """
    if isinstance(process, Process):
        return process
    if not isinstance(build := getattr(process, "joint", None), Callable):
        raise TypeError(f"joint needs a process or a composition of processes; got a {type(process).__name__}")
    return build()


def assemble_joint(transitions: Array, parts: Sequence[Process]) -> Process:
    """The process of these joint transitions, an HMM unless one of its parts is generalised."""
    initial = reduce(jnp.kron, [part.initial for part in parts])
    if any(part.generalised for part in parts):
        return ghmm(transitions, initial, reduce(jnp.kron, [part.readout for part in parts]))
    return hmm(transitions, initial)


def split_belief(belief: ArrayLike, sizes: Sequence[int]) -> list[Float[Array, "*batch _"]]:
    """The factors' beliefs, cut from the last axis."""
    belief = as_floats(belief)
    if belief.shape[-1] != sum(sizes):
        raise ValueError(
            f"a belief has the {sum(sizes)} entries of the factors' beliefs side by side; got {belief.shape[-1]}"
        )
    return jnp.split(belief, list(accumulate(sizes))[:-1], axis=-1)


def join_beliefs(beliefs: Sequence[Float[Array, " _"]]) -> Float[Array, " state"]:
    """One belief from the factors'; NaN throughout where one is, because the composite token is impossible then."""
    belief = jnp.concatenate(beliefs)
    return jnp.where(jnp.isnan(belief).any(), jnp.nan, belief)


def split_token(token: ArrayLike, vocab_sizes: Sequence[int]) -> list[Int[Array, "*batch"]]:
    """The digits of a composite token, -1 each where it is outside the vocabulary."""
    token = jnp.asarray(token)
    places = [math.prod(vocab_sizes[n + 1 :]) for n in range(len(vocab_sizes))]
    inside = (token >= 0) & (token < math.prod(vocab_sizes))
    return [jnp.where(inside, token // place % size, -1) for place, size in zip(places, vocab_sizes, strict=True)]


def join_tokens(tokens: ArrayLike, vocab_sizes: Sequence[int]) -> Int[Array, "*batch"]:
    """The composite token of the factors' tokens, Horner's rule in mixed radix."""
    digits = jnp.asarray(tokens)
    if len(digits) != len(vocab_sizes):
        raise ValueError(f"join_tokens needs one token a factor ({len(vocab_sizes)}); got {len(digits)}")
    return reduce(lambda high, low: high * low[1] + low[0], zip(digits[1:], vocab_sizes[1:], strict=True), digits[0])


def require_observer(who: str, index: int, factor: object) -> Observer:
    """The factor, where it has the observer interface."""
    if not isinstance(factor, Observer):
        raise TypeError(
            f"{who} needs observers (initial, predict, update); factor {index} is a {type(factor).__name__}"
        )
    return factor
