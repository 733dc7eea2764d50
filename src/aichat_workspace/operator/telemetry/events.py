"""Events of a workspace: the transitions that `kubectl describe` shows.

https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.backup import BackupState, Restore
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import (
    ConditionStatus,
    ConditionType,
    Phase,
    WorkspaceStatus,
)
from aichat_workspace.kube.objects import Json
from aichat_workspace.kube.timestamps import format_micro_time

_NOTE_LENGTH: Final = 1024
_WARNINGS: Final = (Phase.DEGRADED,)
# The reasons of conditions that warn although the workspace is Ready.
_WARNING_REASONS: Final = {
    Reason.UPGRADE_FAILED: ConditionType.UP_TO_DATE,
    Reason.UPGRADE_STUCK: ConditionType.UP_TO_DATE,
    Reason.UPGRADE_STOPPED: ConditionType.UP_TO_DATE,
    Reason.VOLUME_KEPT: ConditionType.STORAGE_AS_ASKED,
    Reason.REWRITTEN_ON_WRITE: ConditionType.STORED_AS_APPLIED,
    Reason.INGRESS_NOT_SERVED: ConditionType.INGRESS_SERVED,
    Reason.TOOLS_NOT_OFFERED: ConditionType.TOOLS_OFFERED,
    Reason.API_SERVER_NOT_ANSWERING: ConditionType.SYNCED,
    Reason.CHANGED_BY_OTHERS: ConditionType.SYNCED,
    Reason.CLOCK_DISAGREES: ConditionType.SYNCED,
    Reason.EXPIRY_REFUSED: ConditionType.SYNCED,
    Reason.OPERATOR_CRASHED: ConditionType.SYNCED,
    Reason.EXPIRES_SOON: ConditionType.EXPIRES_SOON,
}
_SERIES_ENDS: Final = timedelta(minutes=10)
_SERIES_PACE: Final = timedelta(minutes=1)


def events(workspace: Workspace, new_status: WorkspaceStatus, now: datetime) -> Iterator[Json]:
    """Yield an event for each transition from the workspace's status to the new one."""
    yield from _phase_events(workspace, new_status, now)
    yield from _warning_events(workspace, new_status, now)
    yield from _upgrade_events(workspace, new_status, now)
    yield from _data_events(workspace, new_status, now)


def expired(workspace: Workspace, now: datetime) -> Json:
    """Return the event of a deletion by spec.expiresAfter."""
    note = f"deleted {workspace.spec.expires_after} after it was made, as spec.expiresAfter says"
    return _event(workspace, "Expired", note, now)


def retained(workspace: Workspace, namespace_uid: str, now: datetime) -> Json:
    """Return the event of a deletion that retains the namespace, and how to use it again."""
    note = (
        f"left namespace {workspace.spec.workspace_name} behind; a workspace of this name takes it "
        f"over with spec.namespaceUID {namespace_uid}"
    )
    return _event(workspace, "Retained", note, now)


def record_event(record: Json, reason: str, note: str, now: datetime) -> Json:
    """Return a warning about the platform's settings, beside their record: an event of a
    cluster-scoped resource would have to be in a namespace where the operator may not write."""
    metadata = record["metadata"]
    regarding = {
        "apiVersion": kinds.CONFIG_MAP.api_version,
        "kind": kinds.CONFIG_MAP.kind,
        **{key: metadata[key] for key in ("namespace", "name", "uid")},
    }
    return _event_about(regarding, reason, note, now, is_warning=True)


def orphan_event(namespace: Manifest, reason: str, note: str, now: datetime) -> Json:
    """Return a warning about a namespace, in that namespace: one of a cluster-scoped object would
    have to be in `default`, where the operator may not write."""
    name, uid = namespace["metadata"]["name"], namespace["metadata"]["uid"]
    regarding = {
        "apiVersion": kinds.NAMESPACE.api_version,
        "kind": kinds.NAMESPACE.kind,
        "namespace": name,
        "name": name,
        "uid": uid,
    }
    return _event_about(regarding, reason, note, now, is_warning=True)


def _phase_events(
    workspace: Workspace, new_status: WorkspaceStatus, now: datetime
) -> Iterator[Json]:
    """Report another phase, and another reason within a phase that needs a person."""
    before = workspace.status.condition(ConditionType.READY)
    ready = new_status.condition(ConditionType.READY)
    if new_status.phase is Phase.SUSPENDED:  # which has no Ready
        ready = new_status.condition(ConditionType.OLLAMA_AVAILABLE)
    if ready is None:
        return
    is_warning = new_status.phase in _WARNINGS
    has_moved = not workspace.status.conditions or new_status.phase != workspace.status.phase
    if has_moved or (is_warning and before is not None and ready.reason != before.reason):
        reason = ready.reason if is_warning else new_status.phase
        yield _event(workspace, reason, ready.message, now, is_warning=is_warning)


