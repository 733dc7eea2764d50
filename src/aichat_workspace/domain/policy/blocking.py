"""Which kinds a problem blocks; all others are still reconciled.

A problem blocks only the kinds whose content depends on it. Network policies, service accounts and
services never do.
"""

from collections.abc import Iterable
from typing import Final

from aichat_workspace.domain.kubernetes.kinds import ROUTE_KINDS, TENANT_KINDS, WORKLOAD_KINDS
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.v1alpha1.workspace import Workspace

_SIZED: Final = WORKLOAD_KINDS | {"ResourceQuota", "LimitRange", "PersistentVolumeClaim"}
_WITH_SECRETS: Final = ROUTE_KINDS | {"Secret", "Deployment"}
_WITH_HOST: Final = ROUTE_KINDS | {"Deployment"}
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
    "SecretTaken": frozenset({"Secret", "Deployment"}),
    "CredentialsIncomplete": frozenset({"Secret", "Deployment"}),
    "SpecNotUnderstood": frozenset(kind.kind for kind in TENANT_KINDS) - _NEVER_BLOCKED,
}
_BLOCKS_HOST: Final = frozenset({"HostNotAllowed", "HostTaken"})
_BLOCKS_MODELS: Final = frozenset({"RegistryNotAllowed", "SpecNotUnderstood"})


def spec_problem(workspace: Workspace) -> Problem:
    return Problem(
        "SpecNotUnderstood",
        f"the operator does not understand spec.{'; spec.'.join(workspace.not_understood)}; "
        "correct it, or bring the operator and its CRDs to the same version",
    )


def blocked_kinds(problems: Iterable[Problem]) -> frozenset[str]:
    """Return the kinds that are neither written nor deleted while these problems last."""
    return frozenset().union(*(_BLOCKED_KINDS[problem.reason] for problem in problems))


def blocks_host(problems: Iterable[Problem]) -> bool:
    """Whether the workspace may not be served at the host that it asks for."""
    return any(problem.reason in _BLOCKS_HOST for problem in problems)


def blocks_models(problems: Iterable[Problem]) -> bool:
    """Whether the desired models are unknown, so that none may be downloaded or removed."""
    return any(problem.reason in _BLOCKS_MODELS for problem in problems)
