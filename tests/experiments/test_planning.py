"""The tallies and the verdict by hand; the claim as a user starts it, tiny."""

import json

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.reading import Seeds
from tests.experiments.command import module, refusal, start


def modules(monkeypatch):
    """measures imports tally by its name, as a script's neighbour."""
    tally = module("planning", "tally")
    monkeypatch.setitem(__import__("sys").modules, "tally", tally)
    return tally, module("planning", "measures")


def chance_by_hand(word, pairs, tip):
    """The probability of bits, mark and letter, straight from the description."""
    *read, mark, answer = word
    same = [read[2 * pair] == read[2 * pair + 1] for pair in range(pairs)]
    chance = float(ord(answer) - ord("a") == sum(same))
    for pair in range(pairs + 1):
        low = 0.5 if pair == 0 else 0.5 + (tip if same[pair - 1] else -tip)
        if pair == pairs:
            chance *= low if mark == "!" else 1 - low
        else:
            chance *= (low if read[2 * pair] == "0" else 1 - low) / 2
    return chance


@pytest.mark.parametrize(("pairs", "tip"), [(2, 0.25), (1, 0.4), (2, 0.0)])
def test_tally_by_hand(pairs, tip):
    tally = module("planning", "tally")
    process = tally.tally(pairs, tip)
    found = bg.words(process, 2 * pairs + 2)
    names = np.array(process.token_names)
    chances = [chance_by_hand(names[word], pairs, tip) for word in found.tokens]
    np.testing.assert_allclose(found.probabilities, chances, atol=1e-7)
    assert len(found.tokens) == 2 ** (2 * pairs + 1) and sum(chances) == pytest.approx(1)
    assert (found.beliefs[:, -1] == found.beliefs[:, 0]).all()  # and so on
    # No two states are alike: the machine is minimal.
    assert bg.epsilon_machine(process).n_states == process.n_states


def test_without_tips_no_token_before_the_answer_can_be_told_and_with_tips_bits_stay_fair():
    tally = module("planning", "tally")
    for tip in (0.0, 0.4):
        rows = reading.rows(jax.random.key(0), tally.tally(2, tip), 5)
        for length in range(1, 5):
            at = rows.length == length
            shares = rows.probabilities[at]
            spread = abs(rows.laws[at] - shares @ rows.laws[at]).max()
            assert spread == pytest.approx(0, abs=1e-6) if not tip or length % 2 else spread > 0.1
            mean = shares @ rows.laws[at]
            np.testing.assert_allclose(mean[mean > 0], 0.5, atol=1e-6)


def test_pairs_and_what_the_context_teaches(monkeypatch):
    tally, measures = modules(monkeypatch)
    rows = reading.rows(jax.random.key(0), tally.tally(2), 5)
    same, weights = tally.equal_pairs(rows, 2)
    for row, (word, length) in enumerate(zip(rows.word, rows.length, strict=True)):
        prefix = rows.words[word, :length].tolist()
        if weights[row]:
            assert length in (2, 4) and same[row, 0] == (prefix[-1] == prefix[-2])
    assert weights.sum() == pytest.approx(2)
    # The context teaches which of two fair coins come up, but not in which order, once in five tokens.
    study = measures.Study(rows, jax.random.key(1), 2)
    assert study.taught == pytest.approx(1.5 * np.log(2) / 5, abs=1e-6)


@pytest.mark.slow
def test_what_a_layer_of_states_or_of_laws_holds(monkeypatch):
    tally, measures = modules(monkeypatch)
    rows = reading.rows(jax.random.key(0), tally.tally(2), 5)
    study = measures.Study(rows, jax.random.key(1), 2)
    held = study.held(rows.beliefs.astype(np.float32))
    assert held.beliefs > 0.999 and held.unseen > 0.999 and held.shuffled < 0.9
    assert study.equal(rows.laws.astype(np.float32)) < 0.05


def test_verdicts(monkeypatch):
    _, measures = modules(monkeypatch)
    spread = np.array([-1e-4, 0, 1e-4])
    judge = lambda ordinary, myopic: measures.verdict(Seeds(ordinary + spread), Seeds(myopic + 2 * spread), 1.0)
    assert judge(0.001, 0.002) == "breadcrumbs"
    assert judge(0.001, 0.5) == "pre-caching"
    assert judge(0.001, 0.05) == "undecided"
    assert judge(0.5, 0.5) == "none: ordinary training has not learnt the process"
    one = Seeds(np.array([0.001]))
    assert measures.verdict(one, one, 1.0).startswith("none: it takes two")
    lost = measures.lost(Seeds(np.array([0.1, 0.2])), Seeds(np.array([0.3, 0.2])), 0.5)
    np.testing.assert_allclose(lost.share.values, [0.4, 0])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--pairs", "0"], "tally needs 1 <= pairs <= 26; got pairs=0"),
        (["--tip", ".7"], "tally needs 0 <= tip <= 1/2; got tip=0.7"),
    ],
)
def test_mistakes(args, message, tmp_path):
    assert message in refusal("planning", "quick", *args, "--out", str(tmp_path / "out"))


@pytest.mark.slow
def test_planning(tmp_path):
    done = start("planning", "quick", "--steps", "100", "--seeds", "2", "--out", str(tmp_path))
    # No alarm of constants: the machine of a tally is one, and larger than the alarm allows.
    assert done.returncode == 0, done.stderr
    (home,) = (tmp_path / "planning").iterdir()
    assert {path.stem for path in home.iterdir() if path.suffix == ".png"} == {"losses", "layers"}
    found = json.loads((home / "results.json").read_text())["tipped tally"]
    assert found["verdict"].startswith("none") and found["ordinary"]["gap"]["mean"] < found["untrained"]["gap"]["mean"]
    assert {"nats", "share"} == set(found["lost"]["myopic"])
