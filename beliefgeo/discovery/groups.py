"""Which latents belong together: groups found without being told of any factor, and what each group knows of factors.

Latents that code one variable exclude or accompany one another; latents that code independent variables vary
independently. So the squared correlation of two codes is an affinity, and a spectral clustering of it gives groups. The
directions of a group span a subspace, in which the belief of one factor may lie.
Source of the question: Levinson 2026, "Finding belief geometries with sparse autoencoders" (2604.02685), which clusters
directions of the decoder instead. Of the clustering: Ng, Jordan & Weiss 2001 (the normalised affinity); von Luxburg
2007 (the eigengap); Damle, Minden & Ying 2019 (labels by a pivoted QR, without random starts).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray
from scipy.linalg import qr
from scipy.optimize import linear_sum_assignment

from beliefgeo.arrays import ArrayLike
from beliefgeo.probes.held_out import held_out_folds, nested
from beliefgeo.probes.subspaces import principal_subspace
from beliefgeo.probes.weighted import check_weights, only_rounding
from beliefgeo.probes.windows import group_means, shares_of
from beliefgeo.reading.rows import Rows

# A latent counts if it is active on more than this share of the weight,
ALIVE = 1e-3
# and if at least this share of its variance lies within positions: else it codes the position.
_WITHIN = 0.05
# A latent whose squared correlations with all others add up to less than this belongs to no group.
_ALONE = 1e-2
# Components are padded with zeros to a multiple of this number, so that fewer programs are compiled.
_COLUMNS = 4


class Groups(NamedTuple):
    """A partition of latents.

    Attributes:
        labels: 0, 1, ...; -1 for latents that are silent or constant, code the position alone, or vary with no other
            latent.
        number: The number of groups.
        eigenvalues: Those of the normalised affinity, largest first: k of them are 1 if k groups, of two latents or
            more, share nothing.
        gap: The difference of the eigenvalues of the last group that counts and of the next.
    """

    labels: Int[np.ndarray, " latent"]
    number: int
    eigenvalues: Float[np.ndarray, " grouped"]
    gap: float


class Recovery(NamedTuple):
    """What groups know of factors: held-out R2 of linear probes.

    Attributes:
        r2: That of each factor from each group.
        group: The group that is assigned to each factor, each group once; -1 if there are fewer groups than factors.
        assigned: R2 of each factor from its group; 0 for a factor without a group.
        others: The mean R2 of each factor from all other groups.
        dimensions: The number of principal components that hold 95% of the group's part of the reconstruction.
    """

    r2: Float[np.ndarray, "group factor"]
    group: Int[np.ndarray, " factor"]
    assigned: Float[np.ndarray, " factor"]
    others: Float[np.ndarray, " factor"]
    dimensions: Int[np.ndarray, " group"]


def group_latents(
    codes: ArrayLike,
    weights: ArrayLike,
    *,
    position: ArrayLike | None = None,
    groups: int | None = None,
    most: int = 12,
) -> Groups:
    """Group latents by how their codes vary together.

    The affinity of two latents is the squared correlation of their codes, about the mean of each position, divided by
    the roots of the two latents' sums of affinities; a latent has none with itself. The number of groups is where
    consecutive eigenvalues differ most, among 2 to `most` groups, a rule that knows of no factors.

    Args:
        codes: `[row, latent]`.
        weights: `[row]`.
        position: `[row]`, such as `rows.length`: what all latents may know in common. Default: nothing.
        groups: the number of groups; default: by the eigengap.
        most: the largest number of groups that the eigengap may choose.

    Raises:
        ValueError: codes that are not finite; fewer than 3 latents that vary; fewer latents than groups; groups or most
            below 2.

    >>> one, two = np.array([[0.0, 0, 1, 1], [0, 1, 0, 1]])
    >>> found = group_latents(np.stack([one, two, 1 - one, 1 - two], 1), np.ones(4))
    >>> found.number, found.eigenvalues.round(2).tolist(), bool(found.labels[0] == found.labels[2] != found.labels[1])
    (2, [1.0, 1.0, -1.0, -1.0], True)
    """
    known, shares = np.asarray(codes, np.float64), shares_of(np.asarray(check_weights(weights, len(np.asarray(codes)))))
    if known.ndim != 2 or not np.isfinite(known).all():
        raise ValueError(f"codes must be finite, [row, latent]; got shape {known.shape}: take them from `encode`")
    if min(most, 2 if groups is None else groups) < 2:
        raise ValueError(f"groups and most must be 2 or more; got {groups} and {most}: one group is no partition")
    label = np.zeros(len(known), int) if position is None else np.unique(np.asarray(position), return_inverse=True)[1]
    varied = known - group_means(known, shares, label)
    within, total = shares @ varied**2, shares @ (known - shares @ known) ** 2
    varies = ~only_rounding(np.sqrt(total), shares @ abs(known), np.float32)
    counted = np.flatnonzero((shares @ (known != 0) > ALIVE) & (within > _WITHIN * total) & varies)
    if len(counted) < max(3, groups or 0):
        raise ValueError(
            f"grouping needs {max(3, groups or 0)} latents or more that vary within positions; got {len(counted)}: fit "
            "more latents, or ask for fewer groups"
        )
    varied = varied[:, counted] / np.sqrt(within[counted])
    affinity = (varied.T @ (shares[:, None] * varied)) ** 2
    np.fill_diagonal(affinity, 0)
    strength = np.sqrt(np.maximum(affinity.sum(1), np.finfo(np.float64).tiny))
    alone = affinity.sum(1) < _ALONE
    values, vectors = np.linalg.eigh(affinity / strength / strength[:, None])
    values, vectors = values[::-1], vectors[:, ::-1]
    gaps = values[:-1] - values[1:]
    count = groups or int(gaps[1 : min(most, len(gaps))].argmax()) + 2
    labels = np.full(known.shape[1], -1)
    labels[counted] = np.where(alone, -1, _labels(vectors[:, :count]))
    return Groups(labels, count, values, float(gaps[count - 1]) if count <= len(gaps) else 0.0)


def _labels(vectors: Float[np.ndarray, "latent group"]) -> Int[np.ndarray, " latent"]:
    """Labels from leading eigenvectors: the latents that stand for the groups best are chosen by pivots."""
    _, _, order = qr(vectors.T, pivoting=True)  # pyright: ignore[reportAssignmentType]
    pivots = order[: vectors.shape[1]]
    left, _, right = np.linalg.svd(vectors[pivots].T)
    return abs(vectors @ (left @ right)).argmax(1)


def random_groups(key: PRNGKeyArray, groups: Groups) -> Groups:
    """Groups of the same sizes, of the same latents, at random: the null that any grouping must beat."""
    counted = np.flatnonzero(groups.labels >= 0)
    labels = np.copy(groups.labels)
    labels[counted] = groups.labels[np.asarray(jax.random.permutation(key, counted))]
    return groups._replace(labels=labels)


def recover_factors(
    codes: ArrayLike,
    decoder: Float[Array | np.ndarray, "latent width"],
    groups: Groups,
    rows: Rows,
    factors: Sequence[ArrayLike],
    weights: ArrayLike,
) -> Recovery:
    """How well each group tells the belief about each factor, and the best assignment of groups to factors.

    A group's part of the reconstruction, codes @ decoder over its latents, is reduced to the principal components that
    hold 95% of its variance. A linear probe of them is fitted and scored by subtree (`probes.held_out`). Each group
    serves at most one factor; the assignment has the largest sum of R2, a choice that nulls must be granted too.

    Args:
        codes: `[row, latent]`.
        decoder: the directions of the latents.
        groups: from `group_latents`, or `random_groups` of it.
        rows: the prefixes.
        factors: the belief about each factor, `[row, state]` each.
        weights: `[row]`.

    Raises:
        ValueError: factors that do not vary or of other rows, no factors, a decoder of other latents; as
            `probes.held_out`.
    """
    known, directions = np.asarray(codes, np.float64), np.asarray(decoder, np.float64)
    folds, beliefs = held_out_folds(rows), [np.asarray(one, np.float64) for one in factors]
    for number, one in enumerate(beliefs):
        if one.ndim != 2 or len(one) != len(folds) or np.ptp(one, axis=0).max(initial=0) < 1e-9:
            raise ValueError(
                f"factors must be beliefs [row, state] of {len(folds)} rows that vary; factor {number} of shape "
                f"{one.shape} does not: leave out factors without memory"
            )
    if not beliefs or len(directions) != known.shape[1]:
        raise ValueError(
            f"recovery needs a factor or more, and a direction for each of {known.shape[1]} latents; got "
            f"{len(beliefs)} factors and {len(directions)} directions"
        )
    shares = shares_of(np.where(folds >= 0, check_weights(weights, len(folds)), 0))
    ends = np.cumsum([one.shape[1] for one in beliefs])[:-1]
    r2, dimensions = np.zeros((groups.number, len(beliefs))), np.zeros(groups.number, int)
    for group in range(groups.number):
        mine = groups.labels == group
        part = known[:, mine] @ directions[mine]
        axes = np.asarray(principal_subspace(part.astype(np.float32), weights)) if mine.any() else np.zeros((0, 1))
        dimensions[group] = len(axes)
        if len(axes):
            seen = part @ axes.T
            seen = np.pad(seen, ((0, 0), (0, -len(axes) % _COLUMNS)))
            guesses = np.asarray(nested()(seen, np.concatenate(beliefs, 1), folds, weights))
            pairs = zip(np.split(guesses, ends, 1), beliefs, strict=True)
            r2[group] = [_r2(guess, belief, shares) for guess, belief in pairs]
    chosen, factor = linear_sum_assignment(-r2)
    assigned, group = np.zeros(len(beliefs)), np.full(len(beliefs), -1)
    assigned[factor], group[factor] = r2[chosen, factor], chosen
    others = (r2.sum(0) - assigned) / np.maximum(1, groups.number - (group >= 0))
    return Recovery(r2, group, assigned, others, dimensions)


def _r2(guess: np.ndarray, belief: np.ndarray, shares: np.ndarray) -> float:
    """R2 over all entries of a belief, over the rows that count."""
    counted = shares > 0
    guess, belief, shares = guess[counted], belief[counted], shares[counted]
    return 1 - float((shares @ (guess - belief) ** 2).sum() / (shares @ (belief - shares @ belief) ** 2).sum())
