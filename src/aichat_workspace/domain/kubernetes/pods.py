"""What a pod says of itself."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from aichat_workspace.domain.kubernetes.manifest import Manifest

# From so many restarts on it is no accident any more.
_RESTARTS: Final = 2
# A container that ran for longer starts without delay again, by the kubelet's own rule:
# https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy
_SOUND: Final = timedelta(minutes=10)


def belongs(pod: Manifest, workload: str) -> bool:
    return bool(pod["metadata"].get("labels", {}).get("app.kubernetes.io/name") == workload)


def is_controlled_by(pod: Manifest, uid: str) -> bool:
    """A label can be anybody's; this says who made the pod and replaces it."""
    owners = pod["metadata"].get("ownerReferences", ())
    return any(each.get("controller") and each["uid"] == uid for each in owners)


def is_going(pod: Manifest) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def is_over(pod: Manifest) -> bool:
    """It has ended, and only its record is there still, as after an eviction."""
    return pod.get("status", {}).get("phase") in ("Failed", "Succeeded")


def should_be_gone(pod: Manifest) -> datetime | None:
    """By when a pod on its way out was given time to end."""
    text = pod["metadata"].get("deletionTimestamp")
    return datetime.fromisoformat(text) if text else None


def is_ready(pod: Manifest) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def containers(pod: Manifest) -> Iterator[dict[str, Any]]:
    """The states of its containers, in the order in which they run."""
    told = pod.get("status", {})
    yield from (*told.get("initContainerStatuses", ()), *told.get("containerStatuses", ()))


def keeps_stopping(container: dict[str, Any], now: datetime) -> bool:
    """Whether it stopped again and again, the last time a short while ago and after a short while.
    Between two restarts it runs, or has just ended, and says nothing else of it."""
    if container.get("restartCount", 0) < _RESTARTS:
        return False
    last = container.get("lastState", {}).get("terminated") or {}
    times = [last[key] for key in ("startedAt", "finishedAt") if last.get(key)]
    if len(times) < 2:  # as after the loss of a node: only what it is now can tell
        return not container.get("ready")
    began, ended = map(datetime.fromisoformat, times)
    return ended - began < _SOUND and now - ended < _SOUND
