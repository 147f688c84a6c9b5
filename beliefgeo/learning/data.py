"""What networks learn from: batches drawn inside the training step, with the loss of the best possible predictor."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int
from scipy.special import entr

from beliefgeo.beliefs.trees import words
from beliefgeo.learning.budget import Budget
from beliefgeo.learning.training import Batch
from beliefgeo.processes.process import Observer, vocabulary
from beliefgeo.processes.quasirandom import sample_quasirandom
from beliefgeo.processes.sampling import Sample, sample

Draw = Callable[..., Batch]
"""(key, source, step) -> Batch; the source is the process of a network, if networks side by side have different
ones."""


def batches(process: Observer | None, budget: Budget, *, context: int, bos: bool = False) -> Draw:
    """Batches of `budget.batch` sequences, for `training(..., numbered=True)`.

    Without a BOS the network reads tokens 1..context and predicts 2..context + 1; with a BOS it reads the BOS and
    1..context - 1, and predicts 1..context. The BOS is the token V, one beyond the vocabulary of the process.

    Args:
        process: the process to draw from; None draws from the source of each network.
        budget: its `batch` and `data` are used.
        context: the number of predictions scored in each sequence.
        bos: whether to prepend a BOS.

    Raises:
        ValueError: all words, or quasirandom sequences, of several processes.
    """
    length = context + (not bos)
    if budget.data == "words":
        return _all_words(_alone(process), context, bos)
    if budget.data == "quasirandom":
        observer = _alone(process)

        def spread(key, _, step):
            index = step * budget.batch + jnp.arange(budget.batch)
            drawn = jax.vmap(sample_quasirandom, (None, None, None, 0))(key, observer, length, index)
            return _drawn(drawn, observer, bos)

        return spread
    make = partial(_drawn, bos=bos) if budget.data == "samples" else partial(_with_laws, bos=bos)

    def draw(key, source, step):
        observer = source if process is None else process
        keys = jax.random.split(jax.random.fold_in(key, step), budget.batch)
        return make(jax.vmap(sample, (0, None, None))(keys, observer, length), observer)

    return draw


def _drawn(drawn: Sample, process: Observer, bos: bool) -> Batch:
    # Without a BOS the network has read nothing before the first token, so it does not predict that token.
    return Batch(_read(drawn.tokens, process, bos), -drawn.log_probabilities[:, not bos :].mean())


def _with_laws(drawn: Sample, process: Observer, bos: bool) -> Batch:
    laws = jax.vmap(jax.vmap(process.predict))(drawn.beliefs[:, int(not bos) : -1])
    floor = jax.scipy.special.entr(laws).sum(-1).mean()
    return Batch(_read(drawn.tokens, process, bos), floor, laws=jnp.pad(laws, ((0, 0), (0, 0), (0, int(bos)))))


def _all_words(process: Observer, context: int, bos: bool) -> Draw:
    every = words(process, context + (not bos))
    first = np.zeros(1) if bos else np.asarray(process.predict(process.initial), np.float64)
    floor = (entr(every.probabilities).sum() - entr(first).sum()) / context
    tokens, probabilities = jnp.asarray(every.tokens), jnp.asarray(every.probabilities, jnp.float32)
    batch = Batch(_read(tokens, process, bos), jnp.float32(floor), probabilities)
    return lambda key, source, step: batch


def _read(tokens: Int[Array, "word time"], process: Observer, bos: bool) -> Int[Array, "word time_read"]:
    return jnp.pad(tokens, ((0, 0), (1, 0)), constant_values=vocabulary(process)) if bos else tokens


def _alone(process: Observer | None) -> Observer:
    if process is None:
        raise ValueError(
            "all words, and quasirandom ones, are those of one process: choose data='samples' or 'laws' for several"
        )
    return process
