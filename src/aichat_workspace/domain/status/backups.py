"""What the status says of backups: the last runs, what is there, and whether one is overdue."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from pydantic import ValidationError

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import job_ends
from aichat_workspace.domain.kubernetes.job_ends import JobState
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref
from aichat_workspace.domain.kubernetes.pods import is_over
from aichat_workspace.domain.planning.plan import Observed
from aichat_workspace.domain.planning.restore import is_restore
from aichat_workspace.domain.planning.run_ends import failure_of, why_waiting
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
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
# The fields by the longest pause that they make: month, day of the month, of the week, and hour.
_RESTRICTED: Final = ((3, 366 * _DAY), (2, 31 * _DAY), (4, 7 * _DAY), (1, _DAY))


class BackupStanding(StrEnum):
    """How the backups of a workspace are, in one word."""

    MADE = "made"
    WAITING = "waiting"
    FAILED = "failed"
    OVERDUE = "overdue"


def backup_standing(workspace: Mapping[str, Any]) -> BackupStanding | None:
    """Return what a resource's condition BackedUp says; None where it has none."""
    conditions = (workspace.get("status") or {}).get("conditions") or ()
    for condition in conditions:
        if condition.get("type") == ConditionType.BACKED_UP:
            if condition.get("reason") == Reason.BACKUP_OVERDUE:
                return BackupStanding.OVERDUE
            by_status = {
                ConditionStatus.TRUE: BackupStanding.MADE,
                ConditionStatus.FALSE: BackupStanding.FAILED,
            }
            return by_status.get(condition.get("status"), BackupStanding.WAITING)
    return None


def next_record(workspace: Workspace, observed: Observed, destination: str) -> BackupRecord | None:
    """Return status.backup as the runs say now. What no run tells any more stays as it was.

    `destination` is where backups go now; empty while that is not known.
    """
    runs = _runs(workspace, observed)
    record = workspace.status.backup
    if runs:
        record = _after(record or BackupRecord(state=BackupState.RUNNING), runs, observed)
        record = _with_request(record, workspace, runs)
    if record and destination and record.destination != destination:
        return record.model_copy(update={"destination": destination, "backups": ()})
    return record


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
    last = record.backups[0].name if record and record.backups else ""
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
        reason = Reason.known(record.reason) or Reason.RUN_FAILED
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
    """Return when a backup is overdue if none is made before; None without a schedule.

    The schedule's longest time between two runs is meant, as its fields bound it: the CronJob's own
    controller reads schedules.
    """
    backup, name = workspace.spec.backup, workspace.spec.workspace_name
    cron_job = observed.objects.get(Ref("CronJob", name, names.backup(name)))
    if backup is None or not backup.schedule or cron_job is None:
        return None
    since = datetime.fromisoformat(cron_job["metadata"]["creationTimestamp"])
    if record and record.succeeded_at:
        since = max(since, record.succeeded_at)
    return since + longest_pause(backup.schedule) + _LATE


def longest_pause(schedule: str) -> timedelta:
    """Return a bound of the time between two runs of a cron schedule."""
    if schedule in _MACROS:
        return _MACROS[schedule]
    fields = schedule.split()
    return next(
        (pause for number, pause in _RESTRICTED if fields[number] not in ("*", "?")),
        timedelta(hours=1),
    )


def _runs(workspace: Workspace, observed: Observed) -> list[Manifest]:
    """Return the runs that make backups, the oldest first."""
    name = workspace.spec.workspace_name
    runs = [job for job in observed.jobs if not is_restore(job, name)]
    return sorted(runs, key=lambda job: (job_ends.created_at(job), str(job["metadata"]["name"])))


def _after(record: BackupRecord, runs: Sequence[Manifest], observed: Observed) -> BackupRecord:
    last = runs[-1]
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
        message = str(job_ends.result(job_ends.termination(pods)).get("warning", ""))
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


def _failure(record: BackupRecord, run: Manifest, pods: Sequence[Manifest]) -> Problem:
    """Return why a run failed. Of one whose pods are gone, what was known before stays."""
    if not pods and record.run == run["metadata"]["name"] and record.message:
        reason = Reason.known(record.reason) or Reason.RUN_NOT_STARTED
        return Problem(reason, record.message)
    return failure_of(run, pods)


def _success(record: BackupRecord, runs: Sequence[Manifest], observed: Observed) -> dict[str, Any]:
    """Return what the newest whole run says; what is known already where its pod is gone."""
    whole = [run for run in runs if job_ends.state(run) is JobState.COMPLETE]
    ended = job_ends.ended_at(whole[-1]) if whole else None
    if ended is None or (record.succeeded_at is not None and ended < record.succeeded_at):
        return {}
    result = job_ends.result(job_ends.termination(job_ends.pods_of(whole[-1], observed.pods)))
    entries = _entries(record, result)
    destination = annotations(whole[-1]).get(names.DESTINATION_ANNOTATION, "")
    listed = {"backups": entries, "destination": destination} if entries else {}
    return {"succeededAt": ended, **listed}


def _entries(record: BackupRecord, result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the backups that a result lists. Only the version of its own is in it."""
    versions = {entry.name: entry.open_webui for entry in record.backups}
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
    record: BackupRecord, workspace: Workspace, runs: Sequence[Manifest]
) -> BackupRecord:
    request = workspace.spec.backup.request if workspace.spec.backup else ""
    name = names.backup_run(workspace.spec.workspace_name, request)
    if not request or all(run["metadata"]["name"] != name for run in runs):
        return record
    return record.model_copy(update={"request": request})


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
