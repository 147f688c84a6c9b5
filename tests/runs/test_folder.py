import json
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from beliefgeo.networks.transformer import Transformer
from beliefgeo.runs import resumable
from beliefgeo.runs.folder import open_run, read_config, run_folder
from beliefgeo.runs.load import load_run
from tests.small_run import KEY, NETWORK, PLAN, Config, trainer


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = open_run(tmp_path_factory.mktemp("runs") / "run", Config())
    return folder, resumable.train(folder, trainer(), KEY, PLAN)


def test_three_lines_load_a_run_and_give_activations(finished):
    folder, state = finished
    run = load_run(folder, seed=1)
    logits, activations = run([0, 1, 0])
    expected, _ = Transformer(NETWORK).apply(jax.tree.map(lambda leaf: leaf[1], state.params), jnp.array([0, 1, 0]))
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    assert activations["resid_post"].shape == (1, 3, 8) and run.step == 12 and run.config["learning_rate"] == 0.01
    assert load_run(folder, step=0).step == 0


def test_load_run_mistakes(finished, tmp_path):
    with pytest.raises(ValueError, match="holds no run"):
        load_run(tmp_path)
    with pytest.raises(ValueError, match=r"checkpoints at steps \[0, 2, 4, 10, 12\]; got step=5"):
        load_run(finished[0], step=5)
    with pytest.raises(ValueError, match=r"seeds 0..1; got seed=2"):
        load_run(finished[0], seed=2)


@pytest.mark.parametrize(
    ("tokens", "error", "message"),
    [
        ([0, 2], ValueError, "must lie in 0..1, the vocabulary of the network; got 2 at position 1"),
        ([-1, 0], ValueError, "got -1 at position 0"),
        (np.array([0, 2**32 + 1]), ValueError, "got 4294967297 at position 1"),
        ([True, False], TypeError, "tokens must be integers; got bool"),
        ([0.0], TypeError, "tokens must be integers; got float64"),
        ([[0, 1], [0]], ValueError, "got sequences of several lengths: cut them to one length"),
        ([[0, 1]], ValueError, r"got shape \(1, 2\).*use jax.vmap for a batch"),
    ],
)
def test_a_network_reads_tokens_of_its_vocabulary(finished, tokens, error, message):
    with pytest.raises(error, match=message):
        load_run(finished[0])(tokens)


def test_a_batch_is_read_under_vmap(finished):
    run, words = load_run(finished[0]), jnp.array([[0, 1, 1], [1, 0, 1]])
    for together, word in zip(jax.vmap(run)(words)[0], words, strict=True):
        np.testing.assert_allclose(together, run(word)[0], atol=1e-6)


def test_a_record_that_does_not_describe_the_network(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "run")
    record = read_config(tmp_path / "run")
    record["network"]["width"] = 16
    (tmp_path / "run" / "config.json").write_text(json.dumps(record))
    message = (
        r"holds another network, .*block_0.attention.key.kernel has shape \[2, 8, 1, 4\], asked for \[2, 16, 1, 4\]"
    )
    with pytest.raises(ValueError, match=message):
        load_run(tmp_path / "run")


def test_a_folder_of_another_configuration_is_left_alone(finished):
    folder = finished[0]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    other = Config(network=replace(NETWORK, width=16), learning_rate=0.1)
    message = "network.width is 8, asked for 16; learning_rate is 0.01, asked for 0.1"
    with pytest.raises(ValueError, match=message):
        open_run(folder, other)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_folders_that_cannot_hold_a_run(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot write the run folder .*; choose another"):
        open_run(tmp_path / "file" / "run", Config())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="not empty and holds no run"):
        open_run(tmp_path / "full", Config())
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full", "thesis.tex"]


@pytest.mark.parametrize("name", ["../elsewhere", "/tmp/x", "a/b", "..", ""])
def test_names_do_not_lead_out_of_the_output_folder(name):
    with pytest.raises(ValueError, match="must be letters, digits"):
        run_folder("runs", name, Config())


def test_names_of_folders_follow_the_configuration():
    one = run_folder("runs", "default", Config())
    assert one == run_folder("runs", "default", Config()) and one.name.startswith("default-")
    assert one != run_folder("runs", "default", Config(learning_rate=0.1))


def test_nothing_here_is_outside_the_folder(finished):
    names = {"config.json", "checkpoints", "history.jsonl", "lock"}
    assert {path.name for path in Path(finished[0]).iterdir()} == names
