"""Why a workload is not running, as one reason and one sentence that says what to do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from aichat_workspace.domain import quantity
from aichat_workspace.domain.foreign import changed_at
from aichat_workspace.domain.manifest import Manifest
from aichat_workspace.domain.pods import containers, is_ready, keeps_stopping
from aichat_workspace.domain.spec import Volume

_IS_DEFAULT: Final = "ingressclass.kubernetes.io/is-default-class"
_PATIENCE: Final = timedelta(seconds=30)
_START: Final = timedelta(minutes=10)
_NOT_STARTED: Final = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)
_PULL: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName"})


@dataclass(frozen=True, slots=True)
class Diagnosis:
    reason: str
    message: str


def diagnose(
    workload: Manifest | None,
    claim: Manifest | None,
    pods: Sequence[Manifest],
    now: datetime,
    since: datetime | None = None,
) -> Diagnosis | None:
    """What keeps a workload from running, or None while it only needs time. `since` then it has
    not been available."""
    found = (
        *(_pod(pod, now) for pod in pods),
        _claim(claim),
        _refused(workload),
        None if pods or since is None or now - since < _PATIENCE else _podless(workload, now),
        *(_slow(pod, now) for pod in pods),
    )
    return next((each for each in found if each is not None), None)


def _pod(pod: Manifest, now: datetime) -> Diagnosis | None:
    name = pod["metadata"]["name"]
    for container in containers(pod):
        if (found := _container(name, container, now)) is not None:
            return found
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return _unschedulable(name, condition, now)
    return None


def _unschedulable(pod: str, condition: dict[str, Any], now: datetime) -> Diagnosis | None:
    message = condition.get("message", "no reason given")
    if "unbound" not in message and "persistentvolumeclaim" not in message:
        return Diagnosis(
            "Unschedulable",
            f"no node takes pod {pod}: {message}; add capacity, lower spec.resources, or correct "
            "spec.scheduling",
        )
    since = datetime.fromisoformat(condition["lastTransitionTime"])
    if now - since < _PATIENCE:
        return None  # making a volume takes a while
    return Diagnosis(
        "VolumeUnbound",
        f"pod {pod} has no volume yet: {message}; check that the StorageClass exists and has a "
        "provisioner, or name another one in spec.storage",
    )


def _container(pod: str, container: dict[str, Any], now: datetime) -> Diagnosis | None:
    waiting = container.get("state", {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _PULL:
        return Diagnosis(
            "ImagePullFailed",
            f"image {container.get('image', '')} of pod {pod} can't be pulled: {message}; check "
            "its name in the AIChatPlatform and that the nodes reach its registry",
        )
    if reason in _NOT_STARTED:
        return Diagnosis("ContainerNotStarted", f"pod {pod} can't be started: {message}")
    fails = not container.get("ready") and keeps_stopping(container, now)
    if reason == "CrashLoopBackOff" or fails:
        name = container["name"]
        return Diagnosis(
            "CrashLoop",
            f"container {name} of pod {pod} keeps stopping; read why with: kubectl logs "
            f"--previous {pod} -c {name}",
        )
    return None


def _slow(pod: Manifest, now: datetime) -> Diagnosis | None:
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
    return Diagnosis(
        "NotReadyInTime",
        f"pod {metadata['name']} has not become ready in {_START.seconds // 60} minutes; read why "
        f"with: kubectl describe pod {metadata['name']}, and kubectl logs {metadata['name']}",
    )


def _podless(workload: Manifest | None, now: datetime) -> Diagnosis | None:
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
    return Diagnosis(
        "PodRefused",
        f"StatefulSet {metadata['name']} has no pod: a quota or a policy refuses it; read which "
        f"with: kubectl describe statefulset {metadata['name']}",
    )


def unmet(claim: Manifest | None, wanted: Volume) -> Diagnosis | None:
    """What a workspace wants of a volume that is already made and can't be changed so."""
    if claim is None:
        return None
    name, spec = claim["metadata"]["name"], claim["spec"]
    size, of_class = spec["resources"]["requests"]["storage"], spec.get("storageClassName")
    kept = []
    if wanted.size and quantity.parse(wanted.size) < quantity.parse(size):
        kept.append(f"its {size}, for a volume can grow but not shrink to {wanted.size}")
    if of_class and wanted.storage_class_name not in (None, of_class):
        kept.append(f"its StorageClass {of_class!r} instead of {wanted.storage_class_name!r}")
    if not kept:
        return None
    return Diagnosis(
        "VolumeKept",
        f"claim {name} keeps {' and '.join(kept)}; name what it has in spec.storage, or make a new "
        "workspace for it",
    )


def unserved(ingress: Manifest | None, classes: Iterable[Manifest]) -> Diagnosis | None:
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
    return Diagnosis(
        "IngressNotServed",
        f"{lacks} ({has}), so no controller serves the workspace; install one, or name its class "
        "in spec.ingress.className of the AIChatPlatform",
    )


def unrouted(route: Manifest | None) -> Diagnosis | None:
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
    return Diagnosis(
        "RouteNotAccepted",
        f"Gateway {gateway.get('namespace')}/{gateway['name']} has not accepted HTTPRoute "
        f"{route['metadata']['name']}{said}; check that it exists and takes routes from other "
        "namespaces",
    )


def _claim(claim: Manifest | None) -> Diagnosis | None:
    """A claim that lost its volume; one that waits for a pod is normal, and then the pod says
    why."""
    phase = (claim or {}).get("status", {}).get("phase")
    if claim is None or phase != "Lost":
        return None
    return Diagnosis(
        "VolumeLost",
        f"the volume of claim {claim['metadata']['name']} is gone; restore it, or delete the claim "
        "to begin with an empty one",
    )


def _refused(workload: Manifest | None) -> Diagnosis | None:
    for condition in (workload or {}).get("status", {}).get("conditions", ()):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return Diagnosis(
                "PodRefused",
                f"the API server refuses the pod: {condition.get('message', '')}; raise "
                "spec.quota, or see the policy that it names",
            )
    return None
