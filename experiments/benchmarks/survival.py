"""A run that cannot be lost: `mess3 quick`, killed, interrupted, damaged, starved of disk and started twice.

After every fault the same command runs again. It must end with the parameters and results of an undisturbed run, bit
for bit, and leave no temporary file. One of two processes, which sum in another order, is killed: the other must end
within a minute. The program prints a table of faults tried and survived. Do not change the package's code meanwhile:
another version of it trains another network.

    python experiments/benchmarks/survival.py              all: 50 kills, 20 damaged checkpoints; 40 minutes or more
    python experiments/benchmarks/survival.py --kills 5    shorter
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import faults
import numpy as np
import report
import tyro


@dataclass(frozen=True)
class Config:
    """How many faults to try."""

    kills: int = 50
    """The number of SIGKILLs at random moments."""
    interrupts: int = 5
    """The number of SIGINTs at random moments."""
    damages: int = 20
    """The number of files of the latest checkpoint to cut short, to flip a bit of, or to remove."""
    seed: int = 0
    """The seed of the random moments and files."""
    history: Path = report.HISTORY
    """The file that gets a new line."""


def main(config: Config) -> None:
    """Disturb, compare, and print the table."""
    random = np.random.default_rng(config.seed)
    with tempfile.TemporaryDirectory() as name:
        whole, out = Path(name) / "undisturbed", Path(name) / "disturbed"
        began = time.perf_counter()
        faults.finish(whole)
        undisturbed = faults.Undisturbed(faults.result(whole), time.perf_counter() - began, whole)
        survived: dict[str, tuple[int, int]] = {}

        def attempt(fault: str, count: int, survives: Callable[[], bool], unit: int = 1) -> None:
            survived[fault] = 0, unit * count
            for _ in range(count):
                survived[fault] = survived[fault][0] + unit * survives(), unit * count
                shutil.rmtree(out, ignore_errors=True)
            print(f"{fault}: survived {survived[fault][0]} of {survived[fault][1]}", flush=True)

        kill = lambda: faults.killed(out, undisturbed, random, config.kills)
        attempt("killed at a random moment (SIGKILL)", 1, kill, config.kills)
        attempt("interrupted (SIGINT)", config.interrupts, lambda: faults.interrupted(out, undisturbed, random))
        attempt("latest checkpoint damaged", config.damages, lambda: faults.damaged(out, undisturbed, random))
        attempt("no room on the disk", 1, lambda: faults.starved(out, undisturbed))
        attempt("one of two processes killed", 1, lambda: faults.left_alone(out))
        attempt("two runs on one folder", 1, lambda: faults.started_twice(out, undisturbed))
        for options, message in (
            (("--optimizer", "sgd", "--learning-rate", "1e30"), "no longer finite"),
            (("--learning-rate", "30"), "has diverged"),
        ):
            stops = lambda options=options, message=message: faults.diverged(out, *options, message=message)
            attempt(f"the loss {message}", 1, stops)
        minutes = (time.perf_counter() - began) / 60
    rows = [(fault, str(tried), str(count)) for fault, (count, tried) in survived.items()]
    report.print_table("mess3 quick", ("fault", "tried", "survived"), rows)
    told = {fault: f"{count} of {tried}" for fault, (count, tried) in survived.items()}
    report.append(config.history, "survival", {"survived": told, "minutes": minutes}, {})
    if any(count != tried for count, tried in survived.values()):
        raise SystemExit("error: not every fault was survived; see what was printed above")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
