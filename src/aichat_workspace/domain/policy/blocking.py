"""Which kinds a problem blocks; all others are still reconciled.

A problem blocks only the kinds whose content depends on it. Services never do, and service accounts
and network policies only on settings of the platform.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from aichat_workspace.domain.kubernetes.kinds import (
    JOB_KINDS,
    ROUTE_KINDS,
    TENANT_KINDS,
    WORKLOAD_KINDS,
)
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.platform_settings import format_problem
from aichat_workspace.domain.v1alpha1.workspace import Workspace

_POD_KINDS: Final = WORKLOAD_KINDS | JOB_KINDS
_SIZED: Final = WORKLOAD_KINDS | {"ResourceQuota", "LimitRange", "PersistentVolumeClaim"}
# Pods name Secrets by their content: they would wait for one that is not written.
_SECRETS: Final = _POD_KINDS | {"Secret"}
_WITH_SECRETS: Final = ROUTE_KINDS | _SECRETS
_WITH_HOST: Final = ROUTE_KINDS | {"Deployment"}
_ALL: Final = frozenset(kind.kind for kind in TENANT_KINDS)
_NEVER_BLOCKED: Final = frozenset({"NetworkPolicy", "ServiceAccount", "Service"})
_BLOCKED_KINDS: Final = {
    Reason.CEILING_EXCEEDED: _SIZED,
    Reason.QUOTA_TOO_SMALL: _SIZED,
    Reason.HOST_NOT_ALLOWED: _WITH_HOST,
    Reason.HOST_TAKEN: _WITH_HOST,
    Reason.REGISTRY_NOT_ALLOWED: frozenset({"Deployment"}),
    Reason.SCHEDULING_NOT_ALLOWED: WORKLOAD_KINDS,
    Reason.GPU_NOT_ALLOWED: WORKLOAD_KINDS | {"ResourceQuota"},
    Reason.STORAGE_CLASS_NOT_ALLOWED: frozenset({"PersistentVolumeClaim"}),
    Reason.INGRESS_CLASS_NOT_ALLOWED: ROUTE_KINDS,
    Reason.ISSUER_NOT_ALLOWED: _WITH_HOST | {"ResourceQuota"},
    Reason.SIGN_IN_INCOMPLETE: _SECRETS,
    Reason.SIGN_IN_NOT_ALLOWED: _SECRETS,
    Reason.CLIENT_SECRET_NOT_FOUND: _SECRETS,
    Reason.SIZE_CLASS_NOT_FOUND: _SIZED,
    Reason.SIZE_CLASS_NOT_ALLOWED: _SIZED,
    Reason.SECRET_NOT_FOUND: _WITH_SECRETS,
    Reason.SECRET_INCOMPLETE: _WITH_SECRETS,
    Reason.SECRET_NOT_USABLE: _WITH_SECRETS,
    Reason.SECRET_TAKEN: _SECRETS,
    Reason.CREDENTIALS_INCOMPLETE: _SECRETS,
    Reason.PULL_SECRET_NOT_FOUND: _SECRETS | {"ServiceAccount"},
    Reason.AUTHORITIES_NOT_FOUND: _SECRETS,
    Reason.SPEC_NOT_UNDERSTOOD: _ALL - _NEVER_BLOCKED,
    Reason.SETTINGS_NOT_UNDERSTOOD: frozenset(),  # see kinds_of_settings
}
_KINDS_OF_SETTINGS: Final[Mapping[str, frozenset[str]]] = {
    "images": frozenset(),  # present images are kept
    "upgrades": frozenset(),
    "deletion": frozenset(),  # namespaces are retained
    "ollama": _SIZED,
    "openWebUI": _SIZED,
    "ceiling": _SIZED,
    "sizeClasses": _SIZED,
    "storageClassName": frozenset({"PersistentVolumeClaim"}),
    "network": _POD_KINDS | {"NetworkPolicy"},
    "proxy": _POD_KINDS | {"NetworkPolicy"},
    "trustedAuthorities": _SECRETS,
    "imagePullSecretNames": _SECRETS | {"ServiceAccount"},
    "signIn": _SECRETS | {"NetworkPolicy"},
    "pods": _POD_KINDS | {"ResourceQuota"},
    "backup": JOB_KINDS | {"ResourceQuota"},
    "namespaceMetadata": frozenset(),  # what is there is kept
    "allowed": WORKLOAD_KINDS | ROUTE_KINDS | {"ResourceQuota", "PersistentVolumeClaim"},
}
_SETTINGS_OF_REASONS: Final = {
    Reason.CEILING_EXCEEDED: frozenset({"ceiling", "ollama", "openWebUI", "pods", "sizeClasses"}),
    Reason.QUOTA_TOO_SMALL: frozenset({"ollama", "openWebUI", "pods", "sizeClasses"}),
    Reason.HOST_NOT_ALLOWED: frozenset({"ingress"}),
    Reason.HOST_TAKEN: frozenset({"ingress"}),
    Reason.REGISTRY_NOT_ALLOWED: frozenset({"models", "sizeClasses"}),
    Reason.SIZE_CLASS_NOT_FOUND: frozenset({"sizeClasses"}),
    Reason.SIZE_CLASS_NOT_ALLOWED: frozenset({"sizeClasses"}),
    Reason.SCHEDULING_NOT_ALLOWED: frozenset({"allowed"}),
    Reason.GPU_NOT_ALLOWED: frozenset({"allowed"}),
    Reason.STORAGE_CLASS_NOT_ALLOWED: frozenset({"allowed", "storageClassName"}),
    Reason.INGRESS_CLASS_NOT_ALLOWED: frozenset({"allowed", "ingress"}),
    Reason.ISSUER_NOT_ALLOWED: frozenset({"allowed", "ingress"}),
    Reason.BACKUP_DESTINATION_NOT_FOUND: frozenset({"backup"}),
    Reason.BACKUP_DESTINATION_NOT_ALLOWED: frozenset({"backup"}),
    Reason.BACKUP_SECRET_NOT_FOUND: frozenset({"backup"}),
    Reason.BACKUP_SNAPSHOTS_UNSUPPORTED: frozenset({"backup", "storageClassName"}),
    Reason.SIGN_IN_INCOMPLETE: frozenset({"signIn"}),
    Reason.SIGN_IN_NOT_ALLOWED: frozenset({"allowed", "signIn"}),
}
_BLOCKS_HOST: Final = frozenset({Reason.HOST_NOT_ALLOWED, Reason.HOST_TAKEN})
_BLOCKS_MODELS: Final = frozenset(
    {
        Reason.REGISTRY_NOT_ALLOWED,
        Reason.SIZE_CLASS_NOT_FOUND,
        Reason.SIZE_CLASS_NOT_ALLOWED,
        Reason.SPEC_NOT_UNDERSTOOD,
        Reason.SETTINGS_NOT_UNDERSTOOD,
    }
)


def spec_problem(workspace: Workspace) -> Problem:
    return Problem(
        Reason.SPEC_NOT_UNDERSTOOD,
        f"the operator does not understand spec.{'; spec.'.join(workspace.not_understood)}; "
        "correct it, or bring the operator and its CRDs to the same version",
    )


def settings_problem(unknown: Mapping[str, str]) -> Problem:
    return Problem(
        Reason.SETTINGS_NOT_UNDERSTOOD,
        f"{format_problem(unknown.values())}; what depends on it is left as it is until the "
        "platform team corrects it, or brings the operator and its CRDs to the same version",
    )


def kinds_of_settings(names: Iterable[str]) -> frozenset[str]:
    """Return the kinds whose content depends on these top-level settings of the platform."""
    return frozenset().union(*(_KINDS_OF_SETTINGS.get(name, _ALL) for name in names))


def is_certain(problem: Problem, unknown: Collection[str]) -> bool:
    """Whether the problem was found without the defaults of unknown settings."""
    return _SETTINGS_OF_REASONS.get(problem.reason, frozenset()).isdisjoint(unknown)


def blocked_kinds(problems: Iterable[Problem]) -> frozenset[str]:
    """Return the kinds that are neither written nor deleted while these problems last."""
    return frozenset().union(*(_BLOCKED_KINDS[problem.reason] for problem in problems))


def blocks_host(problems: Iterable[Problem]) -> bool:
    """Whether the workspace may not be served at the host that it asks for."""
    return any(problem.reason in _BLOCKS_HOST for problem in problems)


def blocks_models(problems: Iterable[Problem]) -> bool:
    """Whether the desired models are unknown, so that none may be downloaded or removed."""
    return any(problem.reason in _BLOCKS_MODELS for problem in problems)
