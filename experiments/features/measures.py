"""Autoencoders of one network's last layer: what their latents are, and which factors groups of latents know."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tasks
from jaxtyping import Array, Float, PRNGKeyArray

from beliefgeo import probes, reading
from beliefgeo.discovery.autoencoder import SparseAutoencoder, fit_sparse_autoencoders
from beliefgeo.discovery.groups import Groups, group_latents, random_groups, recover_factors
from beliefgeo.discovery.latents import Latents, binned_r2, describe_latents, last_tokens
from beliefgeo.reading import Reading, Rows

# How many latents are drawn, and the length of the words at whose ends they are drawn.
DRAWN, LENGTH = 6, 7


@dataclass(frozen=True)
class Fit:
    """How autoencoders are fitted, the same for every network."""

    key: PRNGKeyArray
    starts: int
    steps: int

    def best(
        self, features: Array, sizes: tuple[int, ...], active: int, weights: np.ndarray
    ) -> dict[int, SparseAutoencoder]:
        """For each size the start that leaves the least unexplained."""
        fitted = fit_sparse_autoencoders(
            self.key, features, sizes, active, seeds=self.starts, weights=weights, steps=self.steps
        )
        return {size: min(some, key=lambda one: one.unexplained) for size, some in fitted.items()}


@dataclass(frozen=True)
class Single:
    """The latents of networks of one process."""

    fit: Fit
    rows: Rows
    moved: Rows
    """The same rows with beliefs shuffled within positions."""
    latents: int
    active: int

    def __call__(self, network: Reading) -> dict:
        """What the latents are, with the controls that need no other network."""
        features, weights = network.features[tasks.SITE], self.weights
        fitted = self.fit.best(features, (self.latents,), self.active, weights)[self.latents]
        codes = fitted.encode(features)
        told = describe_latents(codes, self.rows, weights=weights)
        random = describe_latents(self.random(fitted, features).encode(features), self.rows, weights=weights)
        return {
            "gap": reading.losses(network, self.rows).gap,
            "unexplained": fitted.unexplained,
            "alive": told.alive.sum(),
            "latents": told,
            "shuffled": describe_latents(codes, self.moved, weights=weights),
            "random": random,
            "gain": told.recovery - random.recovery,
            "six tokens": self.of_six_tokens(codes, told),
            "detectors": describe_latents(self.detectors(), self.rows, weights=weights),
            "activations": probes.held_out(features, self.rows, weights).r2,
            "drawn": self.drawn(np.asarray(codes), told.active),
        }

    @property
    def weights(self) -> Float[np.ndarray, " row"]:
        """The probability of each prefix that is not too short."""
        return np.where(self.rows.length >= tasks.SHORTEST, self.rows.probabilities, 0)

    def detectors(self) -> Float[np.ndarray, "row latent"]:
        """Latents that are functions of tokens by construction: one for each word of three tokens."""
        return np.eye(self.rows.laws.shape[1] ** 3 * 2)[last_tokens(self.rows, 3)]

    def of_six_tokens(self, codes: Array, told: Latents) -> float:
        """R2 of all latents together, given the last six tokens."""
        weights, known = self.weights / self.weights.sum(), np.asarray(codes, np.float64)[:, told.alive]
        variance = weights @ (known - weights @ known) ** 2
        return float(variance @ binned_r2(known, last_tokens(self.rows, 6), self.rows, self.weights) / variance.sum())

    def random(self, fitted: SparseAutoencoder, features: Array) -> SparseAutoencoder:
        """As many random directions, drawn from the covariance of the activations, of which as many are active."""
        centred = features - fitted.bias[None]
        mixed = jax.random.normal(self.fit.key, (self.latents, len(features))) * np.sqrt(self.weights)
        directions = mixed @ centred
        directions /= jnp.linalg.norm(directions, axis=1, keepdims=True)
        return SparseAutoencoder(
            directions.T, jnp.zeros(self.latents), directions, fitted.bias, self.active, float("nan")
        )

    def drawn(self, codes: Float[np.ndarray, "row latent"], active: Float[np.ndarray, " latent"]) -> dict:
        """The beliefs after words of one length, and the codes of the latents that are active most often."""
        shown = self.rows.length == min(LENGTH, self.rows.length.max())
        return {"beliefs": self.rows.beliefs[shown], "codes": codes[shown][:, np.argsort(-active)[:DRAWN]]}


@dataclass(frozen=True)
class Factors:
    """The groups of latents of networks of five factors."""

    fit: Fit
    rows: Rows
    moved: Rows
    """The same rows with beliefs shuffled within positions."""
    process: Any
    sizes: tuple[int, ...]
    actives: tuple[int, ...]
    draws: int

    def __call__(self, network: Reading) -> dict:
        """Groups of latents at all sizes; of those with the clearest eigengap, what they know beside their nulls."""
        features, weights = network.features[tasks.SITE], self.rows.counts
        tried = []
        for active in self.actives:
            for size, fitted in self.fit.best(features, self.sizes, active, weights).items():
                codes = fitted.encode(features)
                groups = group_latents(codes, weights, position=self.rows.length)
                tried.append((fitted, codes, groups, self.recover(codes, fitted, groups, self.rows), size, active))
        gaps = np.array([groups.gap for _, _, groups, *_ in tried])
        fitted, codes, groups, recovery, size, active = tried[gaps.argmax()]
        keys = jax.random.split(self.fit.key, self.draws)
        nulls = [self.recover(codes, fitted, random_groups(key, groups), self.rows).assigned for key in keys]
        folded = lambda given: probes.held_out(given, self.rows, weights).r2
        return {
            "gap": reading.losses(network, self.rows).gap,
            "latents": size,
            "active": active,
            "unexplained": fitted.unexplained,
            "groups": groups.number,
            "recovery": {"assigned": recovery.assigned, "others": recovery.others},
            "mean": recovery.assigned.mean(),
            "clearest": gaps.max(),
            "others": recovery.others.mean(),
            "random": np.mean(nulls, 0),
            "random mean": np.mean(nulls),
            "random best": np.mean(nulls, 1).max(),
            "shuffled": self.recover(codes, fitted, groups, self.moved).assigned.mean(),
            "all latents": folded(np.asarray(codes)),
            "activations": folded(features),
            "tried": {
                "latents": np.array([one[4] for one in tried]),
                "active": np.array([one[5] for one in tried]),
                "eigengap": gaps,
                "groups": np.array([one[2].number for one in tried]),
                "mean": np.array([one[3].assigned.mean() for one in tried]),
                "unexplained": np.array([one[0].unexplained for one in tried]),
            },
        }

    def recover(self, codes: Array, fitted: SparseAutoencoder, groups: Groups, rows: Rows) -> Any:
        """What groups know of the beliefs of these rows."""
        factors = [np.asarray(one) for one in self.process.split_belief(rows.beliefs)]
        return recover_factors(codes, fitted.decoder, groups, rows, factors, rows.counts)
