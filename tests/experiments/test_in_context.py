"""The claim as a user runs it: a subprocess, tiny; and its own functions by hand."""

import json
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.reading import Seeds, rows_of
from tests.experiments.command import module, refusal, start

MEASURES, SOURCES, FIGURES = (module("in_context", part) for part in ("measures", "sources", "figures"))
BIASES = (0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95)
SIZES = {"context": 8, "steps": 10, "chunk": 5, "batch": 8, "words": 50, "snapshots": 2}
SMALL = ["quick", *(str(word) for name, size in SIZES.items() for word in (f"--{name}", size))]


@pytest.mark.slow
def test_loss_along_the_context(tmp_path):
    done = start("in_context", *SMALL, "--sources", "names", "--networks", "gru", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "in_context").iterdir()
    assert {path.stem for path in folder.glob("*.png")} == {"loss", "gap", "sightings"}
    results = json.loads((folder / "results.json").read_text())
    assert results["targets"] == "drawn tokens"
    found = results["sources"]["names"]
    assert found["rate"] == pytest.approx(0.835876, abs=1e-6)
    assert found["excess"][0] == pytest.approx(1.445186 - 0.835876, abs=1e-6)
    # After the first sighting an ideal observer is sure of the name, which always follows Mr.
    assert found["excess"][-1] > 0
    # From the second token on a quarter of the exact excess goes with every token: 1 / ln(4 / 3).
    assert found["falls"]["tokens"] == pytest.approx(3.476, abs=1e-3)
    net = found["networks"]["gru"]
    assert net["tokens"] == [0, 320, 640]
    untrained, _, trained = net["predictions"]["losses"]["gap"]["mean"]
    assert 0 < trained < untrained and net["worst"] > 0
    # The exact excess says where to look, whatever the network does.
    assert (found["falls"]["first"], found["falls"]["last"]) == (2, 6)
    assert (net["falls"]["first"]["values"], net["falls"]["last"]["values"]) == ([2], [6])
    assert found["sightings"][0] > 0.69 and max(found["sightings"][1:]) < 1e-6
    assert np.shape(net["predictions"]["sightings"]["values"]) == (1, 3, 4)
    assert min(net["predictions"]["sightings"]["mean"][-1]) > 0


def test_rates_and_vocabularies():
    _, rate = SOURCES.source("coins", (0.1, 0.5))
    assert rate == pytest.approx((np.log(2) - 0.1 * np.log(0.1) - 0.9 * np.log(0.9)) / 2, abs=1e-6)
    names, rate = SOURCES.source("names", ())
    assert names.vocab_size == 5 and rate == pytest.approx(0.835876, abs=1e-6)
    assert SOURCES.source("even", ())[1] == pytest.approx(2 / 3 * np.log(2), abs=1e-6)
    assert [SOURCES.network(kind, names, 9).vocab_size for kind in ("transformer", "gru")] == [6, 6]


def test_local_slopes_of_coins():
    """Ten biases are a finite mixture: the further, the steeper. The mixed states say the same of short contexts."""
    steeper = [-0.559, -0.733, -0.846, -0.942, -1.071, -1.386, -2.150, -3.680]
    np.testing.assert_allclose(MEASURES.coins_slopes(BIASES).slopes, steeper, atol=1e-3)
    process, rate = SOURCES.source("coins", BIASES)
    excess = np.asarray(bg.myopic_entropies(process, 10), np.float64) - rate
    np.testing.assert_allclose(excess[5], MEASURES.coins_excess(BIASES, 5), atol=1e-6)
    near = MEASURES.local_slopes(excess, np.arange(2, 10))
    assert near.ends.tolist() == [2, 5, 9]
    assert near.slopes[0] == pytest.approx(-0.559, abs=1e-3)
    assert str(near) == "slopes -0.56 -0.72 between L = 2 5 9"


def test_where_an_excess_falls_exponentially_or_at_once():
    alternating = np.array([1.0, 0.9]).repeat(10).reshape(2, 10).T.ravel() * np.exp(-np.arange(20) / 4)
    found = MEASURES.e_fold(alternating, np.arange(2, 14))
    assert (found.first, found.last) == (2, 12) and found.tokens == pytest.approx(4)
    assert str(found) == "e-fold in 4.00 tokens (L = 2 to 12)"
    nothing = np.zeros(9), np.arange(0)
    assert str(MEASURES.e_fold(*nothing)) == str(MEASURES.local_slopes(*nothing)) == "at once"


