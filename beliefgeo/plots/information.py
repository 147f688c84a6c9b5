"""How uncertainty falls as tokens are read: entropies over block length, and the spectrum that sets the pace."""

import numpy as np
from jaxtyping import Complex, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator

from beliefgeo.arrays import ArrayLike, Number
from beliefgeo.plots.style import BLUE, GREEN, ORANGE, PAGE, PURPLE, panels, styled

# Eigenvalues nearer than this share a marker. An eigenvalue solver returns a defective zero as a ring of radius
# eps^(1/k) for a Jordan block of size k.
_SAME_PLACE = 0.03


@styled
def block_entropy_figure(
    block_entropies: ArrayLike,
    entropy_rate: Number,
    excess_entropy: Number,
    belief_entropies: ArrayLike | None = None,
    *,
    bits: bool = True,
) -> Figure:
    """H(L) with its asymptote E + h L, beside the remaining uncertainty about the next token and about the state.

    The asymptote meets the axis at E; the area between it and the curve is the transient information. The right panel
    shows h_L = H(L + 1) - H(L), the entropy of the next token given L tokens, falling to h.

    Args:
        block_entropies: `[length + 1]`, H of words of length 0..length, in nats.
        entropy_rate: h, in nats.
        excess_entropy: E, in nats.
        belief_entropies: `[tokens read]`, the mean entropy of the belief after 0, 1, ... tokens, in nats.
        bits: draw in bits, else in nats.

    Raises:
        ValueError: fewer than two block entropies.
    """
    scale, unit = _unit(bits)
    blocks = np.asarray(block_entropies, float) / scale
    if blocks.ndim != 1 or len(blocks) < 2:
        raise ValueError(f"block_entropies must be those of lengths 0, 1, ..., two or more; got shape {blocks.shape}")
    rate, excess = np.asarray(entropy_rate).item() / scale, np.asarray(excess_entropy).item() / scale
    figure, (left, right) = panels(1, 2, PAGE, 2.6)
    _blocks(left, blocks, rate, excess)
    left.set(xlabel="block length L", ylabel=f"entropy of a block ({unit})")
    right.plot(np.diff(blocks), "o-", color=BLUE, markersize=3, label="of the next token, $h_L$")
    right.axhline(rate, color=ORANGE, linestyle="--", linewidth=1, label=f"entropy rate h = {rate:.4f}")
    if belief_entropies is not None:
        beliefs = np.asarray(belief_entropies, float) / scale
        right.plot(beliefs, "s-", color=GREEN, markersize=3, label="of the belief, on average")
    right.set(xlabel="tokens read L", ylabel=f"uncertainty ({unit})", ylim=(0, 1.06 * max(right.dataLim.ymax, 1e-9)))
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, handlelength=2.0, columnspacing=1.2)
    return figure


def _unit(bits: bool) -> tuple[float, str]:
    return (float(np.log(2)), "bits") if bits else (1.0, "nats")


def _blocks(axes: Axes, blocks: Float[np.ndarray, " length"], rate: float, excess: float) -> None:
    length = np.arange(len(blocks))
    asymptote = excess + rate * length
    axes.plot(length, blocks, "o-", color=BLUE, markersize=3, label="H(L)")
    axes.plot(length, asymptote, "--", color=ORANGE, linewidth=1, label=f"E + h L, E = {excess:.4f}")
    axes.plot(0, excess, "D", color=ORANGE, markersize=4, clip_on=False)
    axes.fill_between(length, blocks, asymptote, color=PURPLE, alpha=0.3, linewidth=0, label="transient information")
    axes.set(xlim=(0, None), ylim=(0, None))


