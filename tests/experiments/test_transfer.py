"""Transfer between vocabularies: the measures where the answer is known, and the claim as a user starts it."""

import json
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import probes, reading
from beliefgeo.networks import TransformerConfig
from beliefgeo.networks.transformer import Transformer
from beliefgeo.reading import Seeds
from tests import oracle
from tests.experiments.command import CAPTURED, module, refusal, start

vocabularies = module("transfer", "vocabularies")
with pytest.MonkeyPatch.context() as patch:  # they find it as in the claim: in their own folder
    patch.setitem(sys.modules, "vocabularies", vocabularies)
    measures, verdicts = module("transfer", "measures"), module("transfer", "verdicts")


def test_a_split_process_by_hand():
    """Tokens 0 and 2 stand for 1, with probabilities .4 and .6; tokens 1 and 3 for 0, with .7 and .3."""
    target = vocabularies.split(bg.z1r())
    assert target.image.tolist() == [1, 0, 1, 0]
    np.testing.assert_allclose(target.shares, [0.4, 0.7, 0.6, 0.3])
    np.testing.assert_allclose(target.process.transitions[0], 0.4 * bg.z1r().transitions[1], atol=1e-7)
    np.testing.assert_allclose(target.process.initial, bg.z1r().initial, atol=1e-7)


def test_corresponding_words():
    """Their image is the word of the source; the belief after both is the same; the laws are those of the target."""
    source, target = bg.rrxor(), vocabularies.split(bg.rrxor())
    rows = reading.rows(jax.random.key(0), source, 6)
    words = vocabularies.translated(jax.random.key(1), rows, target)
    assert (target.image[words.tokens] == rows.tokens).all()
    share = (words.tokens == 1).sum() / (rows.tokens == 0).sum()
    assert abs(share - 0.7) < 4 * np.sqrt(0.21 / (rows.tokens == 0).sum())
    for row in range(0, len(rows.word), 16):
        word = words.words[words.word[row], : words.length[row]].tolist()
        belief = oracle.belief(target.process, word)
        np.testing.assert_allclose(belief, rows.beliefs[row], atol=1e-6)
        np.testing.assert_allclose(words.laws[row], belief @ np.asarray(target.process.transitions).sum(2).T, atol=1e-6)


def read_both():
    """A network of the source, and the network of the target whose tables are copied, after corresponding words."""
    source, target = bg.rrxor(), vocabularies.split(bg.rrxor())
    rows = reading.rows(jax.random.key(0), source, 6)
    words = vocabularies.translated(jax.random.key(1), rows, target)
    sizes = TransformerConfig(2, 6, 1, 8, 1, 4, 8)
    params = jax.jit(Transformer(sizes).init)(jax.random.key(2), jnp.zeros(6, int))
    own = reading.read(Transformer(sizes), params, rows, measures.layers)
    copy = vocabularies.translate(params, target)
    return rows, own, reading.read(Transformer(replace(sizes, vocab_size=4)), copy, words, measures.layers), words, copy


def test_a_network_with_copied_tables_is_the_source():
    """Equal gap and activations; tokens of one image at one place."""
    rows, own, other, words, copy = read_both()
    gap = measures.gap(other, words)
    assert gap == pytest.approx(measures.gap(own, rows), abs=1e-6) and gap > 0.05
    np.testing.assert_allclose(own.features["layers"], other.features["layers"], atol=1e-5)
    assert measures.merged(copy, vocabularies.split(bg.rrxor()).image) == 0


@pytest.mark.slow
def test_maps_and_probes_of_a_network_with_copied_tables():
    rows, own, other, *_ = read_both()
    own, other = own.features["layers"], other.features["layers"]
    assert measures.map_r2(own, -other, rows) > 1 - 1e-5
    moved = probes.shuffle_beliefs(jax.random.key(3), own, rows.length)
    assert measures.map_r2(moved, other, rows) < 0.5
    # Turned round, the geometry is still one map away, but the probe of the source does not find it.
    assert measures.probe_r2(own, other, rows) > 0.02 and measures.probe_r2(own, -other, rows) < 0


