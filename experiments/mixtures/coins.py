"""Coins that are shown, needed and then spent: the process, who still holds them, and what it costs to remove them."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.special import log_softmax, rel_entr

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.mechanisms import interventions, projections
from beliefgeo.networks import Network
from beliefgeo.probes.nested import cross_validate_probe
from beliefgeo.reading import Reading, Rows

EPOCH = 3
"""The tokens of an epoch: the coin, a filler that is never needed, and the coin again."""
FOLDS = 9
# Thresholds, set before the run that they judge: the numbers of the public repository, with room for 5 networks.
DECODABLE, SPENT, IN_USE = 0.99, 0.03, 0.65
DRAWS = 3
WORDS = 400  # sampled, on which costs are taken


def process() -> bg.Process:
    """A coin is shown; a filler, another fair coin, follows; then the coin comes again, and a new epoch begins.

    The first epoch's coin is the component of a mixture of two processes that are the same from the third token on.
    After an epoch the belief is back at its start: it forgets the coin.
    """
    edges = [("new", coin, f"shown {coin}", 0.5) for coin in (0, 1)]
    edges += [(f"shown {coin}", filler, f"wanted {coin}", 0.5) for coin in (0, 1) for filler in (0, 1)]
    edges += [(f"wanted {coin}", coin, "new", 1.0) for coin in (0, 1)]
    return bg.from_edges(edges, "new")


class Held(NamedTuple):
    """Who is known in one network, at its last layer; positions are those of the last epoch's coin and filler."""

    gap: float
    """The loss above the optimum."""
    coins: Float[np.ndarray, "position coin"]
    """Held-out accuracy of each coin, the oldest first; the last one is in use."""
    fillers: Float[np.ndarray, "position filler"]
    """The same of each epoch's filler, which was never needed."""
    spent_accuracy: float
    """The least accuracy of a spent coin, over coins and both positions."""
    filler_accuracy: float
    """The least accuracy of a filler of an earlier epoch."""


class Costs(NamedTuple):
    """What it costs one network to lose a coin, in nats; layers are those at whose end it is removed."""

    spent: Float[np.ndarray, "layer coin"]
    """The mean over the last epoch's three predictions, at all of which a spent coin is removed, the oldest first."""
    filler: Float[np.ndarray, "layer filler"]
    """The same of a filler of the same age."""
    random: Float[np.ndarray, " layer"]
    """The same of a direction drawn from the covariance, the mean of `DRAWS`."""
    in_use: Float[np.ndarray, " layer"]
    """Cost of removing the coin in use, at the prediction that needs it; above ln 2 if that prediction stays sure."""
    shrunk: Float[np.ndarray, " layer"]
    """The same, logits multiplied by the best number: at most ln 2, that of a prediction that knows nothing."""
    dearest: float
    """The largest mean cost of a spent coin, over layers and coins."""
    needed: float
    """The least of `shrunk`, over layers."""


