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
    ("pod_manifest", "reason", "fix"),
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
def test_a_problem_of_a_pod_has_its_reason_and_fix(
    pod_manifest: dict[str, Any], reason: str, fix: str
) -> None:
    """F14: an image that cannot be pulled, and a volume without its class."""
    problem = diagnose(None, None, [pod_manifest], NOW)
    assert problem is not None
    assert problem.reason == reason
    assert fix in problem.message


def test_a_pod_that_is_only_starting_is_no_problem() -> None:
    assert diagnose(None, None, [waiting("ContainerCreating"), pod()], NOW) is None


def test_a_pod_refused_by_a_quota_is_reported() -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    problem = diagnose({"status": {"conditions": [refused]}}, None, [], NOW)
    assert problem is not None
    assert "exceeded quota" in problem.message


def test_a_pod_that_is_refused_while_another_ends_or_since_a_moment_is_no_problem() -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}

    def workload(seconds: float) -> dict[str, Any]:
        return {"status": {"conditions": [{**refused, "lastTransitionTime": ago(seconds)}]}}

    ending = pod_deleted(-5)
    assert diagnose(workload(600), None, [ending], NOW) is None, "it counts in the quota"
    assert diagnose(workload(59), None, [], NOW) is None, "it is tried again"
    problem = diagnose(workload(60), None, [], NOW)
    assert problem is not None
    assert problem.reason == "PodRefused"


def test_of_a_pod_that_does_not_end_no_refused_successor_is_reported() -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    workload = {"status": {"conditions": [{**refused, "lastTransitionTime": ago(600)}]}}
    problem = diagnose(workload, None, [pod_deleted(61)], NOW)
    assert problem is not None
    assert problem.reason == "PodNotEnding"


def test_a_lost_volume_is_reported() -> None:
    claim = {"metadata": {"name": "models"}, "status": {"phase": "Lost"}}
    problem = diagnose(None, claim, [], NOW)
    assert problem is not None
    assert problem.reason == "VolumeLost"


def test_a_volume_may_take_thirty_seconds() -> None:
    assert diagnose(None, None, [unschedulable(_UNBOUND, 29)], NOW) is None


def test_a_node_may_take_a_minute() -> None:
    assert diagnose(None, None, [unschedulable(for_seconds=59)], NOW) is None


def pending_claim(*, node: str | None = "n-1", created: float = 600) -> dict[str, Any]:
    annotations = {"volume.kubernetes.io/selected-node": node} if node else {}
    metadata = {"name": "models", "annotations": annotations, "creationTimestamp": ago(created)}
    return {"metadata": metadata, "status": {"phase": "Pending"}}


def pod_created(seconds: float) -> dict[str, Any]:
    """A pod that was created so long ago."""
    return {"metadata": {"name": "p-0", "creationTimestamp": ago(seconds)}}


def test_a_volume_that_is_not_provisioned_on_the_selected_node_is_reported() -> None:
    problem = diagnose(None, pending_claim(), [pod_created(61)], NOW)
    assert problem is not None
    assert problem.reason == "VolumeUnbound"
    assert "claim models gets no volume on node n-1" in problem.message


@pytest.mark.parametrize(
    ("claim", "pods"),
    [
        (pending_claim(node=None), [pod_created(300)]),
        (pending_claim(), [pod_created(59)]),
        (pending_claim(created=59), [pod_created(300)]),
        (pending_claim(), []),
    ],
)
def test_a_claim_that_waits_for_a_pod_or_shortly_for_its_volume_is_no_problem(
    claim: dict[str, Any], pods: list[dict[str, Any]]
) -> None:
    assert diagnose(None, claim, pods, NOW) is None


def pod_deleted(seconds: float) -> dict[str, Any]:
    """A pod whose grace period ended so long ago."""
    return {"metadata": {"name": "p-0", "deletionTimestamp": ago(seconds)}}


