import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from beliefgeo.runs import checkpoints, resumable
from beliefgeo.runs.folder import open_run
from beliefgeo.runs.load import history, load_run
from tests.small_run import KEY, PLAN, Config, trainer


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = open_run(tmp_path_factory.mktemp("runs") / "run", Config())
    return folder, resumable.train(folder, trainer(), KEY, PLAN)


def test_interrupted_and_continued_is_bit_for_bit_the_same(finished, tmp_path, monkeypatch):
    folder = open_run(tmp_path / "run", Config())
    save = resumable._save

    def save_then_stop(manager, state, *rest):
        save(manager, state, *rest)
        if int(state.step[0]) == 6:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(resumable, "_save", save_then_stop)
        resumable.train(folder, trainer(), KEY, PLAN)
    assert history(folder).step[-1] == 6
    continued = resumable.train(folder, trainer(), KEY, PLAN)
    chex.assert_trees_all_equal(jax.tree.map(_raw, continued), jax.tree.map(_raw, finished[1]))
    for name in ("step", "loss", "excess"):
        np.testing.assert_array_equal(getattr(history(folder), name), getattr(history(finished[0]), name))


def _raw(leaf):
    return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def test_work_after_the_last_checkpoint_is_done_again(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    shutil.rmtree(folder / "checkpoints" / "12")
    again = resumable.train(folder, trainer(), KEY, PLAN)
    chex.assert_trees_all_equal(again.params, finished[1].params)
    assert history(folder).step.tolist() == [2, 4, 6, 8, 10, 12]


def test_a_finished_run_is_not_trained_again(finished):
    folder, state = finished
    again = resumable.train(folder, trainer()._replace(advance=lambda state: 1 / 0), KEY, PLAN)
    chex.assert_trees_all_equal(again.params, state.params)


def test_seeds_do_not_depend_on_how_many_there_are(finished, tmp_path):
    folder = open_run(tmp_path / "run", Config(seeds=1))
    resumable.train(folder, trainer(), KEY, replace(PLAN, seeds=1))
    alone, together = load_run(folder, step=0), load_run(finished[0], step=0)
    chex.assert_trees_all_equal(alone.params, together.params)
    # Losses, not parameters: the loss does not depend on the key biases, which Adam moves at the whim of rounding.
    losses = [history(one).loss[:, 0] for one in (folder, finished[0])]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)


def test_snapshots_are_log_spaced_and_begin_untrained(finished):
    folder, state = finished
    held = dict(resumable.snapshots(folder, trainer(), KEY, PLAN))
    assert list(held) == PLAN.snapshot_steps() == [0, 2, 4, 12]
    chex.assert_trees_all_equal(held[12], state.params)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(KEY, jnp.arange(2))
    chex.assert_trees_all_equal(held[0], jax.jit(jax.vmap(trainer().init))(keys).params)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, [2, 4, 6, 8, 10, 12]), (0.6, [2, 4, 8, 12]), (9.0, [2, 4, 12])]
)
def test_saving_takes_no_more_than_a_twentieth_of_the_time_besides_snapshots(seconds, expected, tmp_path, monkeypatch):
    """A chunk takes ten seconds by the clock, and to save takes some."""
    clock, saved, save, check = SimpleNamespace(now=0.0), [], resumable._save, resumable._require_learning

    def timed_save(manager, state, step, *rest):
        save(manager, state, step, *rest)
        clock.now += seconds
        saved.append(step)

    def timed_check(*given):
        check(*given)
        clock.now += 10

    monkeypatch.setattr(resumable, "SAVING", 1 / 20)
    monkeypatch.setattr(resumable, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    monkeypatch.setattr(resumable, "_save", timed_save)
    monkeypatch.setattr(resumable, "_require_learning", timed_check)
    resumable.train(open_run(tmp_path / "run", Config()), trainer(), KEY, PLAN)
    assert saved == [0, *expected]


def test_one_snapshot_is_the_last_step():
    assert replace(PLAN, snapshots=1).snapshot_steps() == [0, 12]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"steps": 13}, r"multiple of chunk \(2\); got 13: try 12"), ({"seeds": 0}, "seeds must be at least 1; got 0")],
)
def test_plans_that_cannot_be(change, message):
    with pytest.raises(ValueError, match=message):
        replace(PLAN, **change)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path):
    folder = open_run(tmp_path / "run", Config())
    whole = trainer()

    def advance(state):
        spoilt = jnp.where(state.step >= 6, jnp.nan, 1.0)
        return whole.advance(state._replace(params=jax.tree.map(lambda leaf: leaf * spoilt, state.params)))

    with pytest.raises(FloatingPointError, match="no longer finite at step 7; the last good checkpoint, step 6"):
        resumable.train(folder, whole._replace(advance=advance), KEY, PLAN)
    assert load_run(folder).step == 6
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(load_run(folder).params))


@pytest.mark.parametrize(
    ("key", "plan", "sources", "message"),
    [
        (jax.random.key(1), PLAN, None, r"trained from other data .key is key<fry> uint32\[2\] \w+, asked for key"),
        (KEY, PLAN, {"p": jnp.array([0.1, 0.2])}, r"other data .*sources.'p' is None, asked for float32\[2\] "),
        (KEY, replace(PLAN, steps=10), None, "trained for 12 steps, which a plan of 10 steps in chunks of 2 does not"),
        (
            KEY,
            replace(PLAN, steps=20, chunk=5),
            None,
            "12 steps, which a plan of 20 steps in chunks of 5 does not pass",
        ),
        (KEY, replace(PLAN, seeds=3), None, r"holds another network, optimiser or number of seeds: .* asked for \[3"),
    ],
)
def test_a_folder_trained_from_something_else_is_refused(finished, key, plan, sources, message):
    with pytest.raises(ValueError, match=message):
        resumable.train(finished[0], trainer(), key, plan, sources)


def test_snapshots_of_another_key_are_refused(finished):
    with pytest.raises(ValueError, match="trained from other data"):
        next(resumable.snapshots(finished[0], trainer(), jax.random.key(1), PLAN))


def test_a_checkpoint_that_does_not_record_its_data_is_refused(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints").glob("*/about/metadata"):
        about = json.loads(path.read_text())
        path.write_text(json.dumps({name: about[name] for name in ("config", "versions")}))
        checkpoints._write_checksums(path.parent.parent)
    with pytest.raises(ValueError, match="an earlier beliefgeo trained in .* did not record the key and sources"):
        resumable.train(tmp_path / "run", trainer(), KEY, PLAN)
    assert load_run(tmp_path / "run").step == 12


def test_chunks_of_another_length_than_training_has(tmp_path):
    folder = open_run(tmp_path / "run", Config())
    with pytest.raises(ValueError, match="training advances by 2 steps, the plan by chunks of 3: give both the same"):
        resumable.train(folder, trainer(), KEY, replace(PLAN, chunk=3))


def test_a_checkpoint_says_what_made_it(finished):
    about = json.loads((finished[0] / "checkpoints" / "12" / "about" / "metadata").read_text())
    assert about["config"]["learning_rate"] == 0.01 and about["versions"]["jax"] == jax.__version__


def test_progress_off_a_terminal(finished, tmp_path, capsys):
    resumable.train(open_run(tmp_path / "run", Config()), trainer(), KEY, PLAN)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("step 12 of 12: ") and "above the exact floor, 0 s left" in lines[-1]
