"""Progress in a CI job's log and on a terminal."""

import io
import time

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from localcluster import progress
from localcluster.progress import HEARTBEAT_SECONDS, PlainReport, TerminalReport, reporting


class Clock:
    """Seconds, as a test sets them."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_has_the_seconds_since_the_start() -> None:
    out, clock = io.StringIO(), Clock()
    report = PlainReport(out, clock)
    clock.now += 42
    report("kubernetes", "compiling")
    assert out.getvalue() == "[  42s] kubernetes: compiling\n"


def test_a_message_that_repeats_the_last_one_is_not_printed_again() -> None:
    out = io.StringIO()
    report = PlainReport(out, Clock())
    for step in ("ollama", "ollama", "kubernetes", "ollama"):
        report(step, "compiling")
    assert [line.split()[-2] for line in out.getvalue().splitlines()] == [
        "ollama:",
        "kubernetes:",
        "ollama:",
    ]


def test_silence_is_broken_after_a_heartbeats_time_and_not_before() -> None:
    out, clock = io.StringIO(), Clock()
    report = PlainReport(out, clock)
    clock.now += HEARTBEAT_SECONDS
    report.beat()
    assert "still at the start" in out.getvalue()
    report("node", "waiting")
    clock.now += HEARTBEAT_SECONDS - 1
    report.beat()
    assert "still at node" not in out.getvalue()
    clock.now += 1
    report.beat()
    report.beat()
    assert out.getvalue().count("still at node: waiting") == 1


def test_a_log_is_written_line_by_line_with_a_heart_that_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0)
    out = io.StringIO()
    with reporting(out) as report:
        report("node", "starting")
        until_told(out, "still at node: starting")
    told = out.getvalue()
    assert told.startswith("[   0s] node: starting\n")
    assert out.getvalue() == told


def until_told(out: io.StringIO, text: str) -> None:
    for _ in range(100):
        if text in out.getvalue():
            return
        time.sleep(0.1)
    pytest.fail(f"never said: {text}")


def test_a_terminal_has_one_row_for_each_step_with_its_last_message() -> None:
    shown = Progress(
        TextColumn("{task.description}: {task.fields[message]}"),
        console=Console(file=io.StringIO()),
    )
    report = TerminalReport(shown)
    report("kubernetes", "compiling")
    report("ollama", "fetching modules")
    report("kubernetes", "linking")
    assert [(task.description, task.fields["message"]) for task in shown.tasks] == [
        ("kubernetes", "linking"),
        ("ollama", "fetching modules"),
    ]
