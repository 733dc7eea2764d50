"""Progress in a CI job's log and on a terminal."""

import io
import time

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from localcluster import progress
from localcluster.progress import HEARTBEAT_SECONDS, PlainReport, TerminalReport, reporting


class Clock:
    """A clock whose seconds a test sets."""

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


def test_the_last_message_is_repeated_after_a_heartbeats_time_and_not_before() -> None:
    out, clock = io.StringIO(), Clock()
    report = PlainReport(out, clock)
    clock.now += HEARTBEAT_SECONDS
    report.print_heartbeat()
    assert "still at the start" in out.getvalue()
    report("node", "waiting")
    clock.now += HEARTBEAT_SECONDS - 1
    report.print_heartbeat()
    assert "still at node" not in out.getvalue()
    clock.now += 1
    report.print_heartbeat()
    report.print_heartbeat()
    assert out.getvalue().count("still at node: waiting") == 1


def test_a_log_has_heartbeats_until_the_report_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0)
    out = io.StringIO()
    with reporting(out) as report:
        report("node", "starting")
        await_text(out, "still at node: starting")
    text = out.getvalue()
    assert text.startswith("[   0s] node: starting\n")
    assert out.getvalue() == text


def await_text(out: io.StringIO, text: str) -> None:
    for _ in range(100):
        if text in out.getvalue():
            return
        time.sleep(0.1)
    pytest.fail(f"not printed: {text}")


def test_a_terminal_has_one_row_per_step_with_its_last_message() -> None:
    rows = Progress(
        TextColumn("{task.description}: {task.fields[message]}"),
        console=Console(file=io.StringIO()),
    )
    report = TerminalReport(rows)
    report("kubernetes", "compiling")
    report("ollama", "fetching modules")
    report("kubernetes", "linking")
    assert [(task.description, task.fields["message"]) for task in rows.tasks] == [
        ("kubernetes", "linking"),
        ("ollama", "fetching modules"),
    ]
