"""Diagnose why a workload is not running: one reason, and one sentence that says what to do."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.kubernetes.field_ownership import changed_at
from aichat_workspace.domain.kubernetes.manifest import Manifest, is_deleting
from aichat_workspace.domain.kubernetes.pods import (
    containers,
    is_over,
    is_ready,
    keeps_stopping,
    termination_deadline,
)
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason

_WORDS_LENGTH: Final = 1024
_IS_DEFAULT: Final = kinds.DEFAULT_CLASS_ANNOTATIONS[kinds.INGRESS_CLASS]
_SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
PATIENCE: Final = timedelta(seconds=30)
# A new node or volume takes time, and so does the end of a pod.
ARRIVAL: Final = timedelta(seconds=60)
START: Final = timedelta(minutes=10)
# https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode
_NO_VOLUME: Final = ("unbound", "persistentvolumeclaim", "persistent volumes to bind")
_NOT_STARTED: Final = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)
_PULL: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName"})


def diagnose(
    workload: Manifest | None,
    claim: Manifest | None,
    pods: Sequence[Manifest],
    now: datetime,
    since: datetime | None = None,
) -> Problem | None:
    """Return what keeps a workload from running, or None while it only needs time.

    It has not been available since `since`. Pods that are over don't count: they make room for
    another.
    """
    present = [pod for pod in pods if not is_over(pod)]
    alive = [pod for pod in present if not is_deleting(pod)]
    problems = (
        *(_pod(pod, now) for pod in alive),
        _claim(claim, alive, now),
        None if any(map(is_deleting, present)) else _refused(workload, now),
        None if present or since is None or now - since < PATIENCE else _podless(workload, now),
        *(_lingering(pod, now) for pod in present),
        *(_slow(pod, now) for pod in alive),
    )
    return next((problem for problem in problems if problem is not None), None)


def _pod(pod: Manifest, now: datetime) -> Problem | None:
    name = pod["metadata"]["name"]
    for container in containers(pod):
        if (problem := _container(name, container, now)) is not None:
            return problem
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return _unschedulable(name, condition, now)
    return None


def _unschedulable(pod: str, condition: dict[str, Any], now: datetime) -> Problem | None:
    message = condition.get("message", "no reason given")
    waited = now - datetime.fromisoformat(condition["lastTransitionTime"])
    if not any(word in message for word in _NO_VOLUME):
        if waited < ARRIVAL:
            return None  # an autoscaler may add a node
        return Problem(
            Reason.UNSCHEDULABLE,
            f"no node takes pod {pod}: {message}; add capacity, lower spec.resources, or correct "
            "spec.scheduling",
        )
    if waited < PATIENCE:
        return None  # provisioning a volume takes time
    return _unbound(f"pod {pod} has no volume yet: {message}")


def _unbound(what: str) -> Problem:
    return Problem(
        Reason.VOLUME_UNBOUND,
        f"{what}; check that the StorageClass exists and that its provisioner runs, or name "
        "another one in spec.storage",
    )


def _container(pod: str, container: dict[str, Any], now: datetime) -> Problem | None:
    waiting = container.get("state", {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _PULL:
        return Problem(
            Reason.IMAGE_PULL_FAILED,
            f"image {container.get('image', '')} of pod {pod} can't be pulled: {message}; check "
            "its name in the AIChatPlatform and that the nodes reach its registry",
        )
    if reason in _NOT_STARTED:
        return Problem(
            Reason.CONTAINER_NOT_STARTED,
            f"pod {pod} can't be started: {message}; mend what it names, or read more with: "
            f"kubectl describe pod {pod}",
        )
    fails = not container.get("ready") and keeps_stopping(container, now)
    if reason == "CrashLoopBackOff" or fails:
        name = container["name"]
        words = _last_words(container)
        return Problem(
            Reason.CRASH_LOOP,
            f"container {name} of pod {pod} keeps stopping"
            + (f": {words}" if words else "")
            + f"; read why with: kubectl logs --previous {pod} -c {name}",
        )
    return None


def _last_words(container: dict[str, Any]) -> str:
    """Return why it stopped, as it told the kubelet. Only our own program is quoted: in the chat's
    container people may run theirs."""
    if container["name"] != names.PREPARATION:
        return ""
    ends = (container.get(state, {}).get("terminated") or {} for state in ("state", "lastState"))
    lines = next(filter(None, (end.get("message", "").strip() for end in ends)), "").splitlines()
    return lines[-1][:_WORDS_LENGTH].rstrip(".") if lines else ""


def _lingering(pod: Manifest, now: datetime) -> Problem | None:
    """Report a pod that does not end: both workloads wait for its end before they replace it."""
    deadline, name = termination_deadline(pod), pod["metadata"]["name"]
    if deadline is None or now - deadline < ARRIVAL:
        return None
    return Problem(
        Reason.POD_NOT_ENDING,
        f"pod {name} was to be gone by {deadline:%H:%M:%S} UTC and is not, so no other takes its "
        f"place: its node may be lost; see kubectl get pod {name} -o wide. If the node is gone for "
        f"good, delete it with: kubectl delete node, else read why with: kubectl describe pod "
        f"{name}",
    )


def _slow(pod: Manifest, now: datetime) -> Problem | None:
    """Report a pod that runs and does not get ready: its status gives no reason."""
    metadata = pod["metadata"]
    transitions = (
        condition.get("lastTransitionTime")
        for condition in pod.get("status", {}).get("conditions", ())
        if condition["type"] == "Ready"
    )
    dates = [*filter(None, (metadata.get("creationTimestamp"), *transitions))]
    if is_ready(pod) or not dates or now - max(map(datetime.fromisoformat, dates)) < START:
        return None
    return Problem(
        Reason.NOT_READY_IN_TIME,
        f"pod {metadata['name']} has not become ready in {START.seconds // 60} minutes; read why "
        f"with: kubectl describe pod {metadata['name']}, and kubectl logs {metadata['name']}",
    )


def _podless(workload: Manifest | None, now: datetime) -> Problem | None:
    """Report a StatefulSet without a pod: its status does not say that the pod is refused."""
    if workload is None or workload.get("kind") != "StatefulSet":
        return None
    metadata, status = workload["metadata"], workload.get("status", {})
    is_observed = status.get("observedGeneration", 0) >= metadata.get("generation", 0)
    if not is_observed or status.get("replicas", 0) or not workload["spec"].get("replicas"):
        return None
    changed = changed_at(workload)
    if changed is not None and now - changed < PATIENCE:
        return None  # it was resumed or corrected just now
    return Problem(
        Reason.POD_REFUSED,
        f"StatefulSet {metadata['name']} has no pod: a quota or a policy refuses it; read which "
        f"with: kubectl describe statefulset {metadata['name']}",
    )


def namespace_deletion_problem(namespace: Manifest, now: datetime) -> str:
    """Return what delays a namespace's deletion; an empty text while it is not overdue.

    https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/#NamespaceStatus
    """
    timestamp = namespace["metadata"].get("deletionTimestamp")
    if timestamp is None or now - datetime.fromisoformat(timestamp) < PATIENCE:
        return ""
    messages = (
        condition.get("message", condition["type"])
        for condition in namespace.get("status", {}).get("conditions", ())
        if condition["status"] == "True"
    )
    return "; ".join(messages)


def ingress_problem(ingress: Manifest | None, classes: Iterable[Manifest]) -> Problem | None:
    """Report an Ingress that no controller serves: its class, or a default one, does not exist.

    https://kubernetes.io/docs/concepts/services-networking/ingress/#ingress-class
    """
    if ingress is None:
        return None
    annotations = {
        ingress_class["metadata"]["name"]: ingress_class["metadata"].get("annotations", {})
        for ingress_class in classes
    }
    name = ingress["spec"].get("ingressClassName")
    has_default = any(marks.get(_IS_DEFAULT) == "true" for marks in annotations.values())
    if name in annotations or (name is None and has_default):
        return None
    missing = f"there is no IngressClass {name!r}" if name else "there is no default IngressClass"
    existing = (
        f"there are: {', '.join(sorted(annotations))}" if annotations else "there is none at all"
    )
    return Problem(
        Reason.INGRESS_NOT_SERVED,
        f"{missing} ({existing}), so no controller serves the workspace; install one, or name its "
        "class in spec.ingress.className of the AIChatPlatform",
    )


def route_problem(route: Manifest | None) -> Problem | None:
    """Report an HTTPRoute that no Gateway has accepted.

    https://gateway-api.sigs.k8s.io/reference/spec/#gateway.networking.k8s.io/v1.RouteParentStatus
    """
    if route is None:
        return None
    parents = (route.get("status") or {}).get("parents", ())
    acceptances = [
        condition
        for parent in parents
        for condition in parent.get("conditions", ())
        if condition["type"] == "Accepted"
    ]
    if any(condition["status"] == "True" for condition in acceptances):
        return None
    gateway = route["spec"]["parentRefs"][0]
    message = f": {acceptances[0]['message']}" if acceptances else ""
    return Problem(
        Reason.ROUTE_NOT_ACCEPTED,
        f"Gateway {gateway.get('namespace')}/{gateway['name']} has not accepted HTTPRoute "
        f"{route['metadata']['name']}{message}; check that it exists and takes routes from other "
        "namespaces",
    )


def _claim(claim: Manifest | None, pods: Sequence[Manifest], now: datetime) -> Problem | None:
    """Report a claim that lost its volume, or gets none although a node is chosen for it.

    A claim may wait for its pod, and then the pod's status says why it does not start.
    """
    phase = (claim or {}).get("status", {}).get("phase")
    if claim is not None and phase == "Pending":
        return _unprovisioned(claim, pods, now)
    if claim is None or phase != "Lost":
        return None
    return Problem(
        Reason.VOLUME_LOST,
        f"the volume of claim {claim['metadata']['name']} is gone; restore it, or delete the claim "
        "to begin with an empty one",
    )


def _unprovisioned(claim: Manifest, pods: Sequence[Manifest], now: datetime) -> Problem | None:
    """Report a claim whose pod has a node and no volume: the pod's status does not say so."""
    metadata = claim["metadata"]
    node = metadata.get("annotations", {}).get(_SELECTED_NODE)
    timestamps = (manifest["metadata"].get("creationTimestamp") for manifest in (claim, *pods))
    dates = [datetime.fromisoformat(timestamp) for timestamp in timestamps if timestamp]
    if node is None or not pods or not dates or now - max(dates) < ARRIVAL:
        return None
    return _unbound(f"claim {metadata['name']} gets no volume on node {node}")


def _refused(workload: Manifest | None, now: datetime) -> Problem | None:
    """Report a Deployment whose pod has been refused for a while.

    A deleted pod counts in the quota until it is gone, and its successor is tried again a little
    later: docs/decisions/0020-one-pod-of-each-workload.md.
    """
    for condition in (workload or {}).get("status", {}).get("conditions", ()):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            since = condition.get("lastTransitionTime")
            if since and now - datetime.fromisoformat(since) < ARRIVAL:
                return None
            return Problem(
                Reason.POD_REFUSED,
                f"the API server refuses the pod: {condition.get('message', '')}; raise "
                "spec.quota, or see the policy that it names",
            )
    return None
