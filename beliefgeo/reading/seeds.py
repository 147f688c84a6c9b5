"""Numbers of several seeds: each number, their mean, and the interval of the mean."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit


class Seeds(NamedTuple):
    """One quantity of networks that differ in their seed alone.

    >>> seeds = Seeds(np.array([1.0, 2.0, 3.0]))
    >>> float(seeds.mean), seeds.interval.round(2).tolist(), f"{seeds:.2f}"
    (2.0, [-0.48, 4.48], '2.00 (-0.48 to 4.48)')

    Attributes:
        values: Seeds on the first axis.
    """

    values: Float[np.ndarray, "seed ..."]

    @property
    def mean(self) -> Any:
        """The mean over seeds."""
        return self.values.mean(0)

    @property
    def interval(self) -> Float[np.ndarray, "2 ..."] | None:
        """Student's 95% interval of the mean, lower and upper end; None for one seed."""
        if len(self.values) < 2:
            return None
        half = stdtrit(len(self.values) - 1, 0.975) * self.values.std(0, ddof=1) / np.sqrt(len(self.values))
        return np.stack([self.mean - half, self.mean + half])

    def __format__(self, form: str) -> str:
        """The mean, and its interval if there are several seeds, in this format."""
        shown = format(float(self.mean), form)
        if self.interval is None:
            return shown
        low, high = (format(float(end), form) for end in self.interval)
        return f"{shown} ({low} to {high})"


def over_seeds(each: list[Any]) -> Any:
    """Stack the measures of all seeds, which have the same parts, into `Seeds` in every leaf.

    Raises:
        ValueError: no measures, or measures whose parts differ.

    >>> over_seeds([{"gap": 1.0}, {"gap": 3.0}])["gap"].values.tolist()
    [1.0, 3.0]
    """
    if not each:
        raise ValueError("over_seeds needs the measure of one seed or more; got none")
    structures = [jax.tree.structure(one) for one in each]
    if any(structure != structures[0] for structure in structures):
        raise ValueError(f"measures of seeds must have the same parts; got {structures[0]} and others")
    return jax.tree.map(lambda *leaves: Seeds(np.stack([_number(leaf) for leaf in leaves])), *each)


def _number(leaf: Any) -> np.ndarray:
    array = np.asarray(leaf)
    return array if array.dtype.kind in "biu" else array.astype(np.float64)
