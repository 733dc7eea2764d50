"""What the status says of backups: the last runs, what is there, and whether one is overdue."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import job_ends
from aichat_workspace.domain.kubernetes.job_ends import JobState
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref
from aichat_workspace.domain.kubernetes.pods import is_over
from aichat_workspace.domain.planning import volume_snapshots
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.restore import is_restore
from aichat_workspace.domain.planning.run_ends import failure_of, why_waiting
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.render.components import BACKUP
from aichat_workspace.domain.status.clock_changes import ClockChange, clock_changes
from aichat_workspace.domain.status.finding import Finding
from aichat_workspace.domain.v1alpha1.backup import (
    MAX_LISTED,
    BackupEntry,
    BackupRecord,
    BackupState,
)
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionStatus, ConditionType
from aichat_workspace.foundation.metadata import annotations

_LATE: Final = timedelta(hours=6)
"""How long after it was due a backup may take, or be made up for."""
_DAY: Final = timedelta(days=1)
_MACROS: Final[Mapping[str, timedelta]] = {
    "@hourly": timedelta(hours=1),
    "@daily": _DAY,
    "@midnight": _DAY,
    "@weekly": 7 * _DAY,
    "@monthly": 31 * _DAY,
    "@yearly": 366 * _DAY,
    "@annually": 366 * _DAY,
}
_STATES: Final = {
    JobState.RUNNING: BackupState.RUNNING,
    JobState.COMPLETE: BackupState.DONE,
    JobState.FAILED: BackupState.FAILED,
}
# Some months end before these days: 31 March to 31 May.
_SHORTEST_MONTH: Final = 28
_LATE_DAYS_PAUSE: Final = 62 * _DAY
_LEAP_DAY_PAUSE: Final = (4 * 365 + 1) * _DAY
_FEBRUARY: Final = frozenset({"2", "02", "FEB"})
_ANY: Final = ("*", "?")


class BackupStanding(StrEnum):
    """How the backups of a workspace are, in one word."""

    MADE = "made"
    WAITING = "waiting"
    FAILED = "failed"
    OVERDUE = "overdue"
    BLOCKED = "blocked"


_BY_REASON: Final[Mapping[str | None, BackupStanding]] = {
    Reason.BACKUP_OVERDUE: BackupStanding.OVERDUE,
    # None can be made before somebody acts (decision/backups.py).
    Reason.BACKUP_DESTINATION_NOT_FOUND: BackupStanding.BLOCKED,
    Reason.BACKUP_DESTINATION_NOT_ALLOWED: BackupStanding.BLOCKED,
    Reason.BACKUP_SECRET_NOT_FOUND: BackupStanding.BLOCKED,
    Reason.BACKUP_IMAGE_UNKNOWN: BackupStanding.BLOCKED,
    Reason.BACKUP_SNAPSHOTS_UNSUPPORTED: BackupStanding.BLOCKED,
}


def backup_standing(workspace: Mapping[str, Any]) -> BackupStanding | None:
    """Return what a resource's condition BackedUp says; None where it has none."""
    conditions = (workspace.get("status") or {}).get("conditions") or ()
    for condition in conditions:
        if condition.get("type") == ConditionType.BACKED_UP:
            if standing := _BY_REASON.get(condition.get("reason")):
                return standing
            by_status = {
                ConditionStatus.TRUE: BackupStanding.MADE,
                ConditionStatus.FALSE: BackupStanding.FAILED,
            }
            return by_status.get(condition.get("status"), BackupStanding.WAITING)
    return None


def next_record(
    workspace: Workspace,
    observed: Observed,
    destination: str,
    now: datetime,
    *,
    has_snapshots: bool = False,
) -> BackupRecord | None:
    """Return status.backup as the runs say now. What no run tells any more stays as it was.

    `destination` is where backups go now; empty while that is not known. With `has_snapshots` the
    list is of the snapshots that are there.
    """
    runs = _runs(workspace, observed)
    record = _without_lost_run(_with_schedule(workspace, observed, now), runs)
    if runs:
        record = _after(record or BackupRecord(), runs, observed)
        record = _with_request(record, workspace, runs, observed)
    if record and destination and record.destination != destination:
        record = record.model_copy(update={"destination": destination, "items": ()})
    return _with_snapshots(record, observed, destination) if has_snapshots else record


