from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from aichat_workspace.domain.kubernetes.manifest import ref
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.pod_change import PodChange, PodTarget
from aichat_workspace.domain.planning.rollout import Refusal
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.status.inputs import StatusInputs
from aichat_workspace.domain.status.status import compute_status
from aichat_workspace.domain.v1alpha1.backup import BackupState, Restore, RestoreRecord
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import (
    Condition,
    ConditionStatus,
    ConditionType,
    ImagesRecord,
    WorkspaceStatus,
)
from aichat_workspace.operator.telemetry.events import EventRecorder, events, expired, retained
from tests.unit.domain.samples import NOW, workspace


def status_after(inputs: StatusInputs, before: Workspace | None = None) -> WorkspaceStatus:
    return compute_status(before or workspace(), inputs, NOW)


def with_status(status: WorkspaceStatus) -> Workspace:
    return workspace(status=status.model_dump(mode="json", by_alias=True, exclude_none=True))


def single_event(before: Workspace, status: WorkspaceStatus) -> Any:
    (event,) = events(before, status, NOW)
    return event


BROKEN = StatusInputs(url="u", failure=Problem(Reason.WRITE_REFUSED, "the quota is full"))


def test_another_phase_is_an_event_with_the_message_of_ready() -> None:
    event: Any = single_event(workspace(), status_after(BROKEN))
    assert (event["type"], event["reason"]) == ("Warning", "WriteRefused")
    assert event["note"] == "the quota is full"
    assert event["regarding"]["uid"] == "uid-a"
    assert event["metadata"]["namespace"] == workspace().namespace


def test_an_unchanged_status_has_no_event() -> None:
    before = with_status(status_after(BROKEN))
    assert list(events(before, status_after(BROKEN, before), NOW)) == []


def test_a_suspension_and_its_end_are_events() -> None:
    inputs = StatusInputs(url="u")
    suspended = status_after(inputs, workspace(suspended=True))
    event = single_event(with_status(status_after(inputs)), suspended)
    assert (event["type"], event["reason"]) == ("Normal", "Suspended")
    assert event["note"] == "stopped; set spec.suspended to false to go on"
    before = with_status(suspended)
    assert single_event(before, status_after(inputs, before))["reason"] == "Provisioning"


def test_a_new_reason_of_a_degraded_workspace_is_an_event() -> None:
    before = with_status(status_after(BROKEN))
    other = replace(BROKEN, failure=Problem(Reason.CEILING_EXCEEDED, "too much"))
    event: Any = single_event(before, status_after(other, before))
    assert event["reason"] == "CeilingExceeded"


def test_another_url_is_no_event() -> None:
    before = with_status(status_after(StatusInputs(url="u")))
    assert list(events(before, status_after(StatusInputs(url="v"), before), NOW)) == []


def test_an_upgrade_is_an_event_when_it_is_done() -> None:
    old, new = (
        ImagesRecord(ollama="o:1", open_webui="w:1"),
        ImagesRecord(ollama="o:1", open_webui="w:2"),
    )
    first = status_after(StatusInputs(url="u"))
    before = with_status(first.model_copy(update={"images": old}))
    event = single_event(before, before.status.model_copy(update={"images": new}))
    assert (event["type"], event["reason"]) == ("Normal", "Upgraded")
    assert "w:2" in event["note"]
    fresh = with_status(first)
    assert list(events(fresh, fresh.status.model_copy(update={"images": new}), NOW)) == []


def test_a_stopped_upgrade_is_one_event_of_each_waiting_workspace() -> None:
    before = with_status(status_after(StatusInputs(url="u")))
    manifest = {
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "n"},
    }
    workload = ref(manifest)
    pods = PodChange(
        {workload: PodTarget("new", "i:2")},
        takes_part=True,
        refusal=Refusal.STOPPED,
        blocked_by=("team-b",),
    )
    observed = Observed(objects={workload: manifest})
    stopped = status_after(StatusInputs(url="u", pods=pods, observed=observed), before)
    event = single_event(before, stopped)
    assert (event["type"], event["reason"]) == ("Warning", "UpgradeStopped")
    assert list(events(with_status(stopped), stopped, NOW)) == []


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (ConditionType.STORAGE_AS_ASKED, "VolumeKept"),
        (ConditionType.INGRESS_SERVED, "IngressNotServed"),
        (ConditionType.TOOLS_OFFERED, "ToolsNotOffered"),
    ],
)
def test_a_warning_of_a_ready_workspace_is_one_event(kind: ConditionType, reason: str) -> None:
    before = with_status(status_after(StatusInputs(url="u")))
    conditions = tuple(
        condition.model_copy(update={"reason": reason, "message": "mend it"})
        if condition.type is kind
        else condition
        for condition in before.status.conditions
    )
    worse = before.status.model_copy(update={"conditions": conditions})
    event = single_event(before, worse)
    assert (event["type"], event["reason"], event["note"]) == ("Warning", reason, "mend it")
    assert list(events(with_status(worse), worse, NOW)) == []


