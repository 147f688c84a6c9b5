"""After words that were never shown: is the law right, and the belief?"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import tasks
from jaxtyping import Bool, Float, Int, PRNGKeyArray
from tables import by_suffixes, explained, least_kl, mean_kl, of_weight
from tasks import Left, Networks, Task
from threadpoolctl import threadpool_limits

import beliefgeo as bg
from beliefgeo import probes, reading
from beliefgeo.probes.nested import RCONDS
from beliefgeo.reading import Reading, Seeds

FOLDS = 4
LAST = {"last 3 tokens": slice(3, 4), "last tokens at best": slice(None)}
"""Tables by the number of last tokens they know."""


def inner_folds(task: Task, shown: Bool[np.ndarray, " row"]) -> Int[np.ndarray, " row"]:
    """Folds of the shown prefixes, by subtrees; -1 for prefixes shorter than the roots, which only ever train."""
    label = np.where(shown, task.rows.subtrees(tasks.ROOT), -1)
    kept = label >= 0
    label[kept] = np.unique(label[kept], return_inverse=True)[1] % FOLDS
    return label


def probed(
    task: Task,
    features: Float[np.ndarray, "row width"],
    beliefs: Float[np.ndarray, "row state"],
    shown: Bool[np.ndarray, " row"],
) -> dict[str, float]:
    """R2 of beliefs where they were never shown, and of shown ones held out; the cut-off is chosen on shown ones."""
    weights, folds = task.rows.probabilities, inner_folds(task, shown)
    held = of_weight(weights, folds >= 0)

    def inside(rcond: float) -> float:
        guess = np.zeros_like(beliefs)
        for fold in np.unique(folds[folds >= 0]):
            rest = shown & (folds != fold)
            probe = bg.fit_probe(features, beliefs, np.where(rest, weights, 0), rcond=rcond)
            guess[folds == fold] = np.asarray(probe(features))[folds == fold]
        return explained(beliefs, guess, held)

    with threadpool_limits(1, user_api="blas"):  # on small matrices threads wait for one another
        scores = {rcond: inside(rcond) for rcond in RCONDS}
        best = max(scores, key=lambda rcond: scores[rcond])
        probe = bg.fit_probe(features, beliefs, of_weight(weights, shown), rcond=best)
    return {"shown": scores[best], "never": explained(beliefs, np.asarray(probe(features)), of_weight(weights, ~shown))}


def measure(key: PRNGKeyArray, task: Task, networks: Networks, left: Left) -> Mapping[str, Any]:
    """Networks that were not shown some words; those that were shown all; untrained ones; tables of the last tokens."""
    rows, weights = task.rows, task.rows.probabilities
    own, shown = networks.checkpoints[left], [tasks.shown_rows(task, one) for one in networks.shown[left]]
    read = lambda shot: [*reading.readings(shot, rows, tasks.layers)]
    each = {"trained": read(own[-1]), "untrained": read(own[0]), "shown all": read(networks.checkpoints["nothing"][-1])}
    shuffled = [np.asarray(probes.shuffle_prefixes(one, rows)) for one in jax.random.split(key, len(shown))]

    def scored(one: Reading, seen: np.ndarray, beliefs: np.ndarray = rows.beliefs) -> dict[str, Any]:
        kl = reading.divergences(rows, one.log_laws)
        mean = {name: float(of_weight(weights, kept) @ kl) for name, kept in (("shown", seen), ("never", ~seen))}
        r2 = probed(task, np.asarray(one.features["layers"]), beliefs, seen)
        return {"kl": mean, "known": 1 - mean["never"] / to_know(task, seen), "r2": r2}

    found = {name: reading.over_seeds([*map(scored, net, shown)]) for name, net in each.items()}
    moved = reading.over_seeds([*map(scored, each["trained"], shown, shuffled)])
    found["shuffled"] = {"r2": moved["r2"]}
    found |= {name: reading.over_seeds([last_tokens(task, one, name) for one in shown]) for name in LAST}
    found["weight"] = Seeds(np.array([weights[~one].sum() / weights.sum() for one in shown]))
    return found


def to_know(task: Task, shown: Bool[np.ndarray, " row"]) -> float:
    """What there is to know where nothing was shown: the KL from the laws to their mean, in nats."""
    never = of_weight(task.rows.probabilities, ~shown)
    return mean_kl(task.rows.laws, np.broadcast_to(never @ task.rows.laws, task.rows.laws.shape), never)


def last_tokens(task: Task, shown: Bool[np.ndarray, " row"], name: str) -> dict[str, Any]:
    """What a table of the last tokens of the shown words says where nothing was shown.

    Its smoothing is chosen on the words that it is scored on; so is, if it is to be the best, its number of tokens.
    """
    rows, weights = task.rows, task.rows.probabilities
    seen, never, numbers = of_weight(weights, shown), of_weight(weights, ~shown), LAST[name]
    laws, beliefs = (by_suffixes(rows, values, seen)[numbers] for values in (rows.laws, rows.beliefs))
    kl = least_kl(rows.laws, laws, never)
    r2 = max(explained(rows.beliefs, guess, never) for guess in beliefs)
    return {"kl": {"never": kl}, "known": 1 - kl / to_know(task, shown), "r2": {"never": r2}}
