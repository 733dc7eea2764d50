from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from aichat_workspace.domain.planning.image_rollout import RolloutSlot
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.status.status import StatusInputs, compute_status
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import (
    ConditionType,
    ImagesRecord,
    WorkspaceStatus,
)
from aichat_workspace.operator.telemetry.events import EventRecorder, events, expired, retained
from tests.unit.domain.samples import NOW, workspace


def told(facts: StatusInputs, before: Workspace | None = None) -> WorkspaceStatus:
    return compute_status(before or workspace(), facts, NOW)


def after(found: WorkspaceStatus) -> Workspace:
    return workspace(status=found.model_dump(mode="json", by_alias=True, exclude_none=True))


def only(before: Workspace, found: WorkspaceStatus) -> Any:
    (event,) = events(before, found, NOW)
    return event


BROKEN = StatusInputs(url="u", failure=Problem("WriteRefused", "the quota is full"))


def test_another_phase_is_told_with_the_message_of_ready() -> None:
    event: Any = only(workspace(), told(BROKEN))
    assert (event["type"], event["reason"]) == ("Warning", "WriteRefused")
    assert event["note"] == "the quota is full"
    assert event["regarding"]["uid"] == "uid-a"
    assert event["metadata"]["namespace"] == workspace().namespace


def test_what_has_not_moved_is_not_told_again() -> None:
    before = after(told(BROKEN))
    assert list(events(before, told(BROKEN, before), NOW)) == []


def test_a_new_reason_is_told_where_somebody_has_to_act() -> None:
    before = after(told(BROKEN))
    other = replace(BROKEN, failure=Problem("CeilingExceeded", "too much"))
    event: Any = only(before, told(other, before))
    assert event["reason"] == "CeilingExceeded"


def test_a_step_on_the_way_is_no_event() -> None:
    before = after(told(StatusInputs(url="u")))
    assert list(events(before, told(StatusInputs(url="v"), before), NOW)) == []


def test_an_upgrade_is_told_when_it_is_done() -> None:
    old, new = (
        ImagesRecord(ollama="o:1", open_webui="w:1"),
        ImagesRecord(ollama="o:1", open_webui="w:2"),
    )
    first = told(StatusInputs(url="u"))
    before = after(first.model_copy(update={"images": old}))
    event = only(before, before.status.model_copy(update={"images": new}))
    assert (event["type"], event["reason"]) == ("Normal", "Upgraded")
    assert "w:2" in event["note"]
    fresh = after(first)
    assert list(events(fresh, fresh.status.model_copy(update={"images": new}), NOW)) == []


def test_an_upgrade_that_was_stopped_is_told_to_those_who_wait_once() -> None:
    before = after(told(StatusInputs(url="u")))
    stopped = told(
        StatusInputs(url="u", slot=RolloutSlot(granted=False, blocked_by="team-b")), before
    )
    event = only(before, stopped)
    assert (event["type"], event["reason"]) == ("Warning", "UpgradeStopped")
    assert list(events(after(stopped), stopped, NOW)) == []


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (ConditionType.STORAGE_AS_ASKED, "VolumeKept"),
        (ConditionType.INGRESS_SERVED, "IngressNotServed"),
        (ConditionType.TOOLS_OFFERED, "ToolsNotOffered"),
    ],
)
def test_what_is_not_as_asked_beside_a_running_chat_is_told_once(
    kind: ConditionType, reason: str
) -> None:
    before = after(told(StatusInputs(url="u")))
    conditions = tuple(
        each.model_copy(update={"reason": reason, "message": "mend it"})
        if each.type is kind
        else each
        for each in before.status.conditions
    )
    worse = before.status.model_copy(update={"conditions": conditions})
    event = only(before, worse)
    assert (event["type"], event["reason"], event["note"]) == ("Warning", reason, "mend it")
    assert list(events(after(worse), worse, NOW)) == []


def test_of_a_retained_namespace_it_is_told_how_to_get_it_back() -> None:
    event = retained(workspace(), "ns-1", NOW)
    assert event["reason"] == "Retained"
    assert "namespace team-a-aichat" in event["note"]
    assert "spec.namespaceUID ns-1" in event["note"]


def test_the_end_of_a_workspaces_time_is_told() -> None:
    assert "90m" in expired(workspace(expiresAfter="90m"), NOW)["note"]


def test_what_comes_and_goes_is_one_series_written_once_a_minute() -> None:
    repeats, event = EventRecorder(), only(workspace(), told(BROKEN))
    assert repeats.first(event, NOW)
    written = []
    for seconds in range(10, 200, 10):
        now = NOW + timedelta(seconds=seconds)
        assert not repeats.first(event, now)
        if series := repeats.series(event, now):
            written.append(series)
    assert [series["count"] for _, series in written] == [2, 8, 14, 20]
    assert {name for name, _ in written} == {event["metadata"]["name"]}
    assert repeats.first(event, NOW + timedelta(hours=1))


def test_another_reason_or_another_workspace_is_another_event() -> None:
    repeats = EventRecorder()
    for uid in ("a", "b"):
        event = only(workspace(metadata={"uid": uid}), told(BROKEN))
        assert repeats.first(event, NOW)
        assert repeats.first({**event, "reason": "Other"}, NOW)
