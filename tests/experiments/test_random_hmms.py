"""Verdicts on processes whose beliefs are known, and the experiment as a user runs it: a subprocess, tiny."""

import json

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.dimension import kaplan_yorke
from tests.experiments.command import module, start

verdicts, plots = module("random_hmms", "verdicts"), module("random_hmms", "figures")
CLOSELY = {"max_states": 1000, "length": 200, "chains": 8}


@pytest.mark.parametrize(
    ("process", "verdict", "low", "high"),
    [
        (bg.z1r(), "finite", 0, 0),
        (bg.rrxor(), "finite", 0, 0),
        (bg.sns(), "dimension 0", 0, 0),  # a word that tells the state, and countably many beliefs since
        # Unifilar, and both tokens permute the states: the observer is sure only in the limit.
        (bg.hmm([[[0.3, 0], [0, 0.6]], [[0, 0.7], [0.4, 0]]]), "dimension 0", 0, 0),
        # Contracts so strongly that it closes within the tolerance; its words all leave different beliefs.
        (bg.hmm([[[0.4, 0.2], [0.35, 0.18]], [[0.1, 0.3], [0.117, 0.353]]]), "fractal", 0.01, 0.3),
        # The exponents' sum is ln det T^(x) + 3h = -3.287; by symmetry they are equal, so d = h / 1.644 = 0.483.
        (bg.mess3(), "fractal", 0.45, 0.51),
        # Words double at each token, the segment shrinks by a fifth only: the images overlap.
        (bg.hmm([[[0.49, 0.01], [0.01, 0.39]], [[0.49, 0.01], [0.01, 0.59]]]), "fills the simplex", 1, 1),
    ],
)
def test_verdicts(process, verdict, low, high):
    judged = verdicts.judge(jax.random.key(0), process, **CLOSELY)
    assert judged.verdict == verdict
    assert low <= judged.dimension <= high


def test_kaplan_yorke_by_hand():
    assert kaplan_yorke(0.5, np.array([-1.0, -2.0])) == 0.5
    assert kaplan_yorke(1.5, np.array([-1.0, -2.0])) == 1.25
    assert kaplan_yorke(3.5, np.array([-1.0, -2.0])) == 2
    assert kaplan_yorke(0.5, np.array([-np.inf, -np.inf])) == 0


@pytest.mark.parametrize("edges", [2, 3])
def test_sparse_processes_keep_their_edges_and_meet_again(edges):
    family = verdicts.Family(1.0, edges)
    for key in jax.random.split(jax.random.key(1), 10):
        transitions = np.asarray(verdicts.draw_process(key, family, 4, 3).transitions)
        assert ((transitions > 0).sum((0, 2)) == edges).all()
        assert transitions.any((1, 2)).all()
        assert (np.linalg.matrix_power(np.eye(4) + transitions.sum(0), 4) > 0).all()


