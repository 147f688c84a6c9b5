import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import beliefgeo as bg
from beliefgeo import runs
from beliefgeo.networks.training import Batch, training
from beliefgeo.networks.transformer import Transformer, TransformerConfig

NETWORK = TransformerConfig(vocab_size=2, context=4, layers=1, width=8, heads=1, head_width=4, mlp_width=8)
PLAN = runs.Plan(steps=12, chunk=2, tokens_per_step=32, snapshots=3, seeds=2)
KEY = jax.random.key(0)


@dataclass(frozen=True)
class Config:
    network: TransformerConfig = field(default_factory=lambda: NETWORK)
    learning_rate: float = 0.01
    seeds: int = 2


def trainer():
    def draw(key, _):
        drawn = jax.vmap(bg.sample, (0, None, None))(jax.random.split(key, 8), bg.golden_mean(), 5)
        return Batch(drawn.tokens, -drawn.log_probabilities[:, 1:].mean())

    return training(Transformer(NETWORK), optax.adam(0.01), draw, steps=PLAN.chunk)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = runs.open_run(tmp_path_factory.mktemp("runs") / "run", Config())
    return folder, runs.train(folder, trainer(), KEY, PLAN)


def test_interrupted_and_continued_is_bit_for_bit_the_same(finished, tmp_path, monkeypatch):
    folder = runs.open_run(tmp_path / "run", Config())
    save = runs._save

    def save_then_stop(manager, state, *rest):
        save(manager, state, *rest)
        if int(state.step[0]) == 6:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(runs, "_save", save_then_stop)
        runs.train(folder, trainer(), KEY, PLAN)
    assert runs.history(folder)["step"][-1] == 6
    continued = runs.train(folder, trainer(), KEY, PLAN)
    chex.assert_trees_all_equal(jax.tree.map(_raw, continued), jax.tree.map(_raw, finished[1]))
    for name in ("step", "loss", "excess"):
        np.testing.assert_array_equal(runs.history(folder)[name], runs.history(finished[0])[name])


def _raw(leaf):
    return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def test_work_after_the_last_checkpoint_is_done_again(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    shutil.rmtree(folder / "checkpoints" / "12")
    again = runs.train(folder, trainer(), KEY, PLAN)
    chex.assert_trees_all_equal(again.params, finished[1].params)
    assert runs.history(folder)["step"].tolist() == [2, 4, 6, 8, 10, 12]


def test_a_finished_run_is_not_trained_again(finished):
    folder, state = finished
    again = runs.train(folder, trainer()._replace(advance=lambda state: 1 / 0), KEY, PLAN)
    chex.assert_trees_all_equal(again.params, state.params)


def test_seeds_do_not_depend_on_how_many_there_are(finished, tmp_path):
    folder = runs.open_run(tmp_path / "run", Config(seeds=1))
    runs.train(folder, trainer(), KEY, replace(PLAN, seeds=1))
    alone, together = runs.load_run(folder, step=0), runs.load_run(finished[0], step=0)
    chex.assert_trees_all_equal(alone.params, together.params)
    # Losses, not parameters: the loss does not depend on the key biases, which Adam moves at the whim of rounding.
    losses = [runs.history(one)["loss"][:, 0] for one in (folder, finished[0])]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)


def test_snapshots_are_log_spaced_and_begin_untrained(finished):
    folder, state = finished
    held = dict(runs.snapshots(folder, trainer(), KEY, PLAN))
    assert list(held) == PLAN.snapshot_steps() == [0, 2, 4, 12]
    chex.assert_trees_all_equal(held[12], state.params)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(KEY, jnp.arange(2))
    chex.assert_trees_all_equal(held[0], jax.jit(jax.vmap(trainer().init))(keys).params)


def test_one_snapshot_is_the_last_step():
    assert replace(PLAN, snapshots=1).snapshot_steps() == [0, 12]


