"""A run is alone in its folder, and an interrupt waits for the running steps to end."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from beliefgeo.runs import hosts


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Lock the folder; the first process holds the lock for all.

    The operating system releases the lock when that process ends, however it ends.
    """
    held = FileLock(folder / "lock", blocking=False)

    def acquire() -> None:
        try:
            held.acquire()
        except Timeout:
            raise ValueError(f"another process trains in {folder}: wait for it, or choose another folder") from None

    hosts.by_first(acquire)
    try:
        yield
    finally:
        held.release()


@contextmanager
def interruption() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; a second signal acts as usual."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread only
        yield asked
        return

    def ask(number: int, _: Any) -> None:
        signal.signal(number, usual[signal.Signals(number)])
        asked.set()
        os.write(2, b"\nfinishing the steps under way, then saving; once more to stop at once\n")

    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in usual:
            signal.signal(number, ask)
        yield asked
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
