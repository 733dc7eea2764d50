"""What a workspace's status says, from what is known of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref
from aichat_workspace.domain.kubernetes.pods import belongs, containers, keeps_stopping
from aichat_workspace.domain.kubernetes.rewrites import Rewrite
from aichat_workspace.domain.models.status import (
    ModelState,
    ModelStatus,
    PatternStatus,
    format_progress,
    models_ready,
    summary,
)
from aichat_workspace.domain.models.tools import NOT_OFFERED_YET, ToolStatus
from aichat_workspace.domain.planning.plan import NOTHING, Observed
from aichat_workspace.domain.planning.pod_change import (
    CONTAINERS,
    NO_CHANGE,
    PodChange,
    running_images,
)
from aichat_workspace.domain.planning.restore import RestorePlan
from aichat_workspace.domain.planning.volume_claims import CLAIM, unmet
from aichat_workspace.domain.policy.ownership import Rejection
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.status import restores, turns
from aichat_workspace.domain.status.activity import activity_record
from aichat_workspace.domain.status.backups import backed_up, next_record
from aichat_workspace.domain.status.finding import Finding
from aichat_workspace.domain.status.turns import Progress, why_outdated
from aichat_workspace.domain.status.workload_health import (
    diagnose,
    ingress_problem,
    namespace_deletion_problem,
    route_problem,
)
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_spec import Expiry
from aichat_workspace.domain.v1alpha1.workspace_status import (
    ABNORMAL_CONDITIONS,
    MAX_REWRITTEN_FIELDS,
    OPTIONAL_CONDITIONS,
    WORKLOAD_CONDITIONS,
    ActivityRecord,
    Condition,
    ConditionStatus,
    ConditionType,
    ImagesRecord,
    ModelEntry,
    NamespaceRecord,
    PatternEntry,
    Phase,
    ResourceEntry,
    RewriteEntry,
    RolloutRecord,
    WorkspaceStatus,
)

_SUSPENDED: Final = Reason.SUSPENDED
_MESSAGE_LENGTH: Final = 2048
_WORKLOADS: Final = dict(zip(WORKLOAD_CONDITIONS, CONTAINERS, strict=True))
_ORDER: Final = {kind: place for place, kind in enumerate(ConditionType)}
_NORMAL: Final = tuple(
    kind for kind in ConditionType if kind not in ABNORMAL_CONDITIONS | OPTIONAL_CONDITIONS
)
ANNOUNCED_BEFORE: Final = timedelta(days=1)
"""How long before its end a workspace says that it expires soon."""
_RUNNING: Final = (ConditionType.PROVISIONED, *_WORKLOADS)


@dataclass(frozen=True, slots=True)
class StatusInputs:
    """What is known of one workspace."""

    url: str
    """Where it is served; empty for nowhere."""
    desired: Sequence[Ref] = ()
    observed: Observed = NOTHING
    rejection: Rejection | None = None
    """Why nothing is created for it."""
    failure: Problem | None = None
    """The most important problem, or the first write that the API server refused."""
    models: tuple[ModelStatus, ...] = ()
    """As the model server was last seen."""
    patterns: tuple[PatternStatus, ...] = ()
    """As the model server was last seen."""
    refreshed: str = ""
    """The request for a refresh of the models that was last met."""
    tools: ToolStatus = NOT_OFFERED_YET
    """The tools that the chat offers."""
    activity: ActivityRecord | None = None
    """What the chat says of its use; None where it was not asked."""
    pods: PodChange = NO_CHANGE
    turn_deadline: timedelta = timedelta(minutes=15)
    """How long a turn may last that begins now."""
    is_written: bool = True
    """The writes were tried."""
    rewrites: tuple[Rewrite, ...] = ()
    """Objects that came back different when they were written."""
    ingress_classes: tuple[Manifest, ...] = ()
    sizes: Mapping[Ref, str] = field(default_factory=dict)
    """The desired sizes of its claims."""
    sync_problem: Problem | None = None
    """Why the operator can't keep it as desired, although nothing is wrong with it."""
    is_expired: bool = False
    """It is stopped because its time is over."""
    restore: RestorePlan | None = None
    """None where nothing is decided about its data: what is recorded stays."""
    backup_destination: str = ""
    """Where its backups go; empty while that is not known."""
    has_snapshots: bool = False
    """Whether its backups are snapshots of the chat's volume, as they are observed."""
    backup_problem: Problem | None = None
    """Why no backup can be made."""


