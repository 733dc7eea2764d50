"""AIChatPlatform: the platform team's settings for all workspaces.

It is a cluster-scoped resource named `default`, so that the API server itself refuses a bad edit.
Without one ever, the defaults below apply. A deleted one's stay in force (platform_settings).
"""

from typing import Annotated, Final

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from aichat_workspace.domain import default_shares, versions
from aichat_workspace.domain.models.name import (
    MODEL_NAME_MAX_LENGTH,
    MODEL_NAME_PATTERN,
    PORT_PATTERN,
)
from aichat_workspace.domain.v1alpha1.backup import PlatformBackup
from aichat_workspace.domain.v1alpha1.base import Schema, rule
from aichat_workspace.domain.v1alpha1.field_types import (
    ATOMIC,
    DNS_LABELS,
    LABEL,
    SET,
    ByteSize,
    DnsName,
    Positive,
    Quantity,
)
from aichat_workspace.domain.v1alpha1.metadata_settings import NAMESPACES, Metadata
from aichat_workspace.domain.v1alpha1.network_settings import (
    Ingress,
    Network,
    Proxy,
    TrustedAuthorities,
)
from aichat_workspace.domain.v1alpha1.pod_settings import Pods
from aichat_workspace.domain.v1alpha1.sign_in import SignIn, SignInChoice
from aichat_workspace.domain.v1alpha1.size_class import (
    MAX_SIZE_CLASSES,
    SIZE_CLASS_RULES,
    SizeClass,
)
from aichat_workspace.foundation.image_names import mirrored

PLATFORM_NAME: Final = "default"

_MAX_FAILURES_PATTERN: Final = r"^([0-9]{1,5}|(100|[1-9]?[0-9])%)$"
# Tools and platform teams write these, and none of them changes who is reached or what may run.
# Annotations of ingress controllers, cert-manager and external-dns change routes, and labels of
# Pod Security's enforcement, service meshes and network plugins change walls: they are not here.
FOREIGN_METADATA: Final = (
    "argocd.argoproj.io/*",
    "authz.management.cattle.io/*",
    "cattle.io/*",
    "cloud.google.com/neg",
    "cloud.google.com/neg-status",
    "field.cattle.io/*",
    "fleet.cattle.io/*",
    "ingress.kubernetes.io/backends",
    "ingress.kubernetes.io/forwarding-rule",
    "ingress.kubernetes.io/https-forwarding-rule",
    "ingress.kubernetes.io/https-target-proxy",
    "ingress.kubernetes.io/redirect-url-map",
    "ingress.kubernetes.io/ssl-cert",
    "ingress.kubernetes.io/static-ip",
    "ingress.kubernetes.io/target-proxy",
    "ingress.kubernetes.io/url-map",
    "kubectl.kubernetes.io/*",
    "kubernetes.io/change-cause",
    "kubernetes.io/description",
    "kubernetes.io/metadata.name",
    "kustomize.toolkit.fluxcd.io/*",
    "lifecycle.cattle.io/*",
    "management.cattle.io/*",
    "openshift.io/*",
    "pod-security.kubernetes.io/audit",
    "pod-security.kubernetes.io/audit-version",
    "pod-security.kubernetes.io/warn",
    "pod-security.kubernetes.io/warn-version",
    "velero.io/*",
)

Image = Annotated[
    str,
    StringConstraints(
        max_length=255,
        pattern=r"^[a-z0-9][a-zA-Z0-9./:_-]*(:[\w][\w.-]{0,127}|@sha256:[a-f0-9]{64})$",
    ),
    Field(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule("!self.endsWith(':latest')", "name a version or a digest: latest moves")
            ]
        }
    ),
]
EmbeddingModel = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MODEL_NAME_MAX_LENGTH, pattern=MODEL_NAME_PATTERN),
]
Registry = Annotated[
    str,
    StringConstraints(min_length=1, max_length=259, pattern=f"^{DNS_LABELS}(:({PORT_PATTERN}))?$"),
]
# A name, all names with a prefix, or every name.
NamePattern = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=316, pattern=rf"^(\*|({DNS_LABELS}/)?{LABEL}|{DNS_LABELS}/\*)$"
    ),
]


class Images(Schema):
    """The images that workspaces run, pinned by tag or digest; never a moving tag."""

    mirror: Annotated[
        str, StringConstraints(max_length=200, pattern=r"^([a-z0-9][a-z0-9./:_-]*[a-z0-9])?$")
    ] = Field(
        default="",
        description="Registry and path that replace the images' own registries, as in "
        "mirror.example.org/upstream.",
    )

    ollama: Image = Field(
        default=versions.OLLAMA_IMAGE,
        description="Ollama; 0.17.1 or newer (CVE-2026-7482).",
    )
    open_webui: Image = Field(
        default=versions.OPEN_WEBUI_IMAGE,
        alias="openWebUI",
        description="Open WebUI; 0.11.0 or newer (runs without root).",
    )

    @property
    def resolved(self) -> tuple[str, str]:
        """The model server's image and the chat front-end's, from the mirror where there is one."""
        return mirrored(self.ollama, self.mirror), mirrored(self.open_webui, self.mirror)


