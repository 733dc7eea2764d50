"""The conditions of a workspace: whether each holds, and the reason and message of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref
from aichat_workspace.domain.kubernetes.pods import belongs, containers, keeps_stopping
from aichat_workspace.domain.models.status import (
    ModelState,
    ModelStatus,
    PatternStatus,
    models_ready,
    summary,
)
from aichat_workspace.domain.planning.pod_change import (
    CONTAINERS,
)
from aichat_workspace.domain.planning.volume_claims import CLAIM, unmet
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.status import restores
from aichat_workspace.domain.status.finding import Finding
from aichat_workspace.domain.status.inputs import StatusInputs
from aichat_workspace.domain.status.records import resource_entries
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
    OPTIONAL_CONDITIONS,
    WORKLOAD_CONDITIONS,
    Condition,
    ConditionStatus,
    ConditionType,
    RolloutRecord,
)

SUSPENDED: Final = Reason.SUSPENDED
WORKLOADS: Final = dict(zip(WORKLOAD_CONDITIONS, CONTAINERS, strict=True))
_NORMAL: Final = tuple(
    kind for kind in ConditionType if kind not in ABNORMAL_CONDITIONS | OPTIONAL_CONDITIONS
)
ANNOUNCED_BEFORE: Final = timedelta(days=1)
"""How long before its end a workspace says that it expires soon."""


def findings_of(
    workspace: Workspace, facts: StatusInputs, now: datetime
) -> dict[ConditionType, Finding]:
    """Return what is found of a workspace that is not being deleted."""
    if facts.rejection:
        refused = Finding(
            ConditionStatus.FALSE, facts.rejection.reason, facts.rejection.message, problem=True
        )
        return dict.fromkeys(_NORMAL, refused)
    parts = {
        ConditionType.PROVISIONED: _provisioned(facts),
        **{
            kind: _available(facts, workload, now, workspace.status.condition(kind))
            for kind, workload in WORKLOADS.items()
        },
        ConditionType.MODELS_READY: models_finding(facts.models, facts.patterns),
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
        stopped = Finding(ConditionStatus.FALSE, SUSPENDED, message)
        return {ConditionType.READY: stopped, **known, **dict.fromkeys(WORKLOADS, stopped)}
    if facts.restore is not None and facts.restore.stops_chat:
        # Whatever else needs time meanwhile, people see that it is restored.
        parts = {
            ConditionType.OPENWEBUI_AVAILABLE: known[ConditionType.OPENWEBUI_AVAILABLE],
            **parts,
        }
    return {ConditionType.READY: _ready({kind: known[kind] for kind in parts}), **known}


def readiness_progress(findings: dict[ConditionType, Finding]) -> dict[ConditionType, Finding]:
    """Return what tells a workspace that time makes ready from one that somebody has to mend.

    Programs that wait (Helm, Flux, Argo CD) end the wait with an error when it has stalled.
    """
    ready = findings[ConditionType.READY]
    if ready.status is ConditionStatus.TRUE or is_suspended(findings):
        return {}
    kind = ConditionType.STALLED if ready.problem else ConditionType.RECONCILING
    return {kind: Finding(ConditionStatus.TRUE, ready.reason, ready.message)}


def is_suspended(findings: dict[ConditionType, Finding]) -> bool:
    """Whether the workspace is stopped, as it was asked to be."""
    return findings[ConditionType.READY].reason == SUSPENDED


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


def terminating(facts: StatusInputs, now: datetime) -> dict[ConditionType, Finding]:
    """Return what is found of a workspace that is being deleted."""
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


def expires_soon(
    workspace: Workspace, facts: StatusInputs, now: datetime
) -> dict[ConditionType, Finding]:
    """Return the announcement of the workspace's end; empty until the last day."""
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


def _provisioned(facts: StatusInputs) -> Finding:
    if facts.failure:
        return Finding(
            ConditionStatus.FALSE, facts.failure.reason, facts.failure.message, problem=True
        )
    if not facts.desired:
        return Finding(ConditionStatus.FALSE, Reason.CREATING, "the namespace is being made")
    missing = [entry for entry in resource_entries(facts) if entry.state != "Present"]
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
        return Finding(ConditionStatus.UNKNOWN, SUSPENDED, "chats are stopped")
    if facts.restore is not None and facts.restore.stops_chat:
        return Finding(ConditionStatus.UNKNOWN, Reason.RESTORING, "the chat is stopped")
    if facts.tools.problem:
        return Finding(ConditionStatus.FALSE, Reason.TOOLS_NOT_OFFERED, facts.tools.problem)
    if facts.tools.is_current:
        message = "chats offer tools to the models that can call them"
        return Finding(ConditionStatus.TRUE, Reason.TOOLS_OFFERED, message)
    message = "chats do not follow yet what the present models can do"
    return Finding(ConditionStatus.UNKNOWN, Reason.TOOLS_WAITING, message)


def rollout_progress(
    workspace: Workspace,
    facts: StatusInputs,
    findings: dict[ConditionType, Finding],
    now: datetime,
) -> Progress:
    """Return what is known of a change of pods, for the workspace's turn in an upgrade."""
    is_outdated = facts.pods.is_outdated(facts.observed, workspace.status)
    problems = (finding for kind in WORKLOADS if (finding := findings[kind]).problem)
    problem = next((Problem(finding.reason, finding.message) for finding in problems), None)
    return Progress(
        pods=facts.pods,
        is_outdated=is_outdated,
        works=workloads_work(facts, findings, now),
        problem=facts.failure if is_outdated and facts.failure and facts.is_written else problem,
        is_written=facts.is_written and facts.failure is None,
        is_stopped=facts.restore is not None and facts.restore.stops_chat,
    )


def up_to_date(rollout: RolloutRecord | None, progress: Progress) -> Finding:
    """Return whether the pods are as the platform's settings are now."""
    cause = why_outdated(rollout.turn if rollout else None, progress)
    if cause is None:
        return Finding(
            ConditionStatus.TRUE, Reason.UP_TO_DATE, "runs as the platform's settings are now"
        )
    return Finding(ConditionStatus.FALSE, cause.reason, cause.message)


def workloads_work(
    facts: StatusInputs, findings: dict[ConditionType, Finding], now: datetime
) -> bool:
    """Whether both workloads run. A container that keeps stopping proves nothing while it happens
    to be up."""
    up = all(findings[kind].status is ConditionStatus.TRUE for kind in WORKLOADS)
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
        if before and before.status is ConditionStatus.FALSE and before.reason != SUSPENDED
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


def models_finding(models: Sequence[ModelStatus], patterns: Sequence[PatternStatus]) -> Finding:
    """Return whether all models and patterns are ready."""
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