def test_the_event_of_a_retained_namespace_says_how_to_use_it_again() -> None:
    event = retained(workspace(), "ns-1", NOW)
    assert event["reason"] == "Retained"
    assert "namespace team-a-aichat" in event["note"]
    assert "spec.namespaceUID ns-1" in event["note"]


def test_the_event_of_an_expiry_names_the_lifetime() -> None:
    assert "90m" in expired(workspace(expiresAfter="90m"), NOW)["note"]


def test_repeats_are_one_series_written_once_a_minute() -> None:
    recorder, event = EventRecorder(), single_event(workspace(), status_after(BROKEN))
    assert recorder.is_first(event, NOW)
    written = []
    for seconds in range(10, 200, 10):
        now = NOW + timedelta(seconds=seconds)
        assert not recorder.is_first(event, now)
        if series := recorder.repeat(event, now):
            written.append(series)
    assert [series["count"] for _, series in written] == [2, 8, 14, 20]
    assert {name for name, _ in written} == {event["metadata"]["name"]}
    assert recorder.is_first(event, NOW + timedelta(hours=1))


def test_another_reason_or_another_workspace_is_another_event() -> None:
    recorder = EventRecorder()
    for uid in ("a", "b"):
        event = single_event(workspace(metadata={"uid": uid}), status_after(BROKEN))
        assert recorder.is_first(event, NOW)
        assert recorder.is_first({**event, "reason": "Other"}, NOW)


def test_only_series_that_have_ended_are_dropped() -> None:
    recorder = EventRecorder()
    first, second, third = (
        single_event(workspace(metadata={"uid": uid}), status_after(BROKEN))
        for uid in ("a", "b", "c")
    )
    assert recorder.is_first(first, NOW)
    assert recorder.is_first(second, NOW + timedelta(minutes=1))
    assert not recorder.is_first(first, NOW + timedelta(minutes=9))
    recorder.repeat(first, NOW + timedelta(minutes=9))
    assert recorder.is_first(third, NOW + timedelta(minutes=12))
    assert not recorder.is_first(first, NOW + timedelta(minutes=12))
    assert recorder.is_first(second, NOW + timedelta(minutes=12))


def test_each_end_of_a_restore_is_an_event_and_a_further_backup_is_none() -> None:
    condition = Condition(
        type=ConditionType.RESTORED,
        status=ConditionStatus.TRUE,
        reason="Restored",
        message="the data is that of a backup",
        last_transition_time=NOW,
        observed_generation=1,
    )
    backed_up = condition.model_copy(update={"type": ConditionType.BACKED_UP, "reason": "BackedUp"})
    record = RestoreRecord(
        target=Restore(backup="20261130T030000Z-00000001"), state=BackupState.DONE
    )
    first = status_after(StatusInputs(url="u"))
    done = first.model_copy(
        update={"conditions": (*first.conditions, backed_up, condition), "restore": record}
    )
    reasons = [event["reason"] for event in events(with_status(first), done, NOW)]
    assert reasons == ["Restored", "BackedUp"]
    assert list(events(with_status(done), done, NOW)) == []
    newer = backed_up.model_copy(update={"message": "the last backup is another"})
    again = record.target.model_copy(update={"request": "again"})
    moved = done.model_copy(
        update={
            "conditions": (*first.conditions, newer, condition),
            "restore": record.model_copy(update={"target": again}),
        }
    )
    (event,) = events(with_status(done), moved, NOW)
    assert (event["reason"], event["type"]) == ("Restored", "Normal")
    failed = condition.model_copy(
        update={"status": ConditionStatus.FALSE, "reason": "BackupStoreFailed", "message": "403"}
    )
    worse = done.model_copy(update={"conditions": (*first.conditions, backed_up, failed)})
    (event,) = events(with_status(done), worse, NOW)
    assert (event["reason"], event["type"]) == ("BackupStoreFailed", "Warning")