CpuRequest = Annotated[Quantity, Field(description="CPU set aside.")]
CpuLimit = Annotated[Positive, Field(description="CPU it may use at most.")]
MemoryRequest = Annotated[Quantity, Field(description="Memory set aside.")]
MemoryLimit = Annotated[ByteSize, Field(description="Memory at which it is stopped.")]
Storage = Annotated[ByteSize, Field(description="Size of its volume.")]


class OllamaShare(Schema):
    """The model server's share. Weights live in memory, so memory bounds the models."""

    cpu_request: CpuRequest = default_shares.OLLAMA_CPU_REQUEST
    cpu_limit: CpuLimit = "4"
    memory_request: MemoryRequest = default_shares.OLLAMA_MEMORY_REQUEST
    memory_limit: MemoryLimit = default_shares.OLLAMA_MEMORY_LIMIT
    storage: Storage = "20Gi"


class OpenWebUIShare(Schema):
    """The chat front-end's share."""

    cpu_request: CpuRequest = default_shares.OPEN_WEBUI_CPU_REQUEST
    cpu_limit: CpuLimit = "2"
    memory_request: MemoryRequest = default_shares.OPEN_WEBUI_MEMORY_REQUEST
    memory_limit: MemoryLimit = "2Gi"
    storage: Storage = "2Gi"


Share = OllamaShare | OpenWebUIShare


class ModelSettings(Schema):
    """How models are downloaded."""

    concurrent_pulls: int = Field(
        default=4, ge=1, le=64, description="Downloads at the same time in the whole cluster."
    )
    embedding_model: EmbeddingModel = Field(
        default="nomic-embed-text",
        description="Model that reads uploaded documents in every workspace; none for no "
        "documents.",
    )
    allowed_registries: tuple[Registry, ...] = Field(
        default=(),
        max_length=32,
        description="Registries that teams' models may come from, as host or host:port; any when "
        "empty. Ollama's own is registry.ollama.ai.",
        json_schema_extra=SET,
    )
    insecure_registries: tuple[Registry, ...] = Field(
        default=(),
        max_length=32,
        description="Registries that speak plain HTTP.",
        json_schema_extra=SET,
    )


class Ceiling(Schema):
    """What one workspace may have at most, whatever it asks for."""

    cpu: Positive = Field(default="64", description="Sum of all CPU limits.")
    memory: ByteSize = Field(default="256Gi", description="Sum of all memory limits.")
    storage: ByteSize = Field(default="1Ti", description="Sum of all volumes.")
    gpus: int = Field(default=8, ge=0, le=1024, description="Graphics processors.")


_GPUS: Final = ("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915", "gpu.intel.com/xe")
_PATTERNS: Final = "Names, example.org/* for a prefix, or * for all."


class Allowed(Schema):
    """What the platform lets teams choose by name, and others add to a workspace's objects."""

    node_selector_keys: tuple[NamePattern, ...] = Field(
        default=(
            "kubernetes.io/arch",
            "kubernetes.io/os",
            "node.kubernetes.io/instance-type",
            "nvidia.com/gpu.product",
            "topology.kubernetes.io/region",
            "topology.kubernetes.io/zone",
        ),
        max_length=64,
        description="Node labels that spec.scheduling.nodeSelector of a workspace may name. "
        f"{_PATTERNS}",
        json_schema_extra=SET,
    )
    toleration_keys: tuple[NamePattern, ...] = Field(
        default=_GPUS,
        max_length=64,
        description="Taints that spec.scheduling.tolerations of a workspace may name; one without "
        f"a key tolerates every taint and needs *. {_PATTERNS}",
        json_schema_extra=SET,
    )
    gpu_resources: tuple[NamePattern, ...] = Field(
        default=_GPUS,
        max_length=64,
        description="Device plugins' resources that a workspace may ask for as graphics "
        f"processors. {_PATTERNS}",
        json_schema_extra=SET,
    )
    storage_classes: tuple[NamePattern, ...] = Field(
        default=("*",),
        max_length=64,
        description="StorageClasses that a workspace may name, besides spec.storageClassName. "
        "Names, or * for all.",
        json_schema_extra=SET,
    )
    ingress_classes: tuple[NamePattern, ...] = Field(
        default=(),
        max_length=64,
        description="IngressClasses that a workspace may name, besides spec.ingress.className. "
        "Names, or * for all.",
        json_schema_extra=SET,
    )
    issuers: tuple[NamePattern, ...] = Field(
        default=(),
        max_length=64,
        description="ClusterIssuers that a workspace may name, besides spec.ingress.issuer; an "
        "Issuer in its own namespace always. Names, or * for all.",
        json_schema_extra=SET,
    )
    sign_in: tuple[SignInChoice, ...] = Field(
        default=(SignInChoice.ALL,),
        max_length=len(SignInChoice),
        description="What of signing in a workspace may decide itself: Provider (one of its own), "
        "NoProvider (none), People (signUp, roles and domains), Groups, PasswordForm, APIKeys and "
        "SCIM, or * for all. All else is as spec.signIn says.",
        json_schema_extra=SET,
    )
    foreign_metadata: tuple[NamePattern, ...] = Field(
        default=FOREIGN_METADATA,
        max_length=128,
        description="Annotations and labels that others may add to a workspace's namespace, "
        f"Services, Ingress and HTTPRoute; the operator removes all others. {_PATTERNS}",
        json_schema_extra=SET,
    )


