"""How much of a site is belief: keep only a subspace of its activations, or remove only it, and compare losses.

Low-rank projections give opposite answers orthogonally and obliquely. The rows of a probe are directions that tell
beliefs, and activations vary little along them; the span of the cross-covariance is where beliefs move activations.
`erasure` keeps or removes exactly what a linear probe could see. Principal components and random planes drawn from the
covariance are controls: a plane of the same dimension that was not chosen for the beliefs.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from beliefgeo.mechanisms.interventions import Encoding
from beliefgeo.networks.network import Network
from beliefgeo.probes.weighted import standardised
from beliefgeo.reading.losses import loss_gap
from beliefgeo.reading.read import read_words
from beliefgeo.reading.resumed import resume
from beliefgeo.reading.rows import Rows
from beliefgeo.reading.sites import Site

# As in `interventions`: directions of less variance than this, in units of the largest, are rounding.
_RCOND = 1e-5

Projector = Float[np.ndarray, "feature feature"]


def probe_rows(encoding: Encoding) -> Projector:
    """The orthogonal projector on the directions of the probe, the columns of its kernel K."""
    return _onto(encoding.kernel)


def cross_covariance(encoding: Encoding) -> Projector:
    """The orthogonal projector on the span of cov(activation, belief): where beliefs move activations."""
    return _onto(_crossed(encoding))


def erasure(encoding: Encoding) -> Projector:
    """The oblique projector P of LEACE: (x - mean)(1 - P) tells no linear probe anything of the belief.

    Of all such changes it is the smallest in units of the covariance S: P = S^(1/2)+ U U' S^(1/2), where U spans
    S^(1/2)+ cov(x, b). It is the same in any units of features and beliefs, so S is taken at unit variances: a large
    feature would make the others rounding. Directions below 1/300 of the largest are then left as they are. Source:
    Belrose et al. 2023 (2306.03819), theorem 4.3.

    >>> import beliefgeo as bg, jax
    >>> from beliefgeo.mechanisms.interventions import encode
    >>> rows = bg.reading.rows(jax.random.key(0), bg.mess3(), 4)
    >>> noise = jax.random.normal(jax.random.key(1), (len(rows.word), 2))
    >>> features = np.concatenate([rows.beliefs + noise[:, :1], noise], 1)
    >>> left = features @ (np.eye(5) - erasure(encode(features, rows, rows.counts)))
    >>> probe = bg.fit_probe(left, rows.beliefs, rows.counts, rcond=1e-4)
    >>> bool(bg.score_probe(probe, left, rows.beliefs, rows.counts).r2 < 1e-6)
    True
    """
    features, beliefs = (
        standardised(values, encoding.shares, np.float32) for values in (encoding.features, encoding.beliefs)
    )
    weighted = (encoding.shares[:, None] * features).T
    variances, axes = np.linalg.eigh(weighted @ features)
    kept = variances > _RCOND * variances.max()
    roots = np.sqrt(np.where(kept, variances, 1))
    whiten, colour = (axes * np.where(kept, one, 0) @ axes.T for one in (1 / roots, roots))
    units = np.sqrt(np.diagonal(encoding.covariance))
    units = np.where(units > 0, units, 1)
    return whiten @ _onto(whiten @ weighted @ beliefs) @ colour * units / units[:, None]


def components(encoding: Encoding, count: int) -> Projector:
    """The orthogonal projector on the first principal components.

    Raises:
        ValueError: more components than features, or fewer than 1.
    """
    _require_dimension(count, len(encoding.covariance))
    return _onto(np.linalg.eigh(encoding.covariance)[1][:, ::-1][:, :count])


def random_plane(key: PRNGKeyArray, encoding: Encoding, count: int) -> Projector:
    """The orthogonal projector on a span of vectors drawn from the covariance of the activations.

    Raises:
        ValueError: more dimensions than features, or fewer than 1.
    """
    _require_dimension(count, len(encoding.covariance))
    variances, axes = np.linalg.eigh(encoding.covariance)
    drawn = np.asarray(jax.random.normal(key, (count, len(variances))), np.float64)
    return _onto((drawn * np.sqrt(np.maximum(variances, 0)) @ axes.T).T)


def projected_gaps(
    network: Network, params: Any, rows: Rows, site: Site, encoding: Encoding, projectors: Sequence[Projector]
) -> Float[np.ndarray, "projector side"]:
    """The loss above the optimum where a site keeps only a subspace, and where only it is removed. Nats.

    Every position becomes mean + (x - mean) P, or mean + (x - mean)(1 - P). Compare with `probes.window_gaps`, the gaps
    of the best predictors of the last 0, 1, 2, ... tokens: a gap above that of 0 tokens is damage.

    Args:
        network: takes edits; see `networks.network`.
        params: the params of one network.
        rows: the rows over which the loss is taken.
        site: the place, from `reading.site_of`.
        encoding: the activations whose mean is kept, from `interventions.encode`.
        projectors: from this module, or any matrices P.

    Raises:
        ValueError: projectors of other features than the site's.
    """
    held = np.asarray(read_words(network, params, rows.tokens, site))
    width = held.shape[2]
    if any(np.shape(one) != (width, width) for one in projectors):
        shapes = {np.shape(one) for one in projectors}
        raise ValueError(f"projectors of {site.site} must be [feature, feature], {width} each way; got shapes {shapes}")
    mean = (encoding.shares @ encoding.features).astype(np.float32)

    def gap(matrix: np.ndarray) -> float:
        kept = mean + (held - mean) @ matrix.astype(np.float32)
        laws: Array = resume(network, params, rows.tokens, site, kept)
        return float(loss_gap(rows, np.asarray(laws)[rows.word, rows.position]).mean())

    return np.array([[gap(one), gap(np.eye(width) - one)] for one in projectors])


def _crossed(encoding: Encoding) -> Float[np.ndarray, "feature state"]:
    centred = encoding.beliefs - encoding.shares @ encoding.beliefs
    return encoding.features.T @ (encoding.shares[:, None] * centred)


def _onto(columns: Float[np.ndarray, "feature column"]) -> Projector:
    """The orthogonal projector on the span of the columns."""
    axes, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    axes = axes[:, sizes > _RCOND * sizes.max(initial=0)]
    return axes @ axes.T


def _require_dimension(count: int, features: int) -> None:
    if not 1 <= count <= features:
        raise ValueError(f"a projection must have from 1 to {features} dimensions, as many as features; got {count}")