def compute_status(workspace: Workspace, facts: StatusInputs, now: datetime) -> WorkspaceStatus:
    """The status to report. Equal to the workspace's present one when nothing has moved."""
    if workspace.deleting:
        findings = reported = _terminating(facts, now)
    else:
        findings = _findings(workspace, facts, now)
    rollout = workspace.status.rollout
    if not (workspace.deleting or facts.rejection):
        progress = _rollout_progress(workspace, facts, findings, now)
        rollout = turns.next_record(workspace, progress, facts.turn_deadline, now)
        findings[ConditionType.UP_TO_DATE] = _up_to_date(rollout, progress)
    if not workspace.deleting:
        reported = {**findings, **_expires_soon(workspace, facts, now), **_progress(findings)}
    if _is_suspended(findings):
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
        namespace=_record(namespace) if namespace and not facts.rejection else None,
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
        models=tuple(_model(model) for model in facts.models),
        patterns=tuple(_pattern(pattern) for pattern in facts.patterns),
        models_refreshed=facts.refreshed,
        tools_revision=facts.tools.revision,
        activity=activity_record(workspace, facts.activity, now),
        rewrites=_rewrites(facts),
        resources=_resources(facts),
    )


def with_progress(
    workspace: Workspace, models: tuple[ModelStatus, ...], patterns: tuple[PatternStatus, ...]
) -> WorkspaceStatus | None:
    """Return the present status with the progress of downloads; None where more has changed."""
    present = workspace.status.condition(ConditionType.MODELS_READY)
    if workspace.deleting or present is None:
        return None
    finding = _models(models, patterns)
    now = (finding.status, finding.reason, workspace.generation)
    if (present.status, present.reason, present.observed_generation) != now:
        return None
    message = finding.message[:_MESSAGE_LENGTH]
    return workspace.status.model_copy(
        update={
            "models_ready": format_progress(models),
            "models": tuple(map(_model, models)),
            "patterns": tuple(map(_pattern, patterns)),
            "conditions": tuple(
                condition.model_copy(update={"message": message})
                if (condition.reason, condition.message) == (present.reason, present.message)
                else condition
                for condition in workspace.status.conditions
            ),
        }
    )


def _findings(
    workspace: Workspace, facts: StatusInputs, now: datetime
) -> dict[ConditionType, Finding]:
    if facts.rejection:
        refused = Finding(
            ConditionStatus.FALSE, facts.rejection.reason, facts.rejection.message, problem=True
        )
        return dict.fromkeys(_NORMAL, refused)
    parts = {
        ConditionType.PROVISIONED: _provisioned(facts),
        **{
            kind: _available(facts, workload, now, workspace.status.condition(kind))
            for kind, workload in _WORKLOADS.items()
        },
        ConditionType.MODELS_READY: _models(facts.models, facts.patterns),
    }
    known = {
        **parts,
        ConditionType.INGRESS_SERVED: _served(facts),
        ConditionType.UP_TO_DATE: Finding(ConditionStatus.UNKNOWN, Reason.UP_TO_DATE),
        ConditionType.STORAGE_AS_ASKED: _storage(workspace, facts),
        ConditionType.STORED_AS_APPLIED: _stored(facts),
        ConditionType.TOOLS_OFFERED: _tools(workspace, facts),
        ConditionType.SYNCED: _synced(facts),
    }
    if facts.restore is not None and facts.restore.stops_chat:
        known[ConditionType.OPENWEBUI_AVAILABLE] = restores.stopped(facts.restore)
    if workspace.spec.suspended and not facts.failure:
        message = "stopped; set spec.suspended to false to go on"
        if facts.is_expired:
            message = "stopped, for its time is over; raise or remove spec.expiresAfter to go on"
        stopped = Finding(ConditionStatus.FALSE, _SUSPENDED, message)
        return {ConditionType.READY: stopped, **known, **dict.fromkeys(_WORKLOADS, stopped)}
    if facts.restore is not None and facts.restore.stops_chat:
        # Whatever else needs time meanwhile, people see that it is restored.
        parts = {
            ConditionType.OPENWEBUI_AVAILABLE: known[ConditionType.OPENWEBUI_AVAILABLE],
            **parts,
        }
    return {ConditionType.READY: _ready({kind: known[kind] for kind in parts}), **known}


