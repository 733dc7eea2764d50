"""What `kubectl describe` tells of a workspace: the transitions that a person would ask about.

https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from datetime import datetime
from typing import Final

from aichat_workspace.domain import names, watched
from aichat_workspace.domain.workspace import ConditionType, Phase, Workspace, WorkspaceStatus
from aichat_workspace.kube.objects import Json

_NOTE_LENGTH: Final = 1024
_WARNINGS: Final = (Phase.DEGRADED,)


def transition(workspace: Workspace, told: WorkspaceStatus, now: datetime) -> Json | None:
    """The event of a status that has moved to another phase, or, where somebody has to act, to
    another reason. None for the rest, so that nothing is told twice."""
    before = workspace.status.condition(ConditionType.READY)
    ready = told.condition(ConditionType.READY)
    moved = told.phase != workspace.status.phase or before is None
    other_reason = told.phase in _WARNINGS and ready and before and ready.reason != before.reason
    if ready is None or not (moved or other_reason):
        return None
    warns = told.phase in _WARNINGS
    return {
        "apiVersion": watched.EVENT.api_version,
        "kind": watched.EVENT.kind,
        "metadata": {
            # One of a kind: the status that it speaks of is written once.
            "name": f"{workspace.name[:200]}.{told.phase.lower()}.{now.timestamp():.0f}",
            "namespace": workspace.namespace,
        },
        "regarding": {
            "apiVersion": names.API_VERSION,
            "kind": watched.WORKSPACE.kind,
            "namespace": workspace.namespace,
            "name": workspace.name,
            "uid": workspace.uid,
        },
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": "Warning" if warns else "Normal",
        "reason": ready.reason if warns else told.phase,
        "action": "Reconcile",
        "note": ready.message[:_NOTE_LENGTH],
        "reportingController": f"{names.GROUP}/{names.OPERATOR}",
        "reportingInstance": names.OPERATOR,
    }
