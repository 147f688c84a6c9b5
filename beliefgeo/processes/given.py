"""The tokens and beliefs that a caller gives to a process: a wrong concrete value raises, a wrong traced one is NaN."""

from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import ArrayLike, as_floats, as_int32
from beliefgeo.processes.factored import Product
from beliefgeo.processes.names import is_name, numbered
from beliefgeo.processes.process import Observer, Process, vocabulary

# How far the mass of a belief may be from 1, as in the constructors of processes, and an entry of an HMM's belief below
# 0.
_TOLERANCE = 1e-5


def check_tokens(
    process: Observer, tokens: ArrayLike, counted: ArrayLike | None = None, ragged: str = "give one at a time"
) -> Int[Array, "*batch"]:
    """Tokens as int32; raises if a concrete token is outside the vocabulary, or neither an integer nor a name.

    A traced token outside the vocabulary becomes -1, which every kernel answers with NaN.

    Args:
        process: gives the vocabulary.
        tokens: integers of any shape, or names (`names.numbered`).
        counted: an array of the same shape, False where a token does not count: it is not checked, and becomes 0.
        ragged: what to do with rows of different lengths.
    """
    array = numbered(process, tokens, ragged)
    mask, vocab_size = np.True_ if counted is None else counted, vocabulary(process)
    if not isinstance(array, Tracer) and not isinstance(mask, Tracer):
        outside = (np.asarray(array) < 0) | (np.asarray(array) >= vocab_size)
        if (outside := outside & np.asarray(mask)).any():
            where = tuple(np.argwhere(outside)[0].tolist())
            place = f" at position {', '.join(map(str, where))}" if where else ""
            raise ValueError(f"tokens must lie in 0..{vocab_size - 1}; got {int(array[where])}{place}")
        return jnp.asarray(np.where(np.asarray(mask), np.asarray(array), 0), jnp.int32)
    narrow = as_int32(array)
    known = jnp.where((narrow >= 0) & (narrow < vocab_size), narrow, -1)
    return jnp.where(jnp.asarray(mask), known, 0)


def check_token(process: Observer, token: ArrayLike) -> Int[Array, "*batch"]:
    """One token as int32, or an array of tokens of any shape; a string is one name.

    >>> from beliefgeo.processes.classical import coin
    >>> int(check_token(coin(), "1"))
    1
    """
    if not isinstance(token, str) and not is_name(token, getattr(process, "token_names", None) or ()):
        return check_tokens(process, token)
    number = check_tokens(process, [token])
    if number.ndim != 1:
        raise ValueError(f"token must be one token; got the {number.size} of {token!r}: filter_beliefs takes several")
    return number[0]


def check_belief(process: Observer, belief: ArrayLike) -> Float[Array, "*batch state"]:
    """A belief in the precision of the process; a vector that is not a belief raises if concrete, and is NaN if traced.

    A belief has belief @ readout == 1 and, up to rounding, gives no token a negative probability. A belief of an HMM
    has no negative entry. A belief of an observer without readout gives laws that sum to 1. NaN, the belief after an
    impossible word, passes.

    Args:
        process: the process of the belief.
        belief: `[..., state]`.

    Raises:
        ValueError: (concrete values only) a wrong number of entries, or a vector that is not a belief; it says why.
    """
    array = as_floats(belief).astype(process.initial.dtype)
    if array.shape[-1:] != process.initial.shape:
        raise ValueError(
            f"a belief of this process has {len(process.initial)} entries, one a state; got shape {array.shape}"
        )
    return require_belief(
        array, *mass_and_lowest(process, array), isinstance(process, Process) and not process.generalised
    )


def require_belief(
    array: Float[Array, "*batch state"], mass: Float[Array, "*batch"], lowest: Float[Array, "*batch"], classical: bool
) -> Float[Array, "*batch state"]:
    """The beliefs if they have mass 1 and no probability below 0; see `check_belief`.

    Args:
        array: the beliefs.
        mass: the sum of the probabilities of each.
        lowest: the least probability of each, of a state if `classical`, else of a token.
        classical: whether the entries are probabilities themselves.
    """
    # Errors of earlier tokens may leave a generalised process with an impossible token at -1e-4 in float32.
    slack = _TOLERANCE if classical else float(jnp.finfo(array.dtype).eps) ** 0.5
    wrong = (abs(mass - 1) > _TOLERANCE) | (lowest < -slack)
    if not isinstance(wrong, Tracer):
        if np.asarray(wrong).any():
            where = tuple(np.argwhere(np.asarray(wrong))[0].tolist())
            what = np.asarray(array, np.float64)[where].round(6).tolist()
            if abs(mass[where] - 1) > _TOLERANCE:
                raise ValueError(
                    "a belief must be normalised, belief @ readout == 1 (a sum for an HMM); got "
                    f"{float(mass[where]):.6g} for {what}: divide by it"
                )
            raise ValueError(
                f"a belief must give every {'state' if classical else 'token'} a probability of 0 or more; got "
                f"{float(lowest[where]):.3g} for {what}"
            )
        return array
    return jnp.where(wrong[..., None], jnp.nan, array)


def mass_and_lowest(process: Observer, belief: Float[Array, "*batch state"]) -> tuple[Array, Array]:
    """For each belief, the sum of its probabilities and the least of them."""
    if not isinstance(process, Process):
        return _of_law(process, belief)
    mass = jnp.matmul(belief, process.readout, precision="highest")
    if not process.generalised:
        return mass, belief.min(-1)
    evidence = jnp.matmul(process.transitions, process.readout, precision="highest")
    return mass, jnp.matmul(belief, evidence.T, precision="highest").min(-1)


def _of_law(process: Observer, belief: Float[Array, "*batch state"]) -> tuple[Array, Array]:
    """The same for any observer: factor by factor if factors are independent, else by the law of its next token."""
    if isinstance(process, Product):
        pairs = zip(process.factors, process.split_belief(belief), strict=True)
        masses, lowest = zip(*[mass_and_lowest(*pair) for pair in pairs], strict=True)
        further = lambda one, other: jnp.where(abs(other - 1) > abs(one - 1), other, one)
        return reduce(further, masses), reduce(jnp.minimum, lowest)
    laws = jax.vmap(process.predict)(belief.reshape(-1, belief.shape[-1]))
    return laws.sum(-1).reshape(belief.shape[:-1]), laws.min(-1).reshape(belief.shape[:-1])
