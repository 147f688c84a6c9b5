"""GPT-2 read by its arrays alone: what is measured of models that are known, pictures, and the run where it can run."""

import json
import sys

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import discovery, reading
from tests import oracle
from tests.experiments.command import CAPTURED, module, refusal, start

FIGURES, GPT2, MEASURES = (module("any_model", part) for part in ("figures", "gpt2", "measures"))
CONTEXT = 6


@pytest.fixture(scope="module")
def study():
    process = bg.mess3()
    return MEASURES.Study(process, reading.rows(jax.random.key(0), process, CONTEXT), 3, 3)


def known(process):
    """A model that knows the process, but for the first token, which no network without a BOS predicts."""
    laws = discovery.process_laws(process)
    return lambda tokens: laws(tokens)[:, 1:]


@pytest.fixture(scope="module")
def measured(study):
    """A model that knows Mess3, and one that goes by the last token alone."""
    return {"trained": study.measure(known(bg.mess3())), "untrained": study.measure(known(bg.mess3(0.15, 1.0)))}


def test_of_a_perfect_model_everything_is_read_off(measured):
    found, cloud = measured["trained"]
    assert found["dimension"] == 2 and found["gap"] == pytest.approx(0, abs=1e-6)
    assert found["found"]["divergence"] < 1e-9 and found["found"]["moduli"] == pytest.approx([1, 0.85, 0.85], abs=1e-4)
    assert found["two"]["moore"].hidden
    assert found["two"]["moore"].stay == pytest.approx(np.full(3, 0.9), abs=1e-3)
    assert found["two"]["moore"].alpha == pytest.approx(np.full(3, 0.85), abs=1e-3)
    assert found["r2"] == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(cloud.seen, cloud.beliefs, atol=1e-3)


def test_of_a_model_of_the_last_token_a_chain_is_read_off(measured):
    found, _ = measured["untrained"]
    assert found["last_token"] == pytest.approx(1, abs=1e-9) and measured["trained"][0]["last_token"] < 0.95
    assert found["dimension"] == 2 and found["two"]["moore"].alpha == pytest.approx(np.ones(3), abs=1e-3)
    assert found["two"]["unexplained"] < 1e-9
    assert found["found"]["divergence"] > 0.03 and found["r2"] < 0.95


def test_where_there_are_no_three_states_nothing_is_made_up():
    found = MEASURES.moore(bg.golden_mean())
    assert not found.hidden and np.isnan([*found.stay, *found.alpha]).all()


def test_beliefs_after_prefixes_of_several_lengths(study):
    words, lengths = np.array([[-1, -1, -1], [2, -1, -1], [2, 0, 1]]), np.array([0, 1, 3])
    found = study.beliefs(words, lengths)
    for belief, word, length in zip(found, words, lengths, strict=True):
        np.testing.assert_allclose(belief, oracle.belief(bg.mess3(), word[:length]), atol=1e-6)


def test_pictures(measured):
    results = {
        net: {**reading.over_seeds([numbers, numbers]), "cloud": cloud} for net, (numbers, cloud) in measured.items()
    }
    drawn = FIGURES.draw(results)
    assert set(drawn) == {"beliefs", "discovered"}
    beliefs, discovered = drawn.values()
    assert [panel.get_title() for panel in beliefs.axes] == [
        "exact beliefs",
        "read off the first GPT-2",
        "read off it before training",
    ]
    # Two networks of two kinds: a curve each, and a ring around the dimension that was chosen.
    assert len(discovered.axes[0].lines) == 8


@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_without_torch_or_transformers_it_says_so(missing, monkeypatch):
    for name in ("torch", "transformers"):
        monkeypatch.setitem(sys.modules, name, None if name == missing else sys)  # sys stands for what imports
    with pytest.raises(ValueError, match=f"needs torch and transformers.* got: .*{missing}.*pip install torch trans"):
        GPT2.require()


def test_it_says_so_before_anything_is_computed(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "transformers", None)
    said = refusal("any_model", "quick", "--out", str(tmp_path / "out"))
    assert "error: this claim needs torch and transformers" in said and said.endswith("pip install torch transformers")
    assert not (tmp_path / "out").exists()


def test_words_that_the_network_cannot_read_are_refused(tmp_path):
    said = refusal("any_model", "quick", "--prefixes", "5", "--out", str(tmp_path / "out"))
    assert "together at most the context of 6 tokens" in said and "got 5 and 3" in said
    assert not (tmp_path / "out").exists()


def test_the_rate_rises_and_falls():
    rates = [GPT2._rate(step, 200) for step in range(201)]
    assert rates[0] == pytest.approx(0.1) and max(rates) > 0.98 and rates[200] == pytest.approx(0)


def test_drawn_sequences_have_the_words_of_the_process():
    for data in ("samples", "quasirandom"):
        training = GPT2.Training(steps=200, batch=64, data=data)
        drawn = GPT2.draw(jax.random.key(1), bg.mess3(), 2, training)
        assert drawn.shape == (200 * 64, 2)
        shares = np.bincount(drawn @ [3, 1], minlength=9) / len(drawn)
        np.testing.assert_allclose(shares, bg.words(bg.mess3(), 2).probabilities, atol=0.015)  # 4 standard errors


def test_laws_are_those_of_the_model():
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    model = GPT2.build(GPT2.Sizes(context=4, layers=1, width=8, heads=1), 0)
    words = bg.words(bg.mess3(), 4).tokens
    laws = GPT2.laws_of(model)(words)
    assert laws.shape == (81, 4, 3) and laws.sum(-1) == pytest.approx(np.ones((81, 4)))
    alone = torch.softmax(model(torch.tensor(words[5:6].tolist())).logits, -1)
    np.testing.assert_allclose(laws[5], alone[0].detach().numpy(), atol=1e-6)
    # It reads from left to right.
    np.testing.assert_allclose(laws[0, :3], laws[1, :3], atol=1e-6)


@pytest.mark.slow
def test_a_small_run_and_the_same_from_its_weights(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    tiny = ["quick", "--steps", "200", "--seeds", "2", "--out", str(tmp_path)]
    before = None
    for reused in (False, True):
        done = start("any_model", *tiny)
        assert done.returncode == 0 and CAPTURED not in done.stderr, done.stderr
        (folder,) = (tmp_path / "any_model").iterdir()
        assert {path.stem for path in folder.glob("*.png")} == {"beliefs", "discovered"}
        assert [*json.loads((folder / "run.json").read_text())["networks"].values()] == [reused] * 2
        found = json.loads((folder / "results.json").read_text())
        gaps = [found[net]["gap"]["values"] for net in ("trained", "untrained")]
        assert max(gaps[0]) < 0.2 * min(gaps[1])
        assert before in (None, gaps)
        before = gaps
