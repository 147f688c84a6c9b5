"""The few directions in which what a model expects of the future varies: a reduced rank between past and future."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from beliefgeo.arrays import ArrayLike
from beliefgeo.discovery.futures import Futures

# A future less probable than this counts as if it had this probability: dividing by less magnifies what was never seen.
_FLOOR = 1e-4
# Directions of activations that vary by less than this share of the largest are left out.
_RCOND = 1e-5


class PredictiveSubspace(NamedTuple):
    """Directions of decreasing share in what the past tells of the future.

    Attributes:
        mean: Of the futures' probabilities, or of the activations.
        directions: y = (feature - mean) @ directions.
        singular_values: Of the scaled laws of the futures; squared, they add up to a chi-squared of past and future,
            less what is floored.
    """

    mean: Float[np.ndarray, " feature"]
    directions: Float[np.ndarray, "feature direction"]
    singular_values: Float[np.ndarray, " direction"]

    def points(self, features: ArrayLike, dimension: int) -> Float[np.ndarray, "... dimension"]:
        """The coordinates y of futures, or activations, in the leading directions."""
        return (np.asarray(features, np.float64) - self.mean) @ self.directions[:, :dimension]


def predictive_subspace(futures: Futures, activations: ArrayLike | None = None) -> PredictiveSubspace:
    """The directions along which the laws of the futures differ most between prefixes.

    The singular vectors of W^1/2 (q(u | w) - q(u)) q(u)^-1/2, with a row for each prefix w, weighted, and a column for
    each future u. Given activations, the same of the laws that are linear in the activations: a reduced-rank
    regression.

    Args:
        futures: from `future_laws`.
        activations: `[row, width]` after each prefix; the row of the empty word may be NaN, and counts nothing.

    Raises:
        ValueError: activations of other rows, or not finite; fewer prefixes than activations have dimensions.

    Source: canonical correlations of past and future, Akaike 1975; reduced-rank regression, Izenman 1975.

    >>> from beliefgeo.discovery.futures import future_laws
    >>> from beliefgeo.discovery.models import process_laws
    >>> from beliefgeo.processes.classical import golden_mean
    >>> found = predictive_subspace(future_laws(process_laws(golden_mean(0.5)), 4, 2))
    >>> bool(found.singular_values[0] > 0.4), bool(found.singular_values[1] < 1e-7)
    (True, True)
    """
    if activations is None:
        mean, scale, differences = _scaled(futures.futures, futures.weights)
        _, values, right = np.linalg.svd(differences, full_matrices=False)
        return PredictiveSubspace(mean, scale[:, None] * right.T, values)
    given, weights = _checked(futures, activations)
    centre = weights @ given
    features = np.sqrt(weights)[:, None] * (given - centre)
    onto = np.linalg.lstsq(features, _scaled(futures.futures, weights)[2], rcond=_RCOND)[0]
    _, values, right = np.linalg.svd(features @ onto, full_matrices=False)
    return PredictiveSubspace(centre, onto @ right.T, values)


def _scaled(laws: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """q(u), q(u)^-1/2, and the matrix of `predictive_subspace`."""
    mean = weights @ laws
    scale = 1 / np.sqrt(np.maximum(mean, _FLOOR))
    return mean, scale, np.sqrt(weights)[:, None] * (laws - mean) * scale


def _checked(futures: Futures, activations: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    given = np.array(activations, np.float64)
    if given.ndim != 2 or len(given) != len(futures.words):
        raise ValueError(
            f"activations must be [row, width] for the {len(futures.words)} prefixes of the futures; got shape "
            f"{given.shape}"
        )
    weights = futures.weights.copy()
    if np.isnan(given[0]).all():
        given[0], weights[0] = 0, 0
    if not np.isfinite(given).all():
        raise ValueError("activations must be finite; got NaN or infinite entries after a prefix of a token or more")
    if (weights > 0).sum() <= given.shape[1]:
        raise ValueError(
            f"activations of {given.shape[1]} dimensions need more prefixes than that, else they fit anything; got "
            f"{(weights > 0).sum()}: take longer prefixes, or one layer"
        )
    return given, weights / weights.sum()