def _progress(findings: dict[ConditionType, Finding]) -> dict[ConditionType, Finding]:
    """Return what tells a workspace that time makes ready from one that somebody has to mend.

    Programs that wait (Helm, Flux, Argo CD) end the wait with an error when it has stalled.
    """
    ready = findings[ConditionType.READY]
    if ready.status is ConditionStatus.TRUE or _is_suspended(findings):
        return {}
    kind = ConditionType.STALLED if ready.problem else ConditionType.RECONCILING
    return {kind: Finding(ConditionStatus.TRUE, ready.reason, ready.message)}


def _is_suspended(findings: dict[ConditionType, Finding]) -> bool:
    return findings[ConditionType.READY].reason == _SUSPENDED


def _ready(parts: dict[ConditionType, Finding]) -> Finding:
    """Not ready for the first part that somebody must mend, else for the first that needs time."""
    missing = [finding for finding in parts.values() if finding.status is not ConditionStatus.TRUE]
    if not missing:
        return Finding(ConditionStatus.TRUE, Reason.READY, "open the URL and sign in")
    first = min(missing, key=lambda finding: not finding.problem)
    return Finding(ConditionStatus.FALSE, first.reason, first.message, first.problem)


def _served(facts: StatusInputs) -> Finding:
    """A port-forward works without it, so Ready does not depend on it."""
    by_kind = {ref.kind: manifest for ref, manifest in facts.observed.objects.items()}
    problem = ingress_problem(by_kind.get("Ingress"), facts.ingress_classes)
    problem = problem or route_problem(by_kind.get("HTTPRoute"))
    if problem:
        return Finding(ConditionStatus.FALSE, problem.reason, problem.message)
    routed = "HTTPRoute" in by_kind
    message = "a Gateway has accepted its route" if routed else "its IngressClass is there"
    return Finding(ConditionStatus.TRUE, Reason.SERVED, message)


def _terminating(facts: StatusInputs, now: datetime) -> dict[ConditionType, Finding]:
    namespace = facts.observed.namespace
    message = "waiting for the namespace to be gone" if namespace else "cleaning up"
    if namespace and (remaining := namespace_deletion_problem(namespace, now)):
        message += f", which something holds: {remaining}; remove what holds it"
    gone = Finding(ConditionStatus.FALSE, Reason.TERMINATING, message)
    if facts.failure:
        gone = Finding(ConditionStatus.FALSE, facts.failure.reason, facts.failure.message)
    return {**dict.fromkeys(_NORMAL, gone), ConditionType.SYNCED: _synced(facts)}


def _synced(facts: StatusInputs) -> Finding:
    """What passes, or is a fault of the operator, changes no phase."""
    if problem := facts.sync_problem:
        return Finding(ConditionStatus.FALSE, problem.reason, problem.message)
    return Finding(ConditionStatus.TRUE, Reason.SYNCED, "every object is kept as the spec says")


def _expires_soon(
    workspace: Workspace, facts: StatusInputs, now: datetime
) -> dict[ConditionType, Finding]:
    ends = workspace.expires_at
    if ends is None or facts.rejection or facts.is_expired or now < ends - ANNOUNCED_BEFORE:
        return {}
    is_deleted = workspace.spec.expiry is Expiry.DELETE
    what = "deleted" if is_deleted else "stopped, with all data kept,"
    message = (
        f"it is {what} at {ends:%Y-%m-%dT%H:%M:%SZ}, as spec.expiresAfter says; raise or remove "
        "that to keep it"
    )
    return {ConditionType.EXPIRES_SOON: Finding(ConditionStatus.TRUE, Reason.EXPIRES_SOON, message)}


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


def _provisioned(facts: StatusInputs) -> Finding:
    if facts.failure:
        return Finding(
            ConditionStatus.FALSE, facts.failure.reason, facts.failure.message, problem=True
        )
    if not facts.desired:
        return Finding(ConditionStatus.FALSE, Reason.CREATING, "the namespace is being made")
    missing = [entry for entry in _resources(facts) if entry.state != "Present"]
    if missing:
        listed = ", ".join(f"{entry.kind} {entry.name}" for entry in missing)
        return Finding(ConditionStatus.FALSE, Reason.CREATING, f"not there yet: {listed}")
    return Finding(ConditionStatus.TRUE, Reason.CREATED, "every object exists")


