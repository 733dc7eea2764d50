"""Why a workload is not running, as one reason and one sentence that says what to do."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from aichat_workspace.domain.kubernetes.field_ownership import changed_at
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.kubernetes.pods import (
    containers,
    is_going,
    is_over,
    is_ready,
    keeps_stopping,
    should_be_gone,
)
from aichat_workspace.domain.problem import Problem

_IS_DEFAULT: Final = "ingressclass.kubernetes.io/is-default-class"
_SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
_PATIENCE: Final = timedelta(seconds=30)
# A node may be on its way, and a volume.
_ARRIVAL: Final = timedelta(seconds=60)
_START: Final = timedelta(minutes=10)
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
    """What keeps a workload from running, or None while it only needs time. `since` then it has
    not been available. Of its pods, those that are over have made room for another."""
    left = [each for each in pods if not is_over(each)]
    alive = [each for each in left if not is_going(each)]
    found = (
        *(_pod(pod, now) for pod in alive),
        _claim(claim, alive, now),
        _refused(workload),
        None if left or since is None or now - since < _PATIENCE else _podless(workload, now),
        *(_lingering(pod, now) for pod in left),
        *(_slow(pod, now) for pod in alive),
    )
    return next((each for each in found if each is not None), None)


def _pod(pod: Manifest, now: datetime) -> Problem | None:
    name = pod["metadata"]["name"]
    for container in containers(pod):
        if (found := _container(name, container, now)) is not None:
            return found
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return _unschedulable(name, condition, now)
    return None


def _unschedulable(pod: str, condition: dict[str, Any], now: datetime) -> Problem | None:
    message = condition.get("message", "no reason given")
    waited = now - datetime.fromisoformat(condition["lastTransitionTime"])
    if not any(word in message for word in _NO_VOLUME):
        if waited < _ARRIVAL:
            return None  # an autoscaler brings a node
        return Problem(
            "Unschedulable",
            f"no node takes pod {pod}: {message}; add capacity, lower spec.resources, or correct "
            "spec.scheduling",
        )
    if waited < _PATIENCE:
        return None  # making a volume takes a while
    return _unbound(f"pod {pod} has no volume yet: {message}")


def _unbound(what: str) -> Problem:
    return Problem(
        "VolumeUnbound",
        f"{what}; check that the StorageClass exists and that its provisioner runs, or name "
        "another one in spec.storage",
    )


def _container(pod: str, container: dict[str, Any], now: datetime) -> Problem | None:
    waiting = container.get("state", {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _PULL:
        return Problem(
            "ImagePullFailed",
            f"image {container.get('image', '')} of pod {pod} can't be pulled: {message}; check "
            "its name in the AIChatPlatform and that the nodes reach its registry",
        )
    if reason in _NOT_STARTED:
        return Problem(
            "ContainerNotStarted",
            f"pod {pod} can't be started: {message}; mend what it names, or read more with: "
            f"kubectl describe pod {pod}",
        )
    fails = not container.get("ready") and keeps_stopping(container, now)
    if reason == "CrashLoopBackOff" or fails:
        name = container["name"]
        return Problem(
            "CrashLoop",
            f"container {name} of pod {pod} keeps stopping; read why with: kubectl logs "
            f"--previous {pod} -c {name}",
        )
    return None


def _lingering(pod: Manifest, now: datetime) -> Problem | None:
    """Nothing takes its place before it is gone: neither a StatefulSet's pod nor one that is
    recreated."""
    until, name = should_be_gone(pod), pod["metadata"]["name"]
    if until is None or now - until < _ARRIVAL:
        return None
    return Problem(
        "PodNotEnding",
        f"pod {name} was to be gone by {until:%H:%M:%S} UTC and is not, so no other takes its "
        f"place: its node may be lost; see kubectl get pod {name} -o wide. If the node is gone for "
        f"good, delete it with: kubectl delete node, else read why with: kubectl describe pod "
        f"{name}",
    )


def _slow(pod: Manifest, now: datetime) -> Problem | None:
    """A pod that runs and does not get ready says nothing else."""
    metadata = pod["metadata"]
    moved = (
        each.get("lastTransitionTime")
        for each in pod.get("status", {}).get("conditions", ())
        if each["type"] == "Ready"
    )
    dates = [*filter(None, (metadata.get("creationTimestamp"), *moved))]
    if is_ready(pod) or not dates or now - max(map(datetime.fromisoformat, dates)) < _START:
        return None
    return Problem(
        "NotReadyInTime",
        f"pod {metadata['name']} has not become ready in {_START.seconds // 60} minutes; read why "
        f"with: kubectl describe pod {metadata['name']}, and kubectl logs {metadata['name']}",
    )


def _podless(workload: Manifest | None, now: datetime) -> Problem | None:
    """A StatefulSet does not say that its pod is refused; that there is none for a while does."""
    if workload is None or workload.get("kind") != "StatefulSet":
        return None
    metadata, told = workload["metadata"], workload.get("status", {})
    seen = told.get("observedGeneration", 0) >= metadata.get("generation", 0)
    if not seen or told.get("replicas", 0) or not workload["spec"].get("replicas"):
        return None
    changed = changed_at(workload)
    if changed is not None and now - changed < _PATIENCE:
        return None  # it was resumed or corrected just now
    return Problem(
        "PodRefused",
        f"StatefulSet {metadata['name']} has no pod: a quota or a policy refuses it; read which "
        f"with: kubectl describe statefulset {metadata['name']}",
    )


def namespace_deletion_problem(namespace: Manifest, now: datetime) -> str:
    """What keeps a namespace that is to be gone; nothing for as long as that is no wonder.

    https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/#NamespaceStatus
    """
    until = namespace["metadata"].get("deletionTimestamp")
    if until is None or now - datetime.fromisoformat(until) < _PATIENCE:
        return ""
    told = (
        each.get("message", each["type"])
        for each in namespace.get("status", {}).get("conditions", ())
        if each["status"] == "True"
    )
    return "; ".join(told)


def ingress_problem(ingress: Manifest | None, classes: Iterable[Manifest]) -> Problem | None:
    """Whether nobody will take the Ingress up: its class, or a default one, is not there.

    https://kubernetes.io/docs/concepts/services-networking/ingress/#ingress-class
    """
    if ingress is None:
        return None
    known = {each["metadata"]["name"]: each["metadata"].get("annotations", {}) for each in classes}
    name = ingress["spec"].get("ingressClassName")
    if name in known or (
        name is None and any(each.get(_IS_DEFAULT) == "true" for each in known.values())
    ):
        return None
    lacks = f"there is no IngressClass {name!r}" if name else "there is no default IngressClass"
    has = f"there are: {', '.join(sorted(known))}" if known else "there is none at all"
    return Problem(
        "IngressNotServed",
        f"{lacks} ({has}), so no controller serves the workspace; install one, or name its class "
        "in spec.ingress.className of the AIChatPlatform",
    )


def route_problem(route: Manifest | None) -> Problem | None:
    """Whether no Gateway has accepted the HTTPRoute.

    https://gateway-api.sigs.k8s.io/reference/spec/#gateway.networking.k8s.io/v1.RouteParentStatus
    """
    if route is None:
        return None
    parents = (route.get("status") or {}).get("parents", ())
    told = [each for parent in parents for each in parent.get("conditions", ())]
    if any(each["type"] == "Accepted" and each["status"] == "True" for each in told):
        return None
    gateway = route["spec"]["parentRefs"][0]
    said = next((f": {each['message']}" for each in told if each["type"] == "Accepted"), "")
    return Problem(
        "RouteNotAccepted",
        f"Gateway {gateway.get('namespace')}/{gateway['name']} has not accepted HTTPRoute "
        f"{route['metadata']['name']}{said}; check that it exists and takes routes from other "
        "namespaces",
    )


def _claim(claim: Manifest | None, pods: Sequence[Manifest], now: datetime) -> Problem | None:
    """A claim that lost its volume, or gets none though a node is chosen for it; one that waits
    for a pod is normal, and then the pod says why."""
    phase = (claim or {}).get("status", {}).get("phase")
    if claim is not None and phase == "Pending":
        return _unprovisioned(claim, pods, now)
    if claim is None or phase != "Lost":
        return None
    return Problem(
        "VolumeLost",
        f"the volume of claim {claim['metadata']['name']} is gone; restore it, or delete the claim "
        "to begin with an empty one",
    )


def _unprovisioned(claim: Manifest, pods: Sequence[Manifest], now: datetime) -> Problem | None:
    """The scheduler has chosen a node for the claim's pod and waits for its volume, in silence."""
    metadata = claim["metadata"]
    node = metadata.get("annotations", {}).get(_SELECTED_NODE)
    made = [each["metadata"].get("creationTimestamp") for each in (claim, *pods)]
    dates = [datetime.fromisoformat(each) for each in made if each]
    if node is None or not pods or not dates or now - max(dates) < _ARRIVAL:
        return None
    return _unbound(f"claim {metadata['name']} gets no volume on node {node}")


def _refused(workload: Manifest | None) -> Problem | None:
    for condition in (workload or {}).get("status", {}).get("conditions", ()):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return Problem(
                "PodRefused",
                f"the API server refuses the pod: {condition.get('message', '')}; raise "
                "spec.quota, or see the policy that it names",
            )
    return None
