"""Results as they should be reported: with controls, held out, in both weightings, as tokens of context, over seeds.

A report is a nested dictionary of numbers and arrays, ready for `runs.write_json`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jaxtyping import Array, Float, Int, Num, PRNGKeyArray

from beliefgeo.analysis.controls import equivalent_window, shuffle_beliefs, shuffle_words, window_curve
from beliefgeo.analysis.evaluation import Evaluation, Prefixes, loss_gap, optimal_loss
from beliefgeo.analysis.probes import Score, cross_validate_probe, fit_probe, score_predictions, score_probe

# How the prefixes count, by its name in reports and figures.
WEIGHTINGS = {"every word and position equally": "counts", "by probability": "probabilities"}

# Folds are made of the subtrees below the words of this many tokens; shorter prefixes only ever train. Several
# subtrees a fold: with one alone, the few heavy prefixes near its root make even the mean a poor prediction.
HELD_OUT_DEPTH = 3
HELD_OUT_FOLDS = 9

# Evaluations of trained networks and of the same networks untrained, seeds on a leading axis of every leaf.
Networks = Mapping[str, Evaluation]


class HeldOutScore(NamedTuple):
    """Scores over the prefixes no shorter than the subtrees' roots; `mse_per_length[i]` after `length[i]` tokens."""

    mse: float
    r2: float
    unexplained: float
    """1 - R2: the fraction of the beliefs' variance that the probe leaves."""
    window: float
    """The tokens of context of which the best function leaves as much (`controls.equivalent_window`)."""
    length: np.ndarray
    mse_per_length: np.ndarray


def held_out_folds(prefixes: Prefixes) -> Int[np.ndarray, " row"]:
    """The fold of each prefix, whole subtrees dealt out in turn; -1 for those too short, which only ever train."""
    subtrees = prefixes.subtrees(HELD_OUT_DEPTH)
    return np.where(subtrees < 0, -1, subtrees % HELD_OUT_FOLDS)


def held_out_score(
    features: Float[Array, "row feature"],
    prefixes: Prefixes,
    weights: Num[np.ndarray, " row"],
    *,
    targets: Float[Array | np.ndarray, "row state"] | None = None,
    offset: bool = True,
) -> HeldOutScore:
    """Fit and score by subtree: no prefix is predicted by a probe that saw its first three tokens continued.

    Args:
        features: activations of each prefix.
        prefixes: from `evaluation.prefixes`.
        weights: `prefixes.counts` (every word and position alike) or `prefixes.probabilities`.
        targets: other targets than the beliefs, such as shuffled ones.
        offset: fit an affine probe, else a linear one.
    """
    dtype = features.dtype
    targets = jnp.asarray(prefixes.beliefs if targets is None else targets, dtype)
    folds, weights = held_out_folds(prefixes), np.asarray(weights, float)
    predictions = cross_validate_probe(features, targets, folds, jnp.asarray(weights, dtype), offset=offset).predictions
    rows = folds >= 0
    score = _score(predictions, targets, weights, rows)
    lengths = np.unique(prefixes.length[rows])
    by_length = [_score(predictions, targets, weights, rows & (prefixes.length == length)).mse for length in lengths]
    unexplained = 1 - float(score.r2)
    window = equivalent_window(unexplained, window_curve(prefixes, weights, rows))
    return HeldOutScore(float(score.mse), float(score.r2), unexplained, window, lengths, np.array(by_length))


def over_seeds(values: Num[np.ndarray, "seed ..."], *, level: float = 0.95) -> dict[str, Any]:
    """Mean over seeds, Student's interval of the mean (None for one seed), and each seed's value.

    >>> {name: np.round(value, 2).tolist() for name, value in over_seeds(np.array([1.0, 2.0, 3.0])).items()}
    {'mean': 2.0, 'interval': [-0.48, 4.48], 'seeds': [1.0, 2.0, 3.0]}
    """
    values = np.asarray(values)
    mean, n = values.mean(0), len(values)
    if n < 2:
        return {"mean": mean, "interval": None, "seeds": values}
    half = scipy.stats.t.ppf((1 + level) / 2, n - 1) * values.std(0, ddof=1) / np.sqrt(n)
    return {"mean": mean, "interval": np.stack([mean - half, mean + half]), "seeds": values}


