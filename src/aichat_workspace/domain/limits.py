"""What the platform does not let a workspace have, whatever it asks for.

A schema can't say it, for the bounds are another resource's. While one is broken, what depends on
it stays as it was, and the workspace is told which field to change.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from aichat_workspace.domain import names, quantity
from aichat_workspace.domain.diagnosis import Diagnosis
from aichat_workspace.domain.models import parse_model
from aichat_workspace.domain.platform import OllamaShare, OpenWebUIShare, PlatformSpec
from aichat_workspace.domain.spec import NO_MODEL, Compute, Volume, WorkspaceSpec

# Both workloads, and one more of each while a new pod starts before the old one is gone.
ROLL_OUT: Final = 2
_DIMENSIONS: Final = ("cpu", "memory", "storage")


def ollama_share(spec: WorkspaceSpec, platform: PlatformSpec) -> OllamaShare:
    """The model server's share: what the workspace chose, and the platform's for the rest."""
    changes = _chosen(spec.resources.ollama, spec.storage.ollama)
    return platform.ollama.model_copy(update=_consistent(platform.ollama, changes))


def openwebui_share(spec: WorkspaceSpec, platform: PlatformSpec) -> OpenWebUIShare:
    """The chat front-end's share: what the workspace chose, and the platform's for the rest."""
    changes = _chosen(spec.resources.open_webui, spec.storage.open_webui)
    return platform.open_webui.model_copy(update=_consistent(platform.open_webui, changes))


def quota(spec: WorkspaceSpec, platform: PlatformSpec) -> dict[str, Fraction]:
    """Upper bounds of all pods and volumes together: what was chosen, else room for the workloads
    and their roll-out."""
    needed = _needed(spec, platform)
    room = {name: needed[name] * (1 if name == "storage" else ROLL_OUT) for name in _DIMENSIONS}
    chosen = {name: getattr(spec.quota, name) for name in _DIMENSIONS}
    return {name: quantity.parse(chosen[name]) if chosen[name] else room[name] for name in room}


def embedding_model(spec: WorkspaceSpec, platform: PlatformSpec) -> str | None:
    """The model that reads documents, by its listed name; None for no documents."""
    chosen = spec.embedding_model or platform.models.embedding_model
    return None if chosen == NO_MODEL else str(parse_model(chosen))


def models(spec: WorkspaceSpec, platform: PlatformSpec) -> tuple[str, ...]:
    """Every model to have, the embedding model last: patterns are built on the first one."""
    embedding = embedding_model(spec, platform)
    return (*spec.models, *((embedding,) if embedding else ()))


def host(spec: WorkspaceSpec, platform: PlatformSpec) -> str:
    return spec.ingress.host or names.host(spec.workspace_name, platform.ingress.domain)


def permitted(spec: WorkspaceSpec, platform: PlatformSpec) -> WorkspaceSpec:
    """The spec without the models that come from where none may come from."""
    allowed = tuple(each for each in spec.models if _is_allowed(each, platform))
    chosen = spec.embedding_model
    if chosen in (None, NO_MODEL) or _is_allowed(str(chosen), platform):
        return spec.model_copy(update={"models": allowed})
    return spec.model_copy(update={"models": allowed, "embedding_model": NO_MODEL})


def violations(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Diagnosis]:
    """The bounds of the platform that the workspace breaks."""
    yield from _over_ceiling(spec, platform)
    yield from _under_shares(spec, platform)
    yield from _host_not_allowed(spec, platform)
    yield from _registry_not_allowed(spec, platform)


def _over_ceiling(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Diagnosis]:
    asked = quota(spec, platform)
    for name in _DIMENSIONS:
        most = getattr(platform.ceiling, name)
        if asked[name] > quantity.parse(most):
            write = quantity.cores if name == "cpu" else quantity.size
            yield Diagnosis(
                "CeilingExceeded",
                f"the workspace asks for {write(asked[name])} of {name} in all, and the platform "
                f"allows {most}; lower spec.quota.{name}, or the resources and storage it covers "
                "(a roll-out needs them twice)",
            )
    gpu = spec.resources.ollama.gpu
    if gpu and gpu.count > platform.ceiling.gpus:
        yield Diagnosis(
            "CeilingExceeded",
            f"the workspace asks for {gpu.count} GPUs, and the platform allows "
            f"{platform.ceiling.gpus}; lower spec.resources.ollama.gpu.count",
        )


def _under_shares(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Diagnosis]:
    """A quota that has no room for one pod of each workload keeps them from ever being made."""
    asked, least = quota(spec, platform), _needed(spec, platform)
    for name in _DIMENSIONS:
        if asked[name] < least[name]:
            write = quantity.cores if name == "cpu" else quantity.size
            yield Diagnosis(
                "QuotaTooSmall",
                f"spec.quota.{name} is {write(asked[name])}, and the two workloads need "
                f"{write(least[name])}; raise it, or lower the resources and storage it covers",
            )


def _needed(spec: WorkspaceSpec, platform: PlatformSpec) -> dict[str, Fraction]:
    """The limits and volumes of one pod of each workload."""
    shares = (ollama_share(spec, platform), openwebui_share(spec, platform))
    fields = {"cpu": "cpu_limit", "memory": "memory_limit", "storage": "storage"}
    return {
        name: sum((quantity.parse(getattr(each, field)) for each in shares), Fraction())
        for name, field in fields.items()
    }


def _host_not_allowed(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Diagnosis]:
    chosen, own = spec.ingress.host, platform.ingress.domain
    if (served := host(spec, platform)) in platform.ingress.reserved_hosts:
        yield Diagnosis(
            "HostNotAllowed",
            f"host {served!r} is reserved by the platform; "
            f"{'change' if chosen else 'choose another in'} spec.ingress.host",
        )
        return
    domains = (own, *platform.ingress.allowed_domains)
    if chosen is None or chosen == names.host(spec.workspace_name, own):
        return
    if not any(chosen.endswith(f".{domain}") for domain in domains):
        yield Diagnosis(
            "HostNotAllowed",
            f"host {chosen!r} is under none of the platform's domains ({', '.join(domains)}); "
            "change spec.ingress.host",
        )
    elif "." not in (label := chosen.removesuffix(f".{own}")):
        yield Diagnosis(
            "HostNotAllowed",
            f"host {chosen!r} is that of a workspace called {label!r}: the names directly under "
            f"{own} are the workspaces' own; change spec.ingress.host",
        )


def _registry_not_allowed(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Diagnosis]:
    """What the team chose. The platform's own embedding model is the platform's choice."""
    chosen = [(text, "remove it from spec.models") for text in spec.models]
    if spec.embedding_model not in (None, NO_MODEL):
        chosen.append((str(spec.embedding_model), "change spec.embeddingModel"))
    for text, fix in chosen:
        if not _is_allowed(text, platform):
            yield Diagnosis(
                "RegistryNotAllowed",
                f"model {text!r} comes from {parse_model(text).registry}, and the platform allows "
                f"{', '.join(platform.models.allowed_registries)}; {fix}",
            )


def _is_allowed(model: str, platform: PlatformSpec) -> bool:
    allowed = platform.models.allowed_registries
    return not allowed or parse_model(model).registry in allowed


def _chosen(compute: Compute, volume: Volume) -> dict[str, str]:
    fields = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")
    chosen = {name: getattr(compute, name) for name in fields} | {"storage": volume.size}
    return {name: value for name, value in chosen.items() if value is not None}


def _consistent(share: OllamaShare | OpenWebUIShare, changes: dict[str, str]) -> dict[str, str]:
    """A request never above its limit: where only one was chosen, the other follows."""
    for of in ("cpu", "memory"):
        request, limit = f"{of}_request", f"{of}_limit"
        wanted = changes.get(request, getattr(share, request))
        most = changes.get(limit, getattr(share, limit))
        if quantity.parse(wanted) > quantity.parse(most):
            changes = {**changes, **({request: most} if limit in changes else {limit: wanted})}
    return changes
