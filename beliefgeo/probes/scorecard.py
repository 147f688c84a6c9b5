"""All scores of one network beside their controls: what linear probes find at every site, and what chance finds."""

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from beliefgeo.arrays import ArrayLike
from beliefgeo.probes.controls import Control, Rank, law_rank, shuffle_prefixes, shuffle_unseen
from beliefgeo.probes.held_out import held_out, held_out_curve
from beliefgeo.probes.least_squares import fit_probe, score_probe
from beliefgeo.probes.windows import equivalent_window, window_curve
from beliefgeo.reading.losses import Losses, losses
from beliefgeo.reading.read import Reading
from beliefgeo.reading.rows import Rows
from beliefgeo.reading.sites import concatenated

# In-sample fits may have as many features as rows. Directions below this are rounding of float32.
_RCOND = 1e-5

ALL = "all sites"


class SiteScore(NamedTuple):
    """Affine probes of the beliefs from one site, under one weighting.

    Attributes:
        mse: MSE in sample: on the very rows of the fit, as in papers.
        r2: R2 in sample.
        window: The number of tokens of context that explain as much, in sample (`equivalent_window`).
        held_out: R2 on rows whose fold of subtrees the probe never saw, with the cut-off chosen inside the other folds.
        held_out_window: The number of tokens of context that explain as much of the same rows.
        mse_per_length: The held-out MSE after each number of tokens read, from 3 on.
    """

    mse: float
    r2: float
    window: float
    held_out: float
    held_out_window: float
    mse_per_length: Float[np.ndarray, " length"]


class Weighted(NamedTuple):
    """A score under both weightings.

    Attributes:
        by_count: The score where every word and position counts equally.
        by_probability: The score where prefixes count by their probability.
    """

    by_count: SiteScore
    by_probability: SiteScore


class LawAlone(NamedTuple):
    """Scores of the exact next-token law: what a network that knew no more than the law would reach.

    Attributes:
        rank: How many of the beliefs' dimensions the law tells.
        scores: Those of the affine map from law to belief.
    """

    rank: Rank
    scores: Weighted


class Shuffled(NamedTuple):
    """Held-out R2 of other targets than the beliefs, where every word and position counts equally.

    Attributes:
        r2: The mean R2 over shuffles.
        largest: The largest R2 of a shuffle.
        p_value: How often a shuffle does as well as the beliefs: (1 + number of shuffles that do) / (1 + number of
            shuffles).
    """

    r2: float
    largest: float
    p_value: float


class Scorecard(NamedTuple):
    """Every score of one network with every control. It prints as a table, and `plots.scores.scorecard` draws it.

    Attributes:
        losses: The loss above the optimum.
        sites: The scores of every site that was read. Where there are several, the last entry is all sites side by
            side.
        untrained: The scores of the same sites of the untrained network, where it was given.
        law: The scores of the exact law alone.
        shuffled: The scores of beliefs permuted within each position, at the last site.
        unseen: The scores where only what the next-token law cannot see is permuted, at the last site; None if it sees
            all.
    """

    losses: Losses
    sites: dict[str, Weighted]
    untrained: dict[str, Weighted] | None
    law: LawAlone
    shuffled: Shuffled
    unseen: Shuffled | None

    def __str__(self) -> str:
        """A table."""
        return _table(self)


def scorecard(
    reading: Reading, rows: Rows, *, untrained: Reading | None = None, key: PRNGKeyArray, shuffles: int = 20
) -> Scorecard:
    """Probes of every site and of all sites together, in sample and held out, under both weightings, with controls.

    Args:
        reading: the reading of one network, from `read`, or from `of_arrays` for a network of any framework.
        rows: the rows that the network was read on.
        untrained: the reading of the same network before training.
        key: draws the shuffles.
        shuffles: the number of permutations in each control.

    Raises:
        ValueError: no sites, features that are not `[row, width]`, other sites in `untrained`, words of fewer than 3
            tokens; see `held_out`.
    """
    if untrained is not None and set(untrained.features) != set(reading.features):
        raise ValueError(
            f"untrained must be read at the same sites, {sorted(reading.features)}; got {sorted(untrained.features)}"
        )
    sites, rank = score_sites(reading, rows), law_rank(rows)
    last = _together(reading)[[*sites][-1]]
    control = lambda shuffle: _shuffled(Control(shuffle, key, shuffles), last, rows)
    return Scorecard(
        losses(reading, rows),
        sites,
        None if untrained is None else score_sites(untrained, rows),
        LawAlone(rank, _weighted(rows.laws, rows)),
        control(shuffle_prefixes),
        control(shuffle_unseen) if rank.rank < rank.of else None,
    )


