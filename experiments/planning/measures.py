"""What is lost without preparation, what each layer holds, and the verdict."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tally
from jaxtyping import Array, Float, PRNGKeyArray

from beliefgeo import probes, reading
from beliefgeo.probes.controls import seen_projector, shuffle_prefixes
from beliefgeo.probes.held_out import held_out_folds
from beliefgeo.probes.nested import cross_validated_r2
from beliefgeo.reading import Reading, Rows, Seeds

# Shares of what the context teaches, fixed before the run that they judge.
# Myopic training that costs more than this has lost something: five times as much as may be left unlearnt.
PRE_CACHING = 0.1
# Myopic training that costs less than this has lost nothing.
BREADCRUMBS = 0.02
# Where ordinary training leaves more than this unlearnt, equal losses say nothing.
LEARNT = 0.02


class Held(NamedTuple):
    """Held-out R2 of affine probes.

    Attributes:
        beliefs: Of the beliefs.
        unseen: Of the part that only later tokens can need; 1 where there is no such part.
        shuffled: Of beliefs permuted within each position.
        equal: Of whether the pair just read is equal, by probability; NaN for processes without pairs.
    """

    beliefs: float
    unseen: float
    shuffled: float
    equal: float


class Lost(NamedTuple):
    """What myopic training costs: its loss above that of ordinary training, seed by seed.

    Attributes:
        nats: In nats a token.
        share: As a share of what the context teaches.
    """

    nats: Seeds
    share: Seeds


@dataclass(frozen=True)
class Study:
    """The prefixes of a process, the same for all of its networks."""

    rows: Rows
    key: PRNGKeyArray
    pairs: int | None = None
    """The number of pairs of a tally."""

    @property
    def taught(self) -> float:
        """What the context teaches: the loss above the optimum of the best law that knows the position alone. Nats."""
        rows = self.rows
        at = np.zeros((rows.length.max() + 1, rows.laws.shape[1]))
        np.add.at(at, rows.length, rows.probabilities[:, None] * rows.laws)
        return float(reading.loss_gap(rows, np.log(np.maximum(at[rows.length], 1e-30))).mean())

    def measure(self, network: Reading) -> dict:
        """The loss above the optimum, at each position, and what each layer and all layers together hold."""
        found = reading.losses(network, self.rows)
        layers = OrderedDict((site, self.held(one)) for site, one in network.features.items())
        together = self.held(reading.concatenated(network.features))
        return {"gap": found.gap, "by position": found.gap_per_length, "layers": layers, "together": together}

    def held(self, features: Float[Array, "row width"]) -> Held:
        """All scores of one layer."""
        rows = self.rows
        unseen = rows.beliefs - rows.beliefs @ seen_projector(rows.beliefs, rows.laws)
        unseen = np.where(abs(unseen).max() > 1e-6, unseen, 0)  # where the law sees all, the rest is rounding
        targets = np.stack([rows.beliefs, unseen, np.asarray(shuffle_prefixes(self.key, rows))])
        scores = cross_validated_r2(features, targets, held_out_folds(rows), rows.counts)
        beliefs, unseen_part, shuffled = (float(one) for one in scores)
        return Held(beliefs, unseen_part, shuffled, self.equal(features))

    def equal(self, features: Float[Array, "row width"]) -> float:
        """Held-out R2 of whether the pair just read is equal, at the positions where a pair ends."""
        if self.pairs is None:
            return np.nan
        same, weights = tally.equal_pairs(self.rows, self.pairs)
        return probes.held_out(features, self.rows, weights, targets=same).r2


def layers_of(activations: Mapping[str, Array]) -> dict[str, Array]:
    """The output of every block."""
    return {f"layer {index + 1}": one for index, one in enumerate(activations["resid_post"])}


def compared(nets: Mapping[str, dict], taught: float) -> dict:
    """What myopic and strict training lose, and the verdict."""
    gaps = {kind: one["gap"] for kind, one in nets.items()}
    kinds = [kind for kind in ("myopic", "strict") if {kind, "ordinary"} <= set(gaps)]
    found = {kind: lost(gaps["ordinary"], gaps[kind], taught) for kind in kinds}
    told = {"verdict": verdict(gaps["ordinary"], gaps["myopic"], taught)} if "myopic" in found else {}
    return {"taught": taught, "lost": found} | told


def lost(ordinary: Seeds, myopic: Seeds, taught: float) -> Lost:
    """What myopic training costs, network by network: both begin with the same parameters and read the same words."""
    nats = myopic.values - ordinary.values
    return Lost(Seeds(nats), Seeds(nats / taught))


def verdict(ordinary: Seeds, myopic: Seeds, taught: float) -> str:
    """Whether networks prepare at earlier positions what later positions need, by 95% intervals of the mean."""
    share = lost(ordinary, myopic, taught).share.interval
    if share is None or ordinary.interval is None:
        return "none: it takes two networks or more"
    low, high = share
    if low > PRE_CACHING:
        return "pre-caching"
    if ordinary.interval[1] > LEARNT * taught:
        return "none: ordinary training has not learnt the process"
    return "breadcrumbs" if high < BREADCRUMBS else "undecided"
