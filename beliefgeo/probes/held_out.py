"""Held-out scores: folds of whole subtrees of words, and what shuffled beliefs would score in the same way."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from beliefgeo.arrays import ArrayLike
from beliefgeo.probes.controls import equivalent_window, shares_of, shuffle_prefixes, window_curve
from beliefgeo.probes.nested import cross_validate_probe, cross_validated_r2
from beliefgeo.probes.weighted import as_reals, check_weights, drop_rounding, explained
from beliefgeo.reading.evaluation import Prefixes

# Folds are made of the subtrees below words of at least this many tokens; shorter prefixes only ever train. Several
# subtrees a fold: with one alone, the few heavy prefixes near its root make even the mean a poor prediction.
HELD_OUT_DEPTH = 3
HELD_OUT_FOLDS = 9
SUBTREES_A_FOLD = 3

# Numbers in the targets of the shuffles scored at once: 64 MiB of float32.
_CHUNK = 2**24


class HeldOutScore(NamedTuple):
    """Scores over the prefixes no shorter than the subtrees' roots; `mse_per_length[i]` after `length[i]` tokens.

    R2 of targets without variance, beyond the rounding of their mean, is 1 if they are predicted within that, else 0.
    """

    mse: float
    r2: float
    unexplained: float
    """1 - R2: the fraction of the beliefs' variance that the probe leaves."""
    window: float
    """The tokens of context of which the best function leaves as much (`controls.equivalent_window`)."""
    length: np.ndarray
    mse_per_length: np.ndarray
    """NaN at a length whose prefixes have no weight."""


def held_out_folds(prefixes: Prefixes) -> Int[np.ndarray, " row"]:
    """The fold of each prefix, whole subtrees dealt out in turn; -1 for those too short, which only ever train.

    The roots are the words of the least depth, from 3 to half the context, that gives three subtrees a fold (3 tokens
    in Mess3, 5 in RRXOR, of fewer words), else those of 3 tokens.

    Raises:
        ValueError: words of fewer than 3 tokens.
    """
    if (longest := prefixes.length.max(initial=0)) < HELD_OUT_DEPTH:
        raise ValueError(
            f"held-out scores need words of {HELD_OUT_DEPTH} tokens or more; got {longest}: raise the context"
        )
    depths = range(HELD_OUT_DEPTH, prefixes.length.max() // 2 + 1)
    enough = (depth for depth in depths if prefixes.subtrees(depth).max() + 1 >= SUBTREES_A_FOLD * HELD_OUT_FOLDS)
    subtrees = prefixes.subtrees(next(enough, HELD_OUT_DEPTH))
    return np.where(subtrees < 0, -1, subtrees % HELD_OUT_FOLDS)


def held_out_score(
    features: ArrayLike,
    prefixes: Prefixes,
    weights: ArrayLike,
    *,
    targets: ArrayLike | None = None,
    offset: bool = True,
) -> HeldOutScore:
    """Fit and score by subtree: no prefix is predicted by a probe that saw its first three tokens continued.

    Args:
        features: `[row, feature]`, activations of each prefix.
        prefixes: from `evaluation.prefixes`.
        weights: `[row]`, `prefixes.counts` (every word and position alike) or `prefixes.probabilities`.
        targets: `[row, state]`, other targets than the beliefs, such as shuffled ones.
        offset: fit an affine probe, else a linear one.

    Raises:
        ValueError: mismatched rows, NaN, weights that are negative or leave a fold nothing to be predicted from, words
            of fewer than 3 tokens or of fewer than 3 subtrees.
    """
    folds, given = held_out_folds(prefixes), prefixes.beliefs if targets is None else targets
    weights = np.asarray(check_weights(weights, len(folds)))
    predictions = cross_validate_probe(features, given, folds, weights, offset=offset).predictions
    shares = shares_of(np.where(folds >= 0, weights, 0))
    counted = (shares > 0)[:, None]
    truth, seen = np.where(counted, given, 0).astype(np.float64), np.where(counted, predictions, 0)
    errors, mean = (seen - truth) ** 2, shares @ truth
    left = drop_rounding(shares @ errors, shares @ (truth - mean) ** 2, mean, predictions.dtype)
    r2 = float(explained(*(total.sum(keepdims=True) for total in left))[0])
    lengths, mse = np.unique(prefixes.length[folds >= 0]), errors.mean(1)
    of_length = lambda values: np.bincount(prefixes.length, values)[lengths]
    weight = of_length(shares)
    by_length = np.where(weight > 0, of_length(shares * mse) / np.where(weight > 0, weight, 1), np.nan)
    window = equivalent_window(1 - r2, held_out_curve(prefixes, weights))
    return HeldOutScore(float(shares @ mse), r2, 1 - r2, window, lengths, by_length)


def held_out_curve(prefixes: Prefixes, weights: ArrayLike) -> Float[np.ndarray, " window"]:
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
    features: ArrayLike,
    prefixes: Prefixes,
    weights: ArrayLike,
    shuffle: Callable[[PRNGKeyArray, Prefixes], Float[Array, "row state"]] = shuffle_prefixes,
    *,
    count: int = 1000,
) -> PermutationTest:
    """Does the probe of the beliefs beat probes of shuffled beliefs, each with cut-offs of its own choice?

    The features are decomposed once for each set of folds left out, whatever the number of shuffles.

    Args:
        key: draws the shuffles.
        features: `[row, feature]`, activations of each prefix.
        prefixes: from `evaluation.prefixes`.
        weights: `[row]`, `prefixes.counts` or `prefixes.probabilities`.
        shuffle: `controls.shuffle_prefixes`, or `controls.shuffle_unseen` to ask for more than the next-token law.
        count: the number of shuffles, 1 or more; no p-value is below 1 / (count + 1).

    Raises:
        ValueError: as `held_out_score`; no shuffles.
    """
    if count < 1:
        raise ValueError(f"permutation_test needs a count of 1 shuffle or more; got {count}")
    beliefs = jnp.asarray(prefixes.beliefs, as_reals("features", features).dtype)
    chunks = -(-count * beliefs.size // _CHUNK)
    keys = jax.random.split(key, (chunks, -(-count // chunks)))
    # Not compiled as a whole: the prefixes would be constants of that program, and XLA spends seconds on folding them.
    draw = jax.vmap(lambda one: shuffle(one, prefixes).astype(beliefs.dtype))
    score = lambda targets: cross_validated_r2(features, targets, held_out_folds(prefixes), weights)
    scores = [np.asarray(score(jnp.concatenate([beliefs[None], draw(some)]))) for some in keys]
    r2, shuffled = float(scores[0][0]), np.concatenate([some[1:] for some in scores])[:count]
    # Shuffles that move nothing score the same but for rounding, and must not seem to do worse.
    return PermutationTest(r2, shuffled, (1 + (shuffled >= r2 - 1e-6).sum()) / (1 + count))
