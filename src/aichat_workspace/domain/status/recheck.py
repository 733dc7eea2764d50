"""When to look at a workspace again although no event comes."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from aichat_workspace.domain.kubernetes.field_ownership import changed_at
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref
from aichat_workspace.domain.kubernetes.pods import STABLE, containers, termination_deadline
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.volume_claims import CLAIM
from aichat_workspace.domain.status.conditions import ANNOUNCED_BEFORE
from aichat_workspace.domain.status.workload_health import ARRIVAL, PATIENCE, START
from aichat_workspace.domain.v1alpha1.workspace_status import (
    WORKLOAD_CONDITIONS,
    ConditionStatus,
    WorkspaceStatus,
)


def next_recheck(
    status: WorkspaceStatus,
    observed: Observed,
    now: datetime,
    backup_due: datetime | None = None,
) -> timedelta | None:
    """Return how long the status stands if no event comes; None for ever.

    Besides expiry, every rule of time compares the age of a timestamp with a delay: these are the
    moments at which such a comparison turns. Workloads that are available have only one such rule,
    and a turn in an upgrade has an end. At `backup_due` a backup is overdue.
    """
    moments = [*_restarts(observed), *filter(None, [backup_due])]
    if status.rollout is not None and status.rollout.turn is not None:
        moments.append(status.rollout.turn.until)
    unavailable = [
        condition
        for condition in status.conditions
        if condition.type in WORKLOAD_CONDITIONS and condition.status is not ConditionStatus.TRUE
    ]
    moments += [condition.last_transition_time + PATIENCE for condition in unavailable]
    if status.expires_at is not None:
        moments.append(status.expires_at - ANNOUNCED_BEFORE)
    if unavailable:
        moments += [*_diagnoses(observed)]
    return min((moment - now for moment in moments if moment > now), default=None)


def _restarts(observed: Observed) -> Iterator[datetime]:
    """When a container that kept stopping has lasted."""
    for pod in observed.pods:
        for container in containers(pod):
            last = container.get("lastState", {}).get("terminated") or {}
            if ended := last.get("finishedAt"):
                yield datetime.fromisoformat(ended) + STABLE


def _diagnoses(observed: Observed) -> Iterator[datetime]:
    """When what a workload waits for becomes a problem: domain/status/workload_health.py."""
    for pod in observed.pods:
        if (deadline := termination_deadline(pod)) is not None:
            yield deadline + ARRIVAL
        if (created := _created_at(pod)) is not None:
            yield from (created + ARRIVAL, created + START)
        for condition in pod.get("status", {}).get("conditions", ()):
            if changed := condition.get("lastTransitionTime"):
                delays = {"PodScheduled": (PATIENCE, ARRIVAL), "Ready": (START,)}
                for delay in delays.get(condition["type"], ()):
                    yield datetime.fromisoformat(changed) + delay
    for ref, manifest in observed.objects.items():
        yield from _of_object(ref, manifest)


def _of_object(ref: Ref, manifest: Manifest) -> Iterator[datetime]:
    created, applied = _created_at(manifest), changed_at(manifest)
    if ref.kind == CLAIM and created is not None:
        yield created + ARRIVAL
    if ref.kind == "StatefulSet" and applied is not None:
        yield applied + PATIENCE
    if ref.kind == "Deployment":
        yield from _refusals(manifest)


def _refusals(deployment: Manifest) -> Iterator[datetime]:
    for condition in deployment.get("status", {}).get("conditions", ()):
        if condition["type"] == "ReplicaFailure" and condition.get("lastTransitionTime"):
            yield datetime.fromisoformat(condition["lastTransitionTime"]) + ARRIVAL


def _created_at(manifest: Manifest) -> datetime | None:
    text = manifest["metadata"].get("creationTimestamp")
    return datetime.fromisoformat(text) if text else None
