"""What networks read, and the controls, are drawn from keys of their own, none that a network was trained with."""

import runpy
from pathlib import Path

import jax
import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
LANES = 20  # more networks than any experiment trains in one program


@pytest.mark.parametrize("name", ["quantum"])
def test_keys_are_used_once(name):
    experiment = runpy.run_path(str(EXPERIMENTS / f"{name}.py"), run_name=name)
    config = experiment["Config"]()
    seed = jax.random.key(config.budget.seed)
    # Of each lane its key, and the two it splits into for parameters and data.
    lanes = [jax.random.fold_in(seed, lane) for lane in range(LANES)]
    training = [seed, *lanes, *(key for lane in lanes for key in jax.random.split(lane))]
    drawn = [key for leaf in jax.tree.leaves(experiment["keys"](config)) for key in leaf.reshape(-1)]
    bits = [tuple(jax.random.key_data(key).tolist()) for key in [*training, *drawn]]
    assert len(drawn) >= 3 and len(set(bits)) == len(bits)
