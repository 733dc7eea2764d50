"""What Helm, Flux and other programs that wait make of a workspace: kstatus' rules.

https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/status/generic.go
"""

from dataclasses import replace
from typing import Any

import pytest

from aichat_workspace.domain.models.status import ModelState, ModelStatus
from aichat_workspace.domain.planning.observed import NOTHING
from aichat_workspace.domain.planning.pod_change import PodChange
from aichat_workspace.domain.planning.restore import RestorePlan
from aichat_workspace.domain.planning.rollout import Refusal
from aichat_workspace.domain.policy.ownership import Rejection
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.status.inputs import StatusInputs
from aichat_workspace.domain.status.status import compute_status
from aichat_workspace.domain.v1alpha1 import crd
from aichat_workspace.domain.v1alpha1.backup import BackupState, Restore, RestoreRecord
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionType
from tests.unit.domain.samples import NOW, workspace
from tests.unit.domain.status.test_status import FACTS


def kstatus(document: dict[str, Any]) -> str:
    metadata, status = document["metadata"], document.get("status", {})
    if "deletionTimestamp" in metadata:
        return "Terminating"
    if status.get("observedGeneration", metadata["generation"]) != metadata["generation"]:
        return "InProgress"
    conditions = status.get("conditions", ())
    for condition in conditions:
        if condition["type"] == "Reconciling" and condition["status"] == "True":
            return "InProgress"
        if condition["type"] == "Stalled" and condition["status"] == "True":
            return "Failed"
    ready = [condition["status"] for condition in conditions if condition["type"] == "Ready"]
    return "InProgress" if ready and ready[0] != "True" else "Current"


