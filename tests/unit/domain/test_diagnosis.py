from datetime import timedelta
from typing import Any

import pytest

from aichat_workspace.domain.diagnosis import diagnose, unrouted, unserved
from tests.unit.domain.samples import NOW


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p-0"}, "status": status}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod(containerStatuses=[{"name": "c", "image": "i:1", "state": state}])


_UNBOUND = "pod has unbound immediate PersistentVolumeClaims"


def waiting_first(reason: str) -> dict[str, Any]:
    state = {"waiting": {"reason": reason}}
    before = [{"name": "first", "image": "i:1", "state": state}]
    after = [{"name": "c", "image": "i:1", "state": {"waiting": {"reason": "PodInitializing"}}}]
    return pod(initContainerStatuses=before, containerStatuses=after)


def unschedulable(
    message: str = "0/1 nodes: too little cpu", for_seconds: float = 0
) -> dict[str, Any]:
    since = (NOW - timedelta(seconds=for_seconds)).isoformat()
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return pod(conditions=[{**scheduled, "message": message, "lastTransitionTime": since}])


@pytest.mark.parametrize(
    ("found", "reason", "fix"),
    [
        (waiting("ImagePullBackOff", "no such host"), "ImagePullFailed", "check its name"),
        (waiting("CrashLoopBackOff"), "CrashLoop", "kubectl logs --previous p-0 -c c"),
        (waiting_first("CrashLoopBackOff"), "CrashLoop", "kubectl logs --previous p-0 -c first"),
        (waiting_first("ErrImagePull"), "ImagePullFailed", "check its name"),
        (waiting("CreateContainerConfigError", "secret x"), "ContainerNotStarted", "secret x"),
        (unschedulable(), "Unschedulable", "add capacity"),
        (unschedulable(_UNBOUND, 31), "VolumeUnbound", "StorageClass"),
    ],
)
def test_a_pods_trouble_is_one_reason_and_one_sentence_with_the_fix(
    found: dict[str, Any], reason: str, fix: str
) -> None:
    problem = diagnose(None, None, [found], NOW)
    assert problem is not None
    assert problem.reason == reason
    assert fix in problem.message


def test_a_pod_that_is_only_starting_is_no_problem() -> None:
    assert diagnose(None, None, [waiting("ContainerCreating"), pod()], NOW) is None


def test_a_quota_that_refuses_pods_is_told() -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    problem = diagnose({"status": {"conditions": [refused]}}, None, [], NOW)
    assert problem is not None
    assert "exceeded quota" in problem.message


def test_a_lost_volume_is_told() -> None:
    claim = {"metadata": {"name": "models"}, "status": {"phase": "Lost"}}
    problem = diagnose(None, claim, [], NOW)
    assert problem is not None
    assert problem.reason == "VolumeLost"


def test_a_volume_that_is_being_made_is_no_problem_yet() -> None:
    assert diagnose(None, None, [unschedulable(_UNBOUND, 29)], NOW) is None


def ingress(name: str | None = None) -> dict[str, Any]:
    return {"metadata": {"name": "i"}, "spec": {"ingressClassName": name} if name else {}}


def ingress_class(name: str, *, default: bool = False) -> dict[str, Any]:
    marks = {"ingressclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {"metadata": {"name": name, "annotations": marks}}


@pytest.mark.parametrize(
    ("found", "classes", "served"),
    [
        (ingress("nginx"), [ingress_class("nginx")], True),
        (ingress("nginx"), [ingress_class("traefik", default=True)], False),
        (ingress(), [ingress_class("traefik", default=True)], True),
        (ingress(), [ingress_class("traefik")], False),
        (ingress(), [], False),
        (None, [], True),
    ],
)
def test_an_ingress_without_a_controller_is_told(
    found: dict[str, Any] | None, classes: list[dict[str, Any]], served: bool
) -> None:
    assert (unserved(found, classes) is None) is served


def route(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": "r"},
        "spec": {"parentRefs": [{"name": "front", "namespace": "edge"}]},
        "status": {"parents": [{"conditions": [*conditions]}]},
    }


def test_a_route_that_no_gateway_takes_is_told_with_what_the_gateway_said() -> None:
    accepted = {"type": "Accepted", "status": "True", "message": ""}
    refused = {**accepted, "status": "False", "message": "not allowed"}
    assert unrouted(route(accepted)) is None
    assert unrouted(None) is None
    problem = unrouted(route(refused))
    assert problem is not None
    assert "edge/front has not accepted HTTPRoute r: not allowed" in problem.message
    assert unrouted({**route(), "status": {}}) is not None
