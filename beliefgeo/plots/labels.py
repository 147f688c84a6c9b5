"""Names in circles, of states, tokens and mixed states: numbers if there are no names, and cut if they do not fit."""

from collections.abc import Hashable, Sequence

import numpy as np
from matplotlib.axes import Axes

from beliefgeo.beliefs.mixed_states import MixedStatePresentation
from beliefgeo.plots.arrows import widest

# The radii of circles in points: for numbers, and the largest for longer names.
_NUMBERED, _LARGEST = 8.0, 22.0


def names_of(what: str, names: Sequence[Hashable] | None, count: int) -> list[str]:
    """The names, or numbers; raises if their number is wrong."""
    if names is None:
        return [str(index) for index in range(count)]
    if len(names) != count:
        raise ValueError(f"{what} must have {count} entries; got {len(names)}")
    return [str(name) for name in names]


def mixed_names(presentation: MixedStatePresentation) -> list[str]:
    """Numbers, but a state's name for a belief that is certain of it, if no name could be taken for a number."""
    numbers = [str(number) for number in range(len(presentation.depth))]
    states = [str(name) for name in presentation.state_names or ()]
    if not states or any(name.isdigit() for name in states):
        return numbers
    beliefs = presentation.beliefs
    certain = (beliefs.max(1) > 1 - 1e-9) & (abs(beliefs).sum(1) < 1 + 1e-9)
    return [states[beliefs[row].argmax()] if certain[row] else number for row, number in enumerate(numbers)]


def roomy_radius(axes: Axes, names: Sequence[str]) -> float:
    """The radius of circles that hold the names, or all but the longest."""
    return float(np.clip(widest(axes, names)[0] / 2 + 2, _NUMBERED, _LARGEST))


def cut_names(axes: Axes, names: Sequence[str], radius: float) -> list[str]:
    """The names; names that are wider than a circle are cut."""
    return [_cut(axes, name, 2 * max(radius, _NUMBERED)) for name in names]


def _cut(axes: Axes, name: str, width: float) -> str:
    kept = name
    while len(kept) > 2 and widest(axes, [kept])[0] > width:
        kept = kept.rstrip("…")[:-1] + "…"
    return kept
