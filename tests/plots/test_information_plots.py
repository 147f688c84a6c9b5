import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.mixed_states import mixed_state_presentation
from beliefgeo.plots import information
from beliefgeo.plots.style import panels, styled

# even(.5), from the table of exact values: bits.
RATE, EXCESS, TRANSIENT = 2 / 3, 0.9182958340544896, 3.1699250014423126


def presented(process, length):
    """Transition matrix of the mixed states and, by its powers, h_L and the mean entropy of the belief, in nats."""
    found = mixed_state_presentation(process)
    matrix = np.zeros((len(found.depth),) * 2)
    for token in range(found.successors.shape[1]):
        allowed = np.flatnonzero(found.successors[:, token] >= 0)
        np.add.at(matrix, (allowed, found.successors[allowed, token]), found.probabilities[allowed, token])
    entropy = lambda law: -np.where(law > 0, law * np.log(np.where(law > 0, law, 1)), 0).sum(1)
    reached = [np.linalg.matrix_power(matrix, read)[0] for read in range(length)]
    return matrix, np.array(reached) @ entropy(found.probabilities), np.array(reached) @ entropy(found.beliefs)


@styled
def draw(plot, *args, **kwargs):
    figure, (axes,) = panels(1, 1, 3.4, 3.0)
    plot(axes, *args, **kwargs)
    figure.draw_without_rendering()
    return axes


@pytest.mark.parametrize("bits", [True, False])
def test_block_entropies_of_the_even_process(bits):
    unit, scale = ("bits", np.log(2)) if bits else ("nats", 1.0)
    _, myopic, beliefs = presented(bg.even(), 60)
    blocks = np.append(0, myopic.cumsum())
    figure = information.block_entropy_figure(blocks, RATE * np.log(2), EXCESS * np.log(2), beliefs, bits=bits)
    figure.draw_without_rendering()
    left, right = figure.axes
    curve, asymptote, mark = (line.get_ydata() for line in left.lines)
    np.testing.assert_allclose(curve, blocks / scale)
    np.testing.assert_allclose(mark, EXCESS * np.log(2) / scale)
    np.testing.assert_allclose(asymptote[0], mark)
    # The shaded gap, summed over lengths, is the transient information; |lambda|^60 of it is missing.
    np.testing.assert_allclose((asymptote - curve).sum() * scale / np.log(2), TRANSIENT, rtol=1e-6)
    shade = left.collections[0].get_paths()[0].vertices
    assert {tuple(point) for point in np.stack([np.arange(61), curve], 1)} <= {tuple(point) for point in shade}
    np.testing.assert_allclose(right.lines[0].get_ydata(), myopic / scale)
    np.testing.assert_allclose(right.lines[1].get_ydata(), RATE * np.log(2) / scale)
    np.testing.assert_allclose(right.lines[2].get_ydata(), beliefs / scale)
    assert left.get_ylabel().endswith(f"({unit})") and right.get_ylabel().endswith(f"({unit})")
    shown = [text.get_text() for text in left.get_legend().get_texts()]
    assert shown == ["H(L)", f"E + h L, E = {EXCESS * np.log(2) / scale:.4f}", "transient information"]
    assert right.get_legend().get_texts()[1].get_text() == f"entropy rate h = {RATE * np.log(2) / scale:.4f}"


def test_a_coin_has_nothing_to_learn():
    rate = float(np.log(2))
    figure = information.block_entropy_figure(rate * np.arange(5), rate, 0.0, np.zeros(5))
    figure.draw_without_rendering()
    axes = draw(information.decay_panel, np.full(4, rate), rate)
    assert [text.get_text() for text in axes.texts] == ["$h_L = h$ from the first token"] and not axes.lines


def test_a_spectrum_counts_every_eigenvalue_once():
    matrix, _, _ = presented(bg.rrxor(), 1)
    axes = draw(information.spectrum_panel, np.linalg.eigvals(matrix))
    (dots,) = axes.collections
    counts = dots.get_sizes() / 14
    places = np.asarray(dots.get_offsets())
    # Period 3: cube roots of unity; the others are the cube roots of 1/4 and 1/2, and a zero that is not simple.
    assert counts.sum() == 36
    unit = np.hypot(*places.T) > 0.99
    turned = places[unit] @ [1, 1j]
    np.testing.assert_allclose(
        np.sort_complex(turned), np.sort_complex(np.exp(2j * np.pi * np.arange(3) / 3)), atol=1e-9
    )
    assert (counts[unit] == 1).all()
    radii = np.hypot(*places[~unit].T)
    assert all(np.abs(radii - size).min() < 1e-2 for size in (0.5 ** (1 / 3), 0.25 ** (1 / 3), 0))
    marked = {text.get_text() for text in axes.texts} - {""}
    assert marked == {f"×{count:.0f}" for count in counts if count > 1}


def test_eigenvalues_that_differ_visibly_keep_their_own_marks():
    (dots,) = draw(information.spectrum_panel, [1.0, 0.5, 0.5 + 1e-9, -0.5, 0.3j, -0.3j]).collections
    np.testing.assert_allclose(dots.get_sizes() / 14, [1, 2, 1, 1, 1])
    np.testing.assert_allclose(dots.get_offsets(), [[1, 0], [0.5, 0], [-0.5, 0], [0, 0.3], [0, -0.3]], atol=1e-8)


@pytest.mark.parametrize("bits", [True, False])
def test_decay_falls_with_the_largest_eigenvalue(bits):
    _, myopic, _ = presented(bg.even(), 30)
    rate, scale = RATE * np.log(2), np.log(2) if bits else 1.0
    axes = draw(information.decay_panel, myopic, rate, [0.5**0.5], bits=bits)
    line, points = axes.lines
    np.testing.assert_allclose(points.get_ydata(), (myopic - rate) / scale)
    np.testing.assert_allclose(np.diff(np.log(line.get_ydata())), np.log(0.5) / 2)
    # The line goes through the tail: about it the second half of the points has mean 0, on the logarithmic axis.
    apart = np.log(points.get_ydata() / line.get_ydata()[: len(points.get_ydata())])
    assert abs(apart[len(apart) // 2 :].mean()) < 1e-9
    # The process decays at the very rate of the line: two tokens halve the gap, up to the faster mode.
    np.testing.assert_allclose(points.get_ydata()[12::2] / points.get_ydata()[10:-2:2], 0.5, atol=0.01)


def test_differences_within_rounding_are_left_out():
    gaps = np.float32(np.log(2)) * (1 + np.float32([0.5, 0.25, 1e-7, -1e-7]))
    axes = draw(information.decay_panel, gaps, np.float32(np.log(2)))
    assert axes.lines[0].get_xdata().tolist() == [0, 1]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"two or more; got shape \(1,\)"):
        information.block_entropy_figure([0.0], 0.1, 0.1)
    with pytest.raises(ValueError, match="finite numbers, one or more"):
        draw(information.spectrum_panel, [])
    with pytest.raises(ValueError, match=r"between 0 and 1; got \[1.0\]"):
        draw(information.decay_panel, [0.2, 0.1], 0.1, [1.0])
