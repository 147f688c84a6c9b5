"""Which rows lie in which fold."""

import numpy as np
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import ArrayLike, concrete


def check_folds(folds: ArrayLike, weights: Float[Array, " row"]) -> tuple[Int[np.ndarray, " row"], int]:
    """Fold labels 0..F-1, -1 for rows that only train, and F; raises unless the labels allow nested folds."""
    labels = np.asarray(folds)
    if labels.shape != weights.shape:
        raise ValueError(f"folds must have one entry per row ({len(weights)}); got shape {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"folds must be integers; got {labels.dtype}")
    n_folds = int(labels.max(initial=-1)) + 1
    if n_folds < 3 or labels.min() < -1 or len(np.unique(labels[labels >= 0])) < n_folds:
        raise ValueError(f"cross-validation needs folds 0..F-1, F >= 3, none empty; got {np.unique(labels).tolist()}")
    if (shares := concrete(weights)) is not None:
        of_fold = np.bincount(labels + 1, shares)  # the rows of no fold come first
        if of_fold.sum() - np.sort(of_fold[1:])[-2:].sum() <= 0:
            raise ValueError(
                f"cross-validation leaves out two folds at a time and needs weight elsewhere; got {of_fold[1:]} by fold"
            )
    return labels, n_folds


def members_of(labels: Int[np.ndarray, " row"], n_folds: int) -> Int[np.ndarray, "part part_row"]:
    """The rows of each fold, and last the rows of no fold if there are any; -1 pads the shorter lists."""
    parts = [np.flatnonzero(labels == part) for part in [*range(n_folds), -1] if (labels == part).any()]
    longest = max(map(len, parts))
    return np.stack([np.pad(part, (0, longest - len(part)), constant_values=-1) for part in parts])
