"""Do activations cause the prediction: write another belief at a site, and see whether the prediction follows Bayes.

An edit gives the activations that hold a new belief; `effect` lets the network run on from them and compares its law
with the law that Bayes predicts for the new belief and for the old belief. Three lines:

    held = encode(network_reading.features["layer 3"], rows, rows.probabilities)
    pairs = reachable(key, rows, length=6, count=8)
    effect(process, network, params, rows, site_of(network, params, "layer 3"), pairs, covariance_least(held, pairs))

An edit of least norm lives in directions of little variance, which the network hardly reads: the better the probe, the
worse it steers. The edits along the covariance move activations as beliefs do in the data.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, PRNGKeyArray
from scipy.spatial import KDTree
from scipy.special import rel_entr

from beliefgeo.arrays import ArrayLike
from beliefgeo.mechanisms.donors import Pairs
from beliefgeo.networks.network import Network
from beliefgeo.probes.least_squares import fit_probe
from beliefgeo.probes.weighted import check_weights
from beliefgeo.processes.float64 import as_float64, epsilon, expand_float64
from beliefgeo.processes.given import check_belief
from beliefgeo.processes.process import Observer
from beliefgeo.reading.read import read_words
from beliefgeo.reading.resumed import resume
from beliefgeo.reading.rows import Rows
from beliefgeo.reading.sites import Site

# Directions of less variance than this, in units of the largest, are rounding of float32 activations.
_RCOND = 1e-5
# Laws nearer to each other than this are equal.
_EQUAL = 1e-6


class Encoding(NamedTuple):
    """How a site holds beliefs: activations, the affine probe, and the covariance that edits move along.

    Attributes:
        features: The activations of each prefix.
        beliefs: The belief after it.
        length: The number of its tokens.
        shares: What each prefix counts; these sum to 1.
        kernel: The affine probe, features @ kernel + bias.
        bias: Its constant.
        covariance: That of the features, by shares.
    """

    features: Float[np.ndarray, "row feature"]
    beliefs: Float[np.ndarray, "row state"]
    length: Int[np.ndarray, " row"]
    shares: Float[np.ndarray, " row"]
    kernel: Float[np.ndarray, "feature state"]
    bias: Float[np.ndarray, " state"]
    covariance: Float[np.ndarray, "feature feature"]

    def seen(self, row: Int[np.ndarray, " pair"]) -> Float[np.ndarray, "pair state"]:
        """The beliefs that the probe sees after prefixes."""
        return self.features[row] @ self.kernel + self.bias


def encode(features: ArrayLike, rows: Rows, weights: ArrayLike) -> Encoding:
    """Fit the probe of the beliefs at a site, and the covariance of its activations.

    Args:
        features: `[row, feature]`, the activations of a site, such as `reading.features["layer 3"]`.
        rows: the rows that the network was read on.
        weights: `[row]`, `rows.probabilities` or `rows.counts`.

    Raises:
        ValueError: as `fit_probe`.
    """
    probe = fit_probe(features, rows.beliefs, weights, rcond=_RCOND)
    held = np.asarray(features, np.float64)
    shares = np.asarray(check_weights(weights, len(held)))
    shares = shares / shares.sum()
    centred = held - shares @ held
    kernel, bias = (np.asarray(part, np.float64) for part in probe)
    return Encoding(held, rows.beliefs, rows.length, shares, kernel, bias, (shares[:, None] * centred).T @ centred)


def least_norm(encoding: Encoding, pairs: Pairs, components: int | None = None) -> Float[np.ndarray, "pair feature"]:
    """x + (b' - seen) K^+: the smallest change after which the probe sees the belief b'.

    Args:
        encoding: the site.
        pairs: prefixes and beliefs b'.
        components: probe and change the first principal components alone; default all directions.

    Raises:
        ValueError: more components than features, or fewer than 1.
    """
    held = encoding.features[pairs.row]
    if components is None:
        return held + (pairs.beliefs - encoding.seen(pairs.row)) @ np.linalg.pinv(encoding.kernel, rcond=_RCOND)
    if not 1 <= components <= held.shape[1]:
        raise ValueError(f"components must be from 1 to the {held.shape[1]} features; got {components}")
    axes = np.linalg.eigh(encoding.covariance)[1][:, ::-1][:, :components]
    along = encoding.features @ axes
    probe = fit_probe(along, encoding.beliefs, encoding.shares, rcond=_RCOND)
    kernel, missing = np.asarray(probe.kernel, np.float64), pairs.beliefs - np.asarray(probe(along[pairs.row]))
    return held + missing @ np.linalg.pinv(kernel, rcond=_RCOND) @ axes.T


def covariance_least(encoding: Encoding, pairs: Pairs) -> Float[np.ndarray, "pair feature"]:
    """x + (b' - seen) (K' S K)^+ K' S: the likeliest change, of all after which the probe sees the belief b'.

    S is the covariance of the activations; the change is the smallest in units of S. Where the probe sees little
    (R2 < 1) it overshoots, and `regressed` does not.
    """
    onto = encoding.kernel.T @ encoding.covariance
    change = np.linalg.pinv(onto @ encoding.kernel, rcond=_RCOND, hermitian=True) @ onto
    return encoding.features[pairs.row] + (pairs.beliefs - encoding.seen(pairs.row)) @ change


def regressed(encoding: Encoding, pairs: Pairs) -> Float[np.ndarray, "pair feature"]:
    """x + (b' - b) G: as much as the mean activation changes where the belief changes from b to b'.

    G is the least-squares map from beliefs to activations; the probe plays no part.
    """
    centred = encoding.beliefs - encoding.shares @ encoding.beliefs
    spread = (encoding.shares[:, None] * centred).T
    slope = np.linalg.pinv(spread @ centred, rcond=_RCOND, hermitian=True) @ spread @ encoding.features
    return encoding.features[pairs.row] + (pairs.beliefs - encoding.beliefs[pairs.row]) @ slope


def nearest(encoding: Encoding, pairs: Pairs, count: int = 8) -> Float[np.ndarray, "pair feature"]:
    """The mean activation of the prefixes, of the same length, whose beliefs are nearest to the belief b'."""
    values = np.empty((len(pairs.row), encoding.features.shape[1]))
    for length in np.unique(encoding.length[pairs.row]):
        of, among = encoding.length[pairs.row] == length, np.flatnonzero(encoding.length == length)
        near = KDTree(encoding.beliefs[among]).query(pairs.beliefs[of], min(count, len(among)))[1]
        values[of] = encoding.features[among[near.reshape(of.sum(), -1)]].mean(1)
    return values


def patch(encoding: Encoding, pairs: Pairs) -> Float[np.ndarray, "pair feature"]:
    """The activation of the prefix that reaches the belief b'.

    Raises:
        ValueError: beliefs that were not taken from a prefix.
    """
    if pairs.source is None:
        raise ValueError("patch needs beliefs that prefixes reach; got beliefs of no prefix: take them from reachable")
    return encoding.features[pairs.source]


def patch_past(
    network: Network, params: Any, rows: Rows, site: Site, pairs: Pairs
) -> Float[np.ndarray, "pair time feature"]:
    """The activations of the prefix that reaches the belief b' at all its positions: its whole past, for `effect`.

    Raises:
        ValueError: beliefs that were not taken from a prefix, or prefixes of several lengths.
    """
    if pairs.source is None or len(np.unique(rows.length[pairs.row])) != 1:
        raise ValueError("patch_past needs prefixes of one length, with beliefs that prefixes reach: take reachable")
    tokens = rows.tokens[rows.word[pairs.source], : rows.position[pairs.row[0]] + 1]
    return np.asarray(read_words(network, params, tokens, site))


def random_change(
    key: PRNGKeyArray, encoding: Encoding, pairs: Pairs, values: Float[np.ndarray, "pair feature"]
) -> Float[np.ndarray, "pair feature"]:
    """A control: changes as large as those of `values`, in directions drawn from the covariance of the activations."""
    held = encoding.features[pairs.row]
    variances, axes = np.linalg.eigh(encoding.covariance)
    drawn = np.asarray(jax.random.normal(key, held.shape), np.float64)
    direction = drawn * np.sqrt(np.maximum(variances, 0)) @ axes.T
    size = np.linalg.norm(values - held, axis=1, keepdims=True)
    return held + size * direction / np.linalg.norm(direction, axis=1, keepdims=True)


class CausalScore(NamedTuple):
    """The law after an edit, at the edited position and after 1, 2, ... more tokens, beside Bayes.

    Law = a Bayes(b') + c Bayes(b) + constants, over pairs; a, c, closed are NaN where both beliefs predict the same.

    Attributes:
        a: 1 if the prediction follows the new belief b', 0 if it stays with the old belief b.
        c: 0 if it follows the new belief, 1 if it stays.
        closed: 1 - KL / KL without the edit, KL from Bayes(b') to the network's law.
        total_variation: The mean total variation between the law and Bayes(b').
        moved: The mean total variation between the law after the edit and the network's law without it.
        divergence: The mean KL from Bayes(b') to the network's law without the edit, in nats: what there is to close.
    """

    a: Float[np.ndarray, " ahead"]
    c: Float[np.ndarray, " ahead"]
    closed: Float[np.ndarray, " ahead"]
    total_variation: Float[np.ndarray, " ahead"]
    moved: Float[np.ndarray, " ahead"]
    divergence: Float[np.ndarray, " ahead"]


def effect(
    process: Observer,
    network: Network,
    params: Any,
    rows: Rows,
    site: Site,
    pairs: Pairs,
    values: ArrayLike,
    *,
    ahead: int = 0,
    weights: ArrayLike | None = None,
) -> CausalScore:
    """Run a network on from edited activations, and compare its law with Bayes for the new and for the old belief.

    Args:
        process: gives the beliefs after later tokens.
        network: takes edits; see `networks.network`.
        params: the params of one network.
        rows: the rows that the pairs were drawn from.
        site: the place of the edit, from `reading.site_of`.
        pairs: prefixes and the beliefs b' to be written.
        values: `[pair, feature]`, the activations that replace those after each prefix; or `[pair, time, feature]`,
            those of the first positions, the last of them the prefix's.
        ahead: the number of later tokens, of each pair's word, whose predictions are scored too. A word that is
            impossible after b' is left out from there on.
        weights: `[pair]`; default: the probability of the prefix.

    Raises:
        ValueError: beliefs b' that are no beliefs of this process; values of other pairs; more tokens ahead than words
            have.
    """
    check_belief(process, pairs.beliefs)
    position, tokens = rows.position[pairs.row], rows.tokens[pairs.word]
    if not 0 <= ahead < tokens.shape[1] - position.max():
        most = tokens.shape[1] - position.max() - 1
        raise ValueError(f"ahead must be from 0 to {most}, the tokens that follow the prefixes; got {ahead}")
    tokens = tokens[:, : position.max() + ahead + 1]
    edited, where = _written(tokens.shape, position, np.asarray(values, np.float32))
    after, before = (
        np.exp(np.asarray(resume(network, params, tokens, site, edited, where=chosen), np.float64))
        for chosen in (where, np.zeros_like(where))
    )
    vocab, scores = rows.laws.shape[1], []
    shares = rows.probabilities[pairs.row] if weights is None else np.asarray(weights, np.float64)
    for step, (wanted, old) in enumerate(_laws_ahead(process, rows, pairs, ahead)):
        at = np.arange(len(position)), position + step
        kept = np.isfinite(wanted).all(1)
        law, unedited = (laws[at][:, :vocab] for laws in (after, before))
        scores.append(_score(*(one[kept] for one in (law, unedited, wanted, old, shares))))
    return CausalScore(*(np.array(field) for field in zip(*scores, strict=True)))


def _written(
    shape: tuple[int, int], position: Int[np.ndarray, " pair"], values: Float[np.ndarray, "..."]
) -> tuple[Float[np.ndarray, "pair time feature"], Bool[np.ndarray, "pair time"]]:
    """The values at their positions, and which positions these are."""
    edited, where = np.zeros((*shape, values.shape[-1]), np.float32), np.zeros(shape, bool)
    if values.ndim == 3 and len(values) == shape[0] and (position == values.shape[1] - 1).all():
        edited[:, : values.shape[1]], where[:, : values.shape[1]] = values, True
    elif values.ndim == 2 and len(values) == shape[0]:
        at = np.arange(shape[0]), position
        edited[at], where[at] = values, True
    else:
        raise ValueError(
            f"values must be [pair, feature] for {shape[0]} pairs, or [pair, time, feature] as far as the prefix, the "
            f"same in all pairs; got shape {values.shape}"
        )
    return edited, where


def _laws_ahead(
    process: Observer, rows: Rows, pairs: Pairs, ahead: int
) -> Iterator[tuple[Float[np.ndarray, "pair token"], Float[np.ndarray, "pair token"]]]:
    """Bayes' law for the new and the old belief after 0, 1, ... more tokens; NaN where a token is impossible."""
    wide, given = as_float64(process), epsilon(process)
    new, old = pairs.beliefs, rows.beliefs[pairs.row]
    for step in range(ahead + 1):
        (next_new, law), (next_old, law_old) = (expand_float64(wide, beliefs, given) for beliefs in (new, old))
        yield law, law_old
        if step < ahead:
            pair = np.arange(len(new)), rows.words[pairs.word, rows.length[pairs.row] + step]
            new = np.where(law[pair][:, None] > 0, next_new[pair], np.nan)
            old = next_old[pair]


def _score(
    law: np.ndarray, unedited: np.ndarray, wanted: np.ndarray, old: np.ndarray, weights: np.ndarray
) -> tuple[float, ...]:
    shares = weights / weights.sum()
    far = lambda one: float(shares @ rel_entr(wanted, one).sum(1))
    varied = lambda one, other: float(shares @ abs(one - other).sum(1)) / 2
    if abs(wanted - old).max() < _EQUAL:  # nothing is to be closed, and a and c cannot be told apart
        return np.nan, np.nan, np.nan, varied(law, wanted), varied(law, unedited), far(unedited)
    centred = [(one - shares @ one).ravel() for one in (law, wanted, old)]
    root = np.sqrt(np.repeat(shares, law.shape[1]))
    design = np.stack(centred[1:], 1) * root[:, None]
    a, c = np.linalg.lstsq(design, centred[0] * root, rcond=1e-9)[0]
    return a, c, 1 - far(law) / far(unedited), varied(law, wanted), varied(law, unedited), far(unedited)