def _storage(workspace: Workspace, facts: StatusInputs) -> Finding:
    """A volume that can't be as asked still serves, so Ready does not depend on it."""
    storage, name = workspace.own_spec.storage, workspace.spec.workspace_name
    for workload, volume in (
        (names.ollama(name), storage.ollama),
        (names.openwebui(name), storage.open_webui),
    ):
        ref = Ref(CLAIM, name, workload)
        claim, size = facts.observed.objects.get(ref), facts.sizes.get(ref)
        if problem := unmet(claim, volume, size, facts.observed.expandable_classes):
            return Finding(ConditionStatus.FALSE, problem.reason, problem.message)
    return Finding(
        ConditionStatus.TRUE, Reason.STORAGE_AS_ASKED, "volumes are as spec.storage says"
    )


def _tools(workspace: Workspace, facts: StatusInputs) -> Finding:
    """A model answers without tools, too, so Ready does not depend on it."""
    if workspace.spec.suspended:
        return Finding(ConditionStatus.UNKNOWN, _SUSPENDED, "chats are stopped")
    if facts.restore is not None and facts.restore.stops_chat:
        return Finding(ConditionStatus.UNKNOWN, Reason.RESTORING, "the chat is stopped")
    if facts.tools.problem:
        return Finding(ConditionStatus.FALSE, Reason.TOOLS_NOT_OFFERED, facts.tools.problem)
    if facts.tools.is_current:
        message = "chats offer tools to the models that can call them"
        return Finding(ConditionStatus.TRUE, Reason.TOOLS_OFFERED, message)
    message = "chats do not follow yet what the present models can do"
    return Finding(ConditionStatus.UNKNOWN, Reason.TOOLS_WAITING, message)


def _rollout_progress(
    workspace: Workspace,
    facts: StatusInputs,
    findings: dict[ConditionType, Finding],
    now: datetime,
) -> Progress:
    is_outdated = facts.pods.is_outdated(facts.observed, workspace.status)
    problems = (finding for kind in _WORKLOADS if (finding := findings[kind]).problem)
    problem = next((Problem(finding.reason, finding.message) for finding in problems), None)
    return Progress(
        pods=facts.pods,
        is_outdated=is_outdated,
        works=_work(facts, findings, now),
        problem=facts.failure if is_outdated and facts.failure and facts.is_written else problem,
        is_written=facts.is_written and facts.failure is None,
        is_stopped=facts.restore is not None and facts.restore.stops_chat,
    )


def _up_to_date(rollout: RolloutRecord | None, progress: Progress) -> Finding:
    cause = why_outdated(rollout.turn if rollout else None, progress)
    if cause is None:
        return Finding(
            ConditionStatus.TRUE, Reason.UP_TO_DATE, "runs as the platform's settings are now"
        )
    return Finding(ConditionStatus.FALSE, cause.reason, cause.message)


def _work(facts: StatusInputs, findings: dict[ConditionType, Finding], now: datetime) -> bool:
    """Whether both workloads run. A container that keeps stopping proves nothing while it happens
    to be up."""
    up = all(findings[kind].status is ConditionStatus.TRUE for kind in _WORKLOADS)
    return up and not any(_flaps(pod, now) for pod in facts.observed.pods)


def _stored(facts: StatusInputs) -> Finding:
    """The cluster's own policies may want it so, and Ready does not depend on it."""
    if not facts.rewrites:
        return Finding(
            ConditionStatus.TRUE, Reason.STORED_AS_APPLIED, "every object is as it was applied"
        )
    objects = "; ".join(
        f"{rewrite.ref.kind} {rewrite.ref.name}: {', '.join(rewrite.fields)}"
        for rewrite in facts.rewrites
    )
    return Finding(
        ConditionStatus.FALSE,
        Reason.REWRITTEN_ON_WRITE,
        f"an admission webhook or policy changes what is applied, and it is left so: {objects}; "
        f"where that is not wanted, exempt objects with the label {names.MANAGED_SELECTOR}",
    )


def _rewrites(facts: StatusInputs) -> tuple[RewriteEntry, ...]:
    return tuple(
        RewriteEntry(
            kind=rewrite.ref.kind,
            name=rewrite.ref.name,
            fields=rewrite.fields[:MAX_REWRITTEN_FIELDS],
            revision=rewrite.revision,
        )
        for rewrite in facts.rewrites
    )