def test_a_pod_that_does_not_end_is_reported_with_the_fix() -> None:
    problem = diagnose(None, None, [pod_deleted(61)], NOW)
    assert problem is not None
    assert problem.reason == "PodNotEnding"
    assert "kubectl delete node" in problem.message
    assert diagnose(None, None, [pod_deleted(59)], NOW) is None


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_is_over_is_no_problem(phase: str) -> None:
    """Like one that was evicted last week, whose record remains."""
    evicted = pod(phase=phase, conditions=[{"type": "Ready", "status": "False"}])
    evicted["metadata"]["creationTimestamp"] = ago(7 * 86400)
    assert diagnose(None, None, [evicted, pod_created(5)], NOW) is None


def test_what_delays_a_namespaces_deletion_is_reported_once_it_is_overdue() -> None:
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
    annotation = "ingressclass.kubernetes.io/is-default-class"
    annotations = {} if default is None else {annotation: str(default).lower()}
    return {"metadata": {"name": name, "annotations": annotations}}


@pytest.mark.parametrize(
    ("manifest", "classes", "is_served"),
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
def test_an_ingress_without_a_controller_is_reported(
    manifest: dict[str, Any] | None, classes: list[dict[str, Any]], is_served: bool
) -> None:
    assert (ingress_problem(manifest, classes) is None) is is_served


def route(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": "r"},
        "spec": {"parentRefs": [{"name": "front", "namespace": "edge"}]},
        "status": {"parents": [{"conditions": [*conditions]}]},
    }


def test_a_route_that_no_gateway_accepts_is_reported_with_the_gateways_message() -> None:
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
    return {"name": "c", "restartCount": count, "state": state, "lastState": last} | more


RUNS: dict[str, Any] = {"running": {}}
HAS_ENDED: dict[str, Any] = {"terminated": {"exitCode": 1}}


@pytest.mark.parametrize("state", [RUNS, HAS_ENDED, {"waiting": {"reason": "CrashLoopBackOff"}}])
def test_a_container_that_keeps_stopping_is_reported_between_two_restarts_as_well(
    state: dict[str, Any],
) -> None:
    problem = diagnose(None, None, [pod(containerStatuses=[restarted(state)])], NOW)
    assert problem is not None
    assert problem.reason == "CrashLoop"


@pytest.mark.parametrize(("name", "is_quoted"), [("prepare", True), ("openwebui", False)])
@pytest.mark.parametrize("place", ["state", "lastState"])
def test_the_program_that_prepares_a_chat_is_quoted_and_no_other(
    name: str, place: str, *, is_quoted: bool
) -> None:
    container = restarted({"terminated": {}}, name=name)
    container[place]["terminated"]["message"] = "copied 7 bytes\nthere is no room. Raise it.\n"
    problem = diagnose(None, None, [pod(initContainerStatuses=[container])], NOW)
    assert problem is not None
    words = ": there is no room. Raise it; read why" if is_quoted else "keeps stopping; read why"
    assert words in problem.message


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
    ("created", "unready", "is_reported"),
    [(601, 601, True), (599, 599, False), (86400, 60, False), (86400, None, True)],
)
def test_a_pod_that_does_not_get_ready_is_reported_after_ten_minutes(
    created: float, unready: float | None, *, is_reported: bool
) -> None:
    since = {} if unready is None else {"lastTransitionTime": ago(unready)}
    starting = pod(conditions=[{"type": "Ready", "status": "False", **since}])
    starting["metadata"]["creationTimestamp"] = ago(created)
    problem = diagnose(None, None, [starting], NOW)
    assert (problem is not None and problem.reason == "NotReadyInTime") is is_reported


def podless(**status: Any) -> dict[str, Any]:
    return {
        "kind": "StatefulSet",
        "metadata": {"name": "s", "generation": 2, "changedAt": ago(31)},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 2, "replicas": 0, **status},
    }


def test_a_stateful_set_whose_pod_is_refused_is_reported() -> None:
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
def test_a_workload_that_has_or_needs_no_pod_yet_is_no_problem(
    workload: dict[str, Any] | None,
) -> None:
    assert diagnose(workload, None, [], NOW, NOW - timedelta(seconds=31)) is None


def test_a_stateful_sets_pod_may_take_thirty_seconds() -> None:
    assert diagnose(podless(), None, [], NOW, NOW - timedelta(seconds=29)) is None
    assert diagnose(podless(), None, [], NOW) is None
