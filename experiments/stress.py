"""A run that cannot be lost: `mess3.py quick`, killed, interrupted, damaged, starved of disk and started twice.

After every fault the same command is given again and must end with the parameters and metrics (timings aside) of a
run that nothing disturbed, bit for bit, with no temporary file left. Of two processes, which sum in another order, one
is killed: the other must end within a minute. Prints a table of faults tried and survived.

    python experiments/stress.py                 everything: 50 kills, 20 damaged checkpoints; half an hour or more
    python experiments/stress.py --kills 5       shorter
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import tyro

from beliefgeo import runs_old as runs
from beliefgeo.runs import outputs

COMMAND = [sys.executable, str(Path(__file__).parent / "mess3.py"), "quick"]
LEAVINGS = re.compile(r"tmp|partial")


@dataclass(frozen=True)
class Config:
    """How much to try."""

    kills: int = 50
    """SIGKILLs at random moments."""
    interrupts: int = 5
    """SIGINTs at random moments."""
    damages: int = 20
    """Files of the latest checkpoint cut short, with a bit flipped, or removed."""
    seed: int = 0
    """Of the random moments and files."""


@dataclass(frozen=True)
class Undisturbed:
    """What every run must end with."""

    metrics: dict
    params: dict
    seconds: float
    folder: Path


def start(
    out: Path, *options: str, file_limit: int | None = None, variables: dict[str, str] | None = None
) -> subprocess.Popen:
    """Give the command; `file_limit` (KiB) makes larger files fail as a full disk does."""
    command = [*COMMAND, "--out", str(out), *options]
    if file_limit is not None:
        command = ["bash", "-c", f'ulimit -f {file_limit}; exec "$@"', "bash", *command]
    environment = {**os.environ, **(variables or {})}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def finish(out: Path, *options: str, file_limit: int | None = None) -> tuple[int, str]:
    """Give the command and wait: exit status and what was said."""
    process = start(out, *options, file_limit=file_limit)
    said, _ = process.communicate()
    return process.returncode, said


def run_folder(out: Path) -> Path:
    """The one run in `out`."""
    return next(out.glob("quick-*"))


def result(out: Path) -> tuple[dict, dict]:
    """Metrics without their timings, and parameters."""
    metrics = json.loads((run_folder(out) / "metrics.json").read_text())
    return {name: value for name, value in metrics.items() if name != "seconds"}, runs.load_run(run_folder(out)).params


def ends_alike(out: Path, undisturbed: Undisturbed) -> bool:
    """The same command again, to the end, with the same result."""
    status, said = finish(out)
    if status:
        print(said)
    return status == 0 and is_alike(out, undisturbed)


def is_alike(out: Path, undisturbed: Undisturbed) -> bool:
    """The same numbers to the last bit, and nothing temporary left."""
    metrics, params = result(out)
    left = [path for path in run_folder(out).rglob("*") if LEAVINGS.search(path.name)]
    same = jax.tree.map(lambda ours, theirs: bool((ours == theirs).all()), params, undisturbed.params)
    return metrics == undisturbed.metrics and all(jax.tree.leaves(same)) and not left


def killed(out: Path, undisturbed: Undisturbed, random: np.random.Generator, kills: int) -> bool:
    """SIGKILL at uniform moments of a run's length; a run that ends before its kill is checked and begun afresh."""
    survived = True
    while kills:
        process = start(out)
        try:
            process.communicate(timeout=random.uniform(0, undisturbed.seconds))
            survived &= is_alike(out, undisturbed)
            shutil.rmtree(run_folder(out))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills -= 1
            if kills % 10 == 0:
                print(f"{kills} kills left, {'all survived' if survived else 'not all survived'}", flush=True)
    return survived and ends_alike(out, undisturbed)


def interrupted(out: Path, undisturbed: Undisturbed, random: np.random.Generator) -> bool:
    """SIGINT while it trains: status 130, and a sentence on how to go on."""
    process = start(out)
    while not list(out.glob("quick-*/history.jsonl")):
        time.sleep(0.02)
    time.sleep(random.uniform(0, 0.2 * undisturbed.seconds))
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate()
    return process.returncode == 130 and "the same command continues" in said and ends_alike(out, undisturbed)


