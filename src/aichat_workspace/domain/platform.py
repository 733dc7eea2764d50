"""AIChatPlatform: what the platform team settles once for all workspaces.

Cluster-scoped and named `default`, so that the API server itself refuses a bad edit. Without one,
the defaults below hold.
"""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from aichat_workspace.domain.quantity import QUANTITY_PATTERN
from aichat_workspace.domain.schema import Schema

PLATFORM_NAME: Final = "default"
_DNS_LABELS: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"

Quantity = Annotated[str, StringConstraints(max_length=20, pattern=QUANTITY_PATTERN)]
Image = Annotated[
    str,
    StringConstraints(
        max_length=255,
        pattern=r"^[a-z0-9][a-zA-Z0-9./:_-]*(:[\w][\w.-]{0,127}|@sha256:[a-f0-9]{64})$",
    ),
]
Cidr = Annotated[str, StringConstraints(max_length=43, pattern=r"^[0-9a-fA-F:.]+/[0-9]{1,3}$")]
DnsLabel = Annotated[
    str, StringConstraints(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
]


class Images(Schema):
    """The images workspaces run. Pinned by tag or digest; never a moving tag."""

    ollama: Image = Field(
        default="docker.io/ollama/ollama:0.17.4",
        description="Ollama; above 0.17.1 (CVE-2026-7482).",
    )
    open_webui: Image = Field(
        default="ghcr.io/open-webui/open-webui:v0.12.4",
        alias="openWebUI",
        description="Open WebUI; 0.11.0 or newer (runs without root).",
    )


CpuRequest = Annotated[Quantity, Field(description="CPU set aside.")]
CpuLimit = Annotated[Quantity, Field(description="CPU it may use at most.")]
MemoryRequest = Annotated[Quantity, Field(description="Memory set aside.")]
MemoryLimit = Annotated[Quantity, Field(description="Memory at which it is stopped.")]
Storage = Annotated[Quantity, Field(description="Size of its volume.")]


class OllamaShare(Schema):
    """The model server's share. Weights live in memory, so memory bounds the models."""

    cpu_request: CpuRequest = "500m"
    cpu_limit: CpuLimit = "4"
    memory_request: MemoryRequest = "1Gi"
    memory_limit: MemoryLimit = "8Gi"
    storage: Storage = "20Gi"


class OpenWebUIShare(Schema):
    """The chat front-end's share."""

    cpu_request: CpuRequest = "100m"
    cpu_limit: CpuLimit = "2"
    memory_request: MemoryRequest = "512Mi"
    memory_limit: MemoryLimit = "2Gi"
    storage: Storage = "2Gi"


Share = OllamaShare | OpenWebUIShare


class Ingress(Schema):
    """How people reach workspaces."""

    domain: Annotated[
        str, StringConstraints(min_length=1, max_length=190, pattern=f"^{_DNS_LABELS}$")
    ] = Field(
        default="localtest.me",
        description="Workspaces are served at <workspaceName>.<domain>.",
    )
    class_name: DnsLabel | None = Field(
        default=None, description="IngressClass; the cluster's default class when left out."
    )
    port: int | None = Field(
        default=None, ge=1, le=65535, description="Port people use when it is not 80."
    )
    controller_namespaces: tuple[DnsLabel, ...] = Field(
        default=("traefik", "ingress-nginx", "haproxy-controller", "kube-system"),
        min_length=1,
        max_length=16,
        description="Namespaces whose pods may reach Open WebUI: the ingress controller's.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )


class Network(Schema):
    """What the network walls except."""

    egress_except: tuple[Cidr, ...] = Field(
        default=(
            "10.0.0.0/8",
            "100.64.0.0/10",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
        ),
        max_length=64,
        description="IPv4 ranges that model downloads may never reach: pods, services, nodes, the "
        "API server and the metadata address.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )


class ModelSettings(Schema):
    """How models are downloaded."""

    concurrent_pulls: int = Field(
        default=4, ge=1, le=64, description="Downloads at the same time in the whole cluster."
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
    storage_class_name: DnsLabel | None = Field(
        default=None,
        description="StorageClass of the volumes; the cluster's default when left out.",
    )
    ingress: Ingress = Field(default=Ingress(), description="How people reach workspaces.")
    network: Network = Field(default=Network(), description="What the network walls except.")
    models: ModelSettings = Field(default=ModelSettings(), description="How models are downloaded.")
