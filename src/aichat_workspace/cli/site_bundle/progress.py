"""Show how far a load is: a bar on a terminal, lines in a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from aichat_workspace.cli.render.lines import plain
from aichat_workspace.cli.terminal import Terminal
from aichat_workspace.foundation import units

_LOG_SECONDS: Final = 10.0


class Show(Protocol):
    """What is called while a bundle is loaded."""

    def begin(self, name: str, total_bytes: int) -> None:
        """Begin with an image or a model."""

    def advance(self, count_bytes: int) -> None:
        """Count what is done of it."""

    def end(self, sent_bytes: int) -> None:
        """Say what was sent of it."""


class LogLines:
    """A line at each end, and at most one in ten seconds between."""

    def __init__(self, terminal: Terminal, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to ``terminal``; ``clock`` gives seconds."""
        self._terminal, self._clock = terminal, clock
        self._name, self._total_bytes, self._done_bytes, self._shown = "", 0, 0, clock()

    def begin(self, name: str, total_bytes: int) -> None:
        """Begin with an image or a model."""
        self._name, self._total_bytes, self._done_bytes = plain(name), total_bytes, 0
        self._shown = self._clock()

    def advance(self, count_bytes: int) -> None:
        """Count what is done of it."""
        self._done_bytes += count_bytes
        if self._clock() - self._shown >= _LOG_SECONDS:
            self._shown = self._clock()
            done, total = units.size(self._done_bytes), units.size(self._total_bytes)
            self._terminal.say(f"{self._name}: {done} of {total}")

    def end(self, sent_bytes: int) -> None:
        """Say what was sent of it."""
        self._terminal.say(f"{self._name}: {ended(sent_bytes)}")


def ended(sent_bytes: int) -> str:
    """Return what became of an image or a model."""
    return f"pushed {units.size(sent_bytes)}" if sent_bytes else "was there"


@contextmanager
def progress(terminal: Terminal) -> Iterator[Show]:
    """Show progress until the block ends."""
    if not terminal.is_live:
        yield LogLines(terminal)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True))
    console = Console(file=terminal.stream, no_color=not terminal.has_colour, highlight=False)
    with Progress(*columns, TextColumn("{task.fields[end]}"), console=console) as bars:

        class Bars:
            """A bar for each."""

            row = TaskID(0)

            def begin(self, name: str, total_bytes: int) -> None:
                text = plain(name).replace("[", r"\[")
                self.row = bars.add_task(text, total=total_bytes, end="")

            def advance(self, count_bytes: int) -> None:
                bars.advance(self.row, count_bytes)

            def end(self, sent_bytes: int) -> None:
                bars.update(self.row, end=ended(sent_bytes))

        yield Bars()
