"""The claim as a user runs it: a subprocess, tiny; and its own functions by hand."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import beliefgeo as bg
from tests.experiments.command import module, refusal, start

FIGURES, MEASURES = module("inference", "figures"), module("inference", "measures")


@pytest.mark.slow
def test_a_small_run(tmp_path):
    sizes = ["--most", "10000", "--sizes", "2", "--seeds", "3"]
    done = start("inference", "quick", *sizes, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "inference").iterdir()
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "results.json",
        "run.json",
        "claims.json",
        "recovery.png",
    }
    found = json.loads((folder / "results.json").read_text())
    for name in ("golden_mean", "even", "z1r"):
        last = found["processes"][name]["causal states"][-1]
        assert last["tokens"] == 10_000 and last["share"] == 1 and last["interval"][0] < 1 == last["interval"][1]
        # The right machine with fitted probabilities knows words better than their frequencies do.
        assert last["distance"] < last["distance_of_frequencies"]
        assert found["needed"][name]["causal states"] in ("100", "10,000")
    assert found["processes"]["rrxor"]["causal states, next token only"][-1]["share"] == 0
    assert found["needed"]["rrxor"]["causal states, next token only"] == "not with 10,000"


def test_a_mistake_leaves_nothing_behind(tmp_path):
    out = tmp_path / "out"
    assert "no preset 'fast'; choose one of quick, default" in refusal("inference", "fast", "--out", str(out))
    assert not out.exists()


def test_tokens_from_which_on_it_is_recovered():
    found = lambda *shares: [SimpleNamespace(tokens=10**n, share=share) for n, share in enumerate(shares, 2)]
    needed = MEASURES.tokens_needed
    assert [needed(found(*one)) for one in ((1, 0.9, 0.95, 1), (1, 1), (0.95, 0.5))] == [
        "10,000",
        "100",
        "not with 1,000",
    ]


def test_the_same_moves_in_another_order_of_states():
    process, turned = bg.even(0.3), bg.even(0.6).transitions[:, ::-1, ::-1]
    assert MEASURES.same_moves(bg.hmm(turned), process)
    assert not MEASURES.same_moves(bg.golden_mean(), process)
    assert not MEASURES.same_moves(bg.coin(0.5), process)


def test_probabilities_of_all_words():
    tree = bg.word_tree(bg.rrxor(), 4)
    np.testing.assert_allclose(MEASURES.word_law(bg.rrxor(), 4), tree.probabilities, atol=1e-6)


def test_every_curve_is_drawn_where_it_lies():
    tokens = np.array([100, 1000])
    one, other = np.array([[0.0, 0.0, 0.2], [1.0, 0.8, 1.0]]), np.array([[0.5, 0.3, 0.7], [0.6, 0.4, 0.8]])
    figure = FIGURES.recovery_curves(tokens, {"even": {"first": one, "second": other}, "frdn": {"second": other}})
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("even", "frdn")
    np.testing.assert_array_equal(left.lines[0].get_ydata(), one[:, 0])
    np.testing.assert_array_equal(right.lines[0].get_ydata(), other[:, 0])
    assert left.lines[1].get_color() == right.lines[0].get_color() != left.lines[0].get_color()
    band = left.collections[0].get_paths()[0].get_extents()
    np.testing.assert_allclose([band.ymin, band.ymax], [0, 1])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["first", "second"]
