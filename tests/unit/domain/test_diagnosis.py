from typing import Any

import pytest

from aichat_workspace.domain.diagnosis import diagnose


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p-0"}, "status": status}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod(containerStatuses=[{"name": "c", "image": "i:1", "state": state}])


def unschedulable() -> dict[str, Any]:
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return pod(conditions=[{**scheduled, "message": "0/1 nodes: too little cpu"}])


@pytest.mark.parametrize(
    ("found", "reason", "fix"),
    [
        (waiting("ImagePullBackOff", "no such host"), "ImagePullFailed", "check its name"),
        (waiting("CrashLoopBackOff"), "CrashLoop", "kubectl logs --previous p-0"),
        (waiting("CreateContainerConfigError", "secret x"), "ContainerNotStarted", "secret x"),
        (unschedulable(), "Unschedulable", "add capacity"),
    ],
)
def test_a_pods_trouble_is_one_reason_and_one_sentence_with_the_fix(
    found: dict[str, Any], reason: str, fix: str
) -> None:
    problem = diagnose(None, None, [found])
    assert problem is not None
    assert problem.reason == reason
    assert fix in problem.message


def test_a_pod_that_is_only_starting_is_no_problem() -> None:
    assert diagnose(None, None, [waiting("ContainerCreating"), pod()]) is None


def test_a_quota_that_refuses_pods_is_told() -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    problem = diagnose({"status": {"conditions": [refused]}}, None, [])
    assert problem is not None
    assert "exceeded quota" in problem.message


def test_a_lost_volume_is_told() -> None:
    claim = {"metadata": {"name": "models"}, "status": {"phase": "Lost"}}
    problem = diagnose(None, claim, [])
    assert problem is not None
    assert problem.reason == "VolumeLost"
