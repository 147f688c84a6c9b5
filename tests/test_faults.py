"""What can go wrong while a network is trained; `experiments/benchmarks/survival.py` is the long form."""

import json
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from filelock import FileLock

from beliefgeo.learning.training import Batch, training
from beliefgeo.networks.transformer import Transformer, TransformerConfig
from beliefgeo.runs import resumable
from beliefgeo.runs.folder import open_run
from beliefgeo.runs.load import history, load_run

NETWORK = TransformerConfig(vocab_size=2, context=4, layers=1, width=8, heads=1, head_width=4, mlp_width=8)
PLAN = resumable.Plan(steps=12, chunk=2, tokens_per_step=32, snapshots=2)
resumable.SAVING = np.inf  # a checkpoint after every chunk, however fast it was
KEY = jax.random.key(0)


@dataclass(frozen=True)
class Config:
    network: TransformerConfig = NETWORK
    seeds: int = 1


def trainer(rate=0.01):
    draw = lambda key, _: Batch(jax.random.bernoulli(key, 0.3, (8, 5)).astype(int), jnp.float32(0))
    return training(Transformer(NETWORK), optax.sgd(rate), draw, steps=PLAN.chunk)


def train(folder, rate=0.01):
    return resumable.train(open_run(folder, Config()), trainer(rate), KEY, PLAN)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return folder, train(folder)


@pytest.fixture
def finished(undisturbed, tmp_path):
    """A copy to be spoilt."""
    return Path(shutil.copytree(undisturbed[0], tmp_path / "run"))


