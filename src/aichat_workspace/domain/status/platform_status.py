"""What the platform's status says, from what is known of it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.network_settings import IssuerKind
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.platform_status import (
    PlatformCondition,
    PlatformConditionType,
    PlatformStatus,
    WorkspaceCounts,
)
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionStatus, ConditionType, Phase
from aichat_workspace.foundation.metadata import annotations

_DEFAULT_STORAGE_CLASS: Final = kinds.DEFAULT_CLASS_ANNOTATIONS[kinds.STORAGE_CLASS]


class Standing(StrEnum):
    """How a workspace stands to the platform's settings; each has one."""

    FOLLOWING = "following"
    WAITING = "waiting"
    FAILING = "failing"


class Enforcement(StrEnum):
    """Whether the cluster holds network policies, as far as the operator could try it."""

    UNCHECKED = "unchecked"
    """There was nothing to try."""
    ENFORCED = "enforced"
    NOT_ENFORCED = "not enforced"


@dataclass(frozen=True, slots=True)
class PlatformInputs:
    """What is known of the platform."""

    generation: int
    settings: PlatformSpec
    """Those in force."""
    refusal: str = ""
    """What of the present ones is not in force, and what to do; empty where all is."""
    storage_classes: tuple[Manifest, ...] = ()
    ingress_classes: tuple[Manifest, ...] = ()
    gateways: tuple[Manifest, ...] = ()
    issuers: tuple[Manifest, ...] = ()
    """cert-manager's ClusterIssuers."""
    missing: tuple[Problem, ...] = ()
    """What the settings name in the system namespace, and that is not there."""
    namespaces: frozenset[str] = frozenset()
    """Those of `admitted_namespaces` that are there, but for workspaces' own."""
    enforcement: Enforcement | None = None
    """None before this operator's first result: another may have led before, and its stays."""
    counts: WorkspaceCounts = field(default_factory=WorkspaceCounts)


def admitted_namespaces(settings: PlatformSpec) -> tuple[str, ...]:
    """Return the namespaces whose pods the network policies let in to chats, each once."""
    ingress = settings.ingress
    gateway = (ingress.gateway.namespace,) if ingress.gateway else ()
    return tuple(dict.fromkeys((*ingress.controller_namespaces, *gateway)))


def other_namespaces(namespaces: Iterable[Manifest]) -> frozenset[str]:
    """Return the names of those that are no workspace's: no ingress controller is in a tenant."""
    return frozenset(
        namespace["metadata"]["name"]
        for namespace in namespaces
        if names.OWNER_UID_ANNOTATION not in annotations(namespace)
    )


def standing(workspace: Mapping[str, Any]) -> Standing | None:
    """Return how a workspace, as the API server has it, stands; None for one that is deleted."""
    if "deletionTimestamp" in workspace["metadata"]:
        return None
    status = workspace.get("status") or {}
    if status.get("phase") == Phase.DEGRADED:
        return Standing.FAILING
    conditions = {c["type"]: c["status"] for c in status.get("conditions", ())}
    is_current = conditions.get(ConditionType.UP_TO_DATE) == ConditionStatus.TRUE
    is_settled = status.get("phase") in (Phase.READY, Phase.SUSPENDED)
    return Standing.FOLLOWING if is_current and is_settled else Standing.WAITING


