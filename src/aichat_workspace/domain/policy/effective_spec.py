"""A workspace's spec with the platform's defaults filled in."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.models.name import model_key, parse_model
from aichat_workspace.domain.v1alpha1.network_settings import Issuer
from aichat_workspace.domain.v1alpha1.platform_spec import (
    OllamaShare,
    OpenWebUIShare,
    PlatformSpec,
    Share,
)
from aichat_workspace.domain.v1alpha1.size_class import SizeClass
from aichat_workspace.domain.v1alpha1.sizes import Compute, Volume
from aichat_workspace.domain.v1alpha1.workspace_spec import NO_MODEL, WorkspaceSpec

HTTPS_PORT: Final = 443
DIMENSIONS: Final = ("cpu", "memory", "storage")


@dataclass(frozen=True, slots=True)
class SolverShare:
    """The share of the pod with which cert-manager proves a host, by that program's defaults.

    https://cert-manager.io/docs/cli/controller/
    """

    cpu_request: str = "10m"
    cpu_limit: str = "100m"
    memory_request: str = "64Mi"
    memory_limit: str = "64Mi"
    storage: str = "0"


@dataclass(frozen=True, slots=True)
class BackupShare:
    """The share of the pod that makes a backup or restores one.

    The program has two parts of an upload in memory, 64 MiB, and 300 bytes for each file.
    """

    cpu_request: str = "100m"
    cpu_limit: str = "1"
    memory_request: str = "256Mi"
    memory_limit: str = "512Mi"
    storage: str = "0"
    """The size of the volume that backups go to; none for a bucket."""


@dataclass(frozen=True, slots=True)
class OverheadShare:
    """What the runtime class adds to a pod, which quotas count.

    https://kubernetes.io/docs/concepts/scheduling-eviction/pod-overhead/
    """

    cpu: str
    memory: str
    storage: str = "0"

    @property
    def cpu_request(self) -> str:
        return self.cpu

    @property
    def cpu_limit(self) -> str:
        return self.cpu

    @property
    def memory_request(self) -> str:
        return self.memory

    @property
    def memory_limit(self) -> str:
        return self.memory


PodShare = Share | SolverShare | BackupShare


def ollama_share(spec: WorkspaceSpec, platform: PlatformSpec) -> OllamaShare:
    """Return the model server's share: the workspace's values, else the platform's."""
    changes = _own_values(spec.resources.ollama, spec.storage.ollama)
    update = _consistent(platform.ollama, changes)
    return platform.ollama.model_copy(update=update) if update else platform.ollama


def openwebui_share(spec: WorkspaceSpec, platform: PlatformSpec) -> OpenWebUIShare:
    """Return the chat front-end's share: the workspace's values, else the platform's."""
    changes = _own_values(spec.resources.open_webui, spec.storage.open_webui)
    update = _consistent(platform.open_webui, changes)
    return platform.open_webui.model_copy(update=update) if update else platform.open_webui


def quota(spec: WorkspaceSpec, platform: PlatformSpec) -> dict[str, Fraction]:
    """Return the upper bounds of all pods and volumes together, by dimension.

    Where spec.quota is silent, there is room for what they need.
    """
    own = {name: getattr(spec.quota, name) for name in DIMENSIONS}
    bounds = {name: quantity.parse(amount) for name, amount in own.items() if amount}
    return minimum(spec, platform) | bounds


def embedding_model(spec: WorkspaceSpec, platform: PlatformSpec) -> str | None:
    """Return the model that reads documents, as Ollama lists it; None for no documents."""
    model = spec.embedding_model or platform.models.embedding_model
    return None if model == NO_MODEL else str(parse_model(model))


def models(spec: WorkspaceSpec, platform: PlatformSpec) -> tuple[str, ...]:
    """Return every desired model, the embedding model last: patterns use the first one."""
    embedding = embedding_model(spec, platform)
    return (*spec.models, *((embedding,) if embedding else ()))


def host(spec: WorkspaceSpec, platform: PlatformSpec) -> str:
    """Return the host name at which the workspace is served."""
    return spec.ingress.host or names.host(spec.workspace_name, platform.ingress.domain)


def permitted(
    spec: WorkspaceSpec, platform: PlatformSpec, size_class: SizeClass | None = None
) -> WorkspaceSpec:
    """Return the spec without the models of registries that the platform does not allow.

    `size_class` is the class in effect, where the team may have it.
    """
    allowed = tuple(model for model in spec.models if is_allowed(model, platform, size_class))
    embedding = spec.embedding_model
    if embedding in (None, NO_MODEL) or is_allowed(str(embedding), platform, size_class):
        return spec.model_copy(update={"models": allowed})
    return spec.model_copy(update={"models": allowed, "embedding_model": NO_MODEL})


