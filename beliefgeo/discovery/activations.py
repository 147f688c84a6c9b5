"""What a network holds after the prefixes of its futures, and after each of their next tokens."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from beliefgeo.discovery.futures import Futures
from beliefgeo.discovery.models import kept_tokens, read_as
from beliefgeo.networks.network import Network
from beliefgeo.reading.read import read_words

_BATCH = 4096


def network_activations(
    network: Network,
    params: Any,
    futures: Futures,
    select: Callable[[dict[str, Array]], Array] = lambda activations: activations["resid_post"][-1],
    *,
    bos: int | None = None,
    tokens: Sequence[int] | None = None,
) -> tuple[Float[np.ndarray, "row width"], Float[np.ndarray, "row token width"]]:
    """Activations after each prefix, and after each prefix and next token, for `discover_process`.

    After the empty word there are none, NaN, unless the network reads a BOS.

    Args:
        network: see `network_laws`.
        params: the params of one network.
        futures: from `future_laws`.
        select: the activations to keep, `[time, width]`; default: the last block's output.
        bos: the token that the network reads before every word, as in `network_laws`.
        tokens: the tokens that were kept, as in `network_laws`.

    Raises:
        ValueError: as `network_laws`.
    """
    rows, time = futures.words.shape
    vocab, at = futures.vocab_size, futures.length
    read = np.zeros((rows, vocab, time + 1), int)
    read[:, :, :time] = np.maximum(futures.words, 0)[:, None]
    read[np.arange(rows)[:, None], np.arange(vocab), at[:, None]] = np.arange(vocab)
    read = read_as(read.reshape(rows * vocab, -1), kept_tokens(network, params, bos, tokens), bos)
    first = 0 if bos is None else 1
    batches = [read_words(network, params, read[one : one + _BATCH], select) for one in range(0, len(read), _BATCH)]
    held = np.concatenate([np.asarray(batch, np.float64) for batch in batches])
    held = held.reshape(rows, vocab, *held.shape[1:])
    after = held[np.arange(rows), :, at + first]
    here = held[np.arange(rows), 0, at + first - 1]
    if bos is None:
        here[0] = np.nan
    return here, after