def false_conditions(platform: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the conditions that the AIChatPlatform, as the API server has it, says False of."""
    status = (platform or {}).get("status") or {}
    return frozenset(
        condition["type"]
        for condition in status.get("conditions", ())
        if condition["status"] == ConditionStatus.FALSE
    )


def compute_platform_status(
    current: PlatformStatus, inputs: PlatformInputs, now: datetime
) -> PlatformStatus:
    """Return the status to report. Equal to the current one when nothing has moved."""
    before = {condition.type: condition for condition in current.conditions}
    findings = {
        PlatformConditionType.ACCEPTED: _accepted(inputs),
        PlatformConditionType.REFERENCES_RESOLVED: _references_resolved(inputs),
        PlatformConditionType.PEOPLE_ADMITTED: _people_admitted(inputs),
        PlatformConditionType.NETWORK_POLICIES_ENFORCED: _enforcement(
            inputs.enforcement, before.get(PlatformConditionType.NETWORK_POLICIES_ENFORCED)
        ),
    }
    return PlatformStatus(
        observed_generation=inputs.generation,
        workspaces=inputs.counts,
        conditions=tuple(
            PlatformCondition(
                type=kind,
                status=finding.status,
                reason=finding.reason,
                message=finding.message[:2048],
                last_transition_time=_moved_at(before.get(kind), finding, now),
                observed_generation=inputs.generation,
            )
            for kind, finding in findings.items()
        ),
    )


@dataclass(frozen=True, slots=True)
class _Finding:
    """A condition before it is dated."""

    status: ConditionStatus
    reason: str
    message: str


_ENFORCEMENT: Final = {
    Enforcement.ENFORCED: _Finding(
        ConditionStatus.TRUE,
        Reason.NETWORK_POLICIES_ENFORCED,
        "the operator can't reach the API's port, which the network policies deny it",
    ),
    Enforcement.NOT_ENFORCED: _Finding(
        ConditionStatus.FALSE,
        Reason.NETWORK_POLICIES_NOT_ENFORCED,
        "the operator reaches the API's port, which the network policies deny it, so teams are not "
        "isolated on the network either; install a network plugin that enforces them",
    ),
    Enforcement.UNCHECKED: _Finding(
        ConditionStatus.UNKNOWN,
        Reason.NETWORK_POLICIES_UNCHECKED,
        "the operator tries the API's port, which its network policies deny it, and there are no "
        "such policies or no pod of the API is ready",
    ),
}


def _enforcement(result: Enforcement | None, before: PlatformCondition | None) -> _Finding:
    if result is None and before is not None:
        return _Finding(before.status, before.reason, before.message)
    return _ENFORCEMENT[result or Enforcement.UNCHECKED]


def _people_admitted(inputs: PlatformInputs) -> _Finding:
    """Whether the network policies let anybody come in to chats. Which pods there are is not
    known, only which namespaces."""
    ingress = inputs.settings.ingress
    listed = admitted_namespaces(inputs.settings)
    present = [name for name in listed if name in inputs.namespaces]
    if ingress.any_source or ingress.source_ranges or present:
        ways = (
            "everybody" if ingress.any_source else "",
            f"the pods of {', '.join(present)}" if present else "",
            ", ".join(ingress.source_ranges),
        )
        message = f"the network policies let in {' and '.join(filter(None, ways))}"
        return _Finding(ConditionStatus.TRUE, Reason.PEOPLE_ADMITTED, message)
    return _Finding(
        ConditionStatus.FALSE,
        Reason.NOBODY_ADMITTED,
        f"none of the namespaces {', '.join(listed)} is there, so the network policies let nobody "
        "in; name the ingress controller's in spec.ingress.controllerNamespaces, or its addresses "
        "in spec.ingress.sourceRanges",
    )


def _accepted(inputs: PlatformInputs) -> _Finding:
    if inputs.refusal:
        return _Finding(ConditionStatus.FALSE, Reason.SETTINGS_NOT_UNDERSTOOD, inputs.refusal)
    return _Finding(ConditionStatus.TRUE, Reason.ACCEPTED, "the settings are in force")


def _references_resolved(inputs: PlatformInputs) -> _Finding:
    problem = next(_unresolved(inputs), None)
    if problem is not None:
        return _Finding(ConditionStatus.FALSE, problem.reason, problem.message)
    message = "everything that the settings name is there"
    return _Finding(ConditionStatus.TRUE, Reason.REFERENCES_RESOLVED, message)


def _unresolved(inputs: PlatformInputs) -> Iterator[Problem]:
    """Yield a problem for each thing that the settings name, or leave to a default, and that is not
    there. An Issuer is in each workspace's own namespace, and not looked for."""
    yield from inputs.missing
    name = inputs.settings.storage_class_name
    storage_classes = {manifest["metadata"]["name"] for manifest in inputs.storage_classes}
    if name and name not in storage_classes:
        yield Problem(
            Reason.STORAGE_CLASS_NOT_FOUND,
            f"spec.storageClassName is {name!r}, and the cluster has "
            f"{', '.join(sorted(storage_classes)) or 'no StorageClass'}; name one of these, or "
            "create it",
        )
    elif name is None and not any(map(_is_default, inputs.storage_classes)):
        yield Problem(
            Reason.STORAGE_CLASS_NOT_FOUND,
            "spec.storageClassName is left out, and the cluster has no default StorageClass; name "
            "one, or mark one as the default",
        )
    yield from _unresolved_ways_in(inputs)


def _unresolved_ways_in(inputs: PlatformInputs) -> Iterator[Problem]:
    settings = inputs.settings.ingress
    ingress_classes = {manifest["metadata"]["name"] for manifest in inputs.ingress_classes}
    gateways = {_full_name(manifest) for manifest in inputs.gateways}
    if settings.gateway:
        name = f"{settings.gateway.namespace}/{settings.gateway.name}"
        if name not in gateways:
            yield Problem(
                Reason.GATEWAY_NOT_FOUND,
                f"spec.ingress.gateway is {name}, and there is no such Gateway; create it, or "
                "correct its name and namespace",
            )
    elif settings.class_name and settings.class_name not in ingress_classes:
        yield Problem(
            Reason.INGRESS_CLASS_NOT_FOUND,
            f"spec.ingress.className is {settings.class_name!r}, and the cluster has "
            f"{', '.join(sorted(ingress_classes)) or 'no IngressClass'}; name one of these, or "
            "install the controller",
        )
    issuers = {manifest["metadata"]["name"] for manifest in inputs.issuers}
    issuer = settings.issuer
    if issuer and issuer.kind is IssuerKind.CLUSTER_ISSUER and issuer.name not in issuers:
        yield Problem(
            Reason.ISSUER_NOT_FOUND,
            f"spec.ingress.issuer is {issuer.name!r}, and there is no such ClusterIssuer; create "
            "it, or correct the name",
        )


def _is_default(storage_class: Manifest) -> bool:
    return annotations(storage_class).get(_DEFAULT_STORAGE_CLASS) == "true"


def _full_name(manifest: Manifest) -> str:
    return f"{manifest['metadata']['namespace']}/{manifest['metadata']['name']}"


def _moved_at(before: PlatformCondition | None, finding: _Finding, now: datetime) -> datetime:
    """The time moves only when the status does."""
    unmoved = before is not None and before.status is finding.status
    return before.last_transition_time if before and unmoved else now
