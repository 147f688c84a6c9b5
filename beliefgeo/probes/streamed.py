"""Read a network on more words than fit in memory: in chunks, keeping only sums and probe statistics of each chunk.

    sum over words = sum over chunks of the sum over the words of the chunk

A prefix that several chunks share counts in each chunk with the share of its words there. So losses add up, because
they are sums over prefixes. Probes add up, because the statistics of two sets of rows merge into that of their union.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from beliefgeo.beliefs.trees import word_chunks
from beliefgeo.networks.network import Network
from beliefgeo.probes.statistic import ProbeStatistic, merge_statistics, probe_statistic
from beliefgeo.processes.process import Observer
from beliefgeo.reading.losses import loss_gap, optimal_loss
from beliefgeo.reading.read import read
from beliefgeo.reading.rows import Rows, rows_of


class Totals(NamedTuple):
    """The sums and statistics over all words of one length.

    Attributes:
        words: The number of words.
        gap: `loss_gap`: nats above the optimum after each number of tokens read.
        optimal: `optimal_loss` after each number of tokens read. Nats.
        by_count: A `ProbeStatistic` of activations and beliefs for each selected site; every word and position counts
            equally.
        by_probability: The same statistics weighted by the probability of the prefix.
    """

    words: int
    gap: Float[np.ndarray, " length"]
    optimal: Float[np.ndarray, " length"]
    by_count: Any
    by_probability: Any


def stream_words(
    network: Network,
    params: Any,
    process: Observer,
    length: int,
    *,
    depth: int,
    bos: int | None = None,
    select: Callable[[dict[str, Array]], Any] = lambda activations: activations["resid_post"][-1],
) -> Totals:
    """Read a network on all words of one length, in chunks of words that share their first `depth` tokens.

    `solve_probe(totals.by_count, n_features, offset=True, rcond=...)` is the probe of all rows, and `score_statistic`
    scores it.

    Args:
        network: as in `read`.
        params: the params of one network.
        process: the process that emits the words.
        length: the length of the words.
        depth: the number of tokens that the words of a chunk share; memory holds as many words as there are of
            length - depth tokens.
        bos: the token that the network reads first, if it was trained with a BOS.
        select: the activations to use, any pytree of `[time, width]`; default: the last block's output.

    Raises:
        ValueError: unless 0 <= depth <= length; or if a chunk does not fit in memory.
    """

    @jax.jit
    def sums(rows: Rows) -> tuple[Array, Any, Any]:
        log_laws, features, _ = read(network, params, rows, select)
        weighted = lambda weights: jax.tree.map(lambda site: probe_statistic(site, rows.beliefs, weights), features)
        return log_laws, weighted(rows.counts.astype(log_laws.dtype)), weighted(rows.probabilities)

    def total(chunk) -> Totals:
        rows = rows_of(process, chunk, bos=bos)
        log_laws, by_count, by_probability = sums(rows)
        return Totals(len(chunk.tokens), loss_gap(rows, log_laws), optimal_loss(rows), by_count, by_probability)

    chunks = map(total, word_chunks(process, length, depth))
    totals = next(chunks)
    for each in chunks:
        totals = add_totals(totals, each)
    return totals


def add_totals(one: Totals, other: Totals) -> Totals:
    """The totals of two sets of words without a common word."""
    statistics = (_merge(a, b) for a, b in zip(one[3:], other[3:], strict=True))
    return Totals(one.words + other.words, one.gap + other.gap, one.optimal + other.optimal, *statistics)


@jax.jit
def _merge(one: Any, other: Any) -> Any:
    """Merge the statistics site by site."""
    merge = lambda *parts: merge_statistics(jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts))
    return jax.tree.map(merge, one, other, is_leaf=lambda node: isinstance(node, ProbeStatistic))
