"""What is measured of the networks of one learner in one task."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import exams
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from beliefgeo import reading
from beliefgeo.probes.controls import shuffle_prefixes
from beliefgeo.probes.held_out import held_out_folds
from beliefgeo.probes.nested import cross_validated_r2
from beliefgeo.reading import Checkpoint, Reading, Seeds
from beliefgeo.runs.run import named_key


class Measured(NamedTuple):
    """Of each network, `[seed, hmm]` before all other axes; losses are in nats a token above the optimum.

    Attributes:
        tokens: How many tokens each network had seen at each snapshot.
        gap: At each snapshot, the untrained network first.
        error: The standard error of the gap at the end, from the words drawn.
        by_position: The gap at the end after each number of tokens.
        new: The gap at the end on HMMs that were not seen; NaN for fixed HMMs.
        window: The number of last tokens whose best law has the same gap.
        r2: Held-out R2 of the belief in all layers at the end.
        untrained_r2: The same before the first step.
        shuffled_r2: R2 of beliefs after other words of the same length, at the end.
    """

    tokens: list[int]
    gap: Any
    error: Any
    by_position: Any
    new: Any
    window: Any
    r2: Any
    untrained_r2: Any
    shuffled_r2: Any

    @property
    def mean(self) -> dict[str, Seeds]:
        """The mean over HMMs of each number at the end, and of the gap before the first step."""
        numbers = {"gap": self.gap.values[..., -1], "untrained": self.gap.values[..., 0]}
        names = ("error", "new", "window", "r2", "untrained_r2", "shuffled_r2")
        numbers |= {name: getattr(self, name).values for name in names}
        return {name: Seeds(values.mean(1)) for name, values in numbers.items() if np.isfinite(values).all()}

    @property
    def by_hmm(self) -> Seeds:
        """The gap at the end, `[seed, hmm]`."""
        return Seeds(self.gap.values[..., -1])


def measure(shots: Sequence[Checkpoint], sat: Sequence[exams.Exam]) -> Measured:
    """The checkpoints hold the networks of the first exam, then those of the second, and so on."""
    each = [of_exam([_part(shot, index, len(sat)) for shot in shots], exam) for index, exam in enumerate(sat)]
    is_seeds = lambda node: isinstance(node, Seeds)
    whole = jax.tree.map(lambda *found: Seeds(np.stack([one.values for one in found], 1)), *each, is_leaf=is_seeds)
    return Measured([shot.tokens for shot in shots], **whole)


def by_rate(shot: Checkpoint, exam: exams.Exam, rates: Sequence[float]) -> dict[str, float]:
    """The gap of the network of each learning rate."""
    gaps = reading.each(shot, exam.rows, lambda one: float(reading.loss_gap(exam.rows, one.log_laws).mean()), nothing)
    return dict(zip(map(str, rates), gaps.values, strict=True))


def of_exam(shots: Sequence[Checkpoint], exam: exams.Exam) -> dict[str, Seeds]:
    """Everything of the networks that sit one exam."""
    losses = reading.each(shots, exam.rows, lambda one: reading.losses(one, exam.rows), nothing)
    last = lambda seeds: Seeds(seeds.values[:, -1])
    new = Seeds(np.full(len(losses.gap.values), np.nan))
    if (unseen := exam.new) is not None:
        new = reading.each(shots[-1], unseen, lambda one: float(reading.loss_gap(unseen, one.log_laws).mean()), nothing)
    sets = jnp.stack([jnp.asarray(exam.few.beliefs), shuffle_prefixes(named_key(0, "shuffle"), exam.few)])
    probe = lambda shot: reading.each(shot, exam.few, lambda one: explained(one, exam, sets), layers).values.T
    r2, shuffled_r2 = (Seeds(values) for values in probe(shots[-1]))
    return {
        "gap": losses.gap,
        "error": last(losses.error),
        "by_position": last(losses.gap_per_length),
        "new": new,
        "window": Seeds(np.array([exams.window_of(gap, exam.windows) for gap in losses.gap.values[:, -1]])),
        "r2": r2,
        "untrained_r2": Seeds(probe(shots[0])[0]),
        "shuffled_r2": shuffled_r2,
    }


def explained(one: Reading, exam: exams.Exam, sets: Float[Array, "set row belief"]) -> Float[Array, " set"]:
    """Held-out R2 of sets of beliefs: about the state where the HMM is known, about the HMM's rows where it is not."""
    return cross_validated_r2(one.features["layers"], sets, held_out_folds(exam.few))


def _part(shot: Checkpoint, index: int, count: int) -> Checkpoint:
    own = lambda leaf: leaf.reshape(count, -1, *leaf.shape[1:])[index]
    return shot._replace(params=jax.tree.map(own, shot.params))


def nothing(_: Mapping[str, Array]) -> dict[str, Array]:
    """No activations; a function with a name, so that reading is compiled once."""
    return {}


def layers(activations: Mapping[str, Array]) -> dict[str, Float[Array, "time width"]]:
    """The outputs of both layers side by side."""
    return {"layers": jnp.concatenate([*activations["resid_post"]], -1)}
