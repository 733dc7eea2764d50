from datetime import timedelta
from typing import Any

import pytest

from aichat_workspace.domain.status.workload_health import (
    diagnose,
    ingress_problem,
    namespace_deletion_problem,
    route_problem,
)
from tests.unit.domain.samples import NOW


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat()


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p-0"}, "status": status}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod(containerStatuses=[{"name": "c", "image": "i:1", "state": state}])


_UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
_LATE_UNBOUND = "1 node(s) didn't find available persistent volumes to bind"


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
        (
            waiting("CreateContainerConfigError", "secret x"),
            "ContainerNotStarted",
            "kubectl describe pod p-0",
        ),
        (unschedulable(for_seconds=61), "Unschedulable", "add capacity"),
        (unschedulable(_UNBOUND, 31), "VolumeUnbound", "StorageClass"),
        (unschedulable(_LATE_UNBOUND, 31), "VolumeUnbound", "StorageClass"),
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


def test_a_node_may_be_on_its_way() -> None:
    assert diagnose(None, None, [unschedulable(for_seconds=59)], NOW) is None


def pending(*, node: str | None = "n-1", made: float = 600) -> dict[str, Any]:
    marks = {"volume.kubernetes.io/selected-node": node} if node else {}
    metadata = {"name": "models", "annotations": marks, "creationTimestamp": ago(made)}
    return {"metadata": metadata, "status": {"phase": "Pending"}}


def made(seconds: float) -> dict[str, Any]:
    return {"metadata": {"name": "p-0", "creationTimestamp": ago(seconds)}}


def test_a_volume_that_does_not_come_to_the_chosen_node_is_told() -> None:
    problem = diagnose(None, pending(), [made(61)], NOW)
    assert problem is not None
    assert problem.reason == "VolumeUnbound"
    assert "claim models gets no volume on node n-1" in problem.message


@pytest.mark.parametrize(
    ("claim", "pods"),
    [
        (pending(node=None), [made(300)]),
        (pending(), [made(59)]),
        (pending(made=59), [made(300)]),
        (pending(), []),
    ],
)
def test_a_claim_that_waits_for_a_pod_or_a_moment_for_its_volume_is_no_problem(
    claim: dict[str, Any], pods: list[dict[str, Any]]
) -> None:
    assert diagnose(None, claim, pods, NOW) is None


def going(seconds: float) -> dict[str, Any]:
    """A pod that was to be gone so long ago."""
    return {"metadata": {"name": "p-0", "deletionTimestamp": ago(seconds)}}


def test_a_pod_that_does_not_end_is_told_with_what_to_do_about_its_node() -> None:
    problem = diagnose(None, None, [going(61)], NOW)
    assert problem is not None
    assert problem.reason == "PodNotEnding"
    assert "kubectl delete node" in problem.message
    assert diagnose(None, None, [going(59)], NOW) is None


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_is_over_says_nothing_of_its_successor(phase: str) -> None:
    """As one that was evicted last week, whose record is there still."""
    evicted = pod(phase=phase, conditions=[{"type": "Ready", "status": "False"}])
    evicted["metadata"]["creationTimestamp"] = ago(7 * 86400)
    assert diagnose(None, None, [evicted, made(5)], NOW) is None


def test_what_holds_a_namespace_is_told_once_it_is_overdue() -> None:
    conditions = [
        {"type": "NamespaceContentRemaining", "status": "True", "message": "pods. has 1 left"},
        {"type": "NamespaceFinalizersRemaining", "status": "True", "message": "example.org/keep"},
        {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "all well"},
    ]

    def namespace(seconds: float) -> dict[str, Any]:
        return {
            "metadata": {"deletionTimestamp": ago(seconds)},
            "status": {"conditions": conditions},
        }

    assert namespace_deletion_problem(namespace(31), NOW) == "pods. has 1 left; example.org/keep"
    assert namespace_deletion_problem(namespace(29), NOW) == ""
    assert namespace_deletion_problem({"metadata": {}}, NOW) == ""


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
    assert (ingress_problem(found, classes) is None) is served


def route(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": "r"},
        "spec": {"parentRefs": [{"name": "front", "namespace": "edge"}]},
        "status": {"parents": [{"conditions": [*conditions]}]},
    }


def test_a_route_that_no_gateway_takes_is_told_with_what_the_gateway_said() -> None:
    accepted = {"type": "Accepted", "status": "True", "message": ""}
    refused = {**accepted, "status": "False", "message": "not allowed"}
    assert route_problem(route(accepted)) is None
    assert route_problem(None) is None
    problem = route_problem(route(refused))
    assert problem is not None
    assert "edge/front has not accepted HTTPRoute r: not allowed" in problem.message
    assert route_problem({**route(), "status": {}}) is not None


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