@styled
def spectrum_panel(axes: Axes, eigenvalues: ArrayLike) -> None:
    """Eigenvalues of the mixed-state transition matrix in the complex plane; areas and `×n` count multiplicities.

    Args:
        axes: an empty axes.
        eigenvalues: `[mixed]`, each eigenvalue as often as it occurs.

    Raises:
        ValueError: no eigenvalues, or an eigenvalue that is not finite.
    """
    values = np.asarray(eigenvalues, complex)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"eigenvalues must be a list of finite numbers, one or more; got {eigenvalues}")
    places, counts = _grouped(values)
    axes.add_patch(Circle((0, 0), 1, facecolor="none", edgecolor="0.6", linewidth=0.8, zorder=0))
    axes.plot([-1, 1, np.nan, 0, 0], [0, 0, np.nan, -1, 1], color="0.88", linewidth=0.6, zorder=0)
    beyond = abs(places) > 1 - _SAME_PLACE
    colors = np.where(beyond, ORANGE, BLUE)
    x, y = np.real(places), np.imag(places)
    axes.scatter(x, y, s=14 * counts, c=colors, alpha=0.8, linewidths=0, zorder=2)
    for index, (place, count) in enumerate(zip(places, counts, strict=True)):
        # The label is across the ray from zero, on alternating sides: eigenvalues often line up along the ray.
        across = 1j * (place / abs(place) if abs(place) > _SAME_PLACE else 1) * (-1) ** index
        offset = np.array([across.real, across.imag]) * (7 + 2 * np.sqrt(count))
        label = f"×{count}" if count > 1 else ""
        axes.annotate(label, (x[index], y[index]), offset, textcoords="offset points", size=7, ha="center", va="center")
    axes.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    axes.set(xlabel="Re λ", ylabel="Im λ")


def _grouped(values: Complex[np.ndarray, " value"]) -> tuple[Complex[np.ndarray, " place"], np.ndarray]:
    """Values that would share a marker, as their mean and their number."""
    left, places, counts = values[np.argsort(-abs(values))], [], []
    while len(left):
        near = abs(left - left[0]) < _SAME_PLACE
        places.append(left[near].mean())
        counts.append(near.sum())
        left = left[~near]
    return np.array(places), np.array(counts)


@styled
def decay_panel(
    axes: Axes, myopic_entropies: ArrayLike, entropy_rate: Number, moduli: ArrayLike = (), *, bits: bool = True
) -> None:
    """h_L - h against L on a log scale, with lines that fall as |lambda|^L through the second half of the points.

    A line's height is such that the logarithms of these points lie about it with mean zero. Differences within rounding
    of zero are left out.

    Args:
        axes: an empty axes.
        myopic_entropies: `[tokens read]`, h_0, h_1, ... in nats.
        entropy_rate: h, in nats.
        moduli: |lambda| between 0 and 1, a line for each.
        bits: draw in bits, else in nats.

    Raises:
        ValueError: a modulus outside (0, 1).
    """
    given = np.asarray(myopic_entropies)
    slopes = np.asarray(moduli, float).reshape(-1)
    if not ((slopes > 0) & (slopes < 1)).all():
        raise ValueError(f"moduli must lie between 0 and 1; got {slopes.tolist()}")
    scale, unit = _unit(bits)
    gap = (given.astype(float) - np.asarray(entropy_rate)) / scale
    rounding = 16 * np.finfo(np.result_type(given, np.float32)).eps * abs(given).max(initial=0)
    read = np.flatnonzero(gap > rounding)
    axes.set(xlabel="tokens read L", ylabel=f"$h_L - h$ ({unit})")
    if not len(read):
        axes.text(0.5, 0.5, "$h_L = h$ from the first token", ha="center", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])
        return
    tail = read[len(read) // 2 :]
    for index, slope in enumerate(slopes):
        height = np.mean(np.log(gap[tail]) - tail * np.log(slope))
        line = np.exp(height + np.arange(len(gap)) * np.log(slope))
        color, dash = (ORANGE, GREEN, PURPLE)[index % 3], ("--", ":", "-.")[index % 3]
        axes.plot(line, color=color, linestyle=dash, linewidth=1, label=f"|λ| = {slope:.4f}")
    axes.plot(read, gap[read], "o", color=BLUE, markersize=3, label="$h_L - h$")
    axes.set(yscale="log", ylim=(gap[read].min() / 3, gap[read].max() * 3))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper right")
