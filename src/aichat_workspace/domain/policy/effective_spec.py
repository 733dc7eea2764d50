"""What a workspace has: its own choice, and the platform's for the rest."""

from fractions import Fraction
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.models.name import parse_model
from aichat_workspace.domain.v1alpha1.platform_spec import OllamaShare, OpenWebUIShare, PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace_spec import NO_MODEL, Compute, Volume, WorkspaceSpec

# Both workloads, and one more of each while a new pod starts before the old one is gone.
ROLL_OUT: Final = 2
DIMENSIONS: Final = ("cpu", "memory", "storage")


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
    least = minimum(spec, platform)
    room = {name: least[name] * (1 if name == "storage" else ROLL_OUT) for name in DIMENSIONS}
    chosen = {name: getattr(spec.quota, name) for name in DIMENSIONS}
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
    allowed = tuple(each for each in spec.models if is_allowed(each, platform))
    chosen = spec.embedding_model
    if chosen in (None, NO_MODEL) or is_allowed(str(chosen), platform):
        return spec.model_copy(update={"models": allowed})
    return spec.model_copy(update={"models": allowed, "embedding_model": NO_MODEL})


def minimum(spec: WorkspaceSpec, platform: PlatformSpec) -> dict[str, Fraction]:
    """The limits and volumes of one pod of each workload."""
    shares = (ollama_share(spec, platform), openwebui_share(spec, platform))
    fields = {"cpu": "cpu_limit", "memory": "memory_limit", "storage": "storage"}
    return {
        name: sum((quantity.parse(getattr(each, field)) for each in shares), Fraction())
        for name, field in fields.items()
    }


def is_allowed(model: str, platform: PlatformSpec) -> bool:
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