def backed_up(
    workspace: Workspace,
    record: BackupRecord | None,
    observed: Observed,
    problem: Problem | None,
    now: datetime,
) -> Finding | None:
    """Return whether the chat is backed up; None where nobody asked for that.

    `problem` is why no backup can be made. Chats run on without backups.
    """
    if workspace.spec.backup is None:
        return None
    if problem:
        return Finding(ConditionStatus.FALSE, problem.reason, problem.message)
    last = record.items[0].name if record and record.items else ""
    moment = record.succeeded_at if record else None
    since = (
        f"the last backup{f', {last},' if last else ''} was made {_text(moment)}" if moment else ""
    )
    failure = f"{record.run} failed: {record.message}" if record and record.reason else ""
    due = overdue_at(workspace, record, observed)
    if due is not None and now >= due:
        message = "; ".join(filter(None, [since or "no backup was ever made", failure]))
        return Finding(
            ConditionStatus.FALSE, Reason.BACKUP_OVERDUE, f"a backup is overdue: {message}"
        )
    if record and record.reason:
        reason = Reason.known(record.reason) or Reason.BACKUP_RUN_FAILED
        return Finding(ConditionStatus.FALSE, reason, "; ".join(filter(None, [failure, since])))
    if since:
        warning = record.message if record and record.state is BackupState.DONE else ""
        message = "; ".join(filter(None, [since, warning]))
        return Finding(ConditionStatus.TRUE, Reason.BACKED_UP, message)
    how = "by its schedule" if workspace.spec.backup.schedule else "by spec.backup.request"
    message = f"no backup has been made yet; the first one is made {how}"
    return Finding(ConditionStatus.UNKNOWN, Reason.BACKUP_WAITING, message)


def overdue_at(
    workspace: Workspace, record: BackupRecord | None, observed: Observed
) -> datetime | None:
    """Return when a backup is overdue if none is made before; None without a schedule, and while it
    rests, as that of a suspended workspace does, or of one whose chat waits for a restore.

    A schedule that is new, or goes on, owes nothing of the time before. Its longest time between
    two runs is meant, as its fields bound it: the CronJob's own controller reads schedules.
    """
    backup, name = workspace.spec.backup, workspace.spec.workspace_name
    cron_job = observed.objects.get(Ref("CronJob", name, names.backup(name)))
    if backup is None or not _schedule(workspace, observed) or cron_job is None:
        return None
    created_at = datetime.fromisoformat(cron_job["metadata"]["creationTimestamp"])
    recorded = [record.succeeded_at, record.schedule_since] if record else []
    since = max([created_at, *(moment for moment in recorded if moment)])
    return since + longest_pause(backup.schedule, backup.time_zone, since) + _LATE


def _schedule(workspace: Workspace, observed: Observed) -> str:
    """Return the schedule that runs, with its time zone; empty while none does.

    A restore suspends the CronJob until its chat runs again.
    """
    backup, name = workspace.spec.backup, workspace.spec.workspace_name
    if backup is None or not backup.schedule or workspace.spec.suspended:
        return ""
    cron_job = observed.objects.get(Ref("CronJob", name, names.backup(name)), {})
    if cron_job.get("spec", {}).get("suspend"):
        return ""
    return f"{backup.schedule} {backup.time_zone}"


def _with_schedule(workspace: Workspace, observed: Observed, now: datetime) -> BackupRecord | None:
    """Return the record with the schedule that runs now, and since when."""
    record, schedule = workspace.status.backup, _schedule(workspace, observed)
    if schedule == (record.schedule if record else ""):
        return record
    update = {"schedule": schedule, "schedule_since": now if schedule else None}
    return (record or BackupRecord()).model_copy(update=update)


def _without_lost_run(record: BackupRecord | None, runs: Sequence[Manifest]) -> BackupRecord | None:
    """Forget a run that is gone before it was seen to end, as one that waited for a chat which is
    suspended now."""
    if record is None or record.state is not BackupState.RUNNING:
        return record
    if record.run in {run["metadata"]["name"] for run in runs}:
        return record
    return record.model_copy(update={"state": None, "run": "", "message": ""})


