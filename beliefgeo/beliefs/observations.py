"""Sequences as they are observed: tokens that were missed, and sequences of different lengths in one array.

A missed token moves the belief by T = sum_x T^(x) and has probability 1; after the end nothing moves. These are two
more tokens: V, whose matrix is T, and V + 1, whose matrix is the identity. So every kernel that multiplies the matrices
of tokens accepts them, with right values and right gradients.
"""

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import ArrayLike, as_integers, concrete
from beliefgeo.processes.given import check_tokens
from beliefgeo.processes.names import MISSING, numbered
from beliefgeo.processes.process import Observer, Process, vocabulary

# What to do with rows of different lengths, in functions that take lengths.
PADDED = "pad them to one length and give lengths"


def check_observations(
    process: Observer,
    tokens: ArrayLike,
    observed: ArrayLike | None,
    missing: int | str | None,
    lengths: ArrayLike | None,
) -> Int[Array, "*batch time"]:
    """Tokens as int32, with V for a token that was not observed and V + 1 after the end of the sequence.

    A traced token that counts and lies outside the vocabulary is -1, and so are all tokens of a sequence whose traced
    length is out of range: every kernel answers -1 with NaN.

    Args:
        process: gives the vocabulary.
        tokens: `[time]`, or `[batch, time]` with lengths `[batch]`.
        observed: an array of the shape of tokens, False where a token was not observed; the value there does not count.
        missing: the number, or name, that stands for a token not observed, such as -1.
        lengths: the number of tokens, a number for one sequence, `[batch]` for a batch; later tokens do not count.

    Raises:
        TypeError: tokens or lengths that are not integers.
        ValueError: (concrete values only) a token outside the vocabulary, shapes that do not match, lengths out of
            range.
    """
    array = numbered(process, tokens, PADDED, missing)
    missing = MISSING if isinstance(missing, str) else missing
    counted = _before_end(array, lengths)
    seen = jnp.ones(array.shape, bool) if isinstance(array, Tracer) else np.ones(array.shape, bool)
    if observed is not None:
        mask = observed if isinstance(observed, Tracer) else np.asarray(observed)
        if mask.shape != array.shape or mask.dtype != bool:
            raise ValueError(
                f"observed must be True or False for each token, of shape {array.shape}; got {mask.dtype} of shape "
                f"{mask.shape}"
            )
        seen = seen & mask
    if missing is not None:
        seen = seen & (array != missing)
    n_tokens = vocabulary(process)
    checked = check_tokens(process, array, counted & seen)
    silent = jnp.where(jnp.asarray(counted), n_tokens, n_tokens + 1)
    codes = jnp.where(jnp.asarray(counted & seen), checked, silent).astype(jnp.int32)
    if lengths is None:
        return codes
    ends = jnp.asarray(lengths)[..., None]
    return jnp.where((ends >= 0) & (ends <= array.shape[-1]), codes, -1)


def _before_end(tokens: Array | np.ndarray, lengths: ArrayLike | None) -> Array | np.ndarray:
    """Whether each token comes before the end of its sequence."""
    batched = lengths is not None and np.ndim(lengths) == 1
    if tokens.ndim != 1 + batched:
        raise ValueError(
            f"tokens must be one sequence [time]; got shape {tokens.shape}: use jax.vmap for a batch"
            + (", or lengths, one a sequence, for one of different lengths" if tokens.ndim == 2 else "")
        )
    if lengths is None:
        return np.ones(tokens.shape, bool)
    ends = as_integers("lengths", lengths)
    if ends.shape != tokens.shape[:-1]:
        raise ValueError(f"lengths must be one a sequence, of shape {tokens.shape[:-1]}; got shape {ends.shape}")
    if (values := concrete(ends)) is not None and ((values < 0) | (values > tokens.shape[-1])).any():
        raise ValueError(f"lengths must lie in 0..{tokens.shape[-1]}; got {values.astype(int).tolist()}")
    return np.arange(tokens.shape[-1]).reshape(*[1] * ends.ndim, -1) < ends[..., None]


def with_silence(process: Process) -> Process:
    """The process with two more tokens: V for a token that was not observed, and V + 1 for after the end."""
    identity = jnp.eye(process.n_states, dtype=process.transitions.dtype)
    matrices = jnp.concatenate([process.transitions, process.transitions.sum(0)[None], identity[None]])
    return Process(matrices, process.initial, process.readout, process.generalised)


def without_silence(
    log_probabilities: Float[Array, " time"], codes: Int[Array, " time"], vocab_size: int
) -> Float[Array, " time"]:
    """Log-probabilities that are 0 where no token was observed, unless the word was already impossible or undefined."""
    return jnp.where((codes >= vocab_size) & jnp.isfinite(log_probabilities), 0, log_probabilities)
