"""What a belief of a `mixture` says: which component emits, and the belief within that component."""

from collections.abc import Sequence
from functools import reduce
from itertools import accumulate
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from beliefgeo.arrays import ArrayLike, as_floats, contract
from beliefgeo.processes.factored import require_process
from beliefgeo.processes.given import mass_and_lowest, require_belief
from beliefgeo.processes.process import Observer, Process, normalise, zero_below_rounding


class MixtureBelief(NamedTuple):
    """The posterior of each component, and the belief within each component; NaN where the component is excluded.

    Attributes:
        posterior: The probability of each component.
        beliefs: The belief within each, one array a component.
    """

    posterior: Float[Array, "*batch component"]
    beliefs: tuple[Float[Array, "*batch _"], ...]


def split_mixture(processes: Sequence[Observer], belief: ArrayLike) -> MixtureBelief:
    """The posterior over components, P(c | tokens) = belief_c @ readout_c, and belief_c / P(c | tokens) for each c.

    belief_c is the block of component c. A component that the tokens exclude has posterior 0, and the belief within it
    is undefined: NaN. (A generalised component excludes tokens by cancellation, so its posterior may stay at the
    rounding of the filter, 1e-7 in float32.) The beliefs times their posteriors, side by side, are the mixture's
    belief.

    Args:
        processes: the components, as they were given to `mixture`; compositions count as their joint.
        belief: `[..., state]`, beliefs of the mixture, such as `filter_beliefs(mixture(...), tokens).beliefs`.

    Raises:
        ValueError: no components; a belief whose number of entries is not that of all components together; (concrete
            values only) a vector that is not a belief, as in `check_belief`, which is NaN if traced.
        TypeError: a component that is neither a process nor made of processes.

    >>> from beliefgeo.processes.classical import coin, golden_mean
    >>> posterior, (_, within) = split_mixture([coin(0.5), golden_mean()], [0.25, 0.75, 0.0])
    >>> posterior.tolist(), within.tolist()
    ([0.25, 0.75], [1.0, 0.0])
    """
    if not len(processes):
        raise ValueError("split_mixture needs one component or more; got none")
    parts = [require_process(f"component {index} of split_mixture", process) for index, process in enumerate(processes)]
    ends, vector = list(accumulate(part.n_states for part in parts)), as_floats(belief)
    if vector.shape[-1:] != (ends[-1],):
        raise ValueError(
            f"a belief of this mixture has the {ends[-1]} entries of its components' beliefs; got shape {vector.shape}"
        )
    blocks = jnp.split(_checked(parts, vector, ends), ends[:-1], axis=-1)
    masses = []
    for part, block in zip(parts, blocks, strict=True):
        mass = contract("...i,i->...", block, part.readout)
        size = contract("...i,i->...", abs(block), abs(part.readout))
        masses.append(zero_below_rounding(mass, size, part.n_states) if part.generalised else mass)
    within = tuple(normalise(block, mass[..., None]) for block, mass in zip(blocks, masses, strict=True))
    return MixtureBelief(jnp.stack(masses, -1), within)


def _checked(parts: Sequence[Process], belief: Float[Array, "*batch state"], ends: Sequence[int]) -> Array:
    """A belief of the mixture, whose mass is that of all blocks together; each block has its probabilities."""
    pairs = zip(parts, jnp.split(belief, ends[:-1], axis=-1), strict=True)
    masses, lowest = zip(*[mass_and_lowest(*pair) for pair in pairs], strict=True)
    classical = not any(part.generalised for part in parts)
    return require_belief(belief, reduce(jnp.add, masses), reduce(jnp.minimum, lowest), classical)