def damaged(out: Path, undisturbed: Undisturbed, random: np.random.Generator) -> bool:
    """A file of the latest checkpoint cut short, with a bit flipped, or removed: told, and trained again."""
    shutil.copytree(undisturbed.folder, out)
    checkpoint = max((run_folder(out) / "checkpoints").glob("[0-9]*"), key=lambda path: int(path.name))
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
    """Files beyond 64 KiB cannot be written, as on a full disk: one sentence, and nothing lost."""
    status, said = finish(out, file_limit=64)
    return status == 1 and "error: cannot save step" in said and ends_alike(out, undisturbed)


def started_twice(out: Path, undisturbed: Undisturbed) -> bool:
    """The second of two runs on one folder refuses, the first goes on."""
    first = start(out)
    while not list(out.glob("quick-*/history.jsonl")):
        time.sleep(0.02)
    status, said = finish(out)
    first.communicate()
    return status == 1 and "another process trains in" in said and ends_alike(out, undisturbed)


def left_alone(out: Path) -> bool:
    """One of two processes killed: the other ends within a minute, and the same command of both goes on to the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    joined = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2"}
    start_both = lambda: [start(out, variables={**joined, "JAX_PROCESS_ID": number}) for number in "01"]
    first, second = start_both()
    while not any(path.stat().st_size for path in out.glob("quick-*/history.jsonl")):
        time.sleep(0.02)
    second.kill()
    try:
        first.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        first.kill()
        return False
    again = [(process.communicate(), process.returncode)[1] for process in start_both()]
    return first.returncode != 0 and again == [0, 0] and runs.load_run(run_folder(out)).step == 600


def diverged(out: Path, *options: str, message: str) -> bool:
    """Stops with the step, and the last good checkpoint loads."""
    status, said = finish(out, *options)
    finite = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(runs.load_run(run_folder(out)).params))
    return status == 1 and message in said and "the last good checkpoint, step" in said and finite


def main(config: Config) -> None:
    """Disturb, compare, and print the table."""
    random = np.random.default_rng(config.seed)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        began = time.perf_counter()
        finish(root / "undisturbed")
        undisturbed = Undisturbed(
            *result(root / "undisturbed"), time.perf_counter() - began, folder=root / "undisturbed"
        )
        rows, survived_all = [], True

        def attempt(fault: str, count: int, survives: Callable[[Path], bool], unit: int = 1) -> None:
            nonlocal survived_all
            survived = 0
            for _ in range(count):
                survived += unit * survives(root / "disturbed")
                shutil.rmtree(root / "disturbed", ignore_errors=True)
            rows.append((fault, str(unit * count), str(survived)))
            survived_all &= survived == unit * count
            print(*rows[-1], flush=True)

        kill = lambda out: killed(out, undisturbed, random, config.kills)
        attempt("killed at a random moment (SIGKILL)", 1, kill, config.kills)
        attempt("interrupted (SIGINT)", config.interrupts, lambda out: interrupted(out, undisturbed, random))
        attempt("latest checkpoint damaged", config.damages, lambda out: damaged(out, undisturbed, random))
        attempt("no room on the disk", 1, lambda out: starved(out, undisturbed))
        attempt("one of two processes killed", 1, left_alone)
        attempt("two runs on one folder", 1, lambda out: started_twice(out, undisturbed))
        for options, message in (
            (("--optimizer", "sgd", "--learning-rate", "1e30"), "no longer finite"),
            (("--learning-rate", "30"), "has diverged"),
        ):
            stops = lambda out, options=options, message=message: diverged(out, *options, message=message)
            attempt(f"the loss {message}", 1, stops)
        minutes = (time.perf_counter() - began) / 60
    outputs.print_table("mess3.py quick", ("fault", "tried", "survived"), rows)
    results = Path(__file__).parent / "results" / "stress"
    results.mkdir(parents=True, exist_ok=True)
    measured = {"faults": rows, "minutes": minutes, "device": outputs.device(), "versions": outputs.versions()}
    outputs.write_json(results / "metrics.json", measured)
    if not survived_all:
        raise SystemExit("error: not every fault was survived; see what was printed above")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
