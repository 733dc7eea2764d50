"""Check a workspace's spec against the platform's limits.

A schema can't do it: the limits are in another resource. While a limit is broken, the kinds that
depend on it are blocked, and the workspace's status names the field to change.
"""

from collections.abc import Iterator
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.models.name import parse_model
from aichat_workspace.domain.policy import choices, sign_in, size_classes
from aichat_workspace.domain.policy.effective_spec import (
    DIMENSIONS,
    has_backup_runs,
    host,
    is_allowed,
    issuer,
    minimum,
    quota,
)
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.network_settings import IssuerKind
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace_spec import NO_MODEL, WorkspaceSpec

_HOST: Final = "spec.ingress.host"


def violations(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    """Yield a problem for each of the platform's limits that the workspace breaks.

    Amounts count with those of its size class. What that class chooses by name needs no leave: the
    platform team wrote it.
    """
    sized = size_classes.fill_spec(spec, platform)
    yield from _over_ceiling(sized, platform)
    yield from _quota_too_small(sized, platform)
    yield from _host_not_allowed(spec, platform)
    yield from _registry_not_allowed(spec, platform)
    yield from _scheduling_not_allowed(spec, platform)
    yield from _gpu_not_allowed(spec, platform)
    yield from _storage_class_not_allowed(spec, platform)
    yield from _ingress_class_not_allowed(spec, platform)
    yield from _issuer_not_allowed(spec, platform)
    yield from sign_in.violations(spec, platform)


def _over_ceiling(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    requested = quota(spec, platform)
    for name in DIMENSIONS:
        ceiling = getattr(platform.ceiling, name)
        if requested[name] > quantity.parse(ceiling):
            write = quantity.cores if name == "cpu" else quantity.size
            yield Problem(
                Reason.CEILING_EXCEEDED,
                f"the workspace asks for {write(requested[name])} of {name} in all, and the "
                f"platform allows {ceiling}; lower spec.quota.{name}, or the resources and storage "
                "it covers",
                f"spec.quota.{name}",
            )
    gpu = spec.resources.ollama.gpu
    if gpu and gpu.count > platform.ceiling.gpus:
        yield Problem(
            Reason.CEILING_EXCEEDED,
            f"the workspace asks for {gpu.count} GPUs, and the platform allows "
            f"{platform.ceiling.gpus}; lower spec.resources.ollama.gpu.count",
            "spec.resources.ollama.gpu.count",
        )


def _quota_too_small(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    """Check that the quota has room for all pods: else it refuses one of them always."""
    requested, needed = quota(spec, platform), minimum(spec, platform)
    pods = "the two workloads"
    if issuer(spec, platform):
        pods += " and the certificate's solver"
    if has_backup_runs(spec):
        pods += " and a run of the backup program"
    for name in DIMENSIONS:
        if requested[name] < needed[name]:
            write = quantity.cores if name == "cpu" else quantity.size
            yield Problem(
                Reason.QUOTA_TOO_SMALL,
                f"spec.quota.{name} is {write(requested[name])}, and {pods} need "
                f"{write(needed[name])}; raise it, or lower the resources and storage it covers",
                f"spec.quota.{name}",
            )


def _host_not_allowed(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    own_host, platform_domain = spec.ingress.host, platform.ingress.domain
    if (served_host := host(spec, platform)) in platform.ingress.reserved_hosts:
        yield Problem(
            Reason.HOST_NOT_ALLOWED,
            f"host {served_host!r} is reserved by the platform; "
            f"{'change' if own_host else 'choose another in'} spec.ingress.host",
            _HOST,
        )
        return
    domains = (platform_domain, *platform.ingress.allowed_domains)
    if own_host is None or own_host == names.host(spec.workspace_name, platform_domain):
        return
    if not any(own_host.endswith(f".{domain}") for domain in domains):
        yield Problem(
            Reason.HOST_NOT_ALLOWED,
            f"host {own_host!r} is under none of the platform's domains ({', '.join(domains)}); "
            "change spec.ingress.host",
            _HOST,
        )
    elif "." not in (label := own_host.removesuffix(f".{platform_domain}")):
        yield Problem(
            Reason.HOST_NOT_ALLOWED,
            f"host {own_host!r} is that of a workspace called {label!r}: the names directly under "
            f"{platform_domain} are the workspaces' own; change spec.ingress.host",
            _HOST,
        )


def _registry_not_allowed(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    """Check the models that the team names; the platform's own embedding model is not checked, and
    whether the team may have the class is another problem."""
    size_class = size_classes.in_effect(spec.class_name or "", platform)
    named = [
        (model, f"spec.models[{index}]", "remove it from spec.models")
        for index, model in enumerate(spec.models)
    ]
    if spec.embedding_model not in (None, NO_MODEL):
        field = "spec.embeddingModel"
        named.append((str(spec.embedding_model), field, f"change {field}"))
    for model, field, fix in named:
        if is_allowed(model, platform, size_class):
            continue
        registry = parse_model(model).registry
        if allowed := platform.models.allowed_registries:
            limit = f"the platform allows {', '.join(allowed)}"
        else:
            limit = (
                "the platform opens only port 443 to registries that "
                "spec.models.allowedRegistries of the AIChatPlatform does not name"
            )
        message = f"model {model!r} comes from {registry}, and {limit}; {fix}"
        yield Problem(Reason.REGISTRY_NOT_ALLOWED, message, field)


def _scheduling_not_allowed(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    allowed, scheduling = platform.allowed, spec.scheduling
    for key in scheduling.node_selector:
        if not names.is_listed(key, allowed.node_selector_keys):
            field = "spec.scheduling.nodeSelector"
            limit = _limit("nodeSelectorKeys", allowed.node_selector_keys)
            yield Problem(Reason.SCHEDULING_NOT_ALLOWED, f"{field} names {key!r}, {limit}", field)
    for index, toleration in enumerate(scheduling.tolerations):
        if not names.is_listed(toleration.key or "", allowed.toleration_keys):
            field = f"spec.scheduling.tolerations[{index}]"
            taint = repr(toleration.key) if toleration.key else "every taint"
            limit = _limit("tolerationKeys", allowed.toleration_keys)
            yield Problem(
                Reason.SCHEDULING_NOT_ALLOWED, f"{field} tolerates {taint}, {limit}", field
            )


def _gpu_not_allowed(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    gpu, allowed = spec.resources.ollama.gpu, platform.allowed.gpu_resources
    if gpu and not names.is_listed(gpu.resource_name, allowed):
        field = "spec.resources.ollama.gpu.resourceName"
        limit = _limit("gpuResources", allowed)
        yield Problem(Reason.GPU_NOT_ALLOWED, f"{field} is {gpu.resource_name!r}, {limit}", field)


def _storage_class_not_allowed(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    allowed = choices.storage_classes(platform)
    for part, volume in (("ollama", spec.storage.ollama), ("openWebUI", spec.storage.open_webui)):
        name = volume.storage_class_name
        if name and not names.is_listed(name, allowed):
            field = f"spec.storage.{part}.storageClassName"
            limit = _limit("storageClasses", allowed)
            yield Problem(Reason.STORAGE_CLASS_NOT_ALLOWED, f"{field} is {name!r}, {limit}", field)


def _ingress_class_not_allowed(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    allowed = choices.ingress_classes(platform)
    name = spec.ingress.class_name
    if name and not names.is_listed(name, allowed):
        field, limit = "spec.ingress.className", _limit("ingressClasses", allowed)
        yield Problem(Reason.INGRESS_CLASS_NOT_ALLOWED, f"{field} is {name!r}, {limit}", field)


def _issuer_not_allowed(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    """Check a ClusterIssuer; an Issuer in the workspace's own namespace was made for it."""
    issuer = spec.ingress.tls.issuer if spec.ingress.tls else None
    if issuer is None or issuer.kind is IssuerKind.ISSUER:
        return
    allowed = choices.issuers(platform)
    if not names.is_listed(issuer.name, allowed):
        field, limit = "spec.ingress.tls.issuer.name", _limit("issuers", allowed)
        yield Problem(Reason.ISSUER_NOT_ALLOWED, f"{field} is {issuer.name!r}, {limit}", field)


def _limit(setting: str, allowed: tuple[str, ...]) -> str:
    return (
        f"and the platform allows {', '.join(allowed) or 'none'}; change it, or ask the platform "
        f"team to add it to spec.allowed.{setting} of the AIChatPlatform"
    )
