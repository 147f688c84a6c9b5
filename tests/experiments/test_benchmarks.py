"""The history of benchmarks and the page of records made from it; each benchmark once, at its smallest."""

import json
import subprocess
import sys

import pytest

from tests.experiments.command import EXPERIMENTS, module

report = module("benchmarks", "report")
HEAD = {"date", "benchmark", "commit", "device", "versions"}


def test_every_ratio_is_that_of_its_medians():
    lines = report.read()
    assert {line["benchmark"] for line in lines} >= {"kernels", "theory", "training", "survival"}
    for line in lines:
        assert set(line) > HEAD
        for group, ratios in line.get("ratios", {}).items():
            for ours, beside in ratios.items():
                for baseline, ratio in beside.items():
                    medians = line["medians"][group]
                    # Each of the three has four digits.
                    assert ratio == pytest.approx(medians[baseline] / medians[ours], rel=2e-3)


def test_the_page_of_records_is_made_from_the_history():
    assert report.RECORDS.read_text() == report.records(report.read())


def run(date, milliseconds, device="cpu"):
    compared = report.Compared({"theirs": 6.0, "floor": 1.0}, {"ours": milliseconds})
    line = dict.fromkeys(HEAD, date) | {"benchmark": "kernels", "device": device}
    return line | report.numbers({"sampling": compared})


def test_the_best_run_on_each_device_and_the_latest():
    lines = [run("1", 3.0), run("2", 2.0), run("3", 4.0), run("4", 1.0, "gpu"), {"benchmark": "survival"}]
    rows = report.records(lines).splitlines()[-4:]
    assert rows[:2] == [
        "| sampling | ours | theirs | 3.00 | 2 | 2 | 2 | 1.50 | cpu |",
        "| sampling | ours | floor | 0.50 | 2 | 2 | 2 | 0.25 | cpu |",
    ]
    assert rows[2] == "| sampling | ours | theirs | 6.00 | 1 | 4 | 4 | 6.00 | gpu |"


def test_a_run_is_a_line_of_the_history(tmp_path):
    history = tmp_path / "history.jsonl"
    for milliseconds in (3.0, 0.123456):
        compared = report.Compared({"theirs": 6.0}, {"ours": milliseconds})
        report.append(history, "kernels", report.numbers({"sampling": compared}), {"theirs": "1.2"})
    first, last = report.read(history)
    assert set(first) == HEAD | {"medians", "ratios"} and first["versions"]["theirs"] == "1.2"
    assert first["ratios"] == {"sampling": {"ours": {"theirs": 2.0}}}
    assert last["medians"]["sampling"] == {"theirs": 6.0, "ours": 0.1235}


SMALLEST = {
    "kernels": {"BATCH": 4, "LENGTH": 8, "ROWS": 200_000, "WIDE": 8, "REPETITIONS": 2},
    "theory": {"DEPTH": 3, "N_TOKENS": 2000, "LENGTHS": (100,), "BATCHES": (2,)},
    "training": {"BATCHES": (8,), "STEPS": 2, "REPETITIONS": 2, "SEEDS": 2},
}
PEERS = {"kernels": ("dynamax", "hmmlearn", "sklearn"), "theory": ("emic",), "training": ("torch",)}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_a_benchmark_runs(name, tmp_path):
    """That nothing it measures has been renamed, and that ours and theirs agree; the numbers say nothing."""
    for peer in PEERS[name]:
        pytest.importorskip(peer)
    history = tmp_path / "history.jsonl"
    code = f"""
import sys, pathlib
sys.path.insert(0, {str(EXPERIMENTS / "benchmarks")!r})
import {name}
vars({name}).update({SMALLEST[name]!r})
{name}.main(pathlib.Path({str(history)!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    line = json.loads(history.read_text())
    assert line["benchmark"] == name and all(line["medians"][group] for group in line["ratios"])
