"""Check a workspace's spec against the platform's limits.

A schema can't do it: the limits are in another resource. While a limit is broken, the kinds that
depend on it are blocked, and the workspace's status names the field to change.
"""

from collections.abc import Iterator

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.models.name import parse_model
from aichat_workspace.domain.policy.effective_spec import (
    DIMENSIONS,
    host,
    is_allowed,
    issuer,
    minimum,
    quota,
)
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace_spec import NO_MODEL, WorkspaceSpec


def violations(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    """Yield a problem for each of the platform's limits that the workspace breaks."""
    yield from _over_ceiling(spec, platform)
    yield from _quota_too_small(spec, platform)
    yield from _host_not_allowed(spec, platform)
    yield from _registry_not_allowed(spec, platform)


def _over_ceiling(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    requested = quota(spec, platform)
    for name in DIMENSIONS:
        ceiling = getattr(platform.ceiling, name)
        if requested[name] > quantity.parse(ceiling):
            write = quantity.cores if name == "cpu" else quantity.size
            yield Problem(
                "CeilingExceeded",
                f"the workspace asks for {write(requested[name])} of {name} in all, and the "
                f"platform allows {ceiling}; lower spec.quota.{name}, or the resources and storage "
                "it covers",
            )
    gpu = spec.resources.ollama.gpu
    if gpu and gpu.count > platform.ceiling.gpus:
        yield Problem(
            "CeilingExceeded",
            f"the workspace asks for {gpu.count} GPUs, and the platform allows "
            f"{platform.ceiling.gpus}; lower spec.resources.ollama.gpu.count",
        )


def _quota_too_small(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    """Check that the quota has room for all pods: else it refuses one of them always."""
    requested, needed = quota(spec, platform), minimum(spec, platform)
    pods = "the two workloads"
    if issuer(spec, platform):
        pods += " and the certificate's solver"
    for name in DIMENSIONS:
        if requested[name] < needed[name]:
            write = quantity.cores if name == "cpu" else quantity.size
            yield Problem(
                "QuotaTooSmall",
                f"spec.quota.{name} is {write(requested[name])}, and {pods} need "
                f"{write(needed[name])}; raise it, or lower the resources and storage it covers",
            )


def _host_not_allowed(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    own_host, platform_domain = spec.ingress.host, platform.ingress.domain
    if (served_host := host(spec, platform)) in platform.ingress.reserved_hosts:
        yield Problem(
            "HostNotAllowed",
            f"host {served_host!r} is reserved by the platform; "
            f"{'change' if own_host else 'choose another in'} spec.ingress.host",
        )
        return
    domains = (platform_domain, *platform.ingress.allowed_domains)
    if own_host is None or own_host == names.host(spec.workspace_name, platform_domain):
        return
    if not any(own_host.endswith(f".{domain}") for domain in domains):
        yield Problem(
            "HostNotAllowed",
            f"host {own_host!r} is under none of the platform's domains ({', '.join(domains)}); "
            "change spec.ingress.host",
        )
    elif "." not in (label := own_host.removesuffix(f".{platform_domain}")):
        yield Problem(
            "HostNotAllowed",
            f"host {own_host!r} is that of a workspace called {label!r}: the names directly under "
            f"{platform_domain} are the workspaces' own; change spec.ingress.host",
        )


def _registry_not_allowed(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    """Check the models that the team names; the platform's own embedding model is not checked."""
    fixes = [(model, "remove it from spec.models") for model in spec.models]
    if spec.embedding_model not in (None, NO_MODEL):
        fixes.append((str(spec.embedding_model), "change spec.embeddingModel"))
    for model, fix in fixes:
        if not is_allowed(model, platform):
            yield Problem(
                "RegistryNotAllowed",
                f"model {model!r} comes from {parse_model(model).registry}, and the platform "
                f"allows {', '.join(platform.models.allowed_registries)}; {fix}",
            )
