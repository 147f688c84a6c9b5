"""The ledger of training records: its page, its rules, and a small entry."""

import json
import sys

import pytest

from beliefgeo.networks import TransformerConfig
from tests.experiments.command import modules


@pytest.fixture(scope="module")
def speedrun():
    with modules("benchmarks", "speedrun") as parts:
        yield parts.speedrun


def entry(tokens, reached, goal="paper", track="laws"):
    recipe = {"steps": 5, "batch": 4, "weight_decay": None}
    made = {"date": "2026-12-01T00:00:00", "commit": "abc", "device": "cpu", "seconds": 1.25, "medians": {"gap": 1e-4}}
    return {"goal": goal, "track": track, "tokens": tokens, "reached": reached, "recipe": recipe, **made}


def test_the_page_is_made_from_the_ledger(speedrun):
    assert speedrun.PAGE.read_text() == speedrun.page(speedrun.report.read(speedrun.LEDGER))


def test_every_entry_is_judged_by_the_medians_of_five_networks(speedrun):
    for line in speedrun.report.read(speedrun.LEDGER):
        goal, numbers = speedrun.GOALS[line["goal"]], [one["numbers"] for one in line["networks"]]
        assert len(numbers) == 5 and line["reached"] == goal.reached(line["medians"])
        medians = {name: sorted(one[name] for one in numbers)[2] for name in numbers[0]}
        assert line["medians"] == pytest.approx(medians, rel=1e-3)  # the ledger has four digits
        recipe = line["recipe"]
        assert line["tokens"] == recipe["steps"] * recipe["batch"] * goal.network.context
        assert (recipe["data"] == "laws") == (line["track"] == "laws")


def test_the_fewest_tokens_that_reach_a_goal_are_the_record(speedrun):
    lines = [entry(300, True), entry(100, False), entry(200, True), entry(400, True, track="samples")]
    rows = [row.split(" | ") for row in speedrun.page(lines).splitlines()[-4:]]
    assert [row[2] for row in rows] == ["300", "**200**", "100", "**400**"]
    assert [row[4] for row in rows] == ["yes", "yes", "no", "yes"] and rows[0][6] == "steps 5, batch 4"


def test_both_sides_of_a_goal_are_needed(speedrun):
    goal = speedrun.GOALS["paper"]
    assert goal.reached({"gap": 1e-4, "MSE": 3e-4}) and not goal.reached({"gap": 1e-4, "MSE": 4e-4})
    assert not goal.reached({"gap": 2e-4, "MSE": 3e-4}) and not speedrun.GOALS["window 6"].reached({"window": 5.9})


def call(speedrun, monkeypatch, *args):
    monkeypatch.setattr(sys, "argv", ["speedrun.py", *args])
    speedrun.tyro.cli(speedrun.main)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--data", "samples"), "the track laws does not learn from samples"),
        (("--enter", "--seed", "1"), "an entry is of seed 0 and five networks; got seed 1 and 5"),
        (("--enter", "--seeds", "2"), "got seed 0 and 2"),
    ],
)
def test_what_is_no_entry(speedrun, args, message, monkeypatch):
    with pytest.raises(SystemExit, match=message):
        call(speedrun, monkeypatch, "paper", "laws", *args)


def test_a_goal_without_a_record_begins_with_a_recipe_of_its_track(speedrun, monkeypatch):
    tried = []
    monkeypatch.setattr(speedrun, "train", lambda goal, recipe, seed, seeds: tried.append(recipe) or exit())
    for track, data in (("laws", "laws"), ("samples", "quasirandom")):
        with pytest.raises(SystemExit):
            call(speedrun, monkeypatch, "window 8", track, "--batch", "8")
        assert (tried[-1].data, tried[-1].batch) == (data, 8)


def test_a_small_entry(speedrun, monkeypatch, tmp_path):
    goal = speedrun.GOALS["paper"]._replace(network=TransformerConfig(context=4, layers=4, width=8, mlp_width=8))
    monkeypatch.setitem(speedrun.GOALS, "paper", goal)
    ledger = tmp_path / "training.jsonl"
    call(speedrun, monkeypatch, "paper", "laws", "--steps", "20", "--batch", "2", "--enter", "--ledger", str(ledger))
    line = json.loads(ledger.read_text())
    assert (
        line["tokens"] == 20 * 2 * 4 and not line["reached"] and len({one["seconds"] for one in line["networks"]}) > 1
    )
    assert set(line["medians"]) == {"gap", "MSE", "window"} and line["medians"]["gap"] > 1e-3
    assert "| paper | laws | 160 |" in (tmp_path / "training.md").read_text()
