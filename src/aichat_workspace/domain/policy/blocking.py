"""What of a workspace is still made while something is wrong with it.

Only the kinds whose content depends on what is wrong stay as they are: walls, identities and
everything else are kept and restored all the same.
"""

from collections.abc import Iterable
from typing import Final

from aichat_workspace.domain.kubernetes.kinds import ROUTES, TENANT_KINDS
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.v1alpha1.workspace import Workspace

_SIZED: Final = frozenset(
    {"ResourceQuota", "LimitRange", "PersistentVolumeClaim", "StatefulSet", "Deployment"}
)
_WITH_SECRETS: Final = frozenset({"Secret", "Deployment", *ROUTES})
_WITH_HOST: Final = frozenset({"Deployment", *ROUTES})
_FIXED: Final = frozenset({"NetworkPolicy", "ServiceAccount", "Service"})
_HELD_BACK: Final = {
    "CeilingExceeded": _SIZED,
    "QuotaTooSmall": _SIZED,
    "HostNotAllowed": _WITH_HOST,
    "HostTaken": _WITH_HOST,
    "RegistryNotAllowed": frozenset({"Deployment"}),
    "SecretNotFound": _WITH_SECRETS,
    "SecretIncomplete": _WITH_SECRETS,
    "SecretTaken": frozenset({"Secret", "Deployment"}),
    "CredentialsIncomplete": frozenset({"Secret", "Deployment"}),
    "SpecNotUnderstood": frozenset(each.kind for each in TENANT_KINDS) - _FIXED,
}
_NO_HOST: Final = frozenset({"HostNotAllowed", "HostTaken"})
_MODELS: Final = frozenset({"RegistryNotAllowed", "SpecNotUnderstood"})


def spec_problem(workspace: Workspace) -> Problem:
    return Problem(
        "SpecNotUnderstood",
        f"the operator does not understand spec.{'; spec.'.join(workspace.not_understood)}; "
        "correct it, or bring the operator and its CRDs to the same version",
    )


def blocked_kinds(problems: Iterable[Problem]) -> frozenset[str]:
    """The kinds that are neither written nor removed while these problems last."""
    return frozenset().union(*(_HELD_BACK[each.reason] for each in problems))


def blocks_host(problems: Iterable[Problem]) -> bool:
    """Whether the workspace may not be reached at the host that it asks for."""
    return any(each.reason in _NO_HOST for each in problems)


def blocks_models(problems: Iterable[Problem]) -> bool:
    """Whether it is not settled which models are to be there: none is loaded or removed."""
    return any(each.reason in _MODELS for each in problems)
