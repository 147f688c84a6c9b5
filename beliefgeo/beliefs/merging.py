"""Which beliefs are equal: merging up to a tolerance, in float64, without comparing every pair."""

import numpy as np
from jaxtyping import Float, Int

BEYOND = -2

# Rows up to this number are compared pair by pair: faster than sorting them.
_FEW = 32


class KnownBeliefs:
    """The beliefs found so far, and their projections on one direction in order, to find near beliefs by bisection."""

    def __init__(self, beliefs: Float[np.ndarray, "mixed state"], tolerance: float):
        """Start from these beliefs, all distinct."""
        self.tolerance, self.direction = tolerance, directions(beliefs.shape[1])[:, 0]
        self.store, self.count = beliefs.copy(), len(beliefs)
        self.order = np.zeros(1, int)
        self.projections = beliefs @ self.direction

    @property
    def beliefs(self) -> Float[np.ndarray, "mixed state"]:
        """All beliefs, in the order in which they were found."""
        return self.store[: self.count]

    def merge(self, candidates: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray]:
        """The number of each candidate among the known beliefs, and the new beliefs, at most `room` of them."""
        projections = candidates @ self.direction
        near = self._near(projections)
        pool = np.concatenate([self.beliefs[near], candidates])
        first = group_close(pool, self.tolerance)[len(near) :]
        is_new = first >= len(near)
        fresh = np.unique(first[is_new])[:room]
        numbers = np.concatenate([near, np.full(len(candidates), BEYOND)])
        numbers[fresh] = self.count + np.arange(len(fresh))
        self._add(pool[fresh], projections[fresh - len(near)])
        return numbers[first], pool[fresh]

    def _near(self, projections: np.ndarray) -> np.ndarray:
        """The known beliefs whose projection is within the tolerance of some candidate's projection."""
        start = np.searchsorted(self.projections, projections - self.tolerance, "left")
        end = np.searchsorted(self.projections, projections + self.tolerance, "right")
        covered = np.cumsum(np.bincount(start, minlength=self.count + 1) - np.bincount(end, minlength=self.count + 1))
        return np.sort(self.order[np.flatnonzero(covered[:-1] > 0)])

    def _add(self, beliefs: np.ndarray, projections: np.ndarray) -> None:
        place = np.argsort(projections)
        where = np.searchsorted(self.projections, projections[place])
        self.projections = np.insert(self.projections, where, projections[place])
        self.order = np.insert(self.order, where, self.count + place)
        if self.count + len(beliefs) > len(self.store):  # doubling copies each belief twice at most
            room = np.empty((2 * self.count + len(beliefs), self.store.shape[1]))
            room[: self.count] = self.beliefs
            self.store = room
        self.store[self.count : self.count + len(beliefs)] = beliefs
        self.count += len(beliefs)


def group_close(points: Float[np.ndarray, "row state"], tolerance: float) -> Int[np.ndarray, " row"]:
    """For each row the index of the first row within the tolerance; differences are summed over coordinates.

    Rows are sorted by their projections on random directions and split wherever the projection jumps by more than the
    tolerance. Near rows are never split: unlike the cells of a grid, gaps have no boundaries that rows may fall on. The
    few rows that are still together are then compared in full. Where all rows are few, all are.
    """
    if 0 < len(points) <= _FEW:
        first = (abs(points[:, None] - points).sum(2) <= tolerance).argmax(1)
        if (first[first] == first).all():  # else a row is near one that belongs to another
            return first
    projected = points @ directions(points.shape[1])
    first = suspects = np.arange(len(points))
    group = np.zeros(len(points), int)
    for column in projected.T:
        order = np.lexsort((column[suspects], group))
        jump = (np.diff(column[suspects[order]]) > tolerance) | (np.diff(group[order]) > 0)
        group[order] = np.concatenate([np.zeros(min(1, len(order)), int), np.cumsum(jump)])
        shared = np.bincount(group)[group] > 1 if len(group) else np.zeros(0, bool)
        suspects, group = suspects[shared], group[shared]
    return _compare_in_full(points, first, suspects, group, tolerance)


def _compare_in_full(
    points: np.ndarray, first: np.ndarray, suspects: np.ndarray, group: np.ndarray, tolerance: float
) -> np.ndarray:
    """Split each group of suspects into the rows near its first row and the rest, until no rest is left."""
    while True:
        _, index, inverse = np.unique(group, return_index=True, return_inverse=True)
        leader = suspects[index][inverse]
        far = abs(points[suspects] - points[leader]).sum(1) > tolerance
        if not far.any():
            first = first.copy()
            first[suspects] = leader
            return first
        group = 2 * inverse + far


def directions(n_states: int) -> Float[np.ndarray, "state direction"]:
    """Random directions with entries in [-1, 1]: projections differ by no more than the sum of differences."""
    return np.random.default_rng(0).uniform(-1, 1, (n_states, 3))
