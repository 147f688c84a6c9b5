import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

from beliefgeo.reading import Seeds
from beliefgeo.runs import Claim, start


@dataclass(frozen=True)
class Inner:
    width: int = 4
    """How wide."""


@dataclass(frozen=True)
class Config:
    rate: float = 0.1
    """How fast."""
    inner: Inner = field(default_factory=Inner)
    widths: tuple[int, ...] = (2, 3)
    extra_widths: tuple[int, ...] = (2, 3)
    seed: int = 0


class Results(NamedTuple):
    gap: Seeds
    cloud: np.ndarray


PRESETS = {"default": Config(), "fast": Config(rate=0.5, extra_widths=())}
CLAIMS = [Claim("gap", "gap", "0.1", ".2f"), Claim("elsewhere", "nothing/there")]


def call(out, *args, main=None):
    seen = []

    def method(run, config):
        seen.append((run, config))
        with run.stage("train"):
            return Results(Seeds(np.array([1.0, 2.0, 3.0])), np.zeros((3000, 2)))

    draw = lambda results: {"picture": Figure()}
    start(main or method, PRESETS, claims=CLAIMS, draw=draw, args=[*args, "--out", str(out)])
    return seen[0]


def test_presets_and_overrides(tmp_path):
    assert call(tmp_path)[1] == Config()
    assert call(tmp_path, "fast", "--width", "7")[1] == Config(0.5, Inner(7), extra_widths=())
    run, config = call(tmp_path, "--rate", "2.5", "--seed", "3")
    assert config == Config(2.5, seed=3) and run.seed == 3 and run.root == tmp_path


def test_what_a_call_leaves(tmp_path, capsys):
    call(tmp_path, "fast")
    (folder,) = (tmp_path / "runs").iterdir()  # named by the folder that this file lies in
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "results.json", "arrays.npz", "run.json", "claims.json", "picture.png")
    }
    results = json.loads((folder / "results.json").read_text())
    assert results["gap"]["mean"] == 2 and results["gap"]["values"] == [1, 2, 3]
    assert results["cloud"] == "arrays.npz: cloud" and np.load(folder / "arrays.npz")["cloud"].shape == (3000, 2)
    (line,) = json.loads((folder / "claims.json").read_text())
    assert (line["label"], line["published"], line["ours"], line["seeds"]) == ("gap", "0.1", "2.00", 3)
    assert line["interval"] == "-0.48 to 4.48" and line["command"] == "python tests/runs fast"
    said = capsys.readouterr().out
    assert said.startswith(f"runs fast: {folder}\n") and "2.00" in said and "-0.48 to 4.48" in said
    about = json.loads((folder / "run.json").read_text())
    shown = said.splitlines()[-1]
    parts, total = shown.split("; ")[1].removesuffix(" s").split(" = ")
    assert abs(sum(about["seconds"].values()) - float(total)) < 1 and set(about["seconds"]) >= {
        "train",
        "draw",
        "compile",
    }
    assert all(name in parts for name in about["seconds"])


def test_what_is_published_stands_beside_the_code(tmp_path, monkeypatch):
    """`claims` puts claims and the table of the page there, `all` the pictures too; the command is said again."""
    home, module = tmp_path / "claim", sys.modules["beliefgeo.runs.start"]
    home.mkdir()
    (home / "README.md").write_text("<!-- claims -->\n<!-- end of claims -->\n")
    publish = module._publish
    monkeypatch.setattr(module, "_publish", lambda _, *args, **options: publish(home, *args, **options))
    call(tmp_path / "out", "--rate", "2.5", "--publish", "claims")
    (line,) = json.loads((home / "claims.json").read_text())
    assert line["command"] == "python tests/runs --rate 2.5" and not (home / "picture.png").exists()
    assert "| gap | 0.1 | 2.00 | -0.48 to 4.48 |" in (home / "README.md").read_text()
    call(tmp_path / "out", "--publish", "all")
    assert (home / "picture.png").exists() and len(json.loads((home / "claims.json").read_text())) == 2


def test_help_explains_every_field(capsys, tmp_path):
    with pytest.raises(SystemExit):
        call(tmp_path, "--help")
    text = capsys.readouterr().out
    assert all(words in text for words in ("How fast.", "How wide.", "--rate", "--width", "--out", "--publish"))


def test_mistakes_are_one_sentence_and_leave_nothing(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(SystemExit, match="error: no preset 'quick'; choose one of default, fast"):
        call(out, "quick")
    for error, message in ((ValueError("x needs y"), "error: x needs y"), (FloatingPointError("nan"), "error: nan")):

        def fails(run, config, error=error):
            raise error

        with pytest.raises(SystemExit, match=message):
            call(out, main=fails)
    assert not out.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="error: cannot write the run folder .*; choose another"):
        call(tmp_path / "file" / "runs")


def test_a_list_is_empty_only_where_a_preset_has_it_so(tmp_path):
    with pytest.raises(
        SystemExit, match="error: --widths needs at least one value, got none: for instance --widths 2 3"
    ):
        call(tmp_path, "--widths")
    assert not list(tmp_path.iterdir())
    assert call(tmp_path, "--extra-widths")[1].extra_widths == ()


@pytest.mark.parametrize("message", ["", "stopped after step 8"])
def test_an_interrupt_says_how_to_continue(message, capsys, tmp_path):
    def interrupted(run, config):
        raise KeyboardInterrupt(*([message] * bool(message)))

    with pytest.raises(SystemExit, match="130"):
        call(tmp_path, main=interrupted)
    assert f"{message or 'interrupted'}: the same command continues" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("preset", "said", "fewer"), [("quick", None, True), ("quick", "0", False), ("full", None, False)]
)
def test_a_smoke_run_compiles_quickly_unless_told_otherwise(preset, said, fewer, tmp_path, monkeypatch):
    before = jax.config.values["jax_disable_most_optimizations"]
    monkeypatch.delenv("JAX_DISABLE_MOST_OPTIMIZATIONS", raising=False)
    if said is not None:
        monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", said)
    jax.config.update("jax_disable_most_optimizations", False)
    try:
        found = lambda run, config: {"fewer": jax.config.values["jax_disable_most_optimizations"]}
        results = start(found, {"full": Config(), "quick": Config()}, args=[preset, "--out", str(tmp_path)])
        assert results["fewer"] == fewer
    finally:
        jax.config.update("jax_disable_most_optimizations", before)


@pytest.mark.parametrize(
    ("variables", "devices"),
    [
        ({}, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)),
        ({"JAX_NUM_CPU_DEVICES": "3"}, 3),
        ({"XLA_FLAGS": "--xla_force_host_platform_device_count=5"}, 5),
    ],
)
def test_a_device_per_core_unless_told_otherwise(variables, devices):
    program = "from beliefgeo.runs import devices; devices.one_device_per_core(); import jax; print(jax.device_count())"
    told = {name: value for name, value in os.environ.items() if name not in ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS")}
    environment = {**told, "JAX_PLATFORMS": "cpu", **variables}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert int(said.stdout) == devices
