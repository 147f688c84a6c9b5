"""What is written in circles and on arrows: names, or numbers if there are no names, cut if they do not fit."""

from collections.abc import Hashable, Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from beliefgeo.beliefs.mixed_states import MixedStatePresentation
from beliefgeo.plots.arrows import ROUNDING, widest

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


def arrow_label(probabilities: Float[np.ndarray, " token"], tokens: list[str]) -> str:
    """A line for each token: the likeliest three, and how many more there are."""
    likeliest = [x for x in np.argsort(-abs(probabilities), kind="stable") if abs(probabilities[x]) > ROUNDING]
    shown = sorted(likeliest if len(likeliest) == 4 else likeliest[:3])  # a fourth takes no more room than its count
    numbers = [short_number(float(probabilities[x])) for x in shown]
    lines = [tokens[x] if text == "1" else f"{tokens[x]}: {text}" for x, text in zip(shown, numbers, strict=True)]
    more = [f"+{len(likeliest) - len(shown)} more"] if len(likeliest) > len(shown) else []
    return "\n".join(lines + more)


def short_number(value: float) -> str:
    """A probability in few characters.

    >>> [short_number(value) for value in (0.5, 2 / 3, 0.35, 1 / 15, 0.0312, -0.25, 0.9999)]
    ['1/2', '2/3', '.35', '1/15', '.031', '−1/4', '.9999']
    """
    sign, size = "−" if value < 0 else "", abs(value)
    simple = Fraction(size).limit_denominator(16)
    exact = abs(size - simple) < 1e-6
    if exact and (simple.denominator <= 4 or abs(100 * size - round(100 * size)) > 1e-4):
        return sign + str(simple)
    text = next(text for digits in (2, 4, 6) if (text := f"{size:.{digits}g}") != "1")
    return sign + (text[1:] if text.startswith("0.") else text)