def loss_report(networks: Networks, prefixes: Prefixes) -> dict[str, Any]:
    """The optimum after each number of tokens read, and how far above it each network is, exactly. Nats."""
    gaps = {name: np.array([loss_gap(prefixes, laws) for laws in net.log_laws]) for name, net in networks.items()}
    return {
        "optimal": optimal_loss(prefixes).mean(),
        "optimal_per_position": optimal_loss(prefixes),
        "gap": {name: over_seeds(gap.mean(1)) for name, gap in gaps.items()},
        "gap_per_position": {name: over_seeds(gap) for name, gap in gaps.items()},
    }


def in_sample_report(key: PRNGKeyArray, networks: Networks, prefixes: Prefixes, site: str) -> dict[str, Any]:
    """Affine probes scored on what they were fitted to, every word and position equally: Shai et al. 2405.15943."""

    def scores(features: Iterable[Array], targets: Array, weights: np.ndarray | None) -> dict[str, Any]:
        each = [score_probe(fit_probe(one, targets, weights), one, targets, weights) for one in features]
        values = {name: np.array([getattr(score, name) for score in each]) for name in ("mse", "r2")}
        values["window"] = np.array([equivalent_window(1 - float(r2), curve) for r2 in values["r2"]])
        return {name: over_seeds(value) for name, value in values.items()}

    curve = window_curve(prefixes, prefixes.counts)
    beliefs, counts = jnp.asarray(prefixes.beliefs), prefixes.counts
    report = {name: scores(net.features[site], beliefs, counts) for name, net in networks.items()}
    rows, shuffled = shuffle_words(key, prefixes)
    return report | {"shuffled": scores((one[rows] for one in networks["trained"].features[site]), shuffled, None)}


def held_out_report(
    key: PRNGKeyArray, networks: Networks, prefixes: Prefixes, weights: Num[np.ndarray, " row"], *, shuffles: int = 10
) -> dict[str, Any]:
    """Probes of every site, affine and linear, trained and untrained, and shuffled beliefs of the first seed.

    Args:
        key: draws the shuffles.
        networks: "trained" and "untrained", with the same sites in `features`.
        prefixes: from `evaluation.prefixes`.
        weights: `prefixes.counts` or `prefixes.probabilities`.
        shuffles: permutations of the beliefs; the spread of one is larger than their mean.
    """

    def scores(features: Float[Array, "seed row feature"], offset: bool) -> dict[str, Any]:
        each = [held_out_score(one, prefixes, weights, offset=offset) for one in features]
        return {name: over_seeds(np.array([getattr(score, name) for score in each])) for name in HeldOutScore._fields}

    sites = networks["trained"].features
    probes = {
        f"{site}, {'affine' if offset else 'linear'}": {
            name: scores(network.features[site], offset) for name, network in networks.items()
        }
        for site in sites
        for offset in (True, False)
    }
    unexplained = lambda probe, name: probe[name]["unexplained"]["seeds"]
    ratios = {
        name: over_seeds(unexplained(probe, "untrained") / unexplained(probe, "trained"))
        for name, probe in probes.items()
    }
    shuffled = [
        held_out_score(
            features[0], prefixes, weights, targets=shuffle_beliefs(one, jnp.asarray(prefixes.beliefs), prefixes.length)
        )
        for one in jax.random.split(key, shuffles)
        for features in list(sites.values())[:1]
    ]
    return {
        "probes": probes,
        "untrained / trained unexplained": ratios,
        "shuffled": {
            name: over_seeds(np.array([getattr(s, name) for s in shuffled])) for name in ("mse", "r2", "window")
        },
        "window_curve": window_curve(prefixes, weights, held_out_folds(prefixes) >= 0),
    }


def _score(predictions: Array, targets: Array, weights: np.ndarray, rows: np.ndarray) -> Score:
    return score_predictions(
        predictions[rows], targets[rows], jnp.asarray(weights[rows] / weights[rows].sum(), targets.dtype)
    )