MaxFailures = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if type(value) is int else value),
    StringConstraints(max_length=8, pattern=_MAX_FAILURES_PATTERN),
    # https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.36/#intorstring-intstr-util
    WithJsonSchema(
        {"x-kubernetes-int-or-string": True, "minimum": 0, "pattern": _MAX_FAILURES_PATTERN}
    ),
]


class Upgrades(Schema):
    """How a changed pod template reaches workspaces."""

    concurrent: int = Field(
        default=2, ge=1, le=64, description="Workspaces that change their pods at the same time."
    )
    max_failures: MaxFailures = Field(
        default="10%",
        description="Workspaces that may fail in their turn before the others keep their pods: a "
        "number, or a share of those whose turn has ended, as 10%, which is at least one.",
    )
    turn_deadline_seconds: int = Field(
        default=900,
        ge=10,
        le=86_400,
        description="A workspace that is not available after so many seconds gives its turn on.",
    )

    def tolerated_failures(self, ended: int) -> int:
        """Return how many of the workspaces whose turn has ended may have failed."""
        if not self.max_failures.endswith("%"):
            return int(self.max_failures)
        percent = int(self.max_failures[:-1])
        return max(1, -(-ended * percent // 100)) if percent else 0


class Deletion(Schema):
    """What becomes of a namespace whose resource is deleted or gone."""

    retain_all: bool = Field(
        default=False,
        description="Retain the namespace of every workspace that is deleted or expires, whatever "
        "its deletionPolicy says: the operator deletes no data.",
    )
    orphan_grace_hours: int = Field(
        default=24,
        ge=1,
        le=8760,
        description="How long a namespace whose resource is gone goes on, before its workloads are "
        "stopped and its host is free. It is never deleted.",
    )


class PlatformSpec(Schema):
    """Settings of the platform team."""

    images: Images = Field(default=Images(), description="The images workspaces run.")
    ollama: OllamaShare = Field(
        default=OllamaShare(), description="The model server's share in every workspace."
    )
    open_webui: OpenWebUIShare = Field(
        default=OpenWebUIShare(),
        alias="openWebUI",
        description="The chat front-end's share in every workspace.",
    )
    storage_class_name: DnsName | None = Field(
        default=None,
        description="StorageClass of the volumes; the cluster's default when left out.",
    )
    ingress: Ingress = Field(default=Ingress(), description="How people reach workspaces.")
    network: Network = Field(
        default=Network(), description="What the network policies let through."
    )
    proxy: Proxy | None = Field(
        default=None,
        description="The HTTP proxy through which Ollama and Open WebUI reach HTTPS servers. With "
        "it they reach nothing else outside but spec.network.egressAllow.",
    )
    trusted_authorities: TrustedAuthorities | None = Field(
        default=None,
        description="Certificate authorities that Ollama and Open WebUI trust besides the public "
        "ones.",
    )
    image_pull_secret_names: tuple[DnsName, ...] = Field(
        default=(),
        max_length=8,
        description="Secrets of the operator's namespace with the passwords of the images' "
        "registries, of type kubernetes.io/dockerconfigjson. Every workspace gets copies, which "
        "follow a change without a restart.",
        json_schema_extra=ATOMIC,
    )
    sign_in: SignIn = Field(
        default=SignIn(),
        description="How people sign in to chats, where a workspace says nothing else.",
    )
    pods: Pods = Field(default=Pods(), description="Where pods run, and as whom.")
    namespace_metadata: Metadata = Field(
        default=Metadata(),
        description="What every workspace's namespace carries.",
        json_schema_extra=NAMESPACES,
    )
    models: ModelSettings = Field(default=ModelSettings(), description="How models are downloaded.")
    ceiling: Ceiling = Field(default=Ceiling(), description="What one workspace may have at most.")
    size_classes: tuple[SizeClass, ...] = Field(
        default=(),
        max_length=MAX_SIZE_CLASSES,
        description="Sizes that workspaces choose by name, with spec.className. What a workspace "
        "sets itself comes first, then its class, then spec.ollama and spec.openWebUI here.",
        json_schema_extra=SIZE_CLASS_RULES,
    )
    allowed: Allowed = Field(
        default=Allowed(),
        description="What teams may choose by name, and what others may add to their objects.",
    )
    upgrades: Upgrades = Field(default=Upgrades(), description="How changed pods reach workspaces.")
    backup: PlatformBackup = Field(
        default=PlatformBackup(), description="Where backups of chats go."
    )
    deletion: Deletion = Field(
        default=Deletion(),
        description="What becomes of a namespace whose resource is deleted or gone.",
    )
