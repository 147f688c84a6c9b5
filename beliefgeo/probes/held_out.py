"""Held-out scores: each fold is made of whole subtrees of words."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import ArrayLike
from beliefgeo.probes.nested import RCONDS, cross_validate_probe
from beliefgeo.probes.weighted import as_reals, check_weights, drop_rounding, explained
from beliefgeo.probes.windows import equivalent_window, shares_of, window_curve
from beliefgeo.reading.rows import Rows

HELD_OUT_DEPTH = 3
"""Folds are made of the subtrees below words of at least this many tokens; shorter prefixes only ever train."""
HELD_OUT_FOLDS = 9
"""How many folds."""
SUBTREES_A_FOLD = 3
"""A fold has several subtrees: if it had one, the few heavy prefixes near the root would make even the mean a poor
prediction."""

Predict = Callable[[ArrayLike, ArrayLike, Int[np.ndarray, " row"], ArrayLike], Array]
"""(features [row, feature], targets [row, target], folds [row], weights [row]) -> predictions [row, target]. A probe
that never saw a fold predicts it; NaN in rows of no fold (-1), which only ever train."""


def nested(*, offset: bool = True, rconds: tuple[float, ...] = RCONDS) -> Predict:
    """The linear probe whose cut-off is chosen inside the training folds: see `cross_validate_probe`."""
    return lambda features, targets, folds, weights: (
        cross_validate_probe(features, targets, folds, weights, offset=offset, rconds=rconds).predictions
    )


class HeldOutScore(NamedTuple):
    """Scores over the prefixes no shorter than the subtrees' roots; `mse_per_length[i]` is after `length[i]` tokens.

    Targets that vary by no more than the rounding of their mean have R2 1 if they are predicted to within that
    rounding, else 0.

    Attributes:
        mse: The mean squared error, over targets too.
        r2: The share of the beliefs' variance that the probe explains.
        unexplained: 1 - R2: the fraction of the beliefs' variance that the probe leaves.
        window: The number of tokens of context whose best function leaves as much (`windows.equivalent_window`).
        length: The numbers of tokens of `mse_per_length`.
        mse_per_length: NaN at a length whose prefixes have no weight.
    """

    mse: float
    r2: float
    unexplained: float
    window: float
    length: np.ndarray
    mse_per_length: np.ndarray


def held_out_folds(rows: Rows) -> Int[np.ndarray, " row"]:
    """The fold of each prefix: whole subtrees are dealt out in turn; -1 for shorter prefixes, which only ever train.

    The roots are all words of one depth: the least depth, from 3 to half the context, that gives three subtrees a fold
    (3 tokens in Mess3; 5 in RRXOR, which has fewer words). If no depth does, it is 3 tokens.

    Raises:
        ValueError: words of fewer than 3 tokens.
    """
    if (longest := rows.length.max(initial=0)) < HELD_OUT_DEPTH:
        raise ValueError(
            f"held-out scores need words of {HELD_OUT_DEPTH} tokens or more; got {longest}: raise the context"
        )
    depths = range(HELD_OUT_DEPTH, rows.length.max() // 2 + 1)
    enough = (depth for depth in depths if rows.subtrees(depth).max() + 1 >= SUBTREES_A_FOLD * HELD_OUT_FOLDS)
    subtrees = rows.subtrees(next(enough, HELD_OUT_DEPTH))
    return np.where(subtrees < 0, -1, subtrees % HELD_OUT_FOLDS)


def held_out(
    features: ArrayLike,
    rows: Rows,
    weights: ArrayLike,
    *,
    targets: ArrayLike | None = None,
    score: Predict | None = None,
) -> HeldOutScore:
    """Fit and score by subtree: no prefix is predicted by a probe that saw its first three tokens continued.

    Args:
        features: `[row, feature]`, activations of each prefix.
        rows: from `reading.rows`.
        weights: `[row]`, `rows.counts` (which counts every word and position equally) or `rows.probabilities`.
        targets: `[row, state]`, other targets than the beliefs, such as shuffled beliefs.
        score: how left-out rows are predicted; default `nested()`, the affine probe whose cut-offs are chosen inside
            the training folds. `by_folds(fit)` takes any other probe.

    Raises:
        ValueError: mismatched rows, NaN, weights that are negative, weights that leave nothing to predict a fold from,
            words of fewer than 3 tokens, or words of fewer than 3 subtrees.
    """
    folds, given = held_out_folds(rows), rows.beliefs if targets is None else targets
    weights = np.asarray(check_weights(weights, len(folds)))
    predictions = (score or nested())(features, given, folds, weights)
    shares = shares_of(np.where(folds >= 0, weights, 0))
    counted = (shares > 0)[:, None]
    truth, seen = np.where(counted, given, 0).astype(np.float64), np.where(counted, predictions, 0)
    errors, mean = (seen - truth) ** 2, shares @ truth
    left = drop_rounding(shares @ errors, shares @ (truth - mean) ** 2, mean, predictions.dtype)
    r2 = float(explained(*(total.sum(keepdims=True) for total in left))[0])
    lengths, mse = np.unique(rows.length[folds >= 0]), errors.mean(1)
    of_length = lambda values: np.bincount(rows.length, values)[lengths]
    weight = of_length(shares)
    by_length = np.where(weight > 0, of_length(shares * mse) / np.where(weight > 0, weight, 1), np.nan)
    window = equivalent_window(1 - r2, held_out_curve(rows, weights))
    return HeldOutScore(float(shares @ mse), r2, 1 - r2, window, lengths, by_length)


def held_out_curve(rows: Rows, weights: ArrayLike) -> Float[np.ndarray, " window"]:
    """`window_curve` of the prefixes that a held-out score counts: `equivalent_window` compares the score with it."""
    return window_curve(rows, weights, held_out_folds(rows) >= 0)


def by_folds(fit: Callable[[np.ndarray, np.ndarray, np.ndarray], Callable[[np.ndarray], Any]]) -> Predict:
    """Any probe, held out: the probe that is fitted on all other folds predicts a fold.

    Args:
        fit: (features `[row, feature]`, targets `[row, target]`, weights `[row]`) -> a function from features to
            predicted targets; NumPy arrays, of what is predicted any kind. It must make all its choices on these rows.

    >>> mean = lambda features, targets, weights: lambda left_out: np.tile(targets.mean(0), (len(left_out), 1))
    >>> by_folds(mean)(np.zeros((4, 2)), np.array([[0.0], [2.0], [4.0], [7.0]]), np.array([0, 1, 1, -1]), np.ones(4))
    Array([[4.3333335],
           [3.5      ],
           [3.5      ],
           [      nan]], dtype=float32)
    """

    def predict(features: ArrayLike, targets: ArrayLike, folds: np.ndarray, weights: ArrayLike) -> Array:
        given = {"features": features, "targets": targets, "weights": weights}
        features, targets, shares = (np.asarray(as_reals(name, values)) for name, values in given.items())
        predictions = np.full(targets.shape, np.nan, np.result_type(features.dtype, targets.dtype))
        for fold in np.unique(folds[folds >= 0]):
            left_out = folds == fold
            predictor = fit(features[~left_out], targets[~left_out], shares[~left_out])
            found = np.asarray(predictor(features[left_out]))
            if found.shape != (wanted := (left_out.sum(), targets.shape[1])):
                raise ValueError(
                    f"a probe must predict [row, target], {wanted} for this fold; got shape {found.shape}: fit must "
                    "return a function from features to all targets"
                )
            predictions[left_out] = found
        return jnp.asarray(predictions)

    return predict