def _warning_events(
    workspace: Workspace, new_status: WorkspaceStatus, now: datetime
) -> Iterator[Json]:
    for reason, condition_type in _WARNING_REASONS.items():
        before = workspace.status.condition(condition_type)
        condition = new_status.condition(condition_type)
        was_reported = before is not None and before.reason == reason
        if condition is not None and condition.reason == reason and not was_reported:
            yield _event(workspace, reason, condition.message, now, is_warning=True)


def _upgrade_events(
    workspace: Workspace, new_status: WorkspaceStatus, now: datetime
) -> Iterator[Json]:
    before, images = workspace.status.images, new_status.images
    if before and images and images != before:
        note = f"runs {images.ollama} and {images.open_webui}"
        yield _event(workspace, "Upgraded", note, now)


def _data_events(
    workspace: Workspace, new_status: WorkspaceStatus, now: datetime
) -> Iterator[Json]:
    """Report how restores go, what keeps backups from being made, and that they are made again.

    A backup that follows another is no news.
    """
    for kind in (ConditionType.RESTORED, ConditionType.BACKED_UP):
        before, condition = workspace.status.condition(kind), new_status.condition(kind)
        if condition is None:
            continue
        has_moved = before is None or before.reason != condition.reason
        is_another = kind is ConditionType.RESTORED and _restore(workspace.status) != _restore(
            new_status
        )
        if has_moved or is_another:
            is_warning = condition.status is ConditionStatus.FALSE
            yield _event(workspace, condition.reason, condition.message, now, is_warning=is_warning)


def _restore(status: WorkspaceStatus) -> tuple[Restore, BackupState] | None:
    return (status.restore.target, status.restore.state) if status.restore else None


def _event(
    workspace: Workspace, reason: str, note: str, now: datetime, *, is_warning: bool = False
) -> Json:
    regarding = {
        "apiVersion": names.API_VERSION,
        "kind": kinds.WORKSPACE.kind,
        "namespace": workspace.namespace,
        "name": workspace.name,
        "uid": workspace.uid,
    }
    return _event_about(regarding, reason, note, now, is_warning=is_warning)


def _event_about(
    regarding: Json, reason: str, note: str, now: datetime, *, is_warning: bool
) -> Json:
    return {
        "apiVersion": kinds.EVENT.api_version,
        "kind": kinds.EVENT.kind,
        "metadata": {
            "name": f"{regarding['name'][:180]}.{reason.lower()}.{now.timestamp():.0f}",
            "namespace": regarding["namespace"],
        },
        "regarding": regarding,
        "eventTime": format_micro_time(now),
        "type": "Warning" if is_warning else "Normal",
        "reason": reason,
        "action": "Reconcile",
        "note": note[:_NOTE_LENGTH],
        "reportingController": f"{names.GROUP}/{names.OPERATOR}",
    }


@dataclass(slots=True)
class _EventSeries:
    """The repeats of one event."""

    name: str
    """The name of the written event."""
    count: int
    last_observed: datetime
    last_written: datetime


@dataclass(slots=True)
class EventRecorder:
    """Recent events, so that a workspace that comes and goes makes one series and not an event
    each time."""

    _series: dict[tuple[str, str], _EventSeries] = field(default_factory=dict)
    """By workspace UID and reason; the longest ago observed comes first."""

    def is_first(self, event: Json, now: datetime) -> bool:
        """Return whether to write this event; otherwise `repeat` may have something to write."""
        self._drop_ended(now)
        key = _key(event)
        series = self._series.pop(key, None)
        if series is not None and not _has_ended(series, now):
            self._series[key] = series
            return False
        self._series[key] = _EventSeries(event["metadata"]["name"], 1, now, now)
        return True

    def repeat(self, event: Json, now: datetime) -> tuple[str, Json] | None:
        """Count a repeated event. Return its name and its series, or None if the series was written
        a moment ago."""
        key = _key(event)
        series = self._series[key] = self._series.pop(key)
        series.count, series.last_observed = series.count + 1, now
        if series.count > 2 and now - series.last_written < _SERIES_PACE:
            return None
        series.last_written = now
        return series.name, {"count": series.count, "lastObservedTime": format_micro_time(now)}

    def forget(self, event: Json) -> None:
        """Let the next one be a first one: this event is gone, or could not be written."""
        self._series.pop(_key(event), None)

    def _drop_ended(self, now: datetime) -> None:
        while self._series:
            key = next(iter(self._series))
            if not _has_ended(self._series[key], now):
                return
            del self._series[key]


def _has_ended(series: _EventSeries, now: datetime) -> bool:
    return now - series.last_observed >= _SERIES_ENDS


def _key(event: Json) -> tuple[str, str]:
    return str(event["regarding"]["uid"]), str(event["reason"])
