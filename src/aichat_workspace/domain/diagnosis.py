"""Why a workload is not running, as one reason and one sentence that says what to do."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from aichat_workspace.domain.manifest import Manifest

_PULL: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName"})


@dataclass(frozen=True, slots=True)
class Diagnosis:
    reason: str
    message: str


def diagnose(
    workload: Manifest | None, claim: Manifest | None, pods: Iterable[Manifest]
) -> Diagnosis | None:
    """What keeps a workload from running, or None while it only needs time."""
    found = (
        *(_pod(pod) for pod in pods),
        _claim(claim),
        _refused(workload),
    )
    return next((each for each in found if each is not None), None)


def _pod(pod: Manifest) -> Diagnosis | None:
    name = pod["metadata"]["name"]
    for waiting in _waiting(pod):
        if (found := _container(name, waiting)) is not None:
            return found
    return next(
        (
            Diagnosis(
                "Unschedulable",
                f"no node takes pod {name}: {condition.get('message', 'no reason given')}; add "
                "capacity, or lower the workload's requests in the AIChatPlatform",
            )
            for condition in pod.get("status", {}).get("conditions", ())
            if condition["type"] == "PodScheduled"
            and condition["status"] == "False"
            # A claim that waits for its first pod is bound by scheduling itself.
            and condition.get("reason") == "Unschedulable"
        ),
        None,
    )


def _waiting(pod: Manifest) -> Iterator[dict[str, Any]]:
    for status in pod.get("status", {}).get("containerStatuses", ()):
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
            f"kubectl logs --previous {pod}",
        )
    if reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
        return Diagnosis("ContainerNotStarted", f"pod {pod} can't be started: {message}")
    return None


def _claim(claim: Manifest | None) -> Diagnosis | None:
    """A pending claim of a class that binds at once; one that waits for a pod is normal, and then
    the pod says why."""
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
                f"the API server refuses the pod: {condition.get('message', '')}; raise the quota "
                "or lower the workload's requests in the AIChatPlatform",
            )
    return None
