import json
from pathlib import Path

import numpy as np
import pytest

from beliefgeo.probes.controls import Rank
from beliefgeo.reading import Seeds
from beliefgeo.runs.claims import Claim, look_up, markdown, table_of, tell, write_claims, write_table

RESULTS = {"nets": {64: {"gap": Seeds(np.array([[1.0, 5.0], [3.0, 7.0]]))}}, "rank": Rank(2, 5), "list": [0.5, 1.5]}
EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def test_paths_through_records_keys_indices_and_seeds():
    assert look_up(RESULTS, "rank/of") == 5 and look_up(RESULTS, "list/1") == 1.5
    np.testing.assert_array_equal(look_up(RESULTS, "nets/64/gap/at 1").values, [5, 7])
    for missing in ("nets/128/gap", "nothing", "list/2", "rank/nothing"):
        assert look_up(RESULTS, missing) is None


def test_lines_are_written_as_asked():
    claims = [
        Claim("gap", "nets/64/gap/at 0", "1.6", ".1f"),
        Claim("gaps", "nets/64/gap", form=".0f"),
        Claim("rank", "rank"),
        Claim("left out", "nets/128/gap"),
    ]
    gap, gaps, rank = tell(claims, RESULTS)
    assert gap == {"label": "gap", "published": "1.6", "ours": "2.0", "seeds": 2, "interval": "-10.7 to 14.7"}
    assert gaps["ours"] == "2 6" and rank == {"label": "rank", "published": "", "ours": "2 of 5"}


def test_lines_of_another_command_stay(tmp_path):
    path, page = tmp_path / "claims.json", tmp_path / "README.md"
    made = {"command": "python experiments/x", "commit": "abc", "device": "cpu"}
    line = {"label": "a", "published": "", "ours": "1"}
    write_claims(path, [line], made)
    write_claims(path, [line], made | {"command": "python experiments/x fast"})
    every = write_claims(path, [line | {"ours": "2"}], made | {"commit": "def"})
    assert [(one["command"][21:], one["ours"], one["commit"]) for one in every] == [
        ("", "2", "def"),
        ("fast", "1", "abc"),
    ]
    assert json.loads(path.read_text()) == every and len(path.read_text().splitlines()) == 4  # a line a claim
    page.write_text("# X\n\n<!-- claims -->\nold\n<!-- end of claims -->\n\nProse.\n")
    write_table(page, every)
    assert table_of(page) == markdown(every) and page.read_text().endswith("Prose.\n") and "old" not in page.read_text()
    page.write_text("# X\n")
    with pytest.raises(ValueError, match="must hold <!-- claims -->"):
        write_table(page, every)


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*/claims.json")), ids=lambda path: path.parent.name)
def test_pages_say_what_was_measured(path):
    every = json.loads(path.read_text())
    assert table_of(path.parent / "README.md") == markdown(every)
    assert all(line["commit"] and line["command"].startswith("python experiments/") for line in every)
