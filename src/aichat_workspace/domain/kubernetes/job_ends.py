"""Read whose a Job is, how it ends, and what its pods say of it.

A program's result is its container's termination message:
https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.kubernetes.pods import containers, has_node, is_controlled_by, is_over

DEADLINE: Final = "DeadlineExceeded"


class JobState(StrEnum):
    """How far a Job is, all attempts of it together."""

    RUNNING = "Running"
    COMPLETE = "Complete"
    FAILED = "Failed"


def state(job: Manifest) -> JobState:
    """https://kubernetes.io/docs/concepts/workloads/controllers/job/#terminal-job-conditions"""
    end = _end(job)
    return JobState(end["type"]) if end else JobState.RUNNING


def has_ended(job: Manifest) -> bool:
    """Whether it has succeeded or failed, so that none of its pods is to come."""
    return state(job) is not JobState.RUNNING


def failure(job: Manifest) -> tuple[str, str]:
    """Return the Job controller's reason and message; empty for a Job that has not failed."""
    end = _end(job)
    if end is None or end["type"] != JobState.FAILED:
        return "", ""
    return end.get("reason", ""), end.get("message", "")


def ended_at(job: Manifest) -> datetime | None:
    """Return when it ended; None while it runs."""
    end = _end(job)
    moment = end.get("lastTransitionTime") if end else None
    return datetime.fromisoformat(moment) if moment else None


def created_at(job: Manifest) -> datetime:
    return datetime.fromisoformat(job["metadata"]["creationTimestamp"])


def is_controlled(job: Manifest) -> bool:
    """Whether another object has made it, and ends it."""
    owners = job["metadata"].get("ownerReferences", ())
    return any(owner.get("controller") for owner in owners)


def pods_of(job: Manifest, pods: Iterable[Manifest]) -> list[Manifest]:
    """Return the pods of a Job, the oldest first."""
    uid = job["metadata"]["uid"]
    own = [pod for pod in pods if is_controlled_by(pod, uid)]
    return sorted(own, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))


def has_begun(job: Manifest, pods: Iterable[Manifest]) -> bool:
    """Whether it has ended, or a pod of it has or had a node."""
    if has_ended(job) or job.get("status", {}).get("failed"):
        return True
    return any(has_node(pod) or is_over(pod) for pod in pods_of(job, pods))


def has_run(job: Manifest) -> bool:
    """Whether the Job's own record says that a pod ran. At a deadline it counts pods that never
    did, too."""
    status = job.get("status", {})
    is_counted = bool(status.get("failed") or status.get("succeeded"))
    return failure(job)[0] != DEADLINE and (is_counted or has_ended(job))


def has_started(pod: Manifest, name: str) -> bool:
    """Whether the container of this name began to run, now or earlier."""
    return any(
        container.get(when, {}).keys() & {"running", "terminated"}
        for container in containers(pod)
        if container["name"] == name
        for when in ("state", "lastState")
    )


def termination(pods: Sequence[Manifest], name: str) -> Mapping[str, Any]:
    """Return how the last container of this name ended: Kubernetes' `terminated`; empty for none.

    Others may be injected into the pods, and end later.
    """
    ends = [
        end
        for pod in pods
        for container in containers(pod)
        if container["name"] == name and (end := container.get("state", {}).get("terminated"))
    ]
    in_order = sorted(ends, key=lambda end: str(end.get("finishedAt", "")))
    return in_order[-1] if in_order else {}


def result(end: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the JSON object that a program left when it ended; empty for none."""
    try:
        document = json.loads(end.get("message") or "")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _end(job: Manifest) -> Mapping[str, Any] | None:
    status: Mapping[str, Any] = job.get("status") or {}
    conditions: Iterable[Mapping[str, Any]] = status.get("conditions") or ()
    return next(
        (
            condition
            for condition in conditions
            if condition["type"] in (JobState.COMPLETE, JobState.FAILED)
            and condition["status"] == "True"
        ),
        None,
    )