def pod_shares(spec: WorkspaceSpec, platform: PlatformSpec) -> tuple[PodShare, ...]:
    """Return the share of each pod that there is at a time.

    No workload has two: a rollout starts the new pod when the old one is gone. Where an issuer
    proves the host, cert-manager has a pod, too. Backups and restores run one after the other.
    """
    return (
        ollama_share(spec, platform),
        openwebui_share(spec, platform),
        *((SolverShare(),) if issuer(spec, platform) else ()),
        *((backup_share(spec, platform),) if has_backup_runs(spec) else ()),
    )


def has_backup_runs(spec: WorkspaceSpec) -> bool:
    """Whether the workspace asks for pods that copy its data."""
    return spec.backup is not None or spec.restore is not None


def backup_share(spec: WorkspaceSpec, platform: PlatformSpec) -> BackupShare:
    """Return the share of a run of the backup program, with the volume of the destinations that the
    spec names (policy.backups.fill_spec): a workspace has one for all of them."""
    wishes = (spec.backup, spec.restore)
    named = [wish.destination for wish in wishes if wish]
    places = {entry.name: entry for entry in platform.backup.destinations}
    volumes = [places[name].volume for name in named if name in places]
    size = next((volume.size for volume in volumes if volume), None)
    return BackupShare(storage=size) if size else BackupShare()


def counted_shares(
    spec: WorkspaceSpec, platform: PlatformSpec
) -> tuple[PodShare | OverheadShare, ...]:
    """Return all that a quota counts: each pod's share, and the overhead of ours."""
    shares, runtime_class = pod_shares(spec, platform), platform.pods.runtime_class
    if runtime_class is None:
        return shares
    overhead = OverheadShare(runtime_class.cpu_overhead, runtime_class.memory_overhead)
    ours = [share for share in shares if not isinstance(share, SolverShare)]
    return (*shares, *(overhead for _ in ours))


def minimum(spec: WorkspaceSpec, platform: PlatformSpec) -> dict[str, Fraction]:
    """Return what all pods need together, limits and volumes, by dimension."""
    shares = counted_shares(spec, platform)
    fields = {"cpu": "cpu_limit", "memory": "memory_limit", "storage": "storage"}
    return {name: total(shares, field) for name, field in fields.items()}


def total(shares: Iterable[PodShare | OverheadShare], field: str) -> Fraction:
    """Return the sum of a field over some shares."""
    return sum((quantity.parse(getattr(share, field)) for share in shares), Fraction())


def issuer(spec: WorkspaceSpec, platform: PlatformSpec) -> Issuer | None:
    """Return cert-manager's issuer of the certificate; None with a Secret's, or without TLS."""
    tls = spec.ingress.tls
    return tls.issuer if tls else platform.ingress.issuer


def is_allowed(model: str, platform: PlatformSpec, size_class: SizeClass | None = None) -> bool:
    """Whether the platform allows the registry that the model comes from.

    Without a list of allowed ones any registry is, on port 443: a workspace's network policies open
    another port to all addresses, so only the platform team names one. A model of the workspace's
    own size class is one that it named.
    """
    name, settings = parse_model(model), platform.models
    class_models = size_class.models if size_class else ()
    if model_key(str(name)) in {model_key(str(parse_model(text))) for text in class_models}:
        return True
    if settings.allowed_registries:
        return name.registry in settings.allowed_registries
    return name.port in (None, HTTPS_PORT) or name.registry in settings.insecure_registries


def _own_values(compute: Compute, volume: Volume) -> dict[str, str]:
    fields = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")
    values = {name: getattr(compute, name) for name in fields} | {"storage": volume.size}
    return {name: value for name, value in values.items() if value is not None}


def _consistent(share: OllamaShare | OpenWebUIShare, changes: dict[str, str]) -> dict[str, str]:
    """Return the changes with no request above its limit.

    Where the workspace sets only one of them, the other follows.
    """
    for dimension in ("cpu", "memory"):
        request, limit = f"{dimension}_request", f"{dimension}_limit"
        requested = changes.get(request, getattr(share, request))
        limited = changes.get(limit, getattr(share, limit))
        if quantity.parse(requested) > quantity.parse(limited):
            follower = {request: limited} if limit in changes else {limit: requested}
            changes = {**changes, **follower}
    return changes