def longest_pause(schedule: str, time_zone: str, since: datetime) -> timedelta:
    """Return a bound of the time from `since` to the next run of a cron schedule.

    A day is longer where clocks are put back in it. Where they are put forward over the only hours
    of the schedule, its run of that day is skipped:
    https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#time-zones
    """
    pause, hours = _MACROS.get(schedule) or _pause(schedule), _hours(schedule)
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        return 2 * pause  # a zone that is not known here may change its clocks
    bound = pause + _put_back(clock_changes(zone, since, pause))
    changes = clock_changes(zone, since, bound)
    if not any(hours and hours <= change.skipped_hours for change in changes):
        return bound
    return bound + pause + _put_back(clock_changes(zone, since + bound, pause))


def _put_back(changes: Iterable[ClockChange]) -> timedelta:
    return sum((-change.shift for change in changes if change.shift < timedelta()), timedelta())


def _hours(schedule: str) -> frozenset[int]:
    """Return the hours of the day at which it runs; none where it names none."""
    if schedule in _MACROS:
        return frozenset() if schedule == "@hourly" else frozenset({0})
    field = schedule.split()[1]
    return frozenset() if field in _ANY else frozenset(_values(field, 23))


def _values(field: str, last: int) -> Iterator[int]:
    """Yield the numbers of lists, ranges and steps, as cron reads them."""
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, end = span.partition("-")
        begins = int(first) if first not in _ANY else 0
        ends = int(end) if dash else last if step or first in _ANY else begins
        yield from range(begins, ends + 1, int(step or 1))


def _pause(schedule: str) -> timedelta:
    _, hour, day, month, weekday = schedule.split()
    is_late = day not in _ANY and _first_day(day) > _SHORTEST_MONTH
    if month not in _ANY:
        return _LEAP_DAY_PAUSE if is_late and month.upper() in _FEBRUARY else 366 * _DAY
    if day not in _ANY:
        return _LATE_DAYS_PAUSE if is_late else 31 * _DAY
    if weekday not in _ANY:
        return 7 * _DAY
    return _DAY if hour not in _ANY else timedelta(hours=1)


def _first_day(field: str) -> int:
    """Return the first day of the month in lists, ranges and steps."""
    first = (re.split("[-/]", part)[0] for part in field.split(","))
    return min(int(day) if day.isdigit() else 1 for day in first)


def _with_snapshots(
    record: BackupRecord | None, observed: Observed, destination: str
) -> BackupRecord | None:
    newest = volume_snapshots.newest(observed)
    if record is None and newest is None:
        return None
    record = record or BackupRecord(destination=destination)
    moments = [moment for moment in (record.succeeded_at, newest) if moment]
    update = {
        "items": volume_snapshots.entries(observed),
        "succeeded_at": max(moments, default=None),
    }
    return record.model_copy(update=update)


def _runs(workspace: Workspace, observed: Observed) -> list[Manifest]:
    """Return the runs that make backups, the oldest first."""
    name = workspace.spec.workspace_name
    runs = [job for job in observed.jobs if not is_restore(job, name)]
    return sorted(runs, key=lambda job: (job_ends.created_at(job), str(job["metadata"]["name"])))


def _after(record: BackupRecord, runs: Sequence[Manifest], observed: Observed) -> BackupRecord:
    last = runs[-1]
    if job_ends.state(last) is JobState.COMPLETE and volume_snapshots.asks_for_snapshot(last):
        return _after_check(record, last, observed)
    state, message = job_ends.state(last), ""
    problem = None
    pods = job_ends.pods_of(last, observed.pods)
    if state is JobState.FAILED and any(not is_over(pod) for pod in pods):
        state = JobState.RUNNING  # its last word is still to be seen
    if state is JobState.FAILED:
        problem = _failure(record, last, pods)
        message = problem.message
    elif state is JobState.RUNNING:
        message = why_waiting(pods)
    elif pods or record.run != last["metadata"]["name"]:
        message = str(job_ends.result(job_ends.termination(pods, BACKUP)).get("warning", ""))
    elif record.state is BackupState.DONE:
        message = record.message  # its pods are gone
    return BackupRecord.model_validate(
        {
            **record.model_dump(by_alias=True),
            "run": last["metadata"]["name"],
            "state": _STATES[state],
            "finishedAt": job_ends.ended_at(last),
            "reason": str(problem.reason) if problem else "",
            "message": message,
            **_success(record, runs, observed),
        }
    )