@dataclass(frozen=True)
class Study:
    """The network, all words, the words on which costs are taken, and the key of random directions and folds."""

    network: Network
    rows: Rows
    some: Rows
    key: PRNGKeyArray

    @property
    def epochs(self) -> int:
        """The number of coins in a word."""
        return self.rows.tokens.shape[1] // EPOCH

    @property
    def last(self) -> np.ndarray:
        """The positions of the last epoch."""
        return np.arange(EPOCH) + EPOCH * (self.epochs - 1)

    def exact(self) -> dict:
        """What the exact belief and the exact law, in place of a network, tell of coins."""
        given = {"belief": self.rows.beliefs, "law": self.rows.laws}
        accuracy = {name: self.accuracy(one.astype(np.float32), self.last[1]) for name, one in given.items()}
        return {"words": len(self.rows.tokens), "from_exact": {name: one[0] for name, one in accuracy.items()}}

    def accuracy(self, features: Array | np.ndarray, position: int) -> Float[np.ndarray, "kind epoch"]:
        """Held-out accuracy of all coins and fillers at one position; folds are of random prefixes."""
        rows, at = self.rows, self.rows.position == position
        folds = np.asarray(jax.random.permutation(self.key, at.sum())) % FOLDS
        tokens = rows.tokens[rows.word[at]].reshape(-1, self.epochs, EPOCH)[:, :, :2]
        targets = np.moveaxis(tokens, 2, 1).reshape(len(tokens), -1)
        counts = rows.counts[at]
        given = np.asarray(features)[at]
        seen = np.asarray(cross_validate_probe(given, targets.astype(np.float32), folds, counts)[0])
        right = (seen > 0.5) == targets
        return (counts @ right / counts.sum()).reshape(2, self.epochs)

    def held(self, network: Reading) -> Held:
        """Who is known."""
        shown = np.stack([self.accuracy(network.features["layer 2"], position) for position in self.last[:2]], 1)
        coins, fillers = shown
        least = lambda accuracies: accuracies[:, :-1].min()
        return Held(reading.losses(network, self.rows).gap, coins, fillers, least(coins), least(fillers))

    def costs(self, network: Reading) -> Costs:
        """What it costs to lose a coin, at both layers."""
        each = [self.costs_at(network, layer) for layer in ("layer 1", "layer 2")]
        spent, filler, random, in_use, shrunk = (np.array(one) for one in zip(*each, strict=True))
        return Costs(spent, filler, random, in_use, shrunk, spent.max(), shrunk.min())

    def costs_at(self, network: Reading, layer: str) -> tuple[np.ndarray, np.ndarray, float, float, float]:
        """Costs of spent coins, of fillers, of random directions, and of the coin in use, as it is and shrunk."""
        site = reading.site_of(self.network, network.params, layer)
        held = np.asarray(reading.read_words(self.network, network.params, self.some.tokens, site))
        loss = lambda values: self.loss(network.params, site, values)
        whole, words = loss(held), self.some.tokens
        remove = lambda token, positions: loss(erased(held, self.some, words[:, token], positions)) - whole
        earlier = EPOCH * np.arange(self.epochs - 1)
        spent, filler = (
            np.array([remove(token, self.last)[self.last].mean() for token in earlier + shift]) for shift in (0, 1)
        )
        blind = erased(held, self.some, words[:, self.last[0]], self.last[:2])
        at = self.some.position == self.last[1]
        laws, log_laws = self.some.laws[at], self.log_laws(network.params, site, blind)[at]
        sizes = [log_softmax(size * log_laws, 1) for size in np.linspace(0, 1, 101)]
        shrunk = min(self.some.probabilities[at] @ rel_entr(laws, np.exp(one)).sum(1) for one in sizes)
        in_use = (loss(blind) - whole)[self.last[1]]
        shrunk -= whole[self.last[1]]
        keys = jax.random.split(self.key, DRAWS)
        random = [(loss(without_random(key, held, self.last)) - whole)[self.last].mean() for key in keys]
        return spent, filler, float(np.mean(random)), float(in_use), float(shrunk)

    def loss(self, params, site: reading.Site, values: np.ndarray) -> Float[np.ndarray, " position"]:
        """The loss above the optimum at each position, where a site holds these values."""
        return reading.loss_gap(self.some, self.log_laws(params, site, values))

    def log_laws(self, params, site: reading.Site, values: np.ndarray) -> Float[np.ndarray, "row token"]:
        """The predictions, where a site holds these values."""
        found = np.asarray(reading.resume(self.network, params, self.some.tokens, site, values), np.float64)
        return found[self.some.word, self.some.position]


def erased(
    held: Float[np.ndarray, "word time width"], rows: Rows, target: np.ndarray, positions: np.ndarray
) -> Float[np.ndarray, "word time width"]:
    """Activations that tell no linear probe the target, one of 0 and 1 for each word, at these positions: LEACE."""
    changed, weights = held.copy(), np.ones(len(held))
    given = rows._replace(beliefs=np.eye(2)[target], length=np.zeros(len(held), int))
    for position in positions:
        encoding = interventions.encode(held[:, position], given, weights)
        changed[:, position] = without(held[:, position], projections.erasure(encoding))
    return changed


def without_random(key: PRNGKeyArray, held: np.ndarray, positions: np.ndarray) -> Float[np.ndarray, "word time width"]:
    """Activations without one direction drawn from their covariance, at these positions."""
    changed = held.copy()
    for position in positions:
        covariance = np.cov(held[:, position].T.astype(np.float64), bias=True)
        drawn = np.asarray(jax.random.multivariate_normal(key, np.zeros(len(covariance)), covariance, method="svd"))
        direction = drawn.astype(np.float64) / np.linalg.norm(drawn)
        changed[:, position] = without(held[:, position], np.outer(direction, direction))
    return changed


def without(values: Float[np.ndarray, "word width"], projector: np.ndarray) -> Float[np.ndarray, "word width"]:
    """mean + (x - mean)(1 - P)."""
    return values - ((values - values.mean(0)) @ projector).astype(values.dtype)
