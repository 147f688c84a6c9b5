"""What is kept or removed, at which layers; and whether the probe is something else in disguise."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

import beliefgeo as bg
from beliefgeo import probes, reading
from beliefgeo.mechanisms import interventions, projections
from beliefgeo.networks import Network
from beliefgeo.probes import nested
from beliefgeo.reading import Reading, Rows

# Probes are fitted to words of the first length, losses are exact over words of the second.
READ = {"mess3": 8, "rrxor": 12}
SHORT = {"mess3": 6, "rrxor": 9}
NAMES = {
    "probe rows": "rows of the probe, orthogonal",
    "erasure": "LEACE, oblique",
    "cross-covariance": "span of the cross-covariance",
    "components": "first principal components",
}
# Beliefs nearer than this, in the sum of differences over states, are one class; smaller classes do not count.
TOLERANCE, SMALLEST = 0.05, 8


class Disguise(NamedTuple):
    """R2 of the beliefs at the last layer, every word and position counting equally."""

    affine: float
    """Held out."""
    linear: float
    """Held out, without an offset."""
    correlations: Float[np.ndarray, " direction"]
    """Canonical correlations of the probed beliefs and the network's logits."""
    from_logits: float
    """Held out, from the logits alone."""
    without_logits: float
    """Held out, after LEACE has erased the logits."""
    unshuffled: float
    """In sample, over the prefixes whose belief at least seven others share: what shuffles are compared with."""
    refitted: float
    """The same, neurons shuffled among prefixes of one belief, the probe fitted again."""
    rotated: float
    """The same, neurons of a random basis."""
    same_probe: float
    """The same neurons, the probe of the activations as they were."""
    random_classes: float
    """The same as `refitted`, but classes are of random prefixes."""


@dataclass(frozen=True)
class Study:
    """The prefixes and the random draws, the same for every network of a process."""

    network: Network
    rows: Rows
    short: Rows
    key: PRNGKeyArray
    draws: int

    def without(self, network: Reading) -> dict:
        """The loss, every projection but the random planes, and the questions of disguise."""
        layers = [site for site in network.features if site.startswith("layer")]
        found = {layer: self.gaps(network, layer) for layer in layers}
        return {
            "gap": reading.losses(network, self.rows).gap,
            "layers": found,
            "last": found[layers[-1]],
            "disguise": self.disguise(network.features[layers[-1]], network.log_laws),
        }

    def with_random_planes(self, network: Reading) -> dict:
        """The same, and random planes at the last layer."""
        layer = [site for site in network.features if site.startswith("layer")][-1]
        held = self.encoded(network, layer)
        keys = jax.random.split(self.key, self.draws)
        drawn = [projections.random_plane(key, held, self.dimensions) for key in keys]
        gaps = self.projected(network, layer, held, drawn)
        planes = {
            "kept": gaps[:, 0].mean(),
            "best kept": gaps[:, 0].min(),
            "removed": gaps[:, 1].mean(),
            "worst removed": gaps[:, 1].max(),
            "each": gaps,
        }
        return self.without(network) | {"random": planes}

    @property
    def dimensions(self) -> int:
        """The dimensions of the beliefs, and of every plane."""
        return self.rows.beliefs.shape[1] - 1

    def encoded(self, network: Reading, layer: str) -> interventions.Encoding:
        """How a layer holds beliefs."""
        return interventions.encode(network.features[layer], self.rows, self.rows.probabilities)

    def projected(self, network: Reading, layer: str, held: interventions.Encoding, drawn: list) -> np.ndarray:
        """Loss gaps, kept alone and removed."""
        site = reading.site_of(self.network, network.params, layer)
        return projections.projected_gaps(self.network, network.params, self.short, site, held, drawn)

    def gaps(self, network: Reading, layer: str) -> dict[str, Float[np.ndarray, " side"]]:
        """Loss gaps of every projection by name."""
        held = self.encoded(network, layer)
        made = {
            "probe rows": projections.probe_rows(held),
            "erasure": projections.erasure(held),
            "cross-covariance": projections.cross_covariance(held),
            "components": projections.components(held, self.dimensions),
        }
        return dict(zip(made, self.projected(network, layer, held, [*made.values()]), strict=True))

    def disguise(self, features: Float[Array, "row feature"], log_laws: Float[Array, "row token"]) -> Disguise:
        """Whether the probe needs an offset, is the unembedding, or lies in single neurons."""
        rows, counts = self.rows, self.rows.counts
        logits = np.asarray(log_laws - log_laws.mean(1, keepdims=True), np.float64)
        held_out = lambda given, **how: probes.held_out(given, rows, counts, score=nested(**how)).r2
        probe = bg.fit_probe(features, rows.beliefs, counts, rcond=1e-5)
        of_logits = interventions.encode(features, rows._replace(beliefs=logits), counts)
        erased = np.asarray(features, np.float64) @ (np.eye(features.shape[1]) - projections.erasure(of_logits))
        turn = jnp.linalg.qr(jax.random.normal(self.key, (features.shape[1],) * 2))[0]
        classes = probes.belief_classes(rows, TOLERANCE)
        kept = np.bincount(classes)[classes] >= SMALLEST
        elsewhere = np.copy(classes)
        elsewhere[kept] = np.asarray(jax.random.permutation(self.key, classes[kept]))
        shares = np.where(kept, counts, 0)
        shuffled = lambda given, group=classes: probes.shuffle_within(self.key, given, group)
        r2 = lambda one, given: float(bg.score_probe(one, given, rows.beliefs, shares).r2)
        again = lambda given: r2(bg.fit_probe(given, rows.beliefs, shares, rcond=1e-5), given)
        return Disguise(
            held_out(features),
            held_out(features, offset=False),
            probes.canonical_correlations(probe(features), logits, counts),
            held_out(logits),
            held_out(erased.astype(np.float32)),
            again(features),
            again(shuffled(features)),
            again(shuffled(features @ turn)),
            r2(probe, shuffled(features)),
            again(shuffled(features, elsewhere)),
        )
