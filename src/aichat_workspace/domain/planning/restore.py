"""Restore a chat's data: stop the chat, run a Job, and start the chat again.

`spec.restore` is carried out once. `status.restore` says what was begun and how it ended, and is
stored before the Job is made, so that an operator that starts anew goes on from there. Once a Job
may have touched the data, the chat stays stopped until a Job's own result says that the old or the
new data is in place (backup/swap.py).
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import job_ends
from aichat_workspace.domain.kubernetes.job_ends import JobState, is_controlled
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, is_deleting
from aichat_workspace.domain.kubernetes.pods import has_node, is_over, pod_template
from aichat_workspace.domain.planning import volume_snapshots
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.run_ends import (
    failure_of,
    is_result,
    replaced_by,
    was_done_before,
    why_waiting,
)
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.render.components import BACKUP, OLLAMA, OPENWEBUI
from aichat_workspace.domain.render.context import DataRun
from aichat_workspace.domain.v1alpha1.backup import (
    MAX_INTERRUPTIONS,
    BackupState,
    Restore,
    RestoreRecord,
)
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionStatus, ConditionType

_RESTORE: Final = "restore"
_RECOVER: Final = "recover"
_DIGEST_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What becomes of the chat's data."""

    record: RestoreRecord | None = None
    """What status.restore is to be."""
    stops_chat: bool = False
    run: DataRun | None = None
    """The Job to make now. The record is stored before."""
    obsolete: tuple[Manifest, ...] = ()
    """Jobs to delete, and snapshots that failed."""
    problem: Problem | None = None
    """Why spec.restore is not begun."""
    copies_from: str = ""
    """The Job of spec.restore that is to be made now, or was: what it reads stays until its end."""
    is_given_up: bool = False
    """The chat starts although a Job was made, of which nothing ran. A pod of it may be unseen."""
    lacks_data: bool = False
    """The chat never ran, and its restore has failed: it stays stopped until somebody acts."""


NO_RESTORE: Final = RestorePlan()


def is_due(workspace: Workspace) -> bool:
    """Whether the workspace asks for a restore that has not ended."""
    target, record = workspace.spec.restore, workspace.status.restore
    if record is not None and record.state is BackupState.RUNNING:
        return True
    return target is not None and not _is_carried_out(record, target)


def _is_carried_out(record: RestoreRecord | None, target: Restore) -> bool:
    """Whether a restore has ended by itself. One that was removed may be asked for again."""
    if record is None or record.target != target:
        return False
    return record.reason != Reason.RESTORE_CANCELLED


def with_running_restore(workspace: Workspace) -> Workspace:
    """Return the workspace as if its spec still named a restore that has begun and was given up:
    what its Jobs need stays until their end. What another one needs is its own."""
    record = workspace.status.restore
    if record is None or not is_cancelled(workspace):
        return workspace
    spec = workspace.spec.model_copy(update={"restore": record.target})
    return workspace.model_copy(update={"spec": spec})


def plan_restore(
    workspace: Workspace,
    observed: Observed,
    obstacle: Problem | None = None,
    obstacle_to_recovery: Problem | None = None,
) -> RestorePlan:
    """Decide the next step of a restore.

    An `obstacle` keeps one from beginning, and the chat runs on meanwhile. A recovery needs no
    store, so it has obstacles of its own.
    """
    if workspace.spec.restore is None:
        obstacle = obstacle_to_recovery
    plan = _with_stall(_next_step(workspace, observed, obstacle))
    return replace(plan, copies_from=_reading_run(workspace, plan))


def _reading_run(workspace: Workspace, plan: RestorePlan) -> str:
    target, record = workspace.spec.restore, plan.record
    if target is None or record is None or record.state is not BackupState.RUNNING:
        return ""
    run = _restore(workspace.spec.workspace_name, target).name
    return run if record.run == run else ""


def is_cancelled(workspace: Workspace) -> bool:
    """Whether a restore has begun that the spec asks for no longer."""
    record = workspace.status.restore
    is_running = record is not None and record.state is BackupState.RUNNING
    return is_running and workspace.spec.restore is None


