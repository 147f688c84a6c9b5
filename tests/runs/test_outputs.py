import json
import subprocess

import jax.numpy as jnp
import numpy as np
import pytest

from beliefgeo.runs import outputs


def test_json_is_written_whole(tmp_path):
    path = tmp_path / "metrics.json"
    outputs.write_json(path, {"a": np.arange(2), "b": jnp.float32(0.5), "c": None})
    assert json.loads(path.read_text()) == {"a": [0, 1], "b": 0.5, "c": None}
    with pytest.raises(TypeError):
        outputs.write_json(path, {"a": {1, 2}})
    assert json.loads(path.read_text())["b"] == 0.5
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


def test_the_commit_has_a_plus_if_code_differs_from_it(tmp_path):
    git = lambda *words: subprocess.run(
        ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True
    )
    assert outputs.commit(tmp_path) is None
    code, page = tmp_path / "package" / "code.py", tmp_path / "README.md"
    code.parent.mkdir()
    for path in (code, page):
        path.write_text("1")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "one")
    clean = outputs.commit(code.parent)
    assert len(clean) == 10
    page.write_text("2")
    assert outputs.commit(code.parent) == clean
    code.write_text("2")
    assert outputs.commit(tmp_path) == outputs.commit(code.parent) == clean + "+"
