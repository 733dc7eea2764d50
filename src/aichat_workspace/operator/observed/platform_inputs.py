"""What the platform's status is computed from."""

from functools import partial

from aichat_workspace.domain import names
from aichat_workspace.domain.policy.platform_secrets import (
    resolve_client_secret,
    resolve_platform_secrets,
)
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.status.platform_status import (
    PlatformInputs,
    admitted_namespaces,
    other_namespaces,
)
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator.observed.caches import Caches


def platform_inputs(caches: Caches, platform: Json) -> PlatformInputs:
    """Return what a platform's status is computed from. It costs the same with any number of
    workspaces."""
    settings = caches.settings.in_force
    return PlatformInputs(
        generation=platform["metadata"].get("generation", 0),
        settings=settings.spec,
        refusal=settings.refusal,
        storage_classes=tuple(caches.storage_classes.all()),
        ingress_classes=tuple(caches.ingress_classes.all()),
        gateways=tuple(caches.gateways.all()),
        issuers=tuple(caches.issuers.all()),
        missing=_problems(caches),
        namespaces=_present_admitted(caches),
        enforcement=caches.enforcement,
        counts=caches.index.counts,
    )


def _present_admitted(caches: Caches) -> frozenset[str]:
    admitted = admitted_namespaces(caches.settings.in_force.spec)
    present = (caches.namespaces.get("", name) for name in admitted)
    return other_namespaces(namespace for namespace in present if namespace is not None)


def _problems(caches: Caches) -> tuple[Problem, ...]:
    """What the settings name in the system namespace, and that is not there."""
    spec, system = caches.settings.in_force.spec, names.SYSTEM_NAMESPACE
    find_secret = partial(caches.secrets.get, system)
    _, problems = resolve_platform_secrets(spec, find_secret, partial(caches.bundles.get, system))
    _, problem = resolve_client_secret(spec, find_secret)
    return (*problems, *filter(None, [problem]))
