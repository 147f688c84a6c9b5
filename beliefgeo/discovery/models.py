"""A model, whatever made it, as one function: tokens to the laws of the next token."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from beliefgeo.arrays import ArrayLike
from beliefgeo.networks.network import Network
from beliefgeo.processes.factored import require_process
from beliefgeo.processes.float64 import as_float64, epsilon
from beliefgeo.processes.process import Observer, Process
from beliefgeo.reading.read import log_softmax

Laws = Callable[[np.ndarray], Any]
"""Tokens [word, time] -> the law of the next token after each token read, [word, time, token] probabilities; or, if the
model also tells the law of the first token, [word, time + 1, token]."""

# The number of words that are read at once.
BATCH = 2048


def network_laws(network: Network, params: Any, *, bos: int | None = None, tokens: Sequence[int] | None = None) -> Laws:
    """The laws of one network, for `future_laws`.

    Args:
        network: `apply(params, tokens)` gives (logits `[time, vocab]`, activations); see `networks.network`.
        params: the params of one network.
        bos: the token that the network reads before every word, if it was trained with it; it is not predicted.
        tokens: the tokens to keep, of a network that knows more than the process emits: laws are taken given these.
            Token i of the laws is `tokens[i]`. Default: all, without the BOS.

    Raises:
        ValueError: a BOS or tokens that the network does not know, or tokens listed twice.

    >>> from beliefgeo.networks.transformer import Transformer, TransformerConfig
    >>> network = Transformer(TransformerConfig(vocab_size=4, context=6, layers=1))
    >>> params = jax.jit(network.init)(jax.random.key(0), jnp.arange(3))
    >>> network_laws(network, params, bos=3)(np.zeros((2, 5), int)).shape
    (2, 6, 3)
    """
    kept = kept_tokens(network, params, bos, tokens)

    def laws(words: np.ndarray) -> np.ndarray:
        read = jnp.asarray(read_as(words, kept, bos))
        chances = np.exp(np.asarray(_log_laws(network.apply, params, read, jnp.asarray(kept)), np.float64))
        return chances / chances.sum(-1, keepdims=True)

    return laws


def kept_tokens(network: Network, params: Any, bos: int | None, tokens: Sequence[int] | None) -> np.ndarray:
    """The network's numbers of the tokens that are kept."""
    known = jax.eval_shape(network.apply, params, jax.ShapeDtypeStruct((1,), jnp.int32))[0].shape[-1]
    kept = np.array([one for one in range(known) if one != bos] if tokens is None else tokens)
    if bos is not None and not 0 <= bos:
        raise ValueError(f"bos must be a token that the network reads, 0 or more; got {bos}")
    if not len(kept) or kept.min() < 0 or kept.max() >= known or len(np.unique(kept)) < len(kept) or bos in kept:
        raise ValueError(
            f"tokens must lie in 0..{known - 1}, the vocabulary of the network, each once and without the BOS; got "
            f"{tokens} and bos={bos}"
        )
    return kept


def read_as(words: np.ndarray, kept: np.ndarray, bos: int | None) -> np.ndarray:
    """Words as the network reads them, a BOS first."""
    read = kept[words]
    return read if bos is None else np.concatenate([np.full((len(read), 1), bos), read], 1)


@partial(jax.jit, static_argnums=0)
def _log_laws(apply: Callable, params: Any, words: Array, kept: Array) -> Float[Array, "word time token"]:
    # Only the tokens that are kept leave the program: a language model knows fifty thousand.
    return jax.lax.map(lambda word: log_softmax(apply(params, word)[0][:, kept]), words, batch_size=256)


def process_laws(process: Observer) -> Laws:
    """The exact laws of a process, of the first token too: the model that a perfect network would be.

    After an impossible token the law is uniform, because none is defined.

    Raises:
        TypeError: a composition of processes that has no joint matrices.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> process_laws(golden_mean(0.5))(np.array([[0, 1]])).round(3).tolist()
    [[[0.667, 0.333], [0.5, 0.5], [1.0, 0.0]]]
    """
    given = require_process("process_laws", process)
    matrices, start, readout = arrays64(given)
    # In a generalised process the terms of an impossible token cancel and leave rounding; in an HMM nothing cancels.
    rounding = epsilon(process) if given.generalised else 0.0

    def laws(words: np.ndarray) -> np.ndarray:
        states, found = np.tile(start, (len(words), 1)), []
        for token in [*np.asarray(words).T, None]:
            moved = np.einsum("ri,xij->rxj", states, matrices)
            joint = np.maximum(moved @ readout, 0)
            joint[joint < rounding] = 0
            total = joint.sum(1, keepdims=True)
            found.append(np.divide(joint, total, out=np.full_like(joint, 1 / len(matrices)), where=total > 0))
            if token is not None:
                states = moved[np.arange(len(words)), token]
                size = (states @ readout)[:, None]
                states = np.divide(states, size, out=np.zeros_like(states), where=size > rounding)
        return np.stack(found, 1)

    return laws


def arrays64(process: Process) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The matrices `[token, state, next_state]`, the initial vector and the readout, in float64."""
    wide = as_float64(process)
    return tuple(np.asarray(part, np.float64) for part in (wide.transitions, wide.initial, wide.readout))  # pyright: ignore


def tabulated(words: ArrayLike, laws: ArrayLike) -> Laws:
    """A model that looks its laws up in arrays: all that is known of a network that was run elsewhere.

    Args:
        words: `[word, time]`, the words that the network read: all words of the length of prefix and future.
        laws: `[word, time, token]`, the probabilities of the next token after each token read.

    Raises:
        ValueError: arrays of different words; (when called) a word that is no beginning of the words.

    >>> laws = tabulated([[0, 0], [0, 1]], [[[0.5, 0.5], [0.9, 0.1]], [[0.5, 0.5], [0.2, 0.8]]])
    >>> laws(np.array([[0, 1]]))[0, 1].tolist()
    [0.2, 0.8]
    """
    known, table = np.asarray(words), np.asarray(laws)
    if known.ndim != 2 or not known.size or table.ndim != 3 or table.shape[:2] != known.shape:
        raise ValueError(
            f"laws must be [word, time, token] for words [word, time]; got shapes {table.shape} and {known.shape}"
        )
    rows = {word.tobytes(): row for row, word in enumerate(np.ascontiguousarray(known, np.int64))}

    def look_up(asked: np.ndarray) -> np.ndarray:
        if asked.shape[1] != known.shape[1]:
            raise ValueError(
                f"words of prefix + future = {asked.shape[1]} tokens are read; the arrays hold words of "
                f"{known.shape[1]} tokens"
            )
        at = np.array([rows.get(word.tobytes(), -1) for word in np.ascontiguousarray(asked, np.int64)])
        if (at < 0).any():
            raise ValueError(
                f"the arrays must hold all words of {known.shape[1]} tokens; {asked[at < 0][0].tolist()} is missing: "
                "run the network on all of them"
            )
        return table[at]

    return look_up
