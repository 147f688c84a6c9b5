"""Shared code of the benchmarks: calls timed in turns, tables, and the history of all runs, with a line for each run.

A line of history.jsonl holds date, benchmark, commit, device, versions, and the measurements: medians in milliseconds
by group and name, and ratios, which say how many times faster each of our calls is than each baseline of its group.

    python experiments/benchmarks/report.py      writes records/README.md again: the best ratios of the kernels so far
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from beliefgeo.runs import outputs
from beliefgeo.runs.timing import medians

HOME = Path(__file__).parent
HISTORY, RECORDS = HOME / "history.jsonl", HOME / "records/README.md"

Calls = dict[str, Callable[[], Any]]
Line = dict[str, Any]

TITLE = """# Records of the kernels

`python experiments/benchmarks/report.py` makes this page from [`history.jsonl`](../history.jsonl). It says how many
times faster our kernel is than the program beside it, measured in turns in one run. *Best* is the run with the largest
ratio on that device, which includes luck; the milliseconds are those of our kernel in that run. *Latest* is the last
run, which says what to expect.
"""
COLUMNS = ("", "ours", "beside", "best", "ms", "commit", "date", "latest", "device")


class Compared(NamedTuple):
    """Median milliseconds of baselines and of our calls, by name."""

    baselines: dict[str, float]
    ours: dict[str, float]

    @property
    def ratios(self) -> dict[str, dict[str, float]]:
        """How many times faster each of our calls is than each baseline: `[ours][baseline]`."""
        faster = lambda milliseconds: {name: baseline / milliseconds for name, baseline in self.baselines.items()}
        return {name: faster(milliseconds) for name, milliseconds in self.ours.items()}


def compare(baselines: Calls, ours: Calls, repetitions: int) -> Compared:
    """Time all calls in turns, so that a slow moment of the machine hits all alike."""
    seconds = medians(baselines | ours, repetitions)
    return Compared(*({name: 1e3 * seconds[name] for name in calls} for calls in (baselines, ours)))


def print_compared(group: str, compared: Compared) -> None:
    """Print milliseconds, and how many times faster each call is than the first baseline."""
    first = next(iter(compared.baselines.values()))
    every = compared.baselines | compared.ours
    rows = [(name, f"{milliseconds:.2f}", f"{first / milliseconds:.2f}") for name, milliseconds in every.items()]
    print_table(group, ("", "milliseconds", "times faster"), rows)


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table on the terminal."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def numbers(groups: Mapping[str, Compared]) -> dict[str, Any]:
    """Medians and ratios in the form of a line of history."""
    return {
        "medians": {group: compared.baselines | compared.ours for group, compared in groups.items()},
        "ratios": {group: compared.ratios for group, compared in groups.items()},
    }


def append(history: Path, benchmark: str, measured: Mapping[str, Any], versions: Mapping[str, str]) -> None:
    """Add this run to the history.

    Args:
        history: the file.
        benchmark: the name of the benchmark.
        measured: the measurements by name, as `numbers` gives them.
        versions: the versions of the baselines; the versions of the packages we depend on are added here.
    """
    line = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "benchmark": benchmark,
        "commit": outputs.commit(HOME),
        "device": outputs.device(),
        "versions": outputs.versions() | dict(versions),
        **short(measured),
    }
    with history.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(f"{history}: one line more", flush=True)


def short(value: Any) -> Any:
    """The value with four digits of every number: the fifth digit is noise."""
    if isinstance(value, Mapping):
        return {name: short(part) for name, part in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def read(history: Path = HISTORY) -> list[Line]:
    """All runs, in the order in which they were made."""
    return [json.loads(line) for line in history.read_text().splitlines()]


def records(lines: Iterable[Line]) -> str:
    """The page: for every ratio of the kernels, the best run and the latest run on each device."""
    runs: dict[tuple[str, ...], list[tuple[float, Line]]] = {}
    for line in lines:
        for group, of_group in line["ratios"].items() if line["benchmark"] == "kernels" else ():
            for ours, beside in of_group.items():
                for baseline, ratio in beside.items():
                    runs.setdefault((group, ours, baseline, line["device"]), []).append((ratio, line))
    table = [COLUMNS, ("---",) * len(COLUMNS)]
    for (group, ours, baseline, device), measured in runs.items():
        best, line = max(measured, key=lambda run: run[0])
        milliseconds = line["medians"][group][ours]
        made = f"{milliseconds:{',.0f' if milliseconds >= 100 else '.3g'}}", line["commit"] or "", line["date"][:10]
        table.append((group, ours, baseline, f"{best:.2f}", *made, f"{measured[-1][0]:.2f}", device))
    return TITLE + "\n" + "".join(f"| {' | '.join(row)} |\n" for row in table)


if __name__ == "__main__":
    RECORDS.write_text(records(read()))
