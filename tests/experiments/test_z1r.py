"""The experiment as a user runs it: a subprocess, tiny."""

import json
import math

import pytest

from tests.experiments.command import CAPTURED, refusal, start

SMALL = ["quick", "--context", "6", "--steps", "20", "--chunk", "10", "--layers", "1", "--width", "8"]


def test_exact_values_and_controls(tmp_path):
    done = start("z1r", *SMALL, "--out", str(tmp_path))
    assert done.returncode == 0 and CAPTURED not in done.stderr, done.stderr
    (folder,) = tmp_path.iterdir()
    names = {path.name for path in folder.iterdir()}
    figures = {f"{name}.png" for name in ("presentation", "block_entropies", "beliefs", "loss")}
    assert {"config.json", "metrics.json", "history.jsonl", "checkpoints", "lock"} | figures == names
    metrics = json.loads((folder / "metrics.json").read_text())

    # By hand: one random bit in three tokens; three equally likely states, synchronised after three tokens.
    ours = {name: row["ours"] for name, row in metrics["exact"].items()}
    three, transient = math.log2(3), 2 * math.log2(3) - 1 / 3
    hand = [7, 3, 1 / 3, three, three, transient, transient, 0]
    assert list(ours.values()) == pytest.approx(hand, abs=1e-9)
    # h_L: ln 2 twice less what one token tells, then one state of three is random.
    third = math.log(2) / 3
    after = [math.log(2), math.log(3) - 2 * third, 2 * third, *[third] * 3]
    assert metrics["loss"]["optimal_per_position"] == pytest.approx(after, abs=1e-9)
    # The stationary belief, (1/2, 1/2, 0) and state 2 all expect a fair coin.
    assert metrics["distinct"] == {"beliefs": 7, "laws": 5}
    # Words of 0, 1, 2, ... tokens: three phases, a bit in every third token.
    each = metrics["each belief"]
    assert len(each["beliefs"]) == 7 and each["prefixes"][0] == 1
    assert sum(each["prefixes"]) == 1 + 2 + 4 + 6 + 8 + 10
    gaps = metrics["loss"]["gap"]
    assert 0 < gaps["trained"]["mean"] < gaps["untrained"]["mean"]
    scores = metrics["in_sample"]["last block"]
    assert scores["trained"]["r2"]["mean"] > scores["shuffled"]["r2"]["mean"] + 0.2
    assert "next-token law alone" in done.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--vocab-size", "2"], "error: vocab_size must be Z1R's with BOS, 3; got 2"),
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
    metrics = json.loads(next(tmp_path.glob("*/metrics.json")).read_text())
    assert metrics["loss"]["gap"]["trained"]["mean"] < 1e-3
    scores = metrics["in_sample"]["last block"]
    assert scores["trained"]["r2"]["mean"] > 0.95 > 0.6 > scores["untrained"]["r2"]["mean"]
