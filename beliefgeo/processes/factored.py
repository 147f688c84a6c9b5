"""Independent factors side by side; their belief is the concatenation of the factors' beliefs, and no joint is built.

The composite token is mixed radix, factor 0 most significant: x = (x_0 V_1 + x_1) V_2 + x_2 and so on. Through the
observer interface, filtering and trees cost sums over factors where the joint would cost products.
Source: Shai et al. 2602.02385.
"""

import math
import os
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import accumulate

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import ArrayLike, as_floats, as_int32, as_integers, contract, is_traced
from beliefgeo.processes.classical import mess3
from beliefgeo.processes.opaque import Opaque, as_pytree
from beliefgeo.processes.process import Observer, Process, vocabulary
from beliefgeo.processes.quantum import bloch_walk


class Product(eqx.Module):
    """Independent factors; construct with `product`.

    Attributes:
        factors: The processes; the first is the most significant digit of the token.
    """

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
        """Each factor's belief moved by its own token; NaN throughout if any of the tokens is impossible."""
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

    def apart(self, tokens: Int[Array, " time"]) -> list[tuple[Observer, Int[Array, " time"]]]:
        """Each factor as an observer by itself, and its tokens: beliefs move as here, and log-probabilities add."""
        return list(zip(self.factors, self.split_token(tokens), strict=True))

    def joint(self) -> Process:
        """One process on the product of the factors' states: T^(x) = kron_n T_n^(x_n)."""
        parts = [joint(factor) for factor in self.factors]
        tokens = self.split_token(jnp.arange(self.vocab_size))
        return assemble_joint(parts, self.vocab_size, lambda n: parts[n].transitions[tokens[n]])


def product(factors: Sequence[Observer]) -> Product:
    """Independent factors side by side; beliefs are concatenated, tokens mixed radix with factor 0 most significant.

    Args:
        factors: any observers; `joint` needs processes or compositions of processes.

    Raises:
        ValueError: no factors.
        TypeError: a factor that is not an observer.

    >>> from beliefgeo.processes.classical import coin
    >>> product([coin(0.25), coin(0.5)]).predict(jnp.ones(2)).tolist()
    [0.125, 0.125, 0.375, 0.375]
    """
    if not len(factors):
        raise ValueError("product needs one factor or more; got none")
    return Product(tuple(require_observer(f"factor {n} of product", factor) for n, factor in enumerate(factors)))


def factored_mess3_bloch() -> Product:
    """Three mess3(.15, .6) and two bloch_walk(1, 3): 432 tokens, 15 belief entries for 243 joint states.

    The five-factor process of Shai et al. 2602.02385. Entropies add over factors: the optimum after 0..7 tokens
    read is 5.9256 nats.

    >>> factored_mess3_bloch().vocab_size, len(factored_mess3_bloch().initial)
    (432, 15)
    """
    return product([mess3(0.15, 0.6)] * 3 + [bloch_walk(1, 3)] * 2)


def joint(process: Observer) -> Process:
    """The one process that a composition stands for; a `Process` stands for itself.

    Raises:
        TypeError: an observer that is neither a process nor made of processes.
        ValueError: a joint that takes more than a quarter of this machine's memory, or whose least probabilities
            are below the range of its precision.

    >>> from beliefgeo.processes.classical import coin
    >>> joint(product([coin(0.25), coin(0.5)])).transitions[:, 0, 0].tolist()
    [0.125, 0.125, 0.375, 0.375]
    """
    return require_process("joint", process)


def require_process(who: str, process: Observer) -> Process:
    """A process as it is, or a composition's joint; raises as `joint`, in the name of `who`, which needs matrices."""
    if isinstance(process, Process):
        return process
    observer = process.instance() if isinstance(process, Opaque) else process
    if not isinstance(build := getattr(observer, "joint", None), Callable):
        raise TypeError(
            f"{who} needs the matrices of a process or of a composition of processes; got {type(observer).__name__}, "
            "which only predicts and updates: enough for sample, filter_beliefs, words, mixed_state_presentation, "
            "myopic_entropies and estimate_entropy_rate"
        )
    return build()


def assemble_joint(parts: Sequence[Process], vocab_size: int, matrices: Callable[[int], Array]) -> Process:
    """The process on the product of the parts' states: T^(x) = kron_n T_n^(x); initial and readout likewise.

    Args:
        parts: a process for each factor, with its states, initial belief and readout.
        vocab_size: the number of composite tokens.
        matrices: a function from n to `[token, state, next_state]` of factor n for every composite token; it is called
            once the joint is known to fit.
    """
    require_memory(vocab_size, math.prod(part.n_states for part in parts), parts[0].transitions.dtype)
    factors = [matrices(n) for n in range(len(parts))]
    classical = [(part, factor) for part, factor in zip(parts, factors, strict=True) if not part.generalised]
    require_range("the joint's transitions", [factor for _, factor in classical])
    require_range("the joint's initial belief", [part.initial for part, _ in classical])
    initial, readout = (reduce(jnp.kron, [getattr(part, name) for part in parts]) for name in ("initial", "readout"))
    return Process(reduce(_kron, factors), initial, readout, generalised=len(classical) < len(parts))


