"""Beliefs in the simplex, coloured by the belief itself."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int, Num
from matplotlib import animation
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beliefgeo.plots.style import PAGE, AnyArray, panels, styled

_CORNERS = np.array([[-0.5, -np.sqrt(3) / 6], [0.5, -np.sqrt(3) / 6], [0, np.sqrt(3) / 3]])


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
) -> None:
    """Draw the `density` of points in the triangle."""
    _triangle(axes)
    density(axes, points, colors, weights)


def density(
    axes: Axes,
    points: Num[AnyArray, "row 2"],
    colors: Num[AnyArray, "row 3"],
    weights: Num[AnyArray, " row"] | None = None,
) -> None:
    """Points binned into an image: each cell has the mean colour, with an opacity by the logarithm of its weight.

    The image fills the limits of the axes; points beyond them are left out. With few points cells are coarser, so that
    single points are visible; 590,490 points take a second.
    """
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    points, colors = np.asarray(points), np.asarray(colors)
    bins = int(np.clip(5 * len(points) ** 0.4, 60, 500))
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
) -> Figure:
    """Clouds of the same rows side by side, titled by their names; a row has one colour everywhere.

    Args:
        clouds: title -> points, such as exact beliefs beside a probe's.
        colors: `belief_colors` of the exact beliefs.
        weights: how much each row counts.
        columns: the number of panels in a row.
        width: the width of the figure, in inches.
    """
    columns = min(columns, len(clouds))
    rows = -(-len(clouds) // columns)
    figure, axes = panels(rows, columns, width, rows * (width / columns * 0.94 + 0.42))
    for panel, (title, points) in zip(axes, clouds.items(), strict=False):
        simplex_density(panel, points, colors, weights)
        panel.set_title(title, linespacing=1.25)
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
    simplex_density(left, truth, colors, weights)
    left.set_title("exact beliefs")
    shown = [*frames.items()] + [list(frames.items())[-1]] * 4

    @styled  # needed again: the frames are drawn when the movie is saved, after this function's own style has ended
    def draw(index: int) -> list:
        right.clear()
        title, points = shown[index]
        simplex_density(right, points, colors, weights)
        right.set_title(title)
        return []

    draw(0)
    return animation.FuncAnimation(figure, draw, frames=len(shown), interval=500, init_func=list)


def _triangle(axes: Axes) -> None:
    outline = np.vstack([_CORNERS, _CORNERS[:1]])
    axes.plot(outline[:, 0], outline[:, 1], color="0.75", linewidth=0.6, zorder=0)
    axes.set(xlim=(-0.56, 0.56), ylim=(-0.4, 0.64), aspect="equal")
    axes.set_axis_off()
