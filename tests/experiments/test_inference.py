"""The experiment as a user runs it: a subprocess, tiny."""

import json

from tests.experiments.command import start


def test_a_small_run(tmp_path):
    sizes = ["--most", "10000", "--sizes", "2", "--seeds", "3"]
    done = start("inference", "quick", *sizes, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in folder.iterdir()} == {"config.json", "metrics.json", "recovery.png"}
    processes = json.loads((folder / "metrics.json").read_text())["processes"]
    for name in ("golden_mean", "even", "z1r"):
        last = processes[name]["causal states"][-1]
        assert last["tokens"] == 10_000 and last["share"] == 1 and last["interval"][0] < 1 == last["interval"][1]
        # The right machine with fitted probabilities knows words better than their frequencies do.
        assert last["word distance, median"] < last["word distance of frequencies, median"]
    assert processes["rrxor"]["causal states, next token only"][-1]["share"] == 0
