"""A bound that no memory of the past passes: branch and bound over everything that a code may expect."""

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp, xlogy

# Cells in one block of the computation, and cells in all before the bound found so far is taken.
_BLOCK = 4_000
_MOST = 400_000


def ceiling(
    weights: Float[np.ndarray, " past"],
    laws: Float[np.ndarray, "past future"],
    corners: Float[np.ndarray, "corner future"],
    trade_off: float,
    shares: Float[np.ndarray, " code"],
    decoder: Float[np.ndarray, "code future"],
    *,
    tolerance: float,
) -> float:
    """c such that I[C; future] <= c + I[past; C] / beta for every memory C of the past.

    By the duality of rate-distortion theory, with KL[P(future | past) || d] as distortion: for any positive a,

        I[past; C] + beta E KL >= sum_past p(past) log a(past) - log m,
        m = max over d of sum_past p(past) a(past) exp(-beta KL[P(future | past) || d]).

    A code gives a(past) = 1 / sum_c p(c) exp(-beta KL[.. || d_c]), for which m is 1 if the code is the best. d ranges
    over the mixtures of the corners: each law that a code can expect is such a mixture. m is bounded from above on
    simplices: KL is convex in d, so it lies above its tangent at the centre; with tangents in the exponents the sum is
    convex, and largest at a corner of the simplex. Simplices whose bound is too large are halved. Csiszar 1974.

    Args:
        weights: the probability of each past.
        laws: the law of the future after each past, a mixture of the corners.
        corners: such as the law of the future from each hidden state.
        trade_off: beta.
        shares: the probability of each code of a good code; see `best_code`.
        decoder: what it expects.
        tolerance: how much larger than necessary c may be, in nats.

    >>> laws = np.array([[0.5, 0.5], [1.0, 0.0]])  # the golden mean: its two causal states are the best memory
    >>> c = ceiling(np.array([2 / 3, 1 / 3]), laws, laws, 100.0, np.array([2 / 3, 1 / 3]), laws, tolerance=1e-4)
    >>> round(c + 0.6365 / 100, 3)
    0.174
    """
    negative_entropies = xlogy(laws, laws).sum(1)
    free = logsumexp(-trade_off * _divergences(laws, negative_entropies, decoder), axis=1, b=shares[None])
    log_terms = np.log(weights) - free

    def both(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = [cells[at : at + _BLOCK] for at in range(0, len(cells), _BLOCK)]
        found = [_bounds(part, corners, laws, negative_entropies, log_terms, trade_off) for part in parts]
        return np.concatenate([one[0] for one in found]), np.concatenate([one[1] for one in found])

    log_m = _largest(both, np.eye(len(corners))[None], corners, trade_off * tolerance)
    total = weights @ _divergences(laws, negative_entropies, (weights @ laws)[None])[:, 0]
    return float(total + (weights @ free + log_m) / trade_off)


def _largest(both, cells: np.ndarray, corners: np.ndarray, tolerance: float) -> float:
    """An upper bound of the maximum, over all cells, that is larger than the maximum by the tolerance at most."""
    # Zero is always reached in the limit of the best code, so nothing below it needs to be known.
    reached, bound, seen = 0.0, 0.0, 0
    while len(cells):
        above, at_centre = both(cells)
        seen += len(cells)
        reached = max(reached, at_centre.max())
        open_ = above > reached + tolerance
        bound = max(bound, above[~open_].max(initial=0.0))
        if seen > _MOST:
            return max(bound, above[open_].max(initial=0.0))
        cells = _halved(cells[open_], corners)
    return bound


def _bounds(
    cells: np.ndarray,
    corners: np.ndarray,
    laws: np.ndarray,
    negative_entropies: np.ndarray,
    log_terms: np.ndarray,
    beta: float,
) -> tuple[np.ndarray, np.ndarray]:
    """The logarithm of the sum: an upper bound on each cell, `[cell, corner, weight of corner]`; its centre's value."""
    centre = cells.mean(1)
    expected = centre @ corners
    at_centre = log_terms - beta * _divergences(laws, negative_entropies, expected).T
    relative = (cells - centre[:, None]) @ corners / np.where(expected > 0, expected, 1)[:, None]
    slopes = relative @ laws.T  # minus the change of KL from the centre to a corner, along the tangent
    at_corners = at_centre[:, None] + beta * slopes
    return np.asarray(logsumexp(at_corners, axis=2)).max(1), np.asarray(logsumexp(at_centre, axis=1))


def _divergences(laws: np.ndarray, negative_entropies: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """KL `[past, expected]`; infinite where a future is not expected."""
    excluded = laws @ (expected <= 0).astype(float).T > 0
    cross = -laws @ np.log(np.where(expected > 0, expected, 1)).T
    return np.where(excluded, np.inf, cross + negative_entropies[:, None])


def _halved(cells: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Each cell cut in two at the middle of its longest edge, in square roots of probabilities."""
    if not len(cells):
        return cells
    one, other = np.triu_indices(cells.shape[1], 1)
    places = np.sqrt(np.maximum(cells @ corners, 0))
    longest = ((places[:, one] - places[:, other]) ** 2).sum(2).argmax(1)
    row, one, other = np.arange(len(cells)), one[longest], other[longest]
    middle = (cells[row, one] + cells[row, other]) / 2
    left, right = cells.copy(), cells.copy()
    left[row, one], right[row, other] = middle, middle
    return np.concatenate([left, right])
