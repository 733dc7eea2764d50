"""When to look at a workspace again although no event comes."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from aichat_workspace.domain.kubernetes.field_ownership import changed_at
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.kubernetes.pods import STABLE, containers, termination_deadline
from aichat_workspace.domain.planning.plan import Observed
from aichat_workspace.domain.planning.volume_claims import CLAIM
from aichat_workspace.domain.status.workload_health import ARRIVAL, PATIENCE, START
from aichat_workspace.domain.v1alpha1.workspace_status import WORKLOAD_CONDITIONS, WorkspaceStatus

_DELAYS: Final = (PATIENCE, ARRIVAL, START, STABLE)


def next_recheck(status: WorkspaceStatus, observed: Observed, now: datetime) -> timedelta | None:
    """Return how long the status stands if no event comes; None for ever.

    Every rule of time compares the age of one of these timestamps with one of these delays.
    """
    moments = (
        timestamp + delay for timestamp in _timestamps(status, observed) for delay in _DELAYS
    )
    return min((moment - now for moment in moments if moment > now), default=None)


def _timestamps(status: WorkspaceStatus, observed: Observed) -> Iterator[datetime]:
    for condition in status.conditions:
        if condition.type in WORKLOAD_CONDITIONS:
            yield condition.last_transition_time
    for pod in observed.pods:
        yield from filter(None, (termination_deadline(pod),))
        yield from map(datetime.fromisoformat, filter(None, _texts(pod)))
    for ref, manifest in observed.objects.items():
        created = manifest["metadata"].get("creationTimestamp")
        if ref.kind == CLAIM and created:
            yield datetime.fromisoformat(created)
        yield from filter(None, (changed_at(manifest),))


def _texts(pod: Manifest) -> Iterator[str | None]:
    yield pod["metadata"].get("creationTimestamp")
    for condition in pod.get("status", {}).get("conditions", ()):
        yield condition.get("lastTransitionTime")
    for container in containers(pod):
        last = container.get("lastState", {}).get("terminated") or {}
        yield last.get("finishedAt")
