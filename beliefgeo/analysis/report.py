"""Results as they should be reported: with controls, held out, in both weightings, as tokens of context, over seeds.

A report is a nested dictionary of numbers and arrays, ready for `runs.write_json`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.stats
from jaxtyping import Array, Float, Num, PRNGKeyArray

from beliefgeo.analysis.controls import equivalent_window, shuffle_words, window_curve
from beliefgeo.analysis.evaluation import Evaluation, Prefixes, loss_gap, optimal_loss
from beliefgeo.analysis.held_out import HeldOutScore, held_out_folds, held_out_score, permutation_test
from beliefgeo.analysis.probes import fit_probe, score_probe

# How the prefixes count, by its name in reports and figures.
WEIGHTINGS = {"every word and position equally": "counts", "by probability": "probabilities"}

# Evaluations of trained networks and of the same networks untrained, seeds on a leading axis of every leaf.
Networks = Mapping[str, Evaluation]


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
    window_of = window_curve(prefixes, weights, held_out_folds(prefixes) >= 0)
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
