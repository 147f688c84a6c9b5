"""Coins that are shown, needed and then spent: the process, who still holds them, and what it costs to remove them."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

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
REMOVED = ("spent", "filler", "random")


def process() -> bg.Process:
    """A coin is shown; a filler, another fair coin, follows; then the coin comes again, and a new epoch begins.

    The first epoch's coin is the component of a mixture of two processes that are the same from the third token on.
    After an epoch the belief is back at its start: it forgets the coin.
    """
    edges = [("new", coin, f"shown {coin}", 0.5) for coin in (0, 1)]
    edges += [(f"shown {coin}", filler, f"wanted {coin}", 0.5) for coin in (0, 1) for filler in (0, 1)]
    edges += [(f"wanted {coin}", coin, "new", 1.0) for coin in (0, 1)]
    return bg.from_edges(edges, "new")


class Measured(NamedTuple):
    """One network on all words; positions are those of the last epoch, coins from the oldest to the one in use."""

    gap: float
    """The loss above the optimum."""
    coins: Float[np.ndarray, "position coin"]
    """Held-out accuracy of each coin, last layer, after the last epoch's coin and after its filler."""
    fillers: Float[np.ndarray, "position filler"]
    """The same of each epoch's filler, which was never needed."""
    spent_accuracy: float
    """The least accuracy of a spent coin, over coins and both positions."""
    filler_accuracy: float
    """The least accuracy of a filler of an earlier epoch."""
    spent: Float[np.ndarray, "layer coin"]
    """Mean cost, in nats a token, of removing a spent coin at the last epoch's three positions."""
    filler: Float[np.ndarray, "layer filler"]
    """The same of a filler of the same age."""
    random: Float[np.ndarray, " layer"]
    """The same of a direction drawn from the covariance, the mean of as many draws as spent coins."""
    in_use: Float[np.ndarray, " layer"]
    """Cost of removing the coin in use, at the prediction that needs it."""
    dearest: float
    """The largest mean cost of a spent coin, over layers and coins."""
    needed: float
    """The cost of the coin in use at the last layer."""


@dataclass(frozen=True)
class Study:
    """The network, all words, and the key of random directions."""

    network: Network
    rows: Rows
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

    def measure(self, network: Reading) -> Measured:
        """Who holds which coin, and what it costs to remove it."""
        shown = np.stack([self.accuracy(network.features["layer 2"], position) for position in self.last[:2]], 1)
        coins, fillers = shown
        costs = [self.costs(network, layer) for layer in ("layer 1", "layer 2")]
        spent, filler, random, in_use = (np.array(one) for one in zip(*costs, strict=True))
        least = lambda accuracies: accuracies[:, :-1].min()
        return Measured(
            reading.losses(network, self.rows).gap,
            coins,
            fillers,
            least(coins),
            least(fillers),
            spent,
            filler,
            random,
            in_use,
            spent.max(),
            in_use[-1],
        )

    def costs(self, network: Reading, layer: str) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Costs of spent coins, of fillers, of random directions, and of the coin in use."""
        site = reading.site_of(self.network, network.params, layer)
        held = np.asarray(reading.read_words(self.network, network.params, self.rows.tokens, site))
        loss = lambda values: self.loss(network.params, site, values)
        whole, words = loss(held), self.rows.tokens
        remove = lambda token, positions: loss(erased(held, self.rows, words[:, token], positions)) - whole
        earlier = EPOCH * np.arange(self.epochs - 1)
        spent, filler = (
            np.array([remove(token, self.last)[self.last].mean() for token in earlier + shift]) for shift in (0, 1)
        )
        in_use = remove(self.last[0], self.last[:2])[self.last[1]]
        keys = jax.random.split(self.key, len(earlier))
        random = [(loss(without_random(key, held, self.last)) - whole)[self.last].mean() for key in keys]
        return spent, filler, float(np.mean(random)), float(in_use)

    def loss(self, params, site: reading.Site, values: np.ndarray) -> Float[np.ndarray, " position"]:
        """The loss above the optimum at each position, where a site holds these values."""
        log_laws = np.asarray(reading.resume(self.network, params, self.rows.tokens, site, values))
        return reading.loss_gap(self.rows, log_laws[self.rows.word, self.rows.position])


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
