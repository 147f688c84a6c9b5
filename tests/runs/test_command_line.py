import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from beliefgeo.runs.command_line import run_experiment


@dataclass(frozen=True)
class Inner:
    width: int = 4
    """How wide."""


@dataclass(frozen=True)
class Config:
    rate: float = 0.1
    """How fast."""
    inner: Inner = field(default_factory=Inner)


PRESETS = {"default": Config(), "fast": Config(rate=0.5)}


def call(*args):
    seen = []
    run_experiment(lambda *given: seen.append(given), PRESETS, out="runs/x", description="Claim.", args=list(args))
    return seen[0]


def test_presets_and_overrides():
    assert call() == ("default", Config(), Path("runs/x"))
    assert call("fast", "--width", "7") == ("fast", Config(0.5, Inner(7)), Path("runs/x"))
    assert call("--rate", "2.5", "--out", "there") == ("default", Config(2.5), Path("there"))


def test_help_explains_every_field(capsys):
    with pytest.raises(SystemExit):
        call("--help")
    text = capsys.readouterr().out
    assert all(words in text for words in ("Claim.", "How fast.", "How wide.", "--rate", "--width", "--out"))


def test_mistakes_are_one_sentence():
    with pytest.raises(SystemExit, match="error: no preset 'quick'; choose one of default, fast"):
        call("quick")
    for error, message in ((ValueError("x needs y"), "error: x needs y"), (FloatingPointError("nan"), "error: nan")):

        def fails(*_, error=error):
            raise error

        with pytest.raises(SystemExit, match=message):
            run_experiment(fails, PRESETS, out="runs/x", description="", args=[])


@pytest.mark.parametrize("message", ["", "stopped after step 8"])
def test_an_interrupt_says_how_to_continue(message, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt(*([message] * bool(message)))

    with pytest.raises(SystemExit, match="130"):
        run_experiment(interrupted, PRESETS, out="runs/x", description="", args=[])
    assert f"{message or 'interrupted'}: the same command continues" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variables", "devices"),
    [
        ({}, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)),
        ({"JAX_NUM_CPU_DEVICES": "3"}, 3),
        ({"XLA_FLAGS": "--xla_force_host_platform_device_count=5"}, 5),
    ],
)
def test_a_device_per_core_unless_told_otherwise(variables, devices):
    program = "from beliefgeo.runs import command_line; command_line.one_device_per_core(); import jax; print(jax.device_count())"
    told = {name: value for name, value in os.environ.items() if name not in ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS")}
    environment = {**told, "JAX_PLATFORMS": "cpu", **variables}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert int(said.stdout) == devices
