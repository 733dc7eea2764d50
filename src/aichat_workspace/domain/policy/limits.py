"""What the platform does not let a workspace have, whatever it asks for.

A schema can't say it, for the bounds are another resource's. While one is broken, what depends on
it stays as it was, and the workspace is told which field to change.
"""

from collections.abc import Iterator

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.models.name import parse_model
from aichat_workspace.domain.policy.effective_spec import (
    DIMENSIONS,
    host,
    is_allowed,
    minimum,
    quota,
)
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace_spec import NO_MODEL, WorkspaceSpec


def violations(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    """The bounds of the platform that the workspace breaks."""
    yield from _over_ceiling(spec, platform)
    yield from _under_shares(spec, platform)
    yield from _host_not_allowed(spec, platform)
    yield from _registry_not_allowed(spec, platform)


def _over_ceiling(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    asked = quota(spec, platform)
    for name in DIMENSIONS:
        most = getattr(platform.ceiling, name)
        if asked[name] > quantity.parse(most):
            write = quantity.cores if name == "cpu" else quantity.size
            yield Problem(
                "CeilingExceeded",
                f"the workspace asks for {write(asked[name])} of {name} in all, and the platform "
                f"allows {most}; lower spec.quota.{name}, or the resources and storage it covers "
                "(a roll-out needs them twice)",
            )
    gpu = spec.resources.ollama.gpu
    if gpu and gpu.count > platform.ceiling.gpus:
        yield Problem(
            "CeilingExceeded",
            f"the workspace asks for {gpu.count} GPUs, and the platform allows "
            f"{platform.ceiling.gpus}; lower spec.resources.ollama.gpu.count",
        )


def _under_shares(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    """A quota that has no room for one pod of each workload keeps them from ever being made."""
    asked, least = quota(spec, platform), minimum(spec, platform)
    for name in DIMENSIONS:
        if asked[name] < least[name]:
            write = quantity.cores if name == "cpu" else quantity.size
            yield Problem(
                "QuotaTooSmall",
                f"spec.quota.{name} is {write(asked[name])}, and the two workloads need "
                f"{write(least[name])}; raise it, or lower the resources and storage it covers",
            )


def _host_not_allowed(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    chosen, own = spec.ingress.host, platform.ingress.domain
    if (served := host(spec, platform)) in platform.ingress.reserved_hosts:
        yield Problem(
            "HostNotAllowed",
            f"host {served!r} is reserved by the platform; "
            f"{'change' if chosen else 'choose another in'} spec.ingress.host",
        )
        return
    domains = (own, *platform.ingress.allowed_domains)
    if chosen is None or chosen == names.host(spec.workspace_name, own):
        return
    if not any(chosen.endswith(f".{domain}") for domain in domains):
        yield Problem(
            "HostNotAllowed",
            f"host {chosen!r} is under none of the platform's domains ({', '.join(domains)}); "
            "change spec.ingress.host",
        )
    elif "." not in (label := chosen.removesuffix(f".{own}")):
        yield Problem(
            "HostNotAllowed",
            f"host {chosen!r} is that of a workspace called {label!r}: the names directly under "
            f"{own} are the workspaces' own; change spec.ingress.host",
        )


def _registry_not_allowed(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    """What the team chose. The platform's own embedding model is the platform's choice."""
    chosen = [(text, "remove it from spec.models") for text in spec.models]
    if spec.embedding_model not in (None, NO_MODEL):
        chosen.append((str(spec.embedding_model), "change spec.embeddingModel"))
    for text, fix in chosen:
        if not is_allowed(text, platform):
            yield Problem(
                "RegistryNotAllowed",
                f"model {text!r} comes from {parse_model(text).registry}, and the platform allows "
                f"{', '.join(platform.models.allowed_registries)}; {fix}",
            )
