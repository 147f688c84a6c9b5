import json

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