def score_sites(reading: Reading, rows: Rows) -> dict[str, Weighted]:
    """The scores of every site, and of all sites side by side if there are several, without controls."""
    # An OrderedDict keeps its order: JAX sorts the names of a dict where it maps over seeds.
    return OrderedDict((site, _weighted(features, rows)) for site, features in _together(reading).items())


def _together(reading: Reading) -> dict[str, Array]:
    features = reading.features
    if not features or any(np.ndim(one) != 2 for one in features.values()):
        shapes = {site: np.shape(one) for site, one in features.items()}
        raise ValueError(
            f"a scorecard needs features [row, width] of a site or more; got {shapes}: choose them by `select` of read"
        )
    return OrderedDict(features) | ({ALL: concatenated(features)} if len(features) > 1 else {})


def _weighted(features: ArrayLike, rows: Rows) -> Weighted:
    return Weighted(*(_score(features, rows, weights) for weights in (rows.counts, rows.probabilities)))


def _score(features: ArrayLike, rows: Rows, weights: ArrayLike) -> SiteScore:
    fitted = score_probe(fit_probe(features, rows.beliefs, weights, rcond=_RCOND), features, rows.beliefs, weights)
    r2, left_out = float(fitted.r2), held_out(features, rows, weights)
    window = equivalent_window(1 - r2, window_curve(rows, weights))
    return SiteScore(float(fitted.mse), r2, window, left_out.r2, left_out.window, left_out.mse_per_length)


def _shuffled(control: Control, features: Array, rows: Rows) -> Shuffled:
    test = control.against(features, rows, rows.counts)
    return Shuffled(float(test.shuffled.mean()), float(test.shuffled.max()), test.p_value)


def window_curves(rows: Rows) -> dict[str, Float[np.ndarray, " window"]]:
    """The fraction that windows of 0, 1, 2, ... tokens leave unexplained, on held-out rows, under each weighting."""
    return {
        "every word and position equally": held_out_curve(rows, rows.counts),
        "by probability": held_out_curve(rows, rows.probabilities),
    }


def _table(card: Scorecard) -> str:
    """The scores of every site beside their controls: R2 in sample and held out, and windows in tokens."""
    from rich.console import Console
    from rich.table import Table

    columns = (
        "R2 of the beliefs",
        "in sample",
        "held out",
        "window",
        "by probability: in sample",
        "held out",
        "window",
    )
    table = Table(*columns, title=_title(card), title_justify="left")
    for site, scores in card.sites.items():
        table.add_row(site, *_cells(scores))
        if card.untrained is not None:
            table.add_row("  untrained", *_cells(card.untrained[site]))
    table.add_row(f"next-token law alone (rank {card.law.rank})", *_cells(card.law.scores))
    for name, control in (("shuffled beliefs", card.shuffled), ("shuffled beyond the law", card.unseen)):
        if control is not None:
            table.add_row(f"{name} (p = {control.p_value:.3g})", "", f"{control.r2:.4f}")
    console = Console(width=120)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def _title(card: Scorecard) -> str:
    error = "" if card.losses.error is None else f" +- {card.losses.error:.1g}"
    return f"loss above the optimum: {card.losses.gap:.3g}{error} nats"


def _cells(scores: Weighted) -> list[str]:
    return [
        cell
        for one in (scores.by_count, scores.by_probability)
        for cell in (f"{one.r2:.4f}", f"{one.held_out:.4f}", f"{one.held_out_window:.2f}")
    ]
