"""The slowest tests and what each waits for: printed at the end of a run of pytest, or, where
TEST_TIMES names a file that several runs add to, by `python -m tests.slowest FILE`."""

import json
import os
import sys
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.waiting import Wait, take_recorded

_COUNT: Final = 40
_SLOW_SECONDS: Final = 1
_WAITS: Final = "waits"
_FILE: Final = "TEST_TIMES"


@dataclass
class Duration:
    """How long a test took, with what was set up for it, and what it waited for."""

    test: str
    seconds: float = 0
    waits: list[Wait] = field(default_factory=list)

    def line(self) -> str:
        waiting = sum(wait.seconds for wait in self.waits)
        longest = max(self.waits, key=lambda wait: wait.seconds, default=Wait("nothing", 0))
        return (
            f"{self.seconds:6.1f} s, {waiting:5.1f} s of it waiting, longest {longest.seconds:5.1f}"
            f" s for: {longest.what}  [{self.test}]"
        )


def lines(durations: Iterable[Duration]) -> Iterator[str]:
    slow = (duration for duration in durations if duration.seconds >= _SLOW_SECONDS)
    slowest = sorted(slow, key=lambda duration: duration.seconds, reverse=True)[:_COUNT]
    if slowest:
        yield f"the {len(slowest)} slowest tests, and what each waited for longest"
    yield from (duration.line() for duration in slowest)


class Slowest:
    """The pytest plugin. Waits travel in the reports, as those of xdist's workers have to."""

    def __init__(self) -> None:
        self._path = os.environ.get(_FILE)
        self._durations: dict[str, Duration] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        waits = [list(wait) for wait in take_recorded()]
        report.user_properties = [*report.user_properties, (_WAITS, waits)]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        duration = self._durations.setdefault(report.nodeid, Duration(report.nodeid))
        duration.seconds += report.duration
        for name, value in report.user_properties:
            if name == _WAITS and isinstance(value, list):
                duration.waits += [Wait(*wait) for wait in value]

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        if hasattr(config, "workerinput"):
            return  # its reports are with the process that started it
        if self._path is None:
            for line in lines(self._durations.values()):
                terminalreporter.write_line(line)
            return
        with Path(self._path).open("a") as out:
            for duration in self._durations.values():
                print(json.dumps([duration.test, duration.seconds, duration.waits]), file=out)


def main(path: str) -> None:
    """Print what several runs have written."""
    written = (json.loads(line) for line in Path(path).read_text().splitlines())
    durations = (
        Duration(test, seconds, [Wait(*wait) for wait in waits]) for test, seconds, waits in written
    )
    print("\n".join(lines(durations)))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
