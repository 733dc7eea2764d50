"""Which kinds a problem blocks; all others are still reconciled.

A problem blocks only the kinds whose content depends on it. Service accounts and services never
do, and network policies only on settings of the platform.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from aichat_workspace.domain.kubernetes.kinds import ROUTE_KINDS, TENANT_KINDS, WORKLOAD_KINDS
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.v1alpha1.platform_settings import format_problem
from aichat_workspace.domain.v1alpha1.workspace import Workspace

_SIZED: Final = WORKLOAD_KINDS | {"ResourceQuota", "LimitRange", "PersistentVolumeClaim"}
_WITH_SECRETS: Final = ROUTE_KINDS | {"Secret", "Deployment"}
_WITH_HOST: Final = ROUTE_KINDS | {"Deployment"}
_ALL: Final = frozenset(kind.kind for kind in TENANT_KINDS)
_NEVER_BLOCKED: Final = frozenset({"NetworkPolicy", "ServiceAccount", "Service"})
_BLOCKED_KINDS: Final = {
    "CeilingExceeded": _SIZED,
    "QuotaTooSmall": _SIZED,
    "HostNotAllowed": _WITH_HOST,
    "HostTaken": _WITH_HOST,
    "RegistryNotAllowed": frozenset({"Deployment"}),
    "SchedulingNotAllowed": WORKLOAD_KINDS,
    "GpuNotAllowed": WORKLOAD_KINDS | {"ResourceQuota"},
    "StorageClassNotAllowed": frozenset({"PersistentVolumeClaim"}),
    "IngressClassNotAllowed": ROUTE_KINDS,
    "IssuerNotAllowed": _WITH_HOST | {"ResourceQuota"},
    "SecretNotFound": _WITH_SECRETS,
    "SecretIncomplete": _WITH_SECRETS,
    "SecretNotUsable": _WITH_SECRETS,
    "SecretTaken": frozenset({"Secret", "Deployment"}),
    "CredentialsIncomplete": frozenset({"Secret", "Deployment"}),
    "SpecNotUnderstood": _ALL - _NEVER_BLOCKED,
    "SettingsNotUnderstood": frozenset(),  # see kinds_of_settings
}
_KINDS_OF_SETTINGS: Final[Mapping[str, frozenset[str]]] = {
    "images": frozenset(),  # present images are kept
    "upgrades": frozenset(),
    "deletion": frozenset(),  # namespaces are retained
    "ollama": _SIZED,
    "openWebUI": _SIZED,
    "ceiling": _SIZED,
    "storageClassName": frozenset({"PersistentVolumeClaim"}),
    "network": frozenset({"NetworkPolicy"}),
    "allowed": WORKLOAD_KINDS | ROUTE_KINDS | {"ResourceQuota", "PersistentVolumeClaim"},
}
_SETTINGS_OF_REASONS: Final = {
    "CeilingExceeded": frozenset({"ceiling", "ollama", "openWebUI"}),
    "QuotaTooSmall": frozenset({"ollama", "openWebUI"}),
    "HostNotAllowed": frozenset({"ingress"}),
    "HostTaken": frozenset({"ingress"}),
    "RegistryNotAllowed": frozenset({"models"}),
    "SchedulingNotAllowed": frozenset({"allowed"}),
    "GpuNotAllowed": frozenset({"allowed"}),
    "StorageClassNotAllowed": frozenset({"allowed", "storageClassName"}),
    "IngressClassNotAllowed": frozenset({"allowed", "ingress"}),
    "IssuerNotAllowed": frozenset({"allowed", "ingress"}),
}
_BLOCKS_HOST: Final = frozenset({"HostNotAllowed", "HostTaken"})
_BLOCKS_MODELS: Final = frozenset(
    {"RegistryNotAllowed", "SpecNotUnderstood", "SettingsNotUnderstood"}
)


def spec_problem(workspace: Workspace) -> Problem:
    return Problem(
        "SpecNotUnderstood",
        f"the operator does not understand spec.{'; spec.'.join(workspace.not_understood)}; "
        "correct it, or bring the operator and its CRDs to the same version",
    )


def settings_problem(unknown: Mapping[str, str]) -> Problem:
    return Problem(
        "SettingsNotUnderstood",
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