def test_three_lines_load_a_run_and_give_activations(finished):
    folder, state = finished
    run = runs.load_run(folder, seed=1)
    logits, activations = run([0, 1, 0])
    expected, _ = Transformer(NETWORK).apply(jax.tree.map(lambda leaf: leaf[1], state.params), jnp.array([0, 1, 0]))
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    assert activations["resid_post"].shape == (1, 3, 8) and run.step == 12 and run.config["learning_rate"] == 0.01
    assert runs.load_run(folder, step=0).step == 0


def test_load_run_mistakes(finished, tmp_path):
    with pytest.raises(ValueError, match="holds no run"):
        runs.load_run(tmp_path)
    with pytest.raises(ValueError, match=r"checkpoints at steps \[0, 2, 4, 10, 12\]; got step=5"):
        runs.load_run(finished[0], step=5)
    with pytest.raises(ValueError, match=r"seeds 0..1; got seed=2"):
        runs.load_run(finished[0], seed=2)


def test_a_checkpoint_says_what_made_it(finished):
    about = json.loads((finished[0] / "checkpoints" / "12" / "about" / "metadata").read_text())
    assert about["config"]["learning_rate"] == 0.01 and about["versions"]["jax"] == jax.__version__


def test_a_folder_of_another_configuration_is_left_alone(finished):
    folder = finished[0]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    other = Config(network=replace(NETWORK, width=16), learning_rate=0.1)
    message = "network.width is 8, asked for 16; learning_rate is 0.01, asked for 0.1"
    with pytest.raises(ValueError, match=message):
        runs.open_run(folder, other)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_folders_that_cannot_hold_a_run(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot write the run folder .*; choose another"):
        runs.open_run(tmp_path / "file" / "run", Config())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="not empty and holds no run"):
        runs.open_run(tmp_path / "full", Config())
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full", "thesis.tex"]


@pytest.mark.parametrize("name", ["../elsewhere", "/tmp/x", "a/b", "..", ""])
def test_names_do_not_lead_out_of_the_output_folder(name):
    with pytest.raises(ValueError, match="must be letters, digits"):
        runs.run_folder("runs", name, Config())


def test_names_of_folders_follow_the_configuration():
    one = runs.run_folder("runs", "default", Config())
    assert one == runs.run_folder("runs", "default", Config()) and one.name.startswith("default-")
    assert one != runs.run_folder("runs", "default", Config(learning_rate=0.1))


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path):
    folder = runs.open_run(tmp_path / "run", Config())
    whole = trainer()

    def advance(state):
        spoilt = jnp.where(state.step >= 6, jnp.nan, 1.0)
        return whole.advance(state._replace(params=jax.tree.map(lambda leaf: leaf * spoilt, state.params)))

    with pytest.raises(FloatingPointError, match="no longer finite at step 7; the last good checkpoint, step 6"):
        runs.train(folder, whole._replace(advance=advance), KEY, PLAN)
    assert runs.load_run(folder).step == 6
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(runs.load_run(folder).params))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"steps": 13}, r"multiple of chunk \(2\); got 13: try 12"), ({"seeds": 0}, "seeds must be at least 1; got 0")],
)
def test_plans_that_cannot_be(change, message):
    with pytest.raises(ValueError, match=message):
        replace(PLAN, **change)


def test_json_is_written_whole(tmp_path):
    path = tmp_path / "metrics.json"
    runs.write_json(path, {"a": np.arange(2), "b": jnp.float32(0.5), "c": None})
    assert json.loads(path.read_text()) == {"a": [0, 1], "b": 0.5, "c": None}
    with pytest.raises(TypeError):
        runs.write_json(path, {"a": {1, 2}})
    assert json.loads(path.read_text())["b"] == 0.5
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


def test_progress_off_a_terminal(finished, tmp_path, capsys):
    runs.train(runs.open_run(tmp_path / "run", Config()), trainer(), KEY, PLAN)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("step 12 of 12: ") and "above the exact floor, 0 s left" in lines[-1]


def test_nothing_here_is_outside_the_folder(finished):
    names = {"config.json", "checkpoints", "history.jsonl", "lock"}
    assert {path.name for path in Path(finished[0]).iterdir()} == names
