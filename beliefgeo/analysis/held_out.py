"""Held-out scores: folds of whole subtrees of words, and what shuffled beliefs would score in the same way."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num, PRNGKeyArray

from beliefgeo.analysis.controls import equivalent_window, shuffle_prefixes, window_curve
from beliefgeo.analysis.cross_validation import cross_validate_probe, cross_validated_r2
from beliefgeo.analysis.evaluation import Prefixes

# Folds are made of the subtrees below words of at least this many tokens; shorter prefixes only ever train. Several
# subtrees a fold: with one alone, the few heavy prefixes near its root make even the mean a poor prediction.
HELD_OUT_DEPTH = 3
HELD_OUT_FOLDS = 9
SUBTREES_A_FOLD = 3

# Numbers in the targets of the shuffles scored at once: 64 MiB of float32.
_CHUNK = 2**24


class HeldOutScore(NamedTuple):
    """Scores over the prefixes no shorter than the subtrees' roots; `mse_per_length[i]` after `length[i]` tokens."""

    mse: float
    r2: float
    unexplained: float
    """1 - R2: the fraction of the beliefs' variance that the probe leaves."""
    window: float
    """The tokens of context of which the best function leaves as much (`controls.equivalent_window`)."""
    length: np.ndarray
    mse_per_length: np.ndarray


def held_out_folds(prefixes: Prefixes) -> Int[np.ndarray, " row"]:
    """The fold of each prefix, whole subtrees dealt out in turn; -1 for those too short, which only ever train.

    The roots are the words of the least depth, from 3 to half the context, that gives three subtrees a fold (3 tokens
    in Mess3, 5 in RRXOR, of fewer words), else those of 3 tokens.

    Raises:
        ValueError: words of fewer than 3 tokens.
    """
    if prefixes.length.max() < HELD_OUT_DEPTH:
        raise ValueError(
            f"held-out scores need words of {HELD_OUT_DEPTH} tokens or more; got {prefixes.length.max()}: "
            "raise the context"
        )
    depths = range(HELD_OUT_DEPTH, prefixes.length.max() // 2 + 1)
    enough = (depth for depth in depths if prefixes.subtrees(depth).max() + 1 >= SUBTREES_A_FOLD * HELD_OUT_FOLDS)
    subtrees = prefixes.subtrees(next(enough, HELD_OUT_DEPTH))
    return np.where(subtrees < 0, -1, subtrees % HELD_OUT_FOLDS)


def held_out_score(
    features: Float[Array, "row feature"],
    prefixes: Prefixes,
    weights: Num[np.ndarray, " row"],
    *,
    targets: Float[Array | np.ndarray, "row state"] | None = None,
    offset: bool = True,
) -> HeldOutScore:
    """Fit and score by subtree: no prefix is predicted by a probe that saw its first three tokens continued.

    Args:
        features: activations of each prefix.
        prefixes: from `evaluation.prefixes`.
        weights: `prefixes.counts` (every word and position alike) or `prefixes.probabilities`.
        targets: other targets than the beliefs, such as shuffled ones.
        offset: fit an affine probe, else a linear one.
    """
    folds, weights = held_out_folds(prefixes), np.asarray(weights, float)
    given = prefixes.beliefs if targets is None else targets
    predictions = cross_validate_probe(features, given, folds, weights, offset=offset).predictions
    rows = folds >= 0
    shares = np.where(rows, weights, 0) / weights[rows].sum()
    truth = np.asarray(given, np.float64)
    error = ((np.where(rows[:, None], predictions, 0) - truth) ** 2).sum(1)
    unexplained = shares @ error / (shares @ ((truth - shares @ truth) ** 2).sum(1))
    lengths = np.unique(prefixes.length[rows])
    totals = [np.bincount(prefixes.length, shares * value)[lengths] for value in (error, np.ones(len(error)))]
    window = equivalent_window(unexplained, held_out_curve(prefixes, weights))
    n_targets = truth.shape[1]
    by_length = totals[0] / totals[1] / n_targets
    return HeldOutScore(shares @ error / n_targets, 1 - unexplained, unexplained, window, lengths, by_length)


def held_out_curve(prefixes: Prefixes, weights: Num[np.ndarray, " row"]) -> Float[np.ndarray, " window"]:
    """`window_curve` of the prefixes that a held-out score counts: what `equivalent_window` compares it with."""
    return window_curve(prefixes, weights, held_out_folds(prefixes) >= 0)


class PermutationTest(NamedTuple):
    """The held-out R2 of the beliefs, those of shuffled ones, and how often chance does as well."""

    r2: float
    shuffled: Float[np.ndarray, " shuffle"]
    p_value: float
    """(1 + number of shuffles that score at least as well) / (1 + number of shuffles)."""


def permutation_test(
    key: PRNGKeyArray,
    features: Float[Array, "row feature"],
    prefixes: Prefixes,
    weights: Num[np.ndarray, " row"],
    shuffle: Callable[[PRNGKeyArray, Prefixes], Float[Array, "row state"]] = shuffle_prefixes,
    *,
    count: int = 1000,
) -> PermutationTest:
    """Does the probe of the beliefs beat probes of shuffled beliefs, each with cut-offs of its own choice?

    The features are decomposed once for each set of folds left out, whatever the number of shuffles.

    Args:
        key: draws the shuffles.
        features: activations of each prefix.
        prefixes: from `evaluation.prefixes`.
        weights: `prefixes.counts` or `prefixes.probabilities`.
        shuffle: `controls.shuffle_prefixes`, or `controls.shuffle_unseen` to ask for more than the next-token law.
        count: the number of shuffles; no p-value is below 1 / (count + 1).
    """
    beliefs = jnp.asarray(prefixes.beliefs, features.dtype)
    chunks = -(-count * beliefs.size // _CHUNK)
    keys = jax.random.split(key, (chunks, -(-count // chunks)))
    draw = jax.jit(jax.vmap(lambda one: shuffle(one, prefixes).astype(beliefs.dtype)))
    score = lambda targets: cross_validated_r2(features, targets, held_out_folds(prefixes), weights)
    scores = [np.asarray(score(jnp.concatenate([beliefs[None], draw(some)]))) for some in keys]
    r2, shuffled = float(scores[0][0]), np.concatenate([some[1:] for some in scores])[:count]
    return PermutationTest(r2, shuffled, (1 + (shuffled >= r2).sum()) / (1 + count))