def _last_working(
    workspace: Workspace,
    facts: StatusInputs,
    findings: dict[ConditionType, Finding],
    now: datetime,
) -> ImagesRecord | None:
    images = running_images(facts.observed)
    if images and _work(facts, findings, now):
        return ImagesRecord(ollama=images[0], open_webui=images[1])
    return workspace.status.images


def _has_chat_started(workspace: Workspace, findings: dict[ConditionType, Finding]) -> bool:
    """Whether the chat alone was ever available: it may have data of people since."""
    status, is_available = workspace.status, findings[ConditionType.OPENWEBUI_AVAILABLE].status
    return status.chat_started or bool(status.images) or is_available is ConditionStatus.TRUE


def _flaps(pod: Manifest, now: datetime) -> bool:
    return any(keeps_stopping(container, now) for container in containers(pod))


def _available(facts: StatusInputs, kind: str, now: datetime, before: Condition | None) -> Finding:
    workload = next((ref for ref in facts.desired if ref.kind == kind), None)
    if workload is None:
        return Finding(ConditionStatus.FALSE, Reason.CREATING, f"{kind} is not there yet")
    manifest = facts.observed.objects.get(workload)
    if manifest is not None and _is_available(manifest):
        return Finding(
            ConditionStatus.TRUE, Reason.AVAILABLE, f"{kind} {workload.name} is available"
        )
    problem = diagnose(
        manifest,
        facts.observed.objects.get(replace(workload, kind=CLAIM)),
        [pod for pod in facts.observed.pods if belongs(pod, workload.name)],
        now,
        before.last_transition_time
        if before and before.status is ConditionStatus.FALSE and before.reason != _SUSPENDED
        else None,
    )
    if problem:
        return Finding(ConditionStatus.FALSE, problem.reason, problem.message, problem=True)
    return Finding(ConditionStatus.FALSE, Reason.STARTING, f"{kind} {workload.name} is starting")


def _is_available(workload: Manifest) -> bool:
    """Ready by the workload's own account, of the spec as it is now."""
    status = workload.get("status", {})
    replicas: int = workload["spec"].get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 0)
        and min(status.get("readyReplicas", 0), status.get("updatedReplicas", 0)) >= replicas
    )


def _models(models: Sequence[ModelStatus], patterns: Sequence[PatternStatus]) -> Finding:
    ready, total = models_ready(models)
    message = summary(models, patterns)
    reasons = [model.reason for model in models if model.state is ModelState.FAILED]
    if reasons or any(pattern.state is ModelState.FAILED for pattern in patterns):
        reason = next(filter(None, reasons), Reason.MODEL_FAILED)
        return Finding(ConditionStatus.FALSE, reason, message, problem=True)
    waiting = [pattern for pattern in patterns if pattern.state is not ModelState.READY]
    if ready < total or waiting:
        if any(model.state is ModelState.PULLING for model in models):
            return Finding(ConditionStatus.FALSE, Reason.PULLING, message)
        return Finding(ConditionStatus.FALSE, Reason.MODELS_WAITING, message)
    return Finding(ConditionStatus.TRUE, Reason.MODELS_READY, message)


def _phase(workspace: Workspace, findings: dict[ConditionType, Finding]) -> Phase:
    if workspace.deleting:
        return Phase.TERMINATING
    if _is_suspended(findings):
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


def _resources(facts: StatusInputs) -> tuple[ResourceEntry, ...]:
    """Every object but the Secret, which the operator may not read."""
    return tuple(
        ResourceEntry(
            kind=ref.kind,
            name=ref.name,
            state="Present" if ref in facts.observed.objects else "Missing",
        )
        for ref in facts.desired
        if ref.kind != "Secret"
    )


def _record(namespace: Manifest) -> NamespaceRecord:
    metadata = namespace["metadata"]
    return NamespaceRecord(name=metadata["name"], uid=metadata["uid"])


def _model(model: ModelStatus) -> ModelEntry:
    fields = {**asdict(model), "reason": model.reason or ""}
    return ModelEntry(**fields, percent=model.percent, eta_seconds=model.eta_seconds)


def _pattern(pattern: PatternStatus) -> PatternEntry:
    return PatternEntry(**asdict(pattern))
