from datetime import timedelta
from typing import Any

import pytest

from aichat_workspace.domain.diagnosis import diagnose, unmet, unrouted, unserved
from aichat_workspace.domain.spec import Volume
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


def ingress_class(name: str, *, default: bool | None = None) -> dict[str, Any]:
    mark = "ingressclass.kubernetes.io/is-default-class"
    marks = {} if default is None else {mark: str(default).lower()}
    return {"metadata": {"name": name, "annotations": marks}}


@pytest.mark.parametrize(
    ("found", "classes", "served"),
    [
        (ingress("nginx"), [ingress_class("nginx")], True),
        (ingress("nginx"), [ingress_class("traefik", default=True)], False),
        (ingress(), [ingress_class("traefik", default=True)], True),
        (ingress(), [ingress_class("traefik")], False),
        (ingress(), [ingress_class("traefik", default=False)], False),
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


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat()


def restarted(
    state: dict[str, Any], *, count: int = 3, ran: float = 5, ended: float = 20, **more: Any
) -> dict[str, Any]:
    last = {"terminated": {"startedAt": ago(ended + ran), "finishedAt": ago(ended)}}
    return {"name": "c", "restartCount": count, "state": state, "lastState": last, **more}


RUNS: dict[str, Any] = {"running": {}}
HAS_ENDED: dict[str, Any] = {"terminated": {"exitCode": 1}}


@pytest.mark.parametrize("state", [RUNS, HAS_ENDED, {"waiting": {"reason": "CrashLoopBackOff"}}])
def test_a_container_that_keeps_stopping_is_told_between_two_restarts_as_well(
    state: dict[str, Any],
) -> None:
    problem = diagnose(None, None, [pod(containerStatuses=[restarted(state)])], NOW)
    assert problem is not None
    assert problem.reason == "CrashLoop"


@pytest.mark.parametrize(
    "container",
    [
        restarted(RUNS, count=1),
        restarted(RUNS, ready=True),
        restarted(RUNS, ran=3600),
        restarted(RUNS, ended=3600),
    ],
)
def test_a_container_that_stopped_once_or_long_ago_is_only_starting(
    container: dict[str, Any],
) -> None:
    assert diagnose(None, None, [pod(containerStatuses=[container])], NOW) is None


@pytest.mark.parametrize(
    ("made", "unready", "told"),
    [(601, 601, True), (599, 599, False), (86400, 60, False), (86400, None, True)],
)
def test_a_pod_that_does_not_get_ready_is_told_after_ten_minutes(
    made: float, unready: float | None, *, told: bool
) -> None:
    since = {} if unready is None else {"lastTransitionTime": ago(unready)}
    starting = pod(conditions=[{"type": "Ready", "status": "False", **since}])
    starting["metadata"]["creationTimestamp"] = ago(made)
    problem = diagnose(None, None, [starting], NOW)
    assert (problem is not None and problem.reason == "NotReadyInTime") is told


def podless(**status: Any) -> dict[str, Any]:
    return {
        "kind": "StatefulSet",
        "metadata": {"name": "s", "generation": 2, "changedAt": ago(31)},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 2, "replicas": 0, **status},
    }


def test_a_stateful_set_whose_pod_is_refused_is_told() -> None:
    since = NOW - timedelta(seconds=31)
    problem = diagnose(podless(), None, [], NOW, since)
    assert problem is not None
    assert problem.reason == "PodRefused"
    assert "kubectl describe statefulset s" in problem.message


@pytest.mark.parametrize(
    "workload",
    [
        None,
        podless(observedGeneration=1),
        podless(replicas=1),
        {**podless(), "kind": "Deployment"},
        {**podless(), "spec": {"replicas": 0}},
        {**podless(), "metadata": {"name": "s", "generation": 2, "changedAt": ago(29)}},
    ],
)
def test_a_workload_that_has_or_wants_no_pod_yet_is_no_problem(
    workload: dict[str, Any] | None,
) -> None:
    assert diagnose(workload, None, [], NOW, NOW - timedelta(seconds=31)) is None


def test_a_stateful_set_gets_a_moment_for_its_pod() -> None:
    assert diagnose(podless(), None, [], NOW, NOW - timedelta(seconds=29)) is None
    assert diagnose(podless(), None, [], NOW) is None


CLAIM = {
    "metadata": {"name": "models"},
    "spec": {"resources": {"requests": {"storage": "20Gi"}}, "storageClassName": "fast"},
}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Volume(size="10Gi"), "keeps its 20Gi"),
        (Volume(storage_class_name="slow"), "keeps its StorageClass 'fast' instead of 'slow'"),
        (Volume(size="10Gi", storage_class_name="slow"), "slow'; name what it has"),
    ],
)
def test_a_volume_that_can_not_be_as_asked_is_told(wanted: Volume, said: str) -> None:
    problem = unmet(CLAIM, wanted)
    assert problem is not None
    assert said in problem.message


@pytest.mark.parametrize(
    "wanted", [Volume(), Volume(size="20Gi", storage_class_name="fast"), Volume(size="30Gi")]
)
def test_a_volume_that_is_as_asked_or_grows_is_no_problem(wanted: Volume) -> None:
    assert unmet(CLAIM, wanted) is None
    assert unmet(None, wanted) is None