def test_merged_by_hand():
    places = {"params": {"embed": {"embedding": np.array([[0.0], [4.0], [1.0], [5.0]])}}}
    assert measures.merged(places, np.array([1, 0, 1, 0])) == pytest.approx(1 / 4)  # 1 against 4, 5, 3, 4


def test_tokens_to_a_gap_by_hand():
    tokens, to = np.array([0, 100, 400, 1600]), measures.tokens_to
    assert to(tokens, np.array([1, 1e-1, 1e-3, 1e-5])) == 400
    assert to(tokens, np.array([1, 1e-1, 1e-2, 1e-4])) == pytest.approx(800)  # half the way in both logarithms
    assert to(tokens, np.array([1e-1, 1e-4, 1e-1, 1e-1])) == pytest.approx(200 / 3)  # the first time
    assert to(tokens, np.array([1, 1e-1, 1e-2, 2e-3])) == np.inf and to(tokens, np.full(4, 1e-4)) == 0


def test_ratios_by_hand():
    two = measures.ratio(np.array([2.0, 8.0]), np.array([1.0, 1.0]), 16)
    assert two.ratio == pytest.approx(4) and two.unreached == 0
    # Student's t of one degree of freedom, 12.706, times the standard error of the logarithms, log 2.
    assert two.high == pytest.approx(4 * 2**12.7062, rel=1e-3) and two.low == pytest.approx(4 / 2**12.7062, rel=1e-3)
    least = measures.ratio(np.array([4.0, np.inf]), np.array([1.0, 1.0]), 16)
    assert least.ratio == pytest.approx(8) and least.high == np.inf and str(least).startswith("at least 8.00")
    assert str(measures.ratio(np.array([1.0, 1.0]), np.array([1.0, np.inf]), 16)) == "not reached"
    assert (
        measures.told(np.array([1e3, 4e3, np.inf])) == "2k (2 of 3)"
        and measures.told(np.full(2, np.inf)) == "never (0 of 2)"
    )


def test_verdicts():
    ratio = lambda low, high: measures.Ratio(np.sqrt(low * high), low, high, 0)
    maps = lambda *r2: {
        "map": {name: Seeds(np.full(3, one)) for name, one in zip(("same", "another", "random"), r2, strict=True)}
    }
    near, far = {"scratch": maps(0.9, 0.8, 0.5)}, {"scratch": maps(0.9, 0.88, 0.5)}
    of = lambda *ends: dict(zip(("another", "random", "scratch"), (ratio(*two) for two in ends), strict=True))
    equal = of((1, 1), (1, 1), (1, 1))
    judged = verdicts.judge(of((1.5, 3), (2, 4), (0.5, 0.7)), equal, near)
    assert judged == ("transfer", "more tokens", "one map")
    judged = verdicts.judge(of((1.1, 3), (2, 4), (0.9, 2)), equal, far)
    assert judged[0].endswith("another process's blocks serve as well")
    assert judged[1:] == ("undecided", "no better than a control")
    none = dict.fromkeys(equal, measures.Ratio(np.nan, np.nan, np.nan, 0))
    assert verdicts.judge(none, equal, near).saving == "no transfer: 1e-3 is not reached"
    assert verdicts.judge(none, of((1.5, 3), (2, 4), (0.1, 0.2)), near).saving.endswith("lower than of both controls")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--processes", "even"], "rrxor"),
        (["--seeds", "0"], "transfer needs a seed or more; got 0"),
        (["--layers", "0"], "transfer freezes blocks and needs a layer or more; got 0"),
    ],
)
def test_mistakes(args, message, tmp_path):
    assert message in refusal("transfer", "quick", *args, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out" / "networks").exists()


@pytest.mark.slow
def test_quick(tmp_path):
    done = start("transfer", "quick", "--out", str(tmp_path))
    assert done.returncode == 0 and CAPTURED not in done.stderr, done.stderr
    (home,) = (tmp_path / "transfer").iterdir()
    assert {path.stem for path in home.iterdir() if path.suffix == ".png"} == {"learning", "ratios", "geometry"}
    found = json.loads((home / "results.json").read_text())["rrxor"]
    assert found["needed"]["same"] == "never (0 of 2)" and found["verdict"]["saving"].startswith("no transfer")
    assert all(curve["mean"][-1] < curve["mean"][0] for curve in found["curves"].values())
