import json
from datetime import UTC, datetime, timedelta

import pytest

from aichat_workspace.api.schemas.history import Action
from aichat_workspace.api.workspaces.history import record
from aichat_workspace.api.workspaces.history.changes import Change
from aichat_workspace.domain import names

NOW = datetime(2026, 1, 1, 12, 0, 0, 999, tzinfo=UTC)
EDIT = Change(Action.EDIT, ("spec.models",), ("gemma2:2b",), ())
LONGEST = Change(Action.EDIT, *(("\0" * 500,) * 50,) * 3)


def stored(*entries: object) -> dict[str, str]:
    return {names.HISTORY_ANNOTATION: json.dumps(entries)}


def test_an_entry_is_read_as_it_was_written() -> None:
    entry = record.entry(EDIT, "ann", NOW, "0123456789")
    assert record.parse(record.annotation(entry)) == [entry]
    assert entry.time == NOW.replace(microsecond=0)
    assert (entry.user, entry.added, entry.request_id) == ("ann", ("gemma2:2b",), "0123456789")


def test_an_entry_takes_little_room() -> None:
    text = record.text([record.entry(EDIT, "ann", NOW, "5f0c8f1e2d3b4a59687786a5b4c3d2e1")])
    assert len(text) < 200


def test_the_newest_entries_are_the_ones_that_stay() -> None:
    annotations: dict[str, str] = {}
    for number in range(record.MAX_ENTRIES + 5):
        entry = record.entry(EDIT, f"person-{number}", NOW + timedelta(number), "")
        operation = record.operations(annotations or {"other": "mark"}, entry)[-1]
        annotations = {names.HISTORY_ANNOTATION: operation["value"]}
    users = [entry.user for entry in record.parse(annotations)]
    assert users == [f"person-{number}" for number in range(5, record.MAX_ENTRIES + 5)]


def test_the_record_is_bounded_whatever_names_and_fields_hold() -> None:
    entries = [record.entry(LONGEST, "\0" * 5000, NOW, "\0" * 500)] * record.MAX_ENTRIES
    text = record.text(entries)
    assert len(text.encode()) <= record.MAX_BYTES
    parsed = record.parse({names.HISTORY_ANNOTATION: text})
    assert parsed, "the newest always has room"
    assert parsed[0].changed[-1] == "…"
    assert str(parsed[0].user).endswith("…")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "7",
        "null",
        '{"time":"2026-01-01T00:00:00Z"}',
        "[" * 5000,
        "[" + "1," * record.MAX_BYTES + "1]",
        '[{"time":"yesterday","action":"edit","user":"ann"}]',
        '[{"time":"2026-01-01T00:00:00","action":"edit","user":"without a zone"}]',
        '[{"time":"2026-01-01T00:00:00Z","action":"obey","user":"ann"}]',
        '[{"time":"2026-01-01T00:00:00Z","action":"edit","manager":"kubectl"}]',
        '[{"time":"2026-01-01T00:00:00Z","action":"edit","user":{"name":"ann"}}]',
    ],
)
def test_what_others_wrote_there_is_no_entry(text: str) -> None:
    assert record.parse({names.HISTORY_ANNOTATION: text}) == []


def test_an_entry_beside_a_wrong_one_is_read() -> None:
    good = {"time": "2026-01-01T00:00:00Z", "action": "edit", "user": "ann"}
    assert [entry.user for entry in record.parse(stored("wrong", good, 7))] == ["ann"]


def test_an_entry_is_added_beside_other_annotations_and_never_replaces_them() -> None:
    entry = record.entry(EDIT, "ann", NOW, "")
    beside = record.operations({"other": "mark"}, entry)
    assert [operation["path"] for operation in beside] == [
        "/metadata/annotations/apps.aichatworkspaces.io~1history"
    ]
    alone = record.operations({}, entry)
    assert alone[0] == {"op": "test", "path": "/metadata/annotations", "value": None}


def filled_up(**beside: int) -> dict[str, str]:
    """Annotations of others that leave so many bytes for the record's name and text."""
    length = record.MAX_ANNOTATIONS_BYTES - beside["room"] - len("other")
    return {"other": "ü" * (length // 2) + "x" * (length % 2)}


def total_bytes(annotations: dict[str, str]) -> int:
    return sum(len(f"{name}{value}".encode()) for name, value in annotations.items())


@pytest.mark.parametrize("room", [1000, 300])
def test_the_oldest_entries_go_where_other_annotations_leave_little_room(room: int) -> None:
    annotations = filled_up(room=room)
    for number in range(record.MAX_ENTRIES):
        entry = record.entry(EDIT, f"person-{number}", NOW + timedelta(number), "")
        annotations[names.HISTORY_ANNOTATION] = record.operations(annotations, entry)[-1]["value"]
        assert total_bytes(annotations) <= record.MAX_ANNOTATIONS_BYTES
    users = [entry.user for entry in record.parse(annotations)]
    assert users == [f"person-{number}" for number in range(20 - len(users), 20)]
    assert 0 < len(users) < 20


def test_the_record_is_left_out_where_there_is_no_room_at_all() -> None:
    annotations = filled_up(room=len(names.HISTORY_ANNOTATION) + 10)
    entry = record.entry(EDIT, "ann", NOW, "")
    assert record.operations(annotations, entry) == []
    earlier = {**annotations, names.HISTORY_ANNOTATION: '[{"}]'}
    (operation,) = record.operations(earlier, entry)
    assert operation["value"] == "", "no record rather than one without the newest change"
