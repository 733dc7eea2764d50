"""What a status says of a workspace's use: the latest that is known."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.status.activity import activity_record
from aichat_workspace.domain.status.inputs import StatusInputs
from aichat_workspace.domain.status.status import compute_status
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import ActivityRecord, WorkspaceStatus
from tests.unit.domain.samples import NOW, workspace


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


SEEN = ActivityRecord(used_at=ago(hours=3), asked_at=ago(hours=1))


def used(recorded: ActivityRecord | None = None, prompted_at: datetime | None = None) -> Workspace:
    update: dict[str, Any] = {"prompted_at": prompted_at}
    update["status"] = WorkspaceStatus(activity=recorded)
    return workspace().model_copy(update=update)


@pytest.mark.parametrize(
    ("resource", "seen", "expected"),
    [
        (used(), None, None),
        (used(), SEEN, SEEN),
        (used(SEEN), None, SEEN),
        (used(prompted_at=ago(hours=2)), None, ActivityRecord(used_at=ago(hours=2))),
        (
            used(prompted_at=ago(hours=2)),
            SEEN,
            ActivityRecord(used_at=ago(hours=2), asked_at=ago(hours=1)),
        ),
        (used(prompted_at=ago(hours=5)), SEEN, SEEN),
        (used(prompted_at=ago(hours=-1)), SEEN, SEEN),
        (
            used(SEEN),
            ActivityRecord(asked_at=NOW, message="it is away"),
            ActivityRecord(used_at=ago(hours=3), asked_at=NOW, message="it is away"),
        ),
    ],
)
def test_the_latest_of_chat_status_and_note_is_reported(
    resource: Workspace, seen: ActivityRecord | None, expected: ActivityRecord | None
) -> None:
    assert activity_record(resource, seen, NOW) == expected


def test_a_status_keeps_it_where_the_chat_is_not_asked() -> None:
    assert compute_status(used(SEEN), StatusInputs(url=""), NOW).activity == SEEN


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-01T10:00:00Z", "2026-12-01T10:00:00+00:00"),
        ("2026-12-01T10:00:00.5+02:00", "2026-12-01T10:00:00+02:00"),
        ("2026-12-01T10:00:00", None),
        ("yesterday", None),
    ],
)
def test_a_note_that_is_no_time_is_none(text: str, expected: str | None) -> None:
    metadata = {"name": "w", "namespace": "team", "uid": "u", "creationTimestamp": NOW}
    annotated = {**metadata, "annotations": {names.PROMPTED_ANNOTATION: text}}
    resource = Workspace.parse({"metadata": annotated, "spec": {"workspaceName": "w"}})
    assert resource.prompted_at == (expected and datetime.fromisoformat(expected))
