"""Results as they should be reported: with controls, held out, in both weightings, as tokens of context, over seeds.

A report is a nested dictionary of numbers and arrays, ready for `outputs.write_json`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.stats
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray
from scipy.spatial.distance import cdist

from beliefgeo.arrays import ArrayLike
from beliefgeo.probes.controls import equivalent_window, seen_projector, shuffle_words, window_curve
from beliefgeo.probes.geometry import compare_distances
from beliefgeo.probes.held_out import HeldOutScore, held_out_curve, held_out_folds, held_out_score, permutation_test
from beliefgeo.probes.least_squares import fit_probe, score_probe
from beliefgeo.probes.nested import cross_validated_r2
from beliefgeo.probes.seeds_old import Networks, with_seeds
from beliefgeo.probes.weighted import weighted_rows
from beliefgeo.reading.evaluation import Evaluation, Prefixes, loss_gap, optimal_loss
from beliefgeo.reading.sampled import sampled_loss_gap

# How the prefixes count, by its name in reports and figures.
WEIGHTINGS = {"every word and position equally": "counts", "by probability": "probabilities"}


def over_seeds(values: ArrayLike, *, level: float = 0.95) -> dict[str, Any]:
    """Mean over seeds, Student's interval of the mean (None for one seed), and each seed's value.

    Args:
        values: `[seed, ...]`.
        level: of the interval.

    Raises:
        ValueError: no seeds.

    >>> {name: np.round(value, 2).tolist() for name, value in over_seeds(np.array([1.0, 2.0, 3.0])).items()}
    {'mean': 2.0, 'interval': [-0.48, 4.48], 'seeds': [1.0, 2.0, 3.0]}
    """
    values = np.asarray(values)
    values = values.astype(np.float64) if values.dtype.itemsize < 4 else values  # half precision
    if not values.ndim or not len(values):
        raise ValueError(f"over_seeds needs values [seed, ...], of a seed or more; got shape {values.shape}")
    mean, n = values.mean(0), len(values)
    if n < 2:
        return {"mean": mean, "interval": None, "seeds": values}
    half = scipy.stats.t.ppf((1 + level) / 2, n - 1) * values.std(0, ddof=1) / np.sqrt(n)
    return {"mean": mean, "interval": np.stack([mean - half, mean + half]), "seeds": values}


def seeds_report(each: Sequence[Any]) -> Any:
    """`over_seeds`, in float64, of every number in reports of one shape, one report a seed.

    Args:
        each: nested dictionaries of the same names; whatever is no dictionary is a number or an array of them.

    Raises:
        ValueError: no reports, or such as differ in their names.

    >>> seeds_report([{"loss": {"gap": 1.0}}, {"loss": {"gap": 3.0}}])["loss"]["gap"]["seeds"].tolist()
    [1.0, 3.0]
    """
    if not each:
        raise ValueError("seeds_report needs the report of one seed or more; got none")
    if not isinstance(each[0], Mapping):
        return over_seeds(np.array(each, float))
    if any(set(one) != set(each[0]) for one in each):
        raise ValueError(f"reports of seeds must have the same names; got {[sorted(one) for one in each]}")
    return {name: seeds_report([one[name] for one in each]) for name in each[0]}


def mean_gaps(network: Evaluation, prefixes: Prefixes) -> Float[np.ndarray, " seed"]:
    """How far each seed is above the optimum, exactly, on average over the numbers of tokens read. Nats.

    Args:
        network: seeds on the first axis of every leaf, or one network without it.
        prefixes: from `evaluation.prefixes`.
    """
    return np.array([loss_gap(prefixes, laws).mean() for laws in with_seeds(network, prefixes).log_laws])


def gain_report(networks: Networks, prefixes: Prefixes, first: float, *, sampled: bool = False) -> dict[str, Any]:
    """How far above the optimum each network is, and the share it gains of what the past can tell.

    gained = 1 - gap / (first - optimum): 0 who forgets the past, 1 who knows all it tells about the next token; NaN
    where it tells nothing.

    Args:
        networks: seeds on the first axis of every leaf, or one network without it.
        prefixes: from `evaluation.prefixes`.
        first: the entropy of a token when nothing is known of the past, `bg.myopic_entropies(process, 1)[0]`. Nats.
        sampled: the words were drawn: their standard error, of the first seed; None where they are all words.
    """
    optimal = optimal_loss(prefixes).mean()
    networks = {name: with_seeds(network, prefixes) for name, network in networks.items()}
    gaps = {name: mean_gaps(network, prefixes) for name, network in networks.items()}
    told = first - optimal if first - optimal > 1e-6 else np.nan  # both are known to the rounding of float32
    error = lambda network: sampled_loss_gap(prefixes, network.log_laws[0]).mean_error if sampled else None
    return {
        "first token": first,
        "optimal": optimal,
        "gap": {name: over_seeds(gap) for name, gap in gaps.items()},
        "gained": {name: over_seeds(1 - gap / told) for name, gap in gaps.items()},
        "standard error": {name: error(network) for name, network in networks.items()},
    }


def law_report(key: PRNGKeyArray, prefixes: Prefixes) -> dict[str, Any]:
    """How far the exact next-token law goes, every word and position equally: what a network that knew no more had.

    How many beliefs and laws there are, `law_rank`, R2 of the affine probe of the beliefs, and r2 of their distances.

    Args:
        key: draws the pairs of prefixes whose distances are compared, where there are too many.
        prefixes: from `evaluation.prefixes`.
    """
    laws, beliefs, counts = prefixes.laws, prefixes.beliefs, prefixes.counts
    return {
        "distinct beliefs": len(np.unique(beliefs.round(9), axis=0)),
        "distinct laws": len(np.unique(laws.round(9), axis=0)),
        "rank": law_rank(beliefs, laws),
        "probe r2": score_probe(fit_probe(laws, beliefs, counts), laws, beliefs, counts).r2,
        "distances": compare_distances(key, laws, beliefs, weights=counts),
    }


def law_rank(beliefs: Float[np.ndarray, "row state"], laws: Float[np.ndarray, "row token"]) -> dict[str, int]:
    """Of how many of the beliefs' dimensions the next-token law tells: the rank of the linear map that gives it.

    Where the two numbers are equal the belief is an affine image of the law: a probe that finds it may have found no
    more than the prediction.

    Raises:
        ValueError: laws that are not linear in the beliefs; see `controls.seen_projector`.

    >>> law_rank(np.eye(3), np.array([[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]]))
    {'rank': 2, 'of': 3}
    """
    rank = np.trace(seen_projector(beliefs, laws))  # of a projector
    return {"rank": round(float(rank)), "of": int(np.linalg.matrix_rank(beliefs, rtol=1e-5))}


def parts_report(features: Float[Array, "row feature"], prefixes: Prefixes) -> dict[str, Any]:
    """Held-out R2 of the beliefs, and of their parts that the next-token law sees and that it cannot see.

    Of a part that is nothing, as the latter in Mess3, R2 is 1, as of all that does not vary.

    Args:
        features: activations of each prefix.
        prefixes: from `evaluation.prefixes`.

    Raises:
        ValueError: laws that are not linear in the beliefs; see `controls.seen_projector`.
    """
    seen = prefixes.beliefs @ seen_projector(prefixes.beliefs, prefixes.laws)
    unseen = prefixes.beliefs - seen
    # Where all is seen, as in Mess3, rounding is left.
    unseen = np.where(abs(unseen).max() > 1e-6 * abs(prefixes.beliefs).max(), unseen, 0)
    targets = np.stack([prefixes.beliefs, seen, unseen])
    score = lambda sets, weights: cross_validated_r2(features, sets, held_out_folds(prefixes), weights)
    window = lambda r2, weights: equivalent_window(1 - float(r2), held_out_curve(prefixes, weights))
    by_count, seen_r2, unseen_r2 = score(targets, prefixes.counts)
    (by_probability,) = score(targets[:1], prefixes.probabilities)
    return {
        "held out: r2": by_count,
        "held out: window": window(by_count, prefixes.counts),
        "held out, by probability: r2": by_probability,
        "held out, by probability: window": window(by_probability, prefixes.probabilities),
        "held out: r2 of the part that the next-token law sees": seen_r2,
        "held out: r2 of the part that it cannot see": unseen_r2,
    }


def distance_report(features: Float[Array, "row feature"], prefixes: Prefixes) -> dict[str, float]:
    """Mean distances of activations after two pasts that agree, as fractions of that after pasts of different laws.

    Over pairs of prefixes of equal length. Equal law, different belief: near 0 where the two are merged. Equal belief:
    near 0 if the activations hold nothing else. NaN where there is no such pair, as of the former in Mess3, or where
    pasts of different laws are no distance apart.

    Raises:
        ValueError: features that are not `[row, feature]` of these prefixes, or not finite.
    """
    (cloud, _) = weighted_rows({"features [row, feature]": features}, np.ones(len(prefixes.length)))
    same_law, same_belief = _pairs_alike(prefixes.laws), _pairs_alike(prefixes.beliefs)
    pairs = _pairs_alike(prefixes.length[:, None]) & ~np.eye(len(prefixes.length), dtype=bool)
    distance = cdist(np.asarray(cloud, np.float64), np.asarray(cloud, np.float64))
    mean = lambda chosen: distance[pairs & chosen].mean() if (pairs & chosen).any() else np.nan
    apart = mean(~same_law) or np.nan
    return {
        "distance, equal belief": mean(same_belief) / apart,
        "distance, equal law and different belief": mean(same_law & ~same_belief) / apart,
    }


def _pairs_alike(values: Num[np.ndarray, "row column"]) -> Bool[np.ndarray, "row other"]:
    return np.all(abs(values[:, None] - values[None]) < 1e-6, axis=-1)


def loss_report(networks: Networks, prefixes: Prefixes) -> dict[str, Any]:
    """The optimum after each number of tokens read, and how far above it each network is, exactly. Nats.

    Args:
        networks: seeds on the first axis of every leaf, or one network without it.
        prefixes: from `evaluation.prefixes`.
    """
    gap = lambda network: np.array([loss_gap(prefixes, laws) for laws in with_seeds(network, prefixes).log_laws])
    gaps = {name: gap(network) for name, network in networks.items()}
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

    networks = {name: with_seeds(network, prefixes) for name, network in networks.items()}
    curve = window_curve(prefixes, prefixes.counts)
    beliefs, counts = jnp.asarray(prefixes.beliefs), prefixes.counts
    report = {name: scores(net.features[site], beliefs, counts) for name, net in networks.items()}
    rows, shuffled = shuffle_words(key, prefixes)
    return report | {"shuffled": scores((one[rows] for one in networks["trained"].features[site]), shuffled, None)}


def held_out_report(
    key: PRNGKeyArray, networks: Networks, prefixes: Prefixes, weights: ArrayLike, *, shuffles: int = 10
) -> dict[str, Any]:
    """Probes of every site, affine and linear, trained and untrained, and shuffled beliefs of the first seed.

    Args:
        key: draws the shuffles.
        networks: "trained" and "untrained", with the same sites in `features`; seeds on the first axis of every leaf,
            or one network each without it.
        prefixes: from `evaluation.prefixes`.
        weights: `prefixes.counts` or `prefixes.probabilities`.
        shuffles: permutations of the beliefs; the spread of one is larger than their mean.
    """

    def scores(features: Float[Array, "seed row feature"], offset: bool) -> dict[str, Any]:
        each = [held_out_score(one, prefixes, weights, offset=offset) for one in features]
        return {name: over_seeds(np.array([getattr(score, name) for score in each])) for name in HeldOutScore._fields}

    networks = {name: with_seeds(network, prefixes) for name, network in networks.items()}
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
    window_of = held_out_curve(prefixes, weights)
    features = next(iter(sites.values()))[0]
    shuffled = permutation_test(key, features, prefixes, weights, count=shuffles)
    return {
        "probes": probes,
        "untrained / trained unexplained": ratios,
        "shuffled": {
            "r2": over_seeds(shuffled.shuffled),
            "window": over_seeds(np.array([equivalent_window(1 - float(r2), window_of) for r2 in shuffled.shuffled])),
            "p_value": shuffled.p_value,
        },
        "window_curve": window_of,
    }