def _kron(left: Float[Array, "token _ _"], right: Float[Array, "token _ _"]) -> Float[Array, "token state state"]:
    """The Kronecker product of two matrices for each token."""
    n_states = left.shape[1] * right.shape[1]
    return contract("xij,xkl->xikjl", left, right).reshape(-1, n_states, n_states)


def require_memory(vocab_size: int, n_states: int, dtype: np.dtype) -> None:
    """Raise if the matrices of a joint would take more than a quarter of this machine's memory."""
    needed = vocab_size * n_states**2 * dtype.itemsize
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if 4 * needed > memory:
        raise ValueError(
            f"the joint would hold {vocab_size:,} matrices of {n_states:,} x {n_states:,} numbers, "
            f"{needed / 2**30:,.1f} GiB, more than a quarter of this machine's memory ({memory / 2**30:.1f} GiB): take "
            "fewer factors, or what only predicts and updates (sample, filter_beliefs, estimate_entropy_rate)"
        )


def require_range(what: str, arrays: Sequence[Array]) -> None:
    """Raise if a product of positive entries, an entry of each array, is below the range of their precision."""
    if is_traced(arrays) or not arrays:
        return
    least = math.prod(float(values[values > 0].min(initial=1)) for values in map(np.asarray, arrays))
    info = jnp.finfo(arrays[0].dtype)
    if least < info.tiny:
        raise ValueError(
            f"{what} would hold products of probabilities as small as {least:.3g}, which count as 0: {info.dtype} ends "
            f"at {info.tiny:.3g}: use float64 (jax.enable_x64)"
        )


def split_belief(belief: ArrayLike, sizes: Sequence[int]) -> list[Float[Array, "*batch _"]]:
    """The factors' beliefs, cut from the last axis."""
    belief = as_floats(belief)
    if belief.shape[-1] != sum(sizes):
        raise ValueError(
            f"a belief has the {sum(sizes)} entries of the factors' beliefs side by side; got {belief.shape[-1]}"
        )
    return jnp.split(belief, list(accumulate(sizes))[:-1], axis=-1)


def join_beliefs(beliefs: Sequence[Float[Array, " _"]]) -> Float[Array, " state"]:
    """One belief from the factors' beliefs; NaN throughout if any is NaN: the composite token is then impossible."""
    belief = jnp.concatenate(beliefs)
    return jnp.where(jnp.isnan(belief).any(), jnp.nan, belief)


def split_token(token: ArrayLike, vocab_sizes: Sequence[int]) -> list[Int[Array, "*batch"]]:
    """The digits of a composite token, -1 each where it is outside the vocabulary.

    Raises:
        ValueError: more composite tokens than an int32 counts.
    """
    total = _count_tokens(vocab_sizes)
    token = as_int32(as_integers("tokens", token))
    token = jnp.where((token >= 0) & (token < total), token, -1)
    places = [math.prod(vocab_sizes[n + 1 :]) for n in range(len(vocab_sizes))]
    return [jnp.where(token < 0, -1, token // place % size) for place, size in zip(places, vocab_sizes, strict=True)]


def join_tokens(tokens: ArrayLike, vocab_sizes: Sequence[int]) -> Int[Array, "*batch"]:
    """The composite token of the factors' tokens, by Horner's rule in mixed radix.

    Raises:
        ValueError: a wrong number of factors; a token outside its factor's vocabulary (a traced token outside, or a
            token -1, gives -1); more composite tokens than an int32 counts.
    """
    _count_tokens(vocab_sizes)
    parts = tokens if isinstance(tokens, Sequence) else as_integers("tokens", tokens)
    given = [as_integers("tokens", digit) for digit in parts]
    if len(given) != len(vocab_sizes):
        raise ValueError(f"join_tokens needs one token a factor ({len(vocab_sizes)}); got {len(given)}")
    digits = jnp.stack([as_int32(digit) for digit in given])
    inside = jnp.stack([(digit >= 0) & (digit < size) for digit, size in zip(digits, vocab_sizes, strict=True)])
    if not is_traced(inside) and not (known := np.asarray(inside | (digits == -1))).all():
        factor, *place = np.argwhere(~known)[0].tolist()
        raise ValueError(
            f"the tokens of factor {factor} must lie in 0..{vocab_sizes[factor] - 1}; got {int(given[factor][*place])}"
        )
    pairs = zip(digits[1:], vocab_sizes[1:], strict=True)
    joined = reduce(lambda high, low: high * low[1] + low[0], pairs, digits[0])
    return jnp.where(inside.all(0), joined, -1)


def _count_tokens(vocab_sizes: Sequence[int]) -> int:
    if (total := math.prod(vocab_sizes)) >= 2**31:
        raise ValueError(
            f"composite tokens are numbered in an int32, to 2^31 - 1; factors of {list(vocab_sizes)} tokens make "
            f"{total:,}: take fewer factors, or each by itself"
        )
    return total


def require_observer(what: str, given: object) -> Observer:
    """The given object, as `as_pytree` gives it, if it has the observer interface; else raise.

    `what` is its name in the message, such as "factor 1 of product".
    """
    if not isinstance(given, Observer):
        raise TypeError(f"{what} must be an observer, with initial, predict and update; got {type(given).__name__}")
    return as_pytree(given)
