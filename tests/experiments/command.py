"""An experiment as a user starts it: `python experiments/name arguments`."""

import contextlib
import importlib
import importlib.util
import io
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


# What JAX says of a program that holds arrays of more bytes than these. XLA computes with them while it compiles, for
# seconds where they are the rows of a real run, and raises its alarm. The rows of a test are a few hundred bytes more.
CAPTURED, BYTES = "constants were captured", "500"


def module(name: str, part: str) -> ModuleType:
    """A module of an experiment's folder, such as its figures."""
    spec = importlib.util.spec_from_file_location(f"{name}_{part}", EXPERIMENTS / name / f"{part}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@contextlib.contextmanager
def modules(name: str, *parts: str) -> Iterator[SimpleNamespace]:
    """Modules of an experiment's folder, which import one another by their plain names; forgotten afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXPERIMENTS / name))
        for held in _of_experiments():
            patch.delitem(sys.modules, held)  # two claims have modules of one name
        try:
            yield SimpleNamespace(**{part: importlib.import_module(part) for part in parts})
        finally:
            for loaded in _of_experiments():
                del sys.modules[loaded]


def _of_experiments() -> list[str]:
    return [key for key, one in sys.modules.items() if str(EXPERIMENTS) in (getattr(one, "__file__", "") or "")]


def start(name: str, *args: str, constants: str = BYTES) -> subprocess.CompletedProcess:
    command = [sys.executable, str(EXPERIMENTS / name), *args]
    environment = {**os.environ, "JAX_CAPTURED_CONSTANTS_WARN_BYTES": constants}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def refusal(name: str, *args: str) -> str:
    """What it says when it ends with an error, without a process of its own, which would begin by importing jax."""
    said = io.StringIO()
    with contextlib.ExitStack() as stack:
        stopped = stack.enter_context(pytest.raises(SystemExit))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(sys, "argv", [name, *args])
        for loaded in _of_experiments():
            patch.delitem(sys.modules, loaded)
        # The devices of the tests' own process stay as they are, and so does how it compiles.
        patch.setenv("JAX_NUM_CPU_DEVICES", "1")
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", os.environ.get("JAX_DISABLE_MOST_OPTIMIZATIONS", "0"))
        stack.enter_context(contextlib.redirect_stdout(said))
        stack.enter_context(contextlib.redirect_stderr(said))
        runpy.run_path(str(EXPERIMENTS / name), run_name="__main__")
    assert stopped.value.code not in (0, None)
    return f"{said.getvalue()}{stopped.value.code}"
