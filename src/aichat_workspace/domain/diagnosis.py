"""Why a workload is not running, as one reason and one sentence that says what to do."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from aichat_workspace.domain.manifest import Manifest

_IS_DEFAULT: Final = "ingressclass.kubernetes.io/is-default-class"
_PATIENCE: Final = timedelta(seconds=30)
_PULL: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName"})


@dataclass(frozen=True, slots=True)
class Diagnosis:
    reason: str
    message: str


def diagnose(
    workload: Manifest | None, claim: Manifest | None, pods: Iterable[Manifest], now: datetime
) -> Diagnosis | None:
    """What keeps a workload from running, or None while it only needs time."""
    found = (
        *(_pod(pod, now) for pod in pods),
        _claim(claim),
        _refused(workload),
    )
    return next((each for each in found if each is not None), None)


def _pod(pod: Manifest, now: datetime) -> Diagnosis | None:
    name = pod["metadata"]["name"]
    for waiting in _waiting(pod):
        if (found := _container(name, waiting)) is not None:
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


def _waiting(pod: Manifest) -> Iterator[dict[str, Any]]:
    told = pod.get("status", {})
    for status in (*told.get("initContainerStatuses", ()), *told.get("containerStatuses", ())):
        if waiting := status.get("state", {}).get("waiting"):
            yield {**waiting, "image": status.get("image", ""), "container": status["name"]}


def _container(pod: str, waiting: dict[str, Any]) -> Diagnosis | None:
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _PULL:
        return Diagnosis(
            "ImagePullFailed",
            f"image {waiting['image']} of pod {pod} can't be pulled: {message}; check its name in "
            "the AIChatPlatform and that the nodes reach its registry",
        )
    if reason == "CrashLoopBackOff":
        return Diagnosis(
            "CrashLoop",
            f"container {waiting['container']} of pod {pod} keeps stopping; read why with: "
            f"kubectl logs --previous {pod} -c {waiting['container']}",
        )
    if reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
        return Diagnosis("ContainerNotStarted", f"pod {pod} can't be started: {message}")
    return None


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