def _next_step(workspace: Workspace, observed: Observed, obstacle: Problem | None) -> RestorePlan:
    target, record = workspace.spec.restore, workspace.status.restore
    if record is None or record.state is not BackupState.RUNNING:
        if target is None or _is_carried_out(record, target):
            return _at_rest(workspace, observed, record)
        if obstacle:
            return RestorePlan(record, _is_new(workspace), problem=obstacle)
        record = RestoreRecord(target=target, state=BackupState.RUNNING)
    elif not record.run and target is None:  # nothing was touched
        return _at_rest(workspace, observed, _cancelled(record, None))
    elif not record.run and obstacle:
        return RestorePlan(record, _is_new(workspace), problem=obstacle)
    elif target is not None and target != record.target:
        record = RestoreRecord(
            target=target, state=BackupState.RUNNING, run=record.run, started=record.started
        )
    if not record.started and _has_started(workspace, observed):
        record = record.model_copy(update={"started": True})
    if target is None and not record.started:
        return _give_up(workspace, observed, record)
    return _carry_out(workspace, observed, record, obstacle)


def _with_stall(plan: RestorePlan) -> RestorePlan:
    """Say that somebody has to look, once a restore was interrupted again."""
    record = plan.record
    if record is None or record.state is not BackupState.RUNNING or plan.problem:
        return plan
    if record.interruptions < MAX_INTERRUPTIONS:
        return plan
    message = (
        f"its Job was interrupted again and again, and is still run anew: {record.message}; see "
        "what ends its pods, or give up and remove spec.restore"
    )
    return replace(plan, problem=Problem(Reason.BACKUP_RUN_KILLED, message))


def _has_started(workspace: Workspace, observed: Observed) -> bool:
    """Whether a Job of a restore may have touched the data, as far as is seen."""
    name = workspace.spec.workspace_name
    jobs = [job for job in observed.jobs if is_restore(job, name)]
    pods = [pod for pod in observed.pods if is_restore(pod, name)]
    return any(map(job_ends.has_run, jobs)) or any(
        job_ends.has_started(pod, BACKUP) for pod in pods
    )


def _give_up(workspace: Workspace, observed: Observed, record: RestoreRecord) -> RestorePlan:
    """Delete the Job of which nothing ran, and let the chat start once it and its pods are gone."""
    name = workspace.spec.workspace_name
    jobs = [job for job in observed.jobs if is_restore(job, name)]
    pods = [pod for pod in observed.pods if is_restore(pod, name) and not is_over(pod)]
    if jobs or pods:
        message = f"waits for {_name((*pods, *jobs)[0])} to be gone"
        obsolete = tuple(job for job in jobs if not is_deleting(job))
        return RestorePlan(_with_message(record, message), True, obsolete=obsolete)
    untouched = record.model_copy(update={"run": ""})
    plan = _at_rest(workspace, observed, _cancelled(untouched, None))
    return replace(plan, is_given_up=not _waits_for(workspace, observed))


def _carry_out(
    workspace: Workspace, observed: Observed, record: RestoreRecord, obstacle: Problem | None
) -> RestorePlan:
    own_name = workspace.spec.workspace_name
    run = (_restore if workspace.spec.restore else _recovery)(own_name, record.target)
    job = next((job for job in observed.jobs if _name(job) == run.name), None)
    if job is not None:
        return _follow(job, workspace, observed, record)
    others = tuple(job for job in observed.jobs if is_restore(job, own_name))
    obsolete = tuple(job for job in others if not is_deleting(job))
    waits_for = _waits_for(workspace, observed)
    if others or waits_for:
        message = f"waits for {waits_for or 'an earlier Job of it'} to end"
        return RestorePlan(_with_message(record, message), True, obsolete=obsolete)
    if snapshots := volume_snapshots.unfinished(observed):
        return _await_snapshots(record, snapshots)
    if obstacle:
        return RestorePlan(record, True, problem=obstacle)
    record = record.model_copy(update={"run": run.name})
    return RestorePlan(_with_message(record, f"Job {run.name} is made"), True, run)


def _await_snapshots(record: RestoreRecord, snapshots: Sequence[Manifest]) -> RestorePlan:
    """Wait until the backups that were asked for have the data of before. One that failed is
    deleted, for it is tried again at any time."""
    obsolete = tuple(
        snapshot
        for snapshot in snapshots
        if volume_snapshots.error_of(snapshot) and not is_deleting(snapshot)
    )
    message = f"waits for VolumeSnapshot {_name(snapshots[0])} to be made, or gone"
    return RestorePlan(_with_message(record, message), True, obsolete=obsolete)