def outcome(resource: Workspace, facts: StatusInputs) -> str:
    status = compute_status(resource, facts, NOW)
    deletion = {"deletionTimestamp": "now"} if resource.deleting else {}
    return kstatus(
        {
            "metadata": {"generation": resource.generation, **deletion},
            "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
    )


def test_a_workspace_that_is_as_asked_is_current() -> None:
    assert outcome(workspace(), FACTS) == "Current"
    waiting = replace(FACTS, pods=PodChange(takes_part=True, refusal=Refusal.WAITING))
    assert outcome(workspace(), waiting) == "Current", "a rollout may last for hours"


def test_a_suspended_workspace_is_as_asked() -> None:
    assert outcome(workspace(suspended=True), FACTS) == "Current"
    status = compute_status(workspace(suspended=True), FACTS, NOW)
    assert status.phase == "Suspended"
    assert "Ready" not in {condition.type for condition in status.conditions}


@pytest.mark.parametrize(
    "facts",
    [
        StatusInputs(url="http://a"),
        replace(FACTS, models=(ModelStatus("gemma2:2b", ModelState.PULLING),)),
    ],
)
def test_what_time_makes_ready_is_in_progress(facts: StatusInputs) -> None:
    assert outcome(workspace(), facts) == "InProgress"


@pytest.mark.parametrize(
    "reason", [Reason.CEILING_EXCEEDED, Reason.SECRET_NOT_FOUND, Reason.WRITE_REFUSED]
)
@pytest.mark.parametrize("suspended", [False, True])
def test_what_somebody_has_to_mend_has_failed(reason: Reason, suspended: bool) -> None:
    failure = Problem(reason, "mend it")
    assert outcome(workspace(suspended=suspended), replace(FACTS, failure=failure)) == "Failed"
    status = compute_status(workspace(), replace(FACTS, failure=failure), NOW)
    (stalled,) = (condition for condition in status.conditions if condition.type == "Stalled")
    assert (stalled.reason, stalled.message) == (reason, "mend it")


@pytest.mark.parametrize(
    "reason", [Reason.NAMESPACE_TAKEN, Reason.NAMESPACE_RESERVED, Reason.WORKSPACE_NAME_TAKEN]
)
def test_a_workspace_that_is_rejected_has_failed(reason: Reason) -> None:
    rejected = StatusInputs(url="", rejection=Rejection(reason, "choose another"))
    assert outcome(workspace(), rejected) == "Failed"


def test_a_failed_model_has_failed() -> None:
    broken = replace(FACTS, models=(ModelStatus("gemma2:2b", ModelState.FAILED),))
    assert outcome(workspace(), broken) == "Failed"


def test_a_workspace_that_ends_is_terminating() -> None:
    ending = workspace(metadata={"deletionTimestamp": "2026-11-23T12:00:00Z"})
    assert outcome(ending, FACTS) == "Terminating"


def test_a_workspace_that_the_operator_has_not_seen_is_in_progress() -> None:
    """By the defaults that the API server writes into its status."""
    version, *_ = crd.workspace_crd()["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    nested = {
        name: field["default"] for name, field in schema["properties"].items() if "default" in field
    }
    unseen = {"metadata": {"generation": 1}, "status": {**nested, **schema["default"]}}
    assert kstatus(unseen) == "InProgress"


def test_conditions_that_are_abnormal_are_there_only_while_they_are_true() -> None:
    types = {condition.type for condition in compute_status(workspace(), FACTS, NOW).conditions}
    assert not types & {"Reconciling", "Stalled"}
    starting = compute_status(workspace(), StatusInputs(url="http://a"), NOW)
    types = {condition.type for condition in starting.conditions}
    assert types & {"Reconciling", "Stalled"} == {"Reconciling"}


def test_backups_and_restores_that_fail_leave_a_chat_that_works_current() -> None:
    restore = Restore(backup="20261130T030000Z-00000001")
    failed = RestoreRecord(target=restore, state=BackupState.FAILED, reason="BackupStoreFailed")
    facts = replace(
        FACTS,
        restore=RestorePlan(failed),
        backup_problem=Problem(Reason.BACKUP_DESTINATION_NOT_FOUND, "there is none"),
    )
    resource = workspace(backup={"schedule": "@daily"}, restore=restore.model_dump(by_alias=True))
    assert outcome(resource, facts) == "Current"
    status = compute_status(resource, facts, NOW)
    assert status.phase == "Ready"
    kinds = (ConditionType.BACKED_UP, ConditionType.RESTORED)
    reasons = [condition.reason for condition in map(status.condition, kinds) if condition]
    assert reasons == ["BackupDestinationNotFound", "BackupStoreFailed"]


def test_a_restore_that_failed_says_nothing_more_once_nobody_asks_for_it() -> None:
    restore = Restore(backup="20261130T030000Z-00000001")
    failed = RestoreRecord(target=restore, state=BackupState.FAILED, reason="BackupStoreFailed")
    facts = replace(FACTS, restore=RestorePlan(failed))
    asking = workspace(restore=restore.model_dump(by_alias=True))
    assert compute_status(asking, facts, NOW).condition(ConditionType.RESTORED) is not None
    status = compute_status(workspace(), facts, NOW)
    assert status.condition(ConditionType.RESTORED) is None
    assert status.restore == failed


def test_a_restore_that_goes_on_is_in_progress_and_one_that_a_new_chat_lacks_is_stalled() -> None:
    record = RestoreRecord(
        target=Restore(backup="20261130T030000Z-00000001"), state=BackupState.RUNNING
    )
    running = replace(FACTS, restore=RestorePlan(record, stops_chat=True))
    assert outcome(workspace(), running) == "InProgress"
    status = compute_status(workspace(), running, NOW)
    assert status.phase == "Provisioning"
    starting = replace(running, observed=NOTHING)
    ready = compute_status(workspace(), starting, NOW).condition(ConditionType.READY)
    assert ready is not None
    assert ready.reason == "Restoring", "whatever else needs time"
    failed = record.model_copy(update={"state": BackupState.FAILED, "reason": "ArchiveInvalid"})
    lacking = RestorePlan(failed, stops_chat=True, lacks_data=True)
    assert outcome(workspace(), replace(FACTS, restore=lacking)) == "Failed"
