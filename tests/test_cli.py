from dataclasses import dataclass, field
from pathlib import Path

import pytest

from beliefgeo.cli import run_experiment


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
