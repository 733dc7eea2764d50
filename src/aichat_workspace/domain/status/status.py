"""What a workspace's status says, from what is known of it."""

from datetime import datetime
from typing import Final

from aichat_workspace.domain.models.status import (
    ModelStatus,
    PatternStatus,
    format_progress,
)
from aichat_workspace.domain.planning.pod_change import (
    running_images,
)
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.status import restores, turns
from aichat_workspace.domain.status.activity import activity_record
from aichat_workspace.domain.status.backups import backed_up, next_record
from aichat_workspace.domain.status.conditions import (
    WORKLOADS,
    expires_soon,
    findings_of,
    is_suspended,
    models_finding,
    readiness_progress,
    rollout_progress,
    terminating,
    up_to_date,
    workloads_work,
)
from aichat_workspace.domain.status.finding import Finding
from aichat_workspace.domain.status.inputs import StatusInputs
from aichat_workspace.domain.status.records import (
    model_entry,
    namespace_record,
    pattern_entry,
    resource_entries,
    rewrite_entries,
)
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import (
    Condition,
    ConditionStatus,
    ConditionType,
    ImagesRecord,
    Phase,
    WorkspaceStatus,
)

_MESSAGE_LENGTH: Final = 2048
_ORDER: Final = {kind: place for place, kind in enumerate(ConditionType)}
_RUNNING: Final = (ConditionType.PROVISIONED, *WORKLOADS)


def compute_status(workspace: Workspace, facts: StatusInputs, now: datetime) -> WorkspaceStatus:
    """The status to report. Equal to the workspace's present one when nothing has moved."""
    if workspace.deleting:
        findings = reported = terminating(facts, now)
    else:
        findings = findings_of(workspace, facts, now)
    rollout = workspace.status.rollout
    if not (workspace.deleting or facts.rejection):
        progress = rollout_progress(workspace, facts, findings, now)
        rollout = turns.next_record(workspace, progress, facts.turn_deadline, now)
        findings[ConditionType.UP_TO_DATE] = up_to_date(rollout, progress)
    if not workspace.deleting:
        reported = {
            **findings,
            **expires_soon(workspace, facts, now),
            **readiness_progress(findings),
        }
    if is_suspended(findings):
        del reported[ConditionType.READY]  # it is as asked: decision 23
    namespace = facts.observed.namespace
    backup = workspace.status.backup
    if facts.restore is not None:
        backup = next_record(
            workspace,
            facts.observed,
            facts.backup_destination,
            now,
            has_snapshots=facts.has_snapshots,
        )
        last = backed_up(workspace, backup, facts.observed, facts.backup_problem, now)
        is_wanted = workspace.spec.restore is not None
        restored = restores.restored(facts.restore, is_wanted=is_wanted)
        reported |= {ConditionType.BACKED_UP: last} if last else {}
        reported |= {ConditionType.RESTORED: restored} if restored else {}
    return WorkspaceStatus(
        observed_generation=workspace.generation,
        phase=_phase(workspace, findings),
        chat_started=_has_chat_started(workspace, findings),
        is_created=findings[ConditionType.PROVISIONED].status is ConditionStatus.TRUE,
        url=None if facts.rejection else facts.url or None,
        expires_at=workspace.expires_at,
        namespace=namespace_record(namespace) if namespace and not facts.rejection else None,
        images=_last_working(workspace, facts, findings, now),
        rollout=rollout,
        conditions=tuple(
            _dated(workspace, kind, reported[kind], now)
            for kind in ConditionType
            if kind in reported
        ),
        backup=backup,
        restore=facts.restore.record if facts.restore else workspace.status.restore,
        models_ready=format_progress(facts.models),
        models=tuple(model_entry(model) for model in facts.models),
        patterns=tuple(pattern_entry(pattern) for pattern in facts.patterns),
        models_refreshed=facts.refreshed,
        tools_revision=facts.tools.revision,
        activity=activity_record(workspace, facts.activity, now),
        rewrites=rewrite_entries(facts),
        resources=resource_entries(facts),
    )


def with_progress(
    workspace: Workspace, models: tuple[ModelStatus, ...], patterns: tuple[PatternStatus, ...]
) -> WorkspaceStatus | None:
    """Return the present status with the progress of downloads; None where more has changed."""
    present = workspace.status.condition(ConditionType.MODELS_READY)
    if workspace.deleting or present is None:
        return None
    finding = models_finding(models, patterns)
    now = (finding.status, finding.reason, workspace.generation)
    if (present.status, present.reason, present.observed_generation) != now:
        return None
    message = finding.message[:_MESSAGE_LENGTH]
    return workspace.status.model_copy(
        update={
            "models_ready": format_progress(models),
            "models": tuple(map(model_entry, models)),
            "patterns": tuple(map(pattern_entry, patterns)),
            "conditions": tuple(
                condition.model_copy(update={"message": message})
                if (condition.reason, condition.message) == (present.reason, present.message)
                else condition
                for condition in workspace.status.conditions
            ),
        }
    )


def with_sync_problem(workspace: Workspace, problem: Problem, now: datetime) -> WorkspaceStatus:
    """The present status, with nothing changed but why the operator can't keep the workspace."""
    finding = Finding(ConditionStatus.FALSE, problem.reason, problem.message)
    synced = _dated(workspace, ConditionType.SYNCED, finding, now)
    others = [
        condition
        for condition in workspace.status.conditions
        if condition.type is not ConditionType.SYNCED
    ]
    conditions = sorted((*others, synced), key=lambda condition: _ORDER[condition.type])
    return workspace.status.model_copy(update={"conditions": tuple(conditions)})


def _last_working(
    workspace: Workspace,
    facts: StatusInputs,
    findings: dict[ConditionType, Finding],
    now: datetime,
) -> ImagesRecord | None:
    images = running_images(facts.observed)
    if images and workloads_work(facts, findings, now):
        return ImagesRecord(ollama=images[0], open_webui=images[1])
    return workspace.status.images


def _has_chat_started(workspace: Workspace, findings: dict[ConditionType, Finding]) -> bool:
    """Whether the chat alone was ever available: it may have data of people since."""
    status, is_available = workspace.status, findings[ConditionType.OPENWEBUI_AVAILABLE].status
    return status.chat_started or bool(status.images) or is_available is ConditionStatus.TRUE


def _phase(workspace: Workspace, findings: dict[ConditionType, Finding]) -> Phase:
    if workspace.deleting:
        return Phase.TERMINATING
    if is_suspended(findings):
        return Phase.SUSPENDED
    if findings[ConditionType.READY].status is ConditionStatus.TRUE:
        return Phase.READY
    if any(finding.problem for finding in findings.values()):
        return Phase.DEGRADED
    if all(findings[kind].status is ConditionStatus.TRUE for kind in _RUNNING):
        return Phase.PULLING_MODELS
    return Phase.PROVISIONING


def _dated(workspace: Workspace, kind: ConditionType, finding: Finding, now: datetime) -> Condition:
    """The time moves only when the status does."""
    before = workspace.status.condition(kind)
    unmoved = before is not None and before.status is finding.status
    return Condition(
        type=kind,
        status=finding.status,
        reason=finding.reason,
        message=finding.message[:_MESSAGE_LENGTH],
        last_transition_time=before.last_transition_time if before and unmoved else now,
        observed_generation=workspace.generation,
    )
