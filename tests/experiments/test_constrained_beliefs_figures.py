import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from beliefgeo.reading import Seeds
from tests.experiments.command import module

plots = module("constrained_beliefs", "figures")


def drawn(figure):
    FigureCanvasAgg(figure).draw()
    return figure


def lines(axes):
    return [line.get_ydata() for line in axes.lines if len(line.get_xdata())]


def test_attention_shows_its_heads_the_ideal_ones_and_the_published_points():
    measured = np.array([[[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]], [[0.7, 0.0, 0.3], [0.2, 0.8, 0.0]]])
    ideal = np.array([[0.8, 0.0, 0.2], [0.0, 1.0, 0.0]])
    networks = {"one": plots.Heads(measured, ideal, {1: 0.745}), "other": plots.Heads(measured[:, :1], ideal[:1], {})}
    one, other = drawn(plots.attention_by_lag(networks)).axes
    assert [one.get_title(), other.get_title()] == ["one", "other"]
    first, second, even, odd, published = lines(one)
    np.testing.assert_allclose(first, [0.6, 0, 0.4])  # the mean of the seeds
    np.testing.assert_allclose(second, [0.1, 0.9, 0])
    np.testing.assert_allclose(even, [0.8, 0.2])  # without the lags at which an ideal head reads nothing
    np.testing.assert_allclose(odd, [1.0])
    np.testing.assert_allclose(published, [0.745])
    assert len(lines(other)) == 2


def test_weights_of_evidence_may_be_negative():
    measured = np.array([[1.0, -0.4, 0.2], [0.8, -0.6, 0.3]])
    figure = drawn(plots.weights_by_lag({"two heads": (measured, -0.5)}))
    _, mean, theory = lines(figure.axes[0])
    np.testing.assert_allclose(mean, [0.9, -0.5, 0.25])
    np.testing.assert_allclose(theory, [1, -0.5, 0.25])


def test_values_and_evidence_are_each_scaled_to_their_longest_arrow():
    evidence = np.array([[0.0, 2.0], [1.0, 0.0], [-1.0, 0.0]])
    values = np.stack([3 * evidence, -6 * evidence])
    (axes,) = drawn(plots.value_arrows({"two heads": (values, evidence)})).axes
    tips = np.array([text.xy for text in axes.texts if hasattr(text, "arrow_patch") and text.arrow_patch is not None])
    np.testing.assert_allclose(tips[:3], evidence / 2)
    np.testing.assert_allclose(tips[3:6], evidence / 4)  # the longest arrow of all heads is 1
    np.testing.assert_allclose(tips[6:], -evidence / 2)


def test_explained_variance_has_ours_and_the_published():
    ours, published = np.array([[0.4, 0.8, 1.0], [0.6, 0.8, 1.0]]), [0.465, 0.889]
    sites = {"mid": Seeds(ours), "output": Seeds(ours / 2), "final_norm": Seeds(ours)}
    (axes,) = drawn(plots.explained_variance({"setting": (sites, {"mid": published, "output": [0.3]})})).axes
    mean, known, output, known_output = lines(axes)  # sites that were not published are left out
    np.testing.assert_allclose(mean, [0.5, 0.8, 1.0])
    np.testing.assert_allclose(known, published)
    np.testing.assert_allclose(output, mean / 2)
    np.testing.assert_allclose(known_output, [0.3])


def test_belief_clouds_are_exact_then_read_by_site():
    kinds, sites = ("constrained", "true"), ("mid", "output")
    names = [f"{kind} beliefs from {site}" for kind in kinds for site in sites]
    clouds = {name: np.zeros((4, 2)) for name in (*kinds, *names)}
    r2 = dict(zip(names, (0.91, 0.92, 0.93, 0.94), strict=True))
    titles = [axes.get_title() for axes in drawn(plots.belief_clouds(clouds, r2, np.eye(3)[[0, 1, 2, 0]])).axes]
    assert [titles[0], titles[3]] == ["constrained beliefs\nexact", "true beliefs\nexact"]
    assert titles[1] == "constrained, read after attention\nR$^2$ = 0.9100"
    assert titles[5] == "true, read at the output\nR$^2$ = 0.9400"
