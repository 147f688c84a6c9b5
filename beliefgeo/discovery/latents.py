"""What the latents of a sparse autoencoder are: corners or tiles of belief space, beliefs, or tokens.

A latent that is a function of the belief is explained by the cell of belief space in which the belief lies; a token
detector by the last tokens. Every R2 here is held out: a code is compared with the mean of the other rows of its cell,
so finer cells cannot raise it by chance.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from beliefgeo.arrays import ArrayLike
from beliefgeo.probes.held_out import held_out, held_out_folds, nested
from beliefgeo.probes.weighted import check_weights, only_rounding
from beliefgeo.probes.windows import shares_of
from beliefgeo.reading.rows import Rows

# A latent counts if it varies and is active on more than this share of the weight of the rows that held-out scores
# count, which are no shorter than the roots of the subtrees.
ALIVE = 1e-3


class Explained(NamedTuple):
    """Held-out R2 of each latent, or of several, given what they may be functions of; NaN for silent latents.

    Attributes:
        belief: The cell of belief space.
        linear: The belief, by a linear probe.
        one_token: The last token.
        two_tokens: The last two tokens.
        three_tokens: The last three tokens.
        position: The number of tokens read.
    """

    belief: Float[np.ndarray, "*latent"]
    linear: Float[np.ndarray, "*latent"]
    one_token: Float[np.ndarray, "*latent"]
    two_tokens: Float[np.ndarray, "*latent"]
    three_tokens: Float[np.ndarray, "*latent"]
    position: Float[np.ndarray, "*latent"]


class Latents(NamedTuple):
    """What the latents of one network are.

    Attributes:
        alive: Whether each latent is ever active.
        active: The share of the weight on which each latent is active.
        explained: R2 of each latent given beliefs, tokens and positions.
        centroid: The mean belief where a latent is active, weighted by its absolute activation; NaN for silent latents.
        spread: The variance of that belief, as a fraction of the variance of all beliefs: small for a tile.
        to_corner: How far the centroid is on the way from the mean belief to a corner of the simplex, the corner to
            which it is farthest on its way: 0 at the mean, 1 in the corner.
        corners: The number of alive latents at least halfway to a corner.
        recovery: Held-out R2 of the beliefs, by a linear probe of all codes.
        pooled: R2 of all latents together, 1 - summed residual / summed variance: each counts by the variance of its
            code.
        mean: The means over alive latents, each latent counting once, however rare.
        beats_tokens: The share of alive latents that the belief explains better than the last three tokens do.
    """

    alive: Bool[np.ndarray, " latent"]
    active: Float[np.ndarray, " latent"]
    explained: Explained
    centroid: Float[np.ndarray, "latent state"]
    spread: Float[np.ndarray, " latent"]
    to_corner: Float[np.ndarray, " latent"]
    corners: int
    recovery: float
    pooled: Explained
    mean: Explained
    beats_tokens: float


def describe_latents(
    codes: ArrayLike, rows: Rows, *, weights: ArrayLike | None = None, bins: int = 20, halfway: float = 0.5
) -> Latents:
    """Explain each latent by the belief, by the last tokens and by the position, and say where it is active.

    Belief space is cut into cells: the range of each entry of the belief into `bins` equal parts. See `binned_r2`.

    Args:
        codes: `[row, latent]`, from `SparseAutoencoder.encode`.
        rows: from `reading.rows`.
        weights: `[row]`; default `rows.probabilities`.
        bins: the number of parts of each entry's range.
        halfway: how far a centroid must be on its way to a corner to count as near it.

    Raises:
        ValueError: codes of other rows or not finite; bins below 2; no latent that is alive; as `probes.held_out`.

    >>> import beliefgeo as bg, jax
    >>> found = bg.reading.rows(jax.random.key(0), bg.mess3(0.15, 0.6), 6)
    >>> told = describe_latents(np.maximum(found.beliefs - 0.6, 0), found)
    >>> told.corners, *(round(float(r2), 2) for r2 in (told.mean.belief, told.mean.one_token, told.recovery))
    (3, 0.98, 0.26, 0.67)
    """
    known = np.asarray(codes, np.float64)
    if known.ndim != 2 or len(known) != len(rows.beliefs) or not np.isfinite(known).all():
        raise ValueError(
            f"codes must be finite, [row, latent] of {len(rows.beliefs)} rows; got shape {known.shape}: encode the "
            "activations that were read on these rows"
        )
    weights = rows.probabilities if weights is None else np.asarray(check_weights(weights, len(known)))
    counted, some = _counted(rows, weights)
    shares = np.zeros(len(known))
    shares[counted] = some
    active = shares @ (known != 0)
    variance = shares @ (known - shares @ known) ** 2
    alive = (active > ALIVE) & ~only_rounding(np.sqrt(variance), shares @ abs(known), np.float32)
    if not alive.any():
        raise ValueError(f"a latent must be active on more than {ALIVE:g} of the weight; got none: fit another one")
    explained = _explained(known, rows, weights, bins, alive)
    mass = shares[:, None] * abs(known)
    mass = np.where(alive, mass / np.where(alive, mass.sum(0), 1), np.nan)
    centroid = mass.T @ rows.beliefs
    mean = shares @ rows.beliefs
    square = lambda about: ((rows.beliefs - about) ** 2).sum(1)
    spread = (mass.T @ (rows.beliefs**2)).sum(1) - (centroid**2).sum(1)
    distance = np.linalg.norm(centroid[:, None] - np.eye(len(mean)), axis=2)
    to_corner = (1 - distance / np.linalg.norm(mean - np.eye(len(mean)), axis=1)).max(1)
    return Latents(
        alive,
        active,
        explained,
        centroid,
        spread / (shares @ square(mean)),
        to_corner,
        int((to_corner[alive] >= halfway).sum()),
        held_out(known.astype(np.float32), rows, weights).r2,
        Explained(*(np.asarray(variance[alive] @ one[alive] / variance[alive].sum()) for one in explained)),
        Explained(*(np.asarray(one[alive].mean()) for one in explained)),
        float((explained.belief > explained.three_tokens)[alive].mean()),
    )


def binned_r2(
    codes: ArrayLike, cells: Int[np.ndarray, " row"], rows: Rows, weights: ArrayLike
) -> Float[np.ndarray, " latent"]:
    """Held-out R2 of each latent given the cell of its row: 1 for a function of the cell, 0 or less for noise.

    1 - sum_r w_r (code_r - m_r)^2 / sum_r w_r (code_r - mean)^2, where m_r is the mean of the code over all other rows
    in the cell of row r; a row alone in its cell is predicted by the mean of all other rows. So more cells do not raise
    R2 unless they tell more. The rows that count are those of `probes.held_out`: prefixes of three tokens or more.

    Args:
        codes: `[row, latent]`.
        cells: `[row]`, labels, such as `belief_cells(rows)` or `last_tokens(rows, 2)`.
        rows: from `reading.rows`.
        weights: `[row]`.

    Returns:
        R2 of each latent; NaN where its code does not vary.

    Raises:
        ValueError: codes or cells of other rows, or codes that are not finite.

    >>> import beliefgeo as bg, jax
    >>> found = bg.reading.rows(jax.random.key(0), bg.mess3(), 6)
    >>> noise = jax.random.normal(jax.random.key(1), (len(found.word), 1))
    >>> codes = np.concatenate([(found.last_token == 0)[:, None], noise], 1)
    >>> binned_r2(codes, last_tokens(found, 2), found, found.counts).round(1).tolist()
    [1.0, -0.0]
    """
    given, cells = np.asarray(codes, np.float64), np.asarray(cells)
    if given.ndim != 2 or cells.shape != (len(given),) or len(given) != len(rows.word) or not np.isfinite(given).all():
        raise ValueError(
            f"codes must be finite, [row, latent], and cells [row], of {len(rows.word)} rows; got shapes "
            f"{given.shape} and {cells.shape}"
        )
    counted, shares = _counted(rows, weights)
    size = shares @ abs(given[counted])
    known = given[counted] - shares @ given[counted]
    label = np.unique(cells[counted], return_inverse=True)[1]
    weighted = shares[:, None] * known
    mass = np.bincount(label, shares)[label] - shares
    sums = np.stack([np.bincount(label, column)[label] for column in weighted.T], 1) - weighted
    # A difference of equal sums is rounding, no weight.
    alone = mass <= 1e-12
    others = -weighted / (1 - shares)[:, None]
    guess = np.where(alone[:, None], others, sums / np.where(alone, 1, mass)[:, None])
    variance = shares @ known**2
    varies = ~only_rounding(np.sqrt(variance), size, np.float32)
    return 1 - shares @ (known - guess) ** 2 / np.where(varies, variance, np.nan)


def _counted(rows: Rows, weights: ArrayLike) -> tuple[Bool[np.ndarray, " row"], Float[np.ndarray, " counted"]]:
    """The rows that held-out scores count, and the share of each of them."""
    known = np.asarray(check_weights(weights, len(rows.beliefs)))
    counted = (held_out_folds(rows) >= 0) & (known > 0)
    return counted, shares_of(known[counted])


def belief_cells(rows: Rows, bins: int = 20) -> Int[np.ndarray, " row"]:
    """The cell of belief space of each row: the range of each entry of the belief is cut into `bins` equal parts.

    Raises:
        ValueError: bins below 2.
    """
    if bins < 2:
        raise ValueError(f"bins must be 2 or more; got {bins}: one cell tells nothing")
    low, high = rows.beliefs.min(0), rows.beliefs.max(0)
    moves = high - low > 1e-9
    place = (rows.beliefs[:, moves] - low[moves]) / (high - low)[moves]
    # Beliefs that differ by rounding must not fall on two sides of an edge.
    digits = np.minimum(np.floor(place * bins + 1e-6), bins - 1).astype(int)
    return np.unique(digits, axis=0, return_inverse=True)[1].reshape(-1)


def last_tokens(rows: Rows, count: int) -> Int[np.ndarray, " row"]:
    """A label for the last `count` tokens of each prefix, fewer where it is shorter; the position is not told."""
    label = np.zeros(len(rows.word), int)
    for age in range(count):
        token = rows.words[rows.word, np.maximum(rows.length - 1 - age, 0)]
        digit = np.where(age < rows.length, token + 1, 0)
        label = np.unique(label * (rows.words.max() + 2) + digit, return_inverse=True)[1]
    return label


def _explained(
    codes: Float[np.ndarray, "row latent"],
    rows: Rows,
    weights: np.ndarray,
    bins: int,
    alive: Bool[np.ndarray, " latent"],
) -> Explained:
    counted, shares = _counted(rows, weights)
    # Shorter prefixes do not even train: a latent that is strong after them alone would spoil the fit.
    beliefs, targets = rows.beliefs.astype(np.float32), codes.astype(np.float32)
    guesses = np.asarray(nested()(beliefs, targets, held_out_folds(rows), np.where(counted, weights, 0)), np.float64)
    known = codes[counted]
    left, variance = shares @ (known - guesses[counted]) ** 2, shares @ (known - shares @ known) ** 2
    linear = 1 - left / np.where(alive, variance, np.nan)
    cells = [belief_cells(rows, bins), *(last_tokens(rows, count) for count in (1, 2, 3)), rows.length]
    belief, *others = (np.where(alive, binned_r2(codes, one, rows, weights), np.nan) for one in cells)
    return Explained(belief, linear, *others)
