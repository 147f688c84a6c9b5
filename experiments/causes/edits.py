"""What is written, and after which prefixes: every edit of one network, layer by layer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.mechanisms import donors
from beliefgeo.mechanisms import interventions as write
from beliefgeo.mechanisms.donors import Pairs
from beliefgeo.mechanisms.interventions import CausalScore, Encoding
from beliefgeo.networks import Network
from beliefgeo.reading import Reading, Rows, Site

# Beliefs are written after all prefixes of this many tokens; three tokens follow them.
LENGTHS = {"mess3": 6, "rrxor": 7}
AHEAD = 3
COMPONENTS = (2, 4, 8, 16, 32, 64)
# A random direction is scored over at most this many pairs.
PAIRS_A_DRAW = 250


class Random(NamedTuple):
    """Changes as large as the belief's, in random directions."""

    a: float
    largest_a: float
    largest_closed: float


@dataclass(frozen=True)
class Study:
    """The pairs of prefixes and beliefs, the same for every network of a process."""

    process: bg.Process
    network: Network
    rows: Rows
    key: PRNGKeyArray
    length: int
    config: Any

    def one_edit(self, network: Reading) -> dict:
        """The loss, and the belief written at each layer: enough for the untrained network."""
        pairs = self.pairs(donors.reachable)
        layers = {}
        for layer in self.config.layers:
            site, held = self.at(network, layer)
            layers[layer] = {"covariance-least": self.effect(network, site, pairs, write.covariance_least(held, pairs))}
        return {"gap": reading.losses(network, self.rows).gap, "layers": layers}

    def every_edit(self, network: Reading) -> dict:
        """The loss, and every edit at each layer."""
        layers = {layer: self.of_layer(network, layer) for layer in self.config.layers}
        return {"gap": reading.losses(network, self.rows).gap, "layers": layers}

    def of_layer(self, network: Reading, layer: str) -> dict:
        """Every edit at one layer."""
        print(f"writing at {layer}", flush=True)
        site, held = self.at(network, layer)
        pairs, mixed = self.pairs(donors.reachable), self.pairs(donors.mixtures)
        score = lambda values, of=pairs, ahead=0: self.effect(network, site, of, values, ahead)
        past = lambda of: write.patch_past(self.network, network.params, self.rows, site, of)
        written = write.covariance_least(held, pairs)
        found = {
            "covariance-least": score(written, ahead=AHEAD),
            "regressed": score(write.regressed(held, pairs)),
            "least norm": score(write.least_norm(held, pairs)),
            "nearest": score(write.nearest(held, pairs)),
            "patch": score(write.patch(held, pairs), ahead=AHEAD),
            "whole past": score(past(pairs), ahead=AHEAD),
            "mixtures": score(write.covariance_least(held, mixed), mixed),
            "relabelled": score(write.covariance_least(held, donors.relabelled(pairs))),
            "random": self.random(network, site, held, pairs),
            "by components": [score(write.least_norm(held, pairs, count)) for count in COMPONENTS],
        }
        if self.process.n_states > self.process.vocab_size:  # the law does not tell the belief
            kernel = self.pairs(lambda key, *of: donors.along_kernel(key, self.process, *of))
            same = self.pairs(donors.same_law)
            found["along the kernel"] = score(write.regressed(held, kernel), kernel, 2)
            found["whole past of one law"] = score(past(same), same, 2)
        return found

    def at(self, network: Reading, layer: str) -> tuple[Site, Encoding]:
        """The place of an edit, and how it holds beliefs."""
        site = reading.site_of(self.network, network.params, layer)
        return site, write.encode(network.features[layer], self.rows, self.rows.counts)

    def pairs(self, draw: Callable[..., Pairs]) -> Pairs:
        """Prefixes and the beliefs to be written, the same in every call."""
        return draw(self.key, self.rows, self.length, self.config.pairs)

    def effect(
        self, network: Reading, site: Site, pairs: Pairs, values: Float[np.ndarray, "pair ..."], ahead: int = 0
    ) -> CausalScore:
        """Every pair counts equally."""
        equal = np.ones(len(pairs.row))
        given = (self.process, self.network, network.params, self.rows, site, pairs, values)
        return write.effect(*given, ahead=ahead, weights=equal)

    def random(self, network: Reading, site: Site, held: Encoding, pairs: Pairs) -> Random:
        """Random directions, each over some of the pairs."""
        scores = []
        for draw in jax.random.split(self.key, self.config.draws):
            chosen = np.asarray(jax.random.permutation(draw, len(pairs.row)))[:PAIRS_A_DRAW]
            some = jax.tree.map(lambda leaf, chosen=chosen: leaf[chosen], pairs)
            written = write.covariance_least(held, some)
            scores.append(self.effect(network, site, some, write.random_change(draw, held, some, written)))
        a, closed = (np.array([getattr(one, field)[0] for one in scores]) for field in ("a", "closed"))
        return Random(float(a.mean()), float(a.max()), float(closed.max()))
