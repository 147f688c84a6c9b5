"""Keys by name: each its own, the same in every call, none that a network is trained with."""

import re
from pathlib import Path

import jax

from beliefgeo.runs.run import Run

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
LANES = 20  # more networks than any experiment trains in one program


def bits(key):
    return tuple(jax.random.key_data(key).tolist())


def test_no_name_that_an_experiment_uses_gives_a_key_of_another_or_of_training(tmp_path):
    sources = [path.read_text() for path in EXPERIMENTS.glob("*/*.py")]
    names = {name for source in sources for name in re.findall(r'\bkey\(f?"([^"]+)"\)', source)}
    assert {"words", "pairs", "shuffle"} <= names
    seed, run = jax.random.key(0), Run(tmp_path, seed=0)
    # Of each lane its key, and the two it splits into for parameters and data.
    lanes = [jax.random.fold_in(seed, lane) for lane in range(LANES)]
    training = [seed, *lanes, *(key for lane in lanes for key in jax.random.split(lane))]
    every = [bits(key) for key in [*training, *map(run.key, names)]]
    assert len(set(every)) == len(every)


def test_a_key_depends_on_the_seed_and_the_name_alone(tmp_path):
    own = bits(Run(tmp_path, seed=0).key("words"))
    assert own == bits(Run(tmp_path / "other", seed=0).key("words")) != bits(Run(tmp_path, seed=1).key("words"))
