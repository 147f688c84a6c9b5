"""Geometry without names: the smallest simplex around a cloud of points, whose corners are archetypes."""

from math import factorial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from scipy.optimize import minimize
from scipy.spatial import ConvexHull

from beliefgeo.arrays import ArrayLike


class Simplex(NamedTuple):
    """A simplex that holds a cloud.

    Attributes:
        vertices: The archetypes: every point is a mixture of these.
        fill: The volume of the cloud's convex hull as a share of the simplex: 1 if the cloud reaches every corner; at
            most .605 for a disc, .368 for a ball.
    """

    vertices: Float[np.ndarray, "vertex coordinate"]
    fill: float

    def mixture(self, points: ArrayLike) -> Float[np.ndarray, "... vertex"]:
        """The shares of the archetypes in points `[..., coordinate]`; they add up to 1."""
        if np.shape(points)[-1:] != self.vertices.shape[1:]:
            raise ValueError(f"points must have {self.vertices.shape[1]} coordinates; got shape {np.shape(points)}")
        with_one = lambda given: np.concatenate([np.ones((*given.shape[:-1], 1)), given], -1)
        return with_one(np.asarray(points, np.float64)) @ np.linalg.inv(with_one(self.vertices))


def enclosing_simplex(key: PRNGKeyArray, points: ArrayLike, *, starts: int = 8) -> Simplex:
    """The simplex of least volume around points of d dimensions, with d + 1 corners.

    With barycentric coordinates c(p) = (1, p) Q, minimise -ln |det Q| such that c(p) >= 0 at the corners of the convex
    hull. The problem has several local minima, so that it is solved from several random starts. `fill` tells whether a
    simplex is a description at all.

    Args:
        key: draws the starts.
        points: `[row, coordinate]`, such as `discover_process(futures).points`.
        starts: the number of starts.

    Raises:
        ValueError: points that are not finite, or that lie in fewer dimensions than they have coordinates.

    Source: minimum-volume simplex analysis, Li & Bioucas-Dias 2008.

    >>> found = enclosing_simplex(jax.random.key(0), [[0, 0], [1, 0], [0, 1], [0.2, 0.3], [0.4, 0.4]])
    >>> round(found.fill, 3)
    1.0
    """
    cloud = np.asarray(points, np.float64)
    if cloud.ndim != 2 or not np.isfinite(cloud).all() or len(cloud) <= cloud.shape[1]:
        raise ValueError(f"points must be finite, [row, coordinate], more rows than coordinates; got {cloud.shape}")
    if starts < 1:
        raise ValueError(f"starts must be 1 or more; got {starts}")
    size = cloud.shape[1]
    centre, spread = cloud.mean(0), np.linalg.svd(cloud - cloud.mean(0), full_matrices=False)
    scale = spread[1] / np.sqrt(len(cloud))
    if not size or scale[-1] <= 1e-6 * scale[0]:
        raise ValueError(
            f"points must fill their {size} dimensions; they scatter by {scale} along their principal axes: give the "
            "leading coordinates only"
        )
    if size == 1:
        return Simplex(np.array([cloud.min(0), cloud.max(0)]), 1.0)
    # In white coordinates the starts are regular simplexes, turned at random and large enough to hold the cloud.
    white = (cloud - centre) @ spread[2].T / scale
    hull = ConvexHull(white)
    edge = np.concatenate([np.ones((len(hull.vertices), 1)), white[hull.vertices]], 1)
    turns = np.asarray(jax.random.normal(key, (starts, size, size)), np.float64)
    best = min((_shrunk(edge, np.linalg.qr(turn)[0]) for turn in turns), key=lambda pair: pair[0])[1]
    vertices = np.linalg.inv(best)[:, 1:]
    volume = abs(np.linalg.det(np.linalg.inv(best))) / factorial(size)
    return Simplex(vertices * scale @ spread[2] + centre, float(hull.volume / volume))


def _shrunk(edge: np.ndarray, turn: np.ndarray) -> tuple[float, np.ndarray]:
    """-ln |det Q| at a local minimum, and Q."""
    size = edge.shape[1]
    corners = np.linalg.svd(np.eye(size) - 1 / size)[0][:, : size - 1]
    corners = corners @ turn / np.linalg.norm(corners[0])
    radius = 2 * (size - 1) * np.linalg.norm(edge[:, 1:], axis=1).max()
    start = np.linalg.inv(np.concatenate([np.ones((size, 1)), radius * corners], 1))
    square = lambda flat: flat.reshape(size, size)
    first = np.eye(size)[0]
    found = minimize(
        lambda flat: -np.linalg.slogdet(square(flat))[1],
        start.ravel(),
        jac=lambda flat: -np.linalg.inv(square(flat)).T.ravel(),
        method="SLSQP",
        constraints=[
            {"type": "ineq", "fun": lambda flat: (edge @ square(flat)).ravel(), "jac": lambda _: _rows(edge)},
            {"type": "eq", "fun": lambda flat: square(flat).sum(1) - first, "jac": lambda _: _sums(size)},
        ],
        options={"maxiter": 300},
    )
    # The last step may leave the cloud by rounding: the simplex is blown up about its centre until it holds it.
    map_ = square(found.x)
    outside = max(0.0, -(edge @ map_).min())
    even = np.outer(first, np.ones(size)) / size
    map_ = (map_ + outside * size * even) / (1 + outside * size)
    return -float(np.linalg.slogdet(map_)[1]), map_


def _rows(edge: np.ndarray) -> np.ndarray:
    return np.kron(edge, np.eye(edge.shape[1]))


def _sums(size: int) -> np.ndarray:
    return np.kron(np.eye(size), np.ones((1, size)))