def test_only_heads_and_tails_matter_to_an_ideal_observer():
    process, _ = SOURCES.source("coins", (0.2, 0.7))
    rows = rows_of(process, bg.words(process, 7), bos=2)
    assert MEASURES.explained_by_counts(jnp.log(rows.laws), rows) == pytest.approx(1, abs=1e-9)
    last = np.where(rows.length > 0, rows.words[rows.word, np.maximum(rows.length - 1, 0)], 0)
    order = np.stack([0.6 - 0.2 * last, 0.4 + 0.2 * last], 1)
    # Counts tell of the last token no more than how many there are of its kind.
    assert MEASURES.explained_by_counts(jnp.log(order), rows) < 0.7


def test_the_loss_on_a_name_by_sightings():
    """Two coins as texts: heads is the name; the exact loss, weighed by the words' probabilities."""
    process = bg.coin(0.25)
    rows = rows_of(process, bg.words(process, 4), bos=2)
    np.testing.assert_allclose(MEASURES.exact_sightings(rows, (1,)), -np.log(rows.laws[0, 1]), rtol=1e-6)
    log_laws = np.log(np.where(rows.length[:, None] == 0, [[0.5, 0.5]], [[0.9, 0.1]]))
    first, second, *_ = MEASURES.sightings(log_laws, rows, (1,))
    heads = rows.laws[0, 1]
    seen = 1 - (1 - heads) ** 4
    expected = (heads * np.log(2) + (seen - heads) * np.log(10)) / seen
    assert first == pytest.approx(expected, rel=1e-6) and second == pytest.approx(np.log(10), rel=1e-6)


GAPS = {"transformer": np.array([[0.1, 0.02, 0.01], [0.3, 0.02, 0.01]]), "gru": np.full((1, 3), 0.2)}


def read_as(gaps):
    both = Seeds(np.stack([9 * gaps, gaps], 1))  # untrained, trained
    return {"predictions": SimpleNamespace(losses=SimpleNamespace(gap_per_length=both))}


FOUND = {"excess": [0.5, 0.2, 0.1], "networks": {name: read_as(gaps) for name, gaps in GAPS.items()}}


def test_excess_is_the_gap_above_the_exact_one_and_its_ratio_stands_below():
    figure = FIGURES.excess_panels({"coins": FOUND})
    above, below = figure.axes
    exact, transformer, _ = (line.get_ydata() for line in above.lines)
    np.testing.assert_allclose(exact, [0.5, 0.2, 0.1])
    np.testing.assert_allclose(transformer, [0.7, 0.22, 0.11])
    np.testing.assert_allclose(below.lines[1].get_ydata(), [1.4, 1.1, 1.1])
    assert above.get_title() == "coins" and (above.get_xscale(), above.get_yscale()) == ("linear", "log")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["exact", "transformer", "GRU"]


def test_every_seed_has_its_gap():
    (axis,) = FIGURES.gap_panels({"coins": FOUND}).axes
    assert len(axis.lines) == 3  # two seeds, one seed
    np.testing.assert_allclose(axis.lines[1].get_ydata(), GAPS["transformer"][1])


def test_sightings_over_training_beside_the_published():
    losses = Seeds(np.array([[[3.0] * 4, [1.5, 1.2, 1.1, 1.0], [1.1, 0.5, 0.4, 0.3]]]))
    network = {"tokens": [0, 100, 200], "predictions": SimpleNamespace(sightings=losses)}
    names = {"sightings": [1.0, 0, 0, 0], "networks": {"gru": network, "transformer": network}}
    figure = FIGURES.sightings_panels(names, (1e6, (1.05, 0.01, 0.002, 0.001)))
    second = next(line for line in figure.axes[0].lines if line.get_label() == "sighting 2")
    np.testing.assert_array_equal(second.get_xdata(), [100, 200])  # 0 tokens have no place on a logarithmic axis
    np.testing.assert_allclose(second.get_ydata(), [1.2, 0.5])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["default", "--sources", "odd"], "golden_mean"),
        (["default", "--networks", "lstm"], "transformer"),
        (["fast"], "error: no preset 'fast'; choose one of quick, default, paper"),
        (["quick", "--context", "4"], "context must be 5 or more; got 4"),
        (["quick", "--words", "1"], "sampled_words needs a count of 2 or more"),
    ],
)
def test_mistakes_leave_nothing_behind(args, message, tmp_path):
    assert message in refusal("in_context", *args, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
