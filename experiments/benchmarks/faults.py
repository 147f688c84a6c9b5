"""Faults of a run, `mess3 quick`, and whether it survives them: `survival.py` tries them all."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from beliefgeo import runs

COMMAND = [sys.executable, str(Path(__file__).parents[1] / "mess3"), "quick"]
LEAVINGS = re.compile(r"tmp|partial")


class Undisturbed(NamedTuple):
    """The results with which every run must end."""

    result: dict[str, bytes]
    seconds: float
    folder: Path


def start(
    out: Path, *options: str, file_limit: int | None = None, variables: dict[str, str] | None = None
) -> subprocess.Popen:
    """Start the command; `file_limit` (KiB) makes larger files fail, as on a full disk."""
    command = [*COMMAND, "--out", str(out), *options]
    if file_limit is not None:
        command = ["bash", "-c", f'ulimit -f {file_limit}; exec "$@"', "bash", *command]
    environment = {**os.environ, **(variables or {})}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def finish(out: Path, *options: str, file_limit: int | None = None) -> tuple[int, str]:
    """Run the command to its end: exit status and output."""
    process = start(out, *options, file_limit=file_limit)
    said, _ = process.communicate()
    return process.returncode, said


def network_folder(out: Path) -> Path:
    """The folder of the one network that was trained in `out`."""
    (folder,) = (out / "networks").iterdir()
    return folder


def await_training(out: Path, process: subprocess.Popen) -> None:
    """Wait until the process has recorded its first chunk of steps, or has ended."""
    while process.poll() is None and not any(path.stat().st_size for path in out.glob("networks/*/history.jsonl")):
        time.sleep(0.02)


def result(out: Path) -> dict[str, bytes]:
    """All numbers and arrays that a run ended with, and its parameters."""
    (folder,) = (out / "mess3").iterdir()
    params = jax.tree.leaves_with_path(runs.load_run(network_folder(out)).params)
    arrays = dict(np.load(folder / "arrays.npz")) | {jax.tree_util.keystr(path): leaf for path, leaf in params}
    numbers = {name: np.asarray(leaf).tobytes() for name, leaf in arrays.items()}
    return {"results": (folder / "results.json").read_bytes(), **numbers}


def is_alike(out: Path, undisturbed: Undisturbed) -> bool:
    """Whether the run has the same numbers to the last bit, and left nothing temporary."""
    left = [path for path in out.rglob("*") if LEAVINGS.search(path.name)]
    return not left and result(out) == undisturbed.result


def ends_alike(out: Path, undisturbed: Undisturbed) -> bool:
    """Whether the same command, run again to its end, has the same result."""
    status, said = finish(out)
    if status:
        print(said)
    return status == 0 and is_alike(out, undisturbed)


def killed(out: Path, undisturbed: Undisturbed, random: np.random.Generator, kills: int) -> bool:
    """Send SIGKILL at uniform moments of a run's length; a run that ends before it is checked and begun afresh."""
    survived = True
    while kills:
        process = start(out)
        try:
            process.communicate(timeout=random.uniform(0, undisturbed.seconds))
            survived &= is_alike(out, undisturbed)
            shutil.rmtree(out)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills -= 1
            if kills % 10 == 0:
                print(f"{kills} kills left, {'all survived' if survived else 'not all survived'}", flush=True)
    return survived and ends_alike(out, undisturbed)


def interrupted(out: Path, undisturbed: Undisturbed, random: np.random.Generator) -> bool:
    """Send SIGINT during training: the run must exit with status 130 and say how to continue."""
    process = start(out)
    await_training(out, process)
    time.sleep(random.uniform(0, 0.2 * undisturbed.seconds))
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate()
    return process.returncode == 130 and "the same command continues" in said and ends_alike(out, undisturbed)


def damaged(out: Path, undisturbed: Undisturbed, random: np.random.Generator) -> bool:
    """Cut short, flip a bit of, or remove a file of the latest checkpoint: the run must say so and train again."""
    shutil.copytree(undisturbed.folder, out)
    checkpoint = max((network_folder(out) / "checkpoints").glob("[0-9]*"), key=lambda path: int(path.name))
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.stat().st_size)
    file = files[random.integers(len(files))]
    content = bytearray(file.read_bytes())
    match random.integers(3):
        case 0:
            file.write_bytes(content[: random.integers(len(content))])
        case 1:
            content[random.integers(len(content))] ^= 1 << int(random.integers(8))
            file.write_bytes(content)
        case 2:
            file.unlink()
    status, said = finish(out)
    told = "is damaged" in said or "update beliefgeo" in said  # a flipped digit of the format's number
    return told and (status != 0 or is_alike(out, undisturbed))


def starved(out: Path, undisturbed: Undisturbed) -> bool:
    """Let no file exceed 64 KiB, as on a full disk: the run must say so in one sentence and lose nothing."""
    status, said = finish(out, file_limit=64)
    return status == 1 and "error: cannot save step" in said and ends_alike(out, undisturbed)


def started_twice(out: Path, undisturbed: Undisturbed) -> bool:
    """Start two runs on one folder: the second must refuse, and the first must go on."""
    first = start(out)
    await_training(out, first)
    status, said = finish(out)
    first.communicate()
    return status == 1 and "another process trains in" in said and ends_alike(out, undisturbed)


def left_alone(out: Path) -> bool:
    """Kill one of two processes: the other must end within a minute, and the same command must finish both."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    joined = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2"}
    start_both = lambda: [start(out, variables={**joined, "JAX_PROCESS_ID": number}) for number in "01"]
    first, second = start_both()
    await_training(out, first)
    second.kill()
    try:
        first.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        first.kill()
        return False
    again = [(process.communicate(), process.returncode)[1] for process in start_both()]
    return first.returncode != 0 and again == [0, 0] and runs.load_run(network_folder(out)).step == 600


def diverged(out: Path, *options: str, message: str) -> bool:
    """Let the loss diverge: the run must stop and name the step, and the last good checkpoint must load."""
    status, said = finish(out, *options)
    params = runs.load_run(network_folder(out)).params
    finite = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    return status == 1 and message in said and "the last good checkpoint, step" in said and finite
