"""The experiment as a user runs it: a subprocess, tiny."""

import json
import math

import pytest

from tests.experiments.command import CAPTURED, refusal, start

SMALL = ["quick", "--context", "6", "--steps", "20", "--chunk", "10", "--layers", "1", "--width", "8"]


@pytest.mark.slow
def test_exact_values_and_controls(tmp_path):
    done = start("z1r", *SMALL, "--out", str(tmp_path))
    assert done.returncode == 0 and CAPTURED not in done.stderr, done.stderr
    (folder,) = (tmp_path / "z1r").iterdir()
    names = {path.name for path in folder.iterdir()}
    figures = {f"{name}.png" for name in ("presentation", "block_entropies", "beliefs", "loss")}
    assert {"config.json", "results.json", "run.json", "claims.json"} | figures <= names
    results = json.loads((folder / "results.json").read_text())

    # By hand: one random bit in three tokens; three equally likely states, synchronised after three tokens.
    exact, three, transient = results["exact"], math.log2(3), 2 * math.log2(3) - 1 / 3
    assert (exact["mixed_states"], exact["recurrent"]) == (7, 3)
    assert list(exact["bits"].values()) == pytest.approx([1 / 3, three, three, transient, transient, 0], abs=1e-9)
    # The belief: three states, of two with weights 1/3 and 2/3, of two a third of the time, certain.
    two_thirds = math.log(3) - 2 / 3 * math.log(2)
    assert exact["belief_entropies"][:4] == pytest.approx([math.log(3), two_thirds, math.log(2) / 3, 0], abs=1e-6)
    # h_L: ln 2 twice less what one token tells, then one state of three is random.
    third = math.log(2) / 3
    after = [math.log(2), math.log(3) - 2 * third, 2 * third, *[third] * 3]
    assert results["optimum"] == pytest.approx(after, abs=1e-9)
    assert exact["block_entropies"][:4] == pytest.approx([0, after[0], sum(after[:2]), math.log(6)], abs=1e-6)
    # The stationary belief, (1/2, 1/2, 0) and state 2 all expect a fair coin.
    assert results["distinct"] == {"beliefs": 7, "laws": 5}
    # Words of 0, 1, 2, ... tokens: three phases, a bit in every third token.
    prefixes = results["prefixes"]
    assert len(prefixes) == 7 and prefixes[0] == 1 and sum(prefixes) == 1 + 2 + 4 + 6 + 8 + 10
    trained, untrained = results["trained"], results["untrained"]
    assert 0 < trained["losses"]["gap"]["mean"] < untrained["losses"]["gap"]["mean"]
    assert trained["r2"]["last block"]["mean"] > trained["shuffled"]["mean"] + 0.2
    assert len(trained["distance of each belief"]["mean"]) == 7 and min(trained["distance of each belief"]["mean"]) > 0
    assert "next-token law alone" in done.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--vocab-size", "2"], "error: vocab_size must be 3, the tokens and BOS of the process; got 2"),
        (["fast"], "error: no preset 'fast'; choose one of quick, default"),
    ],
)
def test_mistakes(args, message, tmp_path):
    assert message in refusal("z1r", *args, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_all_seven_beliefs_are_learnt(tmp_path):
    done = start("z1r", "--seeds", "1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = json.loads(next((tmp_path / "z1r").glob("*/results.json")).read_text())
    assert found["trained"]["losses"]["gap"]["mean"] < 1e-3
    assert found["trained"]["r2"]["last block"]["mean"] > 0.95 > 0.6 > found["untrained"]["r2"]["last block"]["mean"]