def _at_rest(workspace: Workspace, observed: Observed, record: RestoreRecord | None) -> RestorePlan:
    """Let the chat run, unless a Job that nothing is known of may write to its data."""
    has_failed = record is not None and record.state is BackupState.FAILED
    lacks_data = has_failed and _is_new(workspace) and workspace.spec.restore is not None
    is_stopped = lacks_data or _is_any_alive(observed, workspace.spec.workspace_name)
    return RestorePlan(record, is_stopped, lacks_data=lacks_data)


def _is_new(workspace: Workspace) -> bool:
    """Whether the chat never ran: it does not begin empty before its restore."""
    status = workspace.status
    available = status.condition(ConditionType.OPENWEBUI_AVAILABLE)
    is_available = available is not None and available.status is ConditionStatus.TRUE
    return not (status.chat_started or status.images or is_available)


def _follow(
    job: Manifest, workspace: Workspace, observed: Observed, record: RestoreRecord
) -> RestorePlan:
    name = _name(job)
    record = record.model_copy(update={"run": name})
    if is_deleting(job):
        return RestorePlan(_with_message(record, f"waits for Job {name} to be gone"), True)
    pods = job_ends.pods_of(job, observed.pods)
    match job_ends.state(job):
        case JobState.RUNNING:
            waiting = why_waiting(pods)
            message = f"Job {name} runs" + (f"; {waiting}" if waiting else "")
            return RestorePlan(_with_message(record, message), True)
        case JobState.COMPLETE:
            ended = job_ends.ended_at(job)
            done = (
                _done(record, ended, was_done=was_done_before(pods))
                if workspace.spec.restore
                else _cancelled(record, ended)
            )
            return _at_rest(workspace, observed, done)
        case JobState.FAILED if any(not is_over(pod) for pod in pods):
            message = f"waits for the last word of Job {name}"  # the pods' watch may be behind
            return RestorePlan(_with_message(record, message), True)
        case JobState.FAILED if is_result(job):
            problem = failure_of(job, pods)
            failed = _failed(record, problem, job_ends.ended_at(job), replaced_by(pods))
            return _at_rest(workspace, observed, failed)
        case _:
            # The data may be neither the old nor the new: the program ends what it began.
            why = failure_of(job, pods).message
            message = (
                f"it was interrupted, and is run again: {why}; to give up, remove spec.restore"
            )
            number = min(record.interruptions + 1, MAX_INTERRUPTIONS)
            record = record.model_copy(update={"interruptions": number})
            return RestorePlan(_with_message(record, message), True, obsolete=(job,))


def is_restore(job: Manifest, workspace: str) -> bool:
    """Whether a Job of the workspace's namespace, or a pod of one, writes to the chat's data."""
    return _name(job).startswith((f"{workspace}-{_RESTORE}-", f"{workspace}-{_RECOVER}-"))


def is_beside_chat(pod_spec: Manifest) -> bool:
    """Whether a pod can only have the node of the chat (render/backup_jobs.py)."""
    affinity = pod_spec.get("affinity", {}).get("podAffinity", {})
    return any(
        term.get("labelSelector", {}).get("matchLabels", {}).get(names.COMPONENT_LABEL) == OPENWEBUI
        for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution", ())
    )


def outdated_runs(
    workspace: Workspace, observed: Observed, *, stops_chat: bool
) -> Iterator[Manifest]:
    """Yield the Jobs of backups that have not begun and need what is so no longer: the chat, which
    is suspended now, or its absence. Those of requests are made anew. One of the schedule is not:
    the data do not change, and it would end as a failure at its deadline."""
    name, is_suspended = workspace.spec.workspace_name, workspace.spec.suspended
    for job in observed.jobs:
        if is_restore(job, name) or is_deleting(job):
            continue
        needs_chat = is_beside_chat(pod_template(job)["spec"])
        if is_controlled(job):
            is_right = not is_suspended
        else:
            is_right = needs_chat if stops_chat else needs_chat is not is_suspended
        if not is_right and not job_ends.has_begun(job, observed.pods):
            yield job


def may_use_data(pod: Manifest, workspace: str) -> bool:
    """Whether a pod of the workspace's namespace may read or write the chat's data.

    A backup's pod that has no node and needs the chat's waits for it, and so for the end of a
    restore.
    """
    component = pod["metadata"].get("labels", {}).get(names.COMPONENT_LABEL)
    if component == OLLAMA or is_over(pod):
        return False
    if component != BACKUP or is_restore(pod, workspace) or has_node(pod):
        return True
    return not is_beside_chat(pod.get("spec", {}))


