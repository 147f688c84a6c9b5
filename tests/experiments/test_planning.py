"""The tallies and the verdict by hand; the claim as a user starts it, tiny."""

import json

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.reading import Seeds
from tests.experiments.command import CAPTURED, module, refusal, start


def modules(monkeypatch):
    """measures imports tally by its name, as a script's neighbour."""
    tally = module("planning", "tally")
    monkeypatch.setitem(__import__("sys").modules, "tally", tally)
    return tally, module("planning", "measures")


def chance_by_hand(word, pairs, symbols, tip):
    """The probability of symbols, mark and answer, straight from the description."""
    *read, mark, answer = word
    same = [read[2 * pair] == read[2 * pair + 1] for pair in range(pairs)]
    chance = float(ord(answer) - ord("a") == sum(same))
    for pair in range(pairs + 1):
        low = 0.5 if pair == 0 else 0.5 + (tip if same[pair - 1] else -tip / (symbols - 1))
        if pair == pairs:
            chance *= low if mark == "!" else 1 - low
        else:
            first = int(read[2 * pair])
            chance *= (low if first < symbols / 2 else 1 - low) / (symbols / 2) / symbols
    return chance


@pytest.mark.parametrize(("pairs", "symbols", "tip"), [(2, 2, 0.25), (1, 4, 0.4), (2, 2, 0.0)])
def test_tally_by_hand(pairs, symbols, tip):
    tally = module("planning", "tally")
    process = tally.tally(pairs, symbols, tip)
    found = bg.words(process, 2 * pairs + 2)
    names = np.array(process.token_names)
    chances = [chance_by_hand(names[word], pairs, symbols, tip) for word in found.tokens]
    np.testing.assert_allclose(found.probabilities, chances, atol=1e-7)
    assert len(found.tokens) == 2 * symbols ** (2 * pairs) and sum(chances) == pytest.approx(1)
    assert (found.beliefs[:, -1] == found.beliefs[:, 0]).all()  # and so on
    # No two states are alike: the machine is minimal.
    assert bg.epsilon_machine(process).n_states == process.n_states


def test_without_tips_no_token_before_the_answer_can_be_told_and_with_tips_symbols_stay_fair():
    tally = module("planning", "tally")
    for tip in (0.0, 0.4):
        rows = reading.rows(jax.random.key(0), tally.tally(2, 4, tip), 5)
        for length in range(1, 5):
            at = rows.length == length
            shares = rows.probabilities[at]
            spread = abs(rows.laws[at] - shares @ rows.laws[at]).max()
            assert spread == pytest.approx(0, abs=1e-6) if not tip or length % 2 else spread > 0.1
            mean = shares @ rows.laws[at]
            np.testing.assert_allclose(mean[mean > 0], 0.25 if length < 4 else 0.5, atol=1e-6)


def test_pairs_and_what_the_context_teaches(monkeypatch):
    tally, measures = modules(monkeypatch)
    rows = reading.rows(jax.random.key(0), tally.tally(2, 2), 5)
    same, weights = tally.equal_pairs(rows, 2)
    for row, (word, length) in enumerate(zip(rows.word, rows.length, strict=True)):
        prefix = rows.words[word, :length].tolist()
        if weights[row]:
            assert length in (2, 4) and same[row, 0] == (prefix[-1] == prefix[-2])
    assert weights.sum() == pytest.approx(2)
    # The context teaches the number of two fair coins that come up, once in five tokens; of RRXOR the third bit.
    study = measures.Study(rows, jax.random.key(1), 2)
    assert study.taught == pytest.approx(1.5 * np.log(2) / 5, abs=1e-6)
    # The states themselves hold all of it, the exact laws nothing of whether a pair is equal.
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


def test_symbols_come_in_halves():
    with pytest.raises(ValueError, match="even number of symbols"):
        module("planning", "tally").tally(symbols=3)


@pytest.mark.slow
def test_planning(tmp_path):
    done = start("planning", "quick", "--steps", "100", "--seeds", "2", "--out", str(tmp_path))
    assert done.returncode == 0 and CAPTURED not in done.stderr, done.stderr
    (home,) = (tmp_path / "planning").iterdir()
    assert {path.stem for path in home.iterdir() if path.suffix == ".png"} == {"losses", "layers"}
    found = json.loads((home / "results.json").read_text())["tipped tally"]
    assert found["verdict"].startswith("none") and found["ordinary"]["gap"]["mean"] < found["untrained"]["gap"]["mean"]
    assert {"nats", "share"} == set(found["lost"]["myopic"])
