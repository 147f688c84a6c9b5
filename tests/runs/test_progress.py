"""What a training tells while it runs, to the loggers that others use."""

import numpy as np
import pytest

from beliefgeo.learning.training import Metrics
from beliefgeo.runs import resumable
from beliefgeo.runs.folder import open_run
from beliefgeo.runs.load import history
from beliefgeo.runs.progress import logged
from tests.small_run import KEY, PLAN, Config, trainer


def test_numbers_by_name():
    one = Metrics(np.array([[1.0, 2.0, 6.0]]), np.array([[0.0, 0.5, 0.25]]))
    assert logged(one) == {"loss": 3.0, "excess": 0.25}
    two = Metrics(np.array([[1.0, 2.0], [5.0, 6.0]], np.float32), np.zeros((2, 2), np.float32))
    assert logged(two) == {"loss": 3.5, "loss/0": 1.5, "loss/1": 5.5, "excess": 0.0, "excess/0": 0.0, "excess/1": 0.0}


@pytest.mark.filterwarnings("ignore")
def test_trackio_keeps_them(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    trackio = pytest.importorskip("trackio")
    from trackio.sqlite_storage import SQLiteStorage  # pyright: ignore[reportMissingImports]

    trackio.init(project="small", name="run", embed=False)
    folder = open_run(tmp_path / "run", Config())
    resumable.train(folder, trainer(), KEY, PLAN, log=trackio.log)
    trackio.finish()
    kept = [line for line in SQLiteStorage.get_logs("small", "run") if "loss" in line]
    assert [line["step"] for line in kept] == history(folder).step.tolist()
    np.testing.assert_allclose([line["loss/1"] for line in kept], history(folder).loss[:, 1], rtol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_wandb_takes_them(tmp_path):
    run = pytest.importorskip("wandb").init(project="small", mode="disabled", dir=tmp_path)
    run.log(logged(Metrics(np.ones((1, 2)), np.zeros((1, 2)))), step=10)
    assert run.summary["loss"] == 1
    run.finish()
