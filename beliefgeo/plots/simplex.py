"""Beliefs in the simplex, coloured by the belief itself."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int, Num
from matplotlib import animation
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.spatial import KDTree

from beliefgeo.plots.style import PAGE, AnyArray, panels, styled

_CORNERS = np.array([[-0.5, -np.sqrt(3) / 6], [0.5, -np.sqrt(3) / 6], [0, np.sqrt(3) / 3]])
# A cloud of no more places than this is drawn as dots: in an image they would be squares, or too small to be seen.
_FEW = 2000


def belief_colors(beliefs: Num[AnyArray, "row 3"]) -> Float[np.ndarray, "row 3"]:
    """Red, green, blue = the belief in states 0, 1, 2."""
    return np.clip(np.asarray(beliefs, float), 0, 1)


def plane_colors(points: Num[AnyArray, "row 2"], weights: Num[AnyArray, " row"]) -> Float[np.ndarray, "row 3"]:
    """A colour for each place in the plane, by its distance from the mean in standard deviations.

    Red grows to the right, green upward, and blue against both.
    """
    cloud, shares = np.asarray(points, float), np.asarray(weights, float) / np.sum(weights)
    mean = shares @ cloud
    spread = np.sqrt(shares @ (cloud - mean) ** 2)
    right, up = (np.tanh((cloud - mean) / np.where(spread > 0, spread, 1)) / 2 + 0.5).T
    return np.stack([0.85 * right, 0.75 * up, 0.9 - 0.4 * (right + up)], 1)


@styled
def simplex_scatter(
    axes: Axes, points: Num[AnyArray, "row 2"], colors: Num[AnyArray, "row 3"], *, size: float = 0.4
) -> None:
    """Draw each point as a dot, for up to about 100,000 points; for more points use `simplex_density`."""
    _triangle(axes)
    points = np.asarray(points)
    axes.scatter(points[:, 0], points[:, 1], s=size, c=np.asarray(colors), linewidths=0, rasterized=True)


@styled
def simplex_density(
    axes: Axes,
    points: Num[AnyArray, "row 2"],
    colors: Num[AnyArray, "row 3"],
    weights: Num[AnyArray, " row"] | None = None,
    *,
    limits: Float[np.ndarray, "axis 2"] | None = None,
) -> None:
    """Draw the triangle and in it the `cloud` of points; `limits` are those of `square_around`, else the triangle's."""
    _triangle(axes, limits)
    cloud(axes, points, colors, weights)


def square_around(
    outline: Num[AnyArray, "corner 2"] | None, clouds: Iterable[Num[AnyArray, "row 2"]], *, most: float = 2.0
) -> Float[np.ndarray, "axis 2"]:
    """The limits of a square with a margin around an outline, and around the clouds but for a thousandth at each side.

    Where there is an outline, the square is at most `most` times as wide as a square around the outline alone.

    >>> square_around(np.array([[0.0, 0.0], [1.0, 1.0]]), [np.array([[0.5, 3.0]])]).round(2)
    array([[-0.62,  1.62],
           [ 0.38,  2.62]])
    """
    held = [np.quantile(np.asarray(points, float), (0.001, 0.999), axis=0) for points in clouds]
    if outline is not None:
        held.append(np.asarray(outline, float))
    shown = np.concatenate(held)
    middle, reach = (shown.max(0) + shown.min(0)) / 2, 0.56 * np.ptp(shown, axis=0).max() or 0.5
    if outline is not None:
        alone = 0.56 * np.ptp(np.asarray(outline, float), axis=0).max() or 0.5
        reach = min(reach, most * alone)
    return np.stack([middle - reach, middle + reach], 1)


def cloud(
    axes: Axes,
    points: Num[AnyArray, "row 2"],
    colors: Num[AnyArray, "row 3"],
    weights: Num[AnyArray, " row"] | None = None,
) -> None:
    """Draw points that lie in few places as dots, the heaviest on top, and other points as their `density`.

    Dots are as large as their neighbours allow. The limits of the axes must have been set.
    """
    points, colors = np.asarray(points, float), np.asarray(colors, float)
    weights = np.ones(len(points)) if weights is None else np.asarray(weights, float)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    column, row = np.round((points - [left, bottom]) / [right - left, top - bottom] * 400).astype(np.int64).T
    _, first, place = np.unique(column * 10**6 + row, return_index=True, return_inverse=True)
    if len(first) > _FEW:
        density(axes, points, colors, weights)
        return
    order = np.argsort(np.bincount(place, weights), kind="stable")
    shown = first[order]
    apart = np.median(KDTree(points[shown]).query(points[shown], 2)[0][:, 1]) if len(first) > 1 else np.inf
    width = axes.get_window_extent().width / axes.figure.dpi * 72  # of the axes, in points
    size = np.clip(1.3 * apart * width / (right - left), 1.3, 3.8) ** 2
    axes.scatter(*points[shown].T, s=size, c=np.clip(colors[shown], 0, 1), linewidths=0, rasterized=True, zorder=2)


