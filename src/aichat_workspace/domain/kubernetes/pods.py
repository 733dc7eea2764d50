"""Read a pod's labels, owners and status, and the template that pods are made of."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from aichat_workspace.domain.kubernetes.manifest import Manifest

# A single restart may be an accident.
_MIN_RESTARTS: Final = 2
# The kubelet restarts a container that ran for longer without a delay:
# https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy
STABLE: Final = timedelta(minutes=10)


def pod_template(manifest: Manifest) -> Manifest:
    """Return the pod template of a Job, a CronJob or another workload."""
    spec = manifest["spec"]
    if "jobTemplate" in spec:
        spec = spec["jobTemplate"]["spec"]
    template: Manifest = spec["template"]
    return template


def belongs(pod: Manifest, workload: str) -> bool:
    return bool(pod["metadata"].get("labels", {}).get("app.kubernetes.io/name") == workload)


def is_controlled_by(pod: Manifest, uid: str) -> bool:
    """Whether the controller with this UID created the pod and replaces it.

    Labels can't tell: anyone can set them.
    """
    owners = pod["metadata"].get("ownerReferences", ())
    return any(owner.get("controller") and owner["uid"] == uid for owner in owners)


def is_over(pod: Manifest) -> bool:
    """Whether its containers have ended and only its record remains, as after an eviction."""
    return pod.get("status", {}).get("phase") in ("Failed", "Succeeded")


def has_node(pod: Manifest) -> bool:
    """Whether it runs on a node, or is about to."""
    status = pod.get("status", {})
    return status.get("phase") == "Running" or any(
        condition["type"] == "PodScheduled" and condition["status"] == "True"
        for condition in status.get("conditions", ())
    )


def termination_deadline(pod: Manifest) -> datetime | None:
    """Return when a deleted pod's grace period ends, or None for a pod that is not deleted."""
    text = pod["metadata"].get("deletionTimestamp")
    return datetime.fromisoformat(text) if text else None


def is_ready(pod: Manifest) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(
        condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions
    )


def ready_since(pod: Manifest) -> str | None:
    """Return when it last became ready, or ceased to be; None where its status does not say it."""
    conditions = pod.get("status", {}).get("conditions", ())
    return next(
        (entry.get("lastTransitionTime") for entry in conditions if entry["type"] == "Ready"), None
    )


def containers(pod: Manifest) -> Iterator[dict[str, Any]]:
    """Yield the statuses of its containers, in the order in which they run."""
    status = pod.get("status", {})
    yield from (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))


def keeps_stopping(container: dict[str, Any], now: datetime) -> bool:
    """Whether it stopped repeatedly, and the last time both recently and soon after its start.

    Between two restarts the container runs or has just ended, so its current state can't tell.
    """
    if container.get("restartCount", 0) < _MIN_RESTARTS:
        return False
    last = container.get("lastState", {}).get("terminated") or {}
    times = [last[key] for key in ("startedAt", "finishedAt") if last.get(key)]
    if len(times) < 2:  # after the loss of a node only the present state is known
        return not container.get("ready")
    began, ended = map(datetime.fromisoformat, times)
    return ended - began < STABLE and now - ended < STABLE