def _restore(workspace: str, restore: Restore) -> DataRun:
    """A source is another workspace, whatever its name: one of the same team and workspaceName may
    have been there before under another metadata.name."""
    name = _restore_name(workspace, restore)
    arguments = (
        _RESTORE,
        restore.backup,
        *(("--from-another-workspace",) if restore.source else ()),
        "--once",
        name,
    )
    return DataRun(name, arguments, restore.source or workspace)


def _recovery(workspace: str, restore: Restore) -> DataRun:
    """What was given up may be asked for again."""
    arguments = (_RECOVER, "--forget", _restore_name(workspace, restore))
    return DataRun(f"{workspace}-{_RECOVER}-{_digest(restore)}", arguments, None)


def _restore_name(workspace: str, restore: Restore) -> str:
    """Return the name of the restore's Job, which its data have, too: they come from it once."""
    return f"{workspace}-{_RESTORE}-{_digest(restore)}"


def _digest(restore: Restore) -> str:
    """The same in every release, as long as the same fields are set."""
    text = restore.model_dump_json(by_alias=True, exclude_defaults=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]


def _waits_for(workspace: Workspace, observed: Observed) -> str:
    """Return what may still write to the data, or read it; empty for nothing."""
    name = workspace.spec.workspace_name
    alive = [pod for pod in observed.pods if may_use_data(pod, name)]
    if alive:
        return f"pod {_name(alive[0])}"
    deployment = observed.objects.get(Ref("Deployment", name, names.openwebui(name)))
    if deployment is None or _is_stopped(deployment):
        return ""
    return "the chat"


def _is_stopped(deployment: Manifest) -> bool:
    status, generation = deployment.get("status", {}), deployment["metadata"].get("generation", 0)
    is_observed = status.get("observedGeneration", 0) >= generation
    return deployment["spec"].get("replicas") == 0 and is_observed and not status.get("replicas")


def _is_any_alive(observed: Observed, workspace: str) -> bool:
    """A pod outlives its Job for a while."""
    jobs = [job for job in observed.jobs if is_restore(job, workspace)]
    pods = [pod for pod in observed.pods if is_restore(pod, workspace)]
    is_any_job_running = any(job_ends.state(job) is JobState.RUNNING for job in jobs)
    return is_any_job_running or not all(map(is_over, pods))


def _done(record: RestoreRecord, ended: datetime | None, *, was_done: bool) -> RestoreRecord:
    message = f"the data is that of backup {record.target.backup}"
    if record.target.source:
        message += f" of {record.target.source}"
    if was_done:
        message += (
            " since before: nothing was replaced. To replace it again, change spec.restore.request"
        )
    return _ended(record, BackupState.DONE, ended, Problem(Reason.RESTORED, message))


def _failed(
    record: RestoreRecord, problem: Problem, ended: datetime | None, replaced: str
) -> RestoreRecord:
    data = (
        f"wholly that of backup {replaced}, whose restore was killed before and ended first"
        if replaced
        else "as it was before"
    )
    message = (
        f"{problem.message}; the data is {data}. Once it is mended, change spec.restore.request"
    )
    return _ended(record, BackupState.FAILED, ended, replace(problem, message=message))


def _cancelled(record: RestoreRecord, ended: datetime | None) -> RestoreRecord:
    problem = Problem(
        Reason.RESTORE_CANCELLED,
        f"spec.restore was removed before the end: the data is as it was before, or wholly that of "
        f"backup {record.target.backup}"
        if record.started
        else "spec.restore was removed before anything was restored",
    )
    return _ended(record, BackupState.FAILED, ended, problem)


def _ended(
    record: RestoreRecord, state: BackupState, ended: datetime | None, problem: Problem
) -> RestoreRecord:
    reason = "" if state is BackupState.DONE else str(problem.reason)
    update = {"state": state, "finished_at": ended, "reason": reason}
    return _with_message(record.model_copy(update=update), problem.message)


def _with_message(record: RestoreRecord, message: str) -> RestoreRecord:
    """Validated again: other programs' texts may be too long."""
    return RestoreRecord.model_validate({**record.model_dump(by_alias=True), "message": message})


def _name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])
