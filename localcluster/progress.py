"""Report progress on a terminal and in the log of a CI job."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

HEARTBEAT_SECONDS = 25.0  # CI systems that show the last line must never look stuck for 30 s


class Report(Protocol):
    """Shows what is being done: ``step`` is the thing, ``message`` how far it is."""

    def __call__(self, step: str, message: str) -> None:
        """Show one message; cheap enough to call every second, and safe from any thread."""


class PlainReport:
    """Print a line per message, with seconds since the start: ``[ 42s] kubernetes: compiling``."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to ``out``; ``clock`` gives seconds."""
        self._out = out
        self._clock = clock
        self._started = clock()
        self._last_printed = self._started
        self._last_message = ""
        self._lock = threading.Lock()

    def __call__(self, step: str, message: str) -> None:
        """Print the message, unless it repeats the last one."""
        text = f"{step}: {message}"
        with self._lock:
            if text != self._last_message:
                self._last_message = text
                self._print(text)

    def print_heartbeat(self) -> None:
        """Repeat the last message if nothing was printed for `HEARTBEAT_SECONDS`."""
        with self._lock:
            if self._clock() - self._last_printed >= HEARTBEAT_SECONDS:
                self._print(f"still at {self._last_message or 'the start'}")

    def _print(self, text: str) -> None:
        now = self._clock()
        self._last_printed = now
        self._out.write(f"[{now - self._started:4.0f}s] {text}\n")
        self._out.flush()


class TerminalReport:
    """Show one spinning row per step, updated in place."""

    def __init__(self, progress: Progress) -> None:
        """Show steps as rows of ``progress``, which the caller starts and stops."""
        self._progress = progress
        self._rows: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def __call__(self, step: str, message: str) -> None:
        """Update the step's row, adding it when the step is new."""
        with self._lock:
            if step not in self._rows:
                self._rows[step] = self._progress.add_task(step, message="", total=None)
            self._progress.update(self._rows[step], message=message)


@contextmanager
def reporting(out: TextIO = sys.stderr) -> Iterator[Report]:
    """Yield a report that suits ``out``: rows on a terminal, lines elsewhere."""
    with _terminal(out) if out.isatty() else _plain(out) as report:
        yield report


@contextmanager
def _terminal(out: TextIO) -> Iterator[Report]:
    columns = (
        SpinnerColumn(finished_text="✓"),
        TimeElapsedColumn(),
        TextColumn("[bold]{task.description}"),
        TextColumn("{task.fields[message]}"),
    )
    with Progress(*columns, console=Console(file=out)) as progress:
        yield TerminalReport(progress)


@contextmanager
def _plain(out: TextIO) -> Iterator[Report]:
    report = PlainReport(out)
    ended = threading.Event()

    def print_heartbeats() -> None:
        while not ended.wait(1):
            report.print_heartbeat()

    thread = threading.Thread(target=print_heartbeats, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield report
    finally:
        ended.set()
        thread.join()


def silent(step: str, message: str) -> None:
    """Show nothing: a report for callers without an audience."""