def test_bars_are_divided_by_the_shares_and_what_is_missing_stays_blank():
    finite = {"a": np.array([[0.0, 0.25], [np.nan, 1.0]]), "b": np.full((2, 2), 0.5)}
    shares = {"finite": finite, "fractal": {name: 1 - one for name, one in finite.items()}}
    figure = plots.share_panels((2, 3), (2, 5), shares, {name: 2 * one for name, one in finite.items()})
    above, _, below, other = figure.axes
    widths = np.array([bar.get_width() for bar in above.patches]).reshape(2, 4) / 0.86  # [verdict, size x vocab]
    np.testing.assert_allclose(widths, [[0, 0.25, 0, 1], [1, 0.75, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(above.patches[5].get_x(), 1 + (0.25 - 0.5) * 0.86)  # where the first share ends
    np.testing.assert_allclose([line.get_ydata() for line in other.lines], np.ones((2, 2)))
    np.testing.assert_array_equal(below.lines[1].get_ydata(), [np.nan, 2])
    assert [label.get_text() for label in below.get_xticklabels()] == ["2", "5"]
    texts = [[text.get_text() for text in legend.get_texts()] for legend in figure.legends]
    assert texts == [["finite", "fractal"], ["2 states", "3 states"]]


def test_a_gallery_shows_each_cloud_in_the_simplex_and_a_part_of_it_magnified():
    cloud = np.eye(3)[[0, 1, 2, 0]] * 0.1 + 0.3  # a triangle a tenth as large
    whole, part = plots.belief_gallery([("title", cloud)]).axes
    assert whole.get_title() == "title" and whole.get_xlim() == (-0.56, 0.56)
    np.testing.assert_allclose(whole.collections[0].get_offsets()[2], [0, 0.1 / np.sqrt(3)], atol=1e-7)  # its tip
    np.testing.assert_allclose(part.collections[0].get_offsets(), [[-0.05, -0.05 / np.sqrt(3)]] * 2, atol=1e-7)
    assert part.get_title() == "45 times larger"  # 1.12 / (0.1 / 4)


def words_that_tell_the_state(process):
    """Whether some word leaves one possible state, by search among sets of states."""
    edges = np.asarray(process.transitions) > 0
    start = (True,) * process.n_states
    seen, new = {start}, [start]
    while new:
        states = np.array(new.pop())
        moved = {tuple(edges[x][states].any(0).tolist()) for x in range(len(edges))} - seen
        seen |= moved
        new += moved
    return any(sum(states) == 1 for states in seen)


def test_dimension_0_by_exponents_means_that_some_word_resets():
    family = verdicts.Family(1.0, 3)
    for key in jax.random.split(jax.random.key(2), 20):
        process = verdicts.draw_process(key, family, 4, 3)
        judged = verdicts.judge(key, process, **CLOSELY)
        assert words_that_tell_the_state(process) <= (judged.dimension == 0)


@pytest.mark.slow
def test_a_small_run(tmp_path):
    sizes = ["--processes", "8", "--length", "100", "--checked", "2", "--points", "5000"]
    done = start("random_hmms", "quick", *sizes, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob("random_hmms/*")
    names = {"config.json", "results.json", "claims.json", "shares.png", "gallery.png", "check.png"}
    assert names < {path.name for path in folder.iterdir()}
    results = json.loads((folder / "results.json").read_text())
    assert len(results["cells"]) == 8 and len(results["gallery"]) == 6
    for cell in results["cells"].values():
        shares = {verdict: found["share"] for verdict, found in cell["shares"].items()}
        assert abs(sum(shares.values()) - 1) < 1e-12
        if cell["family"].startswith("every edge"):  # infinite, and of positive dimension, almost surely
            assert shares["finite"] == shares["dimension 0"] == 0
            assert 0 < cell["dimension"] <= cell["states"] - 1
        if cell["family"] == "two edges a state" and cell["states"] == 2:
            assert shares["finite"] + shares["dimension 0"] == 1  # each token tells the state, or moves one for one
    # Where images overlap the formula is an upper bound, and 5,000 points resolve no more than the coarse.
    found = np.array([one["sampled"] - one["formula"] for one in results["checks"]])
    assert abs(np.median(found)) < 0.1 and -0.4 < found.min() and found.max() < 0.2
    told = {line["label"]: line["ours"] for line in json.loads((folder / "claims.json").read_text())}
    two = told["two edges a state: shares of finite, dimension 0, fractal, fills the simplex"].split()
    assert [float(share) for share in two] == pytest.approx(results["shares"]["two edges a state"], abs=5e-4)


def test_counted_verdicts():
    judged = [verdicts.Judgement("fractal", 0.5, True)] * 3 + [verdicts.Judgement("finite", 0.0, False)]
    cell = verdicts.count("family", 3, 2, judged)
    assert (cell.shares["fractal"].share, cell.near, cell.dimension) == (0.75, 0.75, 0.375)
    # Wilson by hand: (.75 + z^2/8 -+ z sqrt(.75 .25 / 4 + z^2/64)) / (1 + z^2/4), z = 1.96.
    np.testing.assert_allclose(cell.shares["fractal"].interval, [0.3006, 0.9544], atol=1e-4)


def test_the_gallery_goes_from_low_to_high_dimension():
    check = lambda dimension: type("", (), {"formula": dimension, "tokens": 2})
    clouds = [(check(dimension), np.full((2, 3), dimension)) for dimension in np.linspace(1.3, 0.1, 13)]
    titles, beliefs = zip(*plots.choose(clouds), strict=True)
    np.testing.assert_allclose([cloud[0, 0] for cloud in beliefs], [0.3, 0.5, 0.7, 0.9, 1.1, 1.3])
    assert titles[0] == "dimension 0.30\n2 tokens" and plots.choose([]) == []