def density(
    axes: Axes,
    points: Num[AnyArray, "row 2"],
    colors: Num[AnyArray, "row 3"],
    weights: Num[AnyArray, " row"] | None = None,
) -> None:
    """Points binned into an image: each cell has the mean colour, with an opacity by the logarithm of its weight.

    The image fills the limits of the axes; points beyond them are left out. With few points cells are coarser, so that
    single points are visible, and none is smaller than a pixel; 590,490 points take a second.
    """
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    points, colors = np.asarray(points), np.asarray(colors)
    bins = int(np.clip(5 * len(points) ** 0.4, 60, min(500, max(60, 1.4 * axes.get_window_extent().width))))
    weights = np.ones(len(points)) if weights is None else np.asarray(weights)
    inside = (points > [left, bottom]).all(1) & (points < [right, top]).all(1)
    cell = ((points[inside] - [left, bottom]) / [right - left, top - bottom] * bins).astype(int)
    image = _cells(cell[:, 1] * bins + cell[:, 0], colors[inside], weights[inside], bins**2)
    shape = (bins, bins, 4)
    axes.imshow(image.reshape(shape), extent=(left, right, bottom, top), origin="lower", interpolation="antialiased")


def _cells(
    cell: Int[np.ndarray, " row"], colors: Num[np.ndarray, "row 3"], weights: Num[np.ndarray, " row"], count: int
) -> Float[np.ndarray, "cell 4"]:
    """Red, green, blue and opacity of each cell."""
    total = np.bincount(cell, weights, count)
    sums = [np.bincount(cell, weights * channel, count) for channel in colors.T]
    image = np.zeros((count, 4))
    held = total > 0
    image[held, :3] = np.clip(np.stack(sums, 1)[held] / total[held, None], 0, 1)
    level = np.log(total[held])
    low, high = np.quantile(level, [0.0, 0.99]) if held.any() else (0.0, 1.0)
    image[held, 3] = np.clip(0.7 + 0.3 * (level - low) / max(high - low, 1e-9), 0, 1)
    return image


@styled
def simplex_panels(
    clouds: Mapping[str, Num[AnyArray, "row 2"]],
    colors: Num[AnyArray, "row 3"],
    weights: Num[AnyArray, " row"] | None = None,
    *,
    columns: int = 4,
    width: float = PAGE,
    corners: Sequence[str] = (),
) -> Figure:
    """Clouds of the same rows side by side at one scale, titled by their names; a row has one colour everywhere.

    Args:
        clouds: title -> points, such as exact beliefs beside a probe's.
        colors: `belief_colors` of the exact beliefs.
        weights: how much each row counts.
        columns: the number of panels in a row.
        width: the width of the figure, in inches.
        corners: the names of the states, at the corners of the first triangle.
    """
    columns = min(columns, len(clouds))
    rows = -(-len(clouds) // columns)
    figure, axes = panels(rows, columns, width, rows * (width / columns * 0.96 + 0.42))
    limits = square_around(_CORNERS, clouds.values())
    for panel, (title, points) in zip(axes, clouds.items(), strict=False):
        simplex_density(panel, points, colors, weights, limits=limits)
        panel.set_title(title, linespacing=1.25)
    for name, place in zip(corners, _CORNERS, strict=False):
        away = (0, 9) if place[1] > 0 else (0, -9)
        axes[0].annotate(name, place, away, textcoords="offset points", ha="center", va="center", size=6, color="0.4")
    for empty in axes[len(clouds) :]:
        empty.remove()
    return figure


@styled
def simplex_movie(
    frames: Mapping[str, Num[AnyArray, "row 2"]],
    colors: Num[AnyArray, "row 3"],
    weights: Num[AnyArray, " row"] | None = None,
    *,
    truth: Num[AnyArray, "row 2"],
) -> animation.FuncAnimation:
    """The exact beliefs beside a cloud that moves through `frames` (title -> points); the last frame is held."""
    figure, (left, right) = panels(1, 2, PAGE * 0.75, PAGE * 0.75 / 2 + 0.1)
    limits = square_around(_CORNERS, [truth, *frames.values()], most=1.3)
    simplex_density(left, truth, colors, weights, limits=limits)
    left.set_title("exact beliefs")
    shown = [*frames.items()] + [list(frames.items())[-1]] * 4

    @styled  # needed again: the frames are drawn when the movie is saved, after this function's own style has ended
    def draw(index: int) -> list:
        right.clear()
        title, points = shown[index]
        simplex_density(right, points, colors, weights, limits=limits)
        right.set_title(title)
        return []

    draw(0)
    return animation.FuncAnimation(figure, draw, frames=len(shown), interval=500, init_func=list)


def _triangle(axes: Axes, limits: Float[np.ndarray, "axis 2"] | None = None) -> None:
    outline = np.vstack([_CORNERS, _CORNERS[:1]])
    axes.plot(outline[:, 0], outline[:, 1], color="0.75", linewidth=0.6, zorder=0)
    across, along = ((-0.56, 0.56), (-0.4, 0.64)) if limits is None else limits
    axes.set(xlim=across, ylim=along, aspect="equal")
    axes.set_axis_off()