def _after_check(record: BackupRecord, run: Manifest, observed: Observed) -> BackupRecord:
    """Return the record after a run that ended well, whose backup is the snapshot that follows."""
    snapshot, ended = volume_snapshots.snapshot_of(run, observed), job_ends.ended_at(run)
    state, problem, message, succeeded = BackupState.RUNNING, None, "", record.succeeded_at
    if snapshot is None:
        is_over = ended is not None and succeeded is not None and succeeded >= ended
        state = BackupState.DONE if is_over else state
        message = "" if is_over else "its VolumeSnapshot is still to be made"
    elif volume_snapshots.is_ready(snapshot):
        moment = volume_snapshots.moment(snapshot, run)
        state, succeeded = BackupState.DONE, max(filter(None, (succeeded, moment)))
    elif volume_snapshots.error_of(snapshot):
        state, problem = BackupState.FAILED, volume_snapshots.failure_of(snapshot)
    else:
        message = volume_snapshots.why_waiting(snapshot)
    return BackupRecord.model_validate(
        {
            **record.model_dump(by_alias=True),
            "run": run["metadata"]["name"],
            "state": state,
            "finishedAt": None if state is BackupState.RUNNING else ended,
            "reason": str(problem.reason) if problem else "",
            "message": problem.message if problem else message,
            "succeededAt": succeeded,
        }
    )


def _failure(record: BackupRecord, run: Manifest, pods: Sequence[Manifest]) -> Problem:
    """Return why a run failed. Of one whose pods are gone, what was known before stays."""
    if not pods and record.run == run["metadata"]["name"] and record.message:
        reason = Reason.known(record.reason) or Reason.BACKUP_RUN_NOT_STARTED
        return Problem(reason, record.message)
    return failure_of(run, pods)


def _success(record: BackupRecord, runs: Sequence[Manifest], observed: Observed) -> dict[str, Any]:
    """Return what the newest whole run says; what is known already where its pod is gone."""
    whole = [
        run
        for run in runs
        if job_ends.state(run) is JobState.COMPLETE and not volume_snapshots.asks_for_snapshot(run)
    ]
    ended = job_ends.ended_at(whole[-1]) if whole else None
    if ended is None or (record.succeeded_at is not None and ended < record.succeeded_at):
        return {}
    pods = job_ends.pods_of(whole[-1], observed.pods)
    result = job_ends.result(job_ends.termination(pods, BACKUP))
    entries = _entries(record, result)
    destination = annotations(whole[-1]).get(names.DESTINATION_ANNOTATION, "")
    listed = {"items": entries, "destination": destination} if entries else {}
    return {"succeededAt": ended, **listed}


def _entries(record: BackupRecord, result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the backups that a result lists. Only the version of its own is in it."""
    versions = {entry.name: entry.open_webui for entry in record.items}
    versions[str(result.get("name"))] = str(result.get("openWebUI", ""))
    try:
        entries = [
            BackupEntry(
                name=entry["name"],
                size_bytes=entry["sizeBytes"],
                open_webui=versions.get(entry["name"], ""),
            )
            for entry in result.get("backups", ())[:MAX_LISTED]
        ]
    except (ValidationError, TypeError, KeyError):
        return []  # of another version's program
    return [entry.model_dump(by_alias=True) for entry in entries]


def _with_request(
    record: BackupRecord, workspace: Workspace, runs: Sequence[Manifest], observed: Observed
) -> BackupRecord:
    """A run that waits for its first node may be made anew, so it counts only afterwards."""
    request = workspace.spec.backup.request if workspace.spec.backup else ""
    name = names.backup_run(workspace.spec.workspace_name, request)
    run = next((run for run in runs if run["metadata"]["name"] == name), None)
    if not request or run is None or not job_ends.has_begun(run, observed.pods):
        return record
    return record.model_copy(update={"request": request})


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