def assert_same(folder, state, undisturbed):
    """Parameters, every snapshot and the history bit for bit, and nothing temporary left."""
    for ours, theirs in zip(jax.tree.leaves(state.params), jax.tree.leaves(undisturbed[1].params), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for (_, ours), (_, theirs) in zip(
        resumable.snapshots(folder, trainer(), KEY, PLAN),
        resumable.snapshots(undisturbed[0], trainer(), KEY, PLAN),
        strict=True,
    ):
        jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    for name in ("step", "loss", "excess"):
        np.testing.assert_array_equal(getattr(history(folder), name), getattr(history(undisturbed[0]), name))
    assert {path.name for path in folder.iterdir()} == {"config.json", "checkpoints", "history.jsonl", "lock"}
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["0", "10", "12", "2"]


def truncate(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def largest(checkpoint):
    return max((path for path in checkpoint.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


DAMAGES = {
    "truncated": (lambda checkpoint: truncate(largest(checkpoint)), "has changed"),
    "bit-flipped": (lambda checkpoint: flip_a_bit(largest(checkpoint)), "has changed"),
    "missing a file": (lambda checkpoint: largest(checkpoint / "params").unlink(), "is missing"),
    "without checksums": (lambda checkpoint: (checkpoint / "checksums.json").unlink(), "missing or unreadable"),
    "half its checksums": (lambda checkpoint: truncate(checkpoint / "checksums.json"), "missing or unreadable"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_gives_way_to_the_one_before_it(damage, finished, undisturbed, capsys):
    spoil, fault = DAMAGES[damage]
    spoil(finished / "checkpoints" / "12")
    state = train(finished)
    said = capsys.readouterr().out
    assert fault in said and "12 is damaged" in said and "going back to the checkpoint before it" in said
    assert_same(finished, state, undisturbed)


def test_all_checkpoints_damaged(finished, undisturbed, capsys):
    for checkpoint in (finished / "checkpoints").iterdir():
        truncate(largest(checkpoint))
    assert_same(finished, train(finished), undisturbed)
    assert capsys.readouterr().out.count("is damaged") == 4


def test_a_damaged_snapshot_is_refused_with_the_remedy(finished, undisturbed):
    flip_a_bit(largest(finished / "checkpoints" / "2"))
    with pytest.raises(ValueError, match="2 is damaged: .* has changed: remove the checkpoints of this and all later"):
        list(resumable.snapshots(finished, trainer(), KEY, PLAN))
    with pytest.raises(ValueError, match="2 is damaged"):
        load_run(finished, step=2)
    for step in ("2", "10", "12"):
        shutil.rmtree(finished / "checkpoints" / step)
    assert_same(finished, train(finished), undisturbed)


def test_a_checkpoint_of_a_newer_version_is_refused(finished):
    path = finished / "checkpoints" / "12" / "checksums.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99, "beliefgeo": "7.0"}))
    for call in (train, load_run):
        with pytest.raises(ValueError, match=r"format 99, written by beliefgeo 7.0; .* update beliefgeo"):
            call(finished)
    assert path.exists()


def test_a_damaged_configuration_is_refused(finished):
    truncate(finished / "config.json")
    for call in (train, load_run):
        with pytest.raises(ValueError, match="config.json is damaged"):
            call(finished)


def test_a_half_written_line_of_history_is_forgotten(finished, undisturbed):
    shutil.rmtree(finished / "checkpoints" / "12")
    with (finished / "history.jsonl").open("a") as file:
        file.write('{"step": 14, "lo')
    assert_same(finished, train(finished), undisturbed)


def test_killed_before_the_configuration_was_written(tmp_path, undisturbed):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.partial").write_text('{"netw')
    assert_same(folder, train(folder), undisturbed)


def test_one_run_a_folder(finished):
    with FileLock(finished / "lock"), pytest.raises(ValueError, match="another process trains in"):
        train(finished)
    train(finished)


def test_an_interrupt_finishes_the_chunk_and_saves(tmp_path, undisturbed, monkeypatch, capfd):
    append = resumable._append_history

    def append_and_interrupt(folder, step, *rest):
        append(folder, step, *rest)
        if step == 8:
            signal.raise_signal(signal.SIGINT)

    folder, usual = tmp_path / "run", signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt, match="stopped after step 8, which is sav"):
        patched.setattr(resumable, "_append_history", append_and_interrupt)
        train(folder)
    assert "finishing the steps under way" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is usual and load_run(folder).step == 8
    assert_same(folder, train(folder), undisturbed)


def test_a_loss_that_diverges_stops_the_run(tmp_path):
    with pytest.raises(FloatingPointError, match=r"the loss has diverged: .* nats at step 2, .* at first; the last g"):
        train(tmp_path / "run", rate=3e3)
    assert load_run(tmp_path / "run").step == 0


def test_history_on_a_full_disk(tmp_path, undisturbed):
    _, metrics = jax.vmap(trainer().advance)(undisturbed[1])
    (tmp_path / "history.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"cannot write .*history.jsonl at step 12 \(No space left on device\)"):
        resumable._append_history(tmp_path, 12, metrics, 0.0)


PROGRAM = """
import resource, sys
from pathlib import Path
from tests import test_faults

limit = int(sys.argv[2])
test_faults.open_run(Path(sys.argv[1]), test_faults.Config())
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    test_faults.train(Path(sys.argv[1]))
except OSError as error:
    raise SystemExit(f"error: {error}")
"""


def start(folder, limit=-1):
    arguments = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder), str(limit)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_no_room_for_a_checkpoint(finished, undisturbed):
    shutil.rmtree(finished / "checkpoints" / "12")
    program = start(finished, limit=3000)
    said, _ = program.communicate(timeout=120)
    assert program.returncode == 1
    assert re.search(r"cannot save step 12 in .*; the last good checkpoint, step 10, is intact: make room", said), said
    assert load_run(finished).step == 10
    assert_same(finished, train(finished), undisturbed)


def test_killed_at_any_moment(tmp_path, undisturbed):
    folder, random = tmp_path / "run", np.random.default_rng(0)
    for _ in range(3):
        with start(folder) as program:
            while not folder.exists() and program.poll() is None:  # the import is not what is tested
                time.sleep(0.01)
            time.sleep(random.uniform(0, 3))
            program.kill()
    assert_same(folder, train(folder), undisturbed)
