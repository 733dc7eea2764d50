"""Requests are read and counted from the audit log."""

import json
from pathlib import Path

from benchmarks.comparison.audit_log import AuditLog, Event, count, is_write
from tests.unit.benchmarks.comparison.audit_events import EVENTS, USER, event


def write_log(path: Path, *events: Event) -> None:
    with path.open("a") as log:
        log.writelines(f"{json.dumps(event, separators=(',', ':'))}\n" for event in events)


def test_the_log_is_read_on_from_a_position_even_if_it_was_rotated(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.log", USER)
    write_log(log.path, EVENTS[0])
    position = log.end()
    write_log(log.path, EVENTS[1], {**EVENTS[2], "user": {"username": "somebody"}})
    log.path.rename(tmp_path / "audit-2026-01-01T00-00-00.000.log")
    write_log(log.path, EVENTS[3])
    assert list(log.events(position)) == [EVENTS[1], EVENTS[3]]
    assert len(list(log.events())) == 3


def test_requests_are_counted_without_watches_leases_and_servers_behind(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.log", USER)
    write_log(log.path)
    position = log.end()
    write_log(log.path, *EVENTS[-4:], {**EVENTS[0], "verb": "watch"})
    assert count(log.requests(position)) == {"create events": 1, "get services": 1}


def test_a_review_is_no_write() -> None:
    assert not is_write(event("create", "subjectaccessreviews", ""))
    assert is_write(event("create", "services", "a"))
